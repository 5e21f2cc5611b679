"""Drawing the claims' figures: one colour, marker and name for each learner, curves and bars."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from cl_bench.analysis.paired import BySeed, known
from cl_bench.claims.calibration import LEARNERS
from cl_bench.claims.measure import Trajectories, Trajectory, defined
from cl_bench.metrics import over_seeds
from cl_bench.metrics.stats.student import Interval, student_band
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks import drawings
from cl_bench.report.blocks.look import learner_look

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D


def label(learner: str) -> str:
    """The learner's name for readers."""
    return learner_look(learner).label


def called(learner: str) -> str:
    """The learner's name for readers; any other name, such as a variation's, as it is."""
    return label(learner) if learner in (*LEARNERS, "base") else learner


def place(learner: str) -> tuple[int, str]:
    """Where the learner stands among others: those of the claims first, in their order."""
    return LEARNERS.index(learner) if learner in LEARNERS else len(LEARNERS), learner


def colour(learner: str) -> str:
    """The learner's colour, the same in all figures."""
    return learner_look(learner).colour


def marker(learner: str) -> str:
    """The learner's marker, so that colour is never the only difference."""
    return learner_look(learner).marker


GREY, DARK = "#555555", "#222222"
DASHED: Any = {"dashes": (4, 2), "lw": 1.2}
_IN_A_ROW = 5
"""Entries of a legend that fit beside one another."""
_MARKERS = 12
"""About how many markers a mean has."""


@contextmanager
def sheet(rows: int, columns: int, **options: Any) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure and its panels row by row, in the suite's style; draw inside the `with`."""
    with drawings.sheet(0.6 + 2.8 * rows) as figure:
        yield figure, figure.subplots(rows, columns, squeeze=False, **options).ravel().tolist()


def panels(
    titles: Sequence[str],
    draw: Callable[[Axes, str], None],
    *,
    across: str,
    upwards: str,
    learners: Sequence[str],
    handles: Sequence[Artist],
    rows: int = 1,
    band: bool = True,
    then: Callable[[Axes], None] = lambda _axes: None,
) -> Figure:
    """A panel of learning curves for each title, drawn by `draw`, with one legend below all.

    `across` and `upwards` label the axes, `handles` are for the legend (see there), `then` is
    called with every panel once its axes are set.
    """
    columns = len(titles) // rows
    with sheet(rows, columns, sharey=True) as (figure, every):
        for axes, title in zip(every, titles, strict=True):
            axes.set_title(title)
            draw(axes, title)
        for axes in every[-columns:]:
            axes.set_xlabel(across)
        for axes in every[::columns]:
            axes.set_ylabel(upwards)
        finish(every)
        for axes in every:
            then(axes)
        legend(figure, learners, handles, band=band)
    return figure


