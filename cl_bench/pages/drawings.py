"""Figures as files, the same bytes for the same data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_METADATA: Mapping[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
}


@dataclass(frozen=True)
class Drawing:
    """One figure in two formats."""

    png: bytes
    svg: bytes


def drawing(figure: Figure) -> Drawing:
    """Both files of a figure; they name no time, and ids follow from the content."""
    return Drawing(*(_saved(figure, kind) for kind in ("png", "svg")))


def _saved(figure: Figure, kind: str) -> bytes:
    from matplotlib import rc_context

    file = BytesIO()
    with rc_context({"svg.hashsalt": "cl-bench"}):
        figure.savefig(file, format=kind, dpi=150, bbox_inches="tight", metadata=_METADATA[kind])
    return file.getvalue()
