"""What ends a run from outside leaves a directory that can be resumed, and says how to go on."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import cl_bench
from cl_bench.analysis.differences import differences
from cl_bench.api import resume

SMALL = (
    *("--learner", "rl", "--stream", "math", "--steps", "4", "--eval-every", "2"),
    *("--problems-per-step", "2", "--group-size", "2", "--items", "2", "--samples", "2"),
    *("--max-new-tokens", "6", "--setting", "easy", "--retention-items", "2"),
    *("--greedy", "--validation-items", "2"),
)
# A process in a shell's background is born deaf to Ctrl-C.
SCRIPT = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from cl_bench.cli.app import main
main()
"""
COMMAND = (sys.executable, "-c", SCRIPT, "run", *SMALL)


def arguments(model: Path, out: Path, *more: str) -> list[str]:
    return [*COMMAND, "--model", str(model), "--out", str(out), *more]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> cl_bench.Run:
    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    subprocess.run(arguments(tiny_model, out, "--quiet"), check=True, capture_output=True)
    return cl_bench.Run(out)


def allow_files_of(size: int) -> Callable[[], None]:
    """As on a full disk: the system refuses to write more than `size` bytes to a file."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


# The manifest and the first tables fit into 30,000 bytes, the weights of a checkpoint do not.
def test_a_full_disk_ends_a_run_in_one_line_and_it_can_be_resumed(
    tiny_model: Path, tmp_path: Path, undisturbed: cl_bench.Run
) -> None:
    out = tmp_path / "run"
    done = subprocess.run(
        arguments(tiny_model, out, "--quiet"),
        capture_output=True,
        text=True,
        preexec_fn=allow_files_of(30_000),
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "File too large" in done.stderr
    assert f"Free some space, then go on with `cl-bench run --resume {out}`" in done.stderr
    assert cl_bench.Run(out).status == "failed"
    assert differences(resume(out), undisturbed) == []


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")],
)
def test_a_signal_ends_a_run_in_one_line_and_it_can_be_resumed(
    tiny_model: Path, tmp_path: Path, undisturbed: cl_bench.Run, number: int, code: int, said: str
) -> None:
    out = tmp_path / "run"
    with subprocess.Popen(
        arguments(tiny_model, out),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("step 2/4"):
                process.send_signal(number)
                break
        rest = process.stderr.read().splitlines()
    assert process.returncode == code
    assert rest[-1] == f"cl-bench: {said}. Go on with: cl-bench run --resume {out}"
    assert not any("Traceback" in line for line in rest)
    assert cl_bench.Run(out).status == "running"
    assert differences(resume(out), undisturbed) == []
