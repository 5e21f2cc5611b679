"""Figure files of a board that show learning: curves, matrices, divergence, sample efficiency."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from cl_bench.metrics.arrays import Array
from cl_bench.metrics.quantities import NATS, SHARE
from cl_bench.report.blocks.drawings import heat, in_percent, percent, shade
from cl_bench.report.blocks.look import Look, named
from cl_bench.report.page.bands import Band, Drawn
from cl_bench.report.page.board_record import MOST_SEEDS, DrawnBoard
from cl_bench.report.page.sheets import (
    curve,
    dashes,
    label_height,
    legend,
    sheet,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_AXES = {"samples_E": "training samples (RL rollouts)", "rollouts_E": "all rollouts"}
_WIDE = 20
"""Divergences that span more than this factor have a logarithmic axis, here as on the page."""

_NAME = 14
"""Characters of a line of a domain's name beside a matrix."""
_MOST_MATRICES = 6
"""Learners whose matrices are drawn, the best ones."""
_CLIPPED, _BEYOND = 0.95, 2.0
"""Where the largest divergence is over so many times this quantile of all, colours end there, here
as on the page."""


def accuracy(board: DrawnBoard) -> Figure:
    """Accuracy on every domain over the run."""
    seen = board.seen
    domains = list(dict.fromkeys(domain for domain, _ in board.stages))
    total = sum(steps for _, steps in board.stages)
    ends = accumulate((steps / total for _, steps in board.stages), initial=0.0)
    bounds = list(pairwise(ends))
    across = min(len(domains), 2)
    down = -(-len(domains) // across)
    with sheet(down, across, 0.7 + 2.4 * down, sharex=True, sharey=True) as (figure, panels):
        for place, (axes, domain) in enumerate(zip(panels.flat, domains, strict=False)):
            shade(axes, bounds, [named(each) for each, _ in board.stages], size=7, above=3)
            for _, look, drawn in seen:
                curve(axes, look, drawn.share_E, drawn.accuracy[domain], rows=len(seen))
            axes.set_title(f"accuracy on {named(domain)}", pad=14)
            in_percent(axes.xaxis)
            percent(axes)
            if place + across >= len(domains):  # no panel below it
                axes.set_xlabel("share of the training")
                axes.tick_params(labelbottom=True)
            if place % across == 0:
                axes.set_ylabel("accuracy on test problems")
        for axes in panels.flat[len(domains) :]:
            axes.remove()
        legend(figure, seen)
        return figure


def matrices(board: DrawnBoard) -> Figure:
    """R and KL at the start and after every stage, of the best learners."""
    seen = board.seen[:_MOST_MATRICES]
    names = [domain for domain, _ in board.stages]
    ends = [_at_ends(drawn, names) for _, _, drawn in seen]
    furthest, clipped = _top(np.concatenate([kl.ravel() for _, kl in ends]))
    title = label_height(name for name, _, _ in seen)
    height = 0.4 + len(seen) * (0.45 + title + 0.2 * (len(names) + 1))
    with sheet(len(seen), 2, height) as (figure, panels):
        for (name, _, _), (known, kl), (left, right) in zip(seen, ends, panels, strict=True):
            heat(left, known, colours="Blues", top=1.0, write=SHARE.number, size=7)
            heat(right, kl, colours="Oranges", top=furthest, write=NATS.number, size=7)
            for axes in (left, right):
                _name_cells(axes, names, len(known))
            left.set_title(f"{wrapped(name)}\nR, accuracy in %", loc="left")
            right.set_title(f"KL(policy ‖ base), nats/token{clipped}", loc="left")
            right.set_yticks([])
        return figure


def _top(value_N: np.ndarray) -> tuple[float, str]:
    """The divergence with the darkest colour, and words on it where it is not the largest."""
    known = np.sort(value_N[np.isfinite(value_N)])
    if not len(known) or known[-1] <= 0:
        return 1.0, ""
    high = float(known[int(np.ceil(_CLIPPED * len(known))) - 1])
    if high <= 0 or known[-1] <= _BEYOND * high:
        return float(known[-1]), ""
    return high, f"; colours end at {NATS.number(high)}"


def divergence(board: DrawnBoard) -> Figure:
    """Average accuracy against KL, joined in time."""
    seen = board.seen
    every = np.concatenate([_up_to(drawn.divergence) for _, _, drawn in seen])
    label = "KL(policy ‖ base), nats per token; ring: start, large marker: end, with 95 % intervals"
    with sheet(1, 1, 3.9) as (figure, ((axes,),)):
        floor = kl_axis(axes, every, label)
        for _, look, drawn in seen:
            kl, known = np.maximum(drawn.divergence.mean_P, floor), drawn.average.mean_P
            style: Any = {"color": look.colour, "marker": look.marker}
            axes.plot(kl, known, ms=3, lw=1.3, ls=dashes(look), **style)
            axes.plot(kl[:1], known[:1], color=look.colour, marker="o", ms=8, mfc="white")
            axes.plot(kl[-1:], known[-1:], ms=9, **style)
            _end_intervals(axes, look, drawn, floor)
        axes.set_ylabel("average accuracy")
        percent(axes)
        legend(figure, seen)
        return figure


def _up_to(band: Band) -> Array:
    """The means, and how far the interval of the last one goes."""
    return band.mean_P if band.high_P is None else np.append(band.mean_P, band.high_P[-1])


def _end_intervals(axes: Axes, look: Look, drawn: Drawn, floor: float) -> None:
    """The intervals over seeds of the last point, in both directions."""
    kl, known = drawn.divergence, drawn.average
    if kl.low_P is None or kl.high_P is None or known.low_P is None or known.high_P is None:
        return
    ends = np.maximum([kl.low_P[-1], kl.high_P[-1]], floor)
    style: Any = {"color": look.colour, "lw": 0.8, "alpha": 0.4}
    axes.plot(ends, known.mean_P[[-1, -1]], **style)
    axes.plot(np.maximum(kl.mean_P[[-1, -1]], floor), [known.low_P[-1], known.high_P[-1]], **style)


def kl_axis(axes: Axes, value_P: np.ndarray, label: str) -> float:
    """The axis of these divergences; where it begins, which is where 0 is drawn."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    known = value_P[value_P > 0]
    if not len(known) or known.max() < _WIDE * known.min():
        axes.set_xlabel(label)
        axes.set_xlim(0, 1.05 * float(known.max(initial=1e-4)))
        return 0.0
    floor = float(10 ** np.floor(np.log10(known.min())))
    axes.set_xscale("log")
    axes.set_xlim(0.9 * floor, 1.3 * float(known.max()))
    axes.xaxis.set_major_locator(LogLocator(numticks=12))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{'≤ ' if value <= 1.01 * floor else ''}{value:g}")
    )
    axes.set_xlabel(f"{label}; logarithmic")
    return floor


def efficiency(board: DrawnBoard) -> Figure:
    """Average accuracy over what was spent, and the levels at which learners are matched."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    seen = board.seen
    reference = None if board.reference is None else board.rows[board.reference]
    levels = np.array([]) if reference is None else reference.best_S
    with sheet(1, 2, 3.4, sharey=True) as (figure, ((left, right),)):
        for axes, (axis, title) in zip((left, right), _AXES.items(), strict=True):
            for _, look, drawn in seen:
                spent = getattr(drawn, axis)
                if spent[-1] > 0:
                    curve(axes, look, spent, drawn.average, rows=len(seen))
            axes.set_xlabel(title)
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.set_xlim(left=0)
            percent(axes)
            _levels(axes, levels[np.isfinite(levels)])
        left.set_ylabel("average accuracy")
        legend(figure, seen, _level_handle() if np.isfinite(levels).any() else ())
        return figure


def _levels(axes: Axes, level_S: np.ndarray) -> None:
    """From the lowest to the highest level, and a tick at the right edge for every seed."""
    if not len(level_S):
        return
    axes.axhspan(level_S.min(), level_S.max(), color="#333333", alpha=0.1, lw=0)
    for end in (level_S.min(), level_S.max()):
        axes.axhline(end, color="#333333", ls="--", lw=0.8)
    for level in level_S if len(level_S) <= MOST_SEEDS else ():
        axes.axhline(level, 0.975, 1.0, color="#333333", lw=1.4)


def _level_handle() -> Sequence[Any]:
    from matplotlib.lines import Line2D

    words = wrapped("best of the reference, lowest to highest seed (ticks: seeds)")
    return [Line2D([], [], color="#333333", ls="--", lw=0.8, label=words)]


def _at_ends(drawn: Drawn, names: Sequence[str]) -> tuple[Any, Any]:
    """Accuracy and KL at the start and every stage's end, shape (T+1, T)."""
    places = np.flatnonzero(drawn.end_E)
    return (
        np.array([drawn.accuracy[name].mean_P[places] for name in names]).T,
        np.array([drawn.kl[name].mean_P[places] for name in names]).T,
    )


def _name_cells(axes: Axes, names: Sequence[str], rows: int) -> None:
    """Names below the columns of a matrix and beside its rows."""
    shown = [fill(named(name), _NAME) for name in names]
    axes.set_xticks(range(len(shown)), shown)
    after = ["base", *(f"{place} {name}" for place, name in enumerate(shown, 1))]
    axes.set_yticks(range(rows), after[:rows])
