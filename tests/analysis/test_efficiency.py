"""Sample efficiency against the reference of a board."""

from __future__ import annotations

from dataclasses import replace
from math import log2
from pathlib import Path

import numpy as np
import pytest

from cl_bench.analysis.efficiency import efficiencies, log_ratios
from cl_bench.analysis.entries import RunEntry, read_entry
from cl_bench.analysis.run_values import Axis
from cl_bench.metrics.stats.ranks import Ranks
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.board import BoardRow
from cl_bench.store.run_tables import open_run
from tests.report.synthetic_runs import (
    Synthetic,
    leaderboard_of,
    reason,
    rising,
    value,
    write_run,
)

TRAINING, ALL = "sample_efficiency", "sample_efficiency_rollouts"


def quick(step: int, _domain: str, _prompt: str) -> float:
    """At 0.75, which `rising` reaches after 40 steps, after 20."""
    return 0.75 if step >= 20 else 0.25


def slow(step: int, domain: str, prompt: str) -> float:
    """Never at 0.75."""
    return min(0.5, rising(step, domain, prompt))


def table(folder: Path) -> tuple[dict[str, BoardRow], str | None]:
    (board,) = leaderboard_of(folder).boards
    return {row.label: row for row in board.rows}, board.reference


def test_a_learner_is_measured_on_both_axes_against_rl_of_the_same_seed(tmp_path: Path) -> None:
    for seed in range(6):
        write_run(tmp_path / f"rl-{seed}", learner="rl", seed=seed, fast=0)
        write_run(tmp_path / f"fst-{seed}", seed=seed, accuracy=quick)
    rows, reference = table(tmp_path)
    assert reference == "rl"
    # RL is at its peak, 0.75, after 40 steps of 10 rollouts; the other after 20 of 10 + 5
    assert value(rows["fst"].values[TRAINING]) == pytest.approx(400 / 200)
    assert value(rows["fst"].values[ALL]) == pytest.approx(400 / 300)
    assert value(rows["rl"].values[TRAINING]) == 1
    assert rows["fst"].per_seed[TRAINING] == dict.fromkeys(range(6), 2.0)
    assert rows["fst"].ranks[TRAINING] == Ranks(1, 1, 2, 0.95)


def test_the_peak_is_that_of_validation_problems_where_they_were_asked(tmp_path: Path) -> None:
    asked = Synthetic(config={"evaluation.validation_items": 8})
    for seed in range(2):
        rl = replace(asked, learner="rl", seed=seed, fast=0, validation=rising)
        write_run(tmp_path / f"rl-{seed}", rl)
        # on test problems never better than the base
        fst = replace(asked, seed=seed, accuracy=lambda *_: 0.25, validation=quick)
        write_run(tmp_path / f"fst-{seed}", fst)
    (board,) = leaderboard_of(tmp_path).boards
    rows = {row.label: row for row in board.rows}
    assert rows["fst"].per_seed[TRAINING] == dict.fromkeys(range(2), 2.0)
    note = "Sample efficiency is measured against RL, its peak on validation problems"
    assert note in board.notes


def test_the_mean_over_seeds_is_geometric(tmp_path: Path) -> None:
    for seed in range(2):
        write_run(tmp_path / f"rl-{seed}", learner="rl", seed=seed, fast=0)
        every = quick if seed else rising
        write_run(tmp_path / f"fst-{seed}", seed=seed, accuracy=every)
    rows, _ = table(tmp_path)
    assert rows["fst"].per_seed[TRAINING] == {0: 1.0, 1: 2.0}
    assert value(rows["fst"].values[TRAINING]) == pytest.approx(2**0.5)


def test_one_seed_that_never_gets_there_takes_the_row_its_number(tmp_path: Path) -> None:
    for seed in range(2):
        write_run(tmp_path / f"rl-{seed}", learner="rl", seed=seed, fast=0)
        write_run(tmp_path / f"fst-{seed}", seed=seed, accuracy=slow if seed else quick)
    row = table(tmp_path)[0]["fst"]
    said = "1 of 2 runs have none; seed 1, for one: never reached 75.0 %; the best is 50.0 %"
    assert reason(row.values[TRAINING]) == said
    assert reason(row.ranks[TRAINING]) == said
    assert row.per_seed[TRAINING][0] == 2.0


