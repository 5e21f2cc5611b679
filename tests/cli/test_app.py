"""The command line: fast help, one-line errors with exit code 2, a whole small run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from inspect import signature
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cl_bench.api import Run
from cl_bench.cli import app as cli
from cl_bench.cli.app import app
from cl_bench.cli.run import run
from cl_bench.execution.settings import RunConfig
from cl_bench.tools.embedded.corpus import TrainingConfig

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


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["run", "--stream", "mth-to-code"], "Did you mean 'math'"),
        (["run", "--learner", "fast"], "Known: fst, fst-distill, prompt"),
        (["run", "--steps", "0"], "steps is 0, but must be at least 1"),
        (["run", "--setting", "medium"], "Known: default, easy, hard"),
        (["run", "--boundaries", "visible"], "announced, hidden"),
        (["run", "--resume", "nowhere"], "nowhere"),
        (["run", "--resume", "nowhere", "--steps", "9"], "--steps cannot go with --resume"),
        (["run", "--group-size", "1"], "at least 2"),
        (
            ["run", "--learner", "rl-replay", "--replay-share", "1"],
            "replay_share is 1.0, but must be at least 0",
        ),
        (
            ["run", "--learner", "rl-kl", "--kl-beta", "-1"],
            "kl_beta is -1.0, but must be at least 0",
        ),
        (["run", "--learner", "rl", "--population", "2"], "population is not a setting of rl"),
        (["model", "eval", "--n", "0"], "at least 1"),
        (["model", "eval", "--model", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(
    arguments: list[str], hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = call(*arguments)
    assert code == 2
    assert out == ""
    assert hint in " ".join(err.split())
    assert "Traceback" not in err


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


def test_an_existing_directory_is_refused_and_left_alone(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    code, _, stderr = call("run", "--model", str(tiny_model), "--out", str(tmp_path), *SMALL)
    assert code == 2
    assert "--out" in stderr
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_ctrl_c_before_anything_is_written_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cl_bench.api.run", interrupted)
    code, _, stderr = call("run", "--out", str(tmp_path / "run"))
    assert code == 130
    assert "interrupted. Nothing was written." in " ".join(stderr.split())


def test_the_options_defaults_are_those_of_the_python_configurations() -> None:
    def defaults(function: Callable[..., object]) -> dict[str, object]:
        return {name: item.default for name, item in signature(function).parameters.items()}

    config = RunConfig()
    for owner in (config, config.learning, config.evaluation):
        for name in defaults(run).keys() & vars(owner).keys():
            assert defaults(run)[name] == getattr(owner, name), name
    for name in defaults(cli.model_train).keys() & vars(TrainingConfig()).keys():
        assert defaults(cli.model_train)[name] == getattr(TrainingConfig(), name), name


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
