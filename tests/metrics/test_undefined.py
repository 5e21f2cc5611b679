"""An undefined metric never turns into a number."""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np
import pytest

from cl_bench.metrics import Undefined

MISSING = Undefined("missing cell R[2, 1]")
ARITHMETIC: list[Callable[..., object]] = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
]


@pytest.mark.parametrize("operation", ARITHMETIC)
@pytest.mark.parametrize("other", [1, 0.5, np.float64(0.5), np.array([0.5]), MISSING])
def test_arithmetic_and_ordering_raise_with_the_reason(
    operation: Callable[..., object], other: object
) -> None:
    for left, right in [(MISSING, other), (other, MISSING)]:
        with pytest.raises(TypeError, match=r"missing cell R\[2, 1\]"):
            operation(left, right)


@pytest.mark.parametrize("use", [bool, float, int, round, abs, operator.neg])
def test_it_is_no_number_and_neither_true_nor_false(use: Callable[..., object]) -> None:
    with pytest.raises(TypeError, match="undefined"):
        use(MISSING)


def test_averaging_raises_instead_of_skipping() -> None:
    with pytest.raises(TypeError, match="missing cell"):
        np.mean(np.array([0.5, MISSING], dtype=object))
    with pytest.raises(TypeError, match="missing cell"):
        sum([0.5, MISSING])  # type: ignore[list-item]


def test_equality_and_hash_go_by_the_reason() -> None:
    assert Undefined("a") == Undefined("a")
    assert len({Undefined("a"), Undefined("a"), Undefined("b")}) == 2
    numbers: list[object] = [0, 0.0, np.float64(0), None]
    assert Undefined("a") not in numbers


def test_the_reason_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        MISSING.reason = "another"  # type: ignore[misc]
