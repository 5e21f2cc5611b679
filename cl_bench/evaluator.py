"""Scores a policy on every domain of a stream, under the seed prompt and under the learner's own.

For each domain and prompt: accuracy as the mean of `samples` responses to each test problem, both
divergences from the base model, token-exact (see `Policy.divergence`), and the policy's entropy.
Nothing here touches the random state of training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf

import torch

from cl_bench.errors import UsageError, at_least
from cl_bench.policy import Divergence, Policy, Rollout
from cl_bench.prompts import SEED_PROMPT, chat
from cl_bench.task import Problem, Task, Verdict, hashed_rng

Row = dict[str, object]


@dataclass(frozen=True)
class EvaluationConfig:
    """How a policy is evaluated."""

    items: int = 64
    """Test problems of each domain."""
    samples: int = 4
    """Responses sampled to each problem; accuracy is their mean (mean@4 in the paper)."""
    temperature: float = 1.0
    """Sampling temperature, for accuracy and divergence alike."""
    max_new_tokens: int = 96
    """Length at which a response is cut, in tokens."""

    def __post_init__(self) -> None:
        at_least(
            items=(self.items, 1),
            samples=(self.samples, 1),
            max_new_tokens=(self.max_new_tokens, 1),
        )
        if not 0 < self.temperature < inf:
            raise UsageError(f"temperature is {self.temperature}, but must be above 0.")


@dataclass(frozen=True)
class Evaluation:
    """One evaluation point: rows for the tables `evaluations` and `items`."""

    evaluations: list[Row]
    items: list[Row]

    def accuracy(self, domain: str, prompt: str = "learner") -> float:
        """Accuracy on a domain under the seed prompt or the learner's."""
        for row in self.evaluations:
            if row["domain"] == domain and row["prompt"] == prompt:
                return float(str(row["accuracy"]))
        raise KeyError(f"{domain} under the {prompt} prompt was not evaluated")


class Evaluator:
    """Evaluates one policy on fixed test problems, again and again.

    Base responses depend on the system prompt alone, so those to the last few prompts are kept.
    """

    def __init__(
        self, policy: Policy, tasks: Mapping[str, Task], config: EvaluationConfig, seed: int
    ) -> None:
        self._policy, self._tasks, self._config, self._seed = policy, tasks, config, seed
        self._problems = {
            domain: task.problems("test", config.items) for domain, task in tasks.items()
        }
        self._base_rollouts: dict[tuple[str, str], list[Rollout]] = {}

    def evaluate(self, step: int, learner_prompt: str) -> Evaluation:
        """All domains under both prompts; `step` only selects the sampling seed and labels rows."""
        evaluations: list[Row] = []
        items: list[Row] = []
        for domain in self._tasks:
            scored: dict[str, tuple[Row, list[Row]]] = {}
            for kind, prompt in (("seed", SEED_PROMPT), ("learner", learner_prompt)):
                if prompt not in scored:
                    with _sampling_seed(self._policy, self._seed, step, domain, kind):
                        scored[prompt] = self._score(domain, prompt)
                summary, rows = scored[prompt]
                label = {"step": step, "domain": domain, "prompt": kind}
                evaluations.append(label | summary)
                items.extend(label | row for row in rows)
        return Evaluation(evaluations, items)

    def _score(self, domain: str, prompt: str) -> tuple[Row, list[Row]]:
        """The evaluation row and the item rows of one domain under one prompt."""
        config, problems = self._config, self._problems[domain]
        repeated = [problem for problem in problems for _ in range(config.samples)]
        rollouts = self._sample(prompt, repeated, from_base=False)
        verdicts = [
            self._tasks[domain].verify(problem, rollout.text)
            for problem, rollout in zip(repeated, rollouts, strict=True)
        ]
        forward = self._policy.divergence(
            rollouts[:: config.samples], temperature=config.temperature
        )
        backward = self._policy.divergence(
            self._from_base(domain, prompt), from_base=True, temperature=config.temperature
        )
        rows = _item_rows(repeated, rollouts, verdicts, config.samples)
        return self._summary(rollouts, verdicts, forward, backward), rows

    def _from_base(self, domain: str, prompt: str) -> list[Rollout]:
        key = (domain, prompt)
        if key not in self._base_rollouts:
            # Seeded apart from the step, so that a resumed run samples the same ones.
            with _sampling_seed(self._policy, self._seed, "base", domain, prompt):
                sampled = self._sample(prompt, self._problems[domain], from_base=True)
            self._base_rollouts[key] = sampled
            for old in list(self._base_rollouts)[: -4 * len(self._tasks)]:
                if old[1] != SEED_PROMPT:
                    del self._base_rollouts[old]
        return self._base_rollouts[key]

    def _sample(
        self, prompt: str, problems: Sequence[Problem], *, from_base: bool
    ) -> list[Rollout]:
        return self._policy.generate(
            [chat(prompt, problem.prompt) for problem in problems],
            max_new_tokens=self._config.max_new_tokens,
            temperature=self._config.temperature,
            from_base=from_base,
        )

    def _summary(
        self,
        rollouts: Sequence[Rollout],
        verdicts: Sequence[Verdict],
        forward: Divergence,
        backward: Divergence,
    ) -> Row:
        count = len(rollouts)
        return {
            "accuracy": sum(verdict.score for verdict in verdicts) / count,
            "n_items": self._config.items,
            "n_samples": self._config.samples,
            "kl_policy_base": forward.per_token,
            "kl_policy_base_sequence": forward.per_sequence,
            "kl_policy_base_tokens": int(forward.tokens_N.sum()),
            "kl_base_policy": backward.per_token,
            "kl_base_policy_sequence": backward.per_sequence,
            "kl_base_policy_tokens": int(backward.tokens_N.sum()),
            "entropy": forward.entropy,
            "completion_tokens": sum(len(r.completion_ids) for r in rollouts) / count,
            "temperature": self._config.temperature,
        }


def _item_rows(
    problems: Sequence[Problem],
    rollouts: Sequence[Rollout],
    verdicts: Sequence[Verdict],
    samples: int,
) -> list[Row]:
    return [
        {
            "uid": problem.uid,
            "sample": place % samples,
            "score": verdict.score,
            "answer": verdict.answer,
            "completion_tokens": len(rollout.completion_ids),
        }
        for place, (problem, rollout, verdict) in enumerate(
            zip(problems, rollouts, verdicts, strict=True)
        )
    ]


@contextmanager
def _sampling_seed(policy: Policy, *parts: object) -> Iterator[None]:
    """Torch's generators seeded by a hash of `parts` inside, and as they were outside."""
    devices = [policy.device] if policy.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(hashed_rng("evaluation", *parts).getrandbits(63))
        yield
