"""The report as files: one page that loads nothing, its twin, and the same bytes every time."""

from __future__ import annotations

import random
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest
from typer.testing import CliRunner

from cl_bench.cli.app import app
from cl_bench.contract.errors import RunDirectoryError
from cl_bench.report.blocks.write_markdown import markdown
from cl_bench.report.page import html as page_html
from cl_bench.report.page.build import FIGURES, ReportFiles, report
from cl_bench.report.page.glossary import links
from cl_bench.report.page.html import decoded, html
from cl_bench.report.page.markdown import blocks
from tests.report.page import hostile
from tests.report.page.conftest import write_all
from tests.report.synthetic_runs import write_run, write_runs


class Page(HTMLParser):
    """Tags and attributes; a tag that is closed wrongly fails."""

    VOID = ("meta", "br", "input", "path", "circle")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.attributes if key == name]


@pytest.fixture(scope="module")
def text(made: ReportFiles) -> str:
    return made.html.read_text(encoding="utf-8")


def test_the_page_is_one_file_whose_policy_lets_in_its_own_script_only(text: str) -> None:
    found = Page(text)
    assert not {"img", "link", "iframe", "object", "base"} & set(found.tags)
    assert not found.values("src")
    assert not [name for name, _ in found.attributes if name.startswith("on") or name == "style"]
    elsewhere = [href for href in found.values("href") if not href.startswith("#")]
    assert elsewhere == [address for _, address in links()]
    ids = found.values("id")
    assert len(ids) == len(set(ids))
    places = [href[1:] for href in found.values("href") if href[0] == "#" and "=" not in href]
    assert set(places) <= set(ids)
    hashes = {
        tag: b64encode(sha256(inner.encode()).digest()).decode()
        for tag, inner in re.findall(r"<(style|script)>(.*?)</\1>", text, re.DOTALL)
    }
    (policy,) = [value for value in found.values("content") if "default-src" in value]
    assert policy == (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"style-src 'sha256-{hashes['style']}'; script-src 'sha256-{hashes['script']}'"
    )


def test_rows_say_value_interval_seeds_and_rank(text: str) -> None:
    board = text.split('id="board-math-to-code"')[1].split("</table>", maxsplit=1)[0]
    rows = re.findall(r"<tr id=.*?</tr>", board, re.DOTALL)
    assert len(rows) == 4
    first = rows[0]
    assert 'data-learner="fst"' in first
    assert "of 3</small></span>" not in first  # two seeds rank nobody
    assert "2 of 3</summary>" in first
    assert 'title="failed: &lt;/script&gt;' in first
    accuracy = re.findall(r'<td class="compact sorted best"[^>]*>(.*?)</td>', first)[0]
    # seeds 0.85 and 0.87 of 64 verdicts: 54 and 56 are right
    assert '<span class="value">85.9</span>' in accuracy
    assert "[66.1, 105.8]" in accuracy
    one_seed = next(row for row in rows if 'data-learner="rl-kl"' in row)
    assert 'class="ends"' not in one_seed
    assert "dirty tree" in one_seed


def test_every_column_is_defined_in_its_heading_and_on_the_page(text: str) -> None:
    glossary = text.split('<section id="glossary">')[1].split("</section>", maxsplit=1)[0]
    board = text.split('id="board-math-to-code"')[1].split("</thead>", maxsplit=1)[0]
    for said in re.findall(r'<th scope="col"[^>]* title="([^"]*)"', board):
        assert said.split(": ")[-1] in glossary
    assert "KL divergence of the trained model from the base model" in board


def test_a_dash_leads_to_its_reason(text: str) -> None:
    board = text.split('id="board-facts"')[1].split("<details><summary>What these", maxsplit=1)[0]
    notes = dict(re.findall(r'<li id="(board-facts-[\w-]+)"><sup>\w+</sup> (.*?)</li>', board))
    used = set(re.findall(r'—<sup><a href="#(board-facts-[\w-]+)">', board))
    assert used == set(notes)
    assert "needs at least 2 stages, got 1" in notes.values()


