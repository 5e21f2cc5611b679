"""A comparison of two learners, for the terminal and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cl_bench.analysis.comparison import Comparison, Difference, Side
from cl_bench.analysis.entries import columns
from cl_bench.analysis.item_changes import ItemChanges
from cl_bench.analysis.run_values import METRIC_VERSION, Column
from cl_bench.contract.text import counted, one_line, printable
from cl_bench.metrics.comparison import PermutationTest
from cl_bench.metrics.quantities import NOTHING, NUMBER, SHARE, needed, p_value
from cl_bench.metrics.stats.student import Estimate
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.matrix import value_or_reason
from cl_bench.report.notebook import WIDE, html
from cl_bench.report.terminal import WIDEST, add_curve, curve_grid, heading, plain, table
from cl_bench.store.remote import with_urls

_ENOUGH = 6
"""Seeds from which on an exact test can reach 0.05."""
_TITLE = 22
"""Columns of a metric's title where its numbers stand on one line."""
_METRIC = ("", "A", "B", "B − A", "pairs", "p, t", "p,\nexact", "seeds\nneeded", "")
_LONGEST = 600
"""Characters of a prompt that are shown."""


class ShownComparison(Comparison):
    """A comparison that shells print as the command does, and notebooks as tables."""

    @classmethod
    def of(cls, found: Comparison) -> ShownComparison:
        return cls(**vars(found))

    def text(self) -> str:
        """As the command prints it, at most 100 columns wide."""
        return plain(self, show)

    __repr__ = text

    def _repr_html_(self) -> str:
        return html(show(self, width=WIDE), opened=("B against A",))


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
        seeds = f"seed{'' if len(side.entries) == 1 else 's'} {_ended(side)}"
        yield Text(f"{name}: {printable(with_urls(str(side.path)))} ({said}), {seeds}")
    seeds = ", ".join(map(str, found.seeds))
    yield heading(f"B against A, paired by seed ({seeds}), with 95 % intervals")


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
        tests = (p_value(of.student_p), p_value(test.p) if test else NOTHING)
        pairs = f"{of.difference.seeds} of {of.difference.of_seeds}"
        means = (_mean(of.first, column), _mean(of.second, column))
        change = column.quantity.change.estimate(of.difference)
        numbers = (*means, change, pairs, *tests, needed(of.seeds_needed), _said(of, column))
        rows.append((printable(column.title), *numbers))
    missing = (f"Not compared, {why}: {', '.join(titles)}." for why, titles in reasons.items())
    shown = _fitting(rows, width) if rows else []
    return [*shown, *(Text(f"\n{printable(line)}") for line in missing)]


def _fitting(rows: Sequence[Sequence[str]], width: int) -> list[RenderableType]:
    """The metrics' table; two where one leaves no room for it: numbers, then tests."""
    stacked = [[cell.replace(" [", "\n[") for cell in row] for row in rows]
    titles = max(cell_len(row[0]) for row in rows)
    least = Console(width=WIDEST).measure(_filled(_METRIC, stacked)).maximum
    if least - titles + min(titles, _TITLE) <= width:
        return [_filled(_METRIC, rows)]
    halves = ((0, 1, 2, 3), (0, 4, 5, 6, 7, 8))
    parts = (
        _filled(
            [_METRIC[place] for place in half], [[row[place] for place in half] for row in rows]
        )
        for half in halves
    )
    return [next(parts), Text(""), next(parts)]


