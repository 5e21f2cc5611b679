"""The interval over seeds against published values, scipy and simulation."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from cl_bench.metrics import Undefined, interquartile_mean, jackknife, over_seeds, plasticity_ratio
from cl_bench.metrics.stats.student import (
    NO_SPREAD,
    ONE_SEED,
    Estimate,
    Interval,
    as_ratio,
    student_band,
    student_p,
)

DOC = Path(__file__).parents[3] / "docs" / "leaderboard.md"
Array = NDArray[np.float64]


def by_seed(*values: float | Undefined) -> dict[int, float | Undefined]:
    return dict(enumerate(values))


def ends(value: Estimate | Undefined) -> tuple[float, float]:
    assert isinstance(value, Estimate), value
    assert isinstance(value.interval, Interval), value
    return value.interval.low, value.interval.high


def test_students_sleep_data_give_the_interval_that_everybody_gives() -> None:
    # Student 1908, the hours gained by drug 2 over drug 1; R's t.test(…, paired = TRUE)
    gained = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    assert ends(over_seeds(by_seed(*gained))) == pytest.approx((0.7001142, 2.4598858), abs=1e-6)
    assert student_p(gained) == pytest.approx(0.00283289, abs=1e-7)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_it_is_that_of_scipy(level: float) -> None:
    values = np.random.default_rng(0).standard_normal(4)
    expected = stats.t.interval(level, 3, values.mean(), stats.sem(values))
    assert ends(over_seeds(by_seed(*values), level=level)) == pytest.approx(expected)


def test_one_seed_has_a_value_and_no_interval() -> None:
    found = over_seeds({4: 0.5})
    assert found == Estimate(0.5, ONE_SEED, 1, 1)
    assert str(found) == "0.500 (undefined: one seed shows no interval over seeds), 1 of 1 seeds"


def test_seeds_with_one_value_have_no_interval_and_say_so() -> None:
    assert over_seeds(by_seed(0.5, 0.5, 0.5)) == Estimate(0.5, NO_SPREAD, 3, 3)
    rounded = over_seeds(by_seed(0.3, 0.1 + 0.2, 0.3))
    assert isinstance(rounded, Estimate)
    assert rounded.interval == NO_SPREAD
    # what is left is the exact sign-flip test: all signs alike are two of 2^S
    assert student_p([0.5, 0.5, 0.5]) == 0.25
    assert student_p([0.0, 0.0, 0.0]) == 1.0


def test_an_aggregate_says_k_of_n_and_leaves_failed_seeds_out() -> None:
    found = over_seeds(by_seed(0.8, Undefined("diverged at step 70"), 0.6))
    # mean 0.7, deviation √0.02, error 0.1, t of one degree of freedom tan(0.475 π) = 12.7062
    assert ends(found) == pytest.approx((0.7 - 1.27062, 0.7 + 1.27062), abs=1e-5)
    assert str(found) == "0.700 [-0.571, 1.971], 2 of 3 seeds"


def test_an_aggregate_without_any_value_is_undefined_with_the_first_reason() -> None:
    lost = by_seed(Undefined("diverged at step 70"), Undefined("?"))
    assert over_seeds(lost) == Undefined("0 of 2 seeds have a value; diverged at step 70")
    assert over_seeds({}) == Undefined("0 of 0 seeds have a value")


def test_a_nan_among_seeds_is_no_value_and_not_dropped_silently() -> None:
    assert over_seeds(by_seed(0.5, np.nan)) == Undefined("missing value_S[1]")


def test_a_mean_log2_ratio_is_shown_as_the_geometric_mean_of_the_ratios() -> None:
    assert as_ratio(Estimate(2.0, Interval(1.0, 3.0, 0.95), 2, 3)) == Estimate(
        4.0, Interval(2.0, 8.0, 0.95), 2, 3
    )
    assert as_ratio(Estimate(-1.0, ONE_SEED, 1, 2)) == Estimate(0.5, ONE_SEED, 1, 2)
    assert as_ratio(ONE_SEED) == ONE_SEED


several = st.lists(
    st.integers(-100, 100).map(lambda n: n / 100), min_size=2, max_size=8, unique=True
)


@given(several, st.randoms())
def test_the_interval_is_about_the_mean_whatever_the_order(
    values: list[float], order: object
) -> None:
    mixed = list(values)
    order.shuffle(mixed)  # type: ignore[attr-defined]
    low, high = ends(over_seeds(by_seed(*values)))
    assert ends(over_seeds(by_seed(*mixed))) == pytest.approx((low, high))
    assert (low + high) / 2 == pytest.approx(np.mean(values), abs=1e-9)


@given(several)
def test_it_holds_0_just_where_its_test_is_in_doubt(values: list[float]) -> None:
    low, high = ends(over_seeds(by_seed(*values)))
    assert (low <= 0 <= high) == (student_p(values) >= 0.05 - 1e-9)


@given(several, st.floats(0.5, 0.9))
def test_a_higher_level_has_a_wider_interval(values: list[float], level: float) -> None:
    low, high = ends(over_seeds(by_seed(*values)))
    narrow = ends(over_seeds(by_seed(*values), level=level))
    assert low <= narrow[0] <= narrow[1] <= high


@given(several)
def test_the_band_of_a_curve_is_the_interval_of_each_point(values: list[float]) -> None:
    band = student_band(np.array([values, values[::-1]]).T)
    assert not isinstance(band, Undefined)
    for low, high in np.transpose(band):
        assert (low, high) == pytest.approx(ends(over_seeds(by_seed(*values))))


def test_one_seed_has_no_band_and_a_missing_point_leaves_a_gap() -> None:
    assert student_band([[0.1, 0.2]]) == ONE_SEED
    band = student_band([[0.1, np.nan], [0.3, 0.2]])
    assert not isinstance(band, Undefined)
    assert np.isnan(band).tolist() == [[False, True], [False, True]]


@given(several)
def test_the_jackknife_of_a_mean_is_its_interval(values: list[float]) -> None:
    found = jackknife(np.array(values)[:, None], lambda score: float(score.mean()))
    assert ends(found) == pytest.approx(ends(over_seeds(by_seed(*values))), abs=1e-9)


def test_the_jackknife_of_a_ratio_by_hand() -> None:
    # Ratio 6/6 = 1; without a seed each 5/4, 4/5 and 3/3: deviation of those times 2, over √3.
    both = np.array([[1.0, 2.0], [2.0, 1.0], [3.0, 3.0]])
    found = jackknife(both, lambda score: plasticity_ratio(score[:, 0], score[:, 1]))
    reach = stats.t.ppf(0.975, 2) * 2 * np.std([5 / 4, 4 / 5, 1], ddof=1) / np.sqrt(3)
    assert ends(found) == pytest.approx((1 - reach, 1 + reach))


def test_a_jackknife_says_why_it_has_no_value_or_no_interval() -> None:
    one_seed = jackknife([[0.25, 0.5]], interquartile_mean)
    assert one_seed == Estimate(0.375, ONE_SEED, 1, 1)
    base_fails = jackknife([[0.5, 0.0], [0.5, 1.0]], lambda s: plasticity_ratio(s[:, 0], s[:, 1]))
    assert isinstance(base_fails, Estimate)
    assert isinstance(base_fails.interval, Undefined)
    assert base_fails.interval.reason.startswith("without one of the seeds there is no value: ")
    nothing = Undefined("nothing there")
    assert jackknife([[0.1], [0.9], [0.3]], lambda _: nothing) == nothing
    assert jackknife([[0.1], [np.nan]], interquartile_mean) == Undefined("missing score_S_J[1, 0]")


# How often it holds the truth, as docs/leaderboard.md says it

WORLDS = 100_000
SEEDS = (3, 6, 10)
Draw = Callable[[np.random.Generator, tuple[int, int]], Array]
DRAWN: Mapping[str, tuple[Draw, float]] = {
    "normal": (lambda rng, shape: rng.standard_normal(shape), 0.0),
    "bimodal": (
        lambda rng, shape: rng.choice([-1.0, 1.0], shape) + rng.normal(0, 0.25, shape),
        0.0,
    ),
    "lognormal": (lambda rng, shape: rng.lognormal(0, 1, shape), float(np.exp(0.5))),
}
"""How the value of a seed is drawn, and the mean of all seeds that there could be."""


def coverage(name: str, seeds: int) -> float:
    draw, truth = DRAWN[name]
    band = student_band(draw(np.random.default_rng(0), (seeds, WORLDS)))
    assert not isinstance(band, Undefined)
    return float(((band[0] <= truth) & (truth <= band[1])).mean())


@pytest.mark.parametrize("name", DRAWN)
def test_the_docs_say_how_often_an_interval_holds_the_truth(name: str) -> None:
    row = re.search(rf"^\| {name}[^|]*\|(.*)\|$", DOC.read_text(encoding="utf-8"), re.MULTILINE)
    assert row is not None
    assert [cell.strip() for cell in row[1].split("|")] == [
        f"{coverage(name, seeds):.0%}".replace("%", " %") for seeds in SEEDS
    ]


def test_normal_values_have_the_level() -> None:
    assert [coverage("normal", seeds) for seeds in SEEDS] == pytest.approx([0.95] * 3, abs=0.003)
