"""Figure of claim 8: the 2x2 of parameters and prompts, one heat map per domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cl_bench.claims.look import sheet
from cl_bench.claims.measure import generator
from cl_bench.claims.measures_attribution import PROMPTS, WEIGHTS, accuracies
from cl_bench.claims.plan import SINGLE_DOMAINS, Plan
from cl_bench.metrics import over_seeds
from cl_bench.metrics.arrays import Array
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cl_bench.claims.data import Data


def draw(data: Data, plan: Plan) -> Figure:
    """Mean accuracy over seeds under {seed, evolved} prompt with {base, trained} parameters."""
    with sheet(1, len(SINGLE_DOMAINS), sharey=True) as (figure, axes):
        for domain, panel in zip(SINGLE_DOMAINS, axes, strict=True):
            _draw_domain(_mean_accuracies(data, plan, domain), panel)
            panel.set_title(domain)
        axes[0].set_yticks(range(2), [f"{weights}\nparameters" for weights in WEIGHTS])
        figure.supxlabel("accuracy at the end of fast-slow training, mean over seeds", fontsize=8)
    return figure


def _mean_accuracies(data: Data, plan: Plan, domain: str) -> Array:
    """Shape (2, 2), parameters and prompts; NaN where no seed has a value."""
    rng = generator()
    means = [over_seeds(by_seed, rng) for by_seed in accuracies(data, plan, domain).values()]
    values = [np.nan if isinstance(mean, Undefined) else mean.value for mean in means]
    return np.array(values).reshape(2, 2)


def _draw_domain(acc_W_P: Array, panel: Axes) -> None:
    panel.grid(visible=False)
    panel.set(xlim=(-0.5, 1.5), ylim=(1.5, -0.5))
    panel.set_xticks(range(2), [f"{prompt}\nprompt" for prompt in PROMPTS])
    if np.isnan(acc_W_P).all():
        panel.text(0.5, 0.5, "no runs", ha="center", color="#777777")
        return
    panel.imshow(acc_W_P, cmap="Blues", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(acc_W_P):
        text = "—" if np.isnan(value) else f"{100 * value:.1f} %"
        panel.text(
            column, row, text, ha="center", va="center", color="white" if value > 0.6 else "#222222"
        )