def _filled(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    shown = table(*headings, collapse_padding=True)
    for row in rows:
        shown.add_row(*row)
    shown.columns[0].min_width = min(_TITLE, max(cell_len(row[0]) for row in rows))
    return shown


def _mean(value: Estimate | Undefined, column: Column) -> str:
    return NOTHING if isinstance(value, Undefined) else column.quantity.text(value.value)


def _said(of: Difference, column: Column) -> str:
    """Better or worse where both tests are sure of a difference."""
    if not of.is_sure or isinstance(of.difference, Undefined) or column.better == "neither":
        return ""
    return "better" if (of.difference.value > 0) == (column.better == "higher") else "worse"


def _notes(found: Comparison) -> Iterator[Text]:
    smallest = {
        of.difference.seeds: of.test.smallest_p
        for of in found.differences.values()
        if isinstance(of.difference, Estimate) and isinstance(of.test, PermutationTest)
    }
    few = [count for count in sorted(smallest) if count < _ENOUGH]
    if len(found.seeds) == 1:
        yield Text(
            "\nOne seed: no interval and no test over seeds. The problems below say how far "
            "these two checkpoints differ, and nothing of other runs."
        )
    elif few:
        reach = ", ".join(
            f"{NUMBER.text(smallest[count])} with {counted(count, 'seed')}" for count in few
        )
        yield Text(f"\nThe smallest exact p is {reach}: {_ENOUGH} seeds can decide.")


def _efficiency(found: Comparison) -> Iterator[Text]:
    shown = columns()
    asked = {run.peak_set for run in found.first.runs.values()}
    where = "validation" if asked == {"validation"} else "test"
    what = "How many times fewer samples B needs for A's highest average accuracy"
    yield heading(f"{what} ({where} problems)")
    for name, value in found.efficiency.items():
        reason = value.reason if isinstance(value, Undefined) else ""
        said = shown[name].quantity.estimate(value)
        counted = shown[name].title.rpartition(", ")[2]
        yield Text(f"{counted}: {said}{f' ({printable(reason)})' if reason else ''}")


def _items(found: Comparison) -> list[RenderableType]:
    if not found.items:
        return [Text("\nNo problem was asked of both at the end of the stream.")]
    shown = table(
        "domain",
        "problems",
        "both",
        "neither",
        "B alone",
        "A alone",
        "B − A",
        "noise",
        collapse_padding=True,
    )
    for domain, of in found.items.items():
        counts = (of.items, of.both, of.neither, len(of.wins), len(of.losses))
        differences = (SHARE.change.text(of.difference), SHARE.distance.text(of.noise_floor))
        shown.add_row(printable(domain), *map(str, counts), *differences)
    title = "Problems solved at the end (at least half of the responses), over all paired seeds"
    note = "A difference below its noise may be sampling alone."
    return [heading(title), shown, Text(note)]


def _curves(found: Comparison, width: int, ascii_only: bool) -> list[RenderableType]:
    """Mean accuracy of both over the paired seeds, where all were evaluated at the same steps."""
    grid = curve_grid()
    stages = found.first.runs[found.seeds[0]].stages
    room = max(10, width - max(len(printable(stage, 24)) for stage in stages) - 22)
    for domain in dict.fromkeys(stages):
        place = stages.index(domain)
        for name, side in (("A", found.first), ("B", found.second)):
            curves = [side.runs[seed].trajectory() for seed in found.seeds]
            if len({(curve.shape, tuple(of)) for curve, of in curves}) > 1 or not curves[0][0].size:
                return []
            if curves[0][0].shape[1] <= place:
                return []
            share_E = np.mean([curve[:, place] for curve, _ in curves], axis=0)
            stage_E = [int(stage) for stage in curves[0][1]]
            labels = (printable(domain, 24) if name == "A" else "", name)
            add_curve(grid, labels, share_E.tolist(), stage_E, width=room, ascii_only=ascii_only)
    return [heading("Accuracy over the run, learner's prompt, mean over seeds"), grid]


def _prompts(found: Comparison) -> list[RenderableType]:
    """The best prompt of either, of the first paired seed."""
    seed = found.seeds[0]
    best = [side.runs[seed].best_prompt() for side in (found.first, found.second)]
    if best == [None, None]:
        return []
    shown: list[RenderableType] = [heading(f"The best prompt at the end, seed {seed}")]
    for name, prompt in zip("AB", best, strict=True):
        said = "the seed prompt: it rewrites none" if prompt is None else one_line(prompt, _LONGEST)
        shown.append(Text(f"{name}:"))
        shown.append(Padding(Text(said, overflow="fold"), (0, 0, 0, 4)))
    return shown


def as_json(found: Comparison) -> str:
    """Strict JSON. Every number that may be undefined is an object: its `value`, null where there
    is none, and the reason, `undefined`, null where there is one. Differences are second minus
    first."""
    described = {
        "metric_version": METRIC_VERSION,
        "first": _side(found.first),
        "second": _side(found.second),
        "incomparable": list(found.apart),
        "seeds": list(found.seeds),
        "metrics": {
            name: {
                "title": column.title,
                "unit": column.unit,
                "better": column.better,
                **_difference(found.differences[name]),
            }
            for name, column in found.columns.items()
        },
        "efficiency": {name: _estimate(value) for name, value in found.efficiency.items()},
        "items": {domain: _changes(of) for domain, of in found.items.items()},
    }
    return json.dumps(described, indent=2, allow_nan=False)


def _side(side: Side) -> dict[str, Any]:
    return {
        "path": str(side.path),
        "learner": side.learner,
        "settings": side.settings,
        "runs": {
            str(seed): {"path": str(entry.path), "status": entry.status, "reason": entry.reason}
            for seed, entry in side.entries.items()
        },
    }


def _difference(of: Difference) -> dict[str, Any]:
    test = of.test
    exact = None if isinstance(test, Undefined) else test
    return {
        "first": _estimate(of.first),
        "second": _estimate(of.second),
        "difference": _estimate(of.difference),
        "student_p": value_or_reason(of.student_p),
        "p": value_or_reason(test if isinstance(test, Undefined) else test.p),
        "sure": of.is_sure,
        "smallest_p": exact.smallest_p if exact else None,
        "seeds_needed": value_or_reason(of.seeds_needed),
        "per_seed": {
            str(seed): {"first": value_or_reason(first), "second": value_or_reason(second)}
            for seed, (first, second) in of.per_seed.items()
        },
    }


def _changes(of: ItemChanges) -> dict[str, Any]:
    return {
        "items": of.items,
        "both": of.both,
        "neither": of.neither,
        "second_only": list(of.wins),
        "first_only": list(of.losses),
        "difference": of.difference,
        "noise_floor": value_or_reason(of.noise_floor),
    }


def _estimate(value: Estimate | Undefined) -> dict[str, Any]:
    if isinstance(value, Undefined):
        return {**value_or_reason(value), "low": None, "high": None, "seeds": 0}
    ends = value.interval
    interval = (None, None) if isinstance(ends, Undefined) else (ends.low, ends.high)
    counts = {"seeds": value.seeds, "of_seeds": value.of_seeds}
    return {**value_or_reason(value.value), "low": interval[0], "high": interval[1], **counts}
