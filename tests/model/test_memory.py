"""Rows of a pass: as many as a budget holds, and no number depends on how many that is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoConfig

from cl_bench.contract.prompts import chat
from cl_bench.model import memory
from cl_bench.model.adapters import Lora, adapter_weights
from cl_bench.model.memory import gradient_passes, sampling_rows, scoring_rows
from cl_bench.model.policy import Policy

MANY = 10**12
Rows = Callable[[Any, int, int], int]


def model(kind: str, **fields: Any) -> Any:
    """A model as far as budgets look at it."""
    return as_model(AutoConfig.for_model(kind, **fields))


def as_model(config: Any, **fields: Any) -> Any:
    return SimpleNamespace(
        config=config, device=torch.device("cpu"), modules=lambda: [SimpleNamespace(**fields)]
    )


def _gradient_rows(given: Any, length: int, most: int) -> int:
    """Of responses of that length after no prompt."""
    rows = min(most, 10_000) + 1
    first = gradient_passes(given, [("", 0, length)] * rows, most)[0]
    return int(first.stop)


LLAMA = model(
    "llama",
    num_hidden_layers=30,
    hidden_size=576,
    num_attention_heads=9,
    num_key_value_heads=3,
    vocab_size=49_152,
)
GPT2 = model("gpt2", n_layer=12, n_embd=768, n_head=12, vocab_size=50_257)
UNKNOWN = as_model(SimpleNamespace(get_text_config=lambda: SimpleNamespace(vocab_size=100)))


@pytest.mark.parametrize("given", [LLAMA, GPT2, UNKNOWN], ids=["llama", "gpt2", "unknown"])
@pytest.mark.parametrize("rows", [sampling_rows, _gradient_rows, scoring_rows])
def test_rows_are_at_least_one_and_at_most_those_asked_for(rows: Rows, given: Any) -> None:
    assert rows(given, MANY, 256) == 1
    assert rows(given, 1, 7) == 7
    assert rows(given, 1, 1) == 1


@pytest.mark.parametrize("given", [LLAMA, GPT2], ids=["llama", "gpt2"])
@pytest.mark.parametrize("rows", [sampling_rows, _gradient_rows, scoring_rows])
@pytest.mark.parametrize("length", [1, 16, 50])
def test_twice_the_length_is_half_the_rows(rows: Rows, given: Any, length: int) -> None:
    once = rows(given, length, MANY)
    assert once > 1
    assert rows(given, 2 * length, MANY) == once // 2


def test_a_token_costs_what_the_model_holds_of_it() -> None:
    length = 100
    # Keys and values of 30 layers, 3 heads of 64 numbers, 4 bytes each.
    assert sampling_rows(LLAMA, length, MANY) == memory.CACHE // (2 * 30 * 3 * 64 * 4 * length)
    assert sampling_rows(GPT2, length, MANY) == memory.CACHE // (2 * 12 * 12 * 64 * 4 * length)
    # Of every layer so many vectors of the model's width.
    assert _gradient_rows(LLAMA, length, MANY) == memory.ACTIVATIONS // (22 * 30 * 576 * 4 * length)
    assert _gradient_rows(GPT2, length, MANY) == memory.ACTIVATIONS // (22 * 12 * 768 * 4 * length)
    assert scoring_rows(LLAMA, 2, MANY) == memory.LOGITS // (2 * 49_152)
    assert scoring_rows(GPT2, 2, MANY) == memory.LOGITS // (2 * 50_257)


def test_a_pass_reads_each_prompt_once_and_pads_to_its_longest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = 22 * 30 * 576 * 4
    monkeypatch.setattr(memory, "ACTIVATIONS", 100 * token)
    same = [("a", 20, 20)] * 5
    # 20 + 4 * 20 tokens, then what is left.
    assert gradient_passes(LLAMA, same, 9) == [slice(0, 4), slice(4, 5)]
    assert gradient_passes(LLAMA, same, 2) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    # 2 * (20 + 20) tokens; a third prompt makes 120.
    other = [("a", 20, 20), ("b", 20, 20), ("c", 20, 20)]
    assert gradient_passes(LLAMA, other, 9) == [slice(0, 2), slice(2, 3)]
    # 20 + 2 * 40 tokens, although they hold 20 + 10 + 40.
    assert gradient_passes(LLAMA, [("a", 20, 10), ("a", 20, 40), ("a", 20, 1)], 9) == [
        slice(0, 2),
        slice(2, 3),
    ]
    assert gradient_passes(LLAMA, [("a", 101, 10), ("b", 101, 10)], 9) == [slice(0, 1), slice(1, 2)]
    assert gradient_passes(LLAMA, [], 9) == []


def test_layers_that_are_recomputed_keep_their_input_and_read_every_row_whole() -> None:
    again = as_model(LLAMA.config, gradient_checkpointing=True)
    # The inputs of 30 layers, and all that one of them keeps.
    rows = memory.ACTIVATIONS // ((30 + 22) * 576 * 4 * 100)
    assert _gradient_rows(again, 100, MANY) == rows
    assert rows > 10 * _gradient_rows(LLAMA, 100, MANY)
    shared = [("a", 60, 40)] * 1000
    assert gradient_passes(again, shared, 1000)[0] == slice(0, rows)


def test_a_gpu_gives_shares_of_what_it_has_beside_the_model() -> None:
    small, large = memory.Budget.of_gpu(10 * 2**30), memory.Budget.of_gpu(100 * 2**30)
    assert small.cache == memory.CACHE_SHARE * 10 * 2**30
    assert large.activations == 10 * small.activations
    assert large.logits == memory.LOGITS_SHARE * 100 * 2**30 // 4
    # Together with five tensors of logits a pass leaves room.
    assert memory.ACTIVATIONS_SHARE + 5 * memory.MOST_LOGITS_SHARE < 0.8
    least = memory.Budget.of_cpu()
    assert memory.Budget.of_gpu(0) == memory.Budget.of_gpu(-5) == least
    assert least.cache == memory.CACHE


def test_a_model_is_held_with_its_base_gradients_and_moments(tiny_model: Path) -> None:
    whole = Policy.load(str(tiny_model)).model
    weights = 4 * sum(weight.numel() for weight in whole.parameters())
    assert memory.Held.of(whole) == memory.Held(weights, weights, weights, 2 * weights)
    adapted = Policy.load(str(tiny_model), lora=Lora(2, 4.0, "all-linear", 0)).model
    adapter = 4 * sum(weight.numel() for weight in adapter_weights(adapted).values())
    assert memory.Held.of(adapted) == memory.Held(weights + adapter, 0, adapter, 2 * adapter)
    assert 0 < adapter < weights


def test_no_number_depends_on_the_budgets(
    tiny_policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.no_grad():
        for parameter in tiny_policy.model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    chats = [chat("solve .", f"math : {word} f : 4") for word in ("one", "two six", "ten")]
    start = [chat("add the rules .", "math : one f : 4")] * 3
    passes: list[int] = []

    def count(_model: object, _args: object, inputs: dict[str, Any]) -> None:
        passes.append(len(inputs["input_ids"]))

    tiny_policy.model.register_forward_pre_hook(count, with_kwargs=True)
    found = []
    for budget in (None, 0):
        for name in ("CACHE", "LOGITS") if budget == 0 else ():
            monkeypatch.setattr(memory, name, budget)
        passes.clear()
        rollouts = tiny_policy.generate(chats, max_new_tokens=8, temperature=0.0)
        found.append((rollouts, tiny_policy.divergence(rollouts, start=start), max(passes)))
    (texts, whole, most), (alone, single, one) = found
    assert (most, one) == (3, 1)
    assert alone == texts
    for name in ("kl_N", "entropy_N", "tokens_N", "deployed_N"):
        torch.testing.assert_close(
            getattr(single, name), getattr(whole, name), rtol=1e-3, atol=1e-5
        )
    assert float(whole.kl_N.min()) > 0
