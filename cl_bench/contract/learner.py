"""The contract between the runner and a learner, and what both count with.

A learner is told what the stream shows it and nothing more: exercises, without the name of their
task and without its boundaries. It spends from one kind of budget and reports it to a `Ledger`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from cl_bench.contract.prompts import SEED_PROMPT
from cl_bench.contract.task import Verdict
from cl_bench.contract.validation import COUNTS, RATES, SEEDS, TEMPERATURES, settle
from cl_bench.fast.reflection.spec import ReflectionLM

if TYPE_CHECKING:
    from cl_bench.fast.reflection.journal import Journal
    from cl_bench.model.policy import Policy

Channel = Literal["slow", "fast"]


@dataclass(frozen=True, slots=True)
class Exercise:
    """A problem as a learner sees it: a text, and a judge of responses to it.

    `key` is an opaque identifier (unique in a run); `judge` never raises.
    """

    key: str
    prompt: str
    judge: Callable[[str], Verdict]


Batch = Sequence[Exercise]
"""The exercises of one step."""


def first_exercises(batches: Iterable[Batch], count: int) -> list[Exercise]:
    """The first `count` exercises of `batches`, or all if they are fewer."""
    return list(islice(chain.from_iterable(batches), count))


@dataclass(frozen=True)
class LearnerConfig:
    """What a learner may spend and how it learns; shared by all so that runs compare."""

    learning_rate: float = 6e-4
    """Step size of AdamW on the slow weights (constant)."""
    problems_per_step: int = 8
    """Exercises in one RL step."""
    group_size: int = 8
    """Rollouts per exercise (G), over which the advantage is normalised."""
    ratio_cap: float = 5.0
    """CISPO's upper clip of the importance ratio (TRL's `epsilon_high`)."""
    round_every: int = 6
    """RL steps between two rounds of the prompt optimiser (T)."""
    population: int = 4
    """System prompts kept (K)."""
    proposals: int = 5
    """Rewrites proposed in one round."""
    reflection_batch: int = 3
    """Rollouts whose feedback one rewrite is based on."""
    round_exercises: int = 16
    """Exercises on which a round scores every prompt."""
    temperature: float = 1.0
    """Sampling temperature of every rollout."""
    max_new_tokens: int = 96
    """Length at which a rollout is cut, in tokens."""
    seed_prompt: str = SEED_PROMPT
    """The task-agnostic system prompt that every learner starts from."""
    seed: int = 0
    """Seed of the optimiser of prompts."""
    consecutive_rounds: int = 14
    """Rounds in a row (prompt-then-rl, rl-then-prompt); `fst` makes 14 in a stage of 80 steps."""
    kl_beta: float = 0.04
    """Weight of the KL penalty to the base, per token (rl-kl); 0 is none."""
    replay_share: float = 0.25
    """Share of a step's exercises that are past ones (rl-replay); 0 is none."""
    replay_size: int = 256
    """Past exercises kept to choose from (rl-replay)."""
    mixed_groups: bool = True
    """Whether an exercise's rollouts are spread over the population, or all read one prompt."""
    refill: bool = True
    """Whether next-best prompts by mean join a Pareto frontier of fewer than K prompts."""
    reflection_lm: str = "base"
    """Who rewrites prompts: base, oracle, local:NAME, openai:MODEL[@URL] or litellm:NAME[@URL]."""
    reflection_timeout: float = 60.0
    """Seconds after which an attempt to ask an endpoint counts as failed."""
    reflection_retries: int = 3
    """Further attempts after a failed reflection, before it is skipped and counted."""
    reflection_token_budget: int = 0
    """Tokens that reflection may read and write in a run, checked before a call; 0 is no limit."""

    def __post_init__(self) -> None:
        settle(
            self,
            whole={
                "problems_per_step": (1, 10_000),
                "group_size": (2, 10_000),
                "round_every": COUNTS,
                "population": (1, 1_000),
                "proposals": (1, 10_000),
                "reflection_batch": (1, 1_000),
                "round_exercises": (1, 100_000),
                "max_new_tokens": COUNTS,
                "consecutive_rounds": (1, 10_000),
                "replay_size": COUNTS,
                "seed": SEEDS,
                "reflection_retries": (0, 1_000),
                "reflection_token_budget": (0, 10**15),
            },
            real={
                "learning_rate": RATES,
                "ratio_cap": RATES,
                "temperature": TEMPERATURES,
                "kl_beta": (0.0, RATES[1]),
                "replay_share": (0.0, 0.9),
                "reflection_timeout": RATES,
            },
            texts=("reflection_lm", "seed_prompt"),
            flags=("mixed_groups", "refill"),
        )
        ReflectionLM.parse(self.reflection_lm)

    @property
    def prompt_run(self) -> int:
        """Rollouts in a row that read the same system prompt, before the next one's turn."""
        return 1 if self.mixed_groups else self.group_size


