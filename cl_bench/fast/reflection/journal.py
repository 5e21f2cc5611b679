"""The record of every call to a reflection LM outside the run: one JSON object a line.

A run writes it as it goes (`Record`). A resumed run takes from it the replies to calls that it had
already made, so that it ends like an uninterrupted one even if the endpoint would now answer
differently. Another run can be answered from it alone (`Replay`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from cl_bench.contract.errors import ReplayError, RunDirectoryError, UsageError
from cl_bench.contract.journal import Call, Journal, RecordedCall, Style
from cl_bench.contract.text import counted
from cl_bench.store.files import flush, writing

JOURNAL = "reflections.jsonl"
"""The record's name in a run directory."""


class Record:
    """A journal that is written. The file is not touched before the first call.

    An entry of an earlier process of the same run answers the same call once, failures included: a
    resumed run repeats its history. No other call is answered from the record.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[tuple[int, str], RecordedCall] | None = None

    def recall(self, call: Call) -> RecordedCall | None:
        """Return what an earlier process of this run recorded of `call`, or None."""
        return self._open().pop((call.number, call.request), None)

    def append(self, entry: RecordedCall) -> None:
        """Append one whole line and force it onto the disk."""
        self._open()
        line = json.dumps(asdict(entry), allow_nan=False) + "\n"
        with writing(self.path.parent), self.path.open("ab") as file:
            file.write(line.encode("ascii"))
            file.flush()
            os.fsync(file.fileno())

    def _open(self) -> dict[tuple[int, str], RecordedCall]:
        if self._known is None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.path.touch()
            except OSError as error:
                raise RunDirectoryError(
                    f"Cannot write the record {self.path}: {error.strerror}."
                ) from error
            _drop_torn_line(self.path)
            flush(self.path.parent)
            self._known = {(entry.call, entry.request): entry for entry in _read(self.path)}
        return self._known


class Replay:
    """A journal that answers every call and is never written: no call is made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        entries = _read(path)
        self._entries = {(entry.call, entry.request): entry for entry in entries}
        self._by_number = {entry.call: entry for entry in entries}
        self.style: Style = entries[0].style if entries else "transcript"

    def recall(self, call: Call) -> RecordedCall:
        """Return the recorded entry; raise `ReplayError` for a call that was not recorded."""
        found = self._entries.get((call.number, call.request))
        if found is None:
            raise ReplayError(
                f"Call {call.number} to the reflection LM is not in {self.path}: "
                f"{_difference(call, self._by_number)}. Repeat the recorded run's command (stream, "
                "seed, options, model, cl-bench version), or run without --replay."
            )
        return found

    def append(self, entry: RecordedCall) -> None:
        raise AssertionError("a replayed run makes no calls")


def _difference(call: Call, recorded: Mapping[int, RecordedCall]) -> str:
    if call.number not in recorded:
        return f"it holds {counted(len(recorded), 'call')}, up to number {max(recorded, default=0)}"
    entry = recorded[call.number]
    if entry.model != call.model:
        return f"there it went to {entry.model}, here to {call.model}"
    return "there it has the same number but other messages"


def journal_for(
    path: Path, *, outside: bool, record: str | Path | None, replay: str | Path | None
) -> Journal | None:
    """Return the journal of the new run in `path`, or None for a reflection LM inside the run.

    `record` and `replay` are the user's options; raises `UsageError` if they cannot be followed.
    """
    if record is not None and replay is not None:
        raise UsageError("--record cannot go with --replay: a replayed run makes no calls.")
    if not outside:
        for option, given in (("record", record), ("replay", replay)):
            if given is not None:
                raise UsageError(
                    f"--{option} needs a reflection LM outside the run, whose calls can be "
                    "recorded: add --reflection-lm local:…, openai:… or litellm:…."
                )
        return None
    if replay is not None:
        return Replay(_journal_in(Path(replay)))
    if record is not None and Path(record).exists():
        raise UsageError(f"--record {record} exists and is not overwritten: name a new file.")
    return Record(path / JOURNAL if record is None else Path(record).absolute())


def journal_again(place: Mapping[str, str] | None, path: Path) -> Journal | None:
    """Return the journal of the resumed run in `path`; `place` is the result of `described`."""
    if place is None:
        return None
    (kind, file), *_ = place.items()
    return Replay(path / file) if kind == "replay" else Record(path / file)


def described(journal: Journal | None, path: Path) -> dict[str, str] | None:
    """Return kind and file of a journal, for the manifest of the run in `path`."""
    if not isinstance(journal, Record | Replay):
        return None
    file = journal.path.absolute()
    inside = file.is_relative_to(path.absolute())
    kind = "replay" if isinstance(journal, Replay) else "record"
    return {kind: str(file.relative_to(path.absolute()) if inside else file)}


def _journal_in(given: Path) -> Path:
    """Return the record that `given`, a file or a run directory, stands for."""
    path = given / JOURNAL if given.is_dir() else given
    if not path.is_file():
        raise UsageError(
            f"--replay {given}: there is no record of reflections ({path}). Give a file that "
            "--record wrote, or the directory of a run with a reflection LM outside it."
        )
    return path


def _drop_torn_line(path: Path) -> None:
    """Cut off an incomplete last line, left by a process that was killed while it wrote."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
        flush(path)


def _read(path: Path) -> list[RecordedCall]:
    """Return the entries of a record without an incomplete last line.

    Raises `RunDirectoryError` for any other damage.
    """
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except OSError as error:
        raise RunDirectoryError(f"Cannot read {path}: {error.strerror}.") from error
    return [_entry(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1)]


def _entry(line: bytes, place: str) -> RecordedCall:
    kinds: dict[str, type | tuple[type, ...]]
    kinds = {"int": int, "float": (int, float), "list[Message]": list}
    try:
        values: dict[str, Any] = json.loads(line)
        entry = RecordedCall(**values)
        for item in fields(RecordedCall):
            if not isinstance(values.get(item.name, ""), kinds.get(str(item.type), str)):
                raise TypeError(f"{item.name} is {values[item.name]!r}")
    except (ValueError, TypeError) as error:
        raise RunDirectoryError(
            f"{place} is damaged: it does not record a reflection ({error}). Lines are written "
            "whole, so something else changed it; restore the file from a copy."
        ) from error
    return entry
