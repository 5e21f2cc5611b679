"""A policy as benchmarks ask it: with whole texts instead of chats (`contract.benchmark`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from cl_bench.contract.benchmark import Reply
from cl_bench.contract.thoughts import after_thought
from cl_bench.model import ranks
from cl_bench.model.memory import scoring_rows
from cl_bench.model.policy import Policy
from cl_bench.model.scoring import next_tokens, own_tokens
from cl_bench.model.sharding import idle_passes

_ROWS = 32
"""Continuations that one pass scores, where memory allows."""


class PolicyTexts:
    """The current weights of a policy as a `TextModel`."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def templated(self, chat: Sequence[Mapping[str, str]], *, begun: bool = False) -> str:
        return self._policy.template([dict(message) for message in chat], begun=begun)

    def respond(
        self, texts: Sequence[str], *, max_new_tokens: int, temperature: float
    ) -> list[Reply]:
        rollouts = self._policy.continue_tokens(
            self._policy.tokens(texts), max_new_tokens=max_new_tokens, temperature=temperature
        )
        return [
            Reply(after_thought(done.text) or "", len(done.completion_ids), done.truncated)
            for done in rollouts
        ]

    @torch.no_grad()
    def log_likelihoods(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, bool]]:
        rows = self._rows(pairs)
        # Rows of like length share a pass, so that little of it is padding.
        order = sorted(range(len(rows)), key=lambda i: sum(map(len, rows[i])))
        longest = max((len(continuation) for _, continuation in rows), default=1)
        at_once = scoring_rows(self._policy.model, longest, _ROWS)

        def score(places: Sequence[int]) -> list[tuple[float, bool]]:
            firsts = range(0, len(places), at_once)
            parts = [places[first : first + at_once] for first in firsts]
            for _ in range(idle_passes(self._policy.model, len(parts))):
                self._scored([rows[order[0]]])
            return [one for part in parts for one in self._scored([rows[i] for i in part])]

        found = dict(zip(order, ranks.shared_out(score, order), strict=True))
        return [found[i] for i in range(len(rows))]

    def _scored(self, rows: Sequence[tuple[list[int], list[int]]]) -> list[tuple[float, bool]]:
        """Return the log-probability of each continuation, and whether it is the greedy one."""
        policy = self._policy
        read = next_tokens(policy.model, rows, policy.pad_id, 1.0)
        log_prob, likeliest = own_tokens(read)
        return [
            (float(scores[own].double().sum()), bool(greedy[own].all()))
            for scores, greedy, own in zip(log_prob, likeliest, read.sampled, strict=True)
        ]

    def _rows(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[list[int], list[int]]]:
        """Return the tokens of each pair, cut where the text ends and its continuation begins.

        Space at the text's end goes to the continuation, whose first token often holds it.
        """
        texts = [text.rstrip() for text, _ in pairs]
        begun = self._policy.tokens(texts)
        whole = self._policy.tokens([text + continuation for text, continuation in pairs])
        # A model reads at least one token before those that it is asked about.
        start = min(self._policy.end_ids, default=self._policy.pad_id)
        rows = [
            (ids[: len(head)], ids[len(head) :]) if head else ([start], ids)
            for head, ids in zip(begun, whole, strict=True)
        ]
        self._policy.require_fit([[*text, *continuation] for text, continuation in rows], 0)
        return rows


class Rehearsal(PolicyTexts):
    """The same without an answer: every request is read, so that what cannot be asked is found."""

    def respond(
        self, texts: Sequence[str], *, max_new_tokens: int, temperature: float
    ) -> list[Reply]:
        self._policy.require_fit(self._policy.tokens(texts), max_new_tokens)
        return [Reply("", 0, truncated=False) for _ in texts]

    def log_likelihoods(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, bool]]:
        return [(0.0, False) for _ in self._rows(pairs)]
