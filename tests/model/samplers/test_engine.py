"""A sampler on an engine beside the model: requests, seeds, pushes, and the proof of a push."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from cl_bench.contract.errors import DivergedError, SamplerError
from cl_bench.model.adapters import ALL_LINEAR, Lora, adapter_weights, add_lora
from cl_bench.model.policy import Policy
from cl_bench.model.samplers.engine import EngineSampler, Reply, Request
from cl_bench.model.samplers.transformers import TransformersSampler, respond

PROMPTS = [[5, 6, 7], [8, 9], [5, 6, 7]]


@dataclass
class Beside:
    """An engine that is a second model, of other weights until it is given some."""

    model: PreTrainedModel
    pad: int
    name: str = "beside 1.0"
    shared: bool = False
    deaf: bool = False
    """It ignores what is pushed."""
    broken: bool = False
    nan: bool = False
    awake: bool = False
    pushes: int = 0
    requests: list[Request] = field(default_factory=list)

    def load(self, weights: Iterator[tuple[str, Tensor]]) -> None:
        self.pushes += 1
        if not self.deaf:
            self.model.load_state_dict(dict(weights))

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        assert self.awake
        if self.broken:
            raise RuntimeError("the core died")
        self.requests += requests
        return [self._reply(request) for request in requests]

    def wake(self) -> None:
        self.awake = True

    def sleep(self) -> None:
        self.awake = False

    def _reply(self, request: Request) -> Reply:
        torch.manual_seed(request.seed)
        (row,) = respond(
            self.model,
            [request.prompt],
            pad=self.pad,
            ends=request.ends,
            max_new_tokens=request.max_new_tokens,
            temperature=request.temperature,
        )
        return Reply(row.tokens, [math.nan] * len(row.tokens) if self.nan else row.log_probs)


@pytest.fixture
def engine(tiny_policy: Policy) -> Beside:
    """The engine of the sampler of `tiny_policy`."""
    model = copy.deepcopy(tiny_policy.model)
    change(model)
    engine = Beside(model, tiny_policy.pad_id)
    tiny_policy.sampler = EngineSampler(tiny_policy, engine)
    return engine


@torch.no_grad()
def change(model: PreTrainedModel) -> None:
    for weight in model.parameters():
        weight.add_(torch.randn_like(weight))


def test_each_row_is_a_request_with_a_seed_of_its_own_from_torchs_generator(
    tiny_policy: Policy, engine: Beside
) -> None:
    torch.manual_seed(3)
    first = tiny_policy.continue_tokens(PROMPTS, max_new_tokens=6)
    after = torch.get_rng_state()
    torch.manual_seed(3)
    again = tiny_policy.continue_tokens(PROMPTS, max_new_tokens=6)
    assert torch.equal(torch.get_rng_state(), after)
    asked = engine.requests[:3]
    assert [list(request.prompt) for request in asked] == PROMPTS
    assert len({request.seed for request in asked}) == 3
    assert engine.requests[3:] == asked
    assert [row.completion_ids for row in again] == [row.completion_ids for row in first]
    assert first[0].completion_ids != first[2].completion_ids
    assert all(request.ends == tiny_policy.end_ids for request in asked)
    assert not engine.awake


def test_log_probabilities_are_kept_and_give_an_estimate_of_the_entropy(
    tiny_policy: Policy, engine: Beside
) -> None:
    torch.manual_seed(0)
    rollouts = tiny_policy.continue_tokens(PROMPTS[:1] * 200, max_new_tokens=6)
    assert all(len(rollout.log_probs) == len(rollout.completion_ids) for rollout in rollouts)
    estimates = torch.tensor([rollout.entropy for rollout in rollouts])
    own = TransformersSampler(tiny_policy).sample(
        PROMPTS[:1] * 200, max_new_tokens=6, temperature=1.0
    )
    exact = torch.tensor([sampled.entropy for sampled in own])
    spread = (estimates.var() + exact.var()).div(200).sqrt()
    assert abs(estimates.mean() - exact.mean()) < 3 * spread
    greedy, *_ = tiny_policy.continue_tokens(PROMPTS, max_new_tokens=6, temperature=0)
    assert set(greedy.log_probs) == {0.0}
    assert greedy.entropy == 0
    assert engine.requests[-1].seed == 0


def test_changed_weights_are_pushed_once_before_the_next_request(
    tiny_policy: Policy, engine: Beside
) -> None:
    for _ in range(2):
        tiny_policy.continue_tokens(PROMPTS, max_new_tokens=4)
    assert engine.pushes == 1
    change(tiny_policy.model)
    tiny_policy.sampler.weights_changed()
    tiny_policy.sampler.weights_changed()
    tiny_policy.continue_tokens(PROMPTS, max_new_tokens=4)
    assert engine.pushes == 2
    pairs = zip(tiny_policy.model.parameters(), engine.model.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_the_base_answers_with_its_own_weights(tiny_policy: Policy, engine: Beside) -> None:
    change(tiny_policy.model)
    tiny_policy.continue_tokens(PROMPTS, max_new_tokens=4, from_base=True)
    assert engine.requests == []


def test_an_engine_that_ignores_the_first_push_stops_the_run_with_both_numbers(
    tiny_policy: Policy, engine: Beside
) -> None:
    engine.deaf = True
    with pytest.raises(SamplerError, match=r"beside 1.0 does not draw from .* trained") as told:
        tiny_policy.continue_tokens(PROMPTS, max_new_tokens=6)
    words = str(told.value).replace(",", "").split()
    numbers = [float(word) for word in words if word.startswith("-") and word[1].isdigit()]
    assert len(numbers) == 2
    assert numbers[0] - numbers[1] > 0.01
    assert "0.01 are allowed" in str(told.value)


def test_the_first_push_of_changed_weights_is_proved_too(
    tiny_policy: Policy, engine: Beside
) -> None:
    tiny_policy.continue_tokens(PROMPTS, max_new_tokens=6)
    engine.deaf = True
    change(tiny_policy.model)
    tiny_policy.sampler.weights_changed()
    # Greedy decoding has no log-probabilities to compare: the proof waits.
    tiny_policy.continue_tokens(PROMPTS, max_new_tokens=6, temperature=0)
    with pytest.raises(SamplerError, match="does not draw from the weights that are trained"):
        tiny_policy.continue_tokens(PROMPTS, max_new_tokens=6)


def test_a_failed_engine_is_told_in_one_line(tiny_policy: Policy, engine: Beside) -> None:
    engine.broken = True
    with pytest.raises(SamplerError, match="RuntimeError: the core died") as told:
        tiny_policy.continue_tokens(PROMPTS, max_new_tokens=6)
    assert "beside 1.0 failed while answering 3 requests" in str(told.value)
    assert "cl-bench run --resume" in str(told.value)
    assert "\n" not in str(told.value)


def test_a_distribution_that_is_not_finite_is_a_divergence(
    tiny_policy: Policy, engine: Beside
) -> None:
    engine.nan = True
    with pytest.raises(DivergedError, match="not finite"):
        tiny_policy.continue_tokens(PROMPTS, max_new_tokens=6)


def test_no_two_seeds_of_many_requests_are_the_same(tiny_policy: Policy, engine: Beside) -> None:
    tiny_policy.continue_tokens([[5]] * 50, max_new_tokens=1)
    seeds = sorted(request.seed for request in engine.requests)
    assert all(one < other for one, other in pairwise(seeds))


def test_an_adapter_is_pushed_added_into_its_model(tiny_policy: Policy) -> None:
    model, plain = tiny_policy.model, copy.deepcopy(tiny_policy.model)
    add_lora(model, Lora(rank=2, alpha=4.0, targets=ALL_LINEAR, seed=0))
    policy = Policy(model, tiny_policy.tokenizer)
    engine = Beside(plain, policy.pad_id)
    policy.sampler = EngineSampler(policy, engine)
    with torch.no_grad():
        for weight in adapter_weights(model).values():
            weight.add_(torch.randn_like(weight))
    policy.continue_tokens(PROMPTS, max_new_tokens=6)  # proves the push
    prompt = torch.tensor([PROMPTS[0]])
    assert torch.allclose(plain(prompt).logits, model(prompt).logits, atol=1e-4)
