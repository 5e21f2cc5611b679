"""The commands `check` and `reference`: output, exit codes, files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from cl_bench.cli.app import app
from cl_bench.gate.policy import default_policy_text

from .gate_runs import noisy_run, noisy_runs

POLICY = "version = 1\n[metrics.average_accuracy]\ntolerance = 0.05\n"


def call(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests may themselves be a step of a workflow."""
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reference, and candidates that come to every exit code."""
    home = tmp_path_factory.mktemp("check")
    (home / "policy.toml").write_text(POLICY)
    noisy_runs(home / "same", 4, items=32)
    noisy_runs(home / "worse", 4, items=32, noise=1, drop=0.3)
    noisy_runs(home / "other", 4, items=32, stream={"version": "2"})
    noisy_run(home / "few" / "0", items=32, noise=1)
    code, out, err = call(
        "reference", "record", home / "same", "--policy", home / "policy.toml",
        "--out", home / "reference",
    )  # fmt: skip
    assert code == 0, err
    assert "4 runs" in out
    return home


@pytest.mark.parametrize(
    ("candidate", "code", "last"),
    [
        ("same", 0, "PASS: 2 checks, 2 pass"),
        ("worse", 1, "REGRESS: 2 checks, 1 pass, 1 regress"),
        ("few", 3, "INCONCLUSIVE: 2 checks, 2 inconclusive"),
    ],
)
def test_the_verdict_is_the_last_line_and_the_exit_code(
    candidate: str, code: int, last: str, home: Path
) -> None:
    found, out, err = call("check", home / candidate, "--against", home / "reference")
    assert (found, out.splitlines()[-1], err) == (code, last, "")


def test_what_cannot_be_compared_is_exit_code_2_and_one_line(home: Path) -> None:
    code, out, err = call("check", home / "other", "--against", home / "reference")
    assert (code, out) == (2, "")
    assert "stream version 2 against 1" in " ".join(err.split())
    assert err.count("\n") == 1


def test_a_candidate_and_a_reference_are_needed(home: Path) -> None:
    for words in (["check"], ["check", home / "same"], ["check", "--against", home / "same"]):
        code, _, err = call(*words)
        assert code == 2
        assert "cl-bench check RUN --against REFERENCE" in " ".join(err.split())
    code, _, err = call("check", home / "nowhere", "--against", home / "reference")
    assert code == 2
    assert "There is no file or folder" in err


def test_json_is_all_that_is_printed(home: Path) -> None:
    code, out, err = call("check", home / "worse", "--against", home / "reference", "--json")
    found = json.loads(out, parse_constant=pytest.fail)
    assert (code, err) == (1, "")
    assert (found["verdict"], found["exit_code"]) == ("regress", 1)
    code, out, _ = call("check", home / "other", "--against", home / "reference", "--json")
    found = json.loads(out)
    assert (code, found["verdict"]) == (2, "error")
    assert found["differences"] == ["fst on math-to-code: stream version 2 against 1"]


def test_junit_is_written_also_when_nothing_can_be_compared(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "new" / "junit.xml"
    options: list[str | Path] = ["--against", home / "reference", "--junit", file]
    assert call("check", home / "worse", *options)[0] == 1
    assert ET.parse(file).getroot().get("failures") == "1"
    assert call("check", home / "other", *options)[0] == 2
    assert ET.parse(file).getroot().get("errors") == "1"


def test_a_place_where_no_junit_can_be_written_is_named_before_anything_is_checked(
    home: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    for target in (tmp_path, tmp_path / "file" / "junit.xml"):
        code, out, err = call(
            "check", home / "same", "--against", home / "reference", "--junit", target
        )
        assert (code, out) == (2, "")
        assert f"--junit {target}" in " ".join(err.split())
        assert ".tmp" not in err.replace(str(tmp_path), "")


def test_on_github_it_annotates_and_summarises(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    code, out, _ = call("check", home / "worse", "--against", home / "reference")
    lines = out.splitlines()
    assert code == 1
    assert lines[0].startswith("::stop-commands::")
    assert lines[-2] == f"::{lines[0].removeprefix('::stop-commands::')}::"
    assert lines[-1].startswith("::error title=cl-bench check%3A regress::fst on math-to-code")
    code, out, _ = call("check", home / "other", "--against", home / "reference")
    assert code == 2
    assert out.startswith("::error title=cl-bench check%3A error::Candidate and reference cannot")
    summary = (tmp_path / "summary.md").read_text()
    assert summary.index("check: regress") < summary.index("check: error")
    _, out, err = call("check", home / "worse", "--against", home / "reference", "--json")
    assert json.loads(out)["verdict"] == "regress"
    assert err.startswith("::error title=")


def test_the_default_policy_can_be_printed_and_used(home: Path, tmp_path: Path) -> None:
    code, out, _ = call("check", "--print-policy")
    assert (code, out) == (0, default_policy_text())
    (tmp_path / "policy.toml").write_text(out)
    code, out, _ = call(
        "check", home / "same", "--against", home / "same", "--policy", tmp_path / "policy.toml"
    )
    assert code == 0


def test_a_hostile_learner_is_printed_harmlessly(tmp_path: Path) -> None:
    run = noisy_run(tmp_path / "run", learner="\x1b[2J::error::x\n")
    code, out, err = call("check", run, "--against", run)
    assert code == 0, err
    assert "\x1b" not in out
    assert r"\x1b[2J::error::x\n on math-to-code: 1 of 1 seeds, identical" in out


def test_an_existing_reference_is_replaced_when_asked_for(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "reference", tmp_path / "kept")
    words = ("reference", "record", home / "same", "--out", tmp_path / "kept")
    code, _, err = call(*words)
    assert code == 2
    assert "--replace" in err
    assert call(*words, "--replace")[0] == 0
    assert (tmp_path / "kept" / "policy.toml").read_text() == POLICY


def test_a_bug_is_no_verdict(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1 says that it got worse, which a crash does not know."""

    def broken(*_: object, **__: object) -> None:
        raise ValueError("out of range")

    monkeypatch.setattr("cl_bench.gate.regression.check", broken)
    junit = tmp_path / "junit.xml"
    code, out, err = call(
        "check", home / "same", "--against", home / "same", "--json", "--junit", junit
    )
    assert code == 2
    assert "unexpected ValueError: out of range. This is a bug" in " ".join(err.split())
    assert json.loads(out)["verdict"] == "error"
    assert ET.parse(junit).getroot().get("errors") == "1"


def test_no_text_is_an_old_command_of_the_runner(home: Path, tmp_path: Path) -> None:
    """GitHub's runner obeys `##[command]` wherever it stands in a line of a step's output."""
    evil = "##[set-env name=PATH]/tmp"
    noisy_runs(tmp_path / "evil", 4, items=4, stream={"version": evil})
    wrong = call("check", tmp_path / "evil", "--against", home / "same", "--json")
    assert wrong[0] == 2
    assert "##[" not in wrong[1] + wrong[2]
    assert evil in json.loads(wrong[1])["error"]
