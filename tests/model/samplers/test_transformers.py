"""The sampling loop: the same distribution as transformers' `generate`, whatever shares a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
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
    Qwen2Config,
)

from cl_bench.contract.errors import ModelError
from cl_bench.model.policy import Policy
from cl_bench.model.samplers.protocol import Sampled
from cl_bench.model.samplers.transformers import respond

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
CONFIGS: dict[str, Callable[[], PreTrainedConfig]] = {
    "llama": lambda: LlamaConfig(**SIZE, **WIDE),
    "qwen2": lambda: Qwen2Config(**SIZE, **WIDE),
    "mistral with a window": lambda: MistralConfig(**SIZE, **WIDE, sliding_window=6, head_dim=8),
    "lfm2": lambda: Lfm2Config(**SIZE, **WIDE, layer_types=["conv", "full_attention"]),
    "gpt2": lambda: GPT2Config(**SIZE, n_embd=16, n_layer=2, n_head=2, initializer_range=0.4),
}
# Equal prompts, different ones and different lengths.
PROMPTS = [(5, 6, 7, 8, 9, 10, 11, 12), (5, 6), (20, 21, 22), (5, 6), (5, 6, 7, 8, 9, 10, 11, 12)]


def build(name: str) -> PreTrainedModel:
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(CONFIGS[name]())  # type: ignore[no-untyped-call]
    return cast(PreTrainedModel, model.train(False))


def draw(model: PreTrainedModel, prompts: list[tuple[int, ...]], **options: Any) -> list[Sampled]:
    ends = {1, 2, 3, 4, 30, 31}
    given: dict[str, Any] = {"pad": 0, "ends": ends, "max_new_tokens": 12, "temperature": 1.0}
    return respond(model, prompts, **(given | options))


def by_transformers(model: PreTrainedModel, prompt: tuple[int, ...], ends: set[int]) -> list[int]:
    generate = cast(Callable[..., Tensor], model.generate)
    output = generate(
        input_ids=torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        do_sample=False,
        max_new_tokens=12,
        eos_token_id=sorted(ends),
        pad_token_id=0,
    )
    return cast(list[int], output[0, len(prompt) :].tolist())


@pytest.mark.parametrize("name", CONFIGS)
def test_greedy_responses_are_those_of_generate_one_by_one(name: str) -> None:
    model = build(name)
    ends = {by_transformers(model, PROMPTS[1], set())[3]}  # some rows end early, some do not
    together = draw(model, PROMPTS, temperature=0, ends=ends)
    assert [row.tokens for row in together] == [by_transformers(model, p, ends) for p in PROMPTS]
    assert len({len(row.tokens) for row in together}) > 1
    assert [row.ended for row in together] == [row.tokens[-1] in ends for row in together]
    assert all(row.log_probs == [0.0] * len(row.tokens) for row in together)


@pytest.mark.parametrize("name", CONFIGS)
def test_log_probabilities_and_entropy_are_those_of_each_token_s_distribution(name: str) -> None:
    model = build(name)
    for prompt, row in zip(PROMPTS, draw(model, PROMPTS, temperature=0.7), strict=True):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([[*prompt, *row.tokens]])).logits[0]
        table = torch.log_softmax(logits[len(prompt) - 1 : -1] / 0.7, dim=-1)
        expected = float(-(table.exp() * table).sum())
        assert row.entropy == pytest.approx(expected, rel=1e-4)
        chosen = table.gather(1, torch.tensor(row.tokens)[:, None])[:, 0]
        assert row.log_probs == pytest.approx(chosen.tolist(), rel=1e-4, abs=1e-5)


def test_tokens_come_as_often_as_the_model_says() -> None:
    model, prompt, count = build("lfm2"), PROMPTS[0], 4_000
    torch.manual_seed(5)
    rows = draw(model, [prompt] * count, temperature=1.5, max_new_tokens=2, ends=set())
    with torch.no_grad():
        first = torch.softmax(model(input_ids=torch.tensor([prompt])).logits[0, -1] / 1.5, -1)
        likely = int(first.argmax())
        after = model(input_ids=torch.tensor([[*prompt, likely]])).logits[0, -1]
    second = torch.softmax(after / 1.5, -1)
    begun = Counter(row.tokens[0] for row in rows)
    gone_on = Counter(row.tokens[1] for row in rows if row.tokens[0] == likely)
    for shares, counted in ((first, begun), (second, gone_on)):
        total = sum(counted.values())
        chi_square = sum(
            (counted[token] - total * float(share)) ** 2 / (total * float(share))
            for token, share in enumerate(shares)
        )
        assert chi_square < 39 + 5 * (2 * 39) ** 0.5  # 39 degrees of freedom, five deviations


def test_a_response_ends_at_the_first_end_token_or_at_its_longest() -> None:
    torch.manual_seed(0)
    rows = draw(build("llama"), [PROMPTS[0]] * 200)
    ends = {1, 2, 3, 4, 30, 31}
    for row in rows:
        assert not set(row.tokens[:-1]) & ends
        assert row.ended == (row.tokens[-1] in ends)
        assert row.ended or len(row.tokens) == 12
    assert len({len(row.tokens) for row in rows}) > 5


def test_the_random_stream_is_torch_s_global_one(tiny_policy: Policy) -> None:
    model = tiny_policy.model.train(False)
    torch.manual_seed(1)
    first = draw(model, PROMPTS)
    torch.manual_seed(1)
    assert draw(model, PROMPTS) == first
    assert draw(model, PROMPTS) != first


def test_a_model_whose_state_cannot_be_reordered_is_refused(tiny_model: Path) -> None:
    model = Policy.load(str(tiny_model)).model.train(False)

    def forward(**_: Any) -> SimpleNamespace:
        return SimpleNamespace(past_key_values=("state",), logits=torch.zeros(1, 1, 40))

    model.forward = forward
    with pytest.raises(ModelError, match="keeps its state in tuple"):
        draw(model, [PROMPTS[0]])
