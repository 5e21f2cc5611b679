"""The problems that every evaluation of a run asks.

- `stream`: the test problems of a stage's own task;
- `greedy`: the same, with one response each at temperature 0;
- `validation`: its validation problems, on which peaks and choices are made, so that the test
  problems have no part in them;
- `harder`: those of the same seed in the domain's hardest setting, if the stage has another one.
  In the built-in domains, a seed has the same convention in `default` and `hard`; `easy` draws from
  fewer meanings, so that a stream in the easy setting meets another convention here (star-graph's
  is always the same). In a domain of another package, it decides what its settings share;
- `retention`: those of a domain outside the stream in its easiest setting, each under a convention
  of its own that its system prompt states: does the policy still follow instructions?
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from cl_bench.contract.prompts import SEED_PROMPT, instructions
from cl_bench.contract.stream import Course
from cl_bench.contract.task import Domain, Problem, Split, Task, Verdict, hashed_rng

UNMEASURED = ("greedy", "validation")
"""The sets whose divergences and entropy are NaN, of 0 tokens: only their scores are asked for."""


@dataclass(frozen=True, slots=True)
class Item:
    """A test problem with its verifier and its system prompt."""

    problem: Problem
    verify: Callable[[Problem, str], Verdict]
    system: str = ""


@dataclass(frozen=True, slots=True)
class ProblemSet:
    """Problems of one domain in one setting."""

    name: Literal["stream", "retention", "harder", "greedy", "validation"]
    domain: str
    setting: str
    samples: int
    """Responses to each problem."""
    items: tuple[Item, ...]

    @property
    def key(self) -> str:
        """A text that differs between the sets of a run; sampling seeds contain it.

        `stream` and `retention` need no mark, because a domain is in the stream or outside it.
        """
        unmarked = self.name in ("stream", "retention")
        return self.domain if unmarked else f"{self.domain}, {self.name}"

    @property
    def diverges(self) -> bool:
        """Whether divergences are measured: along responses that were drawn from the policy, and
        not twice on one task."""
        return self.name not in UNMEASURED

    @property
    def label(self) -> dict[str, object]:
        """The columns of a table that identify the set."""
        return {"domain": self.domain, "test_set": self.name, "setting": self.setting}

    def under(self, prompt: str) -> ProblemSet:
        """Return the same problems under one system prompt."""
        return replace(self, items=tuple(replace(item, system=prompt) for item in self.items))


def stream_set(course: Course, domain: str, count: int, samples: int) -> ProblemSet:
    """Return up to `count` problems of the stream's own task of `domain`."""
    setting = course.evaluation_setting(domain)
    items = _items(course.evaluation_task(domain), count)
    return ProblemSet("stream", domain, setting, samples, items)


def greedy_set(problems: ProblemSet) -> ProblemSet:
    """Return the stream's problems to be answered once each, at temperature 0."""
    return replace(problems, name="greedy", samples=1)


def validation_set(course: Course, domain: str, count: int, samples: int) -> ProblemSet:
    """Return up to `count` validation problems of the stream's own task of `domain`."""
    setting = course.evaluation_setting(domain)
    items = _items(course.evaluation_task(domain), count, "validation")
    return ProblemSet("validation", domain, setting, samples, items)


def harder_set(course: Course, domain: Domain, count: int, samples: int) -> ProblemSet | None:
    """Return up to `count` problems in the hardest setting, or None if the stream is in it."""
    hardest = list(domain.settings)[-1]
    if hardest == course.evaluation_setting(domain.name):
        return None
    items = _items(course.task(domain.name, hardest), count)
    return ProblemSet("harder", domain.name, hardest, samples, items)


def retention_set(
    domain: Domain, seed: int, count: int, seed_prompt: str = SEED_PROMPT
) -> ProblemSet:
    """Return `count` problems in the easiest setting, each of a task of its own with stated rules.

    One response is sampled to each.
    """
    setting = next(iter(domain.settings))
    items = []
    for number in range(count):
        convention = hashed_rng("retention", domain.name, seed, number).getrandbits(63)
        task = domain.task(seed=convention, setting=setting, feedback="none")
        problem = task.problems("test", 1)[0]
        named = replace(problem, uid=f"retention/{number}/{problem.uid}")
        items.append(Item(named, task.verify, instructions(task.rules(), seed_prompt)))
    return ProblemSet("retention", domain.name, setting, 1, tuple(items))


def distinct_problems(
    task: Task, count: int, split: Split = "test", *, as_of: int = 0
) -> list[Problem]:
    """Return the first `count` problems with different texts, fewer if there are no more.

    A task draws its problems with replacement, and one that counts twice would make intervals over
    items too narrow. The search ends after 20 draws for each problem asked for, or for each of
    `as_of` if that is more: these are then the first of as many.
    """
    found: dict[str, Problem] = {}
    draws = 20 * max(count, as_of)
    for start in range(0, draws, count):
        for problem in task.problems(split, min(count, draws - start), start):
            found.setdefault(problem.prompt, problem)
        if len(found) >= count:
            break
    return list(found.values())[:count]


def _items(task: Task, count: int, split: Split = "test") -> tuple[Item, ...]:
    return tuple(Item(problem, task.verify) for problem in distinct_problems(task, count, split))
