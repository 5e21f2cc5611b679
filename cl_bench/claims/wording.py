"""How the page words things: numbers with units, signs and intervals, verdicts, and a glossary."""

from __future__ import annotations

from collections.abc import Mapping

from cl_bench.claims.rule import ClaimVerdict, Statement
from cl_bench.metrics.digits import carried
from cl_bench.metrics.quantities import COUNT, NATS, NOTHING, NUMBER, POINTS, RATIO, SHARE, Quantity
from cl_bench.metrics.stats.student import ONE_SEED, Estimate, as_ratio
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.blocks import Mark

_OF_SCALE: Mapping[str, Quantity] = {
    "accuracy": SHARE,
    "points": POINTS,
    "nats": NATS,
    "ratio": RATIO,
    "samples": COUNT,
    "plain": NUMBER,
}
"""By a detail's or a statement's scale, what its values measure."""

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
    "null value": (
        "what a value would be without an effect; where FST has only to be no worse by more than "
        "some points, minus those points"
    ),
    "p": (
        "two-sided, over seeds, against the null value: of Student's t test, and of "
        "the exact sign-flip test, which with six seeds is at least 0.031"
    ),
    "Holm's p": (
        "of a claim, the largest p of the t test among the statements that decide, corrected for "
        "the number of claims on the page (see the rule)"
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
    return of_estimate(_compared(statement), as_shown(statement, estimate), statement.null)


def as_shown(statement: Statement, estimate: Estimate | Undefined) -> Estimate | Undefined:
    """A statement's estimate as readers see it: a ratio, not its logarithm."""
    return as_ratio(estimate) if _is_ratio(statement) else estimate


def of_seeds(statement: Statement, estimate: Estimate | Undefined) -> str:
    """A statement's mean and interval, and how many seeds it rests on; without a mean why."""
    value = of_statement(statement, estimate)
    return value if isinstance(estimate, Undefined) else f"{value}, {seeds(estimate)} seeds"


def of_seed(statement: Statement, value: float | Undefined, mean: Estimate | Undefined) -> str:
    """A statement's value of one seed, with a digit more than their mean has."""
    shown = value if isinstance(value, Undefined) or not _is_ratio(statement) else 2**value
    of, estimate = _compared(statement), as_shown(statement, mean)
    if not isinstance(estimate, Undefined):
        of = carried(of, estimate, statement.null, spare=1)
    return of.text(shown)


def of_detail(
    name: str, scale: str, estimate: Estimate | Undefined, *, counted: bool = False
) -> str:
    """A detail's mean and interval; a difference has a sign.

    How many seeds have a value is said where some have none, or always if `counted`.
    """
    of = _OF_SCALE[scale]
    bound = 1.0 if scale == "ratio" else 0.0
    changes = scale != "ratio" and is_difference(name)
    shown = of_estimate(of.change if changes else of, estimate, bound)
    if isinstance(estimate, Undefined) or not (counted or estimate.seeds != estimate.of_seeds):
        return shown
    return f"{shown}, {seeds(estimate)}"


def of_estimate(of: Quantity, estimate: Estimate | Undefined, bound: float = 0.0) -> str:
    """A mean and its interval in the digits that it carries, or why there is none; `bound` is the
    null value."""
    if isinstance(estimate, Undefined):
        return f"{NOTHING} ({estimate.reason})"
    of, interval = carried(of, estimate, bound), estimate.interval
    if isinstance(interval, Undefined) and interval != ONE_SEED:
        return f"{of.text(estimate.value)} ({interval.reason})"
    return of.estimate(estimate)  # that there is one seed is said once for the page, or by "1 of n"


def is_difference(name: str) -> bool:
    """Whether a column of details holds differences, by its name."""
    return "difference" in name or name == "gain"


def rule(statement: Statement) -> str:
    """The bound that the value has to exceed, and the least effect worth claiming."""
    null, margin = map(_compared(statement).text, (statement.null, statement.margin))
    return f"> {null}" if null == margin else f"> {null}, at least {margin}"


def seeds(estimate: Estimate | Undefined) -> str:
    """How many seeds have a value."""
    return (
        NOTHING if isinstance(estimate, Undefined) else f"{estimate.seeds} of {estimate.of_seeds}"
    )


def _compared(statement: Statement) -> Quantity:
    """The quantity of a statement's values: differences, or ratios."""
    of = _OF_SCALE[statement.scale]
    return of if _is_ratio(statement) else of.change


def _is_ratio(statement: Statement) -> bool:
    """Whether values are logarithms to base 2 of ratios."""
    return statement.scale == "ratio"
