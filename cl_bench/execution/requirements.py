"""What a run will need, before it starts: memory by its parts, and about how long.

Memory is that of the budgets that passes keep to (`cl_bench.model.memory`), for a model whose
tensors may have shapes alone. Time is that of a calibration: a few responses sampled, learned from
and scored by the model at hand, times what the run will do of each.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from math import ceil
from typing import TYPE_CHECKING, cast

from cl_bench.contract.errors import ClBenchError
from cl_bench.contract.learner import Batch, Exercise, Ledger
from cl_bench.contract.prompts import chat
from cl_bench.contract.records import StepRecord
from cl_bench.contract.registry import LEARNERS
from cl_bench.contract.stream import Course, Stream
from cl_bench.contract.task import Problem, Verdict
from cl_bench.contract.text import one_line
from cl_bench.execution import machine
from cl_bench.execution.settings import RunConfig
from cl_bench.fast.settings import ConsecutiveRoundsConfig, FastConfig, PeriodicRoundsConfig
from cl_bench.metrics.quantities import BYTES, SECONDS
from cl_bench.slow.settings import RLConfig, SlowConfig

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from cl_bench.model.policy import Policy

LIBRARIES = 650 * 10**6
"""Bytes of Python and the libraries of a run, as measured on Linux."""
ON_A_GPU = 700 * 10**6
"""Bytes of CUDA's context and its libraries' workspaces."""
_SAMPLED, _LEARNED, _SCORED = 4, 5, 6
"""Tensors as large as a pass's logits that live at a time."""
_ROWS_SAMPLED, _ROWS_LEARNED = 256, 32
_NUMBER = 4
_MARGIN = 1.1
"""Over the estimate: measured peaks lay up to a tenth above it."""
_LONG = 1024
"""Tokens of a prompt where nothing better is known."""
_CHARACTERS = 3
"""Of a token, at least, in prompts of most tokenizers."""
_CALIBRATED = 16
"""Responses that a calibration samples, at most; at least one group."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that a run needs where its model is, and what there is of them."""

    held: Mapping[str, int]
    """What is held all the time."""
    passes: Mapping[str, int]
    """What passes hold, of which one runs at a time."""
    loading: int
    """What is held in all while the model is loaded, before there is anything else to hold."""
    free: int
    place: str

    @property
    def peak(self) -> int:
        return max(sum(self.held.values()) + max(self.passes.values()), self.loading)

    @property
    def fits(self) -> bool:
        return self.peak * _MARGIN <= self.free

    def table(self) -> Iterator[tuple[str, str]]:
        """Yield the parts by their names, then their sum."""
        for name, count in self.held.items():
            yield name, BYTES.text(count)
        for name, count in self.passes.items():
            yield f"while {name}", BYTES.text(count)
        if self.loading:
            yield "loading, before all that", BYTES.text(self.loading)
        yield "in all", f"about {BYTES.text(self.peak)} of {BYTES.text(self.free)} {self.place}"


