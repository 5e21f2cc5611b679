"""The boards in the terminal, as Markdown, CSV and LaTeX: the same numbers, choice and best."""

from __future__ import annotations

import csv
import re
from io import StringIO
from itertools import product

import pytest
from rich.cells import cell_len

from cl_bench.metrics.stats.student import Estimate, Interval
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.write_markdown import markdown
from cl_bench.report.page.contents import Contents, contents
from cl_bench.report.page.csv_files import boards_csv
from cl_bench.report.page.latex import boards_latex
from cl_bench.report.page.markdown import blocks
from cl_bench.report.page.show_boards import show
from cl_bench.report.terminal import plain
from cl_bench.store.run_tables import find_runs
from tests.report.synthetic_runs import flat, write_run

ODD = "acme/a_b & 50 % {of} $x^2$ ~ #1 \\"
SHARES = {"fst": 0.75, "rl": 0.5, ODD: 0.25}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    """Three learners with five seeds, which rank them, and one seed of another setting."""
    folder = tmp_path_factory.mktemp("tables")
    for (place, (learner, share)), seed in product(enumerate(SHARES.items()), range(5)):
        lifted = flat(share + seed * 0.03125 * ((1 + place) % 3))
        write_run(folder / f"{place}-{seed}", learner=learner, seed=seed, accuracy=lifted)
    config = {"learning.learning_rate": 0.5}
    write_run(folder / "other", learner="rl", config=config, accuracy=flat(1.0))
    return contents(find_runs([folder])[0])


@pytest.mark.parametrize("ascii_only", [False, True])
def test_a_terminal_has_a_line_for_each_learner_and_the_columns_it_has_room_for(
    found: Contents, ascii_only: bool
) -> None:
    heads = {}
    for width in (70, 80, 120):
        text = plain(found, show, width=width, ascii_only=ascii_only)
        lines = text.splitlines()
        assert max(map(cell_len, lines)) <= width
        learners = [line for line in lines if re.match(r"(FST|RL|acme/).* of 3 +5 of 5", line)]
        assert len(learners) == 3
        heads[width] = next(line for line in lines if line.startswith("learner"))
        assert text.isascii() == ascii_only
    assert len(heads[70]) <= len(heads[80]) < len(heads[120])


def test_a_terminal_marks_what_it_is_sorted_by_the_best_and_what_is_folded(found: Contents) -> None:
    text = plain(found, show, width=120)
    assert "accuracy ▼" in text
    assert re.search(r"^FST +1 of 3 +5 of 5 +81\.2 ± 7\.8\*", text, re.MULTILINE)
    assert re.search(r"^RL \+ +2 of 3 +5 of 5 +62\.5 ± 12\.3 ", text, re.MULTILINE)
    assert "\nRL: 1 of 2 settings, with the most seeds (the others are on the page)." in text


def test_markdown_says_first_what_it_is_and_folds_the_other_settings(found: Contents) -> None:
    twin = markdown(blocks(found, {}), "figures")
    first = twin.split("| --- |")[0]
    for said in ("A learner teaches", "a stream is", "a model is", "Fast-Slow Training"):
        assert said in first
    assert "https://arxiv.org/abs/2605.12484" in first
    board, folded = twin.split("<summary>Other settings (1)</summary>")[:2]
    assert "| 1 of 3 | FST | 5 of 5 | **81.2** [73.5, 89.0] |" in board
    assert "RL<br>1 of 2 settings, with the most seeds: " in board
    assert re.search(r"\| RL \(lr=0\.5\) \| 1 of 1 \| 100\.0 \|", folded.split("</details>")[0])
    notes = twin.split("<summary>Notes")[1].split("</details>")[0]
    assert notes.count("not measured") <= 1
    assert "| KL | Drift: " in twin.split("## What the columns mean")[1]


def test_csv_has_a_line_for_each_learner_setting_and_metric(found: Contents) -> None:
    lines = list(csv.DictReader(StringIO(boards_csv(found))))
    (board,) = found.leaderboard.boards
    assert len(lines) == len(board.every_row) * len(board.columns)
    by_name = {(line["learner"], line["shown"], line["metric"]): line for line in lines}
    for row in board.rows:
        for name, column in board.columns.items():
            line, value = by_name[row.learner, "1", name], row.values[name]
            assert (line["board"], line["unit"], line["better"]) == (
                "math-to-code",
                column.unit,
                column.better,
            )
            if isinstance(value, Undefined):
                assert (line["mean"], line["n"], line["why_none"]) == ("", "0", value.reason)
                continue
            assert (float(line["mean"]), int(line["n"])) == (value.value, value.seeds)
            if isinstance(value.interval, Interval):
                ends = (float(line["low"]), float(line["high"]))
                assert ends == (value.interval.low, value.interval.high)
    fst = by_name["fst", "1", "average_accuracy"]
    assert (fst["rank_best"], fst["rank_worst"], fst["ranked"]) == ("1", "1", "3")
    other = by_name["rl", "0", "average_accuracy"]
    assert (other["settings"], other["mean"], other["rank_best"]) == (
        "learning_rate=0.5",
        "1.0",
        "",
    )


def test_latex_is_a_booktabs_table_whose_names_are_escaped(found: Contents) -> None:
    text = boards_latex(found)
    (table,) = re.findall(r"\\toprule(.*)\\bottomrule", text, re.DOTALL)
    rows = [line for line in table.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 2 + len(SHARES)
    (letters,) = re.findall(r"\\begin\{tabular\}\{(\w+)\}", text)
    assert {len(re.split(r"(?<!\\)&", row)) for row in rows} == {len(letters)}
    assert re.search(r"FST & 1 of 3 & 5 of 5 & \$\\mathbf\{81\.2\} \\pm 7\.8\$ &", table)
    named = (
        r"acme/a\_b \& 50 \% \{of\} \$x\textasciicircum{}2\$ \textasciitilde{} \#1 "
        r"\textbackslash{}"
    )
    assert f"    {named} & 3 of 3 & 5 of 5 & " in table
    assert text.isascii()


def test_the_best_mean_is_marked_where_a_direction_is_better(found: Contents) -> None:
    (board,) = found.leaderboard.boards
    value = board.rows[0].values["seconds"]
    assert isinstance(value, Estimate)
    cells = {
        line["metric"]: line
        for line in csv.DictReader(StringIO(boards_csv(found)))
        if line["learner"] == "fst"
    }
    assert cells["seconds"]["better"] == "neither"
    assert "**" not in markdown(blocks(found, {}), "figures").split("wall time")[1].split("\n")[0]
