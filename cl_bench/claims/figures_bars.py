"""Figures of claims 4 and 5: bars of accuracy, base against RL against fast-slow training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cl_bench.claims import claim_04_out_of_distribution, claim_05_plasticity
from cl_bench.claims.measure import BySeed
from cl_bench.claims.panels import bars, percent, say_where_empty
from cl_bench.claims.plan import ORIGINS, PROBE, SINGLE_DOMAINS, Plan
from cl_bench.claims.styles import sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cl_bench.claims.data import Data

_BARS = ("base", "rl", "fst")


def outside(data: Data, plan: Plan) -> Figure:
    """Claim 4: accuracy on the five sets that a single run was not trained on, per domain."""
    panels = {
        f"trained on {d}": claim_04_out_of_distribution.compared(data, plan, d)
        for d in SINGLE_DOMAINS
    }
    return _draw(panels, "accuracy on what was not trained")


def plasticity(data: Data, plan: Plan) -> Figure:
    """Claim 5: what fresh RL reaches from the base and from trained models, per origin."""
    panels = {f"after {o}": claim_05_plasticity.compared(data, plan, o) for o in ORIGINS}
    return _draw(panels, f"accuracy on {PROBE} after fresh RL")


def _draw(panels: Mapping[str, Mapping[str, BySeed]], quantity: str) -> Figure:
    with sheet(1, len(panels), sharey=True) as (figure, axes):
        for panel, (title, values) in zip(axes, panels.items(), strict=True):
            bars(panel, {name: values[name] for name in _BARS})
            panel.set_title(title)
        axes[0].set_ylabel(quantity)
        percent(axes[0])
        axes[0].set_ylim(bottom=0)
        say_where_empty(axes)
        figure.supxlabel("mean over seeds, 95 % interval, and the seeds as dots", fontsize=8)
    return figure
