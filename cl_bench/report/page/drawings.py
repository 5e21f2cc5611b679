"""The figures of boards as PNG and SVG files, for the Markdown twin and for papers.

They draw what the page's script draws, in the same colours; matplotlib is imported when a figure
is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from cl_bench.pages.drawings import Drawing, drawing
from cl_bench.pages.look import PALETTE, Look
from cl_bench.report.page.bands import GAINS, Band, Drawn
from cl_bench.report.page.board_record import DrawnBoard, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Seen = Sequence[tuple[str, Look, Drawn]]
"""Label, look and curves of the rows that have finished runs."""
_AXES = {"samples_E": "training samples (RL rollouts)", "rollouts_E": "all rollouts"}
_GAINS = {"slow": ("weights alone", 0), "fast": ("prompt alone", 4), "joint": ("both", 2)}


def draw(boards: Iterable[DrawnBoard]) -> dict[str, Drawing]:
    """All figures by name: the board's anchor, a dot, and what it shows."""
    return {
        f"{board.anchor}.{name}": drawing(figure)
        for board in boards
        for name, figure in board_figures(board)
    }


def board_figures(board: DrawnBoard) -> Iterator[tuple[str, Figure]]:
    """The figures of one board, by name; none without finished runs."""
    seen: Seen = [
        (label(row, look), look, drawn)
        for row, look, drawn in zip(board.board.rows, board.looks, board.rows, strict=True)
        if drawn is not None
    ]
    if not seen:
        return
    yield "accuracy", _accuracy(board, seen)
    yield "matrices", _matrices(board, seen)
    yield "accuracy-against-kl", _divergence(seen)
    yield "sample-efficiency", _efficiency(board, seen)
    if any(drawn.gains is not None for _, _, drawn in seen):
        yield "channels", _channels(seen)
    yield "cost", _cost(seen)


@contextmanager
def _sheet(rows: int, columns: int, height: float, **options: Any) -> Iterator[tuple[Figure, Any]]:
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from cl_bench.report.figures import STYLE

    with rc_context(STYLE):
        figure = Figure(figsize=(8.0, height))
        FigureCanvasAgg(figure)
        yield figure, figure.subplots(rows, columns, squeeze=False, **options)


def _accuracy(board: DrawnBoard, seen: Seen) -> Figure:
    from matplotlib.ticker import PercentFormatter

    domains = list(dict.fromkeys(domain for domain, _ in board.stages))
    across = min(len(domains), 2)
    down = -(-len(domains) // across)
    with _sheet(down, across, 0.7 + 2.4 * down, sharex=True, sharey=True) as (figure, panels):
        for axes, domain in zip(panels.flat, domains, strict=False):
            _shade(axes, board.stages)
            for _, look, drawn in seen:
                _curve(axes, look, drawn.share_E, drawn.accuracy[domain])
            axes.set_title(f"accuracy on {domain}", pad=14)
            axes.set_xlabel("share of the training")
            axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
            _percent(axes)
        for axes in panels.flat[len(domains) :]:
            axes.set_visible(False)
        _legend(figure, seen)
        return figure


def _matrices(board: DrawnBoard, seen: Seen) -> Figure:
    names = [domain for domain, _ in board.stages]
    ends = {name: _at_ends(drawn, names) for name, _, drawn in seen}
    furthest = max(float(np.nanmax(kl, initial=0.0)) for _, kl in ends.values()) or 1.0
    height = 0.4 + len(seen) * (0.75 + 0.3 * (len(names) + 1))
    with _sheet(len(seen), 2, height) as (figure, panels):
        for (name, _, _), (left, right) in zip(seen, panels, strict=True):
            accuracy, kl = ends[name]
            _heat(left, accuracy, names, "Blues", 1.0, lambda value: f"{100 * value:.1f}")
            _heat(right, kl, names, "Oranges", furthest, lambda value: f"{value:.3f}")
            left.set_title(f"{name}: R, accuracy in %", loc="left")
            right.set_title("KL(policy ‖ base), nats/token", loc="left")
            right.set_yticks([])
        return figure


def _divergence(seen: Seen) -> Figure:
    with _sheet(1, 1, 3.9) as (figure, ((axes,),)):
        for _, look, drawn in seen:
            kl, accuracy = drawn.divergence.mean_P, drawn.average.mean_P
            style = {"color": look.colour, "marker": look.marker}
            axes.plot(kl, accuracy, ms=3, lw=1.3, ls="--" if look.dashed else "-", **style)
            axes.plot(kl[:1], accuracy[:1], color=look.colour, marker="o", ms=8, mfc="white")
            axes.plot(kl[-1:], accuracy[-1:], ms=9, **style)
        axes.set_xlabel("KL(policy ‖ base), nats per token; ring: start, large marker: end")
        axes.set_ylabel("average accuracy")
        axes.set_xlim(left=0)
        _percent(axes)
        _legend(figure, seen)
        return figure


def _efficiency(board: DrawnBoard, seen: Seen) -> Figure:
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    reference = None if board.reference is None else board.rows[board.reference]
    with _sheet(1, 2, 3.4, sharey=True) as (figure, ((left, right),)):
        for axes, (axis, title) in zip((left, right), _AXES.items(), strict=True):
            for _, look, drawn in seen:
                spent = getattr(drawn, axis)
                if spent[-1] > 0:
                    _curve(axes, look, spent, drawn.average)
            if reference is not None:
                axes.axhline(
                    float(np.nanmax(reference.average.mean_P)), color="#333333", ls="--", lw=1
                )
            axes.set_xlabel(title)
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.set_xlim(left=0)
            _percent(axes)
        left.set_ylabel("average accuracy")
        _legend(figure, seen, "dashed: the reference’s best" if reference is not None else "")
        return figure


def _channels(seen: Seen) -> Figure:
    known = [(name, drawn.gains) for name, _, drawn in seen if drawn.gains is not None]
    with _sheet(1, 1, 0.9 + 0.55 * len(known)) as (figure, ((axes,),)):
        for place, (_, gains) in enumerate(known):
            for number, gain in enumerate(GAINS):
                title, colour = _GAINS[gain]
                at = place + 0.22 * (number - 1)
                style = {"color": PALETTE[colour], "marker": "s^o"[number]}
                if gains.low_P is not None and gains.high_P is not None:
                    ends = [gains.low_P[number], gains.high_P[number]]
                    axes.plot(ends, [at, at], color=PALETTE[colour], lw=1.5)
                label_once = title if place == 0 else None
                axes.plot(gains.mean_P[number], at, ls="none", label=label_once, **style)
        axes.axvline(0, color="#888888", lw=0.8)
        axes.set_yticks(range(len(known)), [name for name, _ in known])
        axes.invert_yaxis()
        axes.set_xlabel("gain over the base model under the seed prompt, share of problems")
        figure.legend(loc="outside lower center", ncols=3)
        return figure


def _cost(seen: Seen) -> Figure:
    kinds = {
        "rollouts": ({"slow": "RL", "fast": "prompt optimiser"}, 1.0, "rollouts"),
        "tokens": (
            {
                "prompt_tokens": "read",
                "generated_tokens": "sampled",
                "reflection_tokens": "reflection",
            },
            1e6,
            "million tokens",
        ),
        "seconds": ({"learn": "learning", "evaluate": "evaluating"}, 60.0, "minutes"),
    }
    with _sheet(1, 3, 1.2 + 0.32 * len(seen), sharey=True) as (figure, (panels,)):
        for axes, (what, (names, unit, title)) in zip(panels, kinds.items(), strict=True):
            start = np.zeros(len(seen))
            for number, (kind, words) in enumerate(names.items()):
                amount = np.array([drawn.spent[what].get(kind, 0.0) / unit for _, _, drawn in seen])
                colour, hatch = PALETTE[(0, 4, 6)[number]], ("", "///", "...")[number]
                axes.barh(
                    range(len(seen)), amount, left=start, color=colour, hatch=hatch, label=words,
                    edgecolor="white",
                )  # fmt: skip
                start = start + amount
            axes.set_xlabel(title)
            axes.set_yticks(range(len(seen)), [name for name, _, _ in seen])
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=7)
        panels[0].invert_yaxis()
        return figure


