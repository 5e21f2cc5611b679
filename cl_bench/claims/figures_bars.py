"""Figures of claims 4 and 5: bars of accuracy, base against RL against fast-slow training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from cl_bench.claims import measures_ood, measures_plasticity
from cl_bench.claims.by_seed import Columns
from cl_bench.claims.plan import ORIGINS, PROBE, SINGLE_DOMAINS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cl_bench.claims.data import Data
    from cl_bench.claims.plan import Plan

_BARS = ("base", "rl", "fst")


def outside(data: Data, plan: Plan) -> Figure:
    """Claim 4: accuracy on the five sets that a single run was not trained on, per domain."""
    return _bars(
        plan,
        SINGLE_DOMAINS,
        "trained on",
        "accuracy outside of the trained domain",
        lambda domain, seed: measures_ood.columns(data, plan, domain, seed),
    )


def plasticity(data: Data, plan: Plan) -> Figure:
    """Claim 5: what fresh RL reaches from the base and from trained models, per origin."""
    return _bars(
        plan,
        ORIGINS,
        "after",
        f"accuracy on {PROBE} after fresh RL",
        lambda origin, seed: measures_plasticity.columns(data, plan, origin, seed),
    )


def _bars(
    plan: Plan,
    places: Sequence[str],
    title: str,
    quantity: str,
    columns: Callable[[str, int], Columns],
) -> Figure:
    from cl_bench.claims.panels import bars, panels, percent

    titles = [f"{title} {place}" for place in places]
    with panels(titles, (1.2 + 2.2 * len(places), 3.2), sharey=True) as (figure, axes):
        for panel, place in zip(axes, places, strict=True):
            rows = [columns(place, seed) for seed in plan.seeds]
            bars(panel, {name: [row[name] for row in rows] for name in _BARS})
        axes[0].set_ylim(bottom=0)
        axes[0].set_ylabel(quantity)
        percent(axes[0])
        figure.supxlabel("bars: mean over seeds; lines: 95 % interval; dots: seeds", fontsize=8)
    return figure
