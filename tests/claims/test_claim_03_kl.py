"""Claim 3 on straight lines of accuracy against divergence."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest

from cl_bench.claims.claim_03_kl import CLAIM
from cl_bench.claims.subject import EMBEDDED
from cl_bench.metrics import Undefined

from .synthetic import (
    Synthetic,
    additions,
    filled,
    line,
    measures,
    plan_of,
    reason,
    shown,
    sigmoids,
    value,
)
from .synthetic_stages import means

MEASURES = measures(CLAIM)

UP = [0.1, 0.3, 0.5]


def runs() -> Synthetic:
    """At every accuracy RL has 4 times the KL on facts and math, 2 times elsewhere."""
    data = Synthetic(plan_of(seeds=2))
    for seed in data.plan.seeds:
        for domain in EMBEDDED.kl_domains:
            times = 4 if domain in ("facts", "math") else 2
            data.add(domain, "fst", seed, UP, kl=[0, 0.01, 0.02])
            data.add(domain, "rl", seed, UP, kl=[0, 0.01 * times, 0.02 * times])
    return data


def test_the_value_of_a_seed_is_the_mean_logarithm_over_domains() -> None:
    data = runs()
    found = MEASURES["3a"](data, data.plan)
    assert found.value_by_seed == pytest.approx({100: 1.5, 101: 1.5})
    assert shown(found, "facts", "ratio") == pytest.approx(4)
    assert shown(found, "physics", "ratio") == pytest.approx(2)
    # Ten levels 0.14, 0.18, …, 0.5 lie at a mean share of 0.55 of the way.
    assert shown(found, "facts, mean KL at common accuracies", "fst") == pytest.approx(0.011)
    assert shown(found, "facts, mean KL at common accuracies", "rl") == pytest.approx(0.044)
    assert found.notes == ()


def test_only_accuracies_that_both_reach_are_compared() -> None:
    data = runs()
    # RL stops at 0.3; at every accuracy up to there it has 8 times the KL.
    data.add("facts", "rl", 100, [0.1, 0.2, 0.3], kl=[0, 0.04, 0.08])
    found = MEASURES["3a"](data, data.plan)
    assert found.value_by_seed[100] == pytest.approx((3 + 2 + 1 + 1) / 4)


def test_each_prompt_has_accuracies_and_divergences_of_its_own() -> None:
    data = runs()
    for seed in data.plan.seeds:
        for domain in EMBEDDED.kl_domains:
            data.add(domain, "fst", seed, UP, kl=[0, 0.16, 0.32], prompts=["seed"])
    assert value(MEASURES["3a"](data, data.plan).estimate) == pytest.approx(1.5)
    seed_prompt = MEASURES["3b"](data, data.plan)
    assert seed_prompt.value_by_seed == pytest.approx({100: -2.5, 101: -2.5})
    assert shown(seed_prompt, "facts", "ratio") == pytest.approx(1 / 4)


def test_a_domain_without_common_accuracies_is_left_out_and_told() -> None:
    data = runs()
    data.add("physics", "rl", 100, [0.1, 0.1, 0.05])
    found = MEASURES["3a"](data, data.plan)
    assert found.value_by_seed == pytest.approx({100: 5 / 3, 101: 1.5})
    assert found.notes == ("1 of 8 pairs of runs have no common accuracies and are left out",)
    for domain in EMBEDDED.kl_domains:
        data.add(domain, "rl", 100, [0.1, 0.1, 0.05])
    nothing = MEASURES["3a"](data, data.plan).value_by_seed[100]
    assert nothing == Undefined("no domain has common accuracies")


@pytest.mark.parametrize(("learner", "bound"), [("fst", 10), ("rl", -10)])
def test_a_learner_that_never_left_the_base_counts_with_the_largest_ratio(
    learner: str, bound: float
) -> None:
    data = runs()
    data.add("facts", learner, 100, UP, kl=[0, 0, 0])
    found = MEASURES["3a"](data, data.plan)
    assert found.value_by_seed[100] == pytest.approx((bound + 2 + 1 + 1) / 4)
    data.add("facts", learner, 100, UP, kl=[0, 1e-9, 1e-9])
    again = MEASURES["3a"](data, data.plan)
    assert again.value_by_seed == pytest.approx(found.value_by_seed)
    for measured in (found, again):
        (note,) = measured.notes
        assert note.startswith("1 of 8 pairs of runs have a ratio of 1024 or more, or of 1/1024")


def test_the_median_over_domains_stands_beside_the_mean() -> None:
    data = runs()
    for seed in data.plan.seeds:
        data.add("facts", "fst", seed, UP, kl=[0, 0, 0])
    found = MEASURES["3a"](data, data.plan)
    # Logarithms of the domains: 10 (the bound), 1, 2, 1.
    assert shown(found, "mean over domains", "ratio") == pytest.approx(2**3.5)
    assert shown(found, "median over domains", "ratio") == pytest.approx(2**1.5)


def test_a_missing_diverged_or_infinite_run_is_not_taken_for_one_without_common_accuracies() -> (
    None
):
    data = runs()
    data.lose("code", "rl", 100, "diverged at step 3")
    data.add("math", "fst", 101, UP, kl=[0, 0.01, np.inf])
    found = MEASURES["3a"](data, data.plan)
    assert reason(found.value_by_seed[100]).startswith("code: run code-rl-100-")
    assert "diverged at step 3" in reason(found.value_by_seed[100])
    assert reason(found.value_by_seed[101]).startswith("math: kl_policy_base of run math-fst-101-")
    assert reason(found.value_by_seed[101]).endswith("is not finite at step 20")
    assert found.notes == ()
    assert "0 of 2 seeds" in reason(found.estimate)


@pytest.mark.parametrize("budget", ["small", "full"])
def test_learners_with_other_steps_are_compared_by_accuracy(budget: str) -> None:
    plan = plan_of(budget)
    data = filled(
        plan,
        EMBEDDED.kl_domains,
        ("rl", "fst"),
        lambda _domain, learner, _seed, share: 0.1 + share * {"rl": 0.2, "fst": 0.4}[learner],
        kl=lambda _domain, learner, _seed, share: share * {"rl": 0.3, "fst": 0.1}[learner],
    )
    found = MEASURES["3a"](data, plan)
    assert found.value_by_seed == pytest.approx(dict.fromkeys(plan.seeds, log2(6)))


def test_accuracy_that_the_prompt_gives_the_base_is_left_out_of_the_levels() -> None:
    plan = plan_of(seeds=2)
    data = filled(
        plan, EMBEDDED.kl_domains, ("rl", "fst"), lambda _d, _l, _s, share: 0.1 + 0.8 * share
    )
    assert "costs no KL by construction" in additions(CLAIM)["3a"](data, plan).notes[0]
    unknown = line(additions(CLAIM)["3a"](data, plan), "facts, at accuracies above").values["ratio"]
    assert isinstance(unknown, Undefined)


def test_narrow_common_ranges_are_counted_and_left_out() -> None:
    plan = plan_of(seeds=2)
    data = filled(
        plan,
        EMBEDDED.kl_domains,
        ("rl", "fst"),
        lambda _d, _l, _s, share: 0.1 + 0.8 * share,
        lambda _d, learner, _s, share: share * (0.4 if learner == "rl" else 0.1),
    )
    flat = [0.1, 0.12, 0.12]
    data.add("facts", "fst", 100, flat, kl=[0.0, 1.0, 2.0], prompts=("seed",))
    data.add("code", "fst", 100, [0.1, 0.1, 0.1], prompts=("seed",))
    added = additions(CLAIM)["3b"](data, plan)
    assert added.notes[0] == "1 of 8 pairs of runs have a common range under 5.0 points"
    assert means(line(added, "mean over domains")) == pytest.approx({"ratio": 4})
    assert added.notes[1].endswith("never above the base: code (1 of 2 runs)")


def test_divergence_has_a_logarithmic_axis_intervals_and_the_range_compared() -> None:
    data = sigmoids()
    for axes in CLAIM.figure(data, data.plan).axes:
        assert axes.get_xscale() == "symlog"
        assert len(axes.collections) == 2  # a bar across each point of both means
        (shaded,) = axes.patches
        low, high = shaded.get_extents().intervaly
        assert low < high
