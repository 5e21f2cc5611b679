"""Figures: the styles that all of them share, and files with the same bytes for the same data.

A figure is drawn for the screen or, with `styled`, for a column of a paper. matplotlib is imported
when a figure is drawn, and what the user's own settings of it say (a backend of a notebook, LaTeX,
fonts) holds for no figure of the suite.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from io import BytesIO
from textwrap import fill
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from cl_bench.contract.errors import unknown
from cl_bench.metrics.arrays import Array

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.transforms import BboxBase

KINDS = ("png", "svg", "pdf")
_METADATA: Mapping[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}
_MARGIN = 0.1
"""Inches around what is drawn for the screen."""


@dataclass(frozen=True)
class FigureStyle:
    """How wide figures are, in inches, and the size of their text, lines and dots."""

    width: float
    font: float
    """Points; no text is smaller than 7."""
    line: float
    marker: float
    dpi: int
    """Of PNG files."""
    exact: bool = True
    """Whether files are as wide as the style says, as a column wants it, or as what is drawn."""

    @property
    def narrow(self) -> bool:
        """Whether panels stand below one another, not side by side."""
        return self.width < 5


SCREEN = "screen"
STYLES: Mapping[str, FigureStyle] = MappingProxyType(
    {
        SCREEN: FigureStyle(8.0, 9.0, 1.7, 4.5, dpi=150, exact=False),
        "one-column": FigureStyle(3.25, 7.0, 1.2, 3.2, dpi=300),
        "two-column": FigureStyle(6.75, 8.0, 1.4, 3.8, dpi=300),
    }
)
"""By name: for the screen, and for one or both columns of a paper, of which 3.25 and 6.75 inches
fit the usual ones."""
_CHOSEN: ContextVar[FigureStyle] = ContextVar("figure style", default=STYLES[SCREEN])
_SHARED: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "figure.dpi": 150,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # TrueType: Type 3, the default, is refused by publishers
    "svg.hashsalt": "cl-bench",
    "text.parse_math": False,
}
"""Settings of matplotlib under which every figure of the suite is drawn, whatever its style; those
that neither names are its defaults."""


@dataclass(frozen=True)
class Drawing:
    """One figure as files, by the kind of each."""

    png: bytes
    svg: bytes
    pdf: bytes = b""
    """Empty on the screen."""

    @property
    def files(self) -> Mapping[str, bytes]:
        """What is written of it, by kind."""
        files = {"png": self.png, "svg": self.svg, "pdf": self.pdf}
        return {kind: content for kind, content in files.items() if content}


def require_style(name: str) -> FigureStyle:
    """The style of this name; `UsageError` if there is none."""
    if name not in STYLES:
        raise unknown("figure style", name, STYLES)
    return STYLES[name]


@contextmanager
def styled(name: str) -> Iterator[None]:
    """Inside, figures are drawn in this style, and not for the screen."""
    token = _CHOSEN.set(require_style(name))
    try:
        yield
    finally:
        _CHOSEN.reset(token)


def style() -> FigureStyle:
    """The style in which figures are drawn."""
    return _CHOSEN.get()


@contextmanager
def own_style() -> Iterator[None]:
    """Inside, matplotlib is imported and has the settings of the suite alone."""
    _import_matplotlib()
    from matplotlib import rc_context, rcdefaults, rcParams

    now = style()
    with rc_context():
        rcdefaults()
        rcParams.update(_SHARED)
        rcParams["font.size"], rcParams["axes.titlesize"] = now.font, round(now.font * 10 / 9, 1)
        rcParams["lines.linewidth"], rcParams["lines.markersize"] = now.line, now.marker
        yield


@contextmanager
def sheet(height: float) -> Iterator[Figure]:
    """A figure as wide as its style, in inches so high; draw inside the `with`."""
    with own_style():
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(style().width, height))
        FigureCanvasAgg(figure)
        yield figure


NARROW_HEIGHT = 0.62
"""Of a panel in a narrow style, as a part of its height elsewhere."""


@contextmanager
def panels(rows: int, columns: int, height: float, **options: Any) -> Iterator[tuple[Figure, Any]]:
    """A figure with so many rows of panels, each in inches so high, and the panels in an array of
    shape (rows, columns). In a narrow style they all stand below one another."""
    down, across = (rows * columns, 1) if style().narrow else (rows, columns)
    scale = NARROW_HEIGHT if style().narrow else 1.0
    with sheet(scale * height * down) as figure:
        found = figure.subplots(down, across, squeeze=False, **options)
        yield figure, found.reshape(rows, columns)


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
    """The files of the figure that `make` returns: for a column of a paper, a PDF as well."""
    return Drawing(*saved(make, *(KINDS if style().exact else KINDS[:2])))


def saved(make: Callable[[], Figure], *kinds: str) -> list[bytes]:
    """The figure that `make` returns as files of these `KINDS`, laid out once for all of them.

    They name no time, and ids follow from the content. Labels are text and never maths, whatever
    names they hold; a character that the font lacks is a box, and labels that leave no room
    overlap.
    """
    with own_style(), any_text():
        figure = make()
        shown = _laid_out(figure)
        return [_file(figure, kind, shown) for kind in kinds]


def _laid_out(figure: Figure) -> BboxBase | None:
    """Give everything its final place; returns what is not empty margin, in inches, if the style is
    as wide as that."""
    figure.set_dpi(style().dpi)
    for axes in figure.axes if style().exact else ():
        axes.set_xlabel(fill(axes.get_xlabel(), int(fitting(_LABEL))))
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return None if style().exact else figure.get_tightbbox().padded(_MARGIN)


def _file(figure: Figure, kind: str, shown: BboxBase | None) -> bytes:
    file = BytesIO()
    figure.savefig(file, format=kind, dpi=style().dpi, bbox_inches=shown, metadata=_METADATA[kind])
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


def fitting(characters: float) -> float:
    """How many characters have as much room as so many on the screen."""
    screen = STYLES[SCREEN]
    return characters * style().width / screen.width * screen.font / style().font


_LEGEND, _LABEL = 117, 96
"""Characters that stand side by side on the screen, in a legend and below a panel."""
_ENTRY, _MOST = 6, 7
"""Characters that the picture of an entry takes, and the most entries in a row."""


def legend(figure: Figure, handles: Sequence[Artist]) -> None:
    """A legend below all panels, in as many rows as it needs; the sheet grows by what it takes."""
    longest = max(len(line) for each in handles for line in str(each.get_label()).splitlines())
    columns = max(1, min(len(handles), _MOST, int(fitting(_LEGEND) // (longest + _ENTRY))))
    rows = -(-len(handles) // columns)
    made = figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=-(-len(handles) // rows),
        columnspacing=1.3,
        handlelength=1.9,
    )
    with any_text():
        taken = made.get_window_extent().height / figure.dpi
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + taken)


def heat(
    axes: Axes,
    matrix: Array,
    *,
    colours: str,
    top: float,
    write: Callable[[float], str] | None,
    size: float | None = None,
) -> None:
    """A matrix as coloured cells, light at 0 and darkest from `top` on, with its numbers as `write`
    has them, if it is given, in points of `size`; nothing where there is none."""
    axes.imshow(matrix, cmap=colours, vmin=0, vmax=top, aspect="auto")
    for row, column in np.ndindex(matrix.shape):
        value = float(matrix[row, column])
        if write is not None and np.isfinite(value):
            ink = "white" if value > 0.62 * top else "black"
            placed: Any = {"ha": "center", "va": "center", "color": ink, "fontsize": size}
            axes.text(column, row, write(value), **placed)
    axes.grid(visible=False)


def percent(axes: Axes) -> None:
    """Make the vertical axis one of accuracies."""
    axes.set_ylim(-0.02, 1.02)
    in_percent(axes.yaxis)


def in_percent(axis: Axis) -> None:
    """Write shares in percent."""
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
