"""The slow channel over a run: saving, ledger, what is not finite, what is left alone."""

from __future__ import annotations

import copy
import random
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from cl_bench.contract.errors import DivergedError, UsageError
from cl_bench.contract.learner import Ledger
from cl_bench.contract.prompts import chat
from cl_bench.model.policy import Policy
from cl_bench.slow.settings import RLConfig
from cl_bench.slow.slow_weights import SlowWeights
from tests.model.samplers.doubles import Recorded
from tests.slow.scripted import (
    APART,
    CONFIG,
    ONE,
    THREE,
    TWO,
    assert_same_gradients,
    by_length,
    exercise,
    gradients_of,
    hand_written_loss,
    scripted,
    trainable_copy,
)


@pytest.mark.parametrize("config", [CONFIG, APART], ids=["mixed groups", "groups apart"])
def test_a_loaded_run_goes_on_exactly_as_the_saved_one(
    policy: Policy, tiny_model: Path, tmp_path: Path, config: RLConfig
) -> None:
    batches = [[by_length(f"b{b} e{e}") for e in range(2)] for b in range(4)]
    systems = [ONE, TWO, THREE]
    slow = SlowWeights(policy, config, Ledger())
    list(slow.steps(batches[:2], systems))
    slow.save(tmp_path)
    state = torch.get_rng_state()
    expected = list(slow.steps(batches[2:], systems))

    fresh = Policy.load(str(tiny_model))
    fresh.model.generation_config.eos_token_id = policy.model.generation_config.eos_token_id
    again = SlowWeights(fresh, config, Ledger())
    again.load(tmp_path)
    torch.set_rng_state(state)
    resumed = list(again.steps(batches[2:], systems))

    for left, right in zip(expected, resumed, strict=True):
        assert (left.loss, left.grad_norm) == (right.loss, right.grad_norm)
        assert (left.reward, left.entropy) == (right.reward, right.entropy)
    weights = fresh.model.state_dict()
    for name, weight in policy.model.state_dict().items():
        assert torch.equal(weight, weights[name]), name


def test_the_learning_rate_rises_in_equal_parts_and_a_resumed_run_goes_on_rising(
    policy: Policy, tiny_model: Path, tmp_path: Path
) -> None:
    config = replace(CONFIG, learning_rate=1e-3, warmup_steps=4)
    rates: list[float] = []

    def note(optimizer: torch.optim.Optimizer, *_: object) -> None:
        rates.append(optimizer.param_groups[0]["lr"])

    handle = register_optimizer_step_pre_hook(note)
    batches = [[scripted(f"e{n}", [1.0, 0.0, 0.0, 0.0])] for n in range(6)]
    slow = SlowWeights(policy, config, Ledger())
    list(slow.steps(batches[:2], [ONE]))
    slow.save(tmp_path)
    resumed = SlowWeights(Policy.load(str(tiny_model)), config, Ledger())
    resumed.load(tmp_path)
    list(resumed.steps(batches[2:], [ONE]))
    handle.remove()
    assert rates == pytest.approx([2.5e-4, 5e-4, 7.5e-4, 1e-3, 1e-3, 1e-3])


def test_the_learning_rate_is_constant_and_the_moments_live_between_calls(policy: Policy) -> None:
    """Without gradients AdamW moves on by its first moment alone: beta1 / (1 - beta1^2) steps."""
    slow = SlowWeights(policy, CONFIG, Ledger())
    list(slow.steps([[scripted("a", [1.0, 0.0, 0.0, 0.0])]], [ONE]))
    with policy.base() as base:
        pairs = zip(base.parameters(), policy.model.parameters(), strict=True)
        first = [new - old for old, new in pairs]
    before = [weight.detach().clone() for weight in policy.model.parameters()]
    list(slow.steps([[scripted("b", [0.0] * 4)]], [ONE]))
    # m / (sqrt(v) + eps) after a zero gradient, with both bias corrections of step two.
    factor = (0.9 / (1 - 0.9**2) * 0.1) / ((0.999 / (1 - 0.999**2) * 0.001) ** 0.5)
    compared = 0
    for old, new, move in zip(before, policy.model.parameters(), first, strict=True):
        # Where the first gradient was far above epsilon.
        moved = move.abs() > 0.999 * CONFIG.learning_rate
        torch.testing.assert_close((new - old)[moved], (factor * move)[moved], rtol=1e-2, atol=1e-6)
        compared += int(moved.sum())
    assert compared > 1000


def test_the_ledger_counts_what_was_read_and_sampled(policy: Policy, seen: Recorded) -> None:
    ledger = Ledger()
    slow = SlowWeights(policy, CONFIG, ledger)
    records = list(slow.steps([[by_length("a"), by_length("b")], [by_length("c")]], [ONE, TWO]))
    assert ledger.slow.rollouts == 12
    assert ledger.slow.prompt_tokens == sum(map(len, seen.prompts))
    assert ledger.slow.generated_tokens == sum(map(len, seen.completions))
    assert max(map(len, seen.completions)) == CONFIG.max_new_tokens
    assert ledger.slow.optimizer_steps == 2
    assert ledger.slow.seconds == pytest.approx(sum(record.seconds for record in records))
    assert ledger.fast == Ledger().fast


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_reward_that_is_not_finite_is_an_error_that_names_the_step(
    policy: Policy, score: float
) -> None:
    slow = SlowWeights(policy, CONFIG, Ledger())
    batches = [[by_length("a")], [scripted("b", [0.0, score, 1.0, 0.0])]]
    with pytest.raises(DivergedError, match=r"Step 2 .* reward is (nan|inf).*learning_rate"):
        list(slow.steps(batches, [ONE]))


