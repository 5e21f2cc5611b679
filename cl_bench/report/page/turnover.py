"""Which test problems a run gained and lost from one stage's end to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute

from cl_bench.metrics.arrays import Array
from cl_bench.store.run_tables import RunTables, Selective

SOLVED = 0.5
"""A problem counts as solved if the mean score of its responses is at least this."""
ITEM_COLUMNS = ("step", "domain", "test_set", "prompt", "weights", "uid", "score")
"""Of the table `items`."""


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
            for before, after in pairwise(solved)
        ]


def turnovers(run: RunTables, domains: Sequence[str], steps: Sequence[int]) -> dict[str, Turnover]:
    """By domain, its problems at these steps, under the learner's prompt.

    Left out is a domain whose problems are not the same at all points.
    """
    rows = _asked(run, steps)
    found = {}
    for domain in domains:
        turnover = _of_domain(rows.filter(compute.equal(rows["domain"], domain)))
        if turnover is not None:
            found[domain] = turnover
    return found


def _asked(run: RunTables, steps: Sequence[int]) -> pa.Table:
    """Responses of the policy under the learner's prompt to the stream's problems."""
    if isinstance(run, Selective):
        items = run.select("items", ITEM_COLUMNS)
    else:
        items = pa.Table.from_pandas(run.table("items")[list(ITEM_COLUMNS)], preserve_index=False)
    wanted = {"prompt": "learner", "test_set": "stream", "weights": "trained"}
    chosen = compute.is_in(items["step"], value_set=pa.array(steps, pa.int64()))
    for column, value in wanted.items():
        chosen = compute.and_(chosen, compute.equal(items[column], value))
    return items.filter(chosen)


def _of_domain(rows: pa.Table) -> Turnover | None:
    coded = rows["uid"].combine_chunks().dictionary_encode()
    uid, uids = coded.indices.to_numpy(), coded.dictionary.to_pylist()
    steps, step = np.unique(rows["step"].to_numpy(), return_inverse=True)
    shape = (len(steps), len(uids))
    if not len(uids):
        return None
    cell = step * shape[1] + uid
    count = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
    total = np.bincount(cell, rows["score"].to_numpy(), shape[0] * shape[1]).reshape(shape)
    return Turnover(tuple(steps.tolist()), tuple(uids), total / count) if count.all() else None
