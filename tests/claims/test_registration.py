"""Hashes of rules and plan: what changes them, and what is said of a change."""

from __future__ import annotations

import ast
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from cl_bench.claims import judging_code
from cl_bench.claims import registration as module
from cl_bench.claims.plan import BUDGETS, Plan
from cl_bench.claims.registered import CLAIMS
from cl_bench.claims.registration import registration, said

PLAN = Plan(BUDGETS["full"], (100, 102), {"rl": {"learning_rate": 6e-4}})


def test_the_same_rules_and_plan_have_the_same_hashes() -> None:
    again = Plan(BUDGETS["full"], (100, 102), {"rl": {"learning_rate": 0.0006}})
    assert registration(PLAN) == registration(again)
    assert registration(PLAN)["seeds"] == [100, 102]


@pytest.mark.parametrize(
    "changed",
    [
        replace(PLAN, budget=replace(PLAN.budget, items=65)),
        replace(PLAN, model="other"),
        replace(PLAN, settings={"rl": {"learning_rate": 3e-4}}),
    ],
)
def test_budget_model_and_settings_change_the_plan_and_not_the_rules(changed: Plan) -> None:
    first, now = registration(PLAN), registration(changed)
    assert first["plan"] != now["plan"]
    assert first["rules"] == now["rules"]
    assert "budget, model or settings had the hash" in said(first, changed)
    assert "the rules" not in said(first, changed)


def test_a_margin_changes_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    first = registration(PLAN)
    claim = CLAIMS[0]
    eased = replace(claim, statements=(replace(claim.statements[0], margin=1.0),))
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
    monkeypatch.setattr(module, "code_hash", lambda: "f" * 64)
    assert "the code that judges (a comment counts) had the hash" in said(first, PLAN)
    assert "not recorded" in said({**older, "rules": "0" * 64}, PLAN)


def test_the_code_that_judges_is_all_that_measures_call() -> None:
    """Whatever a judging module imports of claims and metrics is hashed too, or only shows."""
    only_show = {
        "added",
        "look",
        "wording",
        "channels",
        "calibration",
        "settings",
        "runs",
    }
    for file in judging_code.files():
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.ImportFrom) or node.module is None:
                continue
            for place, hashed in (
                ("cl_bench.claims", judging_code.CLAIMS),
                ("cl_bench.metrics", judging_code.METRICS),
            ):
                if node.module == place:
                    names = [alias.name for alias in node.names]
                    found = [_home(place, name) for name in names]
                elif node.module.startswith(f"{place}."):
                    found = [node.module]
                else:
                    continue
                last = {module.rpartition(".")[2] for module in found}
                names = {name.rpartition("/")[2] for name in hashed}
                assert last <= {*names, *only_show, "registered"}, (file, last)


def _home(package: str, name: str) -> str:
    """The module that a name of a package comes from."""
    value = getattr(import_module(package), name, None)
    return getattr(value, "__module__", None) or f"{package}.{name}"


def test_a_constant_of_a_measure_changes_the_hash(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = judging_code.code_hash()
    changed = tmp_path / "claims" / "measures_zero_reward.py"
    changed.parent.mkdir()
    real = {file.name: file for file in judging_code.files()}
    source = real[changed.name].read_text()
    assert "WINDOW = 640" in source
    changed.write_text(source.replace("WINDOW = 640", "WINDOW = 320"))
    swapped = [changed if file.name == changed.name else file for file in judging_code.files()]
    monkeypatch.setattr(judging_code, "files", lambda: swapped)
    assert judging_code.code_hash() != before
