"""Which test problems a run gained and lost from one stage's end to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cl_bench.metrics.arrays import Array
from cl_bench.views import stream_rows

if TYPE_CHECKING:
    import pandas as pd

ITEM_COLUMNS = ("step", "domain", "test_set", "prompt", "weights", "uid", "score")
"""The columns of `items` that are read."""
SOLVED = 0.5
"""A problem counts as solved if the mean score of its responses is at least this."""


@dataclass(frozen=True, eq=False)
class Turnover:
    """The test problems of one domain at the start and at every stage's end."""

    step_E: tuple[int, ...]
    uids: tuple[str, ...]
    share_E_P: Array
    """Mean score of the responses to each problem."""

    @property
    def counts(self) -> list[tuple[int, int, int, int]]:
        """From each point to the next: problems kept, gained, lost, and solved at neither."""
        solved = self.share_E_P >= SOLVED
        return [
            (
                int((before & after).sum()),
                int((~before & after).sum()),
                int((before & ~after).sum()),
                int((~before & ~after).sum()),
            )
            for before, after in zip(solved[:-1], solved[1:], strict=True)
        ]


def turnovers(
    items: pd.DataFrame, domains: Sequence[str], steps: Sequence[int]
) -> dict[str, Turnover]:
    """By domain, its problems at these steps, under the learner's prompt.

    `items` is the table, or `ITEM_COLUMNS` of it. Left out is a domain whose problems are not the same at all points.
    """
    found = {}
    rows = items[items["step"].isin(steps)]
    rows = stream_rows(rows[rows["prompt"] == "learner"])
    for domain in domains:
        turnover = _of_domain(rows[rows["domain"] == domain])
        if turnover is not None:
            found[domain] = turnover
    return found


def _of_domain(rows: pd.DataFrame) -> Turnover | None:
    names, uids = rows["uid"].factorize()
    steps, step = np.unique(rows["step"].to_numpy(), return_inverse=True)
    shape = (len(steps), len(uids))
    count, total = np.zeros(shape), np.zeros(shape)
    np.add.at(count, (step, names), 1)
    np.add.at(total, (step, names), rows["score"].to_numpy())
    if not count.size or not count.all():
        return None
    return Turnover(tuple(steps.tolist()), tuple(uids), total / count)
