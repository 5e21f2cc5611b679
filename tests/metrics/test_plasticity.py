"""Plasticity and the internals, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cl_bench.metrics import (
    Undefined,
    dead_units,
    effective_rank,
    plasticity_ratio,
    update_norm,
    weight_distance,
)


def test_plasticity_ratio_of_the_papers_figures() -> None:
    # FST paper, HoVer-hard after Math: base 20.2, RL 0.0, FST 16.7
    assert plasticity_ratio(0.167, 0.202) == pytest.approx(0.8267, abs=1e-4)
    assert plasticity_ratio(0.0, 0.202) == 0.0


def test_plasticity_ratio_is_of_means_not_a_mean_of_ratios() -> None:
    assert plasticity_ratio([0.4, 0.2], [0.1, 0.4]) == pytest.approx(0.6 / 0.5)


def test_plasticity_ratio_is_undefined_without_a_base_that_learns() -> None:
    assert plasticity_ratio(0.1, 0.0) == Undefined("the probe from the base model reaches 0")
    assert plasticity_ratio([0.1, np.nan], [0.2, 0.2]) == Undefined("missing after_S[1]")
    with pytest.raises(ValueError, match="one shape"):
        plasticity_ratio([0.1, 0.2], [0.2])


def test_a_unit_is_dead_if_it_is_silent_on_every_input() -> None:
    activation = [[0.0, 0.0, 1.0, 0.05], [0.0, 0.2, 0.0, -0.05]]
    assert dead_units(activation) == 0.25
    assert dead_units(activation, threshold=0.1) == 0.5


def test_effective_rank_of_equal_directions_is_their_number() -> None:
    assert effective_rank(np.eye(4)) == pytest.approx(4)
    assert effective_rank(np.outer([1, 2, 3], [1, 1])) == pytest.approx(1)
    # singular values 3 and 1: shares 3/4 and 1/4
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert effective_rank(np.diag([3.0, 1.0])) == pytest.approx(np.exp(entropy))
    assert effective_rank(np.zeros((2, 2))) == Undefined("all features are 0")


@given(arrays(np.int64, (4, 3), elements=st.integers(-9, 9)).filter(lambda a: bool(a.any())))
def test_effective_rank_is_from_1_to_the_rank_and_blind_to_scale(feature: np.ndarray) -> None:
    value = effective_rank(feature)
    assert isinstance(value, float)
    assert 1 - 1e-9 <= value <= np.linalg.matrix_rank(feature) + 1e-6
    assert effective_rank(feature * 7) == pytest.approx(value)


def test_weight_distance_is_euclidean_over_all_arrays() -> None:
    base = {"a": np.zeros((2, 2)), "b": np.array([1.0])}
    moved = {"a": np.full((2, 2), 1.0), "b": np.array([1.0 + 12**0.5])}
    assert weight_distance(moved, base) == pytest.approx(4.0)
    assert weight_distance(base, base) == 0.0
    assert update_norm(moved, base) == pytest.approx(4.0)


def test_parameters_that_do_not_fit_are_an_error_that_names_them() -> None:
    with pytest.raises(ValueError, match=r"only one has \['b'\]"):
        weight_distance({"a": [1.0]}, {"a": [1.0], "b": [1.0]})
    with pytest.raises(ValueError, match="base a"):
        weight_distance({"a": [1.0]}, {"a": [1.0, 2.0]})
    assert weight_distance({"a": [np.nan]}, {"a": [1.0]}) == Undefined("a is not finite")
    assert weight_distance({}, {}) == Undefined("there are no parameters")
