"""Scores a policy on every domain of a stream, under the seed prompt and under the learner's own.

For each set of test problems and each prompt it measures accuracy (the mean of `samples` responses
to each problem), the exact divergences from the base model (see `Policy.divergence`) and the
policy's entropy. There are three divergences: both models under this prompt; both under the seed
prompt (the rows of the seed prompt); and as deployed, the policy under this prompt from the base
under the seed prompt. At the start and at every stage's end it measures in addition:

- domains outside of the stream, under prompts that state what to do, and benchmarks of other
  suites, which ask and score in their own way (retention);
- the stream's domains in their hardest setting, under the seed prompt (harder);
- the base model, on the stream's own problems under both prompts. With the policy's rows these are
  the 2x2 of weights and prompts, which tells what each channel gained;
- if the configuration asks for it, the stream's own problems once more, at temperature 0 (greedy).

Validation problems, if any are asked for, come at every evaluation, under both prompts.

The base's responses do not depend on the step. They are those of step 0, where the policy is the
base: at step 0 the policy's rows are copied; later, for a prompt without a copy (a new one, or any
after a resume), they are sampled with the seed of step 0. So the base under the seed prompt is row
0 of the accuracy matrix. Nothing here touches the random state of training.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch

from cl_bench.contract.benchmark import Benchmark
from cl_bench.contract.errors import UsageError
from cl_bench.contract.learner import LearnerConfig
from cl_bench.contract.prompts import Message, chat
from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.stream import Course
from cl_bench.contract.task import hashed_rng
from cl_bench.execution.evaluation_rows import Row, Scored, of_benchmark, repeated, score
from cl_bench.execution.problem_sets import (
    Item,
    ProblemSet,
    greedy_set,
    harder_set,
    retention_set,
    stream_set,
    validation_set,
)
from cl_bench.execution.settings import EvaluationConfig
from cl_bench.model.policy import Policy, Rollout
from cl_bench.model.random_states import random_states_kept, seed_everything
from cl_bench.model.scoring import Divergence
from cl_bench.model.text_model import PolicyTexts, Rehearsal
from cl_bench.store.rows import is_stream_row

Kept = TypeVar("Kept")
_ELSEWHERE = ""
"""Stands, in keys, for the prompts of sets whose prompts never change."""


@dataclass(frozen=True)
class Evaluation:
    """One evaluation point: rows for the tables of these names."""

    evaluations: list[Row]
    items: list[Row]
    transcripts: list[Row]

    def accuracy(self, domain: str, prompt: str = "learner") -> float:
        """Return the policy's accuracy on a domain of the stream, under either prompt.

        Raises `KeyError` if that was not evaluated.
        """
        for row in filter(is_stream_row, self.evaluations):
            if row["domain"] == domain and row["prompt"] == prompt:
                return float(str(row["accuracy"]))
        raise KeyError(f"{domain} under the {prompt} prompt was not evaluated")


class Evaluator:
    """Evaluates one policy on fixed test problems, again and again.

    They are those of the stream of `course`, and of the domains outside of it that `retention`
    names; responses are sampled as `learning` says. The base's responses depend on the system
    prompt alone; those under the last few prompts are kept and not sampled again.
    """

    def __init__(
        self,
        policy: Policy,
        course: Course,
        config: EvaluationConfig,
        retention: Sequence[str] = (),
        *,
        learning: LearnerConfig,
    ) -> None:
        self._policy, self._config, self._seed = policy, config, course.seed
        self._learning, self._seed_prompt = learning, learning.seed_prompt
        self._unmoved = False
        """Whether the policy equals the base in the current evaluation."""
        count, samples, domains = config.items, config.samples, course.stream.domains
        self._stream = [stream_set(course, domain, count, samples) for domain in domains]
        self._greedy = [greedy_set(problems) for problems in self._stream] if config.greedy else []
        self._validation = [
            validation_set(course, domain, config.validation_items, samples)
            for domain in domains
            if config.validation_items
        ]
        hardest = (harder_set(course, course.domain(name), count, samples) for name in domains)
        self._harder = [problems for problems in hardest if problems] if config.probes else []
        outside = [DOMAINS.load(domain) for domain in retention if config.retention_items]
        self._benchmarks = [domain for domain in outside if isinstance(domain, Benchmark)]
        self._retention = [
            retention_set(domain, course.seed, config.retention_items, self._seed_prompt)
            for domain in outside
            if not isinstance(domain, Benchmark)
        ]
        self._base_rollouts: dict[tuple[str, str], list[Rollout]] = {}
        self._base_scores: dict[tuple[str, str], Scored] = {}

    def notes(self) -> list[str]:
        """Say of which domains there are fewer different problems than were asked for."""
        wanted = {"validation": ("validation", "validation_items", self._config.validation_items)}
        asked = ("test", "items", self._config.items)
        lines = []
        for problems in (*self._stream, *self._harder, *self._validation):
            split, setting, count = wanted.get(problems.name, asked)
            if (found := len(problems.items)) < count:
                lines.append(
                    f"{problems.domain}: only {found} different {split} problems were found in the "
                    f"setting {problems.setting}, of the {count} that {setting} asks for."
                )
        return lines

    def require_room(self) -> None:
        """Raise `UsageError` if a problem, with the seed prompt or its own, exceeds the context,
        or if a benchmark cannot be asked: its requests are all made and its scores computed."""
        own = [s.under(self._seed_prompt) for s in (*self._stream, *self._validation)]
        self._require_room(own + self._retention)
        for benchmark in self._benchmarks:
            with random_states_kept(self._policy.device):
                try:
                    benchmark.measure(Rehearsal(self._policy), self._config.retention_items)
                except UsageError as error:
                    raise UsageError(f"In {benchmark.name}: {error}") from error
        try:
            self._require_room([s.under(self._seed_prompt) for s in self._harder])
        except UsageError as error:
            advice = "It is of the hardest setting; --no-probes (probes=False) leaves that out."
            raise UsageError(f"{error} {advice}") from error

    def _require_room(self, sets: Sequence[ProblemSet]) -> None:
        for problems in sets:
            chats = [_chat(item) for item in problems.items]
            self._policy.require_room(chats, self._learning.max_new_tokens)

    def evaluate(self, step: int, learner_prompt: str, *, boundary: bool = False) -> Evaluation:
        """Return the rows of the stream's domains under both prompts; with `boundary`, all rows.

        `step` is part of the sampling seed and of the rows; at step 0 the policy is the base.
        Raises `DivergedError` if a distribution is not finite.
        """
        found: list[Scored] = []
        # An equal policy diverges nowhere, which saves a pass of the base over every response.
        self._unmoved = step == 0 or self._policy.is_base()
        with_base = boundary and self._config.probes
        for problems in self._stream:
            found += self._under_both(problems, step, learner_prompt, with_base=with_base)
        told = [row for scored in found for row in scored.transcripts] if boundary else []
        # Transcripts of the stream's problems only: `told` is complete before the other sets.
        for problems in (*self._validation, *(self._greedy if boundary else ())):
            found += self._under_both(problems, step, learner_prompt)
        for problems, kind in self._elsewhere() if boundary else ():
            scored = self._of_policy(problems, step, kind, _ELSEWHERE)
            found.append(scored.labelled(_label(step, problems, kind, "trained")))
        found += [self._of_benchmark(each, step) for each in self._benchmarks if boundary]
        items = [row for scored in found for row in scored.items]
        return Evaluation([scored.evaluation for scored in found], items, told)

    def _elsewhere(self) -> Iterator[tuple[ProblemSet, str]]:
        """Yield the sets that are asked at boundaries only, each with the name of its prompt."""
        for problems in self._harder:
            yield problems.under(self._seed_prompt), "seed"
        for problems in self._retention:
            yield problems, "stated"

    def _of_benchmark(self, benchmark: Benchmark, step: int) -> Scored:
        """Return the scored items of a benchmark, of which neither prompt is known here."""
        with random_states_kept(self._policy.device):
            seed_everything(self._seed_of(step, benchmark.name))
            items = benchmark.measure(PolicyTexts(self._policy), self._config.retention_items)
        label = {"step": step, "domain": benchmark.name, "test_set": "retention"}
        label |= {"setting": "default", "prompt": "stated", "weights": "trained"}
        return of_benchmark(items, benchmark.temperature).labelled(label)

    def _under_both(
        self, problems: ProblemSet, step: int, learner_prompt: str, *, with_base: bool = False
    ) -> list[Scored]:
        """Return the rows of one domain under both prompts, sampled once if these are equal."""
        prompts = {"seed": self._seed_prompt, "learner": learner_prompt}
        trained: dict[str, Scored] = {}
        base: dict[str, Scored] = {}
        for kind, prompt in prompts.items():
            if prompt in trained:
                continue  # the learner's prompt is still the seed prompt
            asked = problems.under(prompt)
            trained[prompt] = self._of_policy(asked, step, kind, prompt)
            if with_base:
                # An engine does not draw what the base, beside it, draws after a resume.
                alike = step == 0 and self._policy.sampler.own_model
                copied = trained[prompt].as_base() if alike else None
                base[prompt] = self._of_base(asked, kind, prompt, copied)
        return [
            scored[prompt].labelled(_label(step, problems, kind, weights))
            for weights, scored in (("trained", trained), ("base", base))
            for kind, prompt in prompts.items()
            if scored
        ]

    def _of_policy(self, asked: ProblemSet, step: int, kind: str, prompt: str) -> Scored:
        """Return the scored responses of the policy.

        `kind` is part of the sampling seed; `prompt` is the key of the base's responses.
        """
        temperature = self._temperature(asked)
        with self._sampling_seed(step, asked.key, kind):
            rollouts = self._sample(repeated(asked), temperature, from_base=False)
        if not asked.diverges:
            return self._scored(asked, rollouts, None, None)
        # Accuracy needs all samples; a divergence is exact on one response to each problem.
        first = rollouts[:: asked.samples]
        forward = self._measure(asked, first, from_base=False, same=self._unmoved)
        base = self._from_base(asked, prompt)
        backward = self._measure(asked, base, from_base=True, same=self._unmoved, deployed=False)
        return self._scored(asked, rollouts, forward, backward)

    def _of_base(self, asked: ProblemSet, kind: str, prompt: str, copied: Scored | None) -> Scored:
        """Return the scored responses of the base: copies of step 0, or equal to what it gave."""
        key = (asked.key, prompt)
        if copied is not None:
            self._base_scores[key] = copied
        elif key not in self._base_scores:
            with self._sampling_seed(0, asked.key, kind):
                rollouts = self._sample(repeated(asked), self._temperature(asked), from_base=True)
            own = self._measure(asked, rollouts[:: asked.samples], from_base=True, same=True)
            self._base_scores[key] = self._scored(asked, rollouts, own, own).as_base()
        scored = self._base_scores[key]
        self._forget(self._base_scores)
        return scored

    def _from_base(self, asked: ProblemSet, prompt: str) -> list[Rollout]:
        """Return one response of the base to each problem on which divergences are measured."""
        key = (asked.key, prompt)
        if key not in self._base_rollouts:
            # Seeded apart from the step, so that a resumed run samples the same ones.
            with self._sampling_seed("base", *key):
                measured = asked.items[: self._config.kl_items or None]
                self._base_rollouts[key] = self._sample(
                    measured, self._temperature(asked), from_base=True
                )
            self._forget(self._base_rollouts)
        return self._base_rollouts[key]

    def _forget(self, kept: dict[tuple[str, str], Kept]) -> None:
        """Drop the entries of all prompts of the learner but the last few.

        Four prompts for each domain: a learner may go back to an earlier prompt, but memory has to
        stay bounded over a long run.
        """
        evolved = [key for key in kept if key[1] not in (_ELSEWHERE, self._seed_prompt)]
        for old in evolved[: -4 * len(self._stream)]:
            del kept[old]

    def _temperature(self, asked: ProblemSet) -> float:
        return 0.0 if asked.name == "greedy" else self._learning.temperature

    def _sample(
        self, items: Sequence[Item], temperature: float, *, from_base: bool
    ) -> list[Rollout]:
        return self._policy.generate(
            [_chat(item) for item in items],
            max_new_tokens=self._learning.max_new_tokens,
            temperature=temperature,
            from_base=from_base,
        )

    def _measure(
        self,
        asked: ProblemSet,
        rollouts: Sequence[Rollout],
        *,
        from_base: bool,
        same: bool,
        deployed: bool = True,
    ) -> Divergence:
        """Return the divergences along the first responses, from their model to the other one.

        With `deployed` also those from the base under the seed prompt, where a problem has another.
        """
        count = self._config.kl_items or len(rollouts)
        start = [chat(self._seed_prompt, item.problem.prompt) for item in asked.items[:count]]
        moved = any(item.system != self._seed_prompt for item in asked.items)
        deployed = deployed and moved and asked.name == "stream"
        return self._policy.divergence(
            rollouts[:count],
            from_base=from_base,
            temperature=self._learning.temperature,
            same=same,
            start=start if deployed else None,
        )

    def _scored(
        self,
        asked: ProblemSet,
        rollouts: Sequence[Rollout],
        forward: Divergence | None,
        backward: Divergence | None,
    ) -> Scored:
        return score(
            asked,
            rollouts,
            forward,
            backward,
            temperature=self._temperature(asked),
            transcripts=self._config.transcripts,
        )

    @contextmanager
    def _sampling_seed(self, *parts: object) -> Iterator[None]:
        """Seed torch's generators by a hash of `parts`; restore them at the end of the context."""
        device = self._policy.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(self._seed_of(*parts))
            yield

    def _seed_of(self, *parts: object) -> int:
        return hashed_rng("evaluation", self._seed, *parts).getrandbits(63)


def _chat(item: Item) -> list[Message]:
    return chat(item.system, item.problem.prompt)


def _label(step: int, problems: ProblemSet, prompt: str, weights: str) -> Row:
    return {"step": step, **problems.label, "prompt": prompt, "weights": weights}
