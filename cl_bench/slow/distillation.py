"""Self-distillation: the policy learns to answer without a prompt as it does with one.

Teacher and student are the same weights at the same moment, or the teacher is the frozen base; only
the teacher reads the better prompt, and no gradient flows through it. The loss is the reverse
divergence D_KL(student ‖ teacher) of the next token, over the full vocabulary, at every token of
responses that the student sampled; a mean over the step's tokens. The responses are the student's
own, because its mistakes are where it has to change (arXiv 2306.13649, section 3). The divergence
is exact, because all probabilities are at hand; the sampled token's alone would be a noisy
estimate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from math import nan
from typing import Any

import torch
from torch import Tensor

from cl_bench.contract.learner import Batch, Exercise, Ledger
from cl_bench.contract.prompts import chat, in_turn
from cl_bench.contract.records import StepRecord
from cl_bench.contract.task import Verdict
from cl_bench.model import ranks
from cl_bench.model.inputs import prompts_and_responses
from cl_bench.model.memory import gradient_passes, scoring_rows
from cl_bench.model.output_head import in_pieces
from cl_bench.model.policy import Policy, Rollout, verdicts
from cl_bench.model.scoring import response_logits, response_states, whole_logits
from cl_bench.model.sharding import idle_passes
from cl_bench.slow.optimizer import ParameterTrainer, adamw, finite_sampling
from cl_bench.slow.settings import SlowConfig

_ROWS_PER_PASS = 32
"""Responses that one pass of the gradient reads, where memory allows."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An exercise, a response of the student to it, and what the judge said of that."""

    exercise: Exercise
    response: str
    verdict: Verdict


Teach = Callable[[Sequence[Attempt]], Sequence[str | None]]
"""Returns the system prompt that the teacher reads over each attempt of a step, where those of one
exercise stand together; None where there is nothing to teach."""


@dataclass(frozen=True, slots=True)
class _Lesson:
    """A response of the student, and what each of the two read before it; all as token ids."""

    student: tuple[int, ...]
    teacher: tuple[int, ...]
    response: tuple[int, ...]


class SelfDistillation(ParameterTrainer):
    """One step of distillation a batch.

    The student reads the seed prompt and answers every exercise G times. Over each response the
    teacher reads what `teach` gives; without it the step's prompts are spread evenly, each over
    `config.prompt_run` in a row. With `from_base` the teacher has the weights of the frozen base. A
    record's loss is the divergence in nats a token, of which a response that nothing is taught
    about has none. Its reward is what the student's responses score; hence there is no signal.
    """

    counts_file = "distill.json"

    def __init__(
        self,
        policy: Policy,
        config: SlowConfig,
        ledger: Ledger,
        teach: Teach | None = None,
        *,
        from_base: bool = False,
    ) -> None:
        super().__init__(policy, adamw(policy, config.learning_rate), config)
        self._config, self._ledger = config, ledger
        self._teach, self._from_base = teach, from_base

    def _step(self, batch: Batch, prompts: Sequence[str]) -> StepRecord:
        started = time.perf_counter()
        self._steps += 1  # first, so that an error names this step
        exercises = [exercise for exercise in batch for _ in range(self._config.group_size)]
        rollouts = self._sample(exercises)
        found = verdicts(rollouts, [item.judge for item in exercises])
        attempts = [
            Attempt(item, rollout.text, verdict)
            for item, rollout, verdict in zip(exercises, rollouts, found, strict=True)
        ]
        reward = sum(float(attempt.verdict.score) for attempt in attempts) / len(attempts)
        self._check(reward, "reward")
        heard = self._teachers(attempts, prompts)
        lessons = [
            _Lesson(
                rollout.prompt_ids, tuple(teacher or rollout.prompt_ids), rollout.completion_ids
            )
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

    def _teachers(
        self, attempts: Sequence[Attempt], prompts: Sequence[str]
    ) -> list[list[int] | None]:
        """Return what the teacher reads over each response, as tokens; None: nothing is taught."""
        systems = self._systems(attempts, prompts)
        chats = [
            chat(system, attempt.exercise.prompt)
            for attempt, system in zip(attempts, systems, strict=True)
            if system is not None
        ]
        heard = self._policy.encode(chats) if chats else []
        self._policy.require_fit(heard, self._config.max_new_tokens)
        left = iter(heard)
        return [None if system is None else next(left) for system in systems]

    def _systems(self, attempts: Sequence[Attempt], prompts: Sequence[str]) -> Sequence[str | None]:
        if self._teach is not None:
            return self._teach(attempts)
        # The prompts take turns over the whole run.
        rollouts = range(self._rollouts, self._rollouts + len(attempts))
        return in_turn(prompts, rollouts, run=self._config.prompt_run)

    def _divergences(self, lessons: Sequence[_Lesson]) -> Iterator[Tensor]:
        """Yield the divergence of a token, in nats, as the parts that passes contribute to it."""
        # Where both read the same prompt the gradient is 0 but for rounding, and AdamW, which
        # divides by the gradient's own scale, would make a whole step of the rounding errors.
        moving = [lesson for lesson in lessons if lesson.teacher != lesson.student]
        tokens = sum(len(lesson.response) for lesson in lessons)
        passes = list(self._passes(moving[ranks.rank() :: ranks.count()]))
        for rows in passes:
            yield self._divergence(rows) / tokens
        for _ in range(idle_passes(self._policy.model, len(passes))):
            yield self._divergence(moving[:1]) * 0.0

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
        policy, model = self._policy, self._policy.model
        ids, mask, width = self._texts([(one.student, one.response) for one in lessons])
        whole = whole_logits(model, len(lessons) * width)
        read: Callable[..., Any] = response_logits if whole else response_states
        teacher = policy.base() if self._from_base else nullcontext(model)
        with policy.autocast():
            student = read(model, ids, mask, width)
            with torch.no_grad(), teacher as teaching:
                heard = self._texts([(one.teacher, one.response) for one in lessons])
                taught = read(teaching, *heard)
            if whole:
                (kl,) = self._of_each(student, taught)
            else:
                (kl,) = in_pieces(self._of_each, [student, taught])
        return (kl * mask[:, -width:]).sum()

    def _of_each(self, student: Tensor, teacher: Tensor) -> tuple[Tensor]:
        """Return the divergence at each position, from two of logits (…, vocabulary)."""
        log_p, log_q = (
            torch.log_softmax(logits.float() / self._config.temperature, dim=-1)
            for logits in (student, teacher)
        )
        return ((log_p.exp() * (log_p - log_q)).sum(-1),)

    def _texts(
        self, rows: Sequence[tuple[Sequence[int], Sequence[int]]]
    ) -> tuple[Tensor, Tensor, int]:
        """Return ids, mask and the responses' width of (prompt, response) rows."""
        return prompts_and_responses(rows, self._policy.pad_id, self._policy.device)