def test_nothing_hostile_is_markup_or_leaves_its_attribute(text: str, made: ReportFiles) -> None:
    outside = re.sub(r"<(script|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    assert "<img" not in outside
    assert "javascript:" not in "".join(Page(text).values("href"))
    assert "\u202e" not in text
    twin = made.markdown.read_text(encoding="utf-8")
    assert "\u202e" not in twin
    assert not re.search(r"<(?!/?(details|summary|a)\b|br>)", re.sub(r"`[^`\n]*`", "", twin))
    assert not re.search(r"(?<!\\)\]\(javascript", twin)


def test_the_twin_has_the_same_rows_and_problems(made: ReportFiles) -> None:
    twin = made.markdown.read_text(encoding="utf-8")
    board = twin.split('<a id="board-math-to-code"></a>')[1]
    assert "; 2 of 6 seeds needed to rank**" in board
    assert "| learner | seeds | average accuracy, % ↑ ▼ |" in board
    assert "| FST | 2 of 3 (2 failed) | **85.9** [66.1, 105.8] |" in board
    assert "answers in a form; cut off: not measured by these runs" not in board
    problems = twin.split("## Problems")[1]
    assert "| `lost` | diverged | loss is NaN |" in problems
    assert "| `broken` | unreadable | broken/manifest.json is damaged" in problems
    assert str(made.contents.top) not in twin
    assert "![" not in twin  # made without figures


def test_no_folder_of_this_machine_is_named(text: str, made: ReportFiles) -> None:
    assert str(made.contents.top) not in decoded(text)


def test_the_same_tables_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_all(tmp_path / name / "runs")
    first, second = (
        report([tmp_path / name / "runs"], tmp_path / name / "out", figures=False)
        for name in ("one", "other")
    )
    assert first.html.read_bytes() == second.html.read_bytes()
    assert first.markdown.read_bytes() == second.markdown.read_bytes()


def test_figures_are_files_that_the_twin_shows(tmp_path: Path) -> None:
    for learner in ("rl", "fst"):
        write_run(tmp_path / "runs" / learner, learner=learner)
    done = report([tmp_path / "runs"], tmp_path / "out")
    names = sorted(path.name for path in done.figures)
    shown = list(FIGURES)
    wanted = ["leaderboard", *(f"board-math-to-code.{name}" for name in shown)]
    assert names == sorted(f"{name}.{kind}" for name in wanted for kind in ("png", "svg"))
    twin = done.markdown.read_text(encoding="utf-8")
    for name in shown:
        assert f"](figures/board-math-to-code.{name}.png)" in twin
    before = {path: path.read_bytes() for path in done.figures}
    again = report([tmp_path / "runs"], tmp_path / "out")
    assert {path: path.read_bytes() for path in again.figures} == before


def test_figures_of_an_earlier_page_are_removed_and_other_files_stay(tmp_path: Path) -> None:
    figures = tmp_path / "out" / "figures"
    write_run(tmp_path / "old" / "fst", stages=(("facts", 20),))
    assert report([tmp_path / "old"], tmp_path / "out").figures
    own = [figures / name for name in ("board.png", "board-1.accuracy.csv", "note-1.accuracy.png")]
    for path in own:
        path.touch()
    write_run(tmp_path / "new" / "fst")
    done = report([tmp_path / "new"], tmp_path / "out")
    assert {*figures.iterdir()} == {*done.figures, *own}
    report([tmp_path / "new"], tmp_path / "out", figures=False)
    assert {*figures.iterdir()} == {*own}


def test_the_first_figure_of_an_earlier_page_is_removed(tmp_path: Path) -> None:
    for learner in ("rl", "fst"):
        write_run(tmp_path / "runs" / learner, learner=learner)
    report([tmp_path / "runs"], tmp_path / "out")
    assert (tmp_path / "out" / "figures" / "leaderboard.png").exists()
    report([tmp_path / "runs" / "rl"], tmp_path / "out")
    assert not list((tmp_path / "out" / "figures").glob("leaderboard*"))


def test_a_run_without_rows_is_a_problem_and_hurts_no_other(tmp_path: Path) -> None:
    for learner in ("rl", "fst"):
        write_run(tmp_path / "runs" / learner, learner=learner)
    for name in ("commits", "tables"):
        rmtree(tmp_path / "runs" / "fst" / name)
    found = report([tmp_path / "runs"], tmp_path / "out", figures=False)
    (problem,) = found.contents.problems
    assert problem.reason.endswith("is done, but has no evaluation")
    assert [run.facts.learner for run in found.contents.runs] == ["rl"]


def test_what_does_not_fit_is_left_out_and_said(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs", 40, transcripts=2)
    done = report([tmp_path / "runs"], tmp_path / "out", figures=False)
    whole = done.html.stat().st_size
    assert "were left out" not in done.html.read_text(encoding="utf-8")
    cut = html(done.contents, limit=whole - 20_000)
    assert len(cut.encode()) <= whole - 20_000
    assert re.search(r"details of \d+ of 40 runs were left out", cut)
    assert '"left":["transcripts"]' in cut


def test_many_runs_are_counted_in_the_twin_and_not_listed(
    made: ReportFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cl_bench.report.page.markdown._MOST_RUNS", 10)
    assert "16 runs, listed in leaderboard.html." in markdown(blocks(made.contents, {}), "figures")


def test_runs_of_which_none_is_finished_have_a_report(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "a", status="running", last=10)
    write_run(tmp_path / "runs" / "b", status="running", last=-1, seed=1)
    done = report([tmp_path / "runs"], tmp_path / "out")
    assert done.figures == ()
    assert "0 of 2</summary>" in done.html.read_text(encoding="utf-8")


def test_a_trial_never_replaces_a_committed_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "runs" / "a")
    done = CliRunner().invoke(app, ["report", "runs", "--no-figures"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "results" / "report" / "leaderboard.html").is_file()
    assert not (tmp_path / "reports").exists()
    ignored = (Path(__file__).parents[3] / ".gitignore").read_text().splitlines()
    assert "results/*" in ignored
    assert "!results/report/" not in ignored


def test_the_command_refuses_a_folder_without_runs_in_one_line(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["report", str(tmp_path / "no"), "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert len(done.output.strip().splitlines()) == 1
    assert "There is no file or folder" in done.output


def test_every_asset_is_used_and_none_closes_its_element() -> None:
    folder = Path(page_html.__file__).parent / "assets"
    named = {f"{name}.js" for name in page_html.SCRIPTS} | {f"{n}.css" for n in page_html.STYLES}
    assert {path.name for path in folder.iterdir()} == named
    for path in folder.iterdir():
        content = path.read_text(encoding="utf-8")
        assert "</script" not in content
        assert "</style" not in content
        assert "<!--" not in content
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", content)


def test_hostile_texts_of_tables_are_carried_as_they_are(text: str) -> None:
    shown = decoded(text)
    assert "<img src=x" not in shown.split("<main>")[1]
    assert "\\u003cimg src=x onerror=" in shown
    assert hostile.MARKUP not in shown


def test_texts_that_do_not_compress_are_left_out_before_the_page_grows_too_large(
    tmp_path: Path,
) -> None:
    draw = random.Random(0)
    for seed in range(3):
        words = {"response": draw.randbytes(20_000).hex()}  # 12 of them, too far apart to be zipped
        made: dict[str, Any] = {"transcripts": 1, "accuracy": lambda *_: 1.0, "words": words}
        write_run(tmp_path / "runs" / str(seed), seed=seed, **made)
    done = report([tmp_path / "runs"], tmp_path / "out", figures=False)
    cut = html(done.contents, limit=900_000)
    assert len(cut.encode()) < 900_000 < done.html.stat().st_size
    kept = re.findall(r'id="part-(\d)-(\w+)"', cut)
    assert [name for _, name in kept].count("transcripts") == 2
    assert [name for _, name in kept].count("core") == 3
    assert "details of 1 of 3 runs were left out" in cut


def test_runs_of_which_none_can_be_read_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    with pytest.raises(RunDirectoryError, match="There is no file or folder"):
        report([runs], tmp_path / "out")
    runs.mkdir()
    with pytest.raises(RunDirectoryError, match="There is no run at or below"):
        report([runs], tmp_path / "out")
    write_run(runs / "b")
    (runs / "b" / "tables").rename(tmp_path / "tables")
    with pytest.raises(RunDirectoryError, match=r"None of the runs can be read"):
        report([runs], tmp_path / "out")
    (runs / "b" / "manifest.json").unlink()
    (runs / "a").mkdir(parents=True)
    (runs / "a" / "manifest.json").write_text("{")
    with pytest.raises(RunDirectoryError, match=r"None of the runs can be read: .*manifest\.json"):
        report([runs], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_says_what_it_wrote_and_names_the_problems(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "a")
    options = [str(tmp_path / "runs"), "--out", str(tmp_path / "out"), "--no-figures"]
    done = CliRunner().invoke(app, ["report", *options])
    assert done.exit_code == 0, done.output
    assert "1 run on 1 board, 0 problems, 0 figure files." in done.output
    assert str(tmp_path / "out" / "leaderboard.html") in done.output
    assert "Beside it: leaderboard.md, leaderboard.csv, leaderboard.tex" in done.output
    assert "Stream math-to-code, model embedded" in done.output
    assert all((tmp_path / "out" / f"leaderboard.{kind}").is_file() for kind in ("csv", "tex"))
    assert not (tmp_path / "out" / "figures").exists()
    for number in range(12):
        (tmp_path / "runs" / f"b{number:02d}").mkdir()
        (tmp_path / "runs" / f"b{number:02d}" / "manifest.json").write_text("{")
    done = CliRunner().invoke(app, ["report", *options])
    assert "12 problems" in done.output
    assert "b00: unreadable: " in done.output
    assert "and 2 more, all on the page" in done.output
