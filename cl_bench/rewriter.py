"""Rewrites of system prompts on their way into gepa's pool: which are tried, which are accepted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gepa.core.state import GEPAState
from gepa.proposer.base import CandidateProposal
from gepa.proposer.reflective_mutation.reflection_lm import ReflectionJob, ReflectionProposal
from gepa.strategies.acceptance import StrictImprovementAcceptance

from cl_bench.learner import Ledger
from cl_bench.reflection import BatchReflector, Reflection, Reflector, Request
from cl_bench.text import well_formed

COMPONENT = "system_prompt"
"""The one component of a gepa candidate."""
MAX_PROMPT_CHARACTERS = 4_000
"""A rewrite longer than this is a failed reflection, as is one that `fits` refuses."""
_log = logging.getLogger(__name__)

State = GEPAState[str, int]


@dataclass(frozen=True, slots=True)
class Trial:
    """A rewrite that was rolled out on its parent's minibatch, and whether it was better there."""

    text: str
    parent: str
    accepted: bool


@dataclass
class RoundLog:
    """What happened to the rewrites of one round."""

    pool: set[str]
    """Texts scored on the validation set so far."""
    trials: list[Trial] = field(default_factory=list)
    """In the order in which they were proposed."""
    unchanged: int = 0
    """Rewrites equal to a text in the pool, or to another one of the same wave."""
    failed: int = 0
    """Reflections that raised, or whose text was empty or too long, for the context too."""


class Rewriter:
    """gepa's reflection LM: asks the reflector and lets only new, usable texts through."""

    def __init__(
        self, reflector: Reflector, ledger: Ledger, log: RoundLog, fits: Callable[[str], bool]
    ) -> None:
        self._reflector, self._ledger, self._log = reflector, ledger, log
        self._fits = fits

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
        wave: set[str] = set()
        proposals = []
        for reflection in self._ask(requests):
            text = well_formed(reflection.text.strip()) if reflection else ""
            fresh = self._is_fresh(text, wave)
            wave.add(text)
            # gepa drops a proposal without texts before it is rolled out.
            proposals.append((ReflectionProposal({COMPONENT: text} if fresh else {}), self))
        return proposals

    def _ask(self, requests: Sequence[Request]) -> list[Reflection | None]:
        """A reflection per request, None where the reflector raised: a failure is never scored."""
        self._ledger.add("fast", reflection_calls=len(requests))
        if isinstance(self._reflector, BatchReflector):
            answers = self._ask_together(self._reflector, requests)
        else:
            answers = [self._ask_one(request) for request in requests]
        self._ledger.add("fast", reflection_tokens=sum(a.tokens for a in answers if a))
        return answers

    def _ask_together(
        self, reflector: BatchReflector, requests: Sequence[Request]
    ) -> list[Reflection | None]:
        try:
            return [
                reflection
                for reflection, _ in zip(reflector.reflect_many(requests), requests, strict=True)
            ]
        except Exception:  # noqa: BLE001 - foreign code
            _log.debug("A wave of reflections failed.", exc_info=True)
            return [None] * len(requests)

    def _ask_one(self, request: Request) -> Reflection | None:
        try:
            return self._reflector(*request)
        except Exception:  # noqa: BLE001 - foreign code
            _log.debug("A reflection failed.", exc_info=True)
            return None

    def _is_fresh(self, text: str, wave: set[str]) -> bool:
        if not text or len(text) > MAX_PROMPT_CHARACTERS or not self._fits(text):
            self._log.failed += 1
            return False
        if text in self._log.pool or text in wave:
            self._log.unchanged += 1
            return False
        return True


class Acceptance(StrictImprovementAcceptance):
    """gepa's criterion, better on the minibatch, noting every proposal it judges."""

    def __init__(self, log: RoundLog) -> None:
        self._log = log

    def should_accept(self, proposal: CandidateProposal[int], state: State) -> bool:
        accepted = super().should_accept(proposal, state)
        text = proposal.candidate[COMPONENT]
        parent = state.program_candidates[proposal.parent_program_ids[0]][COMPONENT]
        self._log.trials.append(Trial(text, parent, accepted))
        if accepted:
            self._log.pool.add(text)
        return accepted
