"""The asymptote of a learning curve, by a sigmoid in the samples spent. Needs scipy when called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cl_bench.metrics import sigmoid
from cl_bench.metrics.arrays import Array, growing, missing, real_array, shares
from cl_bench.metrics.stats.bootstrap import ONE_SEED, Estimate, Interval, percentile
from cl_bench.metrics.undefined import Undefined

LEAST_POINTS = 6
"""Points of a curve, at least, to fit four parameters to."""


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
    """The units that the interval resamples: `seeds`, or the `residuals` of a single seed."""

    def at(self, samples_P: ArrayLike) -> Array:
        """Return the fitted accuracies at these samples."""
        spent = np.asarray(samples_P, dtype=np.float64)
        share = self.start / self.asymptote if self.asymptote else 0.0
        parameters = [self.asymptote, share, np.log(self.midpoint), self.exponent]
        return sigmoid.curve(np.array(parameters), spent)


@dataclass(frozen=True)
class AsymptoteDifference:
    """The difference of two learners' asymptotes, over tasks and for each task."""

    mean: Estimate | Undefined
    """A of the first − A of the second, mean over the tasks for which both are defined; undefined
    without any."""
    difference_J: tuple[Estimate | Undefined, ...]
    first_J: tuple[Asymptote | Undefined, ...]
    second_J: tuple[Asymptote | Undefined, ...]
    on_bound: float
    """Share of the resampled curves, of the tasks that count, whose A is at a bound, R0 or 1."""


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
    curves = np.atleast_2d(np.array(acc_S_P, dtype=np.float64))
    acc, samples = _checked("acc_S_P", curves, "samples_P", samples_P)
    undefined = missing(acc_S_P=acc, samples_P=samples)
    if undefined is not None:
        return undefined
    drawn_R_S = generator.integers(len(acc), size=(resamples, len(acc)))
    fitted = _fitted(acc, samples, drawn_R_S, generator)
    return _described(fitted, level)


def asymptote_difference(
    first_J_S_P: ArrayLike,
    first_samples_P: ArrayLike,
    second_J_S_Q: ArrayLike,
    second_samples_Q: ArrayLike,
    generator: np.random.Generator,
    *,
    resamples: int = 200,
    level: float = 0.95,
) -> AsymptoteDifference | Undefined:
    """Difference of the accuracies that two learners' curves approach, mean over tasks.

    A of the first minus A of the second (see `asymptote`) over the tasks for which both are
    defined. `first_J_S_P`, shape (J, S, P), are accuracies on J tasks with S seeds at
    `first_samples_P`; `second_J_S_Q` those of the other learner, the same tasks and seeds, at its
    own samples. The interval at `level` is the percentile bootstrap over seeds, paired: one draw
    of seeds serves both learners and all tasks. A resampled curve that does not level off counts
    with A = 1, one that does not rise with A = R0. One seed has no interval.
    """
    first, first_samples = _checked("first_J_S_P", first_J_S_P, "first_samples_P", first_samples_P)
    second, second_samples = _checked(
        "second_J_S_Q", second_J_S_Q, "second_samples_Q", second_samples_Q
    )
    _same_tasks_and_seeds(first, second)
    undefined = missing(
        first_J_S_P=first,
        first_samples_P=first_samples,
        second_J_S_Q=second,
        second_samples_Q=second_samples,
    )
    if undefined is not None:
        return undefined
    seeds = first.shape[1]
    drawn_R_S = generator.integers(seeds, size=(resamples, seeds))

    def fitted(acc_S_P: Array, samples_P: Array) -> _Fit | Undefined:
        return _fitted(acc_S_P, samples_P, drawn_R_S, generator)

    tasks = zip(first, second, strict=True)
    pairs = [(fitted(one, first_samples), fitted(other, second_samples)) for one, other in tasks]
    return _compared(pairs, level)


def _same_tasks_and_seeds(first_J_S_P: Array, second_J_S_Q: Array) -> None:
    if first_J_S_P.shape[:2] != second_J_S_Q.shape[:2]:
        shapes = f"first_J_S_P {first_J_S_P.shape}, second_J_S_Q {second_J_S_Q.shape}"
        raise ValueError(f"Both need the same tasks and seeds, the first two axes; got {shapes}.")


@dataclass(frozen=True, eq=False)
class _Fit:
    """The parameters fitted to a mean curve, and the A of each of its resamples."""

    best: Array
    acc_S_P: Array
    samples_P: Array
    top_R: Array
    on_bound_R: Array


_Pair = tuple[_Fit | Undefined, _Fit | Undefined]
"""The fits of both learners on one task."""


