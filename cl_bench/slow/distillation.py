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
from cl_bench.model.inputs import left_pad
from cl_bench.model.memory import gradient_passes, scoring_rows
from cl_bench.model.output_head import in_pieces
from cl_bench.model.policy import Policy, Rollout
from cl_bench.model.scoring import response_logits, response_states, whole_logits
from cl_bench.slow.optimizer import (
    ParameterTrainer,
    adamw,
    finite_sampling,
    most_norm,
    require_finite,
)
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
        loss, grad_norm = self._learn(lessons)
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

    def _learn(self, lessons: Sequence[_Lesson]) -> tuple[float, float]:
        """Update once; return the divergence of a token in nats, and the norm of its gradient."""
        # Where both read the same prompt the gradient is 0 but for rounding, and AdamW, which
        # divides by the gradient's own scale, would make a whole step of the rounding errors.
        moving = [lesson for lesson in lessons if lesson.teacher != lesson.student]
        tokens = sum(len(lesson.response) for lesson in lessons)
        model, loss = self._policy.model, 0.0
        model.train(False)  # dropout would make student and teacher differ by chance
        self._adam.zero_grad(set_to_none=True)
        for rows in self._passes(moving):
            part = self._divergence(rows) / tokens
            # Each pass walks back at once, so that only one graph is alive; gradients add up.
            part.backward()  # type: ignore[no-untyped-call]
            loss += float(part.detach())
        self._check(loss, "loss")
        norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), most_norm(self._config)))
        self._check(norm, "gradient norm")
        self._adam.step()
        return loss, norm

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
        model = self._policy.model
        responses, sampled = _right_pad([lesson.response for lesson in lessons])
        keep = responses.shape[1]
        student = self._texts([lesson.student for lesson in lessons], responses, sampled)
        teacher = self._texts([lesson.teacher for lesson in lessons], responses, sampled)
        with self._policy.autocast():
            if whole_logits(model, responses.numel()):
                logits = response_logits(model, *student, keep)
                with torch.no_grad():
                    heard = response_logits(model, *teacher, keep)
                (kl,) = self._of_each(logits, heard)
            else:
                states = response_states(model, *student, keep)
                with torch.no_grad():
                    heard_states = response_states(model, *teacher, keep)
                (kl,) = in_pieces(self._of_each, [states, heard_states])
        return (kl * sampled.to(kl.device)).sum()

    def _of_each(self, student: Tensor, teacher: Tensor) -> tuple[Tensor]:
        """Return the divergence at each position, from two of logits (…, vocabulary)."""
        log_p, log_q = (
            torch.log_softmax(logits.float() / self._config.temperature, dim=-1)
            for logits in (student, teacher)
        )
        return ((log_p.exp() * (log_p - log_q)).sum(-1),)

    def _texts(
        self, prompts: Sequence[Sequence[int]], responses: Tensor, sampled: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return ids and mask of `responses` after `prompts`."""
        ids, mask = left_pad(prompts, self._policy.pad_id)
        whole = (torch.cat(parts, dim=1) for parts in ((ids, responses), (mask, sampled)))
        ids, mask = (part.to(self._policy.device) for part in whole)
        return ids, mask

    def _check(self, value: float, name: str) -> None:
        require_finite(value, name, step=self._steps, learning_rate=self._config.learning_rate)


def _right_pad(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return token ids (rows, longest row), padded on the right with zeros, and their mask."""
    ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
    lengths = torch.tensor([len(row) for row in rows])
    return ids, (torch.arange(ids.shape[1]) < lengths[:, None]).long()
