"""Every claim's figure, by the claim's number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from cl_bench.claims import (
    figures_asymptote,
    figures_efficiency,
    figures_kl,
    figures_plateau,
)
from cl_bench.claims.measure import Curves
from cl_bench.claims.plan import Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES: Mapping[int, Callable[[Curves, Plan], Figure]] = {
    1: figures_efficiency.draw,
    2: figures_asymptote.draw,
    3: figures_kl.draw,
    9: figures_plateau.draw_ceiling,
    10: figures_plateau.draw_distillation,
}
