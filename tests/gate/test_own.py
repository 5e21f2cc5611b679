"""This repository's own gate: the reference in results/gate, and what it catches."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from cl_bench.execution.provenance import provenance
from cl_bench.gate.outcome import GateReport
from cl_bench.gate.reference import INDEX, Reference, open_reference, rerun
from cl_bench.gate.regression import check, compare
from cl_bench.gate.write_text import text
from cl_bench.store.run_tables import RunTables
from cl_bench.store.schema import TABLES

if TYPE_CHECKING:
    import pandas as pd

HOME = Path(__file__).parents[2] / "results" / "gate"


@dataclass(frozen=True)
class Altered:
    """A run whose verdicts after training began are others: drawn anew, and lower by `drop`.

    Without `redrawn` only right answers become wrong, as many as the drop needs.
    """

    run: RunTables
    drop: float
    redrawn: bool
    noise: int

    @property
    def path(self) -> Path:
        return self.run.path

    @property
    def manifest(self) -> Mapping[str, Any]:
        return self.run.manifest

    def table(self, name: str) -> pd.DataFrame:
        if name == "items":
            return self._items()
        frame = self.run.table(name)
        if name != "evaluations":
            return frame
        keys = ["step", "domain", "prompt"]
        means = self._items().groupby(keys)["score"].mean().rename("mean").reset_index()
        merged = frame.merge(means, on=keys, how="left")
        return frame.assign(accuracy=merged["mean"].to_numpy())

    def select(
        self, name: str, columns: Sequence[str] | None = None, *, first: bool = False
    ) -> pa.Table:
        whole = pa.Table.from_pandas(self.table(name), TABLES[name], preserve_index=False)
        return whole if columns is None else whole.select(list(columns))

    def _items(self) -> pd.DataFrame:
        frame = self.run.table("items")
        rng = np.random.default_rng([self.manifest["seed"], self.noise])
        score = frame["score"].to_numpy(float).copy()
        trained = ((frame["step"] > 0) & (frame["prompt"] == "learner")).to_numpy()
        for step in frame["step"][trained].unique():
            here = np.flatnonzero(trained & (frame["step"] == step).to_numpy())
            mean = score[here].mean()
            chance = (mean if self.redrawn else score[here]) * (1 - self.drop / mean)
            score[here] = rng.random(len(here)) < chance
        return frame.assign(score=score)


@pytest.fixture(scope="module")
def reference() -> Reference:
    return open_reference(HOME)


def judged(reference: Reference, drop: float, *, redrawn: bool, noise: int = 0) -> GateReport:
    altered = [Altered(run, drop, redrawn, noise) for run in reference.runs]
    return compare(altered, reference.runs, reference.policy)


def test_the_reference_is_small_and_of_a_clean_tree() -> None:
    files = [file for file in HOME.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 500_000
    index = json.loads((HOME / INDEX).read_text())
    assert len(index["made_with"]["git_commit"]) == 40
    assert len(index["runs"]) >= 5


def test_the_reference_passes_beside_itself() -> None:
    report = check([HOME], HOME)
    assert report.verdict == "pass", text(report)


def test_ten_points_less_are_a_regression(reference: Reference) -> None:
    report = judged(reference, 0.1, redrawn=False)
    assert report.verdict == "regress", text(report)
    assert "average_accuracy" in {c.name for c in report.checks if c.verdict == "regress"}


def test_other_samples_are_none_and_hide_no_ten_points(reference: Reference) -> None:
    """Every verdict drawn anew: the most that another machine could make of the same code."""
    for noise in range(1, 4):
        same = judged(reference, 0.0, redrawn=True, noise=noise)
        assert same.verdict != "regress", text(same)
        worse = judged(reference, 0.1, redrawn=True, noise=noise)
        assert worse.verdict == "regress", text(worse)


@pytest.mark.slow
def test_the_code_of_today_does_not_regress(tmp_path: Path) -> None:
    """Its runs pass; where other packages are installed, whose random numbers may be others, too
    little may be shown for that."""
    rerun(HOME, tmp_path, say=lambda _: None)
    report = check([tmp_path], HOME)
    assert report.verdict != "regress", text(report)
    made_with = json.loads((HOME / INDEX).read_text())["made_with"]["packages"]
    if made_with == provenance()["packages"]:
        assert report.verdict == "pass", text(report)
