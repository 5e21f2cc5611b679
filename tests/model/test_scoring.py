"""Reading a prompt once for all its responses changes neither values nor gradients."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from cl_bench.model.policy import Policy
from cl_bench.model.scoring import response_log_probs
from tests.zoo import REFUSED, ZOO

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


@pytest.mark.parametrize("name", [name for name in ZOO if name not in REFUSED])
def test_values_entropies_and_gradients_are_those_of_whole_texts(name: str, tmp_path: Path) -> None:
    model = Policy.load(str(ZOO[name].make(tmp_path))).model
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
