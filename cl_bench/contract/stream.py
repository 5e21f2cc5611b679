"""Streams: ordered stages of tasks, and the exercises a learner meets in them.

A learner sees one uninterrupted sequence of batches. Stages, task names and boundaries belong to
the runner and the tables; only a stream with announced boundaries tells of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from cl_bench.contract.benchmark import Benchmark
from cl_bench.contract.errors import RunDirectoryError, UsageError, at_least, unknown
from cl_bench.contract.learner import Batch, Exercise, Find
from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.task import Domain, FeedbackLevel, Problem, Referenced, Task

STEP_ROLLOUTS = 64
"""Rollouts of a training step of the default size: 8 for each of 8 problems."""
DEFAULT_ROLLOUTS = 80 * STEP_ROLLOUTS
"""Training rollouts of a stage whose length nothing says."""
MOST_STAGES = 1_000
"""Stages that a stream may have."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of a stream on one task."""

    domain: str
    """Name of the domain in the registry."""
    steps: int
    """Training steps in this stage."""
    setting: str = "default"
    """The domain's difficulty: easy, default or hard."""
    source: str = ""
    """The text that the registry finds the domain by, if it is not the name: a file's path."""
    rollouts: int = 0
    """The training rollouts that the stage is made for: `sized` counts its steps anew. 0 leaves the
    steps as they are."""

    def sized(self, step_rollouts: int) -> Stage:
        """Return the stage in as few steps of that many rollouts as have all of its own."""
        if not self.rollouts:
            return self
        return replace(self, steps=ceil(self.rollouts / step_rollouts), rollouts=0)

    @property
    def reference(self) -> str:
        """The text that the registry finds the domain by."""
        return self.source or self.domain

    def load(self) -> Domain:
        """Return the domain; raise `UsageError` for an unknown name."""
        return DOMAINS.load(self.reference)

    @classmethod
    def on(
        cls, found: str, steps: int = 0, setting: str = "default", *, rollouts: int = 0
    ) -> Stage:
        """Return a stage on the domain that the registry finds by `found`.

        Its length is that many steps, or that many rollouts in steps of the default size.
        """
        found = DOMAINS.full(found)
        domain = DOMAINS.load(found)
        source = domain.reference if isinstance(domain, Referenced) else found
        source = "" if source == domain.name else source
        steps = ceil(rollouts / STEP_ROLLOUTS) if rollouts else steps
        return cls(domain.name, steps, setting, source, rollouts)


@dataclass(frozen=True, slots=True)
class Stream:
    """An ordered sequence of stages; `version` changes when numbers stop being comparable."""

    name: str
    stages: tuple[Stage, ...]
    version: str = "1"
    retention: tuple[str, ...] | None = None
    """Domains outside the stream that are evaluated too, as the registry finds them; None leaves
    the choice to `outside`."""

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains in order of first appearance."""
        return tuple(dict.fromkeys(stage.domain for stage in self.stages))

    @property
    def outside(self) -> tuple[str, ...]:
        """Domains that are evaluated though the stream does not train on them.

        They are those that the stream names. If it names none, they are the other built-in ones,
        which the embedded model knows; but there are none if the stream has a domain of a source,
        because such streams are for pretrained models, which do not know the built-in ones.
        """
        if self.retention is not None:
            return self.retention
        if any(DOMAINS.is_sourced(domain) for domain in self.domains):
            return ()
        return tuple(name for name in DOMAINS.table if name not in self.domains)

    @property
    def steps(self) -> int:
        """Training steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    def describe(self) -> dict[str, Any]:
        """Return the stream as plain data, for a manifest."""
        return {
            "name": self.name,
            "version": self.version,
            "stages": [_describe(stage) for stage in self.stages],
            "retention": [_identified(reference) for reference in self.outside],
        }

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Stream:
        """Return the stream that `describe` described, even if other domains are built in now."""
        stages = tuple(
            Stage(stage["domain"], stage["steps"], stage["setting"], stage.get("source", ""))
            for stage in description["stages"]
        )
        retention = tuple(one.get("source") or one["domain"] for one in description["retention"])
        return cls(description["name"], stages, description["version"], retention)


def _describe(stage: Stage) -> dict[str, Any]:
    return _identified(stage.reference) | {"setting": stage.setting, "steps": stage.steps}


def _identified(reference: str) -> dict[str, Any]:
    """Return a domain's name and version, and the reference that finds it if it has another."""
    domain = DOMAINS.load(reference)
    source = {} if domain.name == reference else {"source": reference}
    return {"domain": domain.name, "domain_version": domain.version, **source}


def require_stages(stages: Sequence[Stage]) -> None:
    """Raise `UsageError` for an unknown domain or setting, for two domains of one name, for a
    benchmark, or for too many stages."""
    if len(stages) > MOST_STAGES:
        raise UsageError(
            f"The stream has {len(stages):,} stages, but may have {MOST_STAGES:,}. Give longer "
            "stages, or several streams."
        )
    sources: dict[str, str] = {}
    for stage in stages:
        if sources.setdefault(stage.domain, stage.source) != stage.source:
            raise UsageError(
                f"Two domains of the stream are called {stage.domain!r}: {sources[stage.domain]} "
                f"and {stage.source}. Rename one of the files; tables know a domain by its name."
            )
        if (full := DOMAINS.full(stage.reference)) != stage.reference:
            raise UsageError(
                f"A stage is on {stage.reference!r}; write the name that tables show, {full!r}."
            )
        domain = stage.load()
        if isinstance(domain, Benchmark):
            raise UsageError(
                f"{stage.domain} is a benchmark: it can be evaluated, and not trained on. Give it "
                "to --retention, and name another domain in the stream."
            )
        levels = domain.settings
        if stage.setting not in levels:
            raise unknown(f"setting of {stage.domain}", stage.setting, levels)
        at_least(steps=(stage.steps, 1))


