"""Layers that are computed again in the backward pass change neither losses nor gradients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.modeling_layers import GradientCheckpointingLayer

from cl_bench.contract.errors import ModelError
from cl_bench.contract.learner import Ledger
from cl_bench.contract.records import StepRecord
from cl_bench.model.adapters import Lora
from cl_bench.model.gradient_path import recompute_layers
from cl_bench.model.policy import Policy
from cl_bench.slow.distillation import SelfDistillation
from cl_bench.slow.slow_weights import SlowWeights
from tests.slow.scripted import CONFIG, ONE, TWO, by_length, gradients_of

BATCH = [by_length("one"), by_length("two six")]


def rl(policy: Policy) -> StepRecord:
    (record,) = SlowWeights(policy, CONFIG, Ledger()).steps([BATCH], [ONE, TWO])
    return record


def distillation(policy: Policy) -> StepRecord:
    (record,) = SelfDistillation(policy, CONFIG, Ledger()).steps([BATCH], [TWO])
    return record


def layer_calls(policy: Policy) -> list[bool]:
    """Filled at every call of a first layer: whether it had a cache."""
    layer = next(m for m in policy.model.modules() if isinstance(m, GradientCheckpointingLayer))
    inner: Any = next(iter(layer.children()))
    calls: list[bool] = []

    def see(_module: object, _args: object, inputs: dict[str, Any]) -> None:
        if torch.is_grad_enabled():
            calls.append(any(inputs.get(n) is not None for n in ("cache", "past_key_values")))

    inner.register_forward_pre_hook(see, with_kwargs=True)
    return calls


@pytest.mark.parametrize("lora", [None, Lora(4, 8.0, "all-linear", 0)], ids=["full", "lora"])
@pytest.mark.parametrize("learn", [rl, distillation])
@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "in pieces"])
def test_losses_and_gradients_are_those_of_layers_that_are_kept(
    tiny_model: Path,
    learn: Callable[[Policy], StepRecord],
    lora: Lora | None,
    pieces: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if pieces:
        for name in ("LOGITS", "MOST_LOGITS"):
            monkeypatch.setattr(f"cl_bench.model.memory.{name}", 1000)
    found: list[tuple[StepRecord, dict[str, Tensor], int]] = []
    for again in (False, True):
        policy = Policy.load(str(tiny_model), lora=lora, gradient_checkpointing=again)
        policy.model.generation_config.eos_token_id = [1, *range(100, 180)]
        torch.manual_seed(0)
        with torch.no_grad():  # an adapter that does nothing would hide half of its gradients
            for weight in filter(lambda it: it.requires_grad, policy.model.parameters()):
                weight.add_(0.1 * torch.randn_like(weight))
        calls, gradients = layer_calls(policy), gradients_of(policy.model)
        found.append((learn(policy), gradients, len(calls)))
        assert not (again and any(calls))
    (kept, given, once), (recomputed, same, twice) = found
    assert recomputed.loss == pytest.approx(kept.loss, rel=1e-4)
    assert recomputed.grad_norm == pytest.approx(kept.grad_norm, rel=1e-3)
    assert recomputed.reward == kept.reward
    assert given.keys() == same.keys()
    assert len(given) > 10
    for name, gradient in given.items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(same[name], gradient, rtol=1e-3, atol=1e-4 * scale)
    assert once > 0
    assert twice > 1


def test_a_model_without_such_layers_is_refused(tiny_policy: Policy) -> None:
    type(tiny_policy.model).supports_gradient_checkpointing = False
    try:
        with pytest.raises(ModelError, match="leave out gradient_checkpointing"):
            recompute_layers(tiny_policy.model)
    finally:
        type(tiny_policy.model).supports_gradient_checkpointing = True