def memory_of(
    model: PreTrainedModel, config: RunConfig, prompt: int, *, card: int | None, free: int
) -> Memory:
    """Return what a run with `model` needs, whose prompts have up to so many tokens.

    `card` has the bytes of the GPU that it is to run on; None is a CPU. `free` are the bytes that
    are free there.
    """
    from cl_bench.model import memory
    from cl_bench.model.gradient_path import recomputes

    held = memory.Held.of(model)
    budget = memory.Budget.of_cpu() if card is None else memory.Budget.of_gpu(card - held.total)
    response = config.learning.max_new_tokens
    vocabulary = memory.vocabulary(model)
    parts = {"weights": held.weights, "base, a frozen copy": held.base}
    learns = isinstance(config.learning, SlowConfig)
    if learns:
        parts |= {"gradients": held.gradients, "AdamW's moments": held.moments}
    if config.sampler == "vllm":
        engine = held.weights if card is None else int(config.sampler_memory * card)
        parts["vLLM: its weights and cache"] = engine
    parts["libraries"] = LIBRARIES if card is None else ON_A_GPU

    most = min(_ROWS_SAMPLED, _asked_at_once(config))
    rows = memory.sampling_rows(model, prompt + response, most, budget)
    cache = rows * (prompt + response) * memory.cache_bytes(model)
    passes = {"sampling": cache + _SAMPLED * _NUMBER * rows * vocabulary}
    if learns:
        # Of one problem, which a pass reads once for all its responses.
        group = [("", prompt, response)] * min(_ROWS_LEARNED, config.learning.step_rollouts)
        part = group[memory.gradient_passes(model, group, _ROWS_LEARNED, budget)[0]]
        read = memory.pass_tokens(part, shared=not recomputes(model))
        numbers = len(part) * response * vocabulary
        if numbers > budget.most_logits:
            numbers = budget.logits
        graph = read * memory.activation_bytes(model)
        passes["learning"] = graph + _LEARNED * _NUMBER * numbers
    numbers = min(_ROWS_LEARNED * response * vocabulary, budget.logits)
    passes["scoring"] = _SCORED * _NUMBER * numbers
    # A file's pages count as the process's while it is read, though the system may take them back.
    loading = LIBRARIES + 2 * held.weights if card is None else 0
    place = "of memory that are free" if card is None else "of the GPU"
    parts = {name: size for name, size in parts.items() if size}
    return Memory(parts, passes, loading, free, place)


