"""Comparisons against published values, scipy and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cl_bench.metrics import (
    Undefined,
    holm,
    permutation_test,
    rescore_noise_floor,
    sampling_noise_floor,
    seeds_needed,
)
from cl_bench.metrics.comparison import NoiseFloor, PermutationTest

# Darwin's maize in eighths of an inch, the differences that Fisher tested (1935, section 21)
MAIZE = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
values = st.lists(st.integers(0, 20).map(lambda n: n / 20), min_size=2, max_size=5)


def outcome(*arguments: object, **options: bool) -> PermutationTest:
    value = permutation_test(*arguments, **options)  # type: ignore[arg-type]
    assert isinstance(value, PermutationTest), value
    return value


def test_fishers_exact_test_of_darwins_maize() -> None:
    found = outcome(MAIZE, [0] * 15)
    assert found.p == 1726 / 32_768
    assert found.difference == pytest.approx(314 / 15)


@pytest.mark.parametrize("paired", [True, False])
def test_p_is_that_of_scipy(paired: bool) -> None:
    draw = np.random.default_rng(4)
    first, second = draw.normal(0.3, 0.1, 6), draw.normal(0.2, 0.1, 6 if paired else 4)
    theirs = stats.permutation_test(
        (first, second),
        lambda x, y: np.mean(x) - np.mean(y),
        permutation_type="samples" if paired else "independent",
        n_resamples=np.inf,
    )
    found = outcome(first, second, paired=paired)
    if paired:
        assert found.p == pytest.approx(theirs.pvalue)
    else:  # scipy doubles the smaller tail, which differs where the sizes do
        null = np.abs(theirs.null_distribution)
        assert found.p == pytest.approx(np.mean(null >= abs(found.difference) - 1e-12))


@pytest.mark.parametrize(("seeds", "least"), [(1, 1.0), (3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_the_smallest_p_is_that_of_the_clearest_outcome(seeds: int, least: float) -> None:
    clearest = outcome(np.ones(seeds) + np.arange(seeds) / 100, np.zeros(seeds))
    assert clearest.p == clearest.smallest_p == least
    assert ("cannot reach 0.05" in str(clearest)) == (seeds < 6)


def test_three_against_three_cannot_reach_five_percent_unpaired_either() -> None:
    clearest = outcome([0.9, 0.91, 0.92], [0.1, 0.11, 0.12], paired=False)
    assert clearest.p == clearest.smallest_p == 0.1


@given(values, st.data())
def test_p_is_a_probability_not_below_the_smallest_and_blind_to_the_order(
    first: list[float], data: st.DataObject
) -> None:
    second = data.draw(st.lists(st.just(0.5), min_size=len(first), max_size=len(first)))
    found, turned = outcome(first, second), outcome(second, first)
    assert found.smallest_p <= found.p <= 1
    assert (turned.p, turned.difference) == (found.p, -found.difference)
    order = data.draw(st.permutations(range(len(first))))
    assert outcome([first[i] for i in order], second).p == found.p


def test_equal_learners_have_p_1_and_too_many_seeds_are_refused() -> None:
    assert outcome([0.1, 0.2], [0.1, 0.2]).p == 1.0
    with pytest.raises(ValueError, match="too many for an exact test"):
        permutation_test(np.zeros(21), np.zeros(21))
    assert permutation_test([0.1, np.nan], [0, 0]) == Undefined("missing first_S[1]")


@pytest.mark.parametrize(("effect", "seeds"), [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10)])
def test_seeds_needed_are_those_of_published_power_tables(effect: float, seeds: int) -> None:
    # two-sided paired t test, power 0.8, alpha 0.05: G*Power's "difference between two
    # dependent means"
    spread = np.array([-1, 1]) / 2**0.5
    assert seeds_needed(effect + spread) == seeds


def test_seeds_needed_are_never_fewer_than_the_exact_test_can_use() -> None:
    assert seeds_needed([0.5, 0.5001, 0.4999]) == 6
    assert seeds_needed([0.5, 0.5, 0.5]) == 6
    assert seeds_needed([0.5, 0.5, 0.5], level=0.01) == 8


def test_seeds_needed_are_undefined_without_spread_or_difference() -> None:
    assert seeds_needed([0.3]) == Undefined("one seed shows no spread")
    assert seeds_needed([0.1, -0.1]) == Undefined(
        "no difference was observed that more seeds could decide"
    )


def test_the_noise_floor_by_hand() -> None:
    # two of four items change by 1/2: sqrt(1/4 + 1/4) / 4
    found = rescore_noise_floor([1.0, 0.5, 0.0, 0.5], [1.0, 1.0, 0.0, 0.0])
    assert isinstance(found, NoiseFloor)
    assert (found.difference, found.items) == (0.0, 4)
    assert found.floor == pytest.approx(1.959964 * 0.5**0.5 / 4, rel=1e-6)


def test_scoring_twice_stays_under_the_floor_19_times_in_20() -> None:
    draw = np.random.default_rng(0)
    solves = draw.random(64)
    under = []
    for _ in range(1_000):
        first, second = draw.binomial(4, solves, (2, 64)) / 4
        found = rescore_noise_floor(first, second)
        assert isinstance(found, NoiseFloor)
        under.append(abs(found.difference) <= found.floor)
    assert np.mean(under) == pytest.approx(0.95, abs=0.02)


def test_the_noise_floor_of_nothing_is_undefined() -> None:
    assert rescore_noise_floor([0.5], [0.5]) == Undefined("needs at least 2 items, got 1")
    assert rescore_noise_floor([0.5, np.nan], [0, 0]) == Undefined("missing first_N[1]")


def test_the_floor_of_samples_by_hand() -> None:
    # m (1 - m) of three items: 0.25, 0.1875, 0; √(2 · 0.4375 / 3) / 3 · 1.96
    found = sampling_noise_floor([0.5, 0.75, 1.0], 4)
    assert found == pytest.approx(1.959964 * (2 * 0.4375 / 3) ** 0.5 / 3)


def test_the_floor_of_samples_is_what_scoring_again_shows() -> None:
    draw = np.random.default_rng(5)
    chance_N = draw.random(64)
    scored = draw.binomial(4, chance_N, size=(4_000, 64)) / 4
    between = np.abs(np.diff(scored.mean(axis=1)))
    floors = [sampling_noise_floor(once, 4) for once in scored[:200]]
    floor = np.mean([value for value in floors if not isinstance(value, Undefined)])
    assert np.quantile(between, 0.95) == pytest.approx(floor, rel=0.05)


def test_one_sample_shows_no_noise_and_a_mean_is_a_share() -> None:
    assert sampling_noise_floor([1.0, 0.0], 1) == Undefined(
        "needs at least 2 samples of each item, got 1"
    )
    with pytest.raises(ValueError, match="from 0 to 1"):
        sampling_noise_floor([1.5], 4)


def test_holm_corrects_the_smallest_p_most() -> None:
    # sorted 0.01, 0.02, 0.03, 0.04: times 4, 3, 2 and 1, none below the one before
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([0.03]) == [0.03]
    assert holm([]) == []
