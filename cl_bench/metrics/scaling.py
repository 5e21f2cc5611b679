"""Where a learning curve is heading: a sigmoid in the samples spent. Needs scipy when called."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from cl_bench.metrics.arrays import Array, growing, missing, real_array
from cl_bench.metrics.undefined import Undefined

LEAST_POINTS = 6
_ON_BOUND = 1e-4
_LEAST_RISE = 1e-3
"""Accuracy by which a fitted curve must rise over the points, to be more than noise's shadow."""
_STEEPEST = 20.0
"""Largest exponent B; a steeper curve is a step that no evaluation schedule resolves."""


@dataclass(frozen=True)
class Asymptote:
    """A fitted curve R = R0 + (A − R0) / (1 + (C_mid / C)^B)."""

    asymptote: float
    """A, the accuracy that the curve approaches."""
    low: float
    """Lower end of the bootstrap interval on A; it may lie on a bound, R0 or 1."""
    high: float
    start: float
    """R0, the accuracy at 0 samples."""
    midpoint: float
    """C_mid, the samples at which half of A − R0 is gained."""
    exponent: float
    """B, how steep the curve is."""
    residual: float
    """Root mean squared distance of the (mean) curve's points from the fit, in accuracy."""
    resampled: str
    """What the interval resamples: `seeds`, or with one seed the `residuals` of its points."""


def asymptote(
    acc_S_P: ArrayLike,
    samples_P: ArrayLike,
    generator: np.random.Generator,
    *,
    resamples: int = 200,
    level: float = 0.95,
) -> Asymptote | Undefined:
    """The accuracy that a learning curve approaches, with a bootstrap interval.

    Least squares of R − R0 = (A − R0) / (1 + (C_mid / C)^B) with 0 ≤ R0 ≤ A ≤ 1 and B > 0, four
    parameters. Khatri et al. 2025 (ScaleRL, arXiv 2510.13786), FST's claim 2. `acc_S_P`, shape
    (S, P) or (P,), are validation accuracies from 0 to 1 of S seeds, whose mean is fitted, at
    `samples_P` samples. The interval at `level` is the percentile bootstrap over seeds, too narrow
    for few; with one seed over the fit's residuals, which says nothing of other seeds and is too
    narrow where neighbouring points err alike. Undefined under 6 points, or when A sits on its
    bound: then the curve does not show where it ends.
    """
    curves, samples = _arrays(acc_S_P, samples_P)
    undefined = missing(acc_S_P=curves, samples_P=samples)
    if len(samples) < LEAST_POINTS:
        undefined = Undefined(f"needs at least {LEAST_POINTS} points, got {len(samples)}")
    if undefined is not None:
        return undefined
    mean = curves.mean(axis=0)
    best = _fit(mean, samples, _starts(mean, samples))
    undefined = _on_bound(best, _curve(best, samples))
    if undefined is not None:
        return undefined
    draws = _resample(curves, _curve(best, samples), generator, resamples)
    ends = [_fit(draw, samples, [best])[0] for draw in draws]
    low, high = np.quantile(ends, [(1 - level) / 2, (1 + level) / 2])
    top, share, log_mid, exponent = best
    return Asymptote(
        asymptote=float(top),
        low=float(low),
        high=float(high),
        start=float(top * share),
        midpoint=float(np.exp(log_mid)),
        exponent=float(exponent),
        residual=float(np.sqrt(np.mean(np.square(_curve(best, samples) - mean)))),
        resampled="seeds" if len(curves) > 1 else "residuals",
    )


def _arrays(acc_S_P: ArrayLike, samples_P: ArrayLike) -> tuple[Array, Array]:
    """Both as arrays, (S, P) and (P,); `ValueError` if they cannot be a learning curve."""
    curves = real_array("acc_S_P", np.atleast_2d(np.array(acc_S_P, dtype=np.float64)), "SP")
    samples = real_array("samples_P", samples_P, "P")
    if curves.shape[1:] != samples.shape:
        raise ValueError(f"samples_P has the shape ({curves.shape[1]},); got {samples.shape}.")
    growing("samples_P", samples)
    outside = curves[(curves < 0) | (curves > 1)]
    if len(outside):
        raise ValueError(f"acc_S_P holds accuracies from 0 to 1; got {outside[0]:g}.")
    return curves, samples


def _on_bound(best: Array, fitted_P: Array) -> Undefined | None:
    if best[0] > 1 - _ON_BOUND:
        return Undefined("the fitted asymptote is at its bound, 1: the curve does not level off")
    if best[1] > 1 - _ON_BOUND or np.ptp(fitted_P) < _LEAST_RISE:
        return Undefined("the fitted asymptote is at its bound, R0: the curve does not rise")
    return None


def _curve(parameters: Array, samples_P: Array) -> Array:
    """R at the samples for (A, R0 / A, ln C_mid, B); the bounds of these make a box."""
    top, share, log_mid, exponent = parameters
    with np.errstate(divide="ignore", over="ignore"):
        gained = 1 / (1 + np.exp(exponent * (log_mid - np.log(samples_P))))
    curve: Array = top * (share + (1 - share) * gained)
    return curve


def _bounds(samples_P: Array) -> tuple[Array, Array]:
    spent = samples_P[samples_P > 0]
    low, high = np.log(spent[0]) - np.log(10), np.log(spent[-1]) + np.log(100)
    return np.array([0, 0, low, 0.01]), np.array([1, 1, high, _STEEPEST])


def _starts(acc_P: Array, samples_P: Array) -> list[Array]:
    """Twelve first guesses, because the squared error has several minima."""
    spent = samples_P[samples_P > 0]
    top = min(max(float(acc_P.max()), 0.01), 0.99)
    share = min(max(float(acc_P[0]) / top, 0.01), 0.99)
    middles = np.log(np.quantile(spent, [0.1, 0.3, 0.6, 0.95]))
    return [np.array([top, share, middle, b]) for middle, b in product(middles, (0.7, 2, 5))]


def _fit(acc_P: Array, samples_P: Array, starts: list[Array]) -> Array:
    """The parameters with the least squared error reached from any start."""
    from scipy.optimize import least_squares

    low, high = _bounds(samples_P)
    fits = [
        least_squares(
            lambda parameters: _curve(parameters, samples_P) - acc_P,
            np.clip(start, low + 1e-6, high - 1e-6),
            bounds=(low, high),
            x_scale=[0.1, 0.1, 1, 1],
        )
        for start in starts
    ]
    best: Array = min(fits, key=lambda fit: float(fit.cost)).x
    return best


def _resample(
    curve_S_P: Array, fitted_P: Array, generator: np.random.Generator, resamples: int
) -> Array:
    """Curves to fit again, shape (resamples, P), within 0 to 1."""
    seeds, points = curve_S_P.shape
    if seeds > 1:
        drawn_R_S = generator.integers(seeds, size=(resamples, seeds))
        return np.array([curve_S_P[drawn].mean(axis=0) for drawn in drawn_R_S])
    residuals = curve_S_P[0] - fitted_P
    drawn_R_P = generator.integers(points, size=(resamples, points))
    curves: Array = np.clip(fitted_P + (residuals - residuals.mean())[drawn_R_P], 0, 1)
    return curves