def _asked_at_once(config: RunConfig) -> int:
    evaluation = config.evaluation
    return max(config.learning.step_rollouts, evaluation.items * evaluation.samples)


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds that a run takes, by what it does, and how often it does that."""

    parts: Mapping[str, tuple[int, float]]
    """How often, and the seconds of one time."""

    @property
    def total(self) -> float:
        return sum(count * seconds for count, seconds in self.parts.values())

    def table(self) -> Iterator[tuple[str, str]]:
        """Yield the parts by their names, then their sum."""
        for name, (count, seconds) in self.parts.items():
            yield name, f"{count} × {SECONDS.text(seconds)}"
        yield "together", f"about {SECONDS.text(self.total)}, without calls to a reflection LM"


@dataclass(frozen=True, slots=True)
class Rates:
    """Seconds that one response takes: to sample, to score, to learn from (sampling included)."""

    sample: float
    score: float
    learn: float = 0.0
    step: float = 0.0
    """Of a step, whatever its size."""


def memory_before(config: RunConfig, stream: Stream) -> tuple[Memory, list[str]]:
    """Return what a run needs and, if that does not fit, what to change; no weights are read.

    Raises `ModelError` if the model's configuration cannot be had.
    """
    prompt = _prompt_characters(config, stream) // _CHARACTERS
    found = _memory(config, prompt)
    return found, [] if found.fits else _advice(config, prompt, found)


def _memory(config: RunConfig, prompt: int) -> Memory:
    from cl_bench.model.loading import shapes_of

    model = shapes_of(
        config.model,
        config.precision,
        lora=config.lora,
        gradient_checkpointing=config.gradient_checkpointing,
    )
    card, free = machine.gpu_memory() if _on_gpu(config) else (None, machine.free_memory())
    return memory_of(model, config, prompt, card=card, free=free)


def _on_gpu(config: RunConfig) -> bool:
    from cl_bench.model.environment import device_named

    return device_named(config.device) == "cuda"


def _advice(config: RunConfig, prompt: int, found: Memory) -> list[str]:
    """Return the changes that would make the run fit, each with what it would need then."""
    layers = replace(config, gradient_checkpointing=True)
    short = max(1, config.learning.max_new_tokens // 2)
    changed = {
        "--gradient-checkpointing": layers,
        "--peft lora": replace(config, peft="lora"),
        "--peft lora --gradient-checkpointing": replace(layers, peft="lora"),
        f"--max-new-tokens {short}": replace(
            config, learning=replace(config.learning, max_new_tokens=short)
        ),
    }
    needs = {name: _memory(other, prompt) for name, other in changed.items() if other != config}
    fitting = [
        f"{name}: about {BYTES.text(other.peak)}" for name, other in needs.items() if other.fits
    ]
    short_of = BYTES.text(int(found.peak * _MARGIN) - found.free)
    return fitting or [f"a smaller model, or {short_of} more"]


def _prompt_characters(config: RunConfig, stream: Stream) -> int:
    """Return the length of the longest of some training prompts, with the seed prompt."""
    try:
        return len(config.learning.seed_prompt) + max(
            len(problem.prompt)
            for domain in stream.domains
            for problem in _course(config, stream).evaluation_task(domain).problems("train", 64)
        )
    except Exception:  # noqa: BLE001 - data that is not here yet fails in any way
        return _LONG * _CHARACTERS


def _course(config: RunConfig, stream: Stream) -> Course:
    return Course(
        stream,
        seed=config.seed,
        feedback=config.feedback,
        problems_per_step=config.learning.problems_per_step,
    )


def calibrate(policy: Policy, config: RunConfig, stream: Stream) -> Rates:
    """Return what a few responses to the stream's first problems take; the policy is trained.

    Every response is learned from, whatever it says, as in a step whose groups are all mixed.
    """
    learning = config.learning
    exercises = max(1, min(learning.problems_per_step, _CALIBRATED // learning.group_size))
    task = _course(config, stream).evaluation_task(stream.domains[0])
    problems = list(task.problems("train", exercises))
    group = min(learning.group_size, _CALIBRATED)
    chats = [chat(learning.seed_prompt, p.prompt) for p in problems for _ in range(group)]

    started = time.perf_counter()
    rollouts = policy.generate(
        chats, max_new_tokens=learning.max_new_tokens, temperature=learning.temperature
    )
    sampled = time.perf_counter()
    policy.divergence(rollouts)
    scored = time.perf_counter()
    rates = Rates((sampled - started) / len(chats), (scored - sampled) / len(chats))
    if not isinstance(learning, SlowConfig):
        return rates
    step, learn = _learned(policy, config, problems)
    return replace(rates, step=step, learn=learn)


def _learned(policy: Policy, config: RunConfig, problems: Sequence[Problem]) -> tuple[float, float]:
    """Return the seconds of a step and, on top, of each of its responses."""
    learning, turns = config.learning, cycle((0.0, 1.0))
    batch = [
        Exercise(str(place), it.prompt, lambda _: Verdict(next(turns), "", None), it.solution)
        for place, it in enumerate(problems)
    ]
    # The first step allocates; the difference of the others is that of their sizes.
    half = batch[: len(batch) // 2] or batch
    _, small, large = _steps(policy, config, [half, half, batch])
    more = (len(batch) - len(half)) * learning.group_size
    whole = large.seconds / (len(batch) * learning.group_size)
    # Times are noisy, and a step costs no more than its parts.
    each = min(max((large.seconds - small.seconds) / more, whole / 2), whole) if more else whole
    return large.seconds - each * len(batch) * learning.group_size, each


def _steps(policy: Policy, config: RunConfig, batches: Sequence[Batch]) -> Iterator[StepRecord]:
    """Make the learner's steps on the parameters, without its rounds."""
    from cl_bench.slow.distillation import SelfDistillation
    from cl_bench.slow.slow_weights import SlowWeights

    learner, learning = LEARNERS.load(config.learner), config.learning
    if learner.channels == ("slow",):
        return learner.build(policy, learning, Ledger()).learn(batches)
    if isinstance(learning, RLConfig):
        return SlowWeights(policy, learning, Ledger()).steps(batches, [learning.seed_prompt])
    # A teacher that reads what the student reads teaches nothing, and takes no time.
    better = [f"{learning.seed_prompt} ."]
    return SelfDistillation(policy, cast(SlowConfig, learning), Ledger()).steps(batches, better)


@dataclass(frozen=True, slots=True)
class Work:
    """What a run does, counted; of a round, the most that it may do."""

    steps: int
    step_rollouts: int
    """That parameters learn from in a step; 0 of a learner that trains none."""
    rounds: int
    round_rollouts: int
    points: int
    """Evaluation points, each with so many responses to the stream's problems:"""
    answers: int
    scored: int
    """Of them, and of the base's, those whose log-probabilities are computed."""
    ends: int
    """Of the points, the start and the stages' ends, each with so many responses more:"""
    outside: int

    @property
    def learned(self) -> int:
        """Rollouts that parameters learn from."""
        return self.steps * self.step_rollouts

    @property
    def explored(self) -> int:
        """Rollouts of the prompt optimiser."""
        return self.rounds * self.round_rollouts

    @property
    def evaluated(self) -> int:
        """Responses of evaluations, counted once more where they are scored."""
        return self.points * (self.answers + self.scored) + self.ends * self.outside


