"""The claims' figures as files, the same bytes for the same data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from cl_bench.claims.data import Data
from cl_bench.claims.plan import Plan
from cl_bench.claims.registered import Claim

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Figures = Mapping[int, Callable[[Data, Plan], "Figure"]]
"""By a claim's number, what draws its figure."""
_METADATA: Mapping[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
}


@dataclass(frozen=True)
class Drawing:
    """One figure in two formats."""

    png: bytes
    svg: bytes


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


def drawing(figure: Figure) -> Drawing:
    """Both files of a figure; they name no time, and ids follow from the content."""
    return Drawing(*(_saved(figure, kind) for kind in ("png", "svg")))


def _saved(figure: Figure, kind: str) -> bytes:
    from matplotlib import rc_context

    file = BytesIO()
    with rc_context({"svg.hashsalt": "cl-bench"}):
        figure.savefig(file, format=kind, dpi=150, bbox_inches="tight", metadata=_METADATA[kind])
    return file.getvalue()
