"""Where runs level off, for claims 2, 9 and 10: the mean of their last three evaluations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from cl_bench.analysis.paired import BySeed
from cl_bench.claims import styles
from cl_bench.claims.measure import (
    Curves,
    MeasuredStatement,
    Scale,
    detail,
    difference,
    generator,
    mean_over,
    measured,
    trajectory,
)
from cl_bench.claims.plan import Plan
from cl_bench.metrics import over_seeds
from cl_bench.metrics.arrays import Array
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

WINDOW = 3
"""Evaluations that a plateau averages."""
_DASHED: Any = {"dashes": (4, 2), "lw": 1.2}


def last_window(step_P: Array) -> slice | Undefined:
    """Which evaluations are the plateau: the last three."""
    if len(step_P) < WINDOW:
        return Undefined(f"a plateau needs {WINDOW} evaluations, got {len(step_P)}")
    return slice(len(step_P) - WINDOW, len(step_P))


def levels(
    data: Curves,
    plan: Plan,
    domain: str,
    learner: str,
    column: str = "accuracy",
    *,
    at: Callable[[Array], slice | Undefined] = last_window,
) -> BySeed:
    """The mean of a column over a window of each single run, under the learner's own prompt."""

    def level(seed: int) -> float | Undefined:
        run = trajectory(data, plan.single(domain, learner, seed), domain, "step", column)
        if isinstance(run, Undefined):
            return run
        window = at(run[0])
        return window if isinstance(window, Undefined) else float(run[1][window].mean())

    return {seed: level(seed) for seed in plan.seeds}


def compare_plateaus(
    data: Curves,
    plan: Plan,
    domains: Sequence[str],
    learners: tuple[str, str],
    column: str = "accuracy",
    scale: Scale = "accuracy",
) -> MeasuredStatement:
    """The plateau of the first learner minus that of the second, mean over domains."""
    rng = generator()
    gains, details = {}, []
    for domain in domains:
        first, second = (levels(data, plan, domain, name, column) for name in learners)
        gains[domain] = difference(first, second)
        values = {learners[0]: first, learners[1]: second, "difference": gains[domain]}
        details.append(detail(domain, values, rng, scale))
    return measured(mean_over(gains), details, rng)


def draw_plateau(
    axes: Axes,
    data: Curves,
    plan: Plan,
    domain: str,
    learner: str,
    end: float,
    column: str = "accuracy",
) -> None:
    """A dashed line where the plateaus are, mean over seeds, as far as the run goes."""
    plateau = over_seeds(levels(data, plan, domain, learner, column), generator())
    if not isinstance(plateau, Undefined):
        axes.plot([0, end], [plateau.value] * 2, color=styles.colour(learner), **_DASHED)


def plateau_handle() -> Line2D:
    """The entry of a legend for what `draw_plateau` draws."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color="#555555", label="plateau", **_DASHED)
