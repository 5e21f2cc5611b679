"""Exercises and models that notice what a learner does with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch.optim.optimizer import register_optimizer_step_post_hook

from cl_bench.contract.learner import Batch, Exercise
from cl_bench.contract.task import Verdict, content_hash

if TYPE_CHECKING:
    from torch import Tensor

    from cl_bench.model.policy import Policy
    from cl_bench.model.samplers.protocol import Sampled, Sampler

_INSIDE_A_JUDGE = {"__closure__", "__code__", "__globals__", "__func__", "__self__", "__wrapped__"}
"""Through these a learner could reach the task behind a function."""
_PROBED = {"to"}
"""Attributes that libraries ask any object for: whether it can be moved to a device."""


@dataclass
class Watch:
    """A record of what a learner asked of its exercises."""

    judged: int = 0
    no_texts: list[object] = field(default_factory=list)
    """Arguments of judges that are not texts."""
    asked: list[str] = field(default_factory=list)
    """Attributes that exercises and judges do not have."""


class Judge:
    """Scores by a hash of the response: a random reward, so that every learner learns something."""

    def __init__(self, watch: Watch, key: str) -> None:
        self._watch, self._key = watch, key

    def __call__(self, response: Any) -> Verdict:
        self._watch.judged += 1
        if not isinstance(response, str):
            self._watch.no_texts.append(response)
            return Verdict(0.0, "toy : no text", None)
        number = int(content_hash(f"{self._key}\n{response}"), 16)
        if number % 2:
            return Verdict(1.0, "toy : correct", response)
        return Verdict(0.0, f"toy : wrong at step 1 : f adds {number % 10}", response)

    def __getattr__(self, name: str) -> Any:
        if name in _INSIDE_A_JUDGE:
            self._watch.asked.append(f"judge.{name}")
        raise AttributeError(name)


class WatchedExercise(Exercise):
    """An exercise that notes which other attributes it is asked for."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name not in _PROBED:
            vars(self.judge)["_watch"].asked.append(name)
        raise AttributeError(f"an exercise has key, prompt, judge and solution, but no {name!r}")


def batches(watch: Watch, steps: int, size: int, *, solutions: bool = False) -> list[Batch]:
    """`steps` batches of `size` watched exercises, all different."""
    return [
        [_exercise(watch, step * size + i, solutions) for i in range(size)] for step in range(steps)
    ]


def _exercise(watch: Watch, number: int, solutions: bool) -> Exercise:
    # Numbers say nothing of a step, as a stream's own keys should not be relied on either.
    key = content_hash(f"exercise {number}")
    digits = " ".join(str(number))
    solution = f"f : {digits} ; answer : {digits}" if solutions else None
    return WatchedExercise(key, f"toy : one f two g : {digits}", Judge(watch, key), solution)


@dataclass
class Meter:
    """Counts what a policy's sampler, and models past it, really generate."""

    rows: int = 0
    """Responses, of the model and of its frozen base."""
    read: int = 0
    """Tokens of the prompts of those responses, without padding."""
    sampled: int = 0
    """Tokens of those responses up to and with the end token."""

    updates: int = 0
    """Steps of any torch optimizer."""

    def count_update(self, *_: object) -> None:
        """Add one step of an optimizer."""
        self.updates += 1

    def count(self, prompts: Sequence[Sequence[int]], sampled: Sequence[Sampled]) -> None:
        """Add what one call of a sampler did."""
        self.rows += len(sampled)
        self.read += sum(map(len, prompts))
        self.sampled += sum(len(row.tokens) for row in sampled)

    def count_generate(self, inputs: dict[str, Any], output: Any, ends: set[int]) -> None:
        """Add what one call of a model's own `generate` did."""
        ids: Tensor = inputs["input_ids"]
        sequences: Tensor = getattr(output, "sequences", output)
        mask = inputs.get("attention_mask")
        read = int(ids.numel() if mask is None else mask.sum())
        self.rows += len(sequences)
        self.read += read * len(sequences) // len(ids)
        for row in sequences[:, ids.shape[1] :].tolist():
            stops = [place for place, token in enumerate(row) if token in ends]
            self.sampled += min(stops, default=len(row) - 1) + 1


class CountingSampler:
    """A policy's own sampler, with what it does counted."""

    def __init__(self, sampler: Sampler, meter: Meter) -> None:
        self._sampler, self._meter = sampler, meter
        self.engine, self.own_model = sampler.engine, sampler.own_model

    def sample(self, prompts: Sequence[Sequence[int]], **options: Any) -> list[Sampled]:
        """The sampler's responses."""
        sampled = self._sampler.sample(prompts, **options)
        self._meter.count(prompts, sampled)
        return sampled

    def weights_changed(self) -> None:
        """Tell the sampler."""
        self._sampler.weights_changed()


@contextmanager
def metered(policy: Policy) -> Iterator[Meter]:
    """Count what is sampled, what models of this policy's class generate, and every update.

    A learner is built inside, so that the policy it is given has the sampler that counts.
    """
    meter = Meter()
    sampler, policy.sampler = policy.sampler, CountingSampler(policy.sampler, meter)
    hook = register_optimizer_step_post_hook(meter.count_update)
    # On the class, because a copy of a model with a patch of its own would run the original.
    kind: Any = type(policy.model)
    counted = _counting_generate(kind.generate, meter, policy.end_ids)
    try:
        with _patched(kind, "generate", counted):
            yield meter
    finally:
        hook.remove()
        policy.sampler = sampler


@contextmanager
def _patched(owner: Any, name: str, value: Any) -> Iterator[None]:
    """`owner.name` is `value` inside; outside it is what it was, inherited or its own."""
    own = vars(owner).get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if own is None:
            delattr(owner, name)
        else:
            setattr(owner, name, own)


def _counting_generate(
    generate: Callable[..., Any], meter: Meter, ends: set[int]
) -> Callable[..., Any]:
    def counted(model: Any, inputs: Any = None, *args: Any, **kwargs: Any) -> Any:
        output = generate(model, inputs, *args, **kwargs)
        given = kwargs if inputs is None else {**kwargs, "input_ids": inputs}
        meter.count_generate(given, output, ends)
        return output

    return counted
