"""The command line: fast help, one-line errors with exit code 2, a whole small run."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cl_bench.api import Run
from cl_bench.cli.app import app
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


def test_list_names_everything_with_one_line_each() -> None:
    code, out, _ = call("list")
    assert code == 0
    for name in ("math-to-code", "paper", "star-graph", "fst", "embedded", "bwt_gem"):
        assert any(line.strip().startswith(name) for line in out.splitlines()), name


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
