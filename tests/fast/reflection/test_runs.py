"""Whole small runs with a reflection LM outside: recorded, replayed, interrupted, without a key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from typer.testing import CliRunner

import cl_bench
from cl_bench.api import resume
from cl_bench.cli.app import app
from cl_bench.contract.errors import ReplayError, UsageError
from cl_bench.execution.progress import Quiet
from cl_bench.fast.reflection.journal import JOURNAL

if TYPE_CHECKING:
    from tests.fast.reflection.conftest import Reply, Server

pytestmark = pytest.mark.skipif(
    find_spec("litellm") is None, reason="the extra `litellm` is not installed"
)

KEY = "sk-very-secret-0123456789"
SMALL: dict[str, Any] = {
    "stream": "math",
    "learner": "prompt",
    "setting": "easy",
    "steps": 4,
    "eval_every": 2,
    "problems_per_step": 3,
    "round_every": 1,
    "population": 2,
    "proposals": 3,
    "round_exercises": 3,
    "items": 2,
    "samples": 2,
    "max_new_tokens": 40,
}
TABLES = ("evaluations", "items", "steps", "prompts", "ledger")
NO_OPTIONS = ("round_exercises",)
WORDS = [
    word
    for name, value in SMALL.items()
    if name not in NO_OPTIONS
    for word in (f"--{name.replace('_', '-')}", str(value))
]


def moody(server: Server) -> Callable[[int], Reply]:
    """Never the same answer twice, repeats the key it was sent, and fails at times."""

    def reply(number: int) -> Reply:
        key = server.keys[number]
        if number % 5 == 1:
            return server.error(401, f"cannot serve {key}")
        text = (
            "" if number % 5 == 3 else f"```\nsolve step by step . f adds {number} ; {key} ;\n```"
        )
        return server.completion(text, tokens=100 + number)

    return reply


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cl_bench.fast.reflection.outside.FIRST_PAUSE", 0.01)


@pytest.fixture
def moody_server(server: Server) -> Server:
    server.script = moody(server)
    return server


def tables(path: Path) -> Iterator[pd.DataFrame]:
    for name in TABLES:
        yield cl_bench.Run(path).table(name).drop(columns="seconds", errors="ignore")


def assert_same_tables(one: Path, other: Path) -> None:
    for name, left, right in zip(TABLES, tables(one), tables(other), strict=True):
        pd.testing.assert_frame_equal(left, right, obj=name)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


class StopAt(Quiet):
    """Interrupts a run at a step, as Ctrl-C would."""

    def __init__(self, step: int) -> None:
        self._step = step

    def step(self, step: int, stage: int, record: object) -> None:
        if step == self._step:
            raise KeyboardInterrupt


def test_a_run_shows_its_key_nowhere_and_is_replayed_without_key_or_server(
    moody_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, again = tmp_path / "run", tmp_path / "again"
    words = ["run", "--reflection-lm", "openai:m", *WORDS]
    secrets = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": moody_server.url}
    script = "from cl_bench.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, *words, "--out", str(run)],
        env=os.environ | secrets,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert moody_server.keys == [f"Bearer {KEY}"] * len(moody_server.requests)
    shown = done.stdout + done.stderr
    assert "rewrites failed" in done.stdout
    assert done.stderr.count("HTTP status 401") == 1
    written = b"".join(file.read_bytes() for file in run.rglob("*") if file.is_file())
    cells = "".join(frame.to_csv() for frame in tables(run))
    assert "[hidden]" in cells
    assert KEY not in shown + cells
    assert KEY.encode() not in written

    asked = len(moody_server.requests)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setitem(sys.modules, "litellm", None)
    result = CliRunner().invoke(app, [*words, "--out", str(again), "--replay", str(run)])
    assert result.exit_code == 0, result.stderr
    assert len(moody_server.requests) == asked
    assert_same_tables(run, again)
    assert not (again / JOURNAL).exists()


def test_the_record_the_ledger_and_the_server_agree(moody_server: Server, tmp_path: Path) -> None:
    record = tmp_path / "calls" / "record.jsonl"
    lm = f"openai:m@{moody_server.url}"
    run = cl_bench.run(out=tmp_path / "run", reflection_lm=lm, record=record, **SMALL)
    entries = lines(record)
    spent = run.table("ledger").query("channel == 'fast'").iloc[-1]
    assert [entry["call"] for entry in entries] == list(range(1, spent["reflection_calls"] + 1))
    assert sum(entry["tokens"] for entry in entries) == spent["reflection_tokens"]
    assert sum(entry["attempts"] for entry in entries) == len(moody_server.requests)
    failed = [entry for entry in entries if entry["outcome"] == "failed"]
    assert len(failed) == spent["reflection_failures"] > 0
    assert run.manifest["config"]["learning"]["reflection_lm"] == lm
    assert not (run.path / JOURNAL).exists()


@pytest.mark.parametrize("stop", [1, 3])
def test_an_interrupted_run_asks_nothing_twice_and_ends_with_the_same_tables(
    server: Server, tmp_path: Path, stop: int
) -> None:
    options = {**SMALL, "reflection_lm": f"openai:m@{server.url}"}
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    server.script = moody(server)
    cl_bench.run(out=whole, **options)
    asked = len(server.requests)
    server.requests.clear()
    server.keys.clear()
    with pytest.raises(KeyboardInterrupt):
        cl_bench.run(out=stopped, progress=StopAt(stop), **options)
    before = len(server.requests)
    assert 0 < before < asked
    with (stopped / JOURNAL).open("ab") as file:
        file.write(b'{"call": 99, "requ')  # as a kill in the middle of a write leaves it
    resume(stopped)
    assert len(server.requests) == asked
    assert_same_tables(whole, stopped)
    calls = [entry["call"] for entry in lines(stopped / JOURNAL)]
    assert calls == sorted(set(calls))


def test_a_replay_that_asks_something_else_stops_and_names_the_call(
    moody_server: Server, tmp_path: Path
) -> None:
    options = {**SMALL, "steps": 1, "reflection_lm": f"openai:m@{moody_server.url}"}
    run = cl_bench.run(out=tmp_path / "run", **options).path
    other = tmp_path / "other"
    with pytest.raises(ReplayError, match=r"Call 1 .*reflections\.jsonl.*other messages"):
        cl_bench.run(out=other, replay=run, seed=1, **options)
    assert cl_bench.Run(other).status == "failed"
    assert "Call 1" in cl_bench.Run(other).manifest["reason"]


def test_the_token_budget_holds_over_a_whole_run(moody_server: Server, tmp_path: Path) -> None:
    lm = f"openai:m@{moody_server.url}"
    options = {**SMALL, "reflection_lm": lm, "reflection_token_budget": 150}
    spent = cl_bench.run(out=tmp_path / "run", **options).table("ledger").iloc[-1]
    assert 150 <= spent["reflection_tokens"] < 150 + 4 * 110
    assert spent["reflection_failures"] > spent["reflection_calls"]


@pytest.mark.usefixtures("bare_environment")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--reflection-lm", "opnai:m"], "Did you mean 'openai'"),
        (["--reflection-lm", "openai:m"], "set OPENAI_API_KEY"),
        (["--reflection-lm", f"openai:m@http://{KEY}@h/v1"], "Write http://h/v1"),
        (["--reflection-lm", "local:no/such/folder"], "no/such/folder"),
        (["--reflection-lm", "openai:m", "--replay", "nowhere"], "no record of reflections"),
        (["--record", "calls.jsonl"], "--record needs a reflection LM outside the run"),
        (["--reflection-timeout", "0"], "above 0"),
        (["--resume", "run", "--reflection-lm", "oracle"], "cannot go with --resume"),
    ],
)
def test_impossible_wishes_are_one_line_and_leave_no_directory(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["run", "--learner", "prompt", *words])
    assert result.exit_code == 2
    assert message in result.stderr
    assert KEY not in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("bare_environment")
def test_a_resume_without_the_key_leaves_the_run_as_it_was(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        cl_bench.run(out=out, progress=StopAt(1), reflection_lm="openai:m", **SMALL)
    monkeypatch.delenv("OPENAI_BASE_URL")
    with pytest.raises(UsageError, match="set OPENAI_API_KEY"):
        resume(out)
    assert cl_bench.Run(out).status == "running"


def test_the_oracle_reflects_without_tokens_and_leaves_no_record(tmp_path: Path) -> None:
    run = cl_bench.run(out=tmp_path / "run", reflection_lm="oracle", **SMALL)
    spent = run.table("ledger").iloc[-1]
    assert spent["reflection_calls"] > 0
    assert spent["reflection_tokens"] == spent["reflection_failures"] == 0
    assert not (run.path / JOURNAL).exists()
