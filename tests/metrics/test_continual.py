"""Continual-learning metrics against values worked out by hand.

The matrix of the golden values, three tasks, rows from the base model to the last stage:

            task 1  task 2  task 3
    base     0.10    0.20    0.30
    stage 1  0.80    0.25    0.35
    stage 2  0.60    0.90    0.50
    stage 3  0.40    0.70    1.00
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cl_bench.metrics import METRICS, Undefined

ACC_I_J = [[0.10, 0.20, 0.30], [0.80, 0.25, 0.35], [0.60, 0.90, 0.50], [0.40, 0.70, 1.00]]
NAMES = sorted(METRICS)
NEEDS_TWO_STAGES = sorted(set(METRICS) - {"average_accuracy", "anytime_average_accuracy"})
Array = np.typing.NDArray[np.float64]


def compute(name: str, matrix: object) -> float | Undefined:
    return METRICS[name].function(np.array(matrix, dtype=float))


def number(name: str, matrix: object) -> float:
    value = compute(name, matrix)
    assert isinstance(value, float), value
    return value


@st.composite
def matrices(draw: st.DrawFn, least: int = 2) -> Array:
    tasks = draw(st.integers(least, 5))
    # hundredths, so that a sum of a few of them is exact to far below the tolerance
    cells = draw(arrays(np.int64, (tasks + 1, tasks), elements=st.integers(0, 100)))
    return np.asarray(cells / 100.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("average_accuracy", (0.40 + 0.70 + 1.00) / 3),
        ("anytime_average_accuracy", (0.80 + 0.75 + 0.70) / 3),
        ("bwt_gem", (-0.40 - 0.20) / 2),
        ("bwt_trace", (-0.40 - 0.20) / 3),
        ("fwt_base", (0.05 + 0.20) / 2),
        ("forgetting_max", (0.40 + 0.20) / 2),
        ("forgetting_first", (0.40 + 0.20) / 2),
    ],
)
def test_golden_value(name: str, value: float) -> None:
    assert compute(name, ACC_I_J) == pytest.approx(value, abs=1e-12)


def test_every_metric_of_the_table_has_one_line_and_is_found_under_its_own_name() -> None:
    for name, metric in METRICS.items():
        assert metric.function.__name__ == name
        assert metric.summary
        assert "\n" not in metric.summary


def test_forgetting_max_counts_a_peak_reached_after_the_own_stage() -> None:
    acc_I_J = [[0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [0.9, 0.5, 0.0], [0.6, 0.5, 0.5]]
    assert number("forgetting_max", acc_I_J) == pytest.approx((0.3 + 0.0) / 2)
    assert number("forgetting_first", acc_I_J) == pytest.approx((-0.1 + 0.0) / 2)


def test_forgetting_max_ignores_scores_from_before_the_own_stage() -> None:
    acc_I_J = [[0.9, 0.9, 0.9], [0.5, 0.9, 0.9], [0.5, 0.5, 0.9], [0.5, 0.5, 0.5]]
    assert number("forgetting_max", acc_I_J) == pytest.approx(0.0)


def test_forgetting_of_the_next_to_last_task_is_counted() -> None:
    assert number("forgetting_max", [[0.0, 0.0], [0.9, 0.0], [0.4, 0.8]]) == pytest.approx(0.5)


def test_improvement_is_negative_forgetting_not_zero() -> None:
    improved = [[0.0, 0.0], [0.50, 0.0], [0.75, 0.8]]
    assert number("forgetting_max", improved) == pytest.approx(-0.25)
    assert number("forgetting_first", improved) == pytest.approx(-0.25)


def test_the_two_backward_transfers_differ_by_their_divisor() -> None:
    two_tasks = [[0.0, 0.0], [0.9, 0.0], [0.4, 0.8]]
    assert number("bwt_gem", two_tasks) == pytest.approx(-0.5)
    assert number("bwt_trace", two_tasks) == pytest.approx(-0.25)


def test_a_score_of_zero_is_a_score() -> None:
    for name in NAMES:
        assert compute(name, np.zeros((4, 3))) == 0.0


@pytest.mark.parametrize("name", NEEDS_TWO_STAGES)
def test_one_stage_is_undefined_where_two_are_needed(name: str) -> None:
    assert compute(name, [[0.1], [0.9]]) == Undefined("needs at least 2 stages, got 1")


def test_one_stage_has_an_average() -> None:
    assert compute("average_accuracy", [[0.1], [0.9]]) == pytest.approx(0.9)
    assert compute("anytime_average_accuracy", [[0.1], [0.9]]) == pytest.approx(0.9)


# Which cells [stage, task] of three tasks each metric reads, from its formula.
CELLS = {
    "average_accuracy": {(3, 1), (3, 2), (3, 3)},
    "anytime_average_accuracy": {(1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (3, 3)},
    "bwt_gem": {(1, 1), (2, 2), (3, 1), (3, 2)},
    "bwt_trace": {(1, 1), (2, 2), (3, 1), (3, 2)},
    "fwt_base": {(0, 2), (0, 3), (1, 2), (2, 3)},
    "forgetting_max": {(1, 1), (2, 1), (2, 2), (3, 1), (3, 2)},
    "forgetting_first": {(1, 1), (2, 2), (3, 1), (3, 2)},
}


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_cell_makes_undefined_exactly_the_metrics_that_read_it(name: str) -> None:
    whole = compute(name, ACC_I_J)
    for stage in range(4):
        for task in (1, 2, 3):
            matrix = np.array(ACC_I_J)
            matrix[stage, task - 1] = np.nan
            if (stage, task) in CELLS[name]:
                assert compute(name, matrix) == Undefined(f"missing cell R[{stage}, {task}]")
            else:
                assert compute(name, matrix) == whole


def test_none_is_a_missing_cell_and_all_missing_cells_are_named() -> None:
    matrix = np.array([[0.1, 0.2], [0.3, 0.4], [None, None]], dtype=object)
    value = METRICS["average_accuracy"].function(matrix)
    assert value == Undefined("missing cells R[2, 1], R[2, 2]")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(2, 2), (3, 3), (4, 2), (2, 3), (0, 0), (1, 0), (3,), (2, 4, 3)])
def test_another_shape_is_an_error_that_names_it(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(T\+1, T\)") as error:
        compute(name, np.zeros(shape))
    assert str(shape) in str(error.value)


@pytest.mark.parametrize("infinite", [np.inf, -np.inf])
def test_infinity_is_an_error(infinite: float) -> None:
    with pytest.raises(ValueError, match="infinity"):
        compute("bwt_gem", [[0.0, 0.0], [infinite, 0.0], [0.0, 0.0]])


@pytest.mark.parametrize("name", NAMES)
def test_the_callers_matrix_is_left_alone(name: str) -> None:
    matrix = np.array(ACC_I_J)
    matrix[0, 0] = np.nan
    before = matrix.copy()
    METRICS[name].function(matrix)
    np.testing.assert_array_equal(matrix, before)


@given(matrices())
def test_variants_are_related_as_their_formulas_say(matrix: Array) -> None:
    tasks = matrix.shape[1]
    bwt = number("bwt_gem", matrix)
    assert number("bwt_trace", matrix) == pytest.approx(bwt * (tasks - 1) / tasks)
    assert number("forgetting_first", matrix) == pytest.approx(-bwt)
    assert number("forgetting_max", matrix) >= number("forgetting_first", matrix) - 1e-12


@given(matrices(), st.integers(1, 50))
def test_only_averages_move_when_every_score_rises_alike(matrix: Array, rise: int) -> None:
    for name in NAMES:
        expected = rise if "average" in name else 0.0
        moved = number(name, matrix + rise) - number(name, matrix)
        assert moved == pytest.approx(expected, abs=1e-9)


@given(matrices())
def test_metrics_scale_with_the_unit(matrix: Array) -> None:
    for name in NAMES:
        assert number(name, 100 * matrix) == pytest.approx(100 * number(name, matrix), abs=1e-9)


@given(matrices(least=1))
def test_averages_lie_within_the_scores_they_average(matrix: Array) -> None:
    assert matrix[-1].min() - 1e-12 <= number("average_accuracy", matrix)
    assert number("average_accuracy", matrix) <= matrix[-1].max() + 1e-12
    anytime = number("anytime_average_accuracy", matrix)
    assert matrix[1:].min() - 1e-12 <= anytime <= matrix[1:].max() + 1e-12