def curves(
    axes: Axes,
    learner: str,
    seeds: Trajectories,
    *,
    dashed: bool = False,
    band: bool = True,
    counted: bool = False,
) -> Trajectory | None:
    """Draw a thin line for every seed that has one and a thick one for their mean; return it.

    A band is the 95 % interval of the mean. A dashed mean stands alone, without its seeds and band.
    Where it is `counted`, of how many seeds it is stands at the end of a mean that is not of all.
    The mean is taken over seeds at each evaluation, of both coordinates; there is none if seeds
    have different numbers of evaluations.
    """
    there = defined(seeds)
    for x_P, y_P in [] if dashed else there:
        axes.plot(x_P, y_P, color=colour(learner), lw=0.6, alpha=0.3)
    if len({len(x_P) for x_P, _ in there}) != 1:
        return None
    mean = (np.mean([x_P for x_P, _ in there], axis=0), np.mean([y for _, y in there], axis=0))
    dashes = DASHED | {"lw": 1.4} if dashed else {"marker": marker(learner)}
    axes.plot(*mean, color=colour(learner), **dashes)
    ends = student_band([y_P for _, y_P in there]) if band and not dashed else None
    if isinstance(ends, tuple):
        axes.fill_between(mean[0], *ends, color=colour(learner), alpha=0.18, lw=0)
    if counted:
        axes.lines[-1].set_markevery(max(1, len(mean[0]) // _MARKERS))
    if counted and len(there) < len(seeds):
        end = (float(mean[0][-1]), float(mean[1][-1]))
        text = f"{len(there)} of {len(seeds)}"
        axes.annotate(text, end, (4, -3), textcoords="offset points", color=colour(learner))
    return mean


def level(axes: Axes, learner: str, by_seed: BySeed, end: float) -> None:
    """A dashed line at the mean of these values, from 0 to `end`; nothing where none is known."""
    mean = over_seeds(by_seed)
    if not isinstance(mean, Undefined):
        axes.plot([0, end], [mean.value] * 2, color=colour(learner), **DASHED)


def bar_panels(panels: Mapping[str, Mapping[str, BySeed]], quantity: str) -> Figure:
    """A panel for every title: bars of the base, RL and fast-slow training."""
    with sheet(1, len(panels), sharey=True) as (figure, axes):
        for panel, (title, values) in zip(axes, panels.items(), strict=True):
            _bars(panel, {name: values[name] for name in ("base", "rl", "fst")})
            panel.set_title(title)
        axes[0].set_ylabel(quantity)
        drawings.in_percent(axes[0].yaxis)
        from_zero(axes[0])
        say_where_empty(axes)
        figure.supxlabel("mean over seeds, 95 % interval, and the seeds as dots", fontsize=8)
    return figure


def _bars(axes: Axes, values: Mapping[str, BySeed]) -> None:
    """A bar for each learner's mean, with its 95 % interval and the values of the seeds as dots.

    At a bar's foot stands how many seeds it rests on, where some have no value.
    """
    for place, (name, by_seed) in enumerate(values.items()):
        mean = over_seeds(by_seed)
        if isinstance(mean, Undefined):
            continue
        dots = known(by_seed)
        across = place + (np.linspace(-0.2, 0.2, len(dots)) if len(dots) > 1 else np.zeros(1))
        axes.bar(place, mean.value, width=0.7, color=colour(name), alpha=0.75)
        axes.plot(across, dots, "o", ms=2.8, color=DARK, alpha=0.6)
        if isinstance(mean.interval, Interval):
            axes.plot([place, place], [mean.interval.low, mean.interval.high], DARK, lw=1.4)
        if mean.seeds < mean.of_seeds:
            words: Any = {"ha": "center", "color": "white", "weight": "bold"}
            said = f"{mean.seeds} of {mean.of_seeds}"
            axes.annotate(said, (place, 0), (0, 4), textcoords="offset points", **words)
    axes.set_xticks(range(len(values)), [label(name) for name in values])
    axes.set_xlim(-0.6, len(values) - 0.4)
    axes.grid(visible=False, axis="x")


def handle(label: str, **look: Any) -> Line2D:
    """An entry of a legend for a line or marker that looks so."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **look)


def plateau() -> Line2D:
    """The entry of a legend for what `level` draws of plateaus."""
    return handle("plateau", color=GREY, **DASHED)


def legend(
    figure: Figure, learners: Sequence[str], more: Sequence[Artist] = (), *, band: bool = True
) -> None:
    """The learners' looks, `more` handles and the meaning of thin lines and of a `band`, below all
    panels."""
    from matplotlib.patches import Patch

    looks = [handle(label(name), color=colour(name), marker=marker(name)) for name in learners]
    shown = [*looks, *more, handle("single seeds", color=GREY, lw=0.6)]
    if band:
        shown.append(Patch(color=GREY, alpha=0.25, lw=0, label="95 % interval"))
    columns = len(shown) if len(shown) <= _IN_A_ROW else -(-len(shown) // 2)
    figure.legend(handles=shown, loc="outside lower center", ncols=columns)


def finish(panels: Sequence[Axes], *, percent: bool = True) -> None:
    """Set the axes of panels once all is drawn, and say in those without lines that there are no
    runs.

    Both axes begin at 0; upwards are shares in `percent`, across numbers of samples.
    """
    for axes in panels:
        axes.set_xlim(left=0)
        from_zero(axes, percent=percent)
        if percent:
            drawings.in_percent(axes.yaxis)
        if axes.lines:
            in_samples(axes)
        else:
            axes.set_xticks([])
    say_where_empty(panels)


def from_zero(axes: Axes, *, percent: bool = True) -> None:
    """Let the axis upwards begin at 0, and end at 100 % at most, where intervals may go beyond."""
    _, top = axes.get_ylim()
    axes.set_ylim(0, min(top, 1.04) if percent else top)


def say_where_empty(panels: Sequence[Axes]) -> None:
    """Write into every panel without lines that there are no runs."""
    for axes in panels:
        if not axes.lines:
            axes.text(0.5, 0.5, "no runs", transform=axes.transAxes, ha="center", color="#777777")


def in_samples(axes: Axes) -> None:
    """Show whole numbers across, at four places at most."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_major_locator(MaxNLocator(4))


def logarithmic(axes: Axes, linear: float, numbers: str) -> None:
    """Make the axis across logarithmic beyond the value `linear`, with `numbers` in this format."""
    axes.set_xscale("symlog", linthresh=linear, linscale=0.4)
    axes.xaxis.set_major_formatter(numbers)
    axes.set_xlim(left=0)
