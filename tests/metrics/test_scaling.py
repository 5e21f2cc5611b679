"""Asymptote fits, on curves whose parameters are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cl_bench.metrics import Undefined, asymptote, asymptote_difference, over_seeds
from cl_bench.metrics.scaling import Asymptote, AsymptoteDifference
from cl_bench.metrics.stats.student import Estimate, Interval

SAMPLES = np.arange(0, 1001, 50.0)
Array = np.typing.NDArray[np.float64]


def curve(top: float, start: float, middle: float, exponent: float) -> Array:
    spent = np.maximum(SAMPLES, 1e-50)
    return np.asarray(start + (top - start) / (1 + (middle / spent) ** exponent))


def fit(acc: Array) -> Asymptote:
    value = asymptote(acc, SAMPLES)
    assert isinstance(value, Asymptote), value
    return value


@pytest.mark.parametrize(
    ("top", "start", "middle", "exponent"),
    [(0.474, 0.194, 300, 1.5), (0.8, 0.1, 200, 2.0), (0.6, 0.1, 800, 1.2)],
)
def test_a_curve_without_noise_gives_its_parameters_back(
    top: float, start: float, middle: float, exponent: float
) -> None:
    found = fit(curve(top, start, middle, exponent))
    got = (found.asymptote, found.start, found.midpoint, found.exponent)
    assert got == pytest.approx((top, start, middle, exponent), rel=1e-4)
    assert found.residual < 1e-6


def test_the_interval_holds_the_asymptote_and_one_seed_has_none() -> None:
    noise = np.random.default_rng(2).normal(0, 0.01, (5, len(SAMPLES)))
    seeds = np.clip(curve(0.8, 0.1, 200, 2.0) + noise, 0, 1)
    several, one = fit(seeds), fit(seeds[0])
    assert isinstance(several.interval, Interval)
    assert several.interval.low < 0.8 < several.interval.high
    assert several.interval.high - several.interval.low < 0.05
    assert one.interval == Undefined("one seed shows no interval over seeds")
    assert one.residual == pytest.approx(0.01, rel=0.5)


def test_seeds_that_differ_by_a_shift_have_the_interval_of_the_shifts() -> None:
    shifts = np.array([0.0, 0.02, 0.05])
    found = fit(curve(0.8, 0.1, 200, 2.0) + shifts[:, None])
    expected = over_seeds(dict(enumerate((0.8 + shifts).tolist())))
    assert isinstance(expected, Estimate)
    assert isinstance(expected.interval, Interval)
    assert isinstance(found.interval, Interval)
    assert found.interval.low == pytest.approx(expected.interval.low, abs=1e-4)
    assert found.interval.high == pytest.approx(expected.interval.high, abs=1e-4)


@pytest.mark.parametrize(
    ("acc", "bound"),
    [
        (np.linspace(0.0, 0.9, 21), "1: the curve does not level off"),
        (np.full(21, 0.3), "R0: the curve does not rise"),
        (np.linspace(0.5, 0.1, 21), "R0: the curve does not rise"),
        (np.zeros(21), "R0: the curve does not rise"),
    ],
)
def test_an_asymptote_on_its_bound_is_undefined(acc: Array, bound: str) -> None:
    value = asymptote(acc, SAMPLES)
    assert value == Undefined(f"the fitted asymptote is at its bound, {bound}")


def test_under_six_points_nothing_is_fitted() -> None:
    value = asymptote([0.1, 0.2, 0.3, 0.3, 0.3], range(5))
    assert value == Undefined("needs at least 6 points, got 5")


def test_missing_points_and_percentages_are_told() -> None:
    gap = curve(0.8, 0.1, 200, 2.0)
    gap[3] = np.nan
    value = asymptote(gap, SAMPLES)
    assert value == Undefined("missing acc_S_P[0, 3]")
    with pytest.raises(ValueError, match="from 0 to 1"):
        asymptote(80 * curve(0.8, 0.1, 200, 2.0), SAMPLES)


def pairs(*tops: tuple[float, float], shifts: tuple[float, ...] = (0.0, 0.02, 0.05)) -> list[Array]:
    """For both learners tasks × seeds × points: curves with these asymptotes, seeds shifted."""
    return [
        np.array([[curve(both[which], 0.1, 100, 2.0) + shift for shift in shifts] for both in tops])
        for which in (0, 1)
    ]


def compare(first: Array, second: Array, samples: Array = SAMPLES) -> AsymptoteDifference:
    value = asymptote_difference(first, SAMPLES, second, samples)
    assert isinstance(value, AsymptoteDifference), value
    return value


def test_the_difference_of_asymptotes_is_a_mean_over_tasks() -> None:
    found = compare(*pairs((0.8, 0.5), (0.6, 0.5)))
    assert isinstance(found.mean, Estimate)
    assert found.mean.value == pytest.approx((0.3 + 0.1) / 2, abs=1e-4)
    by_task = [task for task in found.difference_J if isinstance(task, Estimate)]
    assert [task.value for task in by_task] == pytest.approx([0.3, 0.1], abs=1e-4)
    tops = [fit.asymptote for fit in found.second_J if isinstance(fit, Asymptote)]
    assert tops == pytest.approx([0.5 + 0.07 / 3] * 2, abs=1e-4)
    assert found.on_bound == 0
    assert (found.mean.seeds, found.mean.of_seeds) == (3, 3)


def test_what_moves_both_learners_on_a_seed_cancels_out_of_the_difference() -> None:
    found = compare(*pairs((0.8, 0.5)))
    assert isinstance(found.mean, Estimate)
    assert isinstance(found.mean.interval, Interval)
    assert found.mean.interval.high - found.mean.interval.low < 1e-3
    (first,) = found.first_J
    assert isinstance(first, Asymptote)
    assert isinstance(first.interval, Interval)
    assert first.interval.high - first.interval.low > 0.02


def test_the_learners_may_be_evaluated_at_other_samples() -> None:
    first, second = pairs((0.8, 0.5))
    found = compare(first, second[:, :, ::2], SAMPLES[::2])
    assert isinstance(found.mean, Estimate)
    assert found.mean.value == pytest.approx(0.3, abs=1e-4)


def test_a_task_without_both_asymptotes_does_not_count() -> None:
    first, second = pairs((0.8, 0.5), (0.6, 0.5))
    second[1] = 0.3
    found = compare(first, second)
    assert isinstance(found.mean, Estimate)
    assert found.mean.value == pytest.approx(0.3, abs=1e-4)
    flat = Undefined("the fitted asymptote is at its bound, R0: the curve does not rise")
    assert found.difference_J[1] == found.second_J[1] == flat
    none = compare(first[1:], second[1:])
    assert none.mean == Undefined(f"no task has both asymptotes: {flat.reason}")


def test_a_mean_without_a_seed_that_does_not_level_off_counts_with_its_bound() -> None:
    first, second = pairs((0.8, 0.5), shifts=(0.0, 0.0, 0.0, 0.0))
    first[0, 0] = np.linspace(0.1, 1.0, len(SAMPLES))
    found = compare(first, second)
    (one,) = found.first_J
    assert isinstance(one, Asymptote)
    assert isinstance(one.interval, Interval)
    assert found.on_bound == pytest.approx(3 / 8)  # of both learners
    # A is 0.8 without the first seed, 1 without any other: deviation 0.1 times 3, over √4
    reach = 3.18245 * 0.1 * 3 / 2
    assert one.interval.high - one.asymptote == pytest.approx(reach, abs=1e-3)


def test_a_mean_without_a_seed_that_does_not_rise_counts_with_where_it_starts() -> None:
    flat, rising = np.full(len(SAMPLES), 0.3), curve(0.9, 0.3, 100, 2.0)
    value = fit(np.array([flat, rising]))
    assert isinstance(value.interval, Interval)
    reach = 12.7062 * (0.9 - 0.3) / 2
    assert value.asymptote - value.interval.low == pytest.approx(reach, abs=0.02)


def test_one_seed_has_a_difference_and_no_interval() -> None:
    found = compare(*pairs((0.8, 0.5), shifts=(0.0,)))
    assert isinstance(found.mean, Estimate)
    assert found.mean.value == pytest.approx(0.3, abs=1e-4)
    assert found.mean.interval == Undefined("one seed shows no interval over seeds")


def test_other_tasks_or_seeds_are_a_mistake_of_the_caller() -> None:
    first, second = pairs((0.8, 0.5), (0.6, 0.5))
    with pytest.raises(ValueError, match="the same tasks and seeds"):
        compare(first, second[:1])
    with pytest.raises(ValueError, match=r"second_samples_Q has the shape \(21,\)"):
        compare(first, second, SAMPLES[:5])
    with pytest.raises(ValueError, match="second_J_S_Q holds accuracies from 0 to 1; got"):
        compare(first, 100 * second)


def test_a_fitted_curve_can_be_drawn() -> None:
    acc = curve(0.8, 0.1, 200, 2.0)
    np.testing.assert_allclose(fit(acc).at(SAMPLES), acc, atol=1e-4)


few = np.arange(0, 701, 100.0)


@settings(max_examples=4)
@given(arrays(float, (3, len(few)), elements=st.floats(0, 1)), st.permutations(range(3)))
def test_an_asymptote_is_a_share_whatever_the_order_of_seeds(acc: Array, order: list[int]) -> None:
    before = acc.copy()
    found, again = (asymptote(curves, few) for curves in (acc, acc[order]))
    assert np.array_equal(acc, before)
    if isinstance(found, Undefined):
        return
    assert 0 <= found.start <= found.asymptote <= 1
    assert isinstance(again, Asymptote)
    assert again.asymptote == pytest.approx(found.asymptote, abs=1e-2)


@settings(max_examples=3)
@given(arrays(float, (1, 2, len(few)), elements=st.floats(0, 1)))
def test_a_learner_is_heading_no_higher_than_itself(acc: Array) -> None:
    found = asymptote_difference(acc, few, acc, few)
    assert isinstance(found, AsymptoteDifference)
    for mean in (found.mean, *found.difference_J):
        assert isinstance(mean, Undefined) or mean.value == 0
