"""The suite from Python: what it shows, where a run goes when nobody says, what a call refuses."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import cl_bench
from cl_bench import run_options
from cl_bench.api import default_out
from cl_bench.contract.errors import RunDirectoryError, UsageError
from cl_bench.tools.settings_page import types
from tests.report.synthetic_runs import flat, write_run

TWO = (("rl", 0.5), ("fst", 0.75))

# `report` is a function and a package, whichever is asked for first; and what is loaded by then.
IMPORTS = """
import importlib, sys
import cl_bench
for name in sys.argv[1:]:
    importlib.import_module(name)
for name in cl_bench.__all__:
    getattr(cl_bench, name)
import cl_bench.report.terminal as terminal
from cl_bench import report
assert callable(report) and report is cl_bench.report and report.terminal is terminal
print(*dir(cl_bench))
print(*sorted({"torch", "transformers", "trl", "pandas", "matplotlib", "tqdm"} & set(sys.modules)))
"""
HOSTILE = "<script>alert(1)</script>&"


@pytest.mark.parametrize("first", [[], ["cl_bench.report.page.build", "cl_bench.api"]])
def test_the_package_shows_what_is_public_and_nothing_else(first: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, *first], capture_output=True, text=True, check=True
    )
    names, *loaded = done.stdout.split("\n")
    assert names.split() == cl_bench.__all__ == dir(cl_bench)
    assert [name for name in names.split() if not name.startswith("_")] == [
        *("Run", "check_learner", "check_task", "compare", "metrics", "report", "resume", "run")
    ]
    if not first:  # the page's code reads frames
        assert loaded == ["", ""]


def test_the_types_of_settings_are_made_from_the_settings() -> None:
    found = Path(run_options.__file__).read_text(encoding="utf-8")
    assert found == types(), "see the head of cl_bench/run_options.py"


def test_shells_complete_every_setting_by_its_name() -> None:
    shown = inspect.signature(cl_bench.run).parameters
    assert {"stream", "out", "eval_every", "items", "population", "learner_options"} <= set(shown)
    assert all(of.kind is not of.VAR_KEYWORD for of in shown.values())


@pytest.mark.parametrize(
    ("given", "meant"),
    [("step", "steps"), ("learner_rate", "learning_rate"), ("ouput", "out"), ("itmes", "items")],
)
def test_a_wrong_name_is_answered_with_the_nearest(given: str, meant: str) -> None:
    options: dict[str, Any] = {given: 1}
    with pytest.raises(UsageError, match=rf"Unknown setting '{given}'. Did you mean '{meant}'"):
        cl_bench.run("math", "rl", **options)


class Cells(HTMLParser):
    """The texts of table cells; every tag that is opened has to be closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: object) -> None:
        assert tag in (*("div", "code", "details", "summary", "style", "table", "tr", "th", "td"),)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "td":
            self.cells.append(data)


def test_a_notebook_shows_the_numbers_of_the_terminal(packed_run: Path) -> None:
    run = cl_bench.Run(packed_run)
    cells = Cells(run._repr_html_()).cells
    assert {"62.5 % (50.0 %)", "+12.5 points", "0.003 nats", "3,843"} <= set(cells)
    for cell in cells:
        assert " ".join(cell.split()) in " ".join(run.summary().text().split())
    assert repr(run.summary()) == run.summary().text()


def test_a_notebook_shows_a_comparison(tmp_path: Path) -> None:
    sides = [write_run(tmp_path / name, learner=name, accuracy=flat(share)) for name, share in TWO]
    found = cl_bench.compare(cl_bench.Run(sides[0]), sides[1])
    assert "+25.0 points" in Cells(found._repr_html_()).cells
    assert repr(found) == found.text()
    again = cl_bench.compare(tmp_path, learners=("rl", "fst"))
    assert again.seeds == found.seeds
    with pytest.raises(UsageError, match="is one side of a comparison; give the other, too"):
        cl_bench.compare(sides[0])