def test_a_gradient_that_is_not_finite_never_reaches_the_weights(policy: Policy) -> None:
    *_, weight = policy.model.parameters()
    weight.register_hook(lambda grad: grad * float("nan"))  # type: ignore[no-untyped-call]
    slow = SlowWeights(policy, CONFIG, Ledger())
    with pytest.raises(DivergedError, match=r"Step 1 .* gradient norm is nan"):
        list(slow.steps([[scripted("a", [1.0, 0.0, 0.0, 0.0])]], [ONE]))
    assert policy.is_base()


def test_weights_that_are_not_finite_are_an_error_that_names_the_step(policy: Policy) -> None:
    slow = SlowWeights(policy, CONFIG, Ledger())
    with torch.no_grad():
        next(policy.model.parameters()).fill_(float("nan"))
    with pytest.raises(DivergedError, match=r"Step 1 .* sampling distribution"):
        list(slow.steps([[by_length("a")]], [ONE]))


def test_nothing_is_printed(policy: Policy, capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()
    slow = SlowWeights(policy, CONFIG, Ledger())
    list(slow.steps([[by_length("a")], [by_length("b")]], [ONE, TWO]))
    assert capfd.readouterr() == ("", "")


def test_building_leaves_the_global_random_state(policy: Policy) -> None:
    states = []
    for build in (False, True):
        torch.manual_seed(5), random.seed(5), np.random.seed(5)
        if build:
            SlowWeights(policy, CONFIG, Ledger())
        states.append((torch.rand(1).item(), random.random(), np.random.rand()))
    assert states[0] == states[1]


def test_sampling_ignores_the_truncation_a_model_ships(policy: Policy, seen: Recorded) -> None:
    shipped = policy.model.generation_config
    shipped.top_k, shipped.min_p, shipped.typical_p, shipped.repetition_penalty = 1, 0.9, 0.1, 9.0
    list(SlowWeights(policy, CONFIG, Ledger()).steps([[by_length("a")] * 4], [ONE]))
    assert len({completion[0] for completion in seen.completions}) > 8


def test_dropout_is_off_in_the_loss(policy: Policy, seen: Recorded) -> None:
    for module in policy.model.modules():
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.9  # type: ignore[assignment]
    given = gradients_of(policy.model)
    rewards = [1.0, 0.0, 0.0, 0.0]
    list(SlowWeights(policy, CONFIG, Ledger()).steps([[scripted("a", rewards)]], [ONE]))
    model = trainable_copy(policy)
    hand_written_loss(model, seen, [rewards])[0].backward()  # type: ignore[no-untyped-call]
    assert_same_gradients(given, model)


def test_training_raises_the_reward_and_the_policy_samples_from_the_new_weights(
    policy: Policy,
) -> None:
    def ends_early(text: str) -> float:
        return float(len(text.split()) < 2)

    slow = SlowWeights(policy, CONFIG, Ledger())
    numbers = count()
    batches = [[exercise(f"e{next(numbers)}", ends_early) for _ in range(6)] for _ in range(25)]
    rewards = [record.reward for record in slow.steps(batches, [ONE])]
    assert sum(rewards[-5:]) > sum(rewards[:5]) + 1.0
    chats = [chat(ONE, "math : new : 4")] * 40
    policy.model.generation_config.eos_token_id = policy.tokenizer.eos_token_id
    new, old = (
        sum(ends_early(r.text) for r in policy.generate(chats, max_new_tokens=7, from_base=b))
        for b in (False, True)
    )
    assert new > old + 10


def test_a_copy_of_a_trained_model_has_weights_of_its_own(policy: Policy) -> None:
    list(SlowWeights(policy, CONFIG, Ledger()).steps([[by_length("a")]], [ONE]))
    twin = copy.deepcopy(policy.model)
    with torch.no_grad():
        for weight in twin.parameters():
            weight.zero_()
    with torch.no_grad():
        assert not twin(input_ids=torch.tensor([[5, 6]])).logits.any()
    assert not policy.model.training


def test_unusable_requests_say_what_to_give(policy: Policy) -> None:
    with pytest.raises(UsageError, match="at least 2"):
        SlowWeights(policy, RLConfig(group_size=1), Ledger())
    slow = SlowWeights(policy, CONFIG, Ledger())
    with pytest.raises(UsageError, match="0 prompts"):
        slow.steps([[by_length("a")]], [])
    with pytest.raises(UsageError, match=r"\[0\] exercises"):
        slow.steps([[]], [ONE])
