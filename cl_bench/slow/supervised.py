"""Supervised fine-tuning: the parameters are fitted to solutions of the exercises.

The loss is the cross-entropy of every token of the solution and of the token that ends the turn,
after the seed prompt and the problem, whose own tokens have no loss; a mean over the step's tokens.
That is TRL's `SFTTrainer` with its `completion_only_loss`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from math import nan

from torch import Tensor

from cl_bench.contract.learner import Batch, Ledger, solution_of
from cl_bench.contract.prompts import chat, in_turn
from cl_bench.contract.records import StepRecord
from cl_bench.model import ranks
from cl_bench.model.inputs import prompts_and_responses
from cl_bench.model.memory import gradient_passes, scoring_rows
from cl_bench.model.policy import Policy
from cl_bench.model.scoring import response_log_probs
from cl_bench.model.sharding import idle_passes
from cl_bench.slow.optimizer import ParameterTrainer, adamw
from cl_bench.slow.settings import SlowConfig

_ROWS_PER_PASS = 32
"""Solutions that one pass of the gradient reads, where memory allows."""

_Row = tuple[list[int], list[int]]
"""A prompt and the response to it, as token ids."""


class SupervisedTuning(ParameterTrainer):
    """One step on the solutions of a batch; each exercise reads one of the system prompts, in turn.

    Nothing is sampled: a record has the loss, in nats a token, and its gradient, and the ledger
    counts the solutions' tokens, and no rollouts.
    """

    counts_file = "sft.json"

    def __init__(self, policy: Policy, config: SlowConfig, ledger: Ledger) -> None:
        super().__init__(policy, adamw(policy, config.learning_rate), config)
        self._ledger = ledger

    def _step(self, batch: Batch, prompts: Sequence[str]) -> StepRecord:
        started = time.perf_counter()
        self._steps += 1  # first, so that an error names this step
        rows = self._rows(batch, prompts)
        loss, grad_norm = self._update(self._losses(rows))
        seconds = time.perf_counter() - started
        tokens = sum(len(solution) for _, solution in rows)
        self._ledger.add("slow", solution_tokens=tokens, optimizer_steps=1, seconds=seconds)
        return StepRecord(nan, nan, loss, grad_norm, nan, nan, seconds)

    def _rows(self, batch: Batch, prompts: Sequence[str]) -> list[_Row]:
        """Return each exercise as its prompt and solution."""
        systems = in_turn(prompts, range(len(batch)))
        chats = [chat(system, item.prompt) for system, item in zip(systems, batch, strict=True)]
        solutions = self._policy.response_tokens([solution_of(item) for item in batch])
        asked = self._policy.encode(chats)
        rows = list(zip(asked, solutions, strict=True))
        for row in rows:
            self._policy.require_solution_fits(*row)
        return rows

    def _losses(self, rows: Sequence[_Row]) -> Iterator[Tensor]:
        """Yield the mean cross-entropy of a token as the parts that passes contribute to it."""
        model, tokens = self._policy.model, sum(len(solution) for _, solution in rows)
        # Rows of like length share a pass, so that little of it is padding.
        order = sorted(rows, key=lambda row: (len(row[1]), len(row[0])))
        most = scoring_rows(model, len(order[-1][1]), _ROWS_PER_PASS)
        own = order[ranks.rank() :: ranks.count()]
        sizes = [(tuple(prompt), len(prompt), len(solution)) for prompt, solution in own]
        passes = [own[part] for part in gradient_passes(model, sizes, most)]
        for part in passes:
            yield self._loss(part) / tokens
        for _ in range(idle_passes(model, len(passes))):
            yield self._loss(order[:1]) * 0.0

    def _loss(self, rows: Sequence[_Row]) -> Tensor:
        """Return the cross-entropy of all tokens of the solutions, in nats."""
        policy = self._policy
        ids, mask, width = prompts_and_responses(rows, policy.pad_id, policy.device)
        with policy.autocast():
            log_probs, _ = response_log_probs(policy.model, ids, mask, width, temperature=1.0)
        return -(log_probs * mask[:, -width:]).sum()
