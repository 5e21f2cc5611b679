"""The asymptote of a learning curve, by a sigmoid in the samples spent. Needs scipy when called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cl_bench.metrics import sigmoid
from cl_bench.metrics.arrays import Array, growing, missing, real_array, shares
from cl_bench.metrics.stats.student import Estimate, Interval, jackknife_interval
from cl_bench.metrics.undefined import Undefined

LEAST_POINTS = 6
"""Points of a curve, at least, to fit four parameters to."""


@dataclass(frozen=True)
class Asymptote:
    """A fitted curve R = R0 + (A − R0) / (1 + (C_mid / C)^B)."""

    asymptote: float
    """A, the accuracy that the curve approaches."""
    interval: Interval | Undefined
    """Of A, over seeds."""
    start: float
    """R0, the accuracy at 0 samples."""
    midpoint: float
    """C_mid, the samples at which half of A − R0 is gained."""
    exponent: float
    """B, how steep the curve is."""
    residual: float
    """Root mean squared distance of the (mean) curve's points from the fit, in accuracy."""

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
    """Share of the means without one seed, of the tasks that count, whose A is at a bound, R0 or
    1."""


def asymptote(
    acc_S_P: ArrayLike, samples_P: ArrayLike, *, level: float = 0.95
) -> Asymptote | Undefined:
    """The accuracy that a learning curve approaches, with its interval over seeds.

    Least squares of R − R0 = (A − R0) / (1 + (C_mid / C)^B) with 0 ≤ R0 ≤ A ≤ 1 and B > 0, four
    parameters. Khatri et al. 2025 (ScaleRL, arXiv 2510.13786), FST's claim 2. `acc_S_P`, shape
    (S, P) or (P,), are validation accuracies from 0 to 1 of S seeds, whose mean is fitted, at
    `samples_P` samples. The interval at `level` is Student's of the jackknife over seeds (see
    `jackknife`); a mean without one seed that does not level off counts with A = 1, one that does
    not rise with A = R0. Undefined under 6 points, or when A sits on its bound: then the curve
    does not show where it ends.
    """
    curves = np.atleast_2d(np.array(acc_S_P, dtype=np.float64))
    acc, samples = _checked("acc_S_P", curves, "samples_P", samples_P)
    undefined = missing(acc_S_P=acc, samples_P=samples)
    return _described(_fitted(acc, samples), level) if undefined is None else undefined


def asymptote_difference(
    first_J_S_P: ArrayLike,
    first_samples_P: ArrayLike,
    second_J_S_Q: ArrayLike,
    second_samples_Q: ArrayLike,
    *,
    level: float = 0.95,
) -> AsymptoteDifference | Undefined:
    """Difference of the accuracies that two learners' curves approach, mean over tasks.

    A of the first minus A of the second (see `asymptote`) over the tasks for which both are
    defined. `first_J_S_P`, shape (J, S, P), are accuracies on J tasks with S seeds at
    `first_samples_P`; `second_J_S_Q` those of the other learner, the same tasks and seeds, at its
    own samples. The interval at `level` is Student's of the jackknife over seeds, paired: a seed is
    left out of both learners' curves and all tasks at once.
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
    tasks = zip(first, second, strict=True)
    pairs = [(_fitted(one, first_samples), _fitted(other, second_samples)) for one, other in tasks]
    return _compared(pairs, level)


def _same_tasks_and_seeds(first_J_S_P: Array, second_J_S_Q: Array) -> None:
    if first_J_S_P.shape[:2] != second_J_S_Q.shape[:2]:
        shapes = f"first_J_S_P {first_J_S_P.shape}, second_J_S_Q {second_J_S_Q.shape}"
        raise ValueError(f"Both need the same tasks and seeds, the first two axes; got {shapes}.")


@dataclass(frozen=True, eq=False)
class _Fit:
    """The parameters fitted to a mean curve, and the A of each mean without one seed."""

    best: Array
    acc_S_P: Array
    samples_P: Array
    top_S: Array
    on_bound_S: Array


_Pair = tuple[_Fit | Undefined, _Fit | Undefined]
"""The fits of both learners on one task."""


def _fitted(acc_S_P: Array, samples_P: Array) -> _Fit | Undefined:
    """Fit the mean over seeds and then, starting from that fit, every mean without one seed."""
    if len(samples_P) < LEAST_POINTS:
        return Undefined(f"needs at least {LEAST_POINTS} points, got {len(samples_P)}")
    best = sigmoid.fit(acc_S_P.mean(axis=0), samples_P)
    undefined = sigmoid.on_bound(best, samples_P)
    if undefined is not None:
        return undefined
    seeds = len(acc_S_P) if len(acc_S_P) > 1 else 0
    without = [np.delete(acc_S_P, seed, axis=0).mean(axis=0) for seed in range(seeds)]
    again = [sigmoid.fit(mean_P, samples_P, [best]) for mean_P in without]
    return _Fit(
        best,
        acc_S_P,
        samples_P,
        top_S=np.array([sigmoid.top(found, samples_P) for found in again]),
        on_bound_S=np.array([sigmoid.on_bound(found, samples_P) is not None for found in again]),
    )


def _described(fit: _Fit | Undefined, level: float) -> Asymptote | Undefined:
    if isinstance(fit, Undefined):
        return fit
    top, share, log_mid, exponent = fit.best
    distance_P = sigmoid.curve(fit.best, fit.samples_P) - fit.acc_S_P.mean(axis=0)
    return Asymptote(
        asymptote=float(top),
        interval=jackknife_interval(float(top), fit.top_S.tolist(), level),
        start=float(top * share),
        midpoint=float(np.exp(log_mid)),
        exponent=float(exponent),
        residual=float(np.sqrt(np.mean(np.square(distance_P)))),
    )


def _compared(pairs: Sequence[_Pair], level: float) -> AsymptoteDifference:
    by_task = [_minus([pair], level) for pair in pairs]
    told = zip(pairs, by_task, strict=True)
    defined = [pair for pair, found in told if isinstance(found, Estimate)]
    on_bound = [fit.on_bound_S for pair in defined for fit in pair if isinstance(fit, _Fit)]
    mean = _minus(defined or pairs, level)
    if isinstance(mean, Undefined):
        mean = Undefined(f"no task has both asymptotes: {mean.reason}")
    return AsymptoteDifference(
        mean,
        tuple(by_task),
        tuple(_described(first, level) for first, _ in pairs),
        tuple(_described(second, level) for _, second in pairs),
        float(np.mean(on_bound)) if np.size(on_bound) else 0.0,
    )


def _minus(pairs: Sequence[_Pair], level: float) -> Estimate | Undefined:
    """Return first A minus second A, mean over these tasks, or the first reason against it."""
    values, without = [], []
    for first, second in pairs:
        if isinstance(first, Undefined):
            return first
        if isinstance(second, Undefined):
            return second
        values.append(first.best[0] - second.best[0])
        without.append(first.top_S - second.top_S)
        seeds = len(first.acc_S_P)
    value, without_S = float(np.mean(values)), np.mean(without, axis=0)
    return Estimate(value, jackknife_interval(value, without_S.tolist(), level), seeds, seeds)


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
