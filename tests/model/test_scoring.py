"""Reading a prompt once for all its responses changes neither values nor gradients."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    Lfm2Config,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    PreTrainedModel,
)

from cl_bench.model.scoring import response_log_probs

SIZE: dict[str, Any] = {
    "vocab_size": 40,
    "bos_token_id": None,
    "eos_token_id": 1,
    "pad_token_id": 0,
}
WIDE: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "initializer_range": 0.4,
}
CONFIGS: dict[str, PreTrainedConfig] = {
    "llama": LlamaConfig(**SIZE, **WIDE),
    "mistral with a window": MistralConfig(**SIZE, **WIDE, sliding_window=5, head_dim=8),
    "lfm2": Lfm2Config(**SIZE, **WIDE, layer_types=["conv", "full_attention"]),
    "gpt2": GPT2Config(**SIZE, n_embd=16, n_layer=2, n_head=2, initializer_range=0.4),
}
ROWS = [
    ((5, 6, 7, 8), (20, 21, 22, 23, 1)),
    ((5, 6, 7, 8), (24, 1)),
    ((9,), (25, 26, 27)),
    ((5, 6, 7, 8), (28,)),
    ((9,), (29, 30, 1)),
]
TEMPERATURE = 0.7


def padded() -> tuple[Tensor, Tensor]:
    width, keep = 4, 5
    ids, mask = [], []
    for prompt, response in ROWS:
        left, right = width - len(prompt), keep - len(response)
        ids.append([0] * left + [*prompt, *response] + [0] * right)
        mask.append([0] * left + [1] * (len(prompt) + len(response)) + [0] * right)
    return torch.tensor(ids), torch.tensor(mask)


def one_by_one(model: PreTrainedModel) -> list[tuple[Tensor, Tensor]]:
    found = []
    for prompt, response in ROWS:
        logits = model(input_ids=torch.tensor([[*prompt, *response]])).logits[0]
        table = torch.log_softmax(logits[len(prompt) - 1 : -1] / TEMPERATURE, dim=-1)
        chosen = table.gather(1, torch.tensor(response)[:, None])[:, 0]
        found.append((chosen, -(table.exp() * table).sum(-1)))
    return found


def gradients(model: PreTrainedModel, log_probs: list[Tensor]) -> list[Tensor]:
    model.zero_grad()
    weights = torch.linspace(-1, 1, len(log_probs))
    total = sum((row.sum() * w for row, w in zip(log_probs, weights, strict=True)), torch.zeros(()))
    total.backward()
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize("name", CONFIGS)
def test_values_entropies_and_gradients_are_those_of_whole_texts(name: str) -> None:
    torch.manual_seed(3)
    built = AutoModelForCausalLM.from_config(CONFIGS[name])  # type: ignore[no-untyped-call]
    model = cast(PreTrainedModel, built.train(False))
    expected = one_by_one(model)
    ids, mask = padded()
    log_probs, entropies = response_log_probs(model, ids, mask, 5, TEMPERATURE)
    rows = [row[: len(response)] for row, (_, response) in zip(log_probs, ROWS, strict=True)]
    for row, entropy, (value, measured) in zip(rows, entropies, expected, strict=True):
        torch.testing.assert_close(row, value, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(entropy[: len(measured)], measured, rtol=1e-4, atol=1e-5)
    assert not entropies.requires_grad
    shared = gradients(model, rows)
    whole = gradients(model, [value for value, _ in one_by_one(model)])
    assert len(shared) == len(whole) > 10
    for one, other in zip(shared, whole, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
