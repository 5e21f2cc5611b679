"""The boards of a report as LaTeX tables for papers, with the package booktabs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cl_bench.contract.text import printable
from cl_bench.report.page.contents import Contents
from cl_bench.report.page.table_texts import (
    PRIORITY,
    CellText,
    HeadText,
    RowText,
    TitledTable,
    tables,
)

_SHOWN = PRIORITY[:6]
"""The columns for which a page of paper has room."""
_SIGNS = {
    **{sign: f"\\{sign}" for sign in "#$%&_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    "×": r"$\times$",
    "→": r"$\rightarrow$",
    "—": "---",
    "–": "--",
    "‖": r"$\|$",
    "<": "$<$",
    ">": "$>$",
    "|": r"$\vert$",
    '"': "''",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "ε": r"$\varepsilon$",
}
_SPECIAL = re.compile(f"[{re.escape(''.join(_SIGNS))}]")


def boards_latex(contents: Contents) -> str:
    """A `table` for each board and for all streams: mean ± half of the 95 % interval over seeds,
    the best mean of a column bold. Names are escaped; the document needs `booktabs`."""
    parts = [
        "% Made by cl-bench report. In the preamble: \\usepackage{booktabs}",
        "% Put \\small or \\resizebox{\\linewidth}{!}{...} around a table that is too wide.",
    ]
    parts += [
        "\n".join(_table(one, f"tab:cl-bench-{number}"))
        for number, one in enumerate(tables(contents), 1)
    ]
    return "\n\n".join(parts) + "\n"


def _table(one: TitledTable, label: str) -> Iterator[str]:
    chosen = [place for place, head in enumerate(one.text.heads) if head.name in _SHOWN]
    heads = [one.text.heads[place] for place in chosen]
    ranked = not one.text.unranked
    caption = f"{one.title}, model {one.model}: means over seeds ± half of their 95 % intervals"
    if not ranked:
        caption += f" ({one.text.unranked})"
    yield "\\begin{table}"
    yield "  \\centering"
    yield f"  \\caption{{{escaped(caption)}. Best means are bold.}}"
    yield f"  \\label{{{label}}}"
    yield f"  \\begin{{tabular}}{{l{'l' * ranked}{'r' * (len(heads) + 1)}}}"
    yield "    \\toprule"
    yield _line("Learner", *["Rank"] * ranked, "Seeds", *map(_head, heads))
    yield _line("", *[""] * ranked, "", *map(_unit, heads))
    yield "    \\midrule"
    for row in one.text.rows:
        yield _row(row, chosen, ranked)
    yield "    \\bottomrule"
    yield "  \\end{tabular}"
    yield "\\end{table}"


def _line(*cells: str) -> str:
    return f"    {' & '.join(cells)} \\\\"


def _head(head: HeadText) -> str:
    return f"{escaped(head.title)} {escaped(head.arrow)}".rstrip()


def _unit(head: HeadText) -> str:
    return f"({escaped(head.unit)})" if head.unit else ""


def _row(row: RowText, chosen: list[int], ranked: bool) -> str:
    places = [escaped(row.rank)] * ranked
    name = escaped(row.name)
    if name.startswith(("[", "*")):  # which the end of the line before would take for its own
        name = f"{{}}{name}"
    return _line(name, *places, escaped(row.seeds), *(_cell(row.cells[n]) for n in chosen))


def _cell(cell: CellText) -> str:
    of_seeds = f" ({cell.of_seeds})" if cell.of_seeds else ""
    if cell.half:
        mean, half = (text.replace("−", "-").replace(",", "{,}") for text in (cell.mean, cell.half))
        shown = f"\\mathbf{{{mean}}}" if cell.best else mean
        return f"${shown} \\pm {half}${of_seeds}"
    mean = escaped(cell.mean)
    shown = f"\\textbf{{{mean}}}" if cell.best else mean
    return f"{shown} {escaped(cell.ends)}".rstrip() + of_seeds


def escaped(text: str) -> str:
    """A plain text that LaTeX shows as it is."""
    return _SPECIAL.sub(lambda found: _SIGNS[found[0]], printable(text)).replace("±", r"$\pm$")
