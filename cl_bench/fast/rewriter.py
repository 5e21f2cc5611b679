"""Rewrites of system prompts on their way into gepa's pool: which are tried, which are accepted.

A failed reflection (`ReflectionError`) is counted, logged once for each reason, and never scored.
Any other error of a reflector is a fault in its code and stops the run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from gepa.core.state import GEPAState
from gepa.proposer.base import CandidateProposal
from gepa.proposer.reflective_mutation.reflection_lm import ReflectionJob, ReflectionProposal
from gepa.strategies.acceptance import StrictImprovementAcceptance

from cl_bench.contract.errors import ReflectionError
from cl_bench.contract.learner import Ledger
from cl_bench.contract.redaction import short_line
from cl_bench.contract.text import well_formed
from cl_bench.fast.reflection.reflector import (
    BatchReflector,
    Reflection,
    Reflector,
    Request,
    fault_of,
)

COMPONENT = "system_prompt"
"""The one component of a gepa candidate."""
_log = logging.getLogger(__name__)

State = GEPAState[str, int]


@dataclass(frozen=True, slots=True)
class TriedRewrite:
    """A rewrite that was rolled out on its parent's minibatch, and whether it was better there."""

    text: str
    parent: str
    accepted: bool


@dataclass
class RoundLog:
    """The pool of one round and the rewrites that were tried in it."""

    pool: set[str] = field(default_factory=set)
    """Texts scored on the validation set so far."""
    trials: list[TriedRewrite] = field(default_factory=list)
    """In the order in which they were proposed."""


class Rewriter:
    """gepa's reflection LM: asks the reflector and lets only new, usable texts through.

    It lives as long as a run. `log`, and `fits`, which tells whether the context has room for a
    prompt, are replaced at the start of every round. Once the ledger has `token_budget` reflection
    tokens, nobody is asked any more; 0 means no limit.
    """

    def __init__(self, reflector: Reflector, ledger: Ledger, *, token_budget: int = 0) -> None:
        self._reflector, self._ledger, self._budget = reflector, ledger, token_budget
        self._warned: set[str] = set()
        self.log = RoundLog()
        self.fits: Callable[[str], bool] = bool

    def reflect(
        self,
        candidate: dict[str, str],
        reflective_dataset: Mapping[str, Sequence[Mapping[str, Any]]],
        components_to_update: list[str],
    ) -> tuple[ReflectionProposal, Rewriter]:
        return self.reflect_many([(candidate, reflective_dataset, components_to_update)])[0]

    def reflect_many(self, jobs: list[ReflectionJob]) -> list[tuple[ReflectionProposal, Rewriter]]:
        requests: list[Request] = [
            (candidate[COMPONENT], [record["rollout"] for record in dataset[COMPONENT]])
            for candidate, dataset, _ in jobs
        ]
        with _past_gepa():
            wave: set[str] = set()  # texts of this wave, which are not in the pool yet
            proposals = []
            for reflection in self._ask(requests):
                text = reflection.text if reflection else ""
                fresh = bool(text) and self._is_fresh(text, wave)
                wave.add(text)  # the empty text too, which is never fresh
                # gepa drops a proposal without texts before it is rolled out.
                proposals.append((ReflectionProposal({COMPONENT: text} if fresh else {}), self))
        return proposals

    def _ask(self, requests: Sequence[Request]) -> list[Reflection | None]:
        """Return a usable reflection for each request, or None."""
        if isinstance(self._reflector, BatchReflector):
            return self._ask_together(self._reflector, requests)
        return [self._ask_one(self._reflector, request) for request in requests]

    def _ask_together(
        self, reflector: BatchReflector, requests: Sequence[Request]
    ) -> list[Reflection | None]:
        try:
            self._spend_calls(len(requests))
            answers = reflector.reflect_many(requests)
        except ReflectionError as error:
            for _ in requests:
                self._failed(error)
            self._ledger.add("fast", reflection_tokens=error.tokens)
            return [None] * len(requests)
        if len(answers) != len(requests):
            raise RuntimeError(
                f"{type(reflector).__name__}.reflect_many gave {len(answers)} reflections to "
                f"{len(requests)} requests; it has to give one each, in order."
            )
        return [self._usable(answer) for answer in answers]

    def _ask_one(self, reflector: Reflector, request: Request) -> Reflection | None:
        try:
            self._spend_calls(1)
            return self._usable(reflector(*request))
        except ReflectionError as error:
            self._failed(error)
            self._ledger.add("fast", reflection_tokens=error.tokens)
            return None

    def _spend_calls(self, calls: int) -> None:
        # Checked before the call, whose tokens are not known yet: a run may exceed it by a wave.
        if 0 < self._budget <= self._ledger.fast.reflection_tokens:
            raise ReflectionError(f"the budget of {self._budget:,} reflection tokens is spent")
        self._ledger.add("fast", reflection_calls=calls)

    def _usable(self, reflection: Reflection) -> Reflection | None:
        """Return the reflection if its text can be a prompt of this run, else count a failure."""
        self._ledger.add("fast", reflection_tokens=reflection.tokens)
        text = well_formed(reflection.text.strip())
        fault = (
            reflection.fault
            or fault_of(text)
            or ("" if self.fits(text) else "a text too long for the context")
        )
        if fault:
            self._failed(ReflectionError(fault))
        return None if fault else Reflection(text, reflection.tokens)

    def _failed(self, error: ReflectionError) -> None:
        self._ledger.add("fast", reflection_failures=1)
        if error.reason not in self._warned:
            self._warned.add(error.reason)
            _log.warning(
                "A reflection failed and was skipped: %s (said once; all are counted)",
                short_line(str(error)),
            )

    def _is_fresh(self, text: str, wave: set[str]) -> bool:
        repeated = text in self.log.pool or text in wave
        if repeated:
            self._ledger.add("fast", reflection_repeats=1)
        return not repeated


class Acceptance(StrictImprovementAcceptance):
    """gepa's criterion (better on the minibatch), which also logs every proposal it judges."""

    def __init__(self, log: RoundLog) -> None:
        self._log = log

    def should_accept(self, proposal: CandidateProposal[int], state: State) -> bool:
        accepted = super().should_accept(proposal, state)
        text = proposal.candidate[COMPONENT]
        parent = state.program_candidates[proposal.parent_program_ids[0]][COMPONENT]
        self._log.trials.append(TriedRewrite(text, parent, accepted))
        if accepted:
            self._log.pool.add(text)
        return accepted


class _Escape(BaseException):
    """Carries an error through gepa, which catches any `Exception` of a reflection and retries.

    It is a `BaseException` for that reason alone.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


@contextmanager
def _past_gepa() -> Iterator[None]:
    """Within: an error leaves as an `_Escape`."""
    try:
        yield
    except Exception as error:
        raise _Escape(error) from error


@contextmanager
def faults_escape() -> Iterator[None]:
    """Around a call of gepa: raise again the error that an `_Escape` carries."""
    try:
        yield
    except _Escape as escape:
        raise escape.error from None
