"""The tables of a sweep's runs, as the measures of the claims read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cl_bench.metrics.undefined import Undefined
from cl_bench.sweep.cell import Cell

if TYPE_CHECKING:
    import pandas as pd


class Data(Protocol):
    """The tidy tables of a sweep's runs."""

    def table(self, name: str, cell: Cell) -> pd.DataFrame | Undefined:
        """One table of the cell's run; Undefined, with the reason, if that is not complete."""
        ...

    def curve(
        self, cell: Cell, domain: str, *, prompt: str = "learner"
    ) -> pd.DataFrame | Undefined:
        """The rows of `evaluations` on the stream's own problems of a domain, by step."""
        ...

    def cell_accuracy(
        self,
        cell: Cell,
        domain: str,
        *,
        at: str = "end",
        prompt: str = "learner",
        weights: str = "trained",
        test_set: str = "stream",
    ) -> float | Undefined:
        """One accuracy at the `start` or `end` of the cell's run."""
        ...
