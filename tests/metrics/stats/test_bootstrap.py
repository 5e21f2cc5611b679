"""Bootstrap intervals against scipy, enumeration and properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from cl_bench.metrics import (
    Undefined,
    average_accuracy,
    bootstrap_mean,
    interquartile_mean,
    over_seeds,
    paired_bootstrap,
    stratified_bootstrap,
)
from cl_bench.metrics.stats.student import Estimate, Interval, as_ratio

Array = np.typing.NDArray[np.float64]
ONE_SEED = Undefined("one seed shows no interval over seeds")
scores = arrays(np.float64, (4, 6), elements=st.integers(0, 4).map(lambda n: n / 4))


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def ends(value: Estimate | Undefined) -> tuple[float, float]:
    assert isinstance(value, Estimate), value
    assert isinstance(value.interval, Interval), value
    return value.interval.low, value.interval.high


def test_with_one_item_a_seed_the_interval_is_scipys_percentile_bootstrap() -> None:
    value = np.random.default_rng(5).normal(0.5, 0.1, 25)
    theirs = stats.bootstrap(
        (value,), np.mean, method="percentile", n_resamples=40_000, rng=generator(1)
    ).confidence_interval
    ours = ends(bootstrap_mean(value[:, None], generator(2), resamples=40_000))
    assert ours == pytest.approx((theirs.low, theirs.high), abs=1e-3)


def test_two_seeds_without_item_noise_give_the_enumerated_interval() -> None:
    # resampled means: 0 and 1 with probability 1/4 each, 1/2 with 1/2
    score = [[0.0] * 5, [1.0] * 5]
    assert ends(bootstrap_mean(score, generator(), level=0.95)) == (0.0, 1.0)
    assert ends(bootstrap_mean(score, generator(), level=0.4)) == (0.5, 0.5)


def test_the_variance_has_a_part_of_seeds_and_a_part_of_items() -> None:
    items, seeds = np.random.default_rng(6).normal(0, [[0.3], [0.2]], (2, 12))
    score = seeds[:, None] + items
    between, within = np.var(seeds) / 12, np.var(items) / 12
    low, high = ends(bootstrap_mean(score, generator(), resamples=40_000, level=0.6827))
    assert (high - low) / 2 == pytest.approx((between + within / 12) ** 0.5, rel=0.05)
    low, high = ends(
        bootstrap_mean(score, generator(), resamples=40_000, level=0.6827, same_items=True)
    )
    assert (high - low) / 2 == pytest.approx((between + within) ** 0.5, rel=0.05)


def test_one_seed_has_a_value_and_no_interval() -> None:
    found = bootstrap_mean([[0.0, 1.0, 1.0, 1.0]], generator())
    assert found == Estimate(0.75, ONE_SEED, 1, 1)
    assert str(found) == "0.750 (undefined: one seed shows no interval over seeds), 1 of 1 seeds"
    one = stratified_bootstrap([[0.2, 0.4]], interquartile_mean, generator())
    assert isinstance(one, Estimate)
    assert one.interval == ONE_SEED


def test_pairing_by_item_takes_away_what_makes_items_hard() -> None:
    hard = np.random.default_rng(3).random((4, 50))
    found = paired_bootstrap(hard + 0.1, hard, generator())
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(0.1)
    assert ends(found) == pytest.approx((0.1, 0.1))


def test_the_generator_decides_and_the_global_one_is_left_alone() -> None:
    score = np.random.default_rng(3).random((4, 20))
    before = str(np.random.get_state())
    assert bootstrap_mean(score, generator(7)) == bootstrap_mean(score, generator(7))
    assert bootstrap_mean(score, generator(7)) != bootstrap_mean(score, generator(8))
    assert str(np.random.get_state()) == before


@given(scores)
def test_the_interval_lies_within_the_scores(score: Array) -> None:
    low, high = ends(bootstrap_mean(score, generator(), resamples=200))
    assert score.min() - 1e-12 <= low <= high <= score.max() + 1e-12


@given(scores, scores)
def test_swapping_the_learners_turns_the_interval_round(first: Array, second: Array) -> None:
    low, high = ends(paired_bootstrap(first, second, generator(), resamples=200))
    turned = ends(paired_bootstrap(second, first, generator(), resamples=200))
    assert turned == pytest.approx((-high, -low))


@given(scores, st.permutations(range(4)))
def test_the_order_of_seeds_and_items_does_not_move_the_estimate(
    score: Array, order: list[int]
) -> None:
    here, there = (bootstrap_mean(x, generator(), resamples=10) for x in (score, score[order]))
    assert isinstance(here, Estimate)
    assert isinstance(there, Estimate)
    assert here.value == pytest.approx(there.value)


def test_a_missing_score_makes_it_undefined_and_names_it() -> None:
    score = np.full((3, 2), 0.5)
    score[2, 1] = np.nan
    assert bootstrap_mean(score, generator()) == Undefined("missing score_S_N[2, 1]")
    assert paired_bootstrap(score, score, generator()) == Undefined("missing first_S_N[2, 1]")
    assert bootstrap_mean(np.empty((0, 3)), generator()) == Undefined("score_S_N is empty")
    with pytest.raises(ValueError, match="paired value by value"):
        paired_bootstrap(score, score[:2], generator())


def test_the_stratified_bootstrap_resamples_seeds_within_tasks() -> None:
    # every seed has the same scores on both tasks in another order: tasks are drawn on their own,
    # so that the mean of both moves less than if whole seeds were drawn
    score = np.array([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]])
    low, high = ends(stratified_bootstrap(score, lambda x: float(x.mean()), generator()))
    assert low < 0.5 < high
    theirs = [
        generator(seed).choice(score[:, task], (4_000, 3)).mean(axis=1)
        for seed, task in ((1, 0), (2, 1))
    ]
    expected = np.quantile(np.mean(theirs, axis=0), [0.025, 0.975])
    assert (low, high) == pytest.approx(tuple(expected), abs=0.05)


def test_a_statistic_that_is_undefined_stays_undefined() -> None:
    found = stratified_bootstrap([[0.1], [0.9], [0.3]], average_accuracy_of_none, generator())
    assert found == Undefined("missing cell R[1, 1]")


def average_accuracy_of_none(_: Array) -> float | Undefined:
    return average_accuracy([[0.1], [np.nan]])


def test_an_aggregate_says_k_of_n_and_leaves_failed_seeds_out() -> None:
    seeds: dict[int, float | Undefined] = {0: 0.8, 1: Undefined("diverged at step 70"), 2: 0.6}
    found = over_seeds(seeds, generator())
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(0.7)
    assert (found.seeds, found.of_seeds) == (2, 3)
    assert str(found) == "0.700 [0.600, 0.800], 2 of 3 seeds"


def test_an_aggregate_without_any_value_is_undefined_with_the_first_reason() -> None:
    lost: dict[int, float | Undefined] = {0: Undefined("diverged at step 70"), 1: Undefined("?")}
    assert over_seeds(lost, generator()) == Undefined(
        "0 of 2 seeds have a value; diverged at step 70"
    )
    assert over_seeds({}, generator()) == Undefined("0 of 0 seeds have a value")


def test_a_nan_among_seeds_is_no_value_and_not_dropped_silently() -> None:
    assert isinstance(over_seeds({0: 0.5, 1: np.nan}, generator()), Undefined)


def test_a_mean_log2_ratio_is_shown_as_the_geometric_mean_of_the_ratios() -> None:
    assert as_ratio(Estimate(2.0, Interval(1.0, 3.0, 0.95), 2, 3)) == Estimate(
        4.0, Interval(2.0, 8.0, 0.95), 2, 3
    )
    assert as_ratio(Estimate(-1.0, ONE_SEED, 1, 2)) == Estimate(0.5, ONE_SEED, 1, 2)
    assert as_ratio(ONE_SEED) == ONE_SEED
