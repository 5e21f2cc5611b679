"""The contract between the runner and a learner, with the ledger and the records of both.

A learner sees exercises, in the order of the stream, and neither the name of their task nor its
boundaries. It reports everything it spends to a `Ledger`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from cl_bench.contract.errors import UsageError
from cl_bench.contract.journal import Journal
from cl_bench.contract.prompts import SEED_PROMPT
from cl_bench.contract.records import CHANNELS, Channel, PromptRecord, Spend, StepRecord
from cl_bench.contract.settings import setting, settle
from cl_bench.contract.task import Verdict
from cl_bench.contract.validation import COUNTS, SEEDS, TEMPERATURES


@dataclass(frozen=True, slots=True)
class Exercise:
    """A problem as a learner sees it: a text, and a judge of responses to it.

    `key` is an opaque identifier (unique in a run); `judge` never raises. `solution` is a response
    that scores 1, for learners whose factory says `from_solutions`; for all others it is None.
    """

    key: str
    prompt: str
    judge: Callable[[str], Verdict]
    solution: str | None = None


def solution_of(exercise: Exercise) -> str:
    """Return the solution to learn from; raise `UsageError` if there is none."""
    if not exercise.solution:
        raise UsageError(
            f"The exercise {exercise.key} has no solution to learn from: build the learner by a "
            "factory with `from_solutions`, and train it on a domain whose problems have solutions."
        )
    return exercise.solution


Batch = Sequence[Exercise]
"""The exercises of one step."""


def first_exercises(batches: Iterable[Batch], count: int) -> list[Exercise]:
    """Return the first `count` exercises of `batches`, or all if there are fewer."""
    return list(islice(chain.from_iterable(batches), count))


@dataclass(frozen=True)
class LearnerConfig:
    """Settings of every learner.

    A learner with settings of its own has a class that inherits from this one, a frozen dataclass
    whose fields are made by `cl_bench.contract.settings.setting`.
    """

    problems_per_step: int = setting(8, "Exercises in one step of the stream.", (1, 10_000))
    group_size: int = setting(
        8,
        "Rollouts per exercise (G) in an RL step; what a step counts for in every learner.",
        (2, 10_000),
    )
    temperature: float = setting(
        1.0, "Sampling temperature of every rollout and of evaluation.", TEMPERATURES
    )
    max_new_tokens: int = setting(
        96, "Tokens at which a response is cut, in evaluation too.", COUNTS
    )
    seed_prompt: str = setting(
        SEED_PROMPT, "The task-agnostic system prompt that every learner starts from."
    )
    seed: int = setting(0, "Seed of the run, for the learner's own choices.", SEEDS, option=False)

    def __post_init__(self) -> None:
        settle(self)

    @property
    def step_rollouts(self) -> int:
        """Number of rollouts that one step counts for."""
        return self.problems_per_step * self.group_size

    @property
    def exercises_ahead(self) -> int:
        """Number of exercises that the learner wants to see, those of the present step included."""
        return 0


@dataclass
class Ledger:
    """Everything a learner has spent, by channel; both channels report here and nowhere else."""

    slow: Spend = field(default_factory=Spend)
    fast: Spend = field(default_factory=Spend)
    journal: Journal | None = field(default=None, repr=False, compare=False)
    """The run's record of calls to a reflection LM outside it; None keeps no record."""

    def add(self, channel: Channel, **amounts: float) -> None:
        """Add `amounts` (fields of `Spend`) to a channel."""
        spend: Spend = getattr(self, channel)
        for name, amount in amounts.items():
            setattr(spend, name, getattr(spend, name) + amount)

    @property
    def rollouts(self) -> int:
        """All rollouts, the prompt optimiser's included."""
        return self.slow.rollouts + self.fast.rollouts

    def state(self) -> dict[str, dict[str, float]]:
        """Both channels as plain numbers, for tables and checkpoints."""
        return {"slow": asdict(self.slow), "fast": asdict(self.fast)}

    def restore(self, state: dict[str, dict[str, float]]) -> None:
        """Take over what `state()` returned, in place."""
        for channel in (self.slow, self.fast):
            saved = state["slow" if channel is self.slow else "fast"]
            for item in fields(Spend):
                setattr(channel, item.name, saved[item.name])


class Learner(Protocol):
    """A learner as the runner drives it."""

    name: str

    def learn(self, batches: Sequence[Batch], ahead: Sequence[Batch] = ()) -> Iterator[StepRecord]:
        """Take one step per batch of `batches` and yield a record after each.

        `ahead` are the next batches of the same task, to look at and not to train on; towards the
        task's end there are fewer of them.
        """
        ...

    def prompt(self) -> str:
        """Return the system prompt that the learner would be evaluated with now."""
        ...

    def lineage(self) -> list[PromptRecord]:
        """Return the prompt records since the last call."""
        ...

    def save(self, folder: Path) -> None:
        """Write the whole state into the existing `folder`."""
        ...

    def load(self, folder: Path) -> None:
        """Take over what `save` wrote, so as to go on exactly as the saved learner would have."""
        ...


@runtime_checkable
class HearsBoundaries(Protocol):
    """An optional ability: to be told, before `learn`, that the task has changed.

    Used only when a stream announces its boundaries.
    """

    def boundary(self) -> None: ...


Find = Callable[[str], Exercise]
"""Returns the exercise of a key from the steps taken so far; raises `RunDirectoryError` for any
other key."""


@runtime_checkable
class RecallsExercises(Protocol):
    """An optional ability: to learn from exercises of earlier steps, after a resume too.

    An exercise cannot be saved, but its key can. `recall` is called once after `load`, with the
    function that finds the exercise of a key.
    """

    def recall(self, find: Find) -> None: ...


def load_learner(learner: Learner, folder: Path, find: Find) -> None:
    """Restore a saved learner: `load`, then `recall` if it has that ability."""
    learner.load(folder)
    if isinstance(learner, RecallsExercises):
        learner.recall(find)


@dataclass(frozen=True)
class LearnerFactory:
    """A learner as the registry holds it: its maker, its settings and its label."""

    build: Callable[[Any, Any, Ledger], Learner]
    """Makes the learner from a `cl_bench.model.policy.Policy`, an instance of `config` and the
    ledger. Usually the learner's class."""
    config: type[LearnerConfig] = LearnerConfig
    """Its settings."""
    channels: tuple[Channel, ...] = CHANNELS
    """The channels it spends on: `slow` for parameters, `fast` for prompts."""
    label: str = ""
    """Its name in figures and tables; empty stands for the name in the registry."""
    from_solutions: bool = False
    """Whether it learns from the exercises' solutions, which no other learner is shown."""
