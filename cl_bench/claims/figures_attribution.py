"""Figure of claim 8: the 2x2 of parameters and prompts, one heat map per domain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cl_bench.claims.claim_08_both_channels import PROMPTS, WEIGHTS, accuracies
from cl_bench.claims.measure import generator
from cl_bench.claims.plan import SINGLE_DOMAINS, Plan
from cl_bench.claims.styles import sheet
from cl_bench.metrics import over_seeds
from cl_bench.metrics.stats.bootstrap import Estimate, Interval
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cl_bench.claims.data import Data


def draw(data: Data, plan: Plan) -> Figure:
    """Mean accuracy over seeds under {seed, evolved} prompt with {base, trained} parameters."""
    with sheet(1, len(SINGLE_DOMAINS), sharey=True) as (figure, axes):
        for domain, panel in zip(SINGLE_DOMAINS, axes, strict=True):
            _draw_domain(_means(data, plan, domain), panel)
            panel.set_title(domain)
        axes[0].set_yticks(range(2), [f"{weights}\nparameters" for weights in WEIGHTS])
        figure.supxlabel(
            "accuracy at the end of fast-slow training, mean over n seeds [95 % interval]",
            fontsize=8,
        )
    return figure


def _means(data: Data, plan: Plan, domain: str) -> list[Estimate | Undefined]:
    """Of base + seed, base + evolved, trained + seed, trained + evolved."""
    found = accuracies(data, plan, domain).values()
    return [over_seeds(by_seed, generator()) for by_seed in found]


def _draw_domain(means: Sequence[Estimate | Undefined], panel: Axes) -> None:
    values = [np.nan if isinstance(mean, Undefined) else mean.value for mean in means]
    acc_W_P = np.array(values).reshape(2, 2)
    panel.grid(visible=False)
    panel.set(xlim=(-0.5, 1.5), ylim=(1.5, -0.5))
    panel.set_xticks(range(2), [f"{prompt}\nprompt" for prompt in PROMPTS])
    if np.isnan(acc_W_P).all():
        panel.text(0.5, 0.5, "no runs", ha="center", color="#777777")
        return
    panel.imshow(acc_W_P, cmap="Blues", vmin=0, vmax=1)
    for ((row, column), value), mean in zip(np.ndenumerate(acc_W_P), means, strict=True):
        colour = "white" if value > 0.6 else "#222222"
        panel.text(column, row, _words(mean), ha="center", va="center", color=colour)


def _words(mean: Estimate | Undefined) -> str:
    if isinstance(mean, Undefined):
        return "—"
    lines = [f"{100 * mean.value:.1f} %", f"n = {mean.seeds}"]
    if isinstance(mean.interval, Interval):
        lines.insert(1, f"[{100 * mean.interval.low:.1f}, {100 * mean.interval.high:.1f}]")
    return "\n".join(lines)