def require_outside(stream: Stream, where: str = "retention") -> None:
    """Raise `UsageError` if a domain that the stream names in `where` is trained on, or if two of
    one name are in there."""
    found: dict[str, str] = {}
    for reference in stream.retention or ():
        name = DOMAINS.load(reference).name
        if name in stream.domains:
            raise UsageError(
                f"{where} names {reference}, which a stage trains on. Domains of retention are "
                "evaluated and never trained on: leave it out."
            )
        if found.setdefault(name, reference) != reference:
            raise UsageError(
                f"{where} names two domains called {name!r}: {found[name]} and {reference}. Leave "
                "one out, or rename its file; tables know a domain by its name."
            )


class Course:
    """A stream under one seed: its tasks with their conventions, and its exercises in order.

    Every learner that follows the same course meets the same exercises in the same order, with
    their `solutions` or without.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        seed: int,
        feedback: FeedbackLevel,
        problems_per_step: int,
        solutions: bool = False,
    ) -> None:
        self.stream, self.seed = stream, seed
        self._size, self._solutions = problems_per_step, solutions
        self._feedback = feedback
        self._tasks: list[Task] = [
            self.task(stage.domain, stage.setting) for stage in stream.stages
        ]
        self._ends = _cumulative([stage.steps for stage in stream.stages])
        self._taken = _steps_before(stream.stages)

    def stage_of(self, step: int) -> int:
        """Return the index of the stage to which training step `step` (1-based) belongs."""
        return next(i for i, end in enumerate(self._ends) if step <= end)

    def end_of(self, stage: int) -> int:
        """Return the last step (1-based) of the stage with that index."""
        return self._ends[stage]

    def batches(self, first: int, last: int) -> list[Batch]:
        """Return the batches of steps `first` … `last` (1-based, inclusive)."""
        return [self._batch(step) for step in range(first, last + 1)]

    def ahead(self, last: int, most: int) -> list[Batch]:
        """Return the batches of up to `most` steps after step `last` (1-based) of its stage."""
        return self.batches(last + 1, min(last + most, self.end_of(self.stage_of(last))))

    def past(self, last: int) -> Find:
        """Return the function that finds an exercise of the steps 1 … `last` by its key."""

        def find(key: str) -> Exercise:
            step = key.partition(".")[0]
            taken = step.isdecimal() and 1 <= int(step) <= last
            found = [e for e in (self._batch(int(step)) if taken else []) if e.key == key]
            if not found:
                raise RunDirectoryError(
                    f"No exercise of the steps 1 to {last} has the key {key!r}: the checkpoint is "
                    "damaged or of another stream. Start the run again with another --out."
                )
            return found[0]

        return find

    @property
    def trained(self) -> dict[tuple[str, str], Task]:
        """The tasks that training takes problems of, by domain and setting."""
        stages = zip(self.stream.stages, self._tasks, strict=True)
        return {(stage.domain, stage.setting): task for stage, task in stages}

    def evaluation_task(self, domain: str) -> Task:
        """Return the task of `domain`, with the convention and setting of training."""
        return self._tasks[self._first_stage(domain)]

    def evaluation_setting(self, domain: str) -> str:
        """Return the setting of `evaluation_task`: that of the domain's first stage."""
        return self.stream.stages[self._first_stage(domain)].setting

    def task(self, domain: str, setting: str) -> Task:
        """Return the task of `domain` that belongs to the course's seed, in any setting."""
        found = self.domain(domain)
        return found.task(seed=self.seed, setting=setting, feedback=self._feedback)

    def domain(self, name: str) -> Domain:
        """Return a domain of the stream by its name."""
        return self.stream.stages[self._first_stage(name)].load()

    def _first_stage(self, domain: str) -> int:
        return next(i for i, stage in enumerate(self.stream.stages) if stage.domain == domain)

    def _batch(self, step: int) -> Batch:
        stage = self.stage_of(step)
        before = self._ends[stage] - self.stream.stages[stage].steps
        # A domain that comes back goes on where its last stage ended: no problem twice.
        start = (self._taken[stage] + step - 1 - before) * self._size
        task = self._tasks[stage]
        problems = task.problems("train", self._size, start)
        return [self._exercise(task, problem, f"{step}.{i}") for i, problem in enumerate(problems)]

    def _exercise(self, task: Task, problem: Problem, key: str) -> Exercise:
        solution = problem.solution if self._solutions else None
        return Exercise(key, problem.prompt, lambda said: task.verify(problem, said), solution)


def _cumulative(steps: Sequence[int]) -> list[int]:
    return [sum(steps[: i + 1]) for i in range(len(steps))]


def _steps_before(stages: Sequence[Stage]) -> list[int]:
    """Return, for each stage, the steps that earlier stages spent on the same domain.

    A domain that comes back goes on with new problems.
    """
    return [
        sum(other.steps for other in stages[:i] if other.domain == stage.domain)
        for i, stage in enumerate(stages)
    ]
