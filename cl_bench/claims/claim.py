"""Claims of the paper with all that belongs to them, and their verdicts.

A module `claim_NN_name.py` holds one: the text as it was registered, the runs it needs, how they
measure each statement, what is shown beside that, and the figure. `cl_bench.claims.registered` has
the table of all of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from string import Template
from typing import TYPE_CHECKING, Any

from cl_bench.claims.measure import Added, MeasuredStatement
from cl_bench.claims.plan import Needs, Plan
from cl_bench.claims.rule import ClaimVerdict, Judgement, Statement, combine, judge
from cl_bench.contract.redaction import short_line
from cl_bench.report.blocks.drawings import Drawing, drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cl_bench.claims.data import Data
    from cl_bench.claims.subject import Subject

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PaperFigure:
    """One row of the paper's figures: what was measured, and the value of each column."""

    what: str
    values: tuple[tuple[str, str], ...]


def paper_figure(what: str, **values: str) -> PaperFigure:
    """A row of the paper's figures; an underscore in a column's name is a space."""
    return PaperFigure(
        what, tuple((name.replace("_", " "), value) for name, value in values.items())
    )


@dataclass(frozen=True)
class Registered:
    """The part of a claim that was fixed before the runs that judge it."""

    number: int
    name: str
    """For files and links: `sample-efficiency`."""
    title: str
    definition: str
    paper: tuple[PaperFigure, ...]
    statements: tuple[Statement, ...]

    def on(self, subject: Subject) -> Registered:
        """The same with the names of a subject's domains in place of `$singles` and the like."""

        def named(text: str) -> str:
            return Template(text).substitute(subject.words)

        statements = tuple(replace(one, text=named(one.text)) for one in self.statements)
        return replace(self, definition=named(self.definition), statements=statements)


@dataclass(frozen=True)
class Measurement:
    """How the runs measure one statement."""

    short: str
    """A name of the value, for those who have not read the claim."""
    measure: Callable[[Data, Plan], MeasuredStatement]
    added: Callable[[Data, Plan], Added]
    """Lines and notes that are shown beside the value and not judged."""


def measurement(
    short: str,
    measure: Callable[..., MeasuredStatement],
    added: Callable[[Data, Plan], Added] = lambda _data, _plan: Added(),
    **options: Any,
) -> Measurement:
    """A measurement by a function that takes these options as well."""
    return Measurement(short, partial(measure, **options), added)


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, and all that it takes to reproduce it."""

    registered: Registered
    runs: Needs
    measurements: Mapping[str, Measurement]
    """By the statement's id."""
    figure: Callable[[Data, Plan], Figure]

    def on(self, subject: Subject) -> Claim:
        """The claim as it is registered for a subject."""
        return replace(self, registered=self.registered.on(subject))

    @property
    def figure_name(self) -> str:
        """The name of its figure: `3-kl`."""
        return f"{self.registered.number}-{self.registered.name}"


@dataclass(frozen=True)
class JudgedStatement:
    """A statement, what the runs say of it, and the verdict."""

    statement: Statement
    short: str
    measured: MeasuredStatement
    judgement: Judgement
    added: Added
    """Lines and notes that no rule judges."""


@dataclass(frozen=True)
class JudgedClaim:
    """A claim with its statements' verdicts and its own."""

    claim: Claim
    statements: tuple[JudgedStatement, ...]
    verdict: ClaimVerdict

    @property
    def primary(self) -> tuple[JudgedStatement, ...]:
        """The statements that decide."""
        return tuple(judged for judged in self.statements if judged.statement.primary)


def judge_claim(claim: Claim, data: Data, plan: Plan) -> JudgedClaim:
    """Measure and judge all statements of a claim."""
    statements = []
    for statement in claim.registered.statements:
        how = claim.measurements[statement.id]
        measured = how.measure(data, plan)
        judgement = judge(statement, measured.value_by_seed, measured.estimate)
        added = how.added(data, plan)
        statements.append(JudgedStatement(statement, how.short, measured, judgement, added))
    primary = [one.judgement.verdict for one in statements if one.statement.primary]
    return JudgedClaim(claim, tuple(statements), combine(primary))


def draw_figures(claims: Sequence[Claim], data: Data, plan: Plan) -> dict[str, Drawing]:
    """The figures of these claims, by name; one that cannot be drawn is left out with a warning."""
    drawings = {}
    for claim in claims:
        try:
            drawings[claim.figure_name] = drawing(partial(claim.figure, data, plan))
        except Exception as error:  # noqa: BLE001 - a page without one figure is better than none
            reason = short_line(f"{type(error).__name__}: {error}").rstrip(".")
            _log.warning("The figure %s is not drawn (%s).", claim.figure_name, reason)
    return drawings
