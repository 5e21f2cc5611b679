"""Each question finds its rows, whatever else a table holds."""

from __future__ import annotations

import pandas as pd
import pytest

from cl_bench.metrics.attribution import ChannelAttribution
from cl_bench.metrics.undefined import Undefined
from cl_bench.store.rows import is_stream_row
from cl_bench.store.views import attributions, probe_accuracy, stream_rows

COLUMNS = ("stage", "at", "domain", "test_set", "weights", "prompt", "accuracy")
START = [
    (0, "start", "math", "stream", "trained", "seed", 0.125),
    (0, "start", "math", "stream", "trained", "learner", 0.125),
    (0, "start", "math", "stream", "base", "seed", 0.125),
    (0, "start", "math", "stream", "base", "learner", 0.125),
    (0, "start", "math", "harder", "trained", "seed", 0.0625),
    (0, "start", "facts", "retention", "trained", "stated", 0.75),
]
INSIDE = [
    (1, "inside", "math", "stream", "trained", "seed", 0.2),
    (1, "inside", "math", "stream", "trained", "learner", 0.3),
]
END = [
    (1, "stage-end", "math", "stream", "trained", "seed", 0.5),
    (1, "stage-end", "math", "stream", "trained", "learner", 1.0),
    (1, "stage-end", "math", "stream", "base", "seed", 0.125),
    (1, "stage-end", "math", "stream", "base", "learner", 0.375),
    (1, "stage-end", "math", "harder", "trained", "seed", 0.25),
    (1, "stage-end", "facts", "retention", "trained", "stated", 0.5),
]


def table(*rows: tuple[object, ...]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(COLUMNS))


def test_the_stream_s_rows_are_those_of_its_problems_and_the_policy() -> None:
    frame = table(*START, *INSIDE, *END)
    assert stream_rows(frame)["accuracy"].tolist() == [0.125, 0.125, 0.2, 0.3, 0.5, 1.0]
    assert [is_stream_row(row) for row in frame.to_dict("records")] == [
        *(True, True, False, False, False, False),
        *(True, True),
        *(True, True, False, False, False, False),
    ]
    assert stream_rows(table()).empty


@pytest.mark.parametrize(
    ("test_set", "expected"),
    [("retention", {"facts": {0: 0.75, 1: 0.5}}), ("harder", {"math": {0: 0.0625, 1: 0.25}})],
)
def test_probes_have_a_column_per_domain_and_a_row_per_stage(
    test_set: str, expected: dict[str, dict[int, float]]
) -> None:
    frame = table(*START, *INSIDE, *END)
    assert probe_accuracy(frame, test_set).to_dict() == expected
    assert probe_accuracy(table(*INSIDE), test_set).empty


def test_attribution_takes_the_four_cells_of_the_last_stage_s_end() -> None:
    # slow 0.5 - 0.125, fast 0.375 - 0.125, joint 1.0 - 0.125, interaction 0.875 - 0.375 - 0.25
    expected = {"math": ChannelAttribution(0.375, 0.25, 0.875, 0.25)}
    assert attributions(table(*START, *INSIDE, *END)) == expected
    later = (2, "inside", "math", "stream", "trained", "learner", 0.9)
    assert attributions(table(*START, *INSIDE, *END, later)) == expected


def test_attribution_without_a_cell_is_undefined_and_without_the_base_is_none() -> None:
    lacking = [row for row in END if row[4:6] != ("base", "learner")]
    assert attributions(table(*START, *lacking)) == {
        "math": Undefined("missing accuracy of base weights, evolved prompt")
    }
    assert attributions(table(*[row for row in END if row[4] == "trained"])) == {}
    assert attributions(table(*START, *INSIDE)) == {}
    assert attributions(table()) == {}
