"""The claims' figures, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from cl_bench.claims.data import Data
from cl_bench.claims.plan import Plan
from cl_bench.claims.registered import Claim
from cl_bench.report.blocks.drawings import Drawing, drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Figures = Mapping[int, Callable[[Data, Plan], "Figure"]]
"""By a claim's number, what draws its figure."""


def name_of(claim: Claim) -> str:
    """The name of a claim's figure: `3-kl`."""
    return f"{claim.number}-{claim.name}"


def draw(claims: Sequence[Claim], figures: Figures, data: Data, plan: Plan) -> dict[str, Drawing]:
    """The figures of these claims, by name."""
    return {
        name_of(claim): drawing(figures[claim.number](data, plan))
        for claim in claims
        if claim.number in figures
    }
