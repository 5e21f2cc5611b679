"""What figures draw of several seeds: means, intervals, and what is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cl_bench.report.page.bands import Drawn, drawn
from cl_bench.report.page.digest import Digest, digest
from cl_bench.store.run_tables import open_run
from tests.report.synthetic_runs import write_run

STAGES = (("math", 20), ("code", 20))
LEVELS = {0: 0.25, 1: 0.5, 2: 0.75}


def read(folder: Path, seed: int, **fields: Any) -> Digest:
    made: dict[str, Any] = {"stages": STAGES, "seed": seed, "accuracy": lambda *_: LEVELS[seed]}
    return digest(open_run(write_run(folder / str(seed), **(made | fields))), str(seed))


def found(digests: dict[int, Digest]) -> Drawn:
    result = drawn(digests)
    assert result is not None
    return result


def test_a_mean_has_its_interval_over_the_seeds(tmp_path: Path) -> None:
    row = found({seed: read(tmp_path, seed) for seed in (0, 1, 2)})
    band = row.accuracy["math"]
    assert row.seeds == (0, 1, 2)
    assert row.share_E.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert band.mean_P.tolist() == [0.5] * 5
    assert band.seeds_S_P[:, 0].tolist() == [0.25, 0.5, 0.75]
    assert band.low_P is not None
    assert band.high_P is not None
    # error 0.25 / √3, t of two degrees of freedom 4.30265
    assert band.low_P == pytest.approx([0.5 - 0.6210344] * 5)
    assert band.high_P == pytest.approx([0.5 + 0.6210344] * 5)


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    band = found({1: read(tmp_path, 1)}).average
    assert band.mean_P.tolist() == [0.5] * 5
    assert band.low_P is None
    assert band.high_P is None


def test_only_finished_runs_are_drawn(tmp_path: Path) -> None:
    runs = {0: read(tmp_path, 0), 1: read(tmp_path, 1, status="diverged", last=20)}
    row = found(runs)
    assert row.seeds == (0,)
    assert row.average.mean_P.tolist() == [0.25] * 5
    assert drawn({1: runs[1]}) is None
    assert drawn({}) is None


def test_seeds_with_other_evaluations_share_the_common_ones(tmp_path: Path) -> None:
    row = found({0: read(tmp_path, 0, every=10), 1: read(tmp_path, 1, every=20)})
    assert row.share_E.tolist() == [0, 0.5, 1]
    assert row.end_E == (True, True, True)
    assert row.average.mean_P.tolist() == [0.375] * 3


def test_a_domain_that_comes_twice_counts_twice_in_the_average(tmp_path: Path) -> None:
    stages = (("math", 10), ("code", 10), ("math", 10))
    accuracy = {"math": 0.75, "code": 0.0}
    row = found(
        {0: read(tmp_path, 0, stages=stages, accuracy=lambda _s, d, _p: accuracy.get(d, 0))}
    )
    assert row.average.mean_P.tolist() == [0.5] * 4


def test_gains_changes_and_costs_are_means_over_seeds(tmp_path: Path) -> None:
    def accuracy(rise: float) -> Any:
        return lambda step, _domain, _prompt: 0.25 + rise * (step == 40)

    runs = {
        seed: read(tmp_path, seed, items=4, samples=2, accuracy=accuracy(rise), slow=10 + seed)
        for seed, rise in ((0, 0.25), (1, 0.75))
    }
    row = found(runs)
    assert row.gains is not None
    assert row.gains.mean_P.tolist() == [0.5, 0.0, 0.5]  # slow, fast, joint
    assert row.changes is not None
    # nothing in the first stage; in the second 1 and 3 of 4 problems are gained
    assert row.changes.mean_P.tolist() == [0.0, 0.5, 0.0, 0.0]
    assert row.spent["rollouts"] == {"slow": 420.0, "fast": 200.0}
    assert row.spent["seconds"]["learn"] == 30.0


def test_rows_without_probes_or_items_have_neither_gains_nor_changes(tmp_path: Path) -> None:
    row = found({0: read(tmp_path, 0, probes=False, items=0)})
    assert row.gains is None
    assert row.changes is None


def test_a_divergence_that_is_not_finite_is_missing_in_its_curve(tmp_path: Path) -> None:
    run = read(tmp_path, 0, kl=lambda step, *_: np.inf if step == 30 else 0.0)
    assert np.isnan(found({0: run}).divergence.mean_P).tolist() == [
        False,
        False,
        False,
        True,
        False,
    ]


def test_the_best_level_is_that_of_validation_problems_where_they_were_asked(
    tmp_path: Path,
) -> None:
    def validated(step: int, *_: str) -> float:
        return 0.875 if step == 20 else 0.25

    assert found({0: read(tmp_path, 0, validation=validated)}).best_S.tolist() == [0.875]
    assert found({1: read(tmp_path, 1)}).best_S.tolist() == [0.5]
