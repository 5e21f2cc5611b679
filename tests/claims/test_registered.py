"""The register: its page is up to date, its statements can be told apart and judged."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cl_bench.claims import registered as module
from cl_bench.claims.claim import Claim
from cl_bench.claims.plan import Plan
from cl_bench.claims.registered import CLAIMS, registration, rules_page, said
from cl_bench.claims.subject import EMBEDDED

RULES = Path(__file__).parents[2] / "docs" / "claims-rules.md"


@pytest.mark.skipif(not RULES.exists(), reason="only in a checkout")
def test_the_page_of_rules_is_up_to_date() -> None:
    assert RULES.read_text(encoding="utf-8") == rules_page()


def test_claims_and_statements_have_numbers_and_names_of_their_own() -> None:
    registered = [claim.registered for claim in CLAIMS]
    assert [one.number for one in registered] == list(range(1, 11))
    assert len({one.name for one in registered}) == len(registered)
    for one in registered:
        letters = [statement.id.removeprefix(str(one.number)) for statement in one.statements]
        assert letters == list("abc"[: len(letters)])


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.figure_name)
def test_every_claim_can_be_decided_and_shows_the_papers_figures(claim: Claim) -> None:
    statements = claim.registered.statements
    assert any(statement.primary for statement in statements)
    assert claim.registered.paper
    assert all(figure.values for figure in claim.registered.paper)
    assert [*claim.measurements] == [statement.id for statement in statements]
    assert all(how.short for how in claim.measurements.values())
    for statement in statements:  # a margin is never easier than the value without an effect
        assert statement.margin >= statement.null, statement.id
        assert statement.scale != "ratio" or statement.null > 0, statement.id


def test_the_table_of_claims_loads_nothing_heavy() -> None:
    script = (
        "import sys, cl_bench.claims.registered; "
        "print({'torch', 'matplotlib', 'pandas', 'scipy'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


PLAN = Plan(EMBEDDED.budgets["full"], (100, 102), {"rl": {"learning_rate": 6e-4}})


def test_the_same_rules_and_plan_have_the_same_hashes() -> None:
    again = Plan(EMBEDDED.budgets["full"], (100, 102), {"rl": {"learning_rate": 0.0006}})
    assert registration(PLAN) == registration(again)
    assert registration(PLAN)["seeds"] == [100, 102]


@pytest.mark.parametrize(
    "changed",
    [
        replace(PLAN, budget=replace(PLAN.budget, items=65)),
        replace(PLAN, settings={"rl": {"learning_rate": 6e-4}, "fst": {}}),
        replace(PLAN, settings={"rl": {"learning_rate": 3e-4}}),
    ],
)
def test_budget_and_settings_change_the_plan_and_not_the_rules(changed: Plan) -> None:
    first, now = registration(PLAN), registration(changed)
    assert first["plan"] != now["plan"]
    assert first["rules"] == now["rules"]
    assert "budget, model or settings had the hash" in said(first, changed)
    assert "the rules" not in said(first, changed)


def test_a_margin_changes_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    first = registration(PLAN)
    claim = CLAIMS[0]
    statement = replace(claim.registered.statements[0], margin=1.0)
    eased = replace(claim, registered=replace(claim.registered, statements=(statement,)))
    monkeypatch.setattr(module, "CLAIMS", (eased, *CLAIMS[1:]))
    assert registration(PLAN)["rules"] != first["rules"]
    text = said(first, PLAN)
    assert f"the rules (claims, statements, margins) had the hash {first['rules'][:12]}" in text


def test_seeds_that_came_or_went_are_named() -> None:
    first = registration(PLAN)
    text = said(first, replace(PLAN, seeds=(102, 103, 104)))
    assert "seeds 103, 104 were added later" in text
    assert "seeds 100 are not on this page" in text
    assert "hash" not in text


def test_without_an_archive_nothing_is_claimed() -> None:
    assert "nothing here shows that they have not changed" in said(None, PLAN)


def test_code_that_changed_is_told_and_code_that_was_not_recorded_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = registration(PLAN)
    assert "So is the code that judges" in said(first, PLAN)
    older = {name: value for name, value in first.items() if name != "code"}
    text = said(older, PLAN)
    assert text.startswith("Rules and plan are as registered")
    assert "not recorded when the archive was begun" in text
    assert not module.recorded(first)
    told = module.recorded(older)
    assert told[0] == "1820f4385e99 on 2026-11-24: the first that the page named"
    assert len(told) == len(module.RECORD)
    monkeypatch.setattr(module, "code_hash", lambda: module.RECORD[-1].code)
    assert "which is not recorded" not in said(older, PLAN)
    monkeypatch.setattr(module, "code_hash", lambda: "f" * 64)
    assert "Now it has the hash ffffffffffff, which is not recorded" in said(older, PLAN)
    assert "the code that judges (a comment counts) had the hash" in said(first, PLAN)
    assert "not recorded" in said({**older, "rules": "0" * 64}, PLAN)


def test_the_code_that_judges_is_every_claim_and_all_that_they_call() -> None:
    found = {f"{file.parent.name}/{file.name}" for file in module.judging_files()}
    claims = {name for name in found if name.startswith("claims/claim_")}
    assert len(claims) == len(CLAIMS)
    # `calibration` and `settings` come by the plan
    shared = {"calibration", "claim", "data", "measure", "plan", "rule", "settings"}
    assert {f"claims/{name}.py" for name in shared} <= found
    # `samples_to_reach` comes by the package, `sigmoid` by `scaling` alone
    metrics = {"metrics/efficiency.py", "metrics/sigmoid.py", "stats/student.py"}
    assert metrics <= found
    assert "claims/page.py" not in found


def test_a_constant_of_a_measure_changes_the_hash(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = module.code_hash()
    files = module.judging_files()
    (real,) = [file for file in files if file.name == "claim_07_zero_reward.py"]
    source = real.read_text()
    assert "WINDOW = 640" in source
    changed = tmp_path / "claims" / real.name
    changed.parent.mkdir()
    changed.write_text(source.replace("WINDOW = 640", "WINDOW = 320"))
    swapped = [changed if file == real else file for file in files]
    monkeypatch.setattr(module, "judging_files", lambda: swapped)
    assert module.code_hash() != before