def _curve(axes: Axes, look: Look, across: Any, band: Band) -> None:
    if band.low_P is not None and band.high_P is not None:
        axes.fill_between(across, band.low_P, band.high_P, color=look.colour, alpha=0.13, lw=0)
    for value_P in band.seeds_S_P if len(band.seeds_S_P) > 1 else ():
        axes.plot(across, value_P, color=look.colour, lw=0.5, alpha=0.35)
    every = max(1, len(across) // 12)
    axes.plot(
        across,
        band.mean_P,
        color=look.colour,
        marker=look.marker,
        markevery=every,
        ls="--" if look.dashed else "-",
    )


def _shade(axes: Axes, stages: Sequence[tuple[str, int]]) -> None:
    start, total = 0.0, sum(steps for _, steps in stages)
    for number, (domain, steps) in enumerate(stages):
        end = start + steps / total
        axes.axvspan(start, end, color="#eef1f5" if number % 2 else "#f9fafb", zorder=-2, lw=0)
        if number:
            axes.axvline(start, color="#888888", lw=0.8, zorder=-1)
        axes.annotate(
            domain,
            xy=((start + end) / 2, 1),
            xytext=(0, 3),
            xycoords=axes.get_xaxis_transform(),
            textcoords="offset points",
            ha="center",
            fontsize=7,
            color="#444444",
        )
        start = end


def _at_ends(drawn: Drawn, names: Sequence[str]) -> tuple[Any, Any]:
    """Accuracy and KL at the start and every stage's end, shape (T+1, T)."""
    places = np.flatnonzero(drawn.end_E)
    return (
        np.array([drawn.accuracy[name].mean_P[places] for name in names]).T,
        np.array([drawn.kl[name].mean_P[places] for name in names]).T,
    )


def _heat(
    axes: Axes,
    matrix: Any,
    names: Sequence[str],
    colours: str,
    top: float,
    write: Callable[[float], str],
) -> None:
    axes.imshow(matrix, cmap=colours, vmin=0, vmax=top, aspect="auto")
    for row, column in np.ndindex(matrix.shape):
        value = matrix[row, column]
        if np.isfinite(value):
            ink = "white" if value > 0.62 * top else "black"
            axes.text(column, row, write(value), ha="center", va="center", color=ink, fontsize=8)
    axes.set_xticks(range(len(names)), names)
    rows = ["base", *(f"{place} {name}" for place, name in enumerate(names, 1))]
    axes.set_yticks(range(len(matrix)), rows[: len(matrix)])
    axes.grid(visible=False)


def _percent(axes: Axes) -> None:
    from matplotlib.ticker import PercentFormatter

    axes.set_ylim(-0.02, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def _legend(figure: Figure, seen: Seen, more: str = "") -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [],
            [],
            color=look.colour,
            marker=look.marker,
            ls="--" if look.dashed else "-",
            label=name,
        )
        for name, look, _ in seen
    ]
    if more:
        handles.append(Line2D([], [], color="#333333", ls="--", lw=1, label=more))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 5))
