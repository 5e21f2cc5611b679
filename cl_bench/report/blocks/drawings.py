"""Figures: the style that all of them share, and files with the same bytes for the same data.

matplotlib is imported when a figure is drawn, and what the user's own settings of it say (a backend
of a notebook, LaTeX, fonts) holds for no figure of the suite.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import BboxBase

_DPI, _MARGIN = 150, 0.1
"""Dots per inch of a PNG file, and inches around what is drawn."""
_METADATA: Mapping[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
}


STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "figure.constrained_layout.use": True,
    "figure.dpi": 150,
    "font.size": 9,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.7,
    "lines.markersize": 4.5,
    "svg.hashsalt": "cl-bench",
    "text.parse_math": False,
}
"""Settings of matplotlib under which every figure of the suite is drawn; all others are its
defaults."""


@dataclass(frozen=True)
class Drawing:
    """One figure in two formats."""

    png: bytes
    svg: bytes


@contextmanager
def own_style() -> Iterator[None]:
    """Inside, matplotlib is imported and has the settings of the suite alone."""
    _import_matplotlib()
    from matplotlib import rc_context, rcdefaults, rcParams

    with rc_context():
        rcdefaults()
        rcParams.update(STYLE)
        yield


@contextmanager
def sheet(height: float) -> Iterator[Figure]:
    """A figure 8 inches wide, in inches so high; draw inside the `with`."""
    with own_style():
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8.0, height))
        FigureCanvasAgg(figure)
        yield figure


def _import_matplotlib() -> None:
    """Import it whatever MPLBACKEND names.

    matplotlib cannot be imported with a backend that is not installed, such as a notebook's in a
    process that the notebook starts. One that is installed is the user's after this, too.
    """
    backend = None if "matplotlib" in sys.modules else os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib as mpl
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend:
        with suppress(ValueError):
            mpl.rcParams["backend"] = backend


def drawing(make: Callable[[], Figure]) -> Drawing:
    """Both files of the figure that `make` returns."""
    return Drawing(*saved(make, "png", "svg"))


def saved(make: Callable[[], Figure], *kinds: str) -> list[bytes]:
    """The figure that `make` returns as files of these kinds, `png` or `svg`, laid out once for all
    of them.

    They name no time, and ids follow from the content. Labels are text and never maths, whatever
    names they hold; a character that the font lacks is a box, and labels that leave no room
    overlap.
    """
    with own_style(), any_text():
        figure = make()
        shown = _laid_out(figure)
        return [_file(figure, kind, shown) for kind in kinds]


def _laid_out(figure: Figure) -> BboxBase:
    """Give everything its final place; returns what is not empty margin, in inches."""
    figure.set_dpi(_DPI)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure.get_tightbbox().padded(_MARGIN)


def _file(figure: Figure, kind: str, shown: BboxBase) -> bytes:
    file = BytesIO()
    figure.savefig(file, format=kind, dpi=_DPI, bbox_inches=shown, metadata=_METADATA[kind])
    return file.getvalue()


@contextmanager
def any_text() -> Iterator[None]:
    """Text is drawn without a warning of signs that the font lacks or of names that are long."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from|constrained_layout not applied")
        yield


def shade(
    axes: Axes,
    bounds: Sequence[tuple[float, float]],
    labels: Sequence[str],
    *,
    size: float,
    above: float,
) -> None:
    """Alternate the ground of the stages that lie between `bounds`, and write their labels above
    the axes, at a font's `size` and so many points `above`."""
    for number, ((start, end), label) in enumerate(zip(bounds, labels, strict=True)):
        axes.axvspan(start, end, color="#eef1f5" if number % 2 else "#f9fafb", zorder=-2, lw=0)
        if number:
            axes.axvline(start, color="#888888", lw=0.8, zorder=-1)
        axes.annotate(
            label,
            xy=((start + end) / 2, 1),
            xytext=(0, above),
            xycoords=axes.get_xaxis_transform(),
            textcoords="offset points",
            ha="center",
            fontsize=size,
            color="#444444",
        )


def percent(axes: Axes) -> None:
    """Make the vertical axis one of accuracies."""
    from matplotlib.ticker import PercentFormatter

    axes.set_ylim(-0.02, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
