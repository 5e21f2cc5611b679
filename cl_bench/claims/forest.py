"""The forest plot: every statement that decides a claim on one sheet, with what it is held against.

Differences and ratios have a panel each. A row is a statement: its mean and interval, the null
value, the least effect worth claiming, and the verdict as a mark and a word. In a narrow style
names and numbers stand above the intervals, not beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from textwrap import fill
from typing import TYPE_CHECKING, Any

from cl_bench.claims import wording
from cl_bench.claims.claim import JudgedClaim, JudgedStatement
from cl_bench.claims.rule import ClaimVerdict
from cl_bench.metrics.quantities import NATS, NOTHING, POINTS, RATIO, Quantity
from cl_bench.metrics.stats.student import Interval
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.drawings import Drawing, drawing, sheet, style, styled

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FOREST, NARROW = "forest", "forest-narrow"
"""Names among a page's drawings: for a screen, and for a telephone."""
_DARK, _QUIET = "#222222", "#666666"
_DOTS = (0, (2, 2))
_LOOKS: Mapping[ClaimVerdict, tuple[str, Mapping[str, str]]] = {
    ClaimVerdict.REPRODUCED: ("#00795A", {"marker": "o", "mfc": "#00795A"}),
    ClaimVerdict.INCONCLUSIVE: ("#555555", {"marker": "o", "mfc": "white"}),
    ClaimVerdict.NOT_REPRODUCED: ("#B84700", {"marker": "s", "mfc": "#B84700"}),
}
"""A disc, a ring and a square, which a copy without colours keeps apart."""
_SCALES: Mapping[str, tuple[Quantity, str, float]] = {
    "accuracy": (POINTS, "Differences, in points", 100.0),
    "nats": (NATS, "Differences, in nats per token", 1.0),
    "ratio": (RATIO, "Ratios, on a logarithmic scale", 1.0),
}
"""By a statement's scale: its unit, the title of its panel, and how many of the axis are one."""
_LINES = {False: 40, True: 54}
"""Characters of a line of a name, beside its interval and, in a narrow style, above it."""
_SIDES = (2.9, 1.95)
"""Inches of the columns left and right of the intervals, where the sheet is 8 inches wide."""
_LINE = 1.45
"""Of a line of text, in sizes of the font."""


def draw_forest(judged: Sequence[JudgedClaim]) -> dict[str, Drawing]:
    """The plot by its names, for a screen and for a telephone; none without statements."""
    if not any(one.primary for one in judged):
        return {}
    make = partial(forest, judged)
    with styled("one-column"):
        narrow = drawing(make)
    return {FOREST: drawing(make), NARROW: Drawing(narrow.png, narrow.svg)}


@dataclass(frozen=True)
class _Row:
    """A statement, its name in lines, and where it stands, in inches from the top of its panel."""

    each: JudgedStatement
    name: str
    top: float
    height: float


def forest(judged: Sequence[JudgedClaim]) -> Figure:
    """The figure, in the style in which figures are drawn."""
    every = [each for one in judged for each in one.primary]
    by_scale = {
        scale: _rows(found)
        for scale in _SCALES
        if (found := [each for each in every if each.statement.scale == scale])
    }
    now = style()
    line = _LINE * now.font / 72
    left, right = (0.06, 0.06) if now.narrow else (side * now.width / 8 for side in _SIDES)
    head, foot = 2 * line, (4.2 if now.narrow else 2) * line
    panels = [(scale, rows, rows[-1].top + rows[-1].height) for scale, rows in by_scale.items()]
    total = sum(head + height + 2.2 * line for *_, height in panels) + foot
    with sheet(total) as figure:
        figure.set_layout_engine("none")
        top = total
        for scale, rows, height in panels:
            top -= head + height
            place = (left / now.width, top / total)
            size = ((now.width - left - right) / now.width, height / total)
            axes = figure.add_axes((*place, *size))
            _panel(axes, scale, rows, left)
            top -= 2.2 * line
        handles = list(_handles({each.judgement.verdict for each in every}))
        columns = 2 if now.narrow else len(handles)
        figure.legend(handles=handles, loc="lower center", ncols=columns, columnspacing=1.4)
        return figure


def _rows(found: Sequence[JudgedStatement]) -> list[_Row]:
    """The rows of a panel, from the top."""
    narrow, line = style().narrow, _LINE * style().font / 72
    rows: list[_Row] = []
    for each in found:
        name = fill(
            f"{each.statement.id}  {each.short}", _LINES[narrow], subsequent_indent="      "
        )
        lines = 1 + name.count("\n")
        height = (lines + 2.4) * line if narrow else 2.3 * line
        rows.append(_Row(each, name, rows[-1].top + rows[-1].height if rows else 0.0, height))
    return rows


