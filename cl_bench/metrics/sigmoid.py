"""The sigmoid R = R0 + (A − R0) / (1 + (C_mid / C)^B) and its fit. Needs scipy when called."""

from __future__ import annotations

from itertools import product

import numpy as np

from cl_bench.metrics.arrays import Array
from cl_bench.metrics.undefined import Undefined

_ON_BOUND = 1e-4
"""Distance from a bound that counts as on it; the optimiser never quite gets there."""
_LEAST_RISE = 1e-3
"""Accuracy by which a fitted curve must rise over the points to count as rising."""
_STEEPEST = 20.0
"""Largest exponent B; a steeper curve is a step between two evaluations."""


def curve(parameters: Array, samples_P: Array) -> Array:
    """Return R at the samples for the parameters (A, R0 / A, ln C_mid, B).

    In these parameters the constraint R0 ≤ A is a bound of one of them alone, as the fit needs it.
    """
    top, share, log_mid, exponent = parameters
    with np.errstate(divide="ignore", over="ignore"):
        gained = 1 / (1 + np.exp(exponent * (log_mid - np.log(samples_P))))
    values: Array = top * (share + (1 - share) * gained)
    return values


def _slopes(parameters: Array, samples_P: Array) -> Array:
    """Return the derivatives of `curve` by its parameters, shape (P, 4)."""
    top, share, log_mid, exponent = parameters
    with np.errstate(divide="ignore", over="ignore"):
        before = log_mid - np.log(samples_P)
        gained = 1 / (1 + np.exp(exponent * before))
    before = np.where(samples_P > 0, before, 0)  # there nothing is gained, whatever the slope
    steep = -top * (1 - share) * gained * (1 - gained)
    return np.stack(
        [share + (1 - share) * gained, top * (1 - gained), steep * exponent, steep * before], axis=1
    )


def fit(acc_P: Array, samples_P: Array, starts: list[Array] | None = None) -> Array:
    """Return the parameters with the least squared error, from the best of several starts.

    Without `starts` there are twelve.
    """
    from scipy.optimize import least_squares

    low, high = _bounds(samples_P)
    fits = [
        least_squares(
            lambda parameters: curve(parameters, samples_P) - acc_P,
            np.clip(start, low + 1e-6, high - 1e-6),
            jac=lambda parameters: _slopes(parameters, samples_P),
            bounds=(low, high),
            x_scale=[0.1, 0.1, 1, 1],
        )
        for start in starts or _starts(acc_P, samples_P)
    ]
    best: Array = min(fits, key=lambda fit: float(fit.cost)).x
    return best


def on_bound(parameters: Array, samples_P: Array) -> Undefined | None:
    """Return why the curve does not show where it ends, if A is at one of its bounds, or None."""
    if parameters[0] > 1 - _ON_BOUND:
        return Undefined("the fitted asymptote is at its bound, 1: the curve does not level off")
    if _is_flat(parameters, samples_P):
        return Undefined("the fitted asymptote is at its bound, R0: the curve does not rise")
    return None


def top(parameters: Array, samples_P: Array) -> float:
    """Return A, or R0 if the curve does not rise over the points: its A could be anything."""
    asymptote, share, *_ = parameters
    flat = asymptote <= 1 - _ON_BOUND and _is_flat(parameters, samples_P)
    return float(asymptote * share if flat else asymptote)


def _is_flat(parameters: Array, samples_P: Array) -> bool:
    rise = np.ptp(curve(parameters, samples_P))
    return bool(parameters[1] > 1 - _ON_BOUND or rise < _LEAST_RISE)


def _bounds(samples_P: Array) -> tuple[Array, Array]:
    spent = samples_P[samples_P > 0]
    low, high = np.log(spent[0]) - np.log(10), np.log(spent[-1]) + np.log(100)
    return np.array([0, 0, low, 0.01]), np.array([1, 1, high, _STEEPEST])


def _starts(acc_P: Array, samples_P: Array) -> list[Array]:
    """Return twelve first guesses, because the squared error has several minima."""
    spent = samples_P[samples_P > 0]
    top = min(max(float(acc_P.max()), 0.01), 0.99)
    share = min(max(float(acc_P[0]) / top, 0.01), 0.99)
    middles = np.log(np.quantile(spent, [0.1, 0.3, 0.6, 0.95]))
    return [np.array([top, share, middle, b]) for middle, b in product(middles, (0.7, 2, 5))]
