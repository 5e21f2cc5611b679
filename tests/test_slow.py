"""SlowWeights: mixed-prompt groups, advantages, the CISPO gradient, state, accounts."""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cl_bench.errors import DivergedError, UsageError
from cl_bench.learner import Exercise, LearnerConfig, Ledger
from cl_bench.policy import Policy
from cl_bench.prompts import chat
from cl_bench.sampling import Sampled
from cl_bench.slow import SlowWeights
from cl_bench.task import Verdict
from cl_bench.trl_trainer import MixedPromptTrainer

CONFIG = LearnerConfig(learning_rate=1e-2, group_size=4, max_new_tokens=7, temperature=0.8)
APART = replace(CONFIG, mixed_groups=False)
ONE, TWO, THREE = "solve step by step .", "a second , longer prompt ;", "third"


@pytest.fixture
def policy(tiny_model: Path) -> Policy:
    """A policy whose responses vary in length: many of its tokens end one."""
    policy = Policy.load(str(tiny_model))
    policy.model.generation_config.eos_token_id = [1, *range(100, 180)]
    torch.manual_seed(0)
    return policy


@dataclass
class Generations:
    """What was sampled from and what was sampled, one entry a rollout."""

    prompts: list[tuple[int, ...]] = field(default_factory=list)
    completions: list[tuple[int, ...]] = field(default_factory=list)


