"""Scores a policy on every domain of a stream, under the seed prompt and under the learner's own,
and on domains outside of the stream under prompts that state what to do.

For each domain and prompt: accuracy as the mean of `samples` responses to each test problem, both
divergences from the base model, token-exact (see `Policy.divergence`), and the policy's entropy.
Nothing here touches the random state of training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from cl_bench.limits import COUNTS, TEMPERATURES, settle
from cl_bench.policy import Divergence, Policy, Rollout
from cl_bench.prompts import SEED_PROMPT, chat, instructions
from cl_bench.registry import DOMAINS
from cl_bench.task import Domain, Problem, Task, Verdict, hashed_rng

Row = dict[str, object]


@dataclass(frozen=True)
class EvaluationConfig:
    """How a policy is evaluated."""

    items: int = 64
    """Different test problems of each domain of the stream; fewer where a domain has fewer."""
    samples: int = 4
    """Responses sampled to each problem; accuracy is their mean (mean@4 in the paper)."""
    retention_items: int = 64
    """Problems of each domain outside the stream, one response each; 0 evaluates none."""
    temperature: float = 1.0
    """Sampling temperature, for accuracy and divergence alike."""
    max_new_tokens: int = 96
    """Length at which a response is cut, in tokens."""

    def __post_init__(self) -> None:
        settle(
            self,
            whole={
                "items": (1, 100_000),
                "samples": (1, 10_000),
                "retention_items": (0, 100_000),
                "max_new_tokens": COUNTS,
            },
            real={"temperature": TEMPERATURES},
        )


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


@dataclass(frozen=True, slots=True)
class _Item:
    """A test problem with its system prompt and its verifier."""

    system: str
    problem: Problem
    verify: Callable[[Problem, str], Verdict]


class Evaluator:
    """Evaluates one policy on fixed test problems, again and again.

    `tasks` are the stream's, by domain. `retention` names domains outside of it: each of their
    items has a convention of its own, drawn from `seed` and stated in its system prompt, so that
    they ask whether the policy still follows instructions. Base responses depend on the system
    prompt alone, so those to the last few prompts are kept.
    """

    def __init__(
        self,
        policy: Policy,
        tasks: Mapping[str, Task],
        config: EvaluationConfig,
        seed: int,
        retention: Sequence[str] = (),
    ) -> None:
        self._policy, self._tasks, self._config, self._seed = policy, tasks, config, seed
        self._problems = {
            domain: distinct_problems(task, config.items) for domain, task in tasks.items()
        }
        self._retention = {
            domain: _retention_items(DOMAINS.load(domain), seed, config.retention_items)
            for domain in retention
            if config.retention_items
        }
        self._base_rollouts: dict[tuple[str, str], list[Rollout]] = {}

    def require_room(self) -> None:
        """Raise `UsageError` if an item with the seed prompt, or its own, exceeds the context."""
        chats = [
            *(
                chat(SEED_PROMPT, p.prompt)
                for problems in self._problems.values()
                for p in problems
            ),
            *(
                chat(i.system, i.problem.prompt)
                for items in self._retention.values()
                for i in items
            ),
        ]
        self._policy.require_room(chats, self._config.max_new_tokens)

    def evaluate(self, step: int, learner_prompt: str, *, retention: bool = False) -> Evaluation:
        """All domains under both prompts, and with `retention` the domains outside the stream.

        `step` only selects the sampling seed and labels rows.
        """
        rows: list[tuple[Row, list[Row]]] = []
        for domain, task in self._tasks.items():
            scored: dict[str, tuple[Row, list[Row]]] = {}
            for kind, prompt in (("seed", SEED_PROMPT), ("learner", learner_prompt)):
                if prompt not in scored:
                    items = [_Item(prompt, p, task.verify) for p in self._problems[domain]]
                    with self._sampling_seed(step, domain, kind):
                        scored[prompt] = self._score(domain, prompt, items, self._config.samples)
                rows.append(_labelled(scored[prompt], step, domain, kind))
        for domain, items in self._retention.items() if retention else ():
            with self._sampling_seed(step, domain, "stated"):
                rows.append(
                    _labelled(self._score(domain, "", items, 1), step, domain, "stated"),
                )
        return Evaluation([row for row, _ in rows], [item for _, items in rows for item in items])

    def _score(
        self, domain: str, prompt: str, items: Sequence[_Item], samples: int
    ) -> tuple[Row, list[Row]]:
        """The evaluation row and the item rows of one domain; `prompt` names the base responses."""
        repeated = [item for item in items for _ in range(samples)]
        rollouts = self._sample(repeated, from_base=False)
        verdicts = [
            item.verify(item.problem, rollout.text)
            for item, rollout in zip(repeated, rollouts, strict=True)
        ]
        temperature = self._config.temperature
        forward = self._policy.divergence(rollouts[::samples], temperature=temperature)
        backward = self._policy.divergence(
            self._from_base(domain, prompt, items), from_base=True, temperature=temperature
        )
        counts = {"n_items": len(items), "n_samples": samples}
        summary = self._summary(rollouts, verdicts, forward, backward) | counts
        return summary, _item_rows(repeated, rollouts, verdicts, samples)

    def _from_base(self, domain: str, prompt: str, items: Sequence[_Item]) -> list[Rollout]:
        key = (domain, prompt)
        if key not in self._base_rollouts:
            # Seeded apart from the step, so that a resumed run samples the same ones.
            with self._sampling_seed("base", domain, prompt):
                self._base_rollouts[key] = self._sample(items, from_base=True)
            evolved = [key for key in self._base_rollouts if key[1] not in ("", SEED_PROMPT)]
            for old in evolved[: -4 * len(self._tasks)]:
                del self._base_rollouts[old]
        return self._base_rollouts[key]

    def _sample(self, items: Sequence[_Item], *, from_base: bool) -> list[Rollout]:
        return self._policy.generate(
            [chat(item.system, item.problem.prompt) for item in items],
            max_new_tokens=self._config.max_new_tokens,
            temperature=self._config.temperature,
            from_base=from_base,
        )

    @contextmanager
    def _sampling_seed(self, *parts: object) -> Iterator[None]:
        """Torch's generators seeded by a hash of `parts` inside, and as they were outside."""
        device = self._policy.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(hashed_rng("evaluation", self._seed, *parts).getrandbits(63))
            yield

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


