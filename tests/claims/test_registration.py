"""Hashes of rules and plan: what changes them, and what is said of a change."""

from __future__ import annotations

from dataclasses import replace

import pytest

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
