"""Self-distillation: the policy learns to answer without a prompt as it does with one.

Teacher and student are the same weights at the same moment; only the teacher reads the better
prompt, and no gradient flows through it. The loss is the reverse divergence
D_KL(student ‖ teacher) of the next token, over the full vocabulary, at every token of responses
that the student sampled; a mean over the step's tokens. The responses are the student's own,
because its mistakes are where it has to change (arXiv 2306.13649, section 3). The divergence is
exact, because all probabilities are at hand; the sampled token's alone would be a noisy estimate.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import nan

import torch
from torch import Tensor

from cl_bench.contract.learner import Batch, Exercise, Ledger
from cl_bench.contract.prompts import chat, in_turn
from cl_bench.contract.records import StepRecord
from cl_bench.model.inputs import prompts_and_responses
from cl_bench.model.memory import gradient_passes, scoring_rows
from cl_bench.model.policy import Policy, Rollout
from cl_bench.model.scoring import response_logits
from cl_bench.slow.optimizer import ParameterTrainer, adamw, finite_sampling
from cl_bench.slow.settings import SlowConfig

_ROWS_PER_PASS = 32
"""Responses that one pass of the gradient reads, where memory allows."""


@dataclass(frozen=True, slots=True)
class _Lesson:
    """A response of the student, and what each of the two read before it; all as token ids."""

    student: tuple[int, ...]
    teacher: tuple[int, ...]
    response: tuple[int, ...]


class SelfDistillation(ParameterTrainer):
    """One step of distillation a batch.

    The student reads the seed prompt and answers every exercise G times; over those responses the
    teacher's prompts are spread evenly, each over `config.prompt_run` in a row. A record's loss is
    the divergence in nats a token. Its reward is what the student's responses score; nothing is
    learned from it, hence there is no signal.
    """

    counts_file = "distill.json"

    def __init__(self, policy: Policy, config: SlowConfig, ledger: Ledger) -> None:
        super().__init__(policy, adamw(policy, config.learning_rate), config)
        self._config, self._ledger = config, ledger

    def _step(self, batch: Batch, prompts: Sequence[str]) -> StepRecord:
        started = time.perf_counter()
        self._steps += 1  # first, so that an error names this step
        exercises = [exercise for exercise in batch for _ in range(self._config.group_size)]
        rollouts = self._sample(exercises)
        reward = self._reward(exercises, rollouts)
        heard = self._teachers(exercises, prompts)
        lessons = [
            _Lesson(rollout.prompt_ids, tuple(teacher), rollout.completion_ids)
            for rollout, teacher in zip(rollouts, heard, strict=True)
        ]
        loss, grad_norm = self._update(self._divergences(lessons))
        self._rollouts += len(lessons)
        tokens = sum(len(lesson.response) for lesson in lessons)
        seconds = time.perf_counter() - started
        self._ledger.add(
            "slow",
            rollouts=len(lessons),
            prompt_tokens=sum(len(lesson.student) for lesson in lessons),
            generated_tokens=tokens,
            optimizer_steps=1,
            seconds=seconds,
        )
        entropy = sum(rollout.entropy for rollout in rollouts) / tokens
        return StepRecord(reward, nan, loss, grad_norm, entropy, tokens / len(lessons), seconds)

    def _sample(self, exercises: Sequence[Exercise]) -> list[Rollout]:
        """Return one response of the student to each exercise."""
        with finite_sampling(self._steps, self._config.learning_rate):
            return self._policy.generate(
                [chat(self._config.seed_prompt, item.prompt) for item in exercises],
                max_new_tokens=self._config.max_new_tokens,
                temperature=self._config.temperature,
            )

    def _reward(self, exercises: Sequence[Exercise], rollouts: Sequence[Rollout]) -> float:
        """Return the mean score of the student's responses."""
        pairs = zip(exercises, rollouts, strict=True)
        scores = [float(rollout.judged_by(item.judge).score) for item, rollout in pairs]
        reward = sum(scores) / len(scores)
        self._check(reward, "reward")
        return reward

    def _teachers(self, exercises: Sequence[Exercise], prompts: Sequence[str]) -> list[list[int]]:
        """Return the teacher's prompt for each response, as tokens: in turn, over the whole run."""
        rollouts = range(self._rollouts, self._rollouts + len(exercises))
        systems = in_turn(prompts, rollouts, run=self._config.prompt_run)
        chats = [chat(system, item.prompt) for item, system in zip(exercises, systems, strict=True)]
        self._policy.require_room(chats, self._config.max_new_tokens)
        return self._policy.encode(chats)

    def _divergences(self, lessons: Sequence[_Lesson]) -> Iterator[Tensor]:
        """Yield the divergence of a token, in nats, as the parts that passes contribute to it."""
        # Where both read the same prompt the gradient is 0 but for rounding, and AdamW, which
        # divides by the gradient's own scale, would make a whole step of the rounding errors.
        moving = [lesson for lesson in lessons if lesson.teacher != lesson.student]
        tokens = sum(len(lesson.response) for lesson in lessons)
        for rows in self._passes(moving):
            yield self._divergence(rows) / tokens

    def _passes(self, lessons: Sequence[_Lesson]) -> Iterator[Sequence[_Lesson]]:
        """Yield the lessons in parts whose passes stay within the memory's budget."""
        longest = max((len(lesson.response) for lesson in lessons), default=1)
        # The teacher's and the student's logits are alive together, with a gradient.
        most = scoring_rows(self._policy.model, longest, _ROWS_PER_PASS)
        rows = [(lesson.student, len(lesson.student), len(lesson.response)) for lesson in lessons]
        for part in gradient_passes(self._policy.model, rows, most):
            yield lessons[part]

    def _divergence(self, lessons: Sequence[_Lesson]) -> Tensor:
        """Return D_KL(student ‖ teacher) in nats, summed over the tokens of all responses."""
        log_p, sampled = self._log_probs([(one.student, one.response) for one in lessons])
        with torch.no_grad():
            log_q, _ = self._log_probs([(one.teacher, one.response) for one in lessons])
        return ((log_p.exp() * (log_p - log_q)).sum(-1) * sampled).sum()

    def _log_probs(
        self, rows: Sequence[tuple[Sequence[int], Sequence[int]]]
    ) -> tuple[Tensor, Tensor]:
        """Return log-probabilities at the responses of (prompt, response) rows, and their mask.

        Shapes are (rows, longest response, vocabulary) and (rows, longest response).
        """
        policy = self._policy
        ids, mask, width = prompts_and_responses(rows, policy.pad_id, policy.device)
        with policy.autocast():
            logits = response_logits(policy.model, ids, mask, width)
        return torch.log_softmax(logits / self._config.temperature, dim=-1), mask[:, -width:]