@pytest.fixture
def seen(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> Generations:
    seen = Generations()
    continue_tokens = policy.continue_tokens

    def record(prompts: Sequence[Sequence[int]], **options: Any) -> list[Sampled]:
        sampled = continue_tokens(prompts, **options)
        seen.prompts.extend(tuple(prompt) for prompt in prompts)
        seen.completions.extend(tuple(row.tokens) for row in sampled)
        return sampled

    monkeypatch.setattr(policy, "continue_tokens", record)
    return seen


def exercise(name: str, score: Callable[[str], float]) -> Exercise:
    return Exercise(name, f"math : {name} : 4", lambda text: Verdict(score(text), "", None))


def scripted(name: str, rewards: list[float]) -> Exercise:
    """Its n-th response scores the n-th of `rewards`, whatever it says."""
    left = iter(rewards)
    return exercise(name, lambda _: next(left))


def by_length(name: str) -> Exercise:
    return exercise(name, lambda text: min(len(text) / 40, 1.0))


def advantages(rewards: list[float]) -> list[float]:
    mean = sum(rewards) / len(rewards)
    deviation = (sum((r - mean) ** 2 for r in rewards) / (len(rewards) - 1)) ** 0.5
    return [(r - mean) / (deviation + 1e-4) for r in rewards]


def score_by_hand(
    model: torch.nn.Module, seen: Generations, temperature: float
) -> tuple[list[Tensor], list[Tensor]]:
    """Log-probabilities and entropies of the sampled tokens, one unpadded rollout at a time."""
    log_probs, entropies = [], []
    for prompt, completion in zip(seen.prompts, seen.completions, strict=True):
        logits = model(input_ids=torch.tensor([[*prompt, *completion]])).logits[0]
        table = torch.log_softmax(logits[len(prompt) - 1 : -1] / temperature, dim=-1)
        log_probs.append(table.gather(1, torch.tensor(completion)[:, None])[:, 0])
        entropies.append(-(table.exp() * table).sum(-1))
    return log_probs, entropies


def hand_written_loss(
    model: torch.nn.Module, seen: Generations, rewards: list[list[float]]
) -> tuple[Tensor, list[Tensor]]:
    """CISPO with ratio 1 over whole groups, per token of the step; and the tokens' entropies."""
    log_probs, entropies = score_by_hand(model, seen, CONFIG.temperature)
    factors = [advantage for group in rewards for advantage in advantages(group)]
    terms = [factor * tokens for factor, tokens in zip(factors, log_probs, strict=True)]
    return -torch.cat(terms).mean(), entropies


def gradients_of(model: torch.nn.Module) -> dict[str, Tensor]:
    """Filled, from now on, with what backward passes bring to each parameter (before clipping)."""
    sums: dict[str, Tensor] = {}

    def add(name: str, gradient: Tensor) -> None:
        sums[name] = sums.get(name, torch.zeros_like(gradient)) + gradient

    for name, parameter in model.named_parameters():
        parameter.register_hook(partial(add, name))  # type: ignore[no-untyped-call]
    return sums


def trainable_copy(policy: Policy) -> torch.nn.Module:
    model: torch.nn.Module = copy.deepcopy(policy.base)
    return model.requires_grad_(True)


def assert_same_gradients(given: dict[str, Tensor], model: torch.nn.Module) -> None:
    assert len(given) == len(list(model.parameters())) > 10
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        scale = float(parameter.grad.abs().max())
        torch.testing.assert_close(given[name], parameter.grad, rtol=1e-3, atol=1e-5 * scale)


@pytest.mark.parametrize(
    "systems", [(ONE,), (ONE, TWO), (ONE, TWO, THREE), (ONE, TWO, THREE, "", "x")]
)
def test_every_group_is_spread_evenly_over_the_prompts(
    policy: Policy, seen: Generations, systems: tuple[str, ...]
) -> None:
    batches = [[by_length(f"b{b} e{e}") for e in range(size)] for b, size in enumerate((3, 2))]
    slow = SlowWeights(policy, CONFIG, Ledger())
    assert len(list(slow.steps(batches, systems))) == 2
    flat = [item for batch in batches for item in batch]
    group, total = CONFIG.group_size, Counter[str]()
    assert len(seen.prompts) == group * len(flat)
    for place, item in enumerate(flat):
        chats = {tuple(policy.encode([chat(s, item.prompt)])[0]): s for s in systems}
        used = Counter(chats[ids] for ids in seen.prompts[place * group : (place + 1) * group])
        assert max(used.values()) - min(used[s] for s in systems) <= 1
        total += used
    assert max(total.values()) - min(total[s] for s in systems) <= 1


@pytest.mark.parametrize("systems", [(ONE,), (ONE, TWO), (ONE, TWO, THREE)])
def test_a_group_apart_reads_one_prompt_and_exercises_take_them_in_turn_over_the_run(
    policy: Policy, seen: Generations, systems: tuple[str, ...]
) -> None:
    batches = [[by_length(f"b{b} e{e}") for e in range(size)] for b, size in enumerate((4, 1, 2))]
    slow = SlowWeights(policy, APART, Ledger())
    assert len(list(slow.steps(batches, systems))) == 3
    flat = [item for batch in batches for item in batch]
    read = [systems[place % len(systems)] for place in range(7)]
    chats = [chat(system, item.prompt) for system, item in zip(read, flat, strict=True)]
    encoded = [tuple(ids) for ids in policy.encode(chats)]
    assert seen.prompts == [ids for ids in encoded for _ in range(APART.group_size)]


def test_prompts_and_batches_are_those_of_the_call_and_a_step_waits_until_it_is_asked_for(
    policy: Policy, seen: Generations
) -> None:
    slow = SlowWeights(policy, CONFIG, Ledger())
    batches = [[by_length("a"), by_length("b")], [by_length("c")]]
    steps = slow.steps(batches, [ONE])
    assert seen.prompts == []
    next(steps)
    before = {name: weight.clone() for name, weight in policy.model.state_dict().items()}
    expected = policy.encode([chat(ONE, item.prompt) for item in batches[0]])
    assert seen.prompts == [tuple(ids) for ids in expected for _ in range(4)]
    next(steps)
    after = policy.model.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert next(steps, None) is None
    list(slow.steps([[by_length("d")]], [TWO]))
    assert seen.prompts[-1] == tuple(policy.encode([chat(TWO, by_length("d").prompt)])[0])


@pytest.mark.parametrize(
    ("logits", "config"),
    [(2**26, CONFIG), (0, CONFIG), (2**26, APART)],
    ids=["prompts shared", "fused head", "groups apart"],
)
def test_the_gradient_is_the_hand_written_one_with_one_advantage_over_the_group(
    policy: Policy,
    seen: Generations,
    logits: int,
    config: LearnerConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cl_bench.trl_trainer.MOST_LOGITS", logits)
    # In a mixed group the first exercise pays one prompt only: within it all rewards are equal, so
    # advantages taken per prompt would all be 0. The second has none, the third is uneven.
    rewards = [[1.0, 0.0, 1.0, 0.0], [1.0] * 4, [0.1, 0.9, 0.4, 0.0]]
    batch = [scripted(f"e{place}", group) for place, group in enumerate(rewards)]
    given = gradients_of(policy.model)
    slow = SlowWeights(policy, config, Ledger())
    (record,) = slow.steps([batch], [ONE, TWO])

    assert advantages(rewards[0])[:2] == pytest.approx([0.8658754, -0.8658754])
    model = trainable_copy(policy)
    loss, entropies = hand_written_loss(model, seen, rewards)
    lengths = [len(tokens) for tokens in seen.completions]
    assert len(set(lengths)) > 2
    loss.backward()  # type: ignore[no-untyped-call]

    assert_same_gradients(given, model)
    norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
    assert record.loss == pytest.approx(float(loss.detach()), rel=1e-4)
    assert record.grad_norm == pytest.approx(float(norm), rel=1e-3)
    assert record.entropy == pytest.approx(float(torch.cat(entropies).mean().detach()), rel=1e-4)
    assert record.completion_tokens == pytest.approx(sum(lengths) / 12)
    assert record.reward == pytest.approx(sum(map(sum, rewards)) / 12)
    assert record.signal == pytest.approx(2 / 3)
    assert record.seconds > 0


@pytest.mark.parametrize("rows", [1, 100])
def test_the_penalty_adds_grpos_estimate_for_every_token_and_leaves_the_base_out(
    policy: Policy, seen: Generations, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    vocabulary = policy.model.config.vocab_size
    limit = rows * CONFIG.max_new_tokens * vocabulary
    monkeypatch.setattr("cl_bench.shared_prefix.MOST_LOGITS", limit)
    with torch.no_grad():
        for weight in policy.model.parameters():
            weight.mul_(1.05)
    model = copy.deepcopy(policy.model)
    base = {name: weight.clone() for name, weight in policy.base.state_dict().items()}
    # The second group has no advantage, and the penalty all the same.
    rewards = [[1.0, 0.0, 0.3, 0.0], [1.0] * 4]
    batch = [scripted(f"e{place}", group) for place, group in enumerate(rewards)]
    given = gradients_of(policy.model)
    (record,) = SlowWeights(policy, CONFIG, Ledger(), kl_beta=0.7).steps([batch], [ONE, TWO])

    loss, _ = hand_written_loss(model, seen, rewards)
    policy_log_probs, _ = score_by_hand(model, seen, CONFIG.temperature)
    base_log_probs, _ = score_by_hand(policy.base, seen, CONFIG.temperature)
    new = torch.cat(policy_log_probs)
    gap, ratio = torch.cat(base_log_probs) - new, (new - new.detach()).exp()
    penalty = (ratio * (gap.exp() - gap - 1)).mean()
    assert float(penalty.detach()) > 1e-4
    (loss + 0.7 * penalty).backward()  # type: ignore[no-untyped-call]
    assert_same_gradients(given, model)
    assert record.loss == pytest.approx(float((loss + 0.7 * penalty).detach()), rel=1e-3, abs=1e-6)
    assert all(torch.equal(weight, base[n]) for n, weight in policy.base.state_dict().items())
    assert all(weight.grad is None for weight in policy.base.parameters())


def test_a_step_without_signal_has_no_gradient_and_leaves_the_weights(policy: Policy) -> None:
    (record,) = SlowWeights(policy, CONFIG, Ledger()).steps(
        [[scripted("a", [1.0] * 4), scripted("b", [0.0] * 4)]], [ONE, TWO]
    )
    assert (record.signal, record.grad_norm, record.reward) == (0.0, 0.0, 0.5)
    assert record.entropy > 1.0
    for before, after in zip(policy.base.parameters(), policy.model.parameters(), strict=True):
        assert torch.equal(before, after)


def test_the_ratio_weighs_each_token_up_to_the_cap_and_carries_no_gradient(policy: Policy) -> None:
    config = LearnerConfig(group_size=2, max_new_tokens=7, temperature=0.8, ratio_cap=2.0)
    trainer = MixedPromptTrainer(policy, config)
    trainer.step([by_length("a")], [ONE], before=0, number=1)
    seen = Generations([(5, 6, 7), (5, 6)], [(20, 21), (22, 23, 24)])
    model = copy.deepcopy(policy.model)
    log_probs, _ = score_by_hand(model, seen, config.temperature)
    # Two of the five bite: 4 with a positive advantage and 3 with a negative one.
    ratios = [torch.tensor([0.5, 4.0]), torch.tensor([1.0, 3.0, 1.5])]
    factors = [torch.tensor([0.5, 2.0]), torch.tensor([1.0, 2.0, 1.5])]
    signs = (0.7, -0.4)
    terms = [a * f * p for a, f, p in zip(signs, factors, log_probs, strict=True)]
    expected = -torch.cat(terms).sum() / 5
    expected.backward()  # type: ignore[no-untyped-call]

    old = [(p.detach() - r.log()).tolist() for p, r in zip(log_probs, ratios, strict=True)]
    given = gradients_of(policy.model)
    policy.model.train()
    loss = trainer.compute_loss(
        policy.model,
        {
            "prompt_ids": torch.tensor([[5, 6, 7], [0, 5, 6]]),
            "prompt_mask": torch.tensor([[1, 1, 1], [0, 1, 1]]),
            "completion_ids": torch.tensor([[20, 21, 0], [22, 23, 24]]),
            "completion_mask": torch.tensor([[1, 1, 0], [1, 1, 1]]),
            "old_per_token_logps": torch.tensor([[*old[0], 0.0], old[1]]),
            "advantages": torch.tensor(signs),
            "num_items_in_batch": torch.tensor(5),
        },
    )
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-4)
    assert_same_gradients(given, model)


def test_passes_and_their_order_do_not_change_the_gradient(
    policy: Policy, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sums = []
    for rows in (100, 3):
        monkeypatch.setattr("cl_bench.trl_trainer._ROWS_PER_PASS", rows)
        policy = Policy.load(str(tiny_model))
        given = gradients_of(policy.model)
        torch.manual_seed(3)
        batch = [scripted(f"e{n}", [1.0, 0.0, 0.0, n / 3]) for n in range(3)]
        (record,) = SlowWeights(policy, CONFIG, Ledger()).steps([batch], [ONE, TWO])
        sums.append((record.loss, given))
    assert sums[0][0] == pytest.approx(sums[1][0], rel=1e-4)
    for name, gradient in sums[0][1].items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(gradient, sums[1][1][name], rtol=1e-3, atol=1e-5 * scale)


@pytest.mark.parametrize("config", [CONFIG, APART], ids=["mixed groups", "groups apart"])
def test_a_loaded_run_goes_on_exactly_as_the_saved_one(
    policy: Policy, tiny_model: Path, tmp_path: Path, config: LearnerConfig
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


def test_the_learning_rate_is_constant_and_the_moments_live_between_calls(policy: Policy) -> None:
    """Without gradients AdamW moves on by its first moment alone: beta1 / (1 - beta1^2) steps."""
    slow = SlowWeights(policy, CONFIG, Ledger())
    list(slow.steps([[scripted("a", [1.0, 0.0, 0.0, 0.0])]], [ONE]))
    first = [
        new - old
        for old, new in zip(policy.base.parameters(), policy.model.parameters(), strict=True)
    ]
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


def test_the_ledger_counts_what_was_read_and_sampled(policy: Policy, seen: Generations) -> None:
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
    weight = next(policy.model.parameters())
    weight.register_hook(lambda grad: grad * float("nan"))  # type: ignore[no-untyped-call]
    slow = SlowWeights(policy, CONFIG, Ledger())
    with pytest.raises(DivergedError, match=r"Step 1 .* gradient norm is nan"):
        list(slow.steps([[scripted("a", [1.0, 0.0, 0.0, 0.0])]], [ONE]))
    for before, after in zip(policy.base.parameters(), policy.model.parameters(), strict=True):
        assert torch.equal(before, after)


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


def test_sampling_ignores_the_truncation_a_model_ships(policy: Policy, seen: Generations) -> None:
    shipped = policy.model.generation_config
    shipped.top_k, shipped.min_p, shipped.typical_p, shipped.repetition_penalty = 1, 0.9, 0.1, 9.0
    list(SlowWeights(policy, CONFIG, Ledger()).steps([[by_length("a")] * 4], [ONE]))
    assert len({completion[0] for completion in seen.completions}) > 8


def test_dropout_is_off_in_the_loss(policy: Policy, seen: Generations) -> None:
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
    policy.model.generation_config.eos_token_id = policy.base.generation_config.eos_token_id
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
        SlowWeights(policy, LearnerConfig(group_size=1), Ledger())
    slow = SlowWeights(policy, CONFIG, Ledger())
    with pytest.raises(UsageError, match="0 prompts"):
        slow.steps([[by_length("a")]], [])
    with pytest.raises(UsageError, match=r"\[0\] exercises"):
        slow.steps([[]], [ONE])
