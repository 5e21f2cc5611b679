"""The GitHub Action and the hook: their steps, run here as the scripts they are."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml

from .gate_runs import noisy_run, noisy_runs

ROOT = Path(__file__).parents[2]
ACTION: Mapping[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
POLICY = "version = 1\n[metrics.average_accuracy]\ntolerance = 0.05\n"
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


def evaluated(text: str, inputs: Mapping[str, str]) -> str:
    """What GitHub makes of `${{ inputs.NAME }}`."""

    def value(found: re.Match[str]) -> str:
        kind, _, name = found[1].partition(".")
        assert kind == "inputs", f"{found[0]} is not expected here"
        return inputs[name]

    return EXPRESSION.sub(value, text)


class Job:
    """The action, used with some inputs in a workspace."""

    def __init__(self, home: Path, given: Mapping[str, str]) -> None:
        known = ACTION["inputs"]
        assert given.keys() <= known.keys()
        required = {name for name, entry in known.items() if entry.get("required")}
        assert required <= given.keys()
        self.inputs = {name: str(e.get("default", "")) for name, e in known.items()} | dict(given)
        self._home = home
        self.output, self.summary = home / "output.txt", home / "summary.md"
        self.output.touch()

    def step(self, number: int, path: Path | None = None) -> CompletedProcess[str]:
        step = ACTION["runs"]["steps"][number]
        assert step["shell"] == "bash"
        given = {name: evaluated(text, self.inputs) for name, text in step["env"].items()}
        assert not EXPRESSION.search(step["run"]), "an input in the script could be a command"
        tools = [str(path)] if path else []
        faked = {
            "PATH": os.pathsep.join([*tools, str(Path(sys.executable).parent), os.environ["PATH"]]),
            "GITHUB_ACTIONS": "true",
            "GITHUB_OUTPUT": str(self.output),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_ACTION_PATH": str(ROOT),
        }
        # as GitHub calls a step's script
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]],
            cwd=self._home,
            env={**os.environ, **faked, **given},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("workspace")
    (home / "policy.toml").write_text(POLICY)
    noisy_runs(home / "the reference", 4)
    noisy_runs(home / "worse", 4, noise=1, drop=0.5)
    noisy_run(home / "few", noise=1)
    return home


@pytest.mark.parametrize(
    ("candidate", "more", "code", "verdict"),
    [
        ("the reference/0\nthe reference/1\n\n  the reference/2\nthe reference/3", {}, 0, "pass"),
        ("worse", {}, 1, "regress"),
        ("few", {}, 3, "inconclusive"),
        ("few", {"inconclusive": "warn"}, 0, "inconclusive"),
        ("$(touch owned); `touch owned`", {}, 2, "error"),
        ("--print-policy", {}, 2, "error"),
        ("", {}, 2, "error"),
        ("worse", {"reference": ""}, 2, "error"),
    ],
)
def test_the_step_checks_and_says_what_came_of_it(
    candidate: str, more: dict[str, str], code: int, verdict: str, home: Path
) -> None:
    inputs = {
        "candidate": candidate,
        "reference": "the reference",
        "policy": "policy.toml",
        "verify": "false",
        **more,
    }
    job = Job(home, inputs)
    job.output.write_text("")
    done = job.step(1)
    assert done.returncode == code, done.stdout + done.stderr
    assert job.output.read_text() == f"verdict={verdict}\n"
    commands = {0: "::notice", 1: "::error", 2: "::error", 3: "::warning"}
    expected = "::warning" if verdict == "inconclusive" else commands[code]
    assert expected in done.stdout
    assert f"cl-bench check: {verdict}" in job.summary.read_text()
    assert not (home / "owned").exists()


def test_the_step_writes_junit_where_it_is_told(home: Path) -> None:
    inputs = {"candidate": "worse", "reference": "the reference", "junit": "out/junit.xml"}
    inputs["verify"] = "false"
    assert Job(home, inputs).step(1).returncode == 1
    assert (home / "out" / "junit.xml").read_text().count("<failure") >= 1


def test_the_step_verifies_the_runs_unless_it_is_told_not_to(home: Path) -> None:
    """These were never made, and it shows."""
    job = Job(home, {"candidate": "worse", "reference": "the reference"})
    done = job.step(1)
    assert done.returncode == 2
    assert "is not what it says of itself" in done.stdout


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"inconclusive": "warning"}, "inconclusive must be fail or warn"),
        ({"verify": "no"}, "verify must be true or false"),
    ],
)
def test_a_mistyped_input_is_an_error(given: dict[str, str], said: str, home: Path) -> None:
    job = Job(home, {"candidate": "worse", "reference": "the reference", **given})
    job.output.write_text("")
    done = job.step(1)
    assert done.returncode == 2
    assert done.stdout == f"::error title=cl-bench check%3A error::Input {said}.\n"
    assert job.output.read_text() == "verdict=error\n"


@pytest.mark.parametrize(
    ("version", "installed"), [("", str(ROOT)), ("cl-bench==0.1.0", "cl-bench==0.1.0")]
)
def test_the_step_before_installs_what_is_asked_for(
    version: str, installed: str, home: Path, tmp_path: Path
) -> None:
    """With a python on the path that only says how it was called."""
    (tmp_path / "python").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "python").chmod(0o755)
    job = Job(home, {"candidate": "a", "reference": "b", "version": version})
    done = job.step(0, tmp_path)
    assert done.stdout.splitlines() == ["-m", "pip", "install", installed]
    assert ACTION["runs"]["steps"][0]["if"] == "${{ inputs.version != 'none' }}"


def test_the_outputs_are_those_of_the_step() -> None:
    (value,) = (each["value"] for each in ACTION["outputs"].values())
    assert value == f"${{{{ steps.{ACTION['runs']['steps'][1]['id']}.outputs.verdict }}}}"


def test_the_hook_runs_the_same_command(home: Path) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert (hook["language"], hook["pass_filenames"]) == ("system", False)
    entry = str(Path(sys.executable).parent / hook["entry"]).split()
    arguments = ["worse", "--against", "the reference", "--policy", "policy.toml"]
    done = subprocess.run(
        [*entry, *arguments], cwd=home, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "REGRESS" in done.stdout
