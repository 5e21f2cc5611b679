"""Several epochs per batch: CISPO's clip at work, and the accounts of it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from cl_bench.contract.learner import Ledger
from cl_bench.model.policy import Policy
from cl_bench.slow.slow_weights import SlowWeights
from tests.model.samplers.doubles import Recorded
from tests.slow.scripted import (
    CONFIG,
    ONE,
    TWO,
    advantages,
    score_by_hand,
    scripted,
    trainable_copy,
)

CAP, EPOCHS = 1.1, 3
REWARDS = [[1.0, 0.0, 1.0, 0.0], [0.1, 0.9, 0.4, 0.0]]
SEVERAL = replace(CONFIG, epochs_per_batch=EPOCHS, ratio_cap=CAP)


def by_hand(policy: Policy, seen: Recorded) -> tuple[torch.nn.Module, list[float], list[float]]:
    """The model after three updates, their losses, and all ratios of the last two epochs."""
    model = trainable_copy(policy)
    adam = torch.optim.AdamW(model.parameters(), lr=CONFIG.learning_rate, weight_decay=0.0)
    factors = [advantage for group in REWARDS for advantage in advantages(group)]
    old: list[torch.Tensor] = []
    losses, ratios = [], []
    for epoch in range(EPOCHS):
        now, _ = score_by_hand(model, seen, CONFIG.temperature)
        old = old or [row.detach() for row in now]
        weights = [(row - before).detach().exp() for row, before in zip(now, old, strict=True)]
        terms = [
            advantage * weight.clamp(max=CAP) * row
            for advantage, weight, row in zip(factors, weights, now, strict=True)
        ]
        loss = -torch.cat(terms).mean()
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), CONFIG.max_grad_norm)
        adam.step()
        losses.append(loss.item())
        ratios += torch.cat(weights).tolist() if epoch else []
    return model, losses, ratios


@pytest.mark.parametrize("budget", [None, "LOGITS"])
def test_later_epochs_weigh_tokens_by_their_capped_ratio(
    policy: Policy, seen: Recorded, budget: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if budget:  # the log-probabilities of the beginning, a row at a time
        monkeypatch.setattr(f"cl_bench.model.memory.{budget}", 0)
    batch = [scripted(f"e{place}", group) for place, group in enumerate(REWARDS)]
    ledger = Ledger()
    (record,) = SlowWeights(policy, SEVERAL, ledger).steps([batch], [ONE, TWO])
    model, losses, ratios = by_hand(policy, seen)
    # Without the clip the losses of later epochs would be others: many ratios exceed the cap.
    assert max(ratios) > 1.5 * CAP
    assert len(set(losses)) == EPOCHS
    assert record.loss == pytest.approx(sum(losses) / EPOCHS, rel=1e-3)
    assert record.epoch_ratio == pytest.approx(sum(ratios) / len(ratios), rel=1e-2)
    assert record.epoch_ratio_max == pytest.approx(max(ratios), rel=1e-2)
    cut = sum(ratio > CAP for ratio in ratios) / len(ratios)
    assert 0.1 < record.epoch_ratio_cut == pytest.approx(cut, abs=0.05)
    assert math.isnan(record.sampler_ratio)
    # One sampling, three updates.
    assert (len(seen.completions), ledger.slow.rollouts, ledger.slow.optimizer_steps) == (8, 8, 3)
    for mine, wanted in zip(policy.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(mine, wanted, rtol=0.02, atol=0.2 * CONFIG.learning_rate)


def test_every_step_samples_anew_and_one_epoch_has_no_ratio(policy: Policy, seen: Recorded) -> None:
    batches = [[scripted(f"s{n}", [1.0, 0.0, 0.0, 0.0])] for n in range(3)]
    ledger = Ledger()
    records = list(SlowWeights(policy, SEVERAL, ledger).steps(batches, [ONE]))
    assert (len(seen.completions), ledger.slow.optimizer_steps) == (12, 9)
    assert all(record.epoch_ratio > 0 for record in records)
    again = [scripted("again", [1.0, 0.0, 0.0, 0.0])]
    (single,) = SlowWeights(policy, CONFIG, Ledger()).steps([again], [ONE])
    assert math.isnan(single.epoch_ratio)
    assert math.isnan(single.epoch_ratio_cut)
