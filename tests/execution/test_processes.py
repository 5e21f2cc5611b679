"""Work on many things by several processes."""

from __future__ import annotations

import pickle
from itertools import islice
from math import sqrt

import pytest

from cl_bench.contract.errors import ClBenchError, DamagedError, PluginError
from cl_bench.execution.processes import LEAST, in_order


def test_results_come_in_order_whoever_made_them() -> None:
    things = range(3 * LEAST, 0, -1)
    assert list(in_order(str, things, jobs=2)) == list(map(str, things))
    assert list(in_order(str, [3, 1, 2], jobs=2)) == ["3", "1", "2"]


def test_an_error_ends_the_work() -> None:
    with pytest.raises(ValueError, match="math domain"):
        list(in_order(sqrt, [*range(LEAST), -1], jobs=2))


def test_few_things_are_taken_before_their_results_are_wanted() -> None:
    """Results that nobody has taken yet do not heap up."""
    done = in_order(str, range(100 * LEAST), jobs=2)
    assert list(islice(done, 3)) == ["0", "1", "2"]
    done.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "error",
    [
        DamagedError("It was edited.", "tables/items/000000.parquet", "edited"),
        PluginError("learner", "a/b", "a 1.0", "it has no factory"),
    ],
)
def test_an_error_of_another_process_is_the_same_error(error: ClBenchError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
