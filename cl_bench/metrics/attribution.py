"""The shares of both channels in a gain: slow weights (parameters) and fast weights (prompts)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cl_bench.metrics.arrays import real_array
from cl_bench.metrics.undefined import Undefined

_WEIGHTS, _PROMPTS = ("base", "trained"), ("seed", "evolved")


@dataclass(frozen=True)
class ChannelAttribution:
    """Gains over the base model under the seed prompt, in the unit of the accuracies."""

    slow: float
    """Of trained weights alone: R(θ', seed) − R(θ, seed)."""
    fast: float
    """Of the evolved prompt alone: R(θ, evolved) − R(θ, seed)."""
    joint: float
    """Of both: R(θ', evolved) − R(θ, seed)."""
    interaction: float
    """joint − slow − fast: positive if the channels help each other, negative if they overlap."""


def channel_attribution(acc_W_P: ArrayLike) -> ChannelAttribution | Undefined:
    """The 2×2 of weights and prompts as gains of the slow, the fast and both channels.

    Tiwari et al. 2026 (FST), claim 8. `acc_W_P`, shape (2, 2): rows base and trained weights,
    columns seed and evolved prompt, accuracies on the same items.
    """
    acc = real_array("acc_W_P", acc_W_P, "WP")
    if acc.shape != (2, 2):
        raise ValueError(
            f"acc_W_P has the shape (2, 2), {{base, trained}} weights × {{seed, evolved}} prompt; "
            f"got {acc.shape}."
        )
    places = np.argwhere(np.isnan(acc))
    if len(places):
        cells = ", ".join(f"{_WEIGHTS[w]} weights, {_PROMPTS[p]} prompt" for w, p in places)
        return Undefined(f"missing accuracy of {cells}")
    slow, fast, joint = (float(acc[cell] - acc[0, 0]) for cell in ((1, 0), (0, 1), (1, 1)))
    return ChannelAttribution(slow, fast, joint, joint - slow - fast)
