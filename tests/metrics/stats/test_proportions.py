"""Intervals and summaries against published values and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from cl_bench.metrics import Undefined, interquartile_mean, probability_of_improvement
from cl_bench.metrics.stats.proportions import wilson

Array = np.typing.NDArray[np.float64]
SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 4))
scores = arrays(np.float64, SHAPES, elements=st.integers(0, 20).map(lambda n: n / 20))


def test_wilson_interval_equals_known_values() -> None:
    # Newcombe 1998, Statistics in Medicine 17, table I, method 3: 81/263, 15/148, 0/20, 1/29.
    low, high = wilson(np.array([81 / 263, 15 / 148, 0, 1 / 29]), np.array([263, 148, 20, 29]))
    assert low == pytest.approx([0.2553, 0.0624, 0.0, 0.0061], abs=5e-5)
    assert high == pytest.approx([0.3662, 0.1605, 0.1611, 0.1718], abs=5e-5)


def test_wilson_of_nothing_begins_at_0_and_of_everything_ends_at_1() -> None:
    for count in (1, 7, 10, 29, 1000):
        assert wilson([0], [count])[0] == 0
        assert wilson([1], [count])[1] == 1


def test_wilson_of_no_trials_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        wilson([0.5], [0])


@given(scores)
def test_interquartile_mean_is_scipys_trimmed_mean_over_all_scores(score: Array) -> None:
    value = interquartile_mean(score)
    assert value == pytest.approx(stats.trim_mean(score, 0.25, axis=None))


def test_interquartile_mean_leaves_odd_seeds_out() -> None:
    assert interquartile_mean([[0.0, 0.5], [0.6, 1.0]]) == pytest.approx(0.55)
    assert interquartile_mean([[0.5, np.nan]]) == Undefined("missing score_S_J[0, 1]")


@given(scores, st.data())
def test_probability_of_improvement_is_mann_whitneys_u_over_all_pairs(
    first: Array, data: st.DataObject
) -> None:
    shape = (data.draw(st.integers(1, 5)), first.shape[1])
    second = data.draw(arrays(np.float64, shape, elements=st.integers(0, 20).map(lambda n: n / 20)))
    expected = [
        stats.mannwhitneyu(first[:, task], second[:, task], method="asymptotic").statistic
        / (len(first) * len(second))
        for task in range(first.shape[1])
    ]
    value = probability_of_improvement(first, second)
    assert value == pytest.approx(np.mean(expected))


@given(scores)
def test_against_itself_improvement_is_even(score: Array) -> None:
    assert probability_of_improvement(score, score) == pytest.approx(0.5)


def test_other_tasks_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="same tasks; got 2 and 1"):
        probability_of_improvement([[0.1, 0.2]], [[0.1]])
