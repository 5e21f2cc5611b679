"""A comparison of two learners for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cl_bench.analysis.comparison import Comparison, Side
from cl_bench.analysis.entries import columns
from cl_bench.analysis.run_values import Column
from cl_bench.contract.text import one_line, printable
from cl_bench.metrics.comparison import PermutationTest
from cl_bench.metrics.quantities import NOTHING, SHARE, p_value
from cl_bench.metrics.stats.bootstrap import Estimate
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.terminal import curve_grid, sparkline

_ENOUGH = 6
"""Seeds from which on an exact test can reach 0.05."""
_TITLE = 22
"""Columns of a metric's title where its numbers stand on one line."""
_METRIC = ("", "A", "B", "B − A", "pairs", "p", "seeds\nneeded", "")
_WIDEST = 1_000
"""Columns that hold any table."""
_LONGEST = 600
"""Characters of a prompt that are shown."""


def show(found: Comparison, *, width: int, ascii_only: bool = False) -> RenderableType:
    """The comparison for a terminal `width` columns wide; A is the first side, B the second."""
    return Group(
        *_heading(found),
        *_metrics(found, width),
        *_notes(found),
        *_efficiency(found),
        *_items(found),
        *_curves(found, width, ascii_only),
        *_prompts(found),
    )


def _heading(found: Comparison) -> Iterator[Text]:
    for line in found.apart:
        yield Text(f"These runs do not compare: {printable(line)}", style="bold red")
    for name, side, other in (
        ("A", found.first, found.second),
        ("B", found.second, found.first),
    ):
        own = [f"{key}={value}" for key, value in side.own_settings(other).items()]
        said = printable(", ".join([side.learner, *own]))
        yield Text(f"{name}: {printable(str(side.path))} ({said}), seeds {_ended(side)}")
    seeds = ", ".join(map(str, found.seeds))
    yield Text(f"\nB against A, paired by seed ({seeds}), with 95 % intervals", style="bold")


def _ended(side: Side) -> str:
    """The seeds, and of those that are not done how they ended."""
    return ", ".join(
        f"{seed}{'' if entry.status == 'done' else f' ({entry.status})'}"
        for seed, entry in side.entries.items()
    )


def _metrics(found: Comparison, width: int) -> list[RenderableType]:
    """A row for every metric with a difference, if there is any; below, why others have none."""
    rows: list[tuple[str, ...]] = []
    reasons: dict[str, list[str]] = {}
    for name, column in found.columns.items():
        of = found.differences[name]
        if isinstance(of.difference, Undefined):
            reasons.setdefault(of.difference.reason, []).append(column.title)
            continue
        test = None if isinstance(of.test, Undefined) or of.difference.seeds < 2 else of.test
        p = p_value(test.p) if test else NOTHING
        pairs = f"{of.difference.seeds} of {of.difference.of_seeds}"
        needed = NOTHING if isinstance(of.seeds_needed, Undefined) else str(of.seeds_needed)
        means = (_mean(of.first, column), _mean(of.second, column))
        change = column.quantity.change.estimate(of.difference)
        numbers = (*means, change, pairs, p, needed, _said(of.difference, column))
        rows.append((printable(column.title), *numbers))
    missing = (f"Not compared, {why}: {', '.join(titles)}." for why, titles in reasons.items())
    shown = [_fitting(rows, width)] if rows else []
    return [*shown, *(Text(f"\n{printable(line)}") for line in missing)]


def _fitting(rows: Sequence[Sequence[str]], width: int) -> Table:
    """The metrics' table; numbers stand on several lines where one leaves no room for all of it."""
    table = _table(*_METRIC)
    for row in rows:
        table.add_row(*row)
    titles = max(cell_len(row[0]) for row in rows)
    most = Console(width=_WIDEST).measure(table).maximum
    if most - titles + min(titles, _TITLE) <= width:
        return table
    table = _table(*_METRIC, wrap=True)
    for row in rows:
        table.add_row(*(cell.replace(" [", "\n[") for cell in row))
    return table


def _mean(value: Estimate | Undefined, column: Column) -> str:
    return NOTHING if isinstance(value, Undefined) else column.quantity.text(value.value)


def _said(difference: Estimate, column: Column) -> str:
    """Better or worse where the interval lies on one side of 0."""
    ends = difference.interval
    if isinstance(ends, Undefined) or ends.low <= 0 <= ends.high or column.better == "neither":
        return ""
    return "better" if (ends.low > 0) == (column.better == "higher") else "worse"


