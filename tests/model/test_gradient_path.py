"""Shortcuts on a gradient's way change no gradient."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel

from cl_bench.model.gradient_path import cut, vocabulary_in_place

IDS = torch.tensor([[4, 4, 0, 7], [9, 4, 1, 0]])


def built(*, tied: bool, pad: int | None) -> PreTrainedModel:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=12,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        tie_word_embeddings=tied,
        pad_token_id=pad,
        bos_token_id=None,
    )
    model: Any = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    return cast(PreTrainedModel, model)


def gradients(model: PreTrainedModel) -> dict[str, Tensor | None]:
    """After two passes."""
    for _ in range(2):
        model(input_ids=IDS).logits.square().sum().backward()
    return {name: weight.grad for name, weight in model.named_parameters()}


def assert_same(found: dict[str, Tensor | None], expected: dict[str, Tensor | None]) -> None:
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("pad", [None, 0])
def test_the_vocabularys_gradients_are_those_of_autograd(tied: bool, pad: int | None) -> None:
    model = built(tied=tied, pad=pad)
    with vocabulary_in_place(model):
        found = gradients(model)
    assert_same(found, gradients(built(tied=tied, pad=pad)))
    # Outside nothing is changed.
    model.zero_grad()
    assert_same(gradients(model), gradients(built(tied=tied, pad=pad)))


@pytest.mark.parametrize("name", ["model.embed_tokens.weight", "lm_head.weight"])
def test_what_is_not_trained_gets_no_gradient(name: str) -> None:
    model, plain = built(tied=False, pad=None), built(tied=False, pad=None)
    for each in (model, plain):
        each.get_parameter(name).requires_grad_(False)
    with vocabulary_in_place(model):
        found = gradients(model)
    assert found[name] is None
    assert_same(found, gradients(plain))


@pytest.mark.parametrize("tied", [True, False])
def test_under_autocast_gradients_are_those_of_autograd_within_its_precision(tied: bool) -> None:
    model, plain = built(tied=tied, pad=None), built(tied=tied, pad=None)
    with torch.autocast("cpu", dtype=torch.bfloat16), vocabulary_in_place(model):
        found = gradients(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = gradients(plain)
    for name, gradient in expected.items():
        assert gradient is not None
        scale = float(gradient.abs().max())
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=0.03 * scale, msg=name)


def test_a_cut_changes_no_gradient_and_is_walked_once_all_is_there() -> None:
    weight = torch.tensor([2.0, 3.0], requires_grad=True)
    one, two, unused = cut([weight**2, weight**3, weight * 0])
    torch.autograd.backward((one * two.sum() * weight).sum())
    # d/dw of w^2 * (w1^3 + w2^3) * w, over both: 3 w^2 (8 + 27) + 3 w^2 (8 + 27).
    torch.testing.assert_close(weight.grad, torch.tensor([6 * 4 * 35.0, 6 * 9 * 35.0]))
    assert unused.requires_grad
