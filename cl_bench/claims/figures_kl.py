"""The figure of claim 3: accuracy against the distance from the base."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cl_bench.claims import look
from cl_bench.claims.measure import Curves, trajectory
from cl_bench.claims.plan import KL_DOMAINS, Plan

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(data: Curves, plan: Plan) -> Figure:
    """One panel per domain: higher at the same place is more accuracy for the same distance."""
    from matplotlib.lines import Line2D

    with look.sheet(2, 2, sharey=True) as (figure, panels):
        for axes, domain in zip(panels, KL_DOMAINS, strict=True):
            axes.set_title(domain)
            _draw_domain(axes, data, plan, domain)
        for axes in panels[2:]:
            axes.set_xlabel("KL(policy ‖ base), nats per token")
        for axes in panels[::2]:
            axes.set_ylabel("accuracy on test problems")
        look.finish(panels, samples=False)
        dashed = Line2D(
            [], [], color=look.colour("fst"), dashes=(4, 2), lw=1.4, label="FST, seed prompt"
        )
        look.legend(figure, ("rl", "fst"), [dashed])
        return figure


def _draw_domain(axes: Axes, data: Curves, plan: Plan, domain: str) -> None:
    for learner, prompt in (("fst", "seed"), ("rl", "learner"), ("fst", "learner")):
        runs = [
            trajectory(
                data,
                plan.single(domain, learner, seed),
                domain,
                "kl_policy_base",
                "accuracy",
                prompt=prompt,
            )
            for seed in plan.seeds
        ]
        look.curves(axes, learner, runs, dashed=prompt == "seed")