def _notes(found: Comparison) -> Iterator[Text]:
    smallest = {
        of.difference.seeds: of.test.smallest_p
        for of in found.differences.values()
        if isinstance(of.difference, Estimate) and isinstance(of.test, PermutationTest)
    }
    few = [count for count in sorted(smallest) if count < _ENOUGH]
    if len(found.seeds) == 1:
        yield Text("\nOne seed: no interval and no test over seeds. The problems below say how far")
        yield Text("these two checkpoints differ, and nothing of other runs.")
    elif few:
        reach = ", ".join(
            f"{p_value(smallest[count])} with {count} seed{'s' * (count > 1)}" for count in few
        )
        yield Text(
            f"\nThe smallest p is {reach}, and intervals are too narrow: "
            f"{_ENOUGH} seeds can decide."
        )


def _efficiency(found: Comparison) -> Iterator[Text]:
    shown = columns()
    yield Text("\nHow many times fewer samples B needs for A's highest average accuracy", "bold")
    for name, value in found.efficiency.items():
        reason = value.reason if isinstance(value, Undefined) else ""
        said = shown[name].quantity.estimate(value)
        counted = shown[name].title.rpartition(", ")[2]
        yield Text(f"{counted}: {said}{f' ({printable(reason)})' if reason else ''}")


def _items(found: Comparison) -> list[RenderableType]:
    if not found.items:
        return [Text("\nNo problem was asked of both at the end of the stream.")]
    table = _table("domain", "problems", "both", "neither", "B alone", "A alone", "B − A", "noise")
    for domain, of in found.items.items():
        counts = (of.items, of.both, of.neither, len(of.wins), len(of.losses))
        differences = (SHARE.change.text(of.difference), SHARE.distance.text(of.noise_floor))
        table.add_row(printable(domain), *map(str, counts), *differences)
    title = "\nProblems solved at the end (at least half of the responses), over all paired seeds"
    note = "A difference below its noise may be sampling alone."
    return [Text(title, style="bold"), table, Text(note)]


def _curves(found: Comparison, width: int, ascii_only: bool) -> list[RenderableType]:
    """Mean accuracy of both over the paired seeds, where all were evaluated at the same steps."""
    table = curve_grid()
    stages = found.first.runs[found.seeds[0]].stages
    room = max(10, width - max(len(printable(stage, 24)) for stage in stages) - 22)
    for place, domain in enumerate(stages):
        if domain in stages[:place]:
            continue
        for name, side in (("A", found.first), ("B", found.second)):
            curves = [side.runs[seed].trajectory() for seed in found.seeds]
            if len({(curve.shape, tuple(of)) for curve, of in curves}) > 1 or not curves[0][0].size:
                return []
            if curves[0][0].shape[1] <= place:
                return []
            share_E = np.mean([curve[:, place] for curve, _ in curves], axis=0)
            stage_E = [int(stage) for stage in curves[0][1]]
            line = sparkline(share_E.tolist(), stage_E, width=room, ascii_only=ascii_only)
            ends = [SHARE.text(share) for share in share_E[[0, -1]]]
            label = printable(domain, 24) if name == "A" else ""
            table.add_row(Text(label), Text(name), ends[0], Text(line), ends[1])
    return [Text("\nAccuracy over the run, learner's prompt, mean over seeds", style="bold"), table]


def _prompts(found: Comparison) -> list[RenderableType]:
    """The best prompt of either, of the first paired seed."""
    seed = found.seeds[0]
    best = [side.runs[seed].best_prompt() for side in (found.first, found.second)]
    if best == [None, None]:
        return []
    shown: list[RenderableType] = [Text(f"\nThe best prompt at the end, seed {seed}", style="bold")]
    for name, prompt in zip("AB", best, strict=True):
        said = "the seed prompt: it rewrites none" if prompt is None else one_line(prompt, _LONGEST)
        shown.append(Text(f"{name}:"))
        shown.append(Padding(Text(said, overflow="fold"), (0, 0, 0, 4)))
    return shown


def _table(*headings: str, wrap: bool = False) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        header_style="",
        show_edge=False,
    )
    for place, heading in enumerate(headings):
        numbers = bool(place and heading)
        table.add_column(
            heading,
            justify="right" if numbers else "left",
            no_wrap=numbers and not wrap,
            min_width=0 if place or wrap else _TITLE,
            overflow="fold",
        )
    return table
