"""Streams: ordered stages of tasks, and the exercises a learner meets in them.

A learner sees one uninterrupted sequence of batches. Stages, task names and boundaries belong to
the runner and the tables; only a stream with announced boundaries tells of them.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Any

from cl_bench.contract.errors import RunDirectoryError, UsageError, at_least, unknown
from cl_bench.contract.learner import Batch, Exercise, Find
from cl_bench.contract.plugins import STREAM_SEPARATOR as _SEPARATOR
from cl_bench.contract.registry import DOMAINS, STREAMS
from cl_bench.contract.task import Domain, FeedbackLevel, Problem, Referenced, Task
from cl_bench.contract.validation import COUNTS, a_text, whole_number

DEFAULT_STEPS = 80
_LONGEST = 8
"""Words between separators that one domain's name may have."""


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
    """What the registry finds the domain by, where that is not its name: the path of a file."""

    @property
    def reference(self) -> str:
        """What the registry finds the domain by."""
        return self.source or self.domain

    def load(self) -> Domain:
        """The domain; unknown names raise `UsageError`."""
        return DOMAINS.load(self.reference)

    @classmethod
    def on(cls, found: str, steps: int, setting: str = "default") -> Stage:
        """A stage on the domain that the registry finds by `found`."""
        domain = DOMAINS.load(found)
        source = domain.reference if isinstance(domain, Referenced) else found
        return cls(domain.name, steps, setting, "" if source == domain.name else source)


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

        Those it names itself; else the other built-in ones, which share the conventions of the
        embedded model, but none beside domains of a source, whose models know no conventions.
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
        """The stream as plain data, for a manifest."""
        return {
            "name": self.name,
            "version": self.version,
            "stages": [_describe(stage) for stage in self.stages],
            "retention": [_identified(reference) for reference in self.outside],
        }

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Stream:
        """The stream that `describe` described, whatever domains there are by now."""
        stages = tuple(
            Stage(stage["domain"], stage["steps"], stage["setting"], stage.get("source", ""))
            for stage in description["stages"]
        )
        retention = tuple(one.get("source") or one["domain"] for one in description["retention"])
        return cls(description["name"], stages, description["version"], retention)


def _describe(stage: Stage) -> dict[str, Any]:
    return _identified(stage.reference) | {"setting": stage.setting, "steps": stage.steps}


def _identified(reference: str) -> dict[str, Any]:
    """What names a domain for good: its name, version, and the reference that finds it if that is
    another."""
    domain = DOMAINS.load(reference)
    source = {} if domain.name == reference else {"source": reference}
    return {"domain": domain.name, "domain_version": domain.version, **source}


def stream(name: str, *, steps: int | None = None, setting: str | None = None) -> Stream:
    """A named stream, a stream file, or `a-to-b(-to-c…)` over known domains, tried in that order.

    `steps` and `setting` replace those of every stage.
    """
    if name in STREAMS:
        found = STREAMS.load(name)
    elif name.endswith(".toml"):
        from cl_bench.contract.stream_file import read_stream

        found = read_stream(name)
    else:
        found = _parse(name)
    if steps is not None:
        steps = whole_number("steps", steps, COUNTS)
    if setting is not None:
        setting = a_text("setting", setting)
    stages = tuple(
        replace(stage, steps=steps or stage.steps, setting=setting or stage.setting)
        for stage in found.stages
    )
    require_stages(stages)
    return replace(found, stages=stages)


def require_stages(stages: Sequence[Stage]) -> None:
    """`UsageError` for the first stage whose domain or setting does not exist, and for two domains
    of one name."""
    sources: dict[str, str] = {}
    for stage in stages:
        if sources.setdefault(stage.domain, stage.source) != stage.source:
            raise UsageError(
                f"Two domains of the stream are called {stage.domain!r}: {sources[stage.domain]} "
                f"and {stage.source}. Rename one of the files; tables know a domain by its name."
            )
        levels = stage.load().settings
        if stage.setting not in levels:
            raise unknown(f"setting of {stage.domain}", stage.setting, levels)
        at_least(steps=(stage.steps, 1))


def _parse(name: str) -> Stream:
    if name in DOMAINS:
        return _joined([name])
    ways = readings(name, DOMAINS)
    if len(ways) > 1:
        both = " or ".join(", then ".join(way) for way in ways)
        raise UsageError(
            f"The stream name {name!r} can be read in two ways: {both}. Name the stream you mean "
            "in a package of your own (entry points `cl_bench.streams`)."
        )
    if ways:
        return _joined(ways[0])
    if _SEPARATOR not in name:
        others = ("a-to-b over known domains", "FILE.toml")
        listed = [*STREAMS, *DOMAINS, *DOMAINS.sources, *others]
        raise unknown("stream", name, listed, DOMAINS.sourced())
    listed = [*DOMAINS, *DOMAINS.sources]
    raise unknown(f"domain (in the stream {name!r})", _unread(name), listed, DOMAINS.sourced())


