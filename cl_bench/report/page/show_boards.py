"""The boards of a report in the terminal: columns that find no room are left out, never wrapped."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from cl_bench.contract.text import counted, plainer, printable
from cl_bench.report.page.contents import Contents
from cl_bench.report.page.table_texts import (
    PRIORITY,
    CellText,
    HeadText,
    RowText,
    TitledTable,
    tables,
)
from cl_bench.report.terminal import WIDEST, heading, table

_MOST = 4
"""Tables that are printed; the page has all."""
_MOST_ROWS = 20
_LONGEST = 26
"""Characters of a learner's name."""


def show(contents: Contents, *, width: int, ascii_only: bool = False) -> RenderableType:
    """The boards for a terminal `width` columns wide, those first that average over streams."""
    found = tables(contents)
    shown = [part for one in found[:_MOST] for part in _titled(one, width, ascii_only)]
    if (more := len(found) - _MOST) > 0:
        shown.append(Text(f"\n{counted(more, 'more board')} on the page."))
    signs = ("▼ sorted by", "↑↓ better", "* best mean", "± 95 % over seeds")
    folds = any(row.folded for one in found for row in one.text.rows)
    return Group(*shown, Text("\n" + "   ".join([*signs, *["+ other settings"] * folds])))


def _titled(one: TitledTable, width: int, ascii_only: bool) -> Iterator[RenderableType]:
    yield heading(printable(f"{one.title}, model {one.model}"))
    yield _fitting(one, width, ascii_only)
    if one.text.unranked:
        yield Text(f"No ranks: {one.text.unranked}.")
    if more := one.text.rows[_MOST_ROWS:]:
        yield Text(f"{counted(len(more), 'more row')} on the page.")
    chosen: dict[str, list[str]] = {}
    shown = one.text.rows[:_MOST_ROWS]
    for row in shown:
        chosen.setdefault(row.choice, []).append(row.name)
    for choice, names in chosen.items():
        if choice:
            whose = "All rows" if len(names) == len(shown) else "; ".join(names)
            said = f"{whose}: {choice} (the others are on the page)."
            yield Text(textwrap.fill(printable(said), width))


def _fitting(one: TitledTable, width: int, ascii_only: bool) -> Table:
    """The table with as many columns as there is room for, by their priority."""
    given = [name for name in PRIORITY if any(head.name == name for head in one.text.heads)]
    for count in range(len(given), 0, -1):
        found = _table(one, given[:count], ascii_only)
        if Console(width=WIDEST).measure(found).maximum <= width:
            return found
    return _table(one, given[:1], ascii_only)


def _table(one: TitledTable, names: Sequence[str], ascii_only: bool) -> Table:
    chosen = [place for place, head in enumerate(one.text.heads) if head.name in names]
    ranked = not one.text.unranked
    heads = ["learner", *["rank"] * ranked, "seeds", *(_head(one.text.heads[n]) for n in chosen)]
    shown = table(*heads)
    for column in shown.columns:
        column.no_wrap, column.overflow = True, "ellipsis"
    for row in one.text.rows[:_MOST_ROWS]:
        name = printable(row.name, _LONGEST) + " +" * bool(row.folded)
        name = plainer(name) if ascii_only else name
        cells = (_cell(row.cells[place], ascii_only) for place in chosen)
        shown.add_row(Text(name), *[row.rank] * ranked, _seeds(row), *cells)
    return shown


def _head(head: HeadText) -> str:
    title = textwrap.wrap(head.title, 11)
    title[-1] += " ▼" if head.leads else ""
    return "\n".join([*title, f"{head.unit} {head.arrow}".strip()]).rstrip()


def _cell(cell: CellText, ascii_only: bool) -> str:
    spread = f" ± {cell.half}" if cell.half else f" {cell.ends}" if cell.ends else ""
    of_seeds = f" ({cell.of_seeds})" if cell.of_seeds else ""
    text = f"{cell.mean}{spread}{of_seeds}{'*' if cell.best else ' '}"
    return plainer(text) if ascii_only else text  # here, where its width still counts


def _seeds(row: RowText) -> str:
    """Without what became of those that have no value."""
    return row.seeds.partition(" (")[0]