def work_of(config: RunConfig, stream: Stream) -> Work:
    """Return what a run does."""
    learning, evaluation = config.learning, config.evaluation
    prompts = 2 if isinstance(learning, FastConfig) else 1
    inside = len(stream.domains) * (evaluation.items + evaluation.validation_items)
    answers = inside * evaluation.samples * prompts
    # Of a problem the first response is scored, by policy and base; so is one of the base.
    scored = min(evaluation.items, evaluation.kl_items or evaluation.items)
    outside = evaluation.retention_items * len(stream.outside)
    if evaluation.probes:  # the base, and problems of the hardest setting
        outside += 2 * answers
    return Work(
        steps=stream.steps,
        step_rollouts=learning.step_rollouts if isinstance(learning, SlowConfig) else 0,
        rounds=_rounds(config, stream) if isinstance(learning, FastConfig) else 0,
        round_rollouts=_of_a_round(learning) if isinstance(learning, FastConfig) else 0,
        points=1 + _evaluated(config, stream),
        answers=answers,
        scored=2 * len(stream.domains) * prompts * scored,
        ends=len(stream.stages) + 1,
        outside=outside,
    )


def times_of(config: RunConfig, stream: Stream, rates: Rates) -> Times:
    """Return about how long a run takes whose responses take what `rates` says."""
    work = work_of(config, stream)
    parts: dict[str, tuple[int, float]] = {}
    if work.step_rollouts:
        parts["steps"] = (work.steps, rates.step + work.step_rollouts * rates.learn)
    if work.round_rollouts:
        parts["rounds"] = (work.rounds, work.round_rollouts * rates.sample)
    point = work.answers * rates.sample + work.scored * rates.score
    parts["evaluations"] = (work.points, point)
    if work.outside:
        parts["more at stages' ends"] = (work.ends, work.outside * rates.sample)
    return Times(parts)


def _rounds(config: RunConfig, stream: Stream) -> int:
    """Return how many rounds a run makes."""
    learning = config.learning
    if isinstance(learning, PeriodicRoundsConfig):
        return ceil(stream.steps / learning.round_every)  # the first is before the first step
    if not isinstance(learning, ConsecutiveRoundsConfig):
        return 1
    if learning.AT_EVERY_EVALUATION:
        return learning.consecutive_rounds * _evaluated(config, stream)
    return learning.consecutive_rounds * (len(stream.stages) if config.announced else 1)


def _evaluated(config: RunConfig, stream: Stream) -> int:
    """Return how many evaluation points follow the start."""
    return sum(ceil(stage.steps / config.eval_every) for stage in stream.stages)


def _of_a_round(learning: FastConfig) -> int:
    """Return the rollouts of one round: its population's, and those of its rewrites, which read a
    minibatch before and after each."""
    each = learning.round_exercises * learning.round_samples
    rewrites = learning.proposals * (each + 2 * learning.reflection_batch)
    if learning.round_rollouts:
        rewrites = min(rewrites, learning.round_rollouts)
    return learning.population * each + rewrites


def foretold(config: RunConfig, stream: Stream) -> list[str]:
    """Return the memory that a run needs as lines, or why it is not known."""
    try:
        found, advice = memory_before(config, stream)
    except ClBenchError as error:
        return [f"memory: not known ({one_line(str(error), 300)})"]
    rest = (
        "whether model and problems fit each other, and the time: `cl-bench doctor`, same options"
    )
    return [*_memory_lines(found, advice), rest]


def _memory_lines(found: Memory, advice: Sequence[str]) -> list[str]:
    return [
        f"memory: about {BYTES.text(found.peak)}, which {'fits' if found.fits else 'does not fit'}",
        *(f"  {name:<26} {size}" for name, size in found.table()),
        *(f"  it would fit with {line}" for line in advice),
    ]
