"""The model card's measurement, on a policy whose answers are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from cl_bench.tools.embedded import evaluation
from cl_bench.tools.embedded.evaluation import CardCell, ModelCard, evaluate_model


def test_the_interval_is_wilsons() -> None:
    """Published example: 0 of 10 gives 0 to 0.2775, 5 of 10 gives 0.2366 to 0.7634."""
    for share, low, high in ((0.0, 0.0, 0.2775), (0.5, 0.2366, 0.7634)):
        found = CardCell("", "", "", share, 10).interval
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)


def test_every_domain_has_every_number_of_stated_rules(tiny_model: Path) -> None:
    card = evaluate_model(str(tiny_model), n=2)
    math = [cell.prompt for cell in card.cells if (cell.domain, cell.setting) == ("math", "easy")]
    assert math == [*(f"{k} of 4 rules" for k in range(5)), "4 of 4 rules + 4 irrelevant"]
    settings = {(cell.domain, cell.setting) for cell in card.cells}
    domains = ("math", "code", "facts", "physics", "star-graph")
    wanted = {(d, s) for d in domains for s in ("easy", "default", "hard")}
    assert settings == wanted | {("reflection", "-")}


def test_the_same_seed_measures_the_same(tiny_model: Path) -> None:
    first = evaluate_model(str(tiny_model), n=2, seed=4)
    assert evaluate_model(str(tiny_model), n=2, seed=4) == first


def test_rewrites_count_only_with_all_rules_and_nothing_else() -> None:
    wanted = "solve step by step . f adds 5 ; order left ;"
    same = evaluation._same_rules
    assert same("solve step by step . f adds 5 ; order left ;", wanted)
    assert not same("solve step by step . f adds 5 ;", wanted)
    assert not same("solve step by step . f adds 5 ; order left ; g flips ;", wanted)
    assert not same("solve step by step . f adds 3 ; order left ;", wanted)


def test_the_table_is_markdown_with_one_row_a_cell() -> None:
    card = ModelCard((CardCell("math", "easy", "4 of 4 rules", 0.5, 10),))
    assert card.text().splitlines()[-1] == (
        "| math | easy | 4 of 4 rules | 50.0 % | [23.7, 76.3] | 10 |"
    )
