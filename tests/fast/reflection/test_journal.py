"""The record of calls: lines that are whole, answers to the same call alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cl_bench.contract.errors import ReplayError, RunDirectoryError, UsageError
from cl_bench.contract.journal import Call, RecordedCall
from cl_bench.contract.prompts import chat
from cl_bench.fast.reflection.journal import (
    JOURNAL,
    Record,
    Replay,
    described,
    journal_again,
    journal_for,
)

CALL = Call(1, "openai:m", "transcript", chat("", "improve\nthis \u2028 please"))


def entry(call: Call = CALL, text: str = "better") -> RecordedCall:
    return RecordedCall(
        call=call.number,
        request=call.request,
        model=call.model,
        style=call.style,
        messages=call.messages,
        text=text,
        tokens=7,
        attempts=1,
        seconds=0.5,
        outcome="answered",
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A record of two calls."""
    record = Record(tmp_path / "record.jsonl")
    record.append(entry())
    record.append(entry(replace(CALL, number=2), "best"))
    return record.path


def test_a_new_record_makes_no_file_before_the_first_call(tmp_path: Path) -> None:
    record = Record(tmp_path / "folder" / "record.jsonl")
    assert list(tmp_path.iterdir()) == []
    assert record.recall(CALL) is None
    assert record.path.read_text() == ""


def test_every_call_is_one_line_of_json(path: Path) -> None:
    lines = path.read_bytes().split(b"\n")
    assert [json.loads(line)["text"] for line in lines[:-1]] == ["better", "best"]
    assert json.loads(lines[0])["messages"] == CALL.messages
    assert lines[-1] == b""


def test_what_another_process_wrote_answers_the_same_call_once(path: Path) -> None:
    record = Record(path)
    assert record.recall(CALL) == entry()
    assert record.recall(CALL) is None
    assert record.recall(replace(CALL, number=3)) is None
    assert record.recall(replace(CALL, number=2, messages=chat("", "else"))) is None
    assert record.recall(replace(CALL, number=2, model="openai:n")) is None


def test_what_this_process_wrote_answers_nothing(tmp_path: Path) -> None:
    record = Record(tmp_path / "record.jsonl")
    record.append(entry())
    assert record.recall(CALL) is None


@pytest.mark.parametrize("cut", [1, 2, 100])
def test_a_torn_last_line_is_dropped_and_the_next_one_is_whole(path: Path, cut: int) -> None:
    path.write_bytes(path.read_bytes()[:-cut])
    assert Replay(path).recall(CALL) == entry()
    record = Record(path)
    assert record.recall(CALL) == entry()
    assert record.recall(replace(CALL, number=2)) is None
    record.append(entry(replace(CALL, number=2), "again"))
    assert [json.loads(line)["text"] for line in path.read_text().split("\n")[:-1]] == [
        "better",
        "again",
    ]


@pytest.mark.parametrize("line", ["", "{", "[]", "7", '{"call": 1}', '{"call": 1, "more": 2}'])
def test_a_damaged_line_is_named(path: Path, line: str) -> None:
    good = path.read_text().splitlines(keepends=True)
    path.write_text(good[0] + line + "\n" + good[1])
    for read in (lambda: Record(path).recall(CALL), lambda: Replay(path)):
        with pytest.raises(RunDirectoryError, match=rf"{path}, line 2 is damaged"):
            read()


def test_a_value_of_another_type_is_damage(path: Path) -> None:
    values = json.loads(path.read_text().splitlines()[0]) | {"tokens": "7"}
    path.write_text(json.dumps(values) + "\n")
    with pytest.raises(RunDirectoryError, match=r"line 1 is damaged.*tokens is '7'"):
        Replay(path)


def test_a_replay_answers_again_and_again_and_leaves_the_file_alone(path: Path) -> None:
    before = path.read_bytes()
    replay = Replay(path)
    assert [replay.recall(CALL).text for _ in range(2)] == ["better", "better"]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("call", "difference"),
    [
        (replace(CALL, number=3), "it holds 2 calls, up to number 2"),
        (replace(CALL, messages=chat("", "else")), "the same number but other messages"),
        (replace(CALL, model="openai:n"), "there it went to openai:m, here to openai:n"),
    ],
)
def test_a_call_that_was_not_recorded_is_an_error_that_says_how_it_differs(
    path: Path, call: Call, difference: str
) -> None:
    with pytest.raises(ReplayError, match=rf"Call {call.number} .*{path}: .*{difference}"):
        Replay(path).recall(call)


def test_a_run_records_into_its_own_directory_unless_told_otherwise(tmp_path: Path) -> None:
    run = tmp_path / "run"
    own = journal_for(run, outside=True, record=None, replay=None)
    other = journal_for(run, outside=True, record=tmp_path / "calls.jsonl", replay=None)
    assert isinstance(own, Record)
    assert own.path == run / JOURNAL
    assert isinstance(other, Record)
    assert other.path == tmp_path / "calls.jsonl"
    assert journal_for(run, outside=False, record=None, replay=None) is None


def test_a_resumed_run_goes_on_with_its_journal_even_if_it_was_moved(
    path: Path, tmp_path: Path
) -> None:
    run, moved = tmp_path / "run", tmp_path / "moved"
    for journal, file in (
        (Record(run / JOURNAL), moved / JOURNAL),
        (Record(path), path),
        (Replay(path), path),
    ):
        again = journal_again(described(journal, run), moved)
        assert isinstance(again, type(journal))
        assert again.path == file
    assert journal_again(described(None, run), moved) is None


def test_a_replay_reads_a_file_or_a_run_directory(path: Path, tmp_path: Path) -> None:
    path.rename(tmp_path / JOURNAL)
    for given in (tmp_path, tmp_path / JOURNAL):
        replay = journal_for(tmp_path / "run", outside=True, record=None, replay=given)
        assert isinstance(replay, Replay)
        assert replay.recall(CALL) == entry()


@pytest.mark.parametrize(
    ("outside", "options", "message"),
    [
        (True, {"record": "a", "replay": "b"}, "--record cannot go with --replay"),
        (True, {"record": "record.jsonl"}, "exists and is not overwritten"),
        (True, {"replay": "nowhere"}, "no record of reflections"),
        (True, {"replay": "."}, "no record of reflections"),
        (False, {"record": "a"}, "--record needs a reflection LM outside the run"),
        (False, {"replay": "record.jsonl"}, "--replay needs a reflection LM outside"),
    ],
)
def test_impossible_journals_are_refused(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    outside: bool,
    options: dict[str, str],
    message: str,
) -> None:
    monkeypatch.chdir(path.parent)
    given = {"record": None, "replay": None} | options
    with pytest.raises(UsageError, match=message):
        journal_for(path.parent / "run", outside=outside, **given)
