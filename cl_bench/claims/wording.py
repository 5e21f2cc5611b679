"""How the page words things: numbers with units, signs and intervals, verdicts, and a glossary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from cl_bench.claims.rule import ClaimVerdict, Statement
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

GLOSSARY: Mapping[str, str] = {
    "single run": "a run that trains on one domain only",
    "seed prompt": "the prompt that every learner begins with, and RL keeps",
    "own prompt": (
        "the prompt that a learner would be evaluated with at that point: the best that it "
        "evolved, for RL the seed prompt"
    ),
    "samples": (
        "training samples: rollouts that RL learns from; “all rollouts” are these and those of "
        "the prompt optimiser"
    ),
    "the end": "the last evaluation of a run",
    "plateau": "the mean of the last three evaluations of a run",
    "K": (
        "how many prompts the population of the prompt optimiser holds at most; effective K is how "
        "many it held"
    ),
    "joint": "the gain of trained parameters with the evolved prompt over the base with the seed's",
    "interaction": "joint − the gain of parameters alone − the gain of the prompt alone",
    "forgetting_max": (
        "how far accuracy at the end of a stream lies below the best that a task had at the ends "
        "of stages, mean over the tasks before the last"
    ),
    "p": (
        "of the exact sign-flip test over seeds, two-sided, against the value without an effect: "
        "with six seeds at least 0.031"
    ),
    "seeds needed": (
        "how many seeds would show an effect as large and noisy as the one measured, with 80 % "
        "power at the level 0.05, by the approximation of the t test"
    ),
}
"""The words of the claims, for those who have not read the code."""

_MARKS = {
    ClaimVerdict.REPRODUCED: ("✓", "yes"),
    ClaimVerdict.NOT_REPRODUCED: ("✗", "no"),
    ClaimVerdict.INCONCLUSIVE: ("?", "open"),
}


def marked(verdict: ClaimVerdict) -> Mark:
    """A verdict as a page shows it."""
    return Mark(verdict, *_MARKS[verdict])


def of_statement(
    statement: Statement, estimate: Estimate | Undefined, *, reason: bool = True
) -> str:
    """A statement's mean and interval; without a mean why, unless the `reason` stands elsewhere."""
    if isinstance(estimate, Undefined) and not reason:
        return NOTHING
    return _mean(estimate, *_DIFFERENCE[statement.scale])


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
