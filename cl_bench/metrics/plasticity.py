"""Whether a trained model can still learn; and internals that are diagnostics, never a verdict.

Internals predict the loss of plasticity badly (arXiv 2605.09044): show them beside a probe that
trains, `plasticity_ratio`, not in its place.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from cl_bench.metrics.arrays import missing, real_array, same_shape
from cl_bench.metrics.undefined import Undefined

Parameters = Mapping[str, ArrayLike]
"""Arrays of a model by name, such as a state dict of numpy arrays."""


def plasticity_ratio(after_S: ArrayLike, base_S: ArrayLike) -> float | Undefined:
    """Accuracy that fresh RL reaches from a checkpoint, over that from the base; below 1 is a loss.

    mean_S(final accuracy from the checkpoint) / mean_S(final accuracy from the base), both probes
    on the same task, with the same seeds and budget. Tiwari et al. 2026 (FST), claim 5. The arrays
    have the shape (S,), paired by seed; a number stands for one seed. The ratio is of means,
    because a mean of ratios hangs on the seeds with the least accuracy.
    """
    after = np.atleast_1d(np.array(after_S, dtype=np.float64))
    base = np.atleast_1d(np.array(base_S, dtype=np.float64))
    after, base = real_array("after_S", after, "S"), real_array("base_S", base, "S")
    same_shape(after_S=after, base_S=base)
    undefined = missing(after_S=after, base_S=base)
    if undefined is not None:
        return undefined
    if base.mean() == 0:
        return Undefined("the probe from the base model reaches 0")
    return float(after.mean() / base.mean())


def dead_units(activation_N_U: ArrayLike, threshold: float = 0.0) -> float | Undefined:
    """Share of units whose activation is within `threshold` of 0 on all N inputs. Diagnostic.

    |{u: max_n |h[n, u]| ≤ threshold}| / U. Dohare et al. 2024 ("dead", with ReLU and 0; with
    smooth activations give a small threshold and report it).
    """
    activation = real_array("activation_N_U", activation_N_U, "NU")
    undefined = missing(activation_N_U=activation)
    if undefined is not None:
        return undefined
    return float((np.abs(activation).max(axis=0) <= threshold).mean())


def effective_rank(feature_N_D: ArrayLike) -> float | Undefined:
    """Number of directions that features use, 1 to min(N, D), by the entropy. Diagnostic.

    exp(−Σ p_k ln p_k), p_k = σ_k / Σ σ, with the singular values σ of the features as given (not
    centred). Roy & Vetterli 2007; as in Dohare et al. 2024.
    """
    feature = real_array("feature_N_D", feature_N_D, "ND")
    undefined = missing(feature_N_D=feature)
    if undefined is not None:
        return undefined
    values = np.linalg.svd(feature, compute_uv=False)
    if not values.sum():
        return Undefined("all features are 0")
    shares = values / values.sum()
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def weight_distance(parameters: Parameters, base: Parameters) -> float | Undefined:
    """Euclidean distance ‖θ − θ0‖ of all parameters from the base model's. Diagnostic.

    √ Σ (θ − θ0)², over arrays with the same names and shapes in both. Absolute, so comparable
    between runs of one model only.
    """
    if parameters.keys() != base.keys():
        raise ValueError(
            f"Both need the same arrays; only one has {sorted(parameters.keys() ^ base.keys())}."
        )
    if not base:
        return Undefined("there are no parameters")
    total = 0.0
    for name in base:
        now, before = (np.array(of[name], dtype=np.float64) for of in (parameters, base))
        same_shape(**{name: now, f"base {name}": before})
        if not np.isfinite(now).all() or not np.isfinite(before).all():
            return Undefined(f"{name} is not finite")
        total += float(np.square(now - before).sum())
    return float(np.sqrt(total))


def update_norm(after: Parameters, before: Parameters) -> float | Undefined:
    """Euclidean length ‖θ_t − θ_(t−1)‖ of one update of all parameters. Diagnostic.

    As `weight_distance`, between the parameters before and after the update.
    """
    return weight_distance(after, before)
