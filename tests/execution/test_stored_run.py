"""A run at a URL goes on elsewhere, from what is there alone, and ends as if nothing had been."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

import cl_bench
from cl_bench.analysis.differences import differences
from cl_bench.api import resume
from cl_bench.contract.errors import ClBenchError, LockedError, RunDirectoryError
from cl_bench.execution import stored_run
from cl_bench.execution.progress import Quiet
from cl_bench.store.mirror import Writer
from cl_bench.store.remote import RemoteFolder
from cl_bench.store.run_directory import RunDirectory
from tests.execution.test_interruption import SMALL

PAUSING = """
import os, time
from cl_bench.execution.runner import Runner
learn = Runner._learn
def pausing(self, last, stage):
    if os.environ.get("PAUSE") == str(self._step):
        time.sleep(600)
    return learn(self, last, stage)
Runner._learn = pausing
from cl_bench.cli.app import main
main()
"""


def machine(folder: Path) -> dict[str, str]:
    """The environment of a machine that shares no files with others."""
    return os.environ | {"HOME": str(folder), "CL_BENCH_CACHE": str(folder / "cache")}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", PAUSING, "run", *arguments]


def kill_half_way(arguments: Sequence[str], url: str, env: dict[str, str]) -> None:
    """Make a run of four steps, and kill it when its checkpoint after the second is at the URL."""
    remote = RemoteFolder(url)
    with subprocess.Popen(
        arguments, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=env | {"PAUSE": "2"}
    ) as process:
        while remote.read("checkpoint/current") != b"000002":
            assert process.poll() is None
            time.sleep(0.2)
        process.kill()
    assert process.returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> cl_bench.Run:
    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    arguments = command(*SMALL, "--model", str(tiny_model), "--out", str(out), "--quiet")
    subprocess.run(arguments, check=True, capture_output=True)
    return cl_bench.Run(out)


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A place for a run; this process is a machine of its own."""
    monkeypatch.setenv("CL_BENCH_CACHE", str(tmp_path / "here"))
    return f"file://{tmp_path}/store/run"


def test_a_killed_run_goes_on_on_another_machine(
    tiny_model: Path, tmp_path: Path, url: str, undisturbed: cl_bench.Run
) -> None:
    first, second = machine(tmp_path / "first"), machine(tmp_path / "second")
    kill_half_way(command(*SMALL, "--model", str(tiny_model), "--out", url), url, first)
    assert cl_bench.Run(url).status == "running"
    assert cl_bench.Run(url).table("evaluations")["step"].max() == 2

    done = subprocess.run(
        command("--resume", url), capture_output=True, text=True, check=True, env=second
    )
    assert "from step 2" in done.stderr
    assert done.stdout.endswith(f"Tables, figures and summary: {url}\n")
    run = cl_bench.Run(url)
    assert run.status == "done"
    assert differences(run, undisturbed) == []
    assert (run.path / "summary.txt").exists()
    # What was made for the upload is gone once it is there.
    assert not [*(tmp_path / "second").rglob("*.safetensors")]
    with pytest.raises(RunDirectoryError, match=f"The run in {url} is done"):
        resume(url)


def test_an_interrupted_run_says_how_to_go_on_and_does(
    tiny_model: Path, tmp_path: Path, url: str, undisturbed: cl_bench.Run
) -> None:
    env = machine(tmp_path / "first") | {"PAUSE": "2"}
    arguments = command(*SMALL, "--model", str(tiny_model), "--out", url)
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=env) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("step 2/4"):
                process.terminate()
                break
        rest = process.stderr.read().splitlines()
    assert rest[-1] == f"cl-bench: terminated. Go on with: cl-bench run --resume {url}"
    assert RemoteFolder(url).read_json("writer.json")["ended"] is True
    assert differences(resume(url), undisturbed) == []


def test_a_place_that_is_taken_is_refused_before_a_model_is_loaded(url: str) -> None:
    RemoteFolder(url).write("other.txt", b"something")
    with pytest.raises(RunDirectoryError, match=f"{url} already exists.*--resume {url}"):
        cl_bench.run("math", "rl", model="/no/such/model", out=url)
    assert RemoteFolder(url).files().keys() == {"other.txt"}


def test_a_run_that_cannot_begin_leaves_nothing(url: str) -> None:
    with pytest.raises(ClBenchError, match="no/such/model"):
        cl_bench.run("math", "rl", model="/no/such/model", out=url)
    assert RemoteFolder(url).files() == {}


def signed(url: str, **said: object) -> RemoteFolder:
    """A run at the URL that a process elsewhere has signed."""
    remote = RemoteFolder(url)
    remote.write("manifest.json", b'{"status": "running"}')
    writer = {"id": "x", "host": "elsewhere", "pid": 3, "time": time.time(), "ended": False}
    remote.write("writer.json", json.dumps(writer | said).encode())
    return remote


def test_a_run_that_another_machine_writes_is_left_to_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = signed(url)
    monkeypatch.setattr(time, "sleep", lambda _: signed(url))
    with pytest.raises(LockedError, match=f"{url} is being written by elsewhere"):
        resume(url)
    assert remote.read_json("writer.json")["id"] == "x"


@pytest.mark.parametrize("said", [{"ended": True}, {"time": 0.0}, {}])
def test_a_run_whose_writer_is_silent_is_taken_over(
    url: str, monkeypatch: pytest.MonkeyPatch, said: dict[str, object]
) -> None:
    remote = signed(url, **said)
    monkeypatch.setattr(stored_run, "SILENCE", 0.1)
    with stored_run.stored_run(url, Quiet(), new=False) as stored:
        assert (stored.path / "manifest.json").exists()
        assert remote.read_json("writer.json")["pid"] == os.getpid()


def test_a_run_that_was_taken_over_ends(tiny_model: Path, url: str) -> None:
    class Elsewhere(Quiet):
        def evaluated(self, step: int, evaluation: object) -> None:
            Writer(RemoteFolder(url), "other", 7).sign()
            time.sleep(2.5)

    with pytest.raises(LockedError, match=f"{url} was taken over by another process"):
        cl_bench.run(
            *("math", "rl"),
            model=str(tiny_model),
            out=url,
            steps=4,
            eval_every=1,
            items=2,
            samples=1,
            retention="none",
            max_new_tokens=4,
            problems_per_step=2,
            group_size=2,
            progress=Elsewhere(),
        )
    assert RemoteFolder(url).read_json("writer.json")["id"] == "other"


def test_uploads_that_end_begin_again_and_it_is_said(url: str) -> None:
    said: list[str] = []

    class Heard(Quiet):
        def note(self, text: str) -> None:
            said.append(text)

    before = psutil.Process().children()
    with stored_run.stored_run(url, Heard(), new=True) as stored:
        run = RunDirectory.create(stored.path, {"status": "running"})
        (uploader,) = (child for child in psutil.Process().children() if child not in before)
        uploader.kill()
        uploader.wait()
        while not said:
            stored.progress.recorded({})
            time.sleep(0.05)
        run.commit(0, {})
        run.update_manifest(status="done")
    (line,) = said
    assert f"Uploading to {url} ended (its process ended). It begins again." in line
    there = RemoteFolder(url)
    assert there.read_json("manifest.json")["status"] == "done"
    assert "commits/000000.json" in there.files()
