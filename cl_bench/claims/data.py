"""The tables of a sweep's runs, as the measures of the claims read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cl_bench.metrics.undefined import Undefined
from cl_bench.sweep.cell import Cell

if TYPE_CHECKING:
    import pandas as pd


class Data:
    """The tidy tables of a sweep's runs; whoever has some gives them in `table`."""

    def table(self, name: str, cell: Cell) -> pd.DataFrame | Undefined:
        """One table of the cell's run; Undefined, with the reason, if that is not complete."""
        return Undefined(f"run {cell.name} is missing")

    def curve(
        self, cell: Cell, domain: str, *, prompt: str = "learner"
    ) -> pd.DataFrame | Undefined:
        """The rows of `evaluations` of the stream's problems and the trained policy, by step."""
        rows = self._evaluations(cell, domain, prompt, "trained", "stream")
        return rows if isinstance(rows, Undefined) else rows.sort_values("step", ignore_index=True)

    def cell_accuracy(
        self,
        cell: Cell,
        domain: str,
        *,
        at: Literal["start", "end"] | int = "end",
        prompt: str = "learner",
        weights: str = "trained",
        test_set: str = "stream",
    ) -> float | Undefined:
        """Accuracy before training, at the end of the run, or at the end of a stage (from 1)."""
        rows = self._evaluations(cell, domain, prompt, weights, test_set)
        if isinstance(rows, Undefined):
            return rows
        if isinstance(at, int):
            found = rows[(rows["stage"] == at) & (rows["at"] == "stage-end")]
        else:
            last = (rows["step"] == rows["step"].max()) & (rows["at"] == "stage-end")
            found = rows[rows["at"] == "start"] if at == "start" else rows[last]
        if found.empty:
            return Undefined(f"run {cell.name} has no accuracy on {domain} at {at}")
        return float(found["accuracy"].iloc[-1])

    def _evaluations(
        self, cell: Cell, domain: str, prompt: str, weights: str, test_set: str
    ) -> pd.DataFrame | Undefined:
        rows = self.table("evaluations", cell)
        if isinstance(rows, Undefined):
            return rows
        wanted = {"domain": domain, "prompt": prompt, "weights": weights, "test_set": test_set}
        for column, value in wanted.items():
            rows = rows[rows[column] == value]
        if rows.empty:
            return Undefined(
                f"run {cell.name} was not evaluated on {domain} ({test_set}, {prompt})"
            )
        return rows
