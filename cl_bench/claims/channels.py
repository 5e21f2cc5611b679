"""The measures and figures of claims 4 to 8: what is kept, what can still be learned, and where."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from cl_bench.claims import (
    claim_04_out_of_distribution,
    claim_05_plasticity,
    claim_06_continual,
    claim_07_zero_reward,
    claim_08_both_channels,
    figures_attribution,
    figures_bars,
    figures_continual,
    figures_zero_reward,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cl_bench.claims.data import Data
    from cl_bench.claims.measure import Measured
    from cl_bench.claims.plan import Plan

MEASURES: Mapping[str, Callable[[Data, Plan], Measured]] = {
    **claim_04_out_of_distribution.MEASURES,
    **claim_05_plasticity.MEASURES,
    **claim_06_continual.MEASURES,
    **claim_07_zero_reward.MEASURES,
    **claim_08_both_channels.MEASURES,
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
