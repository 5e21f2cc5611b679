"""Pairs of runs: differences on resampled items."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cl_bench.analysis.paired import ItemNoise, PairedDifference
from cl_bench.analysis.pairs import ItemScores
from cl_bench.analysis.run_values import RUN_METRICS, Measured
from cl_bench.metrics.stats.student import Interval
from cl_bench.metrics.undefined import Undefined
from cl_bench.store.run_directory import RunDirectory
from tests.report.synthetic_runs import write_run
from tests.report.synthetic_tables import Synthetic

Scores = Callable[[int, int], float]
"""The score of an item at a step, by item and step."""


def measured(path: Path, score: Scores, items: int) -> Measured:
    """A run on two stages of 10 steps of one domain, whose every score is given."""
    from tests.report.synthetic_tables import tables

    run = Synthetic(stages=(("math", 10), ("math", 10)), items=items, samples=1, probes=False)
    directory = RunDirectory.open(write_run(path, run))
    rows = tables(run, run.steps)
    for place, row in enumerate(rows["items"]):
        row["score"] = score(place % items, row["step"])
    for row in rows["evaluations"]:
        row["accuracy"] = float(np.mean([score(item, row["step"]) for item in range(items)]))
    directory.discard_after(-1)
    directory.commit(0, rows)
    return Measured(directory)


def scores_of(tmp_path: Path, ours: Scores, theirs: Scores, items: int) -> ItemScores:
    runs = (measured(tmp_path / name, s, items) for name, s in (("a", ours), ("b", theirs)))
    found = ItemScores.of(*runs)
    assert isinstance(found, ItemScores)
    return found


def of_metric(scores: ItemScores, name: str = "average_accuracy") -> ItemNoise:
    found = scores.of_metric(RUN_METRICS[name])
    assert isinstance(found, ItemNoise)
    return found


def reach(found: ItemNoise, observed: float, level: float = 0.95) -> Interval:
    interval = PairedDifference({0: observed}, {0: 0.0}, {0: found}).student(level)
    assert isinstance(interval, Interval)
    return interval


def test_the_error_is_that_of_agresti_and_min(tmp_path: Path) -> None:
    """60 items: 12 only the reference solves, 6 only the candidate, the rest both."""
    scores = scores_of(
        tmp_path, lambda item, _: float(item >= 12), lambda item, _: float(item < 54), 60
    )
    found = of_metric(scores)
    assert found.items == 60
    assert found.centre == pytest.approx(-6 / 62, abs=0.01)
    variance = ((18 + 1) / 62 - (6 / 62) ** 2) / 62
    assert found.error == pytest.approx(np.sqrt(variance), rel=0.1)


@pytest.mark.parametrize(("items", "sure"), [(3, False), (4, False), (8, True)])
def test_few_items_that_all_changed_alike_are_no_certainty(
    items: int, sure: bool, tmp_path: Path
) -> None:
    found = of_metric(scores_of(tmp_path, lambda *_: 0.0, lambda *_: 1.0, items))
    assert (reach(found, -1.0).high < 0) == sure


def test_items_without_any_difference_are_no_proof_either(tmp_path: Path) -> None:
    found = of_metric(scores_of(tmp_path, lambda *_: 1.0, lambda *_: 1.0, 20))
    interval = reach(found, 0.0)
    assert interval.low == pytest.approx(-2.09 / 22, abs=0.02)
    assert interval.high == pytest.approx(2.09 / 22, abs=0.02)


def test_every_metric_of_accuracies_is_computed_by_its_own_definition(tmp_path: Path) -> None:
    """The candidate loses a fifth of the items in the second stage: bwt −0.2, accuracy −0.2."""
    scores = scores_of(
        tmp_path, lambda item, step: float(step < 20 or item % 5 > 0), lambda *_: 1.0, 100
    )
    for name in ("bwt_gem", "average_accuracy", "anytime_average_accuracy"):
        expected = {"anytime_average_accuracy": -0.1}.get(name, -0.2)
        assert of_metric(scores, name).centre == pytest.approx(expected, abs=0.015), name
    assert of_metric(scores, "forgetting_max").centre == pytest.approx(0.2, abs=0.015)
    assert scores.of_metric(RUN_METRICS["tokens"]) is None


def test_points_are_those_that_are_named(tmp_path: Path) -> None:
    scores = scores_of(tmp_path, lambda _, step: float(step < 20), lambda *_: 1.0, 50)
    assert scores.of_points([(10, "math", "seed")]).centre == pytest.approx(0, abs=0.01)
    assert scores.of_points([(20, "math", "seed")]).centre == pytest.approx(-50 / 52, abs=0.01)
    both = scores.of_points([(10, "math", "seed"), (20, "math", "learner")])
    assert both.centre == pytest.approx(-25 / 52, abs=0.01)


def test_other_items_have_no_difference(tmp_path: Path) -> None:
    first = Measured(RunDirectory.open(write_run(tmp_path / "a", items=4)))
    second = Measured(RunDirectory.open(write_run(tmp_path / "b", items=4, uid="{item}/{domain}")))
    assert ItemScores.of(first, second) == Undefined("the items of math differ")
    empty = Measured(RunDirectory.open(write_run(tmp_path / "c", items=0)))
    found = ItemScores.of(empty, empty)
    assert found == Undefined("not all items of math were scored at every evaluation")


def test_the_interval_holds_a_true_difference_as_often_as_it_says() -> None:
    """Simulated pairs of 40 items: the candidate solves 0.1 less of those the reference solves."""
    from cl_bench.analysis.pairs import RESAMPLES, _resampled

    rng = np.random.default_rng(3)
    held = []
    for _ in range(300):
        reference = (rng.random(40) < 0.7).astype(float)
        candidate = np.where(rng.random(40) < 0.25, rng.random(40) < 0.3, reference)
        drawn = _resampled(np.stack([candidate, reference])[:, :, None, None], rng)
        assert drawn.shape == (2, RESAMPLES, 1, 1)
        difference = (drawn[0] - drawn[1]).ravel()
        found = ItemNoise(float(difference.mean()), float(difference.std(ddof=1)), 40)
        interval = reach(found, 0.0)
        held.append(interval.low <= 0.25 * (0.3 - 0.7) <= interval.high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)
