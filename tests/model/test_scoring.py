"""Neither values nor gradients change by reading a prompt once for all its responses, by reading a
head for a few positions at a time, or by computing layers again in the backward pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GPT2Config,
    GraniteConfig,
    Lfm2Config,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    PreTrainedModel,
)

from cl_bench.model import memory
from cl_bench.model.gradient_path import recompute_layers
from cl_bench.model.output_head import reads_apart
from cl_bench.model.policy import Policy
from cl_bench.model.scoring import compared, next_tokens, own_tokens, response_log_probs
from tests.zoo import REFUSED, ZOO

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
    "llama with tied embeddings": LlamaConfig(**SIZE, **WIDE, tie_word_embeddings=True),
    "granite with a scaled head": GraniteConfig(**SIZE, **WIDE, logits_scaling=3.0),
    "gemma2 with a soft-capped head": Gemma2Config(
        **SIZE, **WIDE, head_dim=8, final_logit_softcapping=1.5
    ),
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


def made(name: str) -> PreTrainedModel:
    torch.manual_seed(3)
    built = AutoModelForCausalLM.from_config(CONFIGS[name])  # type: ignore[no-untyped-call]
    return cast(PreTrainedModel, built.train(False))


@pytest.mark.parametrize("again", [False, True], ids=["layers kept", "layers again"])
@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "in pieces"])
@pytest.mark.parametrize("name", CONFIGS)
def test_values_entropies_and_gradients_are_those_of_whole_texts(
    name: str, pieces: bool, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = made(name)
    expected = one_by_one(model)
    if pieces:  # of three positions
        monkeypatch.setattr(memory, "MOST_LOGITS", 0)
        monkeypatch.setattr(memory, "LOGITS", 3 * SIZE["vocab_size"])
        assert reads_apart(model)
    if again:
        recompute_layers(model)
    hold_to(model, expected)


@pytest.mark.parametrize("name", [name for name in ZOO if name not in REFUSED])
def test_values_entropies_and_gradients_of_the_zoo_are_those_of_whole_texts(
    name: str, tmp_path: Path
) -> None:
    model = Policy.load(str(ZOO[name].make(tmp_path))).model
    hold_to(model, one_by_one(model))


def hold_to(model: PreTrainedModel, expected: list[tuple[Tensor, Tensor]]) -> None:
    """Assert that training reads what whole texts have, and gets their gradient."""
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


@pytest.mark.parametrize("name", CONFIGS)
def test_a_head_read_in_pieces_measures_what_a_whole_one_does(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, other = made(name), made(name)
    with torch.no_grad():
        for weight in other.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    found = []
    for budget in (memory.LOGITS, 2 * SIZE["vocab_size"]):
        monkeypatch.setattr(memory, "LOGITS", budget)
        p, q = (next_tokens(one, ROWS, 0, TEMPERATURE) for one in (model, other))
        assert isinstance(p.read, Tensor) == (budget > 1000)
        log_prob, likeliest = own_tokens(p)
        entropy, (kl,) = compared(p, q)
        found.append((log_prob[p.sampled], likeliest[p.sampled], entropy, kl))
    for whole, pieces in zip(*found, strict=True):
        torch.testing.assert_close(whole, pieces, rtol=1e-4, atol=1e-6)
    assert float(found[0][3].min()) > 0


def test_a_head_that_cannot_be_read_apart_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LOGITS", 0)
    model = made("llama")

    def add_the_highest_token(_model: Any, _args: Any, inputs: Any, output: Any) -> None:
        output.logits = output.logits + inputs["input_ids"].max()

    model.register_forward_hook(add_the_highest_token, with_kwargs=True)
    assert not reads_apart(model)
    assert isinstance(next_tokens(model, ROWS, 0, TEMPERATURE).read, Tensor)
