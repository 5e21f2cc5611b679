"""The gate as a plug-in of pytest."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from cl_bench.gate.reference import record
from cl_bench.gate.regression import check
from cl_bench.gate.write_text import text

from .gate_runs import noisy_run, noisy_runs

pytest_plugins = ["pytester"]

OWN = """
import pytest

def test_my_trainer(cl_bench_gate):
    report = cl_bench_gate({candidate!r})
    assert report.verdict in ("pass", "inconclusive")
"""
POLICY = "version = 1\n[metrics.average_accuracy]\ntolerance = 0.05\n"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reference, the runs in it, worse ones, and a single one that decides nothing."""
    home = tmp_path_factory.mktemp("gate")
    (home / "policy.toml").write_text(POLICY)
    same = noisy_runs(home / "same", 4)
    noisy_runs(home / "worse", 4, noise=1, drop=0.5)
    record([same], home / "reference", policy=home / "policy.toml")
    noisy_run(home / "few" / "0", noise=1)
    record([home / "same" / "0"], home / "single", policy=home / "policy.toml")
    # Sessions inside this process forget what they import, and numpy cannot be imported twice.
    text(check([home / "few"], home / "single"))
    return home


def test_it_is_installed_as_a_plug_in() -> None:
    (found,) = (each for each in entry_points(group="pytest11") if each.name == "cl_bench")
    assert found.value == "cl_bench.gate.pytest_plugin"


def test_a_test_of_a_lab_passes_and_fails_with_its_runs(
    pytester: pytest.Pytester, folders: Path
) -> None:
    option = f"--cl-bench-reference={folders / 'reference'}"
    pytester.makepyfile(OWN.format(candidate=str(folders / "same")))
    pytester.runpytest(option).assert_outcomes(passed=1)
    pytester.makepyfile(OWN.format(candidate=str(folders / "worse")))
    result = pytester.runpytest(option)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*average_accuracy*regress", "*REGRESS: 2 checks*"])


def test_without_a_reference_the_test_is_skipped(pytester: pytest.Pytester, folders: Path) -> None:
    pytester.makepyfile(OWN.format(candidate=str(folders / "same")))
    result = pytester.runpytest("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*no reference to hold the candidate against*"])


def test_two_options_are_a_test_of_their_own(pytester: pytest.Pytester, folders: Path) -> None:
    reference, candidate = f"--cl-bench-reference={folders / 'reference'}", "--cl-bench-candidate"
    result = pytester.runpytest(reference, candidate, str(folders / "same"), "-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*cl-bench-check*PASSED*"])
    result = pytester.runpytest(reference, candidate, str(folders / "worse"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*REGRESS: 2 checks, 1 pass, 1 regress*"])
    result.stdout.no_fnmatch_line("*pytest_plugin.py*")


def test_a_candidate_without_a_reference_is_a_usage_error(
    pytester: pytest.Pytester, folders: Path
) -> None:
    result = pytester.runpytest("--cl-bench-candidate", str(folders / "same"))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--cl-bench-candidate needs --cl-bench-reference DIR*"])


def test_no_selection_of_other_tests_leaves_the_gate_out(
    pytester: pytest.Pytester, folders: Path
) -> None:
    pytester.makepyfile(
        "import pytest\n@pytest.mark.slow\ndef test_foo(): pass\ndef test_bar(): pass"
    )
    pytester.makeini("[pytest]\nmarkers = slow")
    options = [
        f"--cl-bench-reference={folders / 'reference'}",
        f"--cl-bench-candidate={folders / 'worse'}",
    ]
    for selection in (["-k", "foo"], ["-m", "slow"]):
        result = pytester.runpytest(*options, *selection)
        result.assert_outcomes(passed=1, failed=1, deselected=1)
        result.stdout.fnmatch_lines(["FAILED cl-bench-check*"])


@pytest.mark.parametrize("option", ["reference", "candidate", "policy"])
def test_a_path_with_nothing_there_is_a_usage_error(
    option: str, pytester: pytest.Pytester, folders: Path
) -> None:
    given = {"reference": folders / "reference", option: pytester.path / "nope"}
    words = [f"--cl-bench-{name}={path}" for name, path in given.items()]
    result = pytester.runpytest(*words)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--cl-bench-{option} *nope: there is no such file or folder*"])


def test_reference_and_candidate_may_be_urls(
    pytester: pytest.Pytester, folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    reference = f"--cl-bench-reference={(folders / 'reference').as_uri()}"
    for name, verdict in (("same", "*1 passed*"), ("worse", "*REGRESS: 2 checks*")):
        candidate = f"--cl-bench-candidate={(folders / name).as_uri()}"
        pytester.runpytest(reference, candidate).stdout.fnmatch_lines([verdict])


def test_a_url_of_no_store_is_a_usage_error(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest("--cl-bench-reference=s4://bucket/runs")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--cl-bench-reference: Unknown scheme s4://*Did you mean*s3*"])


def test_what_is_inconclusive_fails_or_warns(pytester: pytest.Pytester, folders: Path) -> None:
    options = [
        f"--cl-bench-reference={folders / 'single'}",
        f"--cl-bench-candidate={folders / 'few'}",
    ]
    result = pytester.runpytest(*options)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*undecided with 8 items*", "*INCONCLUSIVE: *"])
    result = pytester.runpytest(*options, "--cl-bench-inconclusive=warn", "-W", "default")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*InconclusiveWarning*"])


def test_the_policy_of_the_command_line_holds(pytester: pytest.Pytester, folders: Path) -> None:
    loose = pytester.makefile(".toml", loose=POLICY.replace("0.05", "1.0"))
    options = [
        f"--cl-bench-reference={folders / 'reference'}",
        f"--cl-bench-candidate={folders / 'worse'}",
    ]
    pytester.runpytest(*options, f"--cl-bench-policy={loose}").assert_outcomes(passed=1)
    broken = pytester.makefile(".toml", broken="version = 2")
    result = pytester.runpytest(*options, f"--cl-bench-policy={broken}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*version is 2, but this cl-bench reads version 1*"])


def test_a_session_without_the_gate_imports_nothing_of_it(tmp_path: Path) -> None:
    """In a process of its own, with warnings as errors, as our own tests have them."""
    (tmp_path / "test_mine.py").write_text(
        "import sys\n\n"
        "def test_modules():\n"
        "    ours = {m for m in sys.modules if m.partition('.')[0] == 'cl_bench'}\n"
        "    assert ours == {'cl_bench', 'cl_bench.gate', 'cl_bench.gate.pytest_plugin'}\n"
        "    assert not {'torch', 'pandas', 'numpy', 'rich', 'typer'} & set(sys.modules)\n"
    )
    plain = ("-p", "no:hypothesispytest", "-p", "no:benchmark", "-p", "no:xdist")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "--strict-config", *plain, "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
