"""Stability of finished tasks, against values worked out by hand.

         stage  task 1  task 2  task 3
base       0     0.10    0.10    0.10
end        1     0.80    0.10    0.10
inside     2     0.30    0.50    0.10
end        2     0.70    0.90    0.10
inside     3     0.50    0.40    0.60
end        3     0.60    0.80    0.90
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cl_bench.metrics import (
    Undefined,
    general_ability_delta,
    min_accuracy,
    stability_gap,
    turnover,
)

STAGE = [0, 1, 2, 2, 3, 3]
ACC = np.array(
    [
        [0.10, 0.10, 0.10],
        [0.80, 0.10, 0.10],
        [0.30, 0.50, 0.10],
        [0.70, 0.90, 0.10],
        [0.50, 0.40, 0.60],
        [0.60, 0.80, 0.90],
    ]
)


def test_min_accuracy_is_the_worst_of_each_finished_task_after_its_own_stage() -> None:
    assert min_accuracy(ACC, STAGE) == pytest.approx((0.30 + 0.40) / 2)


def test_stability_gap_is_the_dip_below_both_ends_of_a_stage() -> None:
    # stage 2: task 1 dips to 0.30, below 0.70 at its end; stage 3: task 1 to 0.50, below 0.60, and
    # task 2 to 0.40, below 0.80
    assert stability_gap(ACC, STAGE) == pytest.approx((0.40 + 0.10 + 0.40) / 3)


def test_a_steady_loss_is_no_stability_gap() -> None:
    falling = [[0.1, 0.1], [0.9, 0.1], [0.7, 0.4], [0.5, 0.9]]
    assert stability_gap(falling, [0, 1, 2, 2]) == pytest.approx(0.0)
    assert min_accuracy(falling, [0, 1, 2, 2]) == pytest.approx(0.5)


def test_both_are_undefined_without_evaluations_inside_a_later_stage() -> None:
    ends = [row for row, inside in zip(ACC, [0, 0, 1, 0, 1, 0], strict=True) if not inside]
    for metric in (min_accuracy, stability_gap):
        assert metric(ends, [0, 1, 2, 3]) == Undefined("needs evaluations inside stage 2")
        assert metric(ACC[:4], STAGE[:4]) == Undefined("no evaluation at the end of stage 3")
        assert metric([[0.1], [0.9]], [0, 1]) == Undefined("needs at least 2 stages, got 1")


# Which cells [evaluation, task] each reads, from its formula: the later stages, and for the gap
# also where a later stage starts from.
LATER = {(2, 0), (3, 0), (4, 0), (5, 0), (4, 1), (5, 1)}
READ = [(min_accuracy, LATER), (stability_gap, LATER | {(1, 0), (3, 1)})]


@pytest.mark.parametrize(("metric", "read"), READ)
def test_a_missing_evaluation_makes_it_undefined_exactly_where_it_is_read(
    metric: Callable[..., object], read: set[tuple[int, int]]
) -> None:
    for evaluation, task in np.ndindex(ACC.shape):
        acc = ACC.copy()
        acc[evaluation, task] = np.nan
        if (evaluation, task) in read:
            assert metric(acc, STAGE) == Undefined(f"missing acc_E_J[{evaluation}, {task}]")
        else:
            assert metric(acc, STAGE) == metric(ACC, STAGE)


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ([0, 2, 1, 2, 3, 3], "in order"),
        ([0, 1, 2, 2, 3, 4], "from 0 to T = 3"),
        ([0, 1, 2], "one shape"),
    ],
)
def test_stages_that_cannot_be_are_an_error(stage: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        min_accuracy(ACC, stage)


def test_turnover_counts_losses_that_gains_hide() -> None:
    # 4 solved then, 4 solved at the end, but 2 of them are others
    assert turnover([1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 1, 1]) == pytest.approx(0.5)
    assert turnover([True, True], [True, True]) == 0.0


def test_turnover_is_undefined_without_a_solved_item_and_refuses_shares() -> None:
    assert turnover([0, 0], [1, 1]) == Undefined("no item was solved at the end of its stage")
    assert turnover([1, np.nan], [1, 1]) == Undefined("missing solved_then_N[1]")
    with pytest.raises(ValueError, match="decide first when an item counts as solved"):
        turnover([0.5, 1], [1, 1])


def test_general_ability_delta_is_end_minus_base() -> None:
    assert general_ability_delta([[0.5, 0.4], [0.9, 0.9], [0.4, 0.2]]) == pytest.approx(-0.15)
    assert general_ability_delta([[0.5, 0.4]]) == Undefined(
        "needs the base model and the end of the stream, got 1 row(s)"
    )
    assert general_ability_delta([[0.5, 0.4], [0.5, np.nan]]) == Undefined("missing end[1]")


evaluations = arrays(float, (6, 3), elements=st.floats(0, 1))


@given(evaluations)
def test_of_accuracies_worst_and_dip_are_shares_and_leave_their_input_alone(
    acc: np.typing.NDArray[np.float64],
) -> None:
    before = acc.copy()
    worst, dip = min_accuracy(acc, STAGE), stability_gap(acc, STAGE)
    assert isinstance(worst, float)
    assert isinstance(dip, float)
    assert 0 <= worst <= acc[2:, :2].max()
    assert 0 <= dip <= 1
    assert np.array_equal(acc, before)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=12), st.randoms())
def test_turnover_is_a_share_whatever_the_order_of_items(
    items: list[tuple[bool, bool]], order: object
) -> None:
    mixed = list(items)
    order.shuffle(mixed)  # type: ignore[attr-defined]
    found, again = (turnover(*zip(*pairs, strict=True)) for pairs in (items, mixed))
    assert found == again
    assert isinstance(found, Undefined) or 0 <= found <= 1


@given(evaluations, st.permutations(range(3)))
def test_general_ability_is_between_minus_1_and_1_whatever_the_order_of_tasks(
    acc: np.typing.NDArray[np.float64], order: list[int]
) -> None:
    found = general_ability_delta(acc)
    assert isinstance(found, float)
    assert -1 <= found <= 1
    assert general_ability_delta(acc[:, order]) == pytest.approx(found)
