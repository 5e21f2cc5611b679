"""Data sets kept in a process of their own: hostile answers, and what that process does."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import pytest

from cl_bench.contract.registry import DOMAINS

TABLE: Any = import_module("cl_bench.tasks.gym.table")
WORKERS: Any = import_module("cl_bench.tasks.workers")
APART = [data for data, entry in TABLE.SETS.items() if entry.apart]
PATIENCE = 30
"""Seconds, on a machine that does other things, too."""
RUN_BY_EVAL = "simple_integration"
"""A data set whose scorer evaluates what it is given, by way of sympy."""
CODE = {
    "a file": "__import__('pathlib').Path({marker!r}).touch()",
    "a file by a shell": "__import__('os').system('touch {marker}')",
    "a list of files": "[open({marker!r}, 'w')]",
    "a fork": "[__import__('os').fork() for _ in range(20)] and open({marker!r}, 'w')",
    "a walk to a class": "().__class__.__base__.__subclasses__() or open({marker!r}, 'w')",
    "a tower of powers": "9**9**9**9**9",
    "a power in brackets": "(((9**99)**99)**99)**99",
    "a memory bomb": "'a' * 10**12",
    "a nested list": "[" * 1500,
    "brackets": "(" * 1500 + ")" * 1500,
    "a lambda": "(lambda f: f(f))(lambda f: f(f))",
    "an integral to do": "Integral(x**2, x)",
}


@pytest.fixture
def worker() -> Iterator[Any]:
    fence = WORKERS.Worker("cl_bench.tasks.gym.worker")
    yield fence
    fence.close()


def ask(worker: Any, answer: str | None, number: int = 7) -> dict[str, Any]:
    asked = {"data": RUN_BY_EVAL, "setting": "default", "texts": {}, "number": number}
    question: dict[str, Any] = worker.ask({**asked, "do": "question"}, 60)
    if answer is None:
        found: dict[str, Any] = worker.ask({**asked, "do": "gold"}, 60)
        return {"question": question["found"], "gold": found["found"]}
    extra = {"do": "score", "question": question["found"], "answer": answer}
    scored: dict[str, Any] = worker.ask({**asked, **extra}, 60)
    return {"score": scored.get("found", 0.0)}


@pytest.mark.parametrize("data", [data for data, entry in TABLE.SETS.items() if entry.allowed])
def test_what_is_no_answer_never_reaches_a_scorer(data: str, tmp_path: Path) -> None:
    """However long it is: the patterns of the table do not backtrack."""
    domain: Any = DOMAINS.load(f"gym/{data}")
    setting = next(iter(domain.settings))
    (item,) = domain.task(seed=0, setting=setting, feedback="none").problems("train", 1)
    passed = []

    class Engine:
        def score(self, number: int, question: str, answer: str) -> float:
            passed.append(answer)
            return 1.0

    domain.engine, before = lambda _setting: Engine(), domain.engine
    try:
        started = time.process_time()
        for code in CODE.values():
            text = code.format(marker=str(tmp_path / "executed"))
            for answer in (text, f"1 + {text}", f"{text} # 1", "1+" * 900 + "a", "1 " * 900 + "!"):
                domain.points(setting, item, answer)
        assert time.process_time() - started < 1
    finally:
        domain.engine = before
    letters = "".join(passed)
    assert not {"_", ".__", "'", "[", "lambda", "import", "Integral"} & set(letters)
    assert "import" not in letters


@pytest.mark.parametrize("data", APART)
def test_hostile_answers_score_0_in_time_and_nothing_is_run(data: str, tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    domain = DOMAINS.load(f"gym/{data}")
    setting = next(iter(domain.settings))
    task = domain.task(seed=0, setting=setting, feedback="full")
    (item,) = task.problems("train", 1)
    for label, code in CODE.items():
        text = code.format(marker=str(marker))
        for response in (f"answer: {text}", f"<answer>{text}</answer>", text):
            started = time.perf_counter()
            assert task.verify(item, response).score == 0, label
            assert time.perf_counter() - started < PATIENCE, label
            assert not marker.exists(), label
    assert task.verify(item, item.solution).score == 1


@pytest.mark.parametrize(
    "answer",
    [
        "9**9**9**9",
        "'a' * 10**12",
        "[0] * 10**12",
        "__import__('time').sleep(60)",
        "__import__('os').abort()",
        "__import__('os')._exit(3)",
        "__import__('os').fork()",
        "__import__('signal').setitimer(2, 0) and 9**9**9**9",
        "open('written', 'w').write('x' * 9999)",
    ],
)
def test_a_process_that_evaluates_is_stopped_and_the_next_one_is_there_at_once(
    worker: Any, answer: str
) -> None:
    """Were the patterns to let such answers through, which they do not."""
    ask(worker, None)
    started = time.perf_counter()
    with suppress(WORKERS.DeadError):
        assert ask(worker, answer)["score"] == 0
    assert time.perf_counter() - started < PATIENCE
    serving = worker._process.pid
    gold = ask(worker, None)["gold"]
    assert ask(worker, f"{gold} + 1")["score"] == 1
    assert worker._process.pid == serving


def test_the_process_sees_no_environment_and_no_folder_and_ends_with_its_fence(
    worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "x")
    ask(worker, None)
    process = worker._process
    environment = Path(f"/proc/{process.pid}/environ")
    if environment.exists():
        assert b"SECRET" not in environment.read_bytes()
        assert Path(f"/proc/{process.pid}/cwd").readlink().name.endswith("(deleted)")
    # Whatever ends this process, by a signal too, leaves no folder behind.
    assert not [*Path(gettempdir()).glob("cl-bench-worker-*")]
    worker.close()
    assert process.poll() is not None
    # It is started again when it is asked again.
    assert ask(worker, None)["gold"]


def test_after_a_fork_the_child_has_a_process_of_its_own(worker: Any) -> None:
    ask(worker, None)
    parents = worker._process
    worker._owner = os.getpid() + 1
    ask(worker, None)
    assert worker._process.pid != parents.pid
    # Here nobody else holds its pipes, so that it ends.
    assert parents.wait(10) == 0


def test_an_answer_that_was_left_is_not_taken_for_the_next(worker: Any) -> None:
    ask(worker, None)
    worker._read = b'{"id": 1, "found": "another"}\n'
    assert ask(worker, None)["question"] != "another"


def test_a_process_that_is_gone_is_started_again(worker: Any) -> None:
    ask(worker, None)
    os.killpg(worker._process.pid, 9)
    with pytest.raises(WORKERS.DeadError):
        ask(worker, None)
    assert ask(worker, None)["gold"]
