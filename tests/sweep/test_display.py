"""What a sweep shows while it goes on: every cell with its state, on a terminal of any height."""

from __future__ import annotations

import json
import os
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from cl_bench.sweep.cell import Cell
from cl_bench.sweep.display import CellRow, Lines, LiveTable, Quiet, SweepView, display_for
from cl_bench.sweep.logs import Reached, end_of_log, log_of, logged, reached


def rows() -> list[CellRow]:
    done = [CellRow(f"done-{number}", "done", seconds=61.0) for number in range(40)]
    at = Reached(30, 120, "facts", 90.0)
    return [
        *done,
        CellRow("queued", "queued", "Priority"),
        CellRow("now\x1b[31m", "running", "node-7", at, 30.0),
    ]


def terminal(height: int) -> Console:
    return Console(file=StringIO(), force_terminal=True, width=120, height=height)


def shown(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    console.file.seek(0)
    console.file.truncate()
    return text


def test_the_table_has_what_runs_first_where_it_does_not_fit_and_all_at_the_end() -> None:
    console = terminal(height=20)
    table = LiveTable(console)
    table.show(SweepView(rows, "40 done, 1 queued, 1 running"))
    now = shown(console)
    for text in ("running", "node-7", "facts", "30/120", "30.0 s", "1 min 30 s", r"now\x1b[31m"):
        assert text in now
    assert "40 done, 1 queued, 1 running; 28 not shown" in now
    assert now.count("done-") == 13
    table.close()
    end = shown(console)
    assert end.count("done-") == 40
    assert "Priority" in end


def test_there_is_a_table_on_a_terminal_lines_elsewhere_or_nothing() -> None:
    assert isinstance(display_for(terminal(20), quiet=False), LiveTable)
    assert isinstance(display_for(terminal(20), quiet=True), Quiet)
    lines: list[str] = []
    piped = display_for(Console(file=StringIO()), quiet=False)
    assert type(piped) is Lines
    Lines(lines.append).say("done")
    assert lines == ["done"]


def test_a_log_has_what_was_printed_in_any_way_and_its_end_is_of_the_last_attempt(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cell = Cell("math", "rl", 1, 1)
    assert end_of_log(cell, tmp_path) == []
    for number in range(2):
        with logged(cell, tmp_path):
            os.write(1 + number, f"attempt {number}\n".encode())
            os.write(1, b"line\n" * 12)
    assert end_of_log(cell, tmp_path) == ["line"] * 10
    assert end_of_log(cell, tmp_path, lines=100)[0] == "attempt 1"
    os.write(1, b"after")
    assert capfd.readouterr().out == "after"


def test_the_step_is_none_until_it_was_told(tmp_path: Path) -> None:
    cell = Cell("math", "rl", 1, 1)
    assert reached(cell, tmp_path) is None
    file = log_of(cell, tmp_path).with_suffix(".json")
    file.parent.mkdir()
    file.write_text("{")
    assert reached(cell, tmp_path) is None
    file.write_text(json.dumps({"step": 3, "steps": 9, "stage": "math", "left": None}))
    assert reached(cell, tmp_path) == Reached(3, 9, "math", None)
