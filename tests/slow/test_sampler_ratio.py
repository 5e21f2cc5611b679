"""Truncated importance sampling, by token, where an engine beside the model samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any

import pytest
import torch

from cl_bench.contract.learner import Ledger
from cl_bench.model.policy import Policy
from cl_bench.model.samplers.protocol import Sampled
from cl_bench.slow.slow_weights import SlowWeights
from tests.model.samplers.doubles import Recorded
from tests.slow.scripted import (
    CONFIG,
    ONE,
    TWO,
    advantages,
    assert_same_gradients,
    gradients_of,
    score_by_hand,
    scripted,
    trainable_copy,
)

RATIOS = (3.0, 1.0, 0.5)
CAP = 2.0


@dataclass
class OffBy(Recorded):
    """Tells log-probabilities that make the ratios of a row's tokens those of `RATIOS`, in turn."""

    def sample(self, prompts: Sequence[Sequence[int]], **options: Any) -> list[Sampled]:
        sampled = super().sample(prompts, **options)
        for row in sampled:
            pairs = zip(row.log_probs, cycle(RATIOS), strict=False)
            row.log_probs = [log_prob - math.log(ratio) for log_prob, ratio in pairs]
        return sampled


def ratios_of(count: int) -> list[float]:
    return [ratio for ratio, _ in zip(cycle(RATIOS), range(count), strict=False)]


@pytest.mark.parametrize("logits", [2**26, 0], ids=["prompts shared", "logits in pieces"])
def test_each_token_weighs_by_its_ratio_up_to_the_cap(
    policy: Policy, logits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cl_bench.model.memory.MOST_LOGITS", logits)
    seen = OffBy(policy.sampler, own_model=False)
    policy.sampler = seen
    rewards = [[1.0, 0.0, 1.0, 0.0], [0.1, 0.9, 0.4, 0.0]]
    given = gradients_of(policy.model)
    batch = [scripted(f"e{place}", group) for place, group in enumerate(rewards)]
    config = replace(CONFIG, ratio_cap=CAP)
    (record,) = SlowWeights(policy, config, Ledger()).steps([batch], [ONE, TWO])

    model = trainable_copy(policy)
    log_probs, _ = score_by_hand(model, seen, CONFIG.temperature)
    factors = [advantage for group in rewards for advantage in advantages(group)]
    told = [ratios_of(len(row)) for row in log_probs]
    terms = [
        factor * torch.tensor(ratio).clamp(max=CAP) * row
        for factor, ratio, row in zip(factors, told, log_probs, strict=True)
    ]
    (-torch.cat(terms).mean()).backward()  # type: ignore[no-untyped-call]
    assert_same_gradients(given, model)

    every = [ratio for row in told for ratio in row]
    assert record.sampler_ratio == pytest.approx(sum(every) / len(every), rel=1e-4)
    assert record.sampler_ratio_max == pytest.approx(3.0, rel=1e-4)
    assert record.sampler_ratio_cut == pytest.approx(every.count(3.0) / len(every))


def test_a_model_that_samples_itself_has_no_ratio(policy: Policy) -> None:
    (record,) = SlowWeights(policy, CONFIG, Ledger()).steps([[scripted("e", [1, 0, 1, 0])]], [ONE])
    assert math.isnan(record.sampler_ratio)
    assert math.isnan(record.sampler_ratio_max)
    assert math.isnan(record.sampler_ratio_cut)
