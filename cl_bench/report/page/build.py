"""Making a report: read runs, rank them, write the page, its Markdown twin and its figures."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cl_bench.contract.errors import RunDirectoryError
from cl_bench.report.blocks.drawings import Drawing
from cl_bench.report.blocks.write_markdown import markdown
from cl_bench.report.page.contents import Contents, contents
from cl_bench.report.page.html import html
from cl_bench.report.page.markdown import blocks
from cl_bench.report.plasticity_tables import find_tables
from cl_bench.store.files import replacing, write_text_atomically
from cl_bench.store.run_tables import find_runs

PICTURES = "figures"
"""The folder of the figures beside the page."""
_FIGURE = re.compile(r"board(-[a-z0-9]+)*\.[a-z-]+\.(png|svg)")
"""The names that figures of boards have."""


@dataclass(frozen=True)
class ReportFiles:
    """What was written."""

    html: Path
    markdown: Path
    figures: tuple[Path, ...]
    contents: Contents


def report(paths: Iterable[Path], out: Path, *, figures: bool = True) -> ReportFiles:
    """Write `leaderboard.html` and `leaderboard.md` into `out`, and figures below it.

    `paths` are runs, or folders with runs anywhere below them; a path without any is a
    `RunDirectoryError`, and so it is if none can be read. The same tables give the same bytes.
    Figures that an earlier page left in `out` and that this one does not have are removed.
    """
    given = list(paths)
    runs, unreadable = find_runs(given)
    if not runs:
        reasons = "; ".join(broken.reason for broken in unreadable)
        raise RunDirectoryError(f"None of the runs can be read: {reasons}")
    found = contents(runs, unreadable, find_tables(given))
    drawings: Mapping[str, Drawing] = {}
    if figures:
        from cl_bench.report.page.drawings import draw

        drawings, undrawn = draw(found.boards)
        found = replace(found, problems=[*found.problems, *undrawn])
    page, twin = out / "leaderboard.html", out / "leaderboard.md"
    out.mkdir(parents=True, exist_ok=True)
    written = tuple(_written(out / PICTURES, drawings))
    _remove_others(out / PICTURES, written)
    write_text_atomically(twin, markdown(blocks(found, drawings), PICTURES))
    write_text_atomically(page, html(found))
    return ReportFiles(page, twin, written, found)


def _written(folder: Path, drawings: Mapping[str, Drawing]) -> Iterable[Path]:
    for name, drawing in drawings.items():
        folder.mkdir(exist_ok=True)
        for kind, content in (("png", drawing.png), ("svg", drawing.svg)):
            path = folder / f"{name}.{kind}"
            with replacing(path) as temporary:
                temporary.write_bytes(content)
            yield path


def _remove_others(folder: Path, written: Collection[Path]) -> None:
    """Remove figures of boards that are not among the `written`, and nothing else."""
    for path in folder.glob("board*"):
        if _FIGURE.fullmatch(path.name) and path not in written:
            path.unlink()