def distinct_problems(task: Task, count: int) -> list[Problem]:
    """The first `count` test problems with different texts; fewer if the task has no more.

    A task draws its problems with replacement, and counting one twice would make intervals over
    items too narrow. The search ends after 20 draws for each problem asked for.
    """
    found: dict[str, Problem] = {}
    for start in range(0, 20 * count, count):
        for problem in task.problems("test", count, start):
            found.setdefault(problem.prompt, problem)
        if len(found) >= count:
            break
    return list(found.values())[:count]


def _retention_items(domain: Domain, seed: int, count: int) -> list[_Item]:
    """Test problems in the easiest setting, each of a task of its own, whose rules are stated."""
    setting = next(iter(domain.settings))
    items = []
    for number in range(count):
        convention = hashed_rng("retention", domain.name, seed, number).getrandbits(63)
        task = domain.task(seed=convention, setting=setting, feedback="none")
        problem = task.problems("test", 1)[0]
        named = replace(problem, uid=f"retention/{number}/{problem.uid}")
        items.append(_Item(instructions(task.rules()), named, task.verify))
    return items


def _labelled(
    scored: tuple[Row, list[Row]], step: int, domain: str, prompt: str
) -> tuple[Row, list[Row]]:
    label: Row = {"step": step, "domain": domain, "prompt": prompt}
    return label | scored[0], [label | row for row in scored[1]]


def _item_rows(
    items: Sequence[_Item],
    rollouts: Sequence[Rollout],
    verdicts: Sequence[Verdict],
    samples: int,
) -> list[Row]:
    return [
        {
            "uid": item.problem.uid,
            "sample": place % samples,
            "score": verdict.score,
            "answer": verdict.answer,
            "completion_tokens": len(rollout.completion_ids),
        }
        for place, (item, rollout, verdict) in enumerate(
            zip(items, rollouts, verdicts, strict=True)
        )
    ]
