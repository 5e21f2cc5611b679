"""The boards in the terminal, as Markdown, CSV and LaTeX: the same numbers, choice and best."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from io import StringIO
from itertools import product
from math import inf
from pathlib import Path

import pytest
from rich.cells import cell_len

from cl_bench.metrics.stats.student import Estimate, Interval
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.write_markdown import markdown
from cl_bench.report.page.boards import board_table
from cl_bench.report.page.contents import Contents, contents
from cl_bench.report.page.csv_files import boards_csv
from cl_bench.report.page.latex import boards_latex
from cl_bench.report.page.markdown import blocks
from cl_bench.report.page.show_boards import show
from cl_bench.report.terminal import plain
from cl_bench.store.run_tables import find_runs
from tests.report.synthetic_runs import Synthetic, flat, write_run

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
    for said in ("A learner teaches", "a stream is", "the model is", "Fast-Slow Training"):
        assert said in first
    assert "https://arxiv.org/abs/2605.12484" in first
    board, folded = twin.split("<summary>Other settings (1)</summary>")[:2]
    assert "| 1 of 3 | FST | 5 of 5 | **81.2** [73.5, 89.0] |" in board
    assert "RL<br>1 of 2 settings, with the most seeds: " in board
    assert re.search(r"\| RL \(lr=0\.5\) \| 1 of 1 \| 100\.0 \|", folded.split("</details>")[0])
    notes = twin.split("<summary>Notes")[1].split("</details>")[0]
    assert notes.count("not measured") <= 1
    assert "| KL | Drift: " in twin.split("## What the names mean")[1]


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


def test_what_rests_on_fewer_seeds_than_its_row_says_so(tmp_path: Path) -> None:
    for seed in range(3):
        run = Synthetic(seed=seed, accuracy=flat(0.25 + seed / 8))
        run = replace(run, kl=lambda *_: inf) if seed else run
        write_run(tmp_path / f"fst-{seed}", run)
    made = contents(find_runs([tmp_path])[0])
    assert re.search(r"FST & 3 of 3 .* 0\.040 \(1 of 3\)", boards_latex(made))
    assert re.search(r"FST +3 of 3 .* 0\.040 \(1 of 3\)", plain(made, show, width=120))


def test_a_latex_row_that_begins_with_a_bracket_is_no_option_of_the_one_before(
    tmp_path: Path,
) -> None:
    for learner in ("[1cm]", "rl"):
        write_run(tmp_path / learner, learner=learner)
    text = boards_latex(contents(find_runs([tmp_path])[0]))
    assert "    {}[1cm] & 1 of 1 &" in text


def test_another_setting_as_most_are_folds_like_the_others(tmp_path: Path) -> None:
    settings: dict[str, dict[str, object]] = {
        "plain": {},
        "fast": {"learning.learning_rate": 0.5},
        "warm": {"learning.warmup_steps": 3},
    }
    for (name, config), seed in product(settings.items(), range(2)):
        if (name, seed) != ("plain", 1):
            write_run(tmp_path / f"{name}-{seed}", learner="rl", seed=seed, config=config)
    write_run(tmp_path / "fst", accuracy=flat(0.25))
    made = contents(find_runs([tmp_path])[0])
    (board,) = made.boards
    shown = board_table(board, made.names).split("<details>")[0]
    assert len(re.findall(r'<tr class="folded"', shown)) == 2
    assert "as most" in shown
    (fst,) = (n for n, row in enumerate(board.board.rows) if row.learner == "fst")
    assert re.search(rf'<tr id="{board.anchor}-{fst}"[^>]* data-learner="fst"', shown)


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


def test_the_first_footnote_is_that_of_a_row_that_is_not_folded(found: Contents) -> None:
    (drawn,) = found.boards
    *others, last = drawn.board.rows
    last = replace(last, values={**last.values, "average_accuracy": Undefined("not there")})
    board = replace(drawn.board, rows=(*others, last))
    footnotes = board_table(replace(drawn, board=board), {}).split('<ul class="footnotes">')[1]
    reasons = re.findall(r"<sup>(.)</sup> ([^<]*)<", footnotes.split("</ul>")[0])
    assert reasons[0] == ("a", "not there")
    assert len(reasons) > 1  # the folded row's
