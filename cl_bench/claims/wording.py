"""How the page words numbers: units, intervals, what is undefined."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from cl_bench.claims.rule import Statement
from cl_bench.metrics.bootstrap import Estimate
from cl_bench.metrics.undefined import Undefined

Words: TypeAlias = Callable[[float], str]
NOTHING = "—"

_OF_DETAIL: dict[str, tuple[Words, str]] = {
    "accuracy": (lambda value: f"{100 * value:.1f}", " %"),
    "nats": (lambda value: f"{value:.3f}", " nats"),
    "ratio": (lambda value: f"{value:.2f}", "×"),
    "samples": (lambda value: f"{value:,.0f}", ""),
}
"""By a detail's scale how a value is written, and its unit."""
_DIFFERENCE: dict[str, tuple[Words, str]] = {
    "accuracy": (lambda value: _signed(100 * value, 1), " points"),
    "nats": (lambda value: _signed(value, 3), " nats"),
    "ratio": (lambda value: f"{2**value:.2f}", "×"),
}
"""By a statement's scale; ratios come as logarithms to base 2."""


def of_statement(statement: Statement, estimate: Estimate | Undefined) -> str:
    """A statement's mean and interval."""
    return _mean(estimate, *_DIFFERENCE[statement.scale])


def of_seed(statement: Statement, value: float | Undefined) -> str:
    """A statement's value of one seed."""
    if isinstance(value, Undefined):
        return NOTHING
    words, unit = _DIFFERENCE[statement.scale]
    return words(value) + unit


def of_detail(name: str, scale: str, estimate: Estimate | Undefined) -> str:
    """A detail's mean and interval; what is called a difference has a sign."""
    signed = "difference" in name and scale in ("accuracy", "nats")
    shown = _mean(estimate, *(_DIFFERENCE if signed else _OF_DETAIL)[scale])
    if isinstance(estimate, Undefined) or estimate.seeds == estimate.of_seeds:
        return shown
    return f"{shown}, {seeds(estimate)}"


def rule(statement: Statement) -> str:
    """What the value has to exceed, and the least effect worth claiming."""
    words, unit = (
        _OF_DETAIL["ratio"] if statement.scale == "ratio" else _DIFFERENCE[statement.scale]
    )
    null, margin = (words(value) + unit for value in (statement.null, statement.margin))
    return f"> {null}" if null == margin else f"> {null}, at least {margin}"


def seeds(estimate: Estimate | Undefined) -> str:
    """How many seeds have a value."""
    return (
        NOTHING if isinstance(estimate, Undefined) else f"{estimate.seeds} of {estimate.of_seeds}"
    )


def number(value: float | Undefined, spec: str) -> str:
    """A number, or a dash for one that is undefined."""
    return NOTHING if isinstance(value, Undefined) else format(value, spec)


def _signed(value: float, digits: int) -> str:
    """With its sign; what rounds to zero has none."""
    shown = f"{value:+.{digits}f}".replace("-", "−")
    return shown if shown.strip("+−0.") else shown[1:]


def _mean(estimate: Estimate | Undefined, words: Words, unit: str) -> str:
    if isinstance(estimate, Undefined):
        return f"{NOTHING} ({estimate.reason})"
    interval = estimate.interval
    shown = words(estimate.value) + unit
    if isinstance(interval, Undefined):
        return f"{shown} ({interval.reason})"
    return f"{shown} [{words(interval.low)}, {words(interval.high)}]"