@dataclass(slots=True)
class Spend:
    """What one channel has spent so far."""

    rollouts: int = 0
    """Responses sampled for learning; evaluation is not counted."""
    prompt_tokens: int = 0
    """Tokens read for those responses."""
    generated_tokens: int = 0
    """Tokens sampled in those responses."""
    reflection_calls: int = 0
    """Rewrites asked of the reflection LM."""
    reflection_tokens: int = 0
    """Tokens read and written by the reflection LM."""
    reflection_failures: int = 0
    """Rewrites skipped: no usable text after all attempts, or no tokens left to ask with."""
    reflection_repeats: int = 0
    """Rewrites skipped because they equalled a prompt at hand."""
    optimizer_steps: int = 0
    """Updates of the parameters."""
    seconds: float = 0.0
    """Wall time."""


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


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One training step as a row. NaN where a learner has no such quantity (no slow weights)."""

    reward: float
    """Mean score of the step's rollouts."""
    signal: float
    """Share of groups whose rewards differ, hence with a non-zero advantage."""
    loss: float
    """The policy loss (no unit; its value means little in policy gradient)."""
    grad_norm: float
    """Norm of the gradient before clipping."""
    entropy: float
    """Mean token entropy of the policy in nats."""
    completion_tokens: float
    """Mean length of a response in tokens."""
    seconds: float
    """Wall time of the step."""


@dataclass(frozen=True, slots=True)
class PromptRecord:
    """One candidate prompt in one round of the prompt optimiser: a row of the lineage."""

    round: int
    """Number of the round, from 1."""
    prompt_id: int
    """Number of the prompt, unique in a run; 0 is the seed prompt."""
    parent_id: int
    """The prompt it was rewritten from; -1 for the seed."""
    text: str
    """The prompt."""
    score: float
    """Mean score on the round's exercises; NaN if it was not scored on all of them."""
    fate: Literal["kept", "dropped", "rejected"]
    """In the population after the round; pruned from it; or never better than its parent."""


class Learner(Protocol):
    """What the runner drives.

    `learn` takes one step per batch of `batches` and yields a record after each. `ahead` are the
    next batches of the same task, to look at; there are fewer of them where it ends.
    `prompt` is the system prompt it would be evaluated with now. `lineage` returns the prompt
    records since the last call. `save` and `load` write and read the whole state, so that a loaded
    learner goes on exactly as the saved one would have.
    """

    name: str

    def learn(
        self, batches: Sequence[Batch], ahead: Sequence[Batch] = ()
    ) -> Iterator[StepRecord]: ...

    def prompt(self) -> str: ...

    def lineage(self) -> list[PromptRecord]: ...

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path) -> None: ...


@runtime_checkable
class HearsBoundaries(Protocol):
    """An optional ability: to be told, before `learn`, that the task has changed.

    Used only when a stream announces its boundaries.
    """

    def boundary(self) -> None: ...


Find = Callable[[str], Exercise]
"""Gives the exercise of a key, out of the steps taken so far; `RunDirectoryError` for others."""


@runtime_checkable
class RecallsExercises(Protocol):
    """An optional ability: to learn from exercises of earlier steps, after a resume too.

    An exercise cannot be saved, but its key can. `recall` is called once after `load`, with what
    finds the exercise of a key.
    """

    def recall(self, find: Find) -> None: ...


def load_learner(learner: Learner, folder: Path, find: Find) -> None:
    """`load`, and `recall` for a learner that has it: what a resume has to do."""
    learner.load(folder)
    if isinstance(learner, RecallsExercises):
        learner.recall(find)


@dataclass(frozen=True)
class LearnerFactory:
    """What the registry holds under a learner's name."""

    build: Callable[[Policy, LearnerConfig, Ledger], Learner]
