"""Runs in a bucket of a real S3 server, in a process of its own on this machine (`tox -e storage`).

The servers' machines share nothing: each has a HOME and a cache folder of its own.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import cl_bench
from cl_bench.analysis.differences import differences
from cl_bench.cli.app import app
from cl_bench.contract.errors import StorageError
from tests.execution.test_interruption import SMALL
from tests.execution.test_stored_run import command, kill_half_way, machine

pytest.importorskip("moto")
pytest.importorskip("s3fs")

SECRET = "a-secret-key-that-appears-nowhere"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module", autouse=True)
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[bytes]]:
    port, home = free_port(), tmp_path_factory.mktemp("server")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "an-access-key-id")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("CL_BENCH_CACHE", str(home / "cache"))
        with (
            (home / "log").open("wb") as log,
            subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
                stdout=log,
                stderr=log,
            ) as process,
        ):
            for _ in range(300):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            make = "import boto3; boto3.client('s3').create_bucket(Bucket='bench')"
            subprocess.run([sys.executable, "-W", "ignore", "-c", make], check=True)
            yield process
            process.kill()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    arguments = command(*SMALL, "--model", str(tiny_model), "--out", str(out), "--quiet")
    subprocess.run(arguments, check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def resumed(undisturbed: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a run that was killed on one machine and resumed on another."""
    folder, url = tmp_path_factory.mktemp("machines"), "s3://bench/runs/resumed"
    first, second = machine(folder / "first"), machine(folder / "second")
    model = cl_bench.Run(undisturbed).manifest["model"]
    kill_half_way(command(*SMALL, "--model", str(model), "--out", url), url, first)
    done = subprocess.run(
        command("--resume", url), capture_output=True, text=True, check=False, env=second
    )
    assert done.returncode == 0, done.stderr
    assert "from step 2" in done.stderr
    for file in [*folder.rglob("*.json"), *folder.rglob("*.txt")]:
        assert SECRET not in file.read_text()
    return url


def test_a_run_that_was_killed_goes_on_on_a_second_machine(resumed: str, undisturbed: Path) -> None:
    run = cl_bench.Run(resumed)
    assert run.status == "done"
    assert differences(run, cl_bench.Run(undisturbed)) == []
    for file in run.path.rglob("*"):
        assert file.is_dir() or SECRET.encode() not in file.read_bytes()


def test_a_server_that_stops_answering_delays_and_loses_nothing(
    server: subprocess.Popen[bytes], undisturbed: Path, tmp_path: Path
) -> None:
    url = "s3://bench/runs/delayed"
    model = cl_bench.Run(undisturbed).manifest["model"]
    arguments = command(*SMALL, "--model", str(model), "--out", url)
    env = machine(tmp_path)
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=env) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if line.startswith("step 2/4"):
                    server.send_signal(signal.SIGSTOP)
                # The run does not wait for the server.
                if "uploading what is left" in line:
                    break
        finally:
            time.sleep(1)
            server.send_signal(signal.SIGCONT)
        rest = process.stderr.read()
    assert process.returncode == 0, rest
    assert differences(cl_bench.Run(url), cl_bench.Run(undisturbed)) == []


def test_a_refused_connection_is_tried_again_until_it_works(
    undisturbed: Path, tmp_path: Path
) -> None:
    """The connection is refused while a run is made, as by a network that is down."""
    url, port = "s3://bench/runs/refused", free_port()
    target = int(os.environ["AWS_ENDPOINT_URL"].rpartition(":")[2])
    env = machine(tmp_path) | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
    model = cl_bench.Run(undisturbed).manifest["model"]
    forward = [sys.executable, "-c", _FORWARD, str(port), str(target)]
    proxy = subprocess.Popen(forward)
    time.sleep(1)
    arguments = command(*SMALL, "--model", str(model), "--out", url)
    try:
        with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=env) as process:
            assert process.stderr is not None
            said = []
            for line in process.stderr:
                said.append(line)
                if line.startswith("step 0/4"):
                    proxy.kill()
                    proxy.wait()
                if f"Cannot reach {url}" in line:
                    proxy = subprocess.Popen(forward)
        assert process.returncode == 0, said
    finally:
        proxy.kill()
        proxy.wait()
    assert any("The run goes on" in line for line in said), said
    assert any("connected again" in line for line in said), said
    assert differences(cl_bench.Run(url), cl_bench.Run(undisturbed)) == []


_FORWARD = """
import socket, sys, threading
from contextlib import suppress
def pump(one, other):
    with suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
    for side in (one, other):
        with suppress(OSError):
            side.shutdown(socket.SHUT_RDWR)
door = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    one, _ = door.accept()
    other = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    for pair in ((one, other), (other, one)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
"""


@pytest.mark.parametrize(
    "line",
    [
        "show {url}",
        "compare {url} {here}",
        "check {url} --against {here}",
        "results verify {url}",
        "report {folder} --out {out} --no-figures",
    ],
)
def test_readers_take_urls(
    resumed: str,
    undisturbed: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    line: str,
) -> None:
    places = {"url": resumed, "folder": "s3://bench/runs", "out": tmp_path, "here": undisturbed}
    app([word.format(**places) for word in line.split()], standalone_mode=False)
    printed = capsys.readouterr().out
    assert "storage/read" not in printed
    assert resumed in printed or "report" in line


def test_a_bucket_that_is_not_there_is_one_line() -> None:
    with pytest.raises(StorageError, match="There is no s3://none/run, or no bucket of that name"):
        cl_bench.run("math", "rl", out="s3://none/run")