def test_names_in_a_notebook_are_text(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", learner=HOSTILE, stages=((HOSTILE, 20),))
    shown = cl_bench.Run(path)._repr_html_()
    assert "&lt;script&gt;" in shown
    assert "<script" not in shown


def test_a_packed_run_is_a_run_to_which_nothing_is_added(packed_run: Path, tmp_path: Path) -> None:
    run = cl_bench.Run(packed_run)
    assert (run.status, run.path) == ("done", packed_run)
    with pytest.raises(UsageError, match=r"is a packed run.*Give a folder for its figures"):
        run.write_figures()
    written = run.write_figures(tmp_path / "figures")
    assert {file.parent for file in written} == {tmp_path / "figures"}


def test_of_several_runs_one_has_to_be_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_run(tmp_path / name)
    with pytest.raises(RunDirectoryError, match=r"holds 2 runs.*/a, .*/b\."):
        cl_bench.Run(tmp_path)


def test_a_report_is_made_of_runs_paths_and_packs(packed_run: Path, tmp_path: Path) -> None:
    run = cl_bench.Run(write_run(tmp_path / "run"))
    made = cl_bench.report(run, str(packed_run), out=tmp_path / "out", figures=False)
    assert made.html.read_text().startswith("<!")
    assert len(made.contents.runs) == 2
    assert len(repr(made)) < 400
    with pytest.raises(UsageError, match="is given no runs"):
        cl_bench.report()
    with pytest.raises(UsageError, match="is given no runs"):
        cl_bench.report([], out=tmp_path / "out")


def test_figures_of_a_run_at_a_url_need_a_folder(tmp_path: Path) -> None:
    run = cl_bench.Run(write_run(tmp_path / "run").as_uri())
    with pytest.raises(UsageError, match=r"is read from a copy\. Give a folder"):
        run.write_figures()
    assert run.write_figures(tmp_path / "figures")


def test_a_report_takes_a_list_of_runs(tmp_path: Path) -> None:
    runs = [cl_bench.Run(write_run(tmp_path / name, learner=name)) for name in ("rl", "fst")]
    made = cl_bench.report(runs, out=tmp_path / "out", figures=False)
    assert {run.facts.learner for run in made.contents.runs} == {"rl", "fst"}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda api, run: api.Run(None), "path is None, but must be a text"),
        (lambda api, run: api.compare(run, learners="rl,fst"), "must be two names, such as"),
        (lambda api, run: api.compare(run, run, settings="a=3"), "settings is 'a=3', but must be"),
        (lambda api, run: api.compare(None, run), "run is None, but must be a text"),
        (lambda api, run: api.report(run, jobs=0), "jobs is 0, but must be at least 1"),
        (lambda api, run: api.report(run, jobs="a"), "jobs is 'a', but must be a whole number"),
        (lambda api, run: api.report(run, out=run / "manifest.json"), "is a file. Give a folder"),
        (lambda api, run: api.run(progress="x"), "progress is 'x', but must be True, False or"),
        (lambda api, run: api.run(track=3), "track is 3, but must be the name of a tracker"),
    ],
)
def test_wrong_arguments_are_refused_in_words_and_nothing_is_made(
    call: Callable[[Any, Path], object], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=re.escape(said)):
        call(cl_bench, run)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(
    ("stream", "learner", "name"),
    [
        ("math-to-code", "fst", "math-to-code-fst-3"),
        ("math-to-acme/toy", "acme/bandit", "math-to-acme_toy-acme_bandit-3"),
        ("../../etc", "a b\x00", ".._.._etc-a_b_-3"),
        ("x" * 500, "rl", f"{'x' * 90}-rl-3"),
    ],
)
def test_a_runs_folder_is_one_safe_name_below_results(
    stream: str, learner: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = default_out(stream, learner, 3)
    assert out == Path("results") / name
    out.mkdir(parents=True)
    assert default_out(stream, learner, 3) == Path("results") / f"{name}.2"


@pytest.mark.parametrize("given", [3, "population=8", None])
def test_a_learners_options_have_to_be_a_mapping(given: object) -> None:
    with pytest.raises(UsageError, match=r"learner_options is .*, but must be a mapping"):
        cl_bench.run(learner_options=given)  # type: ignore[arg-type]
