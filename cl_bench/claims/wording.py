"""How the page words numbers: units, signs, intervals, what is undefined."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from cl_bench.claims.rule import Statement, Verdict
from cl_bench.metrics.stats.bootstrap import ONE_SEED, Estimate
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.blocks import Mark
from cl_bench.report.blocks.numbers import NOTHING, plain, signed

Words: TypeAlias = Callable[[float], str]

_OF_DETAIL: dict[str, tuple[Words, str]] = {
    "accuracy": (lambda value: plain(100 * value, ".1f"), " %"),
    "nats": (lambda value: plain(value, ".3f"), " nats"),
    "ratio": (lambda value: f"{value:.2f}", "×"),
    "samples": (lambda value: plain(value, ",.0f"), ""),
    "plain": (lambda value: plain(value, ".3f"), ""),
}
"""By a detail's scale how a value is written, and its unit."""
_DIFFERENCE: dict[str, tuple[Words, str]] = {
    "accuracy": (lambda value: signed(100 * value, ".1f"), " points"),
    "points": (lambda value: signed(100 * value, ".1f"), " points"),
    "nats": (lambda value: signed(value, ".3f"), " nats"),
    "ratio": (lambda value: f"{2**value:.2f}", "×"),
    "samples": (lambda value: signed(value, ",.0f"), ""),
}
"""By a statement's or a difference's scale; a statement's ratios are logarithms to base 2."""

SHORT: Mapping[str, str] = {
    "1a": "RL ÷ FST, training samples to RL's peak",
    "1b": "RL ÷ FST, all rollouts to RL's peak",
    "2a": "FST − RL, fitted asymptote",
    "2b": "FST − RL, plateau",
    "3a": "RL ÷ FST, KL at equal accuracy",
    "3b": "RL ÷ FST, KL at equal accuracy, seed prompt",
    "4a": "FST − RL, accuracy outside the training",
    "4b": "FST − base, accuracy outside the training",
    "4c": "RL − FST, forgetting on the stream",
    "5a": "after FST − after RL, accuracy of fresh RL",
    "5b": "after FST − from the base, accuracy of fresh RL",
    "6a": "FST − RL, share of the peak after the task's own stage",
    "6b": "FST − RL, share of the peak on the first task at the end",
    "6c": "FST − RL, average accuracy at the end",
    "7a": "RL ÷ FST, end of the first 640 samples with a mean reward of 0.1",
    "7b": "FST − RL, training reward",
    "8a": "trained parameters − base, seed prompt",
    "8b": "evolved prompt − seed prompt, base parameters",
    "8c": "both − the better of the two alone",
    "9a": "FST − prompt-only, plateau",
    "9b": "prompt-only, middle − end of its run",
    "10a": "FST − FST-distill, plateau of accuracy",
    "10b": "FST − FST-distill, plateau of entropy",
}
"""By a statement's id what its value is, for those who have not read the claim."""


_MARKS = {
    Verdict.REPRODUCED: ("✓", "yes"),
    Verdict.NOT_REPRODUCED: ("✗", "no"),
    Verdict.INCONCLUSIVE: ("?", "open"),
}


def marked(verdict: Verdict) -> Mark:
    """A verdict as a page shows it."""
    return Mark(verdict, *_MARKS[verdict])


def of_statement(
    statement: Statement, estimate: Estimate | Undefined, *, reason: bool = True
) -> str:
    """A statement's mean and interval; without a mean why, unless the `reason` stands elsewhere."""
    if isinstance(estimate, Undefined) and not reason:
        return NOTHING
    return _mean(estimate, *_DIFFERENCE[statement.scale])


def short(statement: Statement) -> str:
    """What the value is, in a few words; all of them where there are no fewer."""
    return SHORT.get(statement.id, statement.text)


def of_seed(statement: Statement, value: float | Undefined) -> str:
    """A statement's value of one seed."""
    if isinstance(value, Undefined):
        return NOTHING
    words, unit = _DIFFERENCE[statement.scale]
    return words(value) + unit


def of_detail(
    name: str, scale: str, estimate: Estimate | Undefined, *, counted: bool = False
) -> str:
    """A detail's mean and interval; a difference has a sign.

    How many seeds have a value is said where some have none, or always if `counted`.
    """
    signed = scale == "points" or (scale != "ratio" and is_difference(name))
    shown = _mean(estimate, *(_DIFFERENCE if signed else _OF_DETAIL)[scale])
    if isinstance(estimate, Undefined) or not (counted or estimate.seeds != estimate.of_seeds):
        return shown
    return f"{shown}, {seeds(estimate)}"


def is_difference(name: str) -> bool:
    """Whether a column of details holds differences, by its name."""
    return "difference" in name or name == "gain"


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
    return NOTHING if isinstance(value, Undefined) else plain(value, spec)


def _mean(estimate: Estimate | Undefined, words: Words, unit: str) -> str:
    if isinstance(estimate, Undefined):
        return f"{NOTHING} ({estimate.reason})"
    interval = estimate.interval
    shown = words(estimate.value) + unit
    if interval == ONE_SEED:  # said once for the page, or by "1 of n"
        return shown
    if isinstance(interval, Undefined):
        return f"{shown} ({interval.reason})"
    return f"{shown} [{words(interval.low)}, {words(interval.high)}]"
