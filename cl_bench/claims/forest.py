"""The forest plot: every statement that decides a claim on one sheet, with what it is held against.

Differences and ratios have a panel each. A row is a statement: its mean and interval, the value
without an effect, the least effect worth claiming, and the verdict as a mark and a word. In a
narrow style names and numbers stand above the intervals, not beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from textwrap import fill
from typing import TYPE_CHECKING, Any

from cl_bench.claims import wording
from cl_bench.claims.claim import JudgedClaim, JudgedStatement
from cl_bench.claims.rule import ClaimVerdict
from cl_bench.metrics.quantities import NATS, NOTHING, POINTS, RATIO, Quantity
from cl_bench.metrics.stats.student import Interval
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.drawings import Drawing, drawing, legend, sheet, style, styled

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FOREST, NARROW = "forest", "forest-narrow"
"""Names among a page's drawings: for a screen, and for a telephone."""
_DARK, _QUIET = "#222222", "#666666"
_LOOKS: Mapping[ClaimVerdict, tuple[str, dict[str, Any]]] = {
    ClaimVerdict.REPRODUCED: ("#0072B2", {"marker": "o", "mfc": "#0072B2", "ms": 7}),
    ClaimVerdict.INCONCLUSIVE: ("#555555", {"marker": "o", "mfc": "white", "ms": 7}),
    ClaimVerdict.NOT_REPRODUCED: ("#C04A00", {"marker": "X", "mfc": "#C04A00", "ms": 8}),
}
"""A disc, a ring and a cross, which a copy without colours keeps apart."""
_SCALES: Mapping[str, tuple[Quantity, str, float]] = {
    "accuracy": (POINTS, "Differences, in points", 100.0),
    "nats": (NATS, "Differences, in nats per token", 1.0),
    "ratio": (RATIO, "Ratios, on a logarithmic scale", 1.0),
}
"""By a statement's scale: its unit, the title of its panel, and how many of the axis are one."""
_LINE = 40
"""Characters of a line of a name beside its interval."""
_ROW, _NARROW_ROW = 0.37, 0.5
"""Inches."""
_HEAD = 0.75
"""Inches of a panel's title and axis."""


def draw_forest(judged: Sequence[JudgedClaim]) -> dict[str, Drawing]:
    """The plot by its names, for a screen and for a telephone; none without statements."""
    if not any(one.primary for one in judged):
        return {}
    make = partial(forest, judged)
    with styled("one-column"):
        narrow = drawing(make)
    return {FOREST: drawing(make), NARROW: Drawing(narrow.png, narrow.svg)}


def forest(judged: Sequence[JudgedClaim]) -> Figure:
    """The figure, in the style in which figures are drawn."""
    every = [each for one in judged for each in one.primary]
    by_scale = {
        scale: found
        for scale in _SCALES
        if (found := [each for each in every if each.statement.scale == scale])
    }
    row = _NARROW_ROW if style().narrow else _ROW
    heights = [_HEAD + row * len(found) for found in by_scale.values()]
    with sheet(sum(heights)) as figure:
        ratios: Any = {"height_ratios": [len(found) for found in by_scale.values()]}
        panels = figure.subplots(len(heights), 1, squeeze=False, gridspec_kw=ratios)
        for axes, (scale, found) in zip(panels.ravel(), by_scale.items(), strict=True):
            _panel(axes, scale, found)
        legend(figure, list(_handles({each.judgement.verdict for each in every})))
        return figure


