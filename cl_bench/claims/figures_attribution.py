"""Figure of claim 8: the 2x2 of parameters and prompts, one heat map per domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cl_bench.claims.by_seed import estimate
from cl_bench.claims.measures_attribution import PROMPTS, WEIGHTS, accuracies
from cl_bench.claims.plan import SINGLE_DOMAINS
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cl_bench.claims.data import Data
    from cl_bench.claims.plan import Plan
    from cl_bench.metrics.arrays import Array


def draw(data: Data, plan: Plan) -> Figure:
    """Mean accuracy over seeds under {seed, evolved} prompt with {base, trained} parameters."""
    from cl_bench.claims.panels import panels

    with panels(list(SINGLE_DOMAINS), (7.6, 3.1), sharey=True) as (figure, axes):
        for domain, panel in zip(SINGLE_DOMAINS, axes, strict=True):
            _draw_domain(_mean_accuracies(data, plan, domain), panel)
        axes[0].set_yticks(range(2), [f"{weights}\nparameters" for weights in WEIGHTS])
        figure.supxlabel("accuracy at the end of fast-slow training, mean over seeds", fontsize=8)
    return figure


def _mean_accuracies(data: Data, plan: Plan, domain: str) -> Array:
    """Shape (2, 2), weights and prompts; NaN where no seed has a value."""
    by_seed = {seed: accuracies(data, plan, domain, seed) for seed in plan.seeds}
    cells = [f"{weights} + {prompt}" for weights in WEIGHTS for prompt in PROMPTS]
    means = [estimate({seed: row[cell] for seed, row in by_seed.items()}) for cell in cells]
    values = [np.nan if isinstance(mean, Undefined) else mean.value for mean in means]
    return np.array(values).reshape(2, 2)


def _draw_domain(acc_W_P: Array, panel: Axes) -> None:
    from cl_bench.claims.panels import say

    panel.grid(visible=False)
    panel.set_xticks(range(2), [f"{prompt}\nprompt" for prompt in PROMPTS])
    if np.isnan(acc_W_P).all():
        panel.set(xlim=(-0.5, 1.5), ylim=(1.5, -0.5))
        say(panel)
        return
    panel.imshow(acc_W_P, cmap="Blues", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(acc_W_P):
        text = "no runs" if np.isnan(value) else f"{100 * value:.1f} %"
        shade = "white" if value > 0.6 else "#222222"
        panel.text(column, row, text, ha="center", va="center", color=shade)
