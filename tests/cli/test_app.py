"""The command line: fast help, one-line errors with exit code 2, a whole small run."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from cl_bench.api import Run
from cl_bench.cli import console
from cl_bench.cli.app import app
from cl_bench.cli.console import echo_wrapped
from tests.report.synthetic_runs import write_run

SMALL = (
    *("--steps", "2", "--eval-every", "2", "--problems-per-step", "2", "--group-size", "2"),
    *("--items", "2", "--samples", "2"),
    *("--max-new-tokens", "6", "--setting", "easy", "--retention-items", "2"),
)
ROUNDS = ("--proposals", "1", "--population", "2")


def call(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


def test_help_and_list_import_no_torch() -> None:
    script = (
        "import sys; from typer.testing import CliRunner; from cl_bench.cli.app import app\n"
        "for words in (['--help'], ['run', '--help'], ['reproduce', '--help'], ['list']):\n"
        "    assert CliRunner().invoke(app, words).exit_code == 0\n"
        "print([m for m in ('torch', 'transformers', 'trl', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


VERBS = [
    (),
    *((name,) for name in ("run", "sweep", "plasticity", "reproduce", "calibrate", "list", "show")),
    *((name,) for name in ("compare", "report", "metrics", "doctor", "selftest", "check")),
    *((name,) for name in ("submit", "track", "export", "new", "model", "reference", "results")),
    *(("model", name) for name in ("get", "eval", "train")),
    *(("results", "verify"), ("results", "pack"), ("reference", "record"), ("new", "task")),
]


def test_help_is_as_wide_as_the_terminal_and_breaks_no_word() -> None:
    for verb in VERBS:
        wide, narrow = (
            CliRunner(env={"COLUMNS": width}).invoke(app, [*verb, "--help"]).stdout
            for width in ("120", "80")
        )
        assert max(map(len, narrow.splitlines())) <= 80, verb
        assert narrow.split() == wide.split(), verb


def test_help_of_a_very_narrow_terminal_has_what_options_mean_below_them() -> None:
    page = CliRunner(env={"COLUMNS": "28"}).invoke(app, ["run", "--help"]).stdout
    assert "\n  --seed N\n    Seed of the conventions," in page


def test_help_has_every_verb_and_option_under_a_heading() -> None:
    def headings(*verb: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for line in call(*verb, "--help")[1].splitlines():
            if line.endswith(":") and not line.startswith(" "):
                title = line.removesuffix(":")
                found[title] = []
            elif line.startswith("  ") and line[2] != " ":
                found[title].append(line.split()[0])
        return found

    verbs = headings()
    assert [*verbs] == ["Learn", "Look", "Check", "Share", "Extend", "Options"]
    assert {(name,) for under in verbs.values() for name in under} >= {
        verb for verb in VERBS if len(verb) == 1
    }
    options = headings("run")
    assert "Options" not in options
    assert options["What is run"][:3] == ["--stream", "--learner", "--model"]
    assert "--replay-share" in options["Settings of rl-replay"]
    assert [*options][-1] == "Output"
    assert "Options" not in headings("sweep")


def test_list_names_everything_with_one_line_each() -> None:
    code, out, _ = call("list")
    assert code == 0
    for name in ("math-to-code", "paper", "star-graph", "fst", "embedded", "bwt_gem"):
        assert any(line.strip().startswith(name) for line in out.splitlines()), name


def test_list_takes_one_kind_and_prints_json() -> None:
    kinds = ("streams", "tasks", "learners", "models", "presets", "reflection-lms", "metrics")
    everything = call("list")[1].splitlines()
    for kind in (*kinds, "statistics"):
        code, out, _ = call("list", kind)
        assert code == 0
        assert {line.split()[0] for line in out.splitlines()} <= {
            line.split()[0] for line in everything
        }
        entries = [json.loads(line) for line in call("list", kind, "--json")[1].splitlines()]
        assert {entry["kind"] for entry in entries} == {kind}
        assert all(entry["name"] and entry["summary"] for entry in entries)
    assert "Unknown kind of name 'taks'. Did you mean 'tasks'?" in call("list", "taks")[2]
    settings = [
        json.loads(line) for line in call("list", "learners", "rl", "--json")[1].splitlines()
    ]
    assert {"name", "default", "summary", "allowed"} == settings[0].keys()


def test_on_a_terminal_lines_are_wrapped_by_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "Console", lambda: Console(force_terminal=True, width=40))
    text = "  name    one two three four five six seven\n  hash    " + "f" * 36 + "\n  short   line"
    echo_wrapped(text)
    assert capsys.readouterr().out.splitlines() == [
        "  name    one two three four five six",
        "          seven",
        "  hash",
        "    " + "f" * 36,
        "  short   line",
    ]


def test_a_run_prints_its_summary_and_says_where_its_files_are(
    tiny_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    code, stdout, stderr = call(
        "run", "--learner", "fst", "--model", str(tiny_model), "--out", str(out), *SMALL, *ROUNDS
    )
    assert code == 0, stderr
    for part in ("average_accuracy", "rollouts", str(out)):
        assert part in stdout
    assert "step 4/4" in stderr
    assert {p.name for p in out.iterdir()} >= {"manifest.json", "tables", "figures", "summary.txt"}


def test_quiet_prints_the_summary_only(tiny_model: Path, tmp_path: Path) -> None:
    code, stdout, stderr = call(
        "run", "--quiet", "--learner", "rl", "--model", str(tiny_model),
        "--out", str(tmp_path / "run"), *SMALL,
    )  # fmt: skip
    assert code == 0
    assert stderr == ""
    assert "average_accuracy" in stdout


def test_probes_can_be_left_out_and_stage_models_kept(tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = ("--no-probes", "--keep-stage-models", "--stream", "math", "--learner", "rl")
    code, _, stderr = call("run", *SMALL, *options, "--model", str(tiny_model), "--out", str(out))
    assert code == 0, stderr
    rows = Run(out).table("evaluations")
    assert set(rows["test_set"]) == {"stream", "retention"}
    assert set(rows["weights"]) == {"trained"}
    assert [folder.name for folder in (out / "models").iterdir()] == ["stage-1"]


def test_ctrl_c_before_anything_is_written_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cl_bench.api.start", interrupted)
    code, _, stderr = call("run", "--out", str(tmp_path / "run"))
    assert code == 130
    assert "interrupted. Nothing was written." in " ".join(stderr.split())


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("run",), "openai:MODEL[@URL] or litellm:NAME[@URL]"),
        (("submit",), "[STREAM-LEARNER-SEED.zip]"),
        (("results", "verify"), "[results]"),
        (("new", "task"), "[./PACKAGE]"),
    ],
)
def test_brackets_in_help_are_shown(command: tuple[str, ...], words: str) -> None:
    _, shown, _ = call(*command, "--help")
    assert words in " ".join(shown.replace("│", " ").split())


def test_the_version_is_that_of_the_package() -> None:
    assert call("--version") == (0, f"cl-bench {version('cl-bench')}\n", "")


def test_show_draws_figures_into_a_folder(tmp_path: Path) -> None:
    run = str(write_run(tmp_path / "run", items=0, probes=False, texts=()))
    code, shown, _ = call("show", run, "--figures", str(tmp_path / "out"))
    assert code == 0
    drawn = sorted((tmp_path / "out").iterdir())
    assert f"{len(drawn)} figure files: {tmp_path / 'out'}" in shown
    assert "accuracy.png" in {path.name for path in drawn}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "{run}", "--figure-style", "one-column"), "add --figures FOLDER"),
        (("show", "{run}", "--figures", "{out}", "--figure-style", "wide"), "Known: one-column,"),
        (("report", "{run}", "--out", "{out}", "--figure-style", "wide"), "Known: one-column,"),
        (("run", "--out", "{out}", "--figure-style", "wide"), "Known: one-column,"),
    ],
)
def test_a_figure_style_that_cannot_be_is_refused_before_anything_is_made(
    arguments: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    run = write_run(tmp_path / "run", items=0, probes=False, texts=())
    places = {"run": str(run), "out": str(tmp_path / "out")}
    code, _, said = call(*(argument.format(**places) for argument in arguments))
    assert code == 2
    assert words in " ".join(said.split())
    assert not (tmp_path / "out").exists()
