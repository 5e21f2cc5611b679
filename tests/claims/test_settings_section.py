"""Settings on the page: those in effect, those tried, and who was not tuned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import pytest

from cl_bench.claims import calibration
from cl_bench.claims.plan import BUDGETS, Plan
from cl_bench.claims.settings import read_settings
from cl_bench.claims.settings_section import settings_section, shown
from cl_bench.contract.registry import LEARNERS
from cl_bench.report.blocks.blocks import Block, Paragraph, Table

SMALLEST = min(one.options["learning_rate"] for one in calibration.trials(["fst"]))
SETTINGS: dict[str, dict[str, Any]] = {
    "rl": {"learning_rate": 6e-4, "problems_per_step": 8},
    "prompt": {"proposals": 5, "round_exercises": 1_000},
    "fst": {"learning_rate": SMALLEST, "problems_per_step": 16},
}
PLAN = Plan(BUDGETS["full"], (100,), SETTINGS)


def tables(learners: Sequence[str]) -> tuple[dict[str, dict[str, str]], list[Block]]:
    """The values in effect by setting and learner, and what follows that table."""
    first, *rest = settings_section(PLAN, learners)
    assert isinstance(first, Table)
    named = {
        str(row[0]): dict(zip(first.columns, map(str, row), strict=True)) for row in first.rows
    }
    return named, rest


def test_settings_in_effect_are_shown_with_their_defaults() -> None:
    rows, _ = tables(["fst", "rl", "prompt"])
    assert list(rows["learning rate"]) == ["setting", "RL", "prompt-only", "FST"]
    assert rows["rewrites proposed in a round"]["FST"] == "5"
    assert rows["rewrites proposed in a round"]["prompt-only"] == "5"
    assert rows["steps between rounds (T)"]["FST"] == "6"
    assert rows["prompts kept (K)"]["RL"] == "—"
    assert rows["learning rate"]["prompt-only"] == "—"
    assert "weight of the KL penalty" not in rows  # nobody here has one
    # 7,680 rollouts in steps of 16 × 8, and twelve evaluations.
    assert rows["steps in a single run"]["FST"] == "60"
    assert rows["evaluated every … steps, single run"]["FST"] == "5"


def test_learners_without_trials_are_called_untuned_and_have_the_settings_of_rl() -> None:
    rows, _ = tables(["rl-kl"])
    assert rows["chosen by"]["RL"] == "calibration"
    assert rows["chosen by"]["rl-kl"] == "settings of rl, not tuned"
    assert rows["learning rate"]["rl-kl"] == "0.0006"
    assert rows["weight of the KL penalty"]["rl-kl"] == "0.04"


def test_a_choice_at_the_edge_of_what_was_tried_is_told() -> None:
    _, (table, said, *scores) = tables(["rl"])
    assert not scores  # these settings are not what the committed trials chose
    assert isinstance(table, Table)
    assert isinstance(said, Paragraph)
    places = {(row[0], row[1]): row[-1] for row in table.rows}
    assert places["FST", "learning rate"] == "the smallest: at the edge"
    assert places["RL", "learning rate"] == "inside"
    assert places["FST", "problems in a step"] == "the largest: at the edge"
    assert places["prompt-only", "problems that score a round"] == "not among them"
    assert "3 of the chosen settings lie at the edge" in str(said.text)


def test_how_clear_the_choice_of_calibration_was() -> None:
    plan = Plan(BUDGETS["full"], (100,), read_settings(calibration.SETTINGS))
    blocks = settings_section(plan, ["rl"])
    table = next(b for b in blocks if isinstance(b, Table) and b.caption.startswith("How clear"))
    rows = {row[0]: row[1:] for row in table.rows}
    # Trials 6 and 3 of RL; 0.87793 and 0.893555 are the scores of the best one's runs.
    assert rows["RL"][:3] == ["88.6 %", "87.3 %", "1.6 points"]
    assert rows["prompt-only"][:3] == ["68.4 %", "68.2 %", "6.5 points"]
    assert list(rows) == ["RL", "prompt-only", "FST", "FST-distill"]


def test_the_settings_that_the_page_knows_exist() -> None:
    from cl_bench.claims.settings_section import _WORDS

    configs = [LEARNERS.load(name).config for name in LEARNERS.table]
    assert set(_WORDS) <= {item.name for config in configs for item in fields(config)}


@pytest.mark.parametrize(
    ("value", "text"), [(True, "yes"), (False, "no"), (None, "—"), (float("nan"), "—"), (3, "3")]
)
def test_values_are_words_for_readers(value: object, text: str) -> None:
    assert shown(value) == text
