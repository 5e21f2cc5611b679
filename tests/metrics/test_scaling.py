"""Asymptote fits, on curves whose parameters are known."""

from __future__ import annotations

import numpy as np
import pytest

from cl_bench.metrics import Undefined, asymptote
from cl_bench.metrics.scaling import Asymptote

SAMPLES = np.arange(0, 1001, 50.0)
Array = np.typing.NDArray[np.float64]


def curve(top: float, start: float, middle: float, exponent: float) -> Array:
    spent = np.maximum(SAMPLES, 1e-50)
    return np.asarray(start + (top - start) / (1 + (middle / spent) ** exponent))


def fit(acc: Array, seed: int = 0) -> Asymptote:
    value = asymptote(acc, SAMPLES, np.random.default_rng(seed), resamples=50)
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
    assert found.high - found.low < 1e-3


def test_the_interval_holds_the_asymptote_and_says_what_it_resamples() -> None:
    noise = np.random.default_rng(2).normal(0, 0.01, (5, len(SAMPLES)))
    seeds = np.clip(curve(0.8, 0.1, 200, 2.0) + noise, 0, 1)
    several, one = fit(seeds), fit(seeds[0])
    assert (several.resampled, one.resampled) == ("seeds", "residuals")
    for found in (several, one):
        assert found.low < 0.8 < found.high
        assert found.low < found.asymptote < found.high
    assert one.residual == pytest.approx(0.01, rel=0.5)


def test_the_same_generator_gives_the_same_interval() -> None:
    noisy = np.clip(curve(0.8, 0.1, 200, 2.0) + np.sin(SAMPLES) / 50, 0, 1)
    assert fit(noisy, seed=3) == fit(noisy, seed=3)
    assert fit(noisy, seed=3) != fit(noisy, seed=4)


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
    value = asymptote(acc, SAMPLES, np.random.default_rng(0))
    assert value == Undefined(f"the fitted asymptote is at its bound, {bound}")


def test_under_six_points_nothing_is_fitted() -> None:
    value = asymptote([0.1, 0.2, 0.3, 0.3, 0.3], range(5), np.random.default_rng(0))
    assert value == Undefined("needs at least 6 points, got 5")


def test_missing_points_and_percentages_are_told() -> None:
    gap = curve(0.8, 0.1, 200, 2.0)
    gap[3] = np.nan
    value = asymptote(gap, SAMPLES, np.random.default_rng(0))
    assert value == Undefined("missing acc_S_P[0, 3]")
    with pytest.raises(ValueError, match="from 0 to 1"):
        asymptote(80 * curve(0.8, 0.1, 200, 2.0), SAMPLES, np.random.default_rng(0))
