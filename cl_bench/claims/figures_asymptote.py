"""The figure of claim 2: mean accuracy over seeds, the sigmoid fitted to it and its asymptote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cl_bench.claims import styles
from cl_bench.claims.claim_02_asymptote import Fits, fit
from cl_bench.claims.measure import Curves, trajectory
from cl_bench.claims.plan import SINGLE_DOMAINS, Plan
from cl_bench.metrics.scaling import Asymptote
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BEYOND = 1.35
"""How far the fitted curves are drawn, in lengths of the run."""


def draw(data: Curves, plan: Plan) -> Figure:
    """One panel per domain; a dashed line is an asymptote, the bar at its end its interval."""
    from matplotlib.lines import Line2D

    fits = fit(data, plan)
    with styles.sheet(1, len(SINGLE_DOMAINS), sharey=True) as (figure, panels):
        for place, (axes, domain) in enumerate(zip(panels, SINGLE_DOMAINS, strict=True)):
            axes.set_title(domain)
            axes.set_xlabel("training samples")
            if isinstance(fits, Undefined):
                _draw_runs(axes, data, plan, domain)
            else:
                _draw_domain(axes, fits, place)
        panels[0].set_ylabel("accuracy, own prompt")
        styles.finish(panels)
        dashed = Line2D([], [], color="#555555", dashes=(4, 2), lw=1.2, label="asymptote")
        bar = Line2D(
            [], [], color="#555555", lw=3, alpha=0.6, label="its 95 % interval (at the end)"
        )
        styles.legend(figure, ("rl", "fst"), [dashed, bar], band=False)
        return figure


def _draw_runs(axes: Axes, data: Curves, plan: Plan, domain: str) -> None:
    """What is there where nothing can be fitted."""
    for learner in ("rl", "fst"):
        cells = [plan.single(domain, learner, seed) for seed in plan.seeds]
        runs = [trajectory(data, cell, domain, "samples_slow", "accuracy") for cell in cells]
        styles.curves(axes, learner, runs, band=False)


def _draw_domain(axes: Axes, fits: Fits, place: int) -> None:
    both = (("rl", fits.rl, fits.found.second_J), ("fst", fits.fst, fits.found.first_J))
    for line, (learner, (acc_J_S_P, samples_P), fitted_J) in enumerate(both):
        colour, end = styles.colour(learner), samples_P[-1] * _BEYOND
        for acc_P in acc_J_S_P[place]:
            axes.plot(samples_P, acc_P, color=colour, lw=0.6, alpha=0.3)
        mean_P = acc_J_S_P[place].mean(axis=0)
        axes.plot(samples_P, mean_P, color=colour, marker=styles.marker(learner), ls="none")
        fitted = fitted_J[place]
        said = f"{styles.label(learner)}: no asymptote"
        if isinstance(fitted, Asymptote):
            said = f"{styles.label(learner)}: A = {fitted.asymptote:.1%}"
            _draw_fit(axes, fitted, colour, end * (1 + 0.03 * line), seeds=len(fits.seeds))
        axes.text(
            0.97, 0.12 - 0.09 * line, said, transform=axes.transAxes, ha="right", color=colour
        )


def _draw_fit(axes: Axes, fitted: Asymptote, colour: str, end: float, seeds: int) -> None:
    spent = np.linspace(0, end, 200)
    axes.plot(spent, fitted.at(spent), color=colour)
    axes.axhline(fitted.asymptote, color=colour, dashes=(4, 2), lw=1.2)
    if seeds > 1:
        axes.plot([end, end], [fitted.low, fitted.high], color=colour, lw=3, alpha=0.6)
