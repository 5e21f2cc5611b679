"""KL at matched accuracy, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_bench.metrics import Undefined, kl_at_matched_accuracy
from cl_bench.metrics.divergence import MatchedKl


def matched(*arguments: object, **options: object) -> MatchedKl:
    value = kl_at_matched_accuracy(*arguments, **options)  # type: ignore[arg-type]
    assert isinstance(value, MatchedKl), value
    return value


def test_kl_is_interpolated_where_the_accuracy_crosses_the_level() -> None:
    # learner: 0.0 to 0.4 while KL goes 0 to 0.02; reference: 0.2 at 0.04, 0.4 at 0.08
    value = matched([0, 0.4], [0, 0.02], [0, 0.2, 0.4], [0, 0.04, 0.08], level_L=[0.1, 0.4])
    assert value.learner_kl_L == pytest.approx([0.005, 0.02])
    assert value.reference_kl_L == pytest.approx([0.02, 0.08])
    assert value.ratio == pytest.approx(0.025 / 0.1)


def test_a_level_is_met_where_it_is_first_crossed() -> None:
    wavy = matched([0, 0.4, 0.1, 0.4], [0, 0.02, 0.5, 0.9], [0, 0.4], [0, 0.1], level_L=[0.4])
    assert wavy.learner_kl_L == pytest.approx([0.02])


def test_the_levels_divide_the_common_range_without_the_base() -> None:
    value = matched([0.1, 0.9], [0, 0.1], [0.1, 0.6], [0, 0.1])
    assert value.level_L == pytest.approx(np.linspace(0.15, 0.6, 10))


@pytest.mark.parametrize(
    ("trajectories", "reason"),
    [
        (([0.5, 0.9], [0, 1], [0.1, 0.3], [0, 1]), "no common accuracies: the learner goes from"),
        (([0.1, 0.9], [0, 1], [0.1, 0.3], [0, 0]), "the reference has a KL of 0"),
        (([0.1, np.nan], [0, 1], [0.1, 0.3], [0, 1]), "missing acc_P[1]"),
        (([0.1, 0.9], [0, 1], [0.1, 0.3], [0, np.nan]), "missing reference_kl_Q[1]"),
        (
            ([0.1, 0.9], [0, 1], [0.1, 0.3], [0, 1], [0.5]),
            "level 50.0 % is outside 10.0 %",
        ),
    ],
)
def test_it_is_undefined_where_nothing_is_common(
    trajectories: tuple[list[float], ...], reason: str
) -> None:
    value = kl_at_matched_accuracy(*trajectories)
    assert isinstance(value, Undefined)
    assert value.reason.startswith(reason)


def test_a_negative_divergence_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"at least 0; got -0\.1"):
        kl_at_matched_accuracy([0, 1], [0, -0.1], [0, 1], [0, 1])


@given(st.lists(st.integers(1, 99), min_size=1, max_size=6), st.integers(1, 50))
def test_a_learner_that_drifts_k_times_as_far_has_a_ratio_of_k(gains: list[int], k: int) -> None:
    acc = np.cumsum([0, *gains]) / 1000
    kl = np.arange(len(acc)) / 100
    assert matched(acc, k * kl, acc, kl).ratio == pytest.approx(k)
