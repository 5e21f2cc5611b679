"""Channel attribution, against the 2×2 tables of the FST paper."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_bench.metrics import Undefined, channel_attribution
from cl_bench.metrics.attribution import ChannelAttribution


@pytest.mark.parametrize(
    ("table", "slow", "fast", "joint", "interaction"),
    [
        ([[2.0, 10.6], [11.6, 21.2]], 9.6, 8.6, 19.2, 1.0),  # HoVer
        ([[20.0, 20.3], [47.2, 48.4]], 27.2, 0.3, 28.4, 0.9),  # Math
        ([[19.4, 34.5], [25.1, 43.3]], 5.7, 15.1, 23.9, 3.1),  # CodeIO
    ],
)
def test_gains_of_the_papers_tables(
    table: list[list[float]], slow: float, fast: float, joint: float, interaction: float
) -> None:
    value = channel_attribution(table)
    assert isinstance(value, ChannelAttribution)
    found = (value.slow, value.fast, value.joint, value.interaction)
    assert found == pytest.approx((slow, fast, joint, interaction))


@given(st.tuples(*[st.integers(0, 100)] * 4))
def test_the_parts_add_up_and_transposing_swaps_the_channels(cells: tuple[int, ...]) -> None:
    table = np.array(cells, float).reshape(2, 2)
    value, swapped = channel_attribution(table), channel_attribution(table.T)
    assert isinstance(value, ChannelAttribution)
    assert isinstance(swapped, ChannelAttribution)
    assert value.slow + value.fast + value.interaction == value.joint
    assert (swapped.slow, swapped.fast, swapped.joint) == (value.fast, value.slow, value.joint)


def test_missing_cells_are_named_by_weights_and_prompt() -> None:
    value = channel_attribution([[0.1, np.nan], [0.2, 0.3]])
    assert value == Undefined("missing accuracy of base weights, evolved prompt")
    with pytest.raises(ValueError, match=r"\(2, 2\)"):
        channel_attribution([[0.1, 0.2]])
