"""Every claim's figure, by the claim's number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from cl_bench.claims import (
    channels,
    claim_09_prompt_ceiling,
    figures_asymptote,
    figures_efficiency,
    figures_kl,
)
from cl_bench.claims.data import Data
from cl_bench.claims.plan import Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES: Mapping[int, Callable[[Data, Plan], Figure]] = {
    1: figures_efficiency.draw,
    2: figures_asymptote.draw,
    3: figures_kl.draw,
    **channels.FIGURES,
    9: claim_09_prompt_ceiling.draw_ceiling,
    10: claim_09_prompt_ceiling.draw_distillation,
}