def _panel(axes: Axes, scale: str, rows: Sequence[JudgedStatement]) -> None:
    _, title, factor = _SCALES[scale]
    axes.set_title(title, loc="left", fontweight="bold", pad=16)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_yticks([])
    _limits(axes, scale, rows)
    claims = list(dict.fromkeys(each.statement.id[:-1] for each in rows))
    for place, each in enumerate(rows):
        if claims.index(each.statement.id[:-1]) % 2 == 0:
            axes.axhspan(place - 0.5, place + 0.5, color="#f3f5f8", lw=0, zorder=-2)
        _bounds(axes, each, place, factor)
        _interval(axes, each, place, factor)
    if style().narrow:
        for place, each in enumerate(rows):
            _words_above(axes, each, place)
    else:
        names = [f"{e.statement.id}  " + fill(e.short, _LINE).replace("\n", "\n      ") for e in rows]
        axes.set_yticks(range(len(rows)), names, ha="left")
        axes.tick_params(axis="y", pad=3.0 * style().font * _LINE / 6.2)
        for place, each in enumerate(rows):
            _words_beside(axes, each, place)
    null = factor * rows[0].statement.null
    at: Any = {"xycoords": axes.get_xaxis_transform(), "textcoords": "offset points"}
    for words, side, shift in (("← against the claim", "right", -4), ("as claimed →", "left", 4)):
        axes.annotate(words, (null, 1), (shift, 3), ha=side, color=_QUIET, **at)


def _bounds(axes: Axes, each: JudgedStatement, place: int, factor: float) -> None:
    """The value without an effect, and the least effect worth claiming."""
    low, high = place - 0.5, place + 0.5
    axes.vlines(factor * each.statement.null, low, high, color=_DARK, lw=1.1, zorder=1)
    if each.statement.margin != each.statement.null:
        margin = factor * each.statement.margin
        axes.vlines(margin, low, high, color=_QUIET, lw=1.1, ls=(0, (2, 2)), zorder=1)


def _interval(axes: Axes, each: JudgedStatement, place: float, factor: float) -> None:
    estimate = wording.as_shown(each.statement, each.judgement.estimate)
    if isinstance(estimate, Undefined):
        return
    colour, look = _LOOKS[each.judgement.verdict]
    shown = place + (0.22 if style().narrow else 0)
    if isinstance(estimate.interval, Interval):
        ends = (factor * estimate.interval.low, factor * estimate.interval.high)
        axes.hlines(shown, *ends, color=colour, lw=2.2, zorder=2)
    axes.plot(factor * estimate.value, shown, color=colour, mew=1.6, ls="none", zorder=3, **look)


def _words_beside(axes: Axes, each: JudgedStatement, place: float) -> None:
    """The numbers and the verdict, in columns right of the panel."""
    colour, _ = _LOOKS[each.judgement.verdict]
    at: Any = {"transform": axes.get_yaxis_transform(), "va": "center"}
    axes.text(1.02, place - 0.2, _value(each), color=_DARK, **at)
    said = _verdict(each.judgement.verdict)
    axes.text(1.02, place + 0.22, said, color=colour, fontweight="bold", **at)


def _words_above(axes: Axes, each: JudgedStatement, place: float) -> None:
    """The name, and below it verdict and numbers, above an interval."""
    colour, _ = _LOOKS[each.judgement.verdict]
    at: Any = {"transform": axes.get_yaxis_transform(), "va": "center"}
    axes.text(0, place - 0.34, f"{each.statement.id}  {each.short}", color=_DARK, **at)
    axes.text(0, place - 0.09, _verdict(each.judgement.verdict), color=colour, weight="bold", **at)
    axes.text(1, place - 0.09, _value(each), color=_DARK, ha="right", **at)


def _value(each: JudgedStatement) -> str:
    estimate = each.judgement.estimate
    if isinstance(estimate, Undefined):
        return f"{NOTHING} no value"
    return wording.of_statement(each.statement, estimate)


def _verdict(verdict: ClaimVerdict) -> str:
    mark = wording.marked(verdict)
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
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+g}".replace("-", "−")))


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
            yield Line2D([], [], color=colour, lw=2.2, mew=1.6, label=verdict, **look)
    yield Line2D([], [], color=_DARK, lw=1.1, label="no effect")
    yield Line2D([], [], color=_QUIET, lw=1.1, ls=(0, (2, 2)), label="least effect worth claiming")