def _fitted(
    acc_S_P: Array, samples_P: Array, drawn_R_S: NDArray[np.int64], generator: np.random.Generator
) -> _Fit | Undefined:
    """Fit the mean over seeds and then, starting from that fit, every resample."""
    if len(samples_P) < LEAST_POINTS:
        return Undefined(f"needs at least {LEAST_POINTS} points, got {len(samples_P)}")
    mean_P = acc_S_P.mean(axis=0)
    best = sigmoid.fit(mean_P, samples_P)
    undefined = sigmoid.on_bound(best, samples_P)
    if undefined is not None:
        return undefined
    if len(acc_S_P) > 1:
        drawn_R_P = acc_S_P[drawn_R_S].mean(axis=1)
    else:
        drawn_R_P = _residual_draws(
            mean_P, sigmoid.curve(best, samples_P), len(drawn_R_S), generator
        )
    again = [sigmoid.fit(drawn_P, samples_P, [best]) for drawn_P in drawn_R_P]
    return _Fit(
        best,
        acc_S_P,
        samples_P,
        top_R=np.array([sigmoid.top(found, samples_P) for found in again]),
        on_bound_R=np.array([sigmoid.on_bound(found, samples_P) is not None for found in again]),
    )


def _residual_draws(
    acc_P: Array, fitted_P: Array, resamples: int, generator: np.random.Generator
) -> Array:
    """Return resampled curves of a single seed, shape (resamples, P), cut to 0 to 1."""
    residuals = acc_P - fitted_P
    drawn_R_P = generator.integers(len(acc_P), size=(resamples, len(acc_P)))
    curves: Array = np.clip(fitted_P + (residuals - residuals.mean())[drawn_R_P], 0, 1)
    return curves


def _described(fit: _Fit | Undefined, level: float) -> Asymptote | Undefined:
    if isinstance(fit, Undefined):
        return fit
    top, share, log_mid, exponent = fit.best
    interval = percentile(fit.top_R, level)
    distance_P = sigmoid.curve(fit.best, fit.samples_P) - fit.acc_S_P.mean(axis=0)
    return Asymptote(
        asymptote=float(top),
        low=interval.low,
        high=interval.high,
        start=float(top * share),
        midpoint=float(np.exp(log_mid)),
        exponent=float(exponent),
        residual=float(np.sqrt(np.mean(np.square(distance_P)))),
        resampled="seeds" if len(fit.acc_S_P) > 1 else "residuals",
    )


def _compared(pairs: Sequence[_Pair], level: float) -> AsymptoteDifference:
    by_task = [_minus([pair], level) for pair in pairs]
    told = zip(pairs, by_task, strict=True)
    defined = [pair for pair, found in told if isinstance(found, Estimate)]
    on_bound = [fit.on_bound_R for pair in defined for fit in pair if isinstance(fit, _Fit)]
    mean = _minus(defined or pairs, level)
    if isinstance(mean, Undefined):
        mean = Undefined(f"no task has both asymptotes: {mean.reason}")
    return AsymptoteDifference(
        mean,
        tuple(by_task),
        tuple(_described(first, level) for first, _ in pairs),
        tuple(_described(second, level) for _, second in pairs),
        float(np.mean(on_bound)) if on_bound else 0.0,
    )


def _minus(pairs: Sequence[_Pair], level: float) -> Estimate | Undefined:
    """Return first A minus second A, mean over these tasks, or the first reason against it."""
    values, drawn = [], []
    for first, second in pairs:
        if isinstance(first, Undefined):
            return first
        if isinstance(second, Undefined):
            return second
        values.append(first.best[0] - second.best[0])
        drawn.append(first.top_R - second.top_R)
        seeds = len(first.acc_S_P)
    interval: Interval | Undefined = ONE_SEED
    if seeds > 1:
        interval = percentile(np.mean(drawn, axis=0), level)
    return Estimate(float(np.mean(values)), interval, seeds, seeds)


def _checked(
    name: str, acc: ArrayLike, samples_name: str, samples: ArrayLike
) -> tuple[Array, Array]:
    """Return both as arrays, (…, S, P) and (P,); raise `ValueError` if they are not curves."""
    curves = real_array(name, acc, name.partition("_")[2].replace("_", ""))
    samples_P = real_array(samples_name, samples, samples_name[-1])
    if curves.shape[-1:] != samples_P.shape:
        raise ValueError(
            f"{samples_name} has the shape ({curves.shape[-1]},); got {samples_P.shape}."
        )
    growing(samples_name, samples_P)
    shares(name, curves)
    return curves, samples_P
