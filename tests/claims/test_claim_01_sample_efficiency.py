"""Claim 1 on learning curves that can be read by eye."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest
from matplotlib.text import Annotation

from cl_bench.claims.claim_01_sample_efficiency import CLAIM, Race, races
from cl_bench.claims.subject import EMBEDDED

from .synthetic import (
    Synthetic,
    additions,
    filled,
    heights,
    line,
    measures,
    plan_of,
    reason,
    shown,
    sigmoid,
    sigmoids,
    texts,
    value,
)
from .synthetic_stages import means

MEASURES = measures(CLAIM)

RL = [0.1, 0.2, 0.3, 0.5, 0.4]
"""Its peak after 300 samples."""
FST = [0.1, 0.5, 0.6, 0.6, 0.6]
"""There after 100."""


def runs() -> Synthetic:
    """RL needs 3 times the samples on facts and code, as many on math; 2 × and 2/3 the rollouts."""
    data = Synthetic(plan_of(seeds=2))
    for seed in data.plan.seeds:
        for domain in EMBEDDED.singles:
            data.add(domain, "rl", seed, RL, rollouts=[0, 100, 200, 300, 400])
        for domain in ("facts", "code"):
            data.add(domain, "fst", seed, FST)
        data.add("math", "fst", seed, [0.1, 0.2, 0.3, 0.5, 0.6])
    return data


def test_the_value_of_a_seed_is_the_mean_logarithm_over_domains() -> None:
    data = runs()
    found = MEASURES["1a"](data, data.plan)
    assert found.value_by_seed == pytest.approx({100: 2 * log2(3) / 3, 101: 2 * log2(3) / 3})
    assert value(found.estimate) == pytest.approx(2 * log2(3) / 3)
    assert shown(found, "facts", "ratio") == pytest.approx(3)
    assert shown(found, "math", "ratio") == pytest.approx(1)
    assert shown(found, "facts, until RL's peak: FST is there in 2 of 2 runs", "rl") == 300
    assert shown(found, "facts, until RL's peak: FST is there in 2 of 2 runs", "fst") == 100
    assert found.notes == ()


def test_rollouts_count_those_of_the_prompt_optimiser_too() -> None:
    data = runs()
    found = MEASURES["1b"](data, data.plan)
    assert shown(found, "facts", "ratio") == pytest.approx(300 / 150)
    assert shown(found, "math", "ratio") == pytest.approx(300 / 450)
    expected = (2 * log2(2) + log2(2 / 3)) / 3
    assert found.value_by_seed == pytest.approx({100: expected, 101: expected})


def test_a_learner_that_never_gets_there_counts_with_all_its_samples_and_is_told() -> None:
    data = runs()
    data.add("facts", "fst", 100, [0.1, 0.2, 0.3, 0.4, 0.49])
    found = MEASURES["1a"](data, data.plan)
    assert found.value_by_seed[100] == pytest.approx((log2(3 / 4) + log2(3)) / 3)
    assert found.value_by_seed[101] == pytest.approx(2 * log2(3) / 3)
    (note,) = found.notes
    assert note.startswith("1 of 6 runs of fast-slow training never reached RL's peak and count")
    samples = next(d for d in found.details if d.what.startswith("facts, until")).values["fst"]
    assert (
        str(samples) == "100.000 (undefined: one seed shows no interval over seeds), 1 of 1 seeds"
    )


def test_where_rl_never_rises_above_the_base_the_seed_has_no_ratio() -> None:
    data = runs()
    data.add("code", "rl", 101, [0.3, 0.2, 0.3, 0.1, 0.2])
    found = MEASURES["1a"](data, data.plan)
    assert reason(found.value_by_seed[101]) == "code: RL's peak (30.0 %) is the base model's score"
    assert found.value_by_seed[100] == pytest.approx(2 * log2(3) / 3)


def test_fast_slow_training_at_the_level_before_any_sample_has_no_ratio() -> None:
    data = runs()
    data.add("code", "fst", 101, [0.5, 0.6, 0.6, 0.6, 0.6])
    found = MEASURES["1a"](data, data.plan)
    assert "RL's peak (50.0 %) with 0 samples" in reason(found.value_by_seed[101])


def test_missing_and_diverged_runs_leave_their_seed_without_a_value() -> None:
    data = runs()
    data.lose("math", "fst", 100, "diverged at step 7")
    found = MEASURES["1a"](data, data.plan)
    assert reason(found.value_by_seed[100]).startswith("math: run math-fst-100-")
    assert reason(found.value_by_seed[100]).endswith("diverged at step 7")
    assert str(found.estimate).endswith("1 of 2 seeds")


def test_an_accuracy_that_is_not_finite_is_named_by_run_and_step() -> None:
    data = runs()
    data.add("facts", "rl", 100, [0.1, 0.2, np.nan, 0.5, 0.4])
    found = MEASURES["1a"](data, data.plan)
    assert reason(found.value_by_seed[100]).startswith("facts: accuracy of run facts-rl-100-")
    assert reason(found.value_by_seed[100]).endswith("is not finite at step 20")


@pytest.mark.parametrize("budget", ["small", "full"])
def test_learners_with_other_steps_are_compared_by_samples(budget: str) -> None:
    plan = plan_of(budget, seeds=3)
    assert plan.single("facts", "rl", 100).steps == 2 * plan.single("facts", "fst", 100).steps
    rising = {"rl": 1.0, "fst": 2.0}
    data = filled(
        plan,
        EMBEDDED.singles,
        ("rl", "fst"),
        lambda _domain, learner, _seed, share: 0.1 + 0.4 * min(1.0, rising[learner] * share),
    )
    found = MEASURES["1a"](data, plan)
    assert found.value_by_seed == pytest.approx(dict.fromkeys(plan.seeds, 1.0))


def test_only_runs_that_got_there_are_averaged_and_rl_over_the_same_seeds() -> None:
    data = Synthetic(plan_of(seeds=3))
    for seed, peak in ((100, 2), (101, 4)):
        data.add("facts", "rl", seed, [0.1] * peak + [0.5] * (5 - peak))
    data.add("facts", "fst", 100, [0.1, 0.5, 0.5, 0.5, 0.5])
    data.add("facts", "fst", 101, [0.1, 0.2, 0.2, 0.2, 0.2])
    found = next(
        d for d in MEASURES["1a"](data, data.plan).details if d.what.startswith("facts, until")
    )
    assert found.what == "facts, until RL's peak: FST is there in 1 of 2 runs"
    assert means(found) == {"rl": 200, "fst": 100}


def test_most_of_rls_peak_is_reached_earlier_than_the_peak() -> None:
    data = Synthetic(plan_of())
    for domain in EMBEDDED.singles:
        for seed in data.plan.seeds:
            data.add(domain, "rl", seed, [0.1, 0.2, 0.93, 1.0])
            data.add(domain, "fst", seed, [0.1, 0.92, 0.92, 0.96])
    added = additions(CLAIM)["1a"](data, data.plan)
    assert means(line(added, "code, 90 %")) == pytest.approx({"ratio": 2})
    assert means(line(added, "code, 95 %")) == pytest.approx({"ratio": 1})
    assert means(line(added, "code, until 90 % of RL's peak")) == {"rl": 200, "fst": 100}


def test_the_arrow_shows_the_measured_ratio() -> None:
    data = sigmoids()
    figure = CLAIM.figure(data, data.plan)
    ratio = shown(MEASURES["1a"](data, data.plan), "code", "ratio")
    assert texts(figure.axes[1]) == [f"RL ÷ FST: {ratio:.2f}×"]
    assert heights(figure.axes[1], "rl")[-1] == pytest.approx(
        np.mean([sigmoid("code", "rl", seed, 1.0) for seed in (100, 101)])
    )


def test_an_arrow_of_a_seed_starts_on_its_curve_and_ends_on_the_others() -> None:
    data = sigmoids()
    axes = CLAIM.figure(data, data.plan).axes[0]
    arrows = [text for text in axes.texts if isinstance(text, Annotation) and not text.get_text()]
    found = races(data, data.plan, "facts")
    assert len(arrows) == len(found) == 2
    for arrow, race in zip(arrows, found.values(), strict=True):
        assert isinstance(race, Race)
        assert arrow.xyann == (race.rl, race.level)
        assert arrow.xy == (race.fst, race.level)


def test_a_bound_is_marked_as_one() -> None:
    data = Synthetic(plan_of())
    for seed in data.plan.seeds:
        data.add("code", "rl", seed, [0.1, 0.3, 0.5])
        data.add("code", "fst", seed, [0.1, 0.4, 0.4])
    figure = CLAIM.figure(data, data.plan)
    assert texts(figure.axes[1]) == ["RL ÷ FST: at most 1.00×\n(FST never there: 2 of 2)"]
    assert texts(figure.axes[0]) == ["no runs"]