def test_a_seed_that_failed_or_has_no_reference_is_left_out_with_its_reason(
    tmp_path: Path,
) -> None:
    write_run(tmp_path / "rl-0", learner="rl", seed=0, fast=0)
    write_run(tmp_path / "rl-2", learner="rl", seed=2, fast=0, status="failed", reason="full")
    write_run(tmp_path / "fst-0", seed=0, accuracy=quick)
    write_run(tmp_path / "fst-1", seed=1, accuracy=quick)
    write_run(tmp_path / "fst-2", seed=2, accuracy=quick)
    per_seed = table(tmp_path)[0]["fst"].per_seed[TRAINING]
    assert per_seed[0] == 2.0
    assert reason(per_seed[1]) == "no run of rl with this seed"
    assert reason(per_seed[2]) == "rl: the run failed: full"


def test_a_learner_without_training_samples_has_only_the_other_axis(tmp_path: Path) -> None:
    write_run(tmp_path / "rl", learner="rl", fast=0)
    write_run(tmp_path / "prompt", learner="prompt", slow=0)
    row = table(tmp_path)[0]["prompt"]
    assert reason(row.values[TRAINING]) == "the learner spends no training samples"
    assert value(row.values[ALL]) == pytest.approx(400 / 200)


def test_without_a_run_of_rl_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    write_run(tmp_path / "fst")
    rows, reference = table(tmp_path)
    assert reference is None
    assert reason(rows["fst"].values[TRAINING]) == "no run of rl to compare with"


def test_of_several_rows_of_rl_the_most_accurate_is_the_reference(tmp_path: Path) -> None:
    for rate, accuracy in ((0.1, slow), (0.2, rising)):
        config = {"learning.learning_rate": rate}
        write_run(tmp_path / f"rl-{rate}", learner="rl", fast=0, accuracy=accuracy, config=config)
    write_run(tmp_path / "fst", accuracy=quick)
    rows, reference = table(tmp_path)
    assert reference == "rl (learning_rate=0.2)"
    assert value(rows["fst"].values[TRAINING]) == 2


def with_curve(entry: RunEntry, accuracy: list[float], samples: list[float]) -> RunEntry:
    curve = (np.array(accuracy), np.array(samples))
    curves: dict[Axis, tuple[np.ndarray, np.ndarray]] = {"samples_slow": curve}
    return replace(entry, curves=curves)


def test_of_points_with_equal_samples_the_best_counts(tmp_path: Path) -> None:
    entry = read_entry(open_run(write_run(tmp_path / "run")))
    reference = with_curve(entry, [0.1, 0.4, 0.8], [0, 100, 200])
    # prompts are rewritten between RL steps: accuracy rises while no sample is spent
    own = with_curve(entry, [0.1, 0.3, 0.2, 0.9, 0.5], [0, 0, 50, 50, 50])
    found = efficiencies({0: own}, {0: reference}, [0], "samples_slow")
    assert found == {0: 200 / 50}
    at_once = with_curve(entry, [0.1, 0.9, 0.5], [0, 0, 50])
    (lost,) = efficiencies({0: at_once}, {0: reference}, [0], "samples_slow").values()
    assert reason(lost) == "the learner is at the reference's peak (80.0 %) with 0 samples"


def test_log_ratios_keep_the_reasons_of_seeds_that_are_not_done(tmp_path: Path) -> None:
    done = read_entry(open_run(write_run(tmp_path / "a")))
    failed = replace(done, status="failed")
    gone = Undefined("the run failed")
    found = log_ratios({0: 4.0, 1: gone}, {0: done, 1: failed})
    assert found == {0: log2(4), 1: gone}