def _panel(axes: Axes, scale: str, rows: Sequence[_Row], left: float) -> None:
    _, title, factor = _SCALES[scale]
    narrow, line = style().narrow, _LINE * style().font / 72
    width = axes.get_position().width * style().width
    names_at = 0.0 if narrow else (0.06 - left) / width
    axes.set_ylim(rows[-1].top + rows[-1].height, 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    _limits(axes, scale, [row.each for row in rows])
    above: Any = {"transform": axes.get_yaxis_transform(), "va": "center"}
    axes.text(names_at, -0.8 * line, title, weight="bold", size=1.1 * style().font, **above)
    axes.text(1, -0.8 * line, "as claimed →", ha="right", color=_QUIET, **above)
    claims = list(dict.fromkeys(row.each.statement.id[:-1] for row in rows))
    for row in rows:
        if claims.index(row.each.statement.id[:-1]) % 2 == 0:
            axes.axhspan(row.top, row.top + row.height, color="#f3f5f8", lw=0, zorder=-2)
        _bounds(axes, row, factor)
        middle = row.top + row.height / 2
        _interval(axes, row.each, row.top + row.height - 0.65 * line if narrow else middle, factor)
        colour, _ = _LOOKS[row.each.judgement.verdict]
        verdict: Any = {"color": colour, "weight": "bold", **above}
        if narrow:
            said = row.top + row.height - 1.75 * line
            axes.text(0, row.top + 0.15 * line, row.name, **{**above, "va": "top"})
            axes.text(0, said, _verdict(row.each), **verdict)
            axes.text(1, said, _value(row.each), ha="right", **above)
        else:
            axes.text(names_at, middle, row.name, linespacing=1.25, **above)
            axes.text(1 + 0.12 / width, middle - 0.5 * line, _value(row.each), **above)
            axes.text(1 + 0.12 / width, middle + 0.5 * line, _verdict(row.each), **verdict)


def _bounds(axes: Axes, row: _Row, factor: float) -> None:
    """The null value, and the least effect worth claiming."""
    statement = row.each.statement
    foot = row.top + row.height
    above = 1.3 * _LINE * style().font / 72 if style().narrow else row.height
    ends = (foot - above, foot)  # where names stand above intervals, below the names
    axes.vlines(factor * statement.null, *ends, color=_DARK, lw=1.1, zorder=1)
    if statement.margin != statement.null:
        axes.vlines(factor * statement.margin, *ends, color=_QUIET, lw=1.1, ls=_DOTS, zorder=1)


def _interval(axes: Axes, each: JudgedStatement, place: float, factor: float) -> None:
    estimate = wording.as_shown(each.statement, each.judgement.estimate)
    if isinstance(estimate, Undefined):
        return
    colour, look = _LOOKS[each.judgement.verdict]
    if isinstance(estimate.interval, Interval):
        ends = (factor * estimate.interval.low, factor * estimate.interval.high)
        axes.hlines(place, *ends, color=colour, lw=1.3 * style().line, zorder=2)
    mark: Any = {"color": colour, "ls": "none", "zorder": 3, **_mark(look)}
    axes.plot(factor * estimate.value, place, **mark)


def _mark(look: Mapping[str, str]) -> dict[str, Any]:
    """A verdict's mark, as large as the style's markers want it."""
    return {**look, "ms": 1.55 * style().marker, "mew": 0.95 * style().line}


def _value(each: JudgedStatement) -> str:
    estimate = each.judgement.estimate
    if isinstance(estimate, Undefined):
        return f"{NOTHING} no value"
    return wording.of_statement(each.statement, estimate)


def _verdict(each: JudgedStatement) -> str:
    mark = wording.marked(each.judgement.verdict)
    return f"{mark.sign} {mark.text}"


def _limits(axes: Axes, scale: str, rows: Sequence[JudgedStatement]) -> None:
    """An axis that holds all means, ends, nulls and margins."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    _, _, factor = _SCALES[scale]
    shown = [factor * value for each in rows for value in _values(each)]
    low, high = min(shown), max(shown)
    narrow = style().narrow
    if scale == "ratio":
        axes.set_xscale("log")
        axes.set_xlim(low / 1.25, high * 1.25)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 1e3 else (1,)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        return
    room = 0.05 * (high - low or 1)
    axes.set_xlim(low - room, high + room)
    axes.xaxis.set_major_locator(MaxNLocator(5 if narrow else 7))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:+g}".replace("-", "−") if value else "0")
    )


def _values(each: JudgedStatement) -> Iterator[float]:
    """Everything that a row's axis has to hold."""
    yield from (each.statement.null, each.statement.margin)
    estimate = wording.as_shown(each.statement, each.judgement.estimate)
    if not isinstance(estimate, Undefined):
        yield estimate.value
        if isinstance(estimate.interval, Interval):
            yield from (estimate.interval.low, estimate.interval.high)


def _handles(verdicts: set[ClaimVerdict]) -> Iterator[Artist]:
    from matplotlib.lines import Line2D

    for verdict, (colour, look) in _LOOKS.items():
        if verdict in verdicts:
            line = 1.3 * style().line
            yield Line2D([], [], color=colour, lw=line, label=str(verdict), **_mark(look))
    yield Line2D([], [], color=_DARK, lw=1.1, label="null value")
    yield Line2D([], [], color=_QUIET, lw=1.1, ls=_DOTS, label="least effect worth claiming")