def _joined(domains: Sequence[str]) -> Stream:
    stages = tuple(Stage.on(domain, DEFAULT_STEPS) for domain in domains)
    return Stream(_SEPARATOR.join(stage.domain for stage in stages), stages)


def readings(name: str, domains: Container[str]) -> list[tuple[str, ...]]:
    """The ways to read `name` as domains joined by `-to-`, at most two of them.

    A domain's package may itself be called `seq-to-seq`, so that cutting at every `-to-` is not
    enough.
    """
    words = name.split(_SEPARATOR)
    ways: list[list[tuple[str, ...]]] = [[()], *([] for _ in words)]
    for end in range(1, len(words) + 1):
        for start in range(max(0, end - _LONGEST), end):
            domain = _SEPARATOR.join(words[start:end])
            if ways[start] and domain in domains:
                ways[end] += [(*way, domain) for way in ways[start]]
        ways[end] = ways[end][:2]
    return ways[-1]


def _unread(name: str) -> str:
    """The part of a stream's name that is no domain, as far as can be told."""
    words = name.split(_SEPARATOR)
    known = set(DOMAINS)
    start = max(
        (n for n in range(len(words)) if readings(_SEPARATOR.join(words[:n]), DOMAINS)), default=0
    )
    ends = range(start + 1, min(len(words), start + 8) + 1)
    rest = [_SEPARATOR.join(words[start:end]) for end in ends]
    # The shortest, unless a longer one resembles a known name more closely.
    return max(rest, key=lambda text: (_likeness(text, known), -len(text)))


def _likeness(text: str, known: Iterable[str]) -> float:
    return max(SequenceMatcher(None, text, name).ratio() for name in known)


class Course:
    """A stream under one seed: its tasks with their conventions, and its exercises in order.

    Every learner that follows the same course meets the same exercises in the same order.
    """

    def __init__(
        self, stream: Stream, *, seed: int, feedback: FeedbackLevel, problems_per_step: int
    ) -> None:
        self.stream, self.seed = stream, seed
        self._size = problems_per_step
        self._feedback = feedback
        self._tasks: list[Task] = [
            self.task(stage.domain, stage.setting) for stage in stream.stages
        ]
        self._ends = _cumulative([stage.steps for stage in stream.stages])
        self._taken = _steps_before(stream.stages)

    def stage_of(self, step: int) -> int:
        """Index of the stage to which training step `step` (1-based) belongs."""
        return next(i for i, end in enumerate(self._ends) if step <= end)

    def end_of(self, stage: int) -> int:
        """The last step (1-based) of the stage with that index."""
        return self._ends[stage]

    def batches(self, first: int, last: int) -> list[Batch]:
        """The batches of steps `first` … `last` (1-based, inclusive)."""
        return [self._batch(step) for step in range(first, last + 1)]

    def ahead(self, last: int, most: int) -> list[Batch]:
        """The batches of up to `most` steps after step `last` (1-based), of its stage alone."""
        return self.batches(last + 1, min(last + most, self.end_of(self.stage_of(last))))

    def past(self, last: int) -> Find:
        """What finds an exercise of the steps 1 … `last` by its key."""

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

    def evaluation_task(self, domain: str) -> Task:
        """The task of `domain` in this stream: the same convention and setting as in training."""
        return self._tasks[self._first_stage(domain)]

    def evaluation_setting(self, domain: str) -> str:
        """The setting of `evaluation_task`: that of the domain's first stage."""
        return self.stream.stages[self._first_stage(domain)].setting

    def task(self, domain: str, setting: str) -> Task:
        """The task of `domain` that belongs to the course's seed, in any setting."""
        found = self.domain(domain)
        return found.task(seed=self.seed, setting=setting, feedback=self._feedback)

    def domain(self, name: str) -> Domain:
        """A domain of the stream by its name."""
        return self.stream.stages[self._first_stage(name)].load()

    def _first_stage(self, domain: str) -> int:
        return next(i for i, stage in enumerate(self.stream.stages) if stage.domain == domain)

    def _batch(self, step: int) -> Batch:
        stage = self.stage_of(step)
        before = self._ends[stage] - self.stream.stages[stage].steps
        start = (self._taken[stage] + step - 1 - before) * self._size
        task = self._tasks[stage]
        problems = task.problems("train", self._size, start)
        return [_exercise(task, problem, f"{step}.{i}") for i, problem in enumerate(problems)]


def _exercise(task: Task, problem: Problem, key: str) -> Exercise:
    return Exercise(key, problem.prompt, lambda response: task.verify(problem, response))


def _cumulative(steps: Sequence[int]) -> list[int]:
    return [sum(steps[: i + 1]) for i in range(len(steps))]


def _steps_before(stages: Sequence[Stage]) -> list[int]:
    """For each stage, the steps earlier stages spent on the same domain: problems go on there."""
    return [
        sum(other.steps for other in stages[:i] if other.domain == stage.domain)
        for i, stage in enumerate(stages)
    ]
