"""Claim 10 on runs whose levels are known."""

from __future__ import annotations

import numpy as np
import pytest

from cl_bench.claims.claim_10_distillation import CLAIM

from .synthetic import heights, levelled, measures, reason, sigmoids, value

MEASURES = measures(CLAIM)


def test_the_plateau_is_the_mean_of_the_last_three_evaluations() -> None:
    data = levelled()
    data.add("facts", "fst-distill", 100, [0.9, 0.9, 0.1, 0.2, 0.6], entropy=[1, 1, 0.1, 0.2, 0.3])
    accuracy = MEASURES["10a"](data, data.plan)
    assert accuracy.value_by_seed == pytest.approx({100: 0.5 - 0.3, 101: 0.51 - 0.41})
    entropy = MEASURES["10b"](data, data.plan)
    plan = data.plan
    every, steps = plan.single("facts", "fst", 100).options["eval_every"], 24
    assert every == 2
    at_end = 0.6 - 0.2 * np.mean([20 / steps, 22 / steps, 1])
    assert entropy.value_by_seed[100] == pytest.approx(at_end - 0.2)
    assert [d.scale for d in entropy.details] == ["nats"]


def test_two_evaluations_are_no_plateau() -> None:
    data = levelled()
    data.add("facts", "fst", 101, [0.1, 0.5])
    found = MEASURES["10a"](data, data.plan)
    assert reason(found.value_by_seed[101]) == "facts: a plateau needs 3 evaluations, got 2"
    assert value(found.estimate) == pytest.approx(0.1)


def test_the_mean_takes_the_seeds_that_are_there() -> None:
    data = sigmoids(["facts"])
    data.lose("facts", "fst-distill", 101, "diverged at step 5")
    accuracy, entropy = CLAIM.figure(data, data.plan).axes
    assert heights(accuracy, "fst-distill")[0] == pytest.approx(0.10)
    assert heights(accuracy, "fst")[0] == pytest.approx(0.11)
    assert heights(entropy, "fst")[-1] == pytest.approx(0.4)
    assert "nats" in entropy.get_ylabel()
