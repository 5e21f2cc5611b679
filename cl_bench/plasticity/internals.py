"""Internals of the probed models, as diagnostics beside the probes, never in their place.

Models are run here, and not by `Policy`, because hidden states are read, which it does not give.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from cl_bench.contract.prompts import chat
from cl_bench.contract.stream import Course
from cl_bench.contract.stream_names import stream
from cl_bench.execution.problem_sets import stream_set
from cl_bench.metrics.plasticity import dead_units, effective_rank, weight_distance
from cl_bench.metrics.undefined import Undefined
from cl_bench.model.environment import precision_named
from cl_bench.model.loading import load
from cl_bench.model.named import resolve
from cl_bench.model.policy import Policy
from cl_bench.plasticity.table import DEAD_BELOW, Internals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cl_bench.plasticity.origins import Origin

_DOWN = ("mlp.down_proj", "mlp.c_proj", "feed_forward.w2", "fc2", "dense_4h_to_h")
"""How the layers end that read the hidden units of a feed-forward block."""


def internals_of(
    origin: Origin, domain: str, seed: int, items: int
) -> dict[Path | None, Internals]:
    """By its folder, each model of a run, and under None its base.

    Measured where the model has read a test problem of `domain` under the seed prompt, `items` of
    them.
    """
    config = origin.config
    on = "cuda" if config.device != "cpu" and torch.cuda.is_available() else "cpu"
    base = Policy.load(
        resolve(config.model),
        on,
        precision_named(config.precision, on),
        revision=origin.revision,
        template=config.template,
    )
    base.model.to(torch.float32)  # type: ignore[arg-type]  # as `load` gives the others
    course = Course(stream(domain), seed=seed, feedback="none", problems_per_step=1)
    problems = stream_set(course, domain, items, samples=1).items
    prompts = base.encode(
        [chat(config.learning.seed_prompt, item.problem.prompt) for item in problems]
    )
    parameters = _parameters(base.model)
    found: dict[Path | None, Internals] = {None: _internals(base.model, prompts, parameters)}
    for folder in origin.models.values():
        model: Any = load(str(folder))[0]
        found[folder] = _internals(model.to(base.device), prompts, parameters)
    return found


def _internals(
    model: torch.nn.Module,
    prompts: Sequence[Sequence[int]],
    base: dict[str, NDArray[np.float32]],
) -> Internals:
    largest_U, feature_N_D = _read(model, prompts)
    # Over one row, the largest of all positions, the share is that over the positions.
    return Internals(
        dead_units=dead_units(largest_U[None], DEAD_BELOW)
        if largest_U.size
        else Undefined("no feed-forward layer of a known kind"),
        effective_rank=effective_rank(feature_N_D),
        weight_distance=weight_distance(_parameters(model), base),
    )


@torch.no_grad()
def _read(
    model: torch.nn.Module, prompts: Sequence[Sequence[int]]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Each hidden unit's largest size anywhere, and the last hidden state of every prompt's end."""
    model.train(False)
    features = []
    with _largest(model) as largest:
        for prompt in prompts:
            ids = torch.tensor([list(prompt)], device=next(model.parameters()).device)
            states = model(input_ids=ids, use_cache=False, output_hidden_states=True)
            features.append(_array(states.hidden_states[-1][0, -1]))
    units = [_array(largest[name]) for name in sorted(largest)]
    return np.concatenate(units or [np.empty(0, np.float32)]), np.stack(features)


@contextmanager
def _largest(model: torch.nn.Module) -> Iterator[dict[str, torch.Tensor]]:
    """Filled, inside, with the largest |h| so far of the hidden units of every block, by name."""
    largest: dict[str, torch.Tensor] = {}

    def see(name: str, _: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        size = given[0].abs().flatten(0, -2).amax(0)
        largest[name] = torch.maximum(largest.get(name, size), size)

    hooks = [
        module.register_forward_pre_hook(partial(see, name))
        for name, module in model.named_modules()
        if name.endswith(_DOWN)
    ]
    try:
        yield largest
    finally:
        for hook in hooks:
            hook.remove()


def _parameters(model: torch.nn.Module) -> dict[str, NDArray[np.float32]]:
    return {name: _array(weight) for name, weight in model.named_parameters()}


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    """As numpy; infinity as NaN, which metrics call missing instead of a caller's mistake."""
    array: NDArray[np.float32] = tensor.detach().float().cpu().numpy()
    return np.where(np.isinf(array), np.float32(np.nan), array)
