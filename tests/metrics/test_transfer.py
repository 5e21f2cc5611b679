"""Transfer against training alone, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_bench.metrics import Undefined, forward_transfer_auc, intransigence

ACC_I_J = [[0.10, 0.20], [0.80, 0.25], [0.60, 0.90]]
SAMPLES = [0, 10, 40]


def test_intransigence_is_what_the_diagonal_lacks() -> None:
    # tasks reach 0.80 and 0.90 in the stream, 0.85 and 0.99 alone
    assert intransigence(ACC_I_J, [0.85, 0.99]) == pytest.approx((0.05 + 0.09) / 2)


def test_intransigence_is_negative_where_earlier_stages_helped() -> None:
    assert intransigence(ACC_I_J, [0.80, 0.70]) == pytest.approx(-0.10)


def test_intransigence_names_what_is_missing() -> None:
    assert intransigence(ACC_I_J, [0.8, np.nan]) == Undefined("missing single_J[1]")
    lacking = [[0.1, 0.2], [0.8, 0.25], [0.6, None]]
    assert intransigence(np.array(lacking, float), [0.8, 0.9]) == Undefined("missing cell R[2, 2]")


def test_forward_transfer_is_the_share_of_the_missing_area_that_was_gained() -> None:
    # trapezoids over 0, 10, 40: stream (0.2 * 10 + 0.6 * 30) / 40 = 0.5, alone (0 + 0.2 * 30) / 40
    # = 0.15 for task 1, hence (0.5 - 0.15) / 0.85; task 2 has no transfer
    curve = [[0.0, 0.4, 0.8], [0.5, 0.5, 0.5]]
    alone = [[0.0, 0.0, 0.4], [0.5, 0.5, 0.5]]
    assert forward_transfer_auc(curve, alone, SAMPLES) == pytest.approx(0.35 / 0.85 / 2)


def test_forward_transfer_is_undefined_where_nothing_can_be_gained() -> None:
    value = forward_transfer_auc([[0.5, 0.5, 0.5]], [[1.0, 1.0, 1.0]], SAMPLES)
    assert value == Undefined("the single-task AUC is 1, nothing can be gained, on task 1")


def test_one_point_has_no_area() -> None:
    value = forward_transfer_auc([[0.5]], [[0.5]], [0])
    assert value == Undefined("an area needs at least 2 points, got 1")


@pytest.mark.parametrize("samples", [[0, 40, 10], [0, 0, 10], [-1, 0, 1]])
def test_samples_that_do_not_grow_are_an_error(samples: list[int]) -> None:
    with pytest.raises(ValueError, match="grow from point to point"):
        forward_transfer_auc([[0.5, 0.5, 0.5]], [[0.1, 0.1, 0.1]], samples)


def test_percentages_are_an_error_because_the_formula_counts_to_1() -> None:
    with pytest.raises(ValueError, match="from 0 to 1; got 20"):
        forward_transfer_auc([[0, 20, 50]], [[0, 0, 0]], SAMPLES)


shares = st.lists(st.integers(0, 99).map(lambda n: n / 100), min_size=3, max_size=3)


@given(shares, shares)
def test_forward_transfer_is_at_most_1_and_changes_sign_as_the_area_does(
    curve: list[float], alone: list[float]
) -> None:
    value = forward_transfer_auc([curve], [alone], SAMPLES)
    assert isinstance(value, float)
    gained = np.trapezoid(curve, SAMPLES) - np.trapezoid(alone, SAMPLES)
    assert value <= 1
    assert np.sign(round(value, 9)) == np.sign(round(float(gained), 9))


@given(st.lists(shares, min_size=3, max_size=3), shares, st.permutations(range(3)))
def test_intransigence_is_between_minus_1_and_1_and_leaves_its_input_alone(
    rows: list[list[float]], alone: list[float], order: list[int]
) -> None:
    acc = np.array([[0.0] * 3, *rows])
    single, before = np.array(alone), np.array([[0.0] * 3, *rows])
    found = intransigence(acc, single)
    assert isinstance(found, float)
    assert -1 <= found <= 1
    assert np.array_equal(acc, before)
    assert single.tolist() == alone
    tasks = np.arange(3)
    mixed = np.zeros((4, 3))
    mixed[tasks + 1, tasks] = acc[1:][order, order]
    assert intransigence(mixed, single[order]) == pytest.approx(found)
