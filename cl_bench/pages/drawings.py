"""Figures as files, the same bytes for the same data."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
    return Drawing(saved(figure, "png"), saved(figure, "svg"))


def saved(figure: Figure, kind: str) -> bytes:
    """The figure as a `png` or `svg` file.

    Labels are text and never maths, whatever names they hold; a character that the font lacks is a
    box, and labels that leave no room overlap.
    """
    from matplotlib import rc_context

    file = BytesIO()
    options: Any = {"svg.hashsalt": "cl-bench", "text.parse_math": False}
    with rc_context(options), any_text():
        figure.savefig(file, format=kind, dpi=150, bbox_inches="tight", metadata=_METADATA[kind])
    return file.getvalue()


@contextmanager
def any_text() -> Iterator[None]:
    """Text is drawn without a warning of signs that the font lacks or of names that are long."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from|constrained_layout not applied")
        yield
