"""Steps of the slow channel: groups, prompts, and gradients against hand-written ones."""

from __future__ import annotations

import copy
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cl_bench.contract.learner import Ledger
from cl_bench.contract.prompts import chat
from cl_bench.model.memory import ACTIVATIONS
from cl_bench.model.policy import Policy
from cl_bench.slow import trl_trainer
from cl_bench.slow.settings import RLConfig
from cl_bench.slow.slow_weights import SlowWeights
from cl_bench.slow.trl_trainer import MixedPromptTrainer
from tests.model.samplers.doubles import Recorded
from tests.slow.scripted import (
    APART,
    CONFIG,
    ONE,
    THREE,
    TWO,
    advantages,
    assert_same_gradients,
    by_length,
    gradients_of,
    hand_written_loss,
    score_by_hand,
    scripted,
    trainable_copy,
)
from tests.zoo import ZOO


@pytest.mark.parametrize(
    "systems", [(ONE,), (ONE, TWO), (ONE, TWO, THREE), (ONE, TWO, THREE, "", "x")]
)
def test_every_group_is_spread_evenly_over_the_prompts(
    policy: Policy, seen: Recorded, systems: tuple[str, ...]
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
    policy: Policy, seen: Recorded, systems: tuple[str, ...]
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
    policy: Policy, seen: Recorded
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
    ids=["prompts shared", "logits in pieces", "groups apart"],
)
def test_the_gradient_is_the_hand_written_one_with_one_advantage_over_the_group(
    policy: Policy,
    seen: Recorded,
    logits: int,
    config: RLConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cl_bench.model.memory.MOST_LOGITS", logits)
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
    policy: Policy, seen: Recorded, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    vocabulary = policy.model.config.vocab_size
    limit = rows * CONFIG.max_new_tokens * vocabulary
    monkeypatch.setattr("cl_bench.model.memory.LOGITS", limit)
    base = trainable_copy(policy).requires_grad_(False)
    with torch.no_grad():
        for weight in policy.model.parameters():
            weight.mul_(1.05)
    model = copy.deepcopy(policy.model)
    # The second group has no advantage, and the penalty all the same.
    rewards = [[1.0, 0.0, 0.3, 0.0], [1.0] * 4]
    batch = [scripted(f"e{place}", group) for place, group in enumerate(rewards)]
    given = gradients_of(policy.model)
    (record,) = SlowWeights(policy, replace(CONFIG, kl_beta=0.7), Ledger()).steps(
        [batch], [ONE, TWO]
    )

    loss, _ = hand_written_loss(model, seen, rewards)
    policy_log_probs, _ = score_by_hand(model, seen, CONFIG.temperature)
    base_log_probs, _ = score_by_hand(base, seen, CONFIG.temperature)
    new = torch.cat(policy_log_probs)
    gap, ratio = torch.cat(base_log_probs) - new, (new - new.detach()).exp()
    penalty = (ratio * (gap.exp() - gap - 1)).mean()
    assert float(penalty.detach()) > 1e-4
    (loss + 0.7 * penalty).backward()  # type: ignore[no-untyped-call]
    assert_same_gradients(given, model)
    assert record.loss == pytest.approx(float((loss + 0.7 * penalty).detach()), rel=1e-3, abs=1e-6)
    with policy.base() as after:
        assert all(weight.grad is None for weight in after.parameters())
        pairs = zip(after.parameters(), base.parameters(), strict=True)
        assert all(torch.equal(new, old) for new, old in pairs)


@pytest.mark.parametrize("beta", [0.0, 0.7])
@pytest.mark.parametrize("rows", [1, 32])
def test_an_exercises_tokens_are_averaged_before_the_exercises_are(
    policy: Policy, seen: Recorded, beta: float, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cl_bench.slow.trl_trainer._ROWS_PER_PASS", rows)
    rewards = [[1.0, 0.0, 1.0, 0.0], [1.0] * 4, [0.1, 0.9, 0.4, 0.0]]
    batch = [scripted(f"e{place}", group) for place, group in enumerate(rewards)]
    given = gradients_of(policy.model)
    model = trainable_copy(policy)
    config = replace(CONFIG, loss_average="exercise", kl_beta=beta)
    (record,) = SlowWeights(policy, config, Ledger()).steps([batch], [ONE, TWO])

    log_probs, _ = score_by_hand(model, seen, CONFIG.temperature)
    means, tokens = [], []
    for place, group in enumerate(rewards):
        rows_of = range(4 * place, 4 * place + 4)
        terms = [
            -advantage * log_probs[row]
            for row, advantage in zip(rows_of, advantages(group), strict=True)
        ]
        # At the start the policy is the base: the penalty is 0, and so is its gradient.
        means.append(torch.cat(terms).mean())
        tokens.append(sum(len(seen.completions[row]) for row in rows_of))
    assert len(set(tokens)) > 1
    loss = torch.stack(means).mean()
    loss.backward()  # type: ignore[no-untyped-call]
    assert_same_gradients(given, model)
    assert record.loss == pytest.approx(float(loss.detach()), rel=1e-4)


def test_the_penalty_is_averaged_like_the_rest_of_the_loss(policy: Policy, seen: Recorded) -> None:
    base = trainable_copy(policy).requires_grad_(False)
    with torch.no_grad():
        for weight in policy.model.parameters():
            weight.mul_(1.1)
    model = copy.deepcopy(policy.model)
    batch = [scripted("a", [1.0] * 4), scripted("b", [0.0] * 4)]
    given = gradients_of(policy.model)
    config = replace(CONFIG, loss_average="exercise", kl_beta=0.7)
    (record,) = SlowWeights(policy, config, Ledger()).steps([batch], [ONE])
    pairs = zip(
        score_by_hand(model, seen, CONFIG.temperature)[0],
        score_by_hand(base, seen, CONFIG.temperature)[0],
        strict=True,
    )
    estimates = []
    for new, old in pairs:
        gap, ratio = old - new, (new - new.detach()).exp()
        estimates.append(ratio * (gap.exp() - gap - 1))
    penalty = (torch.cat(estimates[:4]).mean() + torch.cat(estimates[4:]).mean()) / 2
    (0.7 * penalty).backward()  # type: ignore[no-untyped-call]
    assert_same_gradients(given, model)
    assert record.loss == pytest.approx(0.7 * float(penalty.detach()), rel=1e-3)


def test_without_clipping_the_gradient_is_taken_as_it_is(policy: Policy, seen: Recorded) -> None:
    rewards = [[1.0, 0.0, 1.0, 0.0]]
    given = gradients_of(policy.model)
    model = trainable_copy(policy)
    config = replace(CONFIG, max_grad_norm=0.0)
    (record,) = SlowWeights(policy, config, Ledger()).steps([[scripted("a", rewards[0])]], [ONE])
    loss, _ = hand_written_loss(model, seen, rewards)
    loss.backward()  # type: ignore[no-untyped-call]
    assert record.grad_norm > 1
    assert_same_gradients(given, model, most=math.inf)


def test_a_step_without_signal_has_no_gradient_and_leaves_the_weights(policy: Policy) -> None:
    # 0.7 is no binary fraction: its mean over eight in float32 is another number
    for scores in ([1.0, 0.0], [0.7, 0.7], [0.1, 0.3]):
        batch = [scripted(name, [score] * 8) for name, score in zip("ab", scores, strict=True)]
        config = replace(CONFIG, group_size=8)
        (record,) = SlowWeights(policy, config, Ledger()).steps([batch], [ONE, TWO])
        assert (record.signal, record.grad_norm) == (0.0, 0.0)
        assert record.reward == pytest.approx(sum(scores) / 2)
    assert record.entropy > 1.0
    assert policy.is_base()


def test_the_ratio_weighs_each_token_up_to_the_cap_and_carries_no_gradient(policy: Policy) -> None:
    config = RLConfig(group_size=2, max_new_tokens=7, temperature=0.8, ratio_cap=2.0)
    trainer = MixedPromptTrainer(policy, config)
    trainer.step([by_length("a")], [ONE], before=0, number=1)
    seen = Recorded(policy.sampler, [(5, 6, 7), (5, 6)], [(20, 21), (22, 23, 24)])
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
    given = {n: p.grad for n, p in policy.model.named_parameters() if p.grad is not None}
    assert_same_gradients(given, model, most=math.inf)


def test_passes_and_their_order_do_not_change_the_gradient(
    policy: Policy, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sums = []
    for rows, budget in ((100, ACTIVATIONS), (3, ACTIVATIONS), (100, 0)):
        monkeypatch.setattr("cl_bench.slow.trl_trainer._ROWS_PER_PASS", rows)
        monkeypatch.setattr("cl_bench.model.memory.ACTIVATIONS", budget)
        policy = Policy.load(str(tiny_model))
        given = gradients_of(policy.model)
        torch.manual_seed(3)
        batch = [scripted(f"e{n}", [1.0, 0.0, 0.0, n / 3]) for n in range(3)]
        (record,) = SlowWeights(policy, CONFIG, Ledger()).steps([batch], [ONE, TWO])
        sums.append((record.loss, given))
    loss, gradients = sums[0]
    for other, others in sums[1:]:
        assert loss == pytest.approx(other, rel=1e-4)
        for name, gradient in gradients.items():
            scale = float(gradient.abs().max())
            torch.testing.assert_close(gradient, others[name], rtol=1e-3, atol=1e-5 * scale)


def test_a_loss_of_experts_counts_once_however_many_passes_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    animal = ZOO["Qwen3-MoE"]
    options = {**animal.options, "router_aux_loss_coef": 1.0}
    folder = str(replace(animal, options=options).make(tmp_path))
    losses = []
    for rows in (32, 1):
        monkeypatch.setattr(trl_trainer, "_ROWS_PER_PASS", rows)
        policy = Policy.load(folder)
        torch.manual_seed(0)
        slow = SlowWeights(policy, CONFIG, Ledger())
        (record,) = slow.steps([[by_length("a"), by_length("b")]], [ONE])
        losses.append(record.loss)
    assert losses[0] > 1.0  # nearly all of it is the experts'
    assert losses[1] == pytest.approx(losses[0], rel=0.2)
