"""The measures and figures of claims 4 to 8: what is kept, what can still be learned, and where."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from cl_bench.claims import (
    figures_attribution,
    figures_bars,
    figures_continual,
    figures_zero_reward,
    measures_attribution,
    measures_continual,
    measures_ood,
    measures_plasticity,
    measures_zero_reward,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cl_bench.claims.data import Data
    from cl_bench.claims.measure import Measured
    from cl_bench.claims.plan import Plan

MEASURES: Mapping[str, Callable[[Data, Plan], Measured]] = {
    **measures_ood.MEASURES,
    **measures_plasticity.MEASURES,
    **measures_continual.MEASURES,
    **measures_zero_reward.MEASURES,
    **measures_attribution.MEASURES,
}
"""By the statement's id."""

FIGURES: Mapping[int, Callable[[Data, Plan], Figure]] = {
    4: figures_bars.outside,
    5: figures_bars.plasticity,
    6: figures_continual.draw,
    7: figures_zero_reward.draw,
    8: figures_attribution.draw,
}
"""By the claim's number."""
