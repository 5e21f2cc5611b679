"""The claims judged: every statement's measure under the rule, and what it means for its claim."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from cl_bench.claims.added import NOTHING_ADDED, Added
from cl_bench.claims.data import Data
from cl_bench.claims.measure import Measured
from cl_bench.claims.plan import Plan
from cl_bench.claims.registered import Claim
from cl_bench.claims.rule import Judgement, Statement, Verdict, combine, judge

Measures = Mapping[str, Callable[[Data, Plan], Measured]]
"""By a statement's id, how the runs measure it."""
Additions = Mapping[str, Callable[[Data, Plan], Added]]
"""By a statement's id, what is shown beside it and not judged."""
_NONE: Additions = MappingProxyType({})


@dataclass(frozen=True)
class JudgedStatement:
    """A statement, what the runs say of it, and the verdict."""

    statement: Statement
    measured: Measured
    judgement: Judgement
    added: Added = NOTHING_ADDED
    """What no rule judges."""


@dataclass(frozen=True)
class JudgedClaim:
    """A claim with its statements' verdicts and its own."""

    claim: Claim
    statements: tuple[JudgedStatement, ...]
    verdict: Verdict

    @property
    def primary(self) -> tuple[JudgedStatement, ...]:
        """The statements that decide."""
        return tuple(judged for judged in self.statements if judged.statement.primary)


def judge_claims(
    claims: Sequence[Claim],
    data: Data,
    plan: Plan,
    measures: Measures,
    additions: Additions = _NONE,
) -> list[JudgedClaim]:
    """Measure and judge all statements of these claims, in their order."""
    return [_judged(claim, data, plan, measures, additions) for claim in claims]


def _judged(
    claim: Claim, data: Data, plan: Plan, measures: Measures, additions: Additions
) -> JudgedClaim:
    statements = []
    for statement in claim.statements:
        measured = measures[statement.id](data, plan)
        judgement = judge(statement, measured.value_by_seed, measured.estimate)
        beside = additions[statement.id](data, plan) if statement.id in additions else NOTHING_ADDED
        statements.append(JudgedStatement(statement, measured, judgement, beside))
    primary = [one.judgement.verdict for one in statements if one.statement.primary]
    return JudgedClaim(claim, tuple(statements), combine(primary))
