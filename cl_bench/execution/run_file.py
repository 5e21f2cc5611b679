"""A run's settings as a TOML file, which `--config` reads and `--dry-run` prints.

stream = "math-to-code"
seed = 3
[learner]
name = "fst"
population = 8
[evaluation]
items = 32
[chat_template]
reasoning_effort = "low"
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cl_bench.contract.errors import UsageError, unknown
from cl_bench.contract.registry import DEFAULT_LEARNER, LEARNERS
from cl_bench.contract.settings import settings_of
from cl_bench.contract.stream import Stream
from cl_bench.contract.stream_names import OF_A_STREAM
from cl_bench.contract.text import printable
from cl_bench.contract.validation import COUNTS, a_text, whole_number
from cl_bench.execution.settings import (
    CHAT_TEMPLATE,
    EvaluationConfig,
    RunConfig,
    refuse_of_others,
    variables_in,
)

_OF_THE_STREAM = ("stream", *OF_A_STREAM)
_TABLES = ("learner", "evaluation")


def read_run_file(path: Path, learner: str | None = None) -> dict[str, Any]:
    """Return the options of `cl_bench.run` that the file holds, as flat names.

    Its table [learner] is held to `learner`, by default the one that the file names. Raises
    `UsageError`, which names the file, for one that is not TOML, for keys without meaning or in the
    wrong table, and for values that cannot be.
    """
    found = _parsed(path)
    if isinstance(found.get("learner"), str):
        found["learner"] = {"name": found["learner"]}
    tables = {name: found.pop(name, {}) for name in _TABLES}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise UsageError(
                f"{path}: {name} is {printable(repr(table), 100)}, but must be a table."
            )
    learning, evaluation = dict(tables["learner"]), tables["evaluation"]
    told = {CHAT_TEMPLATE: found.pop(CHAT_TEMPLATE)} if CHAT_TEMPLATE in found else {}
    named = {"learner": learning.pop("name")} if "name" in learning else {}
    with _naming(path):
        chosen = learner or a_text("learner", named.get("learner", DEFAULT_LEARNER))
    own = LEARNERS.load(chosen).config
    _require_places(path, (found, learning, evaluation), chosen, own)
    with _naming(path):
        _require_values(found)
        own(**learning)
        EvaluationConfig(**evaluation)
        variables_in(told.get(CHAT_TEMPLATE, {}))
    return {**found, **named, **learning, **evaluation, **told}


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}. Give another file.") from error
    except ValueError as error:
        raise UsageError(f"{path} is not TOML: {printable(str(error), 200)}.") from error


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the file's name before the message of a `UsageError`."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _require_places(
    path: Path, given: tuple[Mapping[str, Any], ...], learner: str, own: type
) -> None:
    """Raise `UsageError` for a key of the top, of [learner] or of [evaluation] that is not one."""
    names = [{item.name for item in settings_of(of)} for of in (RunConfig, own, EvaluationConfig)]
    # The seed is the run's, and the learner has a table.
    allowed = ({*_OF_THE_STREAM, *names[0]} - {"learner"}, names[1] - {"seed"}, names[2])
    places = ("at the top", *(f"in [{table}]" for table in _TABLES))
    for number, (place, keys) in enumerate(zip(places, given, strict=True)):
        for key, value in keys.items():
            if key in allowed[number]:
                continue
            if isinstance(value, dict):
                raise unknown(f"table of {path}", key, [*_TABLES, CHAT_TEMPLATE])
            for other, those in zip(places, allowed, strict=True):
                if key in those:
                    raise UsageError(f"{path}: {key} belongs {other}, not {place}.")
            with _naming(path):
                refuse_of_others(key, learner)
            table = f"[{_TABLES[number - 1]}] in " if number else ""
            raise unknown(f"key of {table}{path}", key, allowed[number])


def _require_values(top: Mapping[str, Any]) -> None:
    """Raise `UsageError` for the first value at the top of a file that cannot be."""
    for item in settings_of(RunConfig):
        if item.name in top:
            item.checked(top[item.name])
    for name in ("stream", "setting"):
        if name in top:
            a_text(name, top[name])
    for name in ("steps", "rollouts"):
        if name in top:
            whole_number(name, top[name], COUNTS)


def as_run_file(stream: Stream, config: RunConfig, asked: Mapping[str, Any]) -> str:
    """Return the resolved settings of a run, as a file that `--config` reads.

    `asked` has the stream, and what replaces parts of it, as the user gave them.
    """
    length = ", ".join(f"{stage.domain} {stage.steps}" for stage in stream.stages)
    lines = [f"# stages and steps: {length}; settings of {config.preset}"]
    lines += [_line(name, asked[name]) for name in _OF_THE_STREAM if asked.get(name) is not None]
    lines += [
        _line(item.name, getattr(config, item.name))
        for item in settings_of(config)
        if item.name not in ("learner", "preset")
    ]
    lines += ["", "[learner]", _line("name", config.learner)]
    lines += [
        _line(item.name, getattr(config.learning, item.name))
        for item in settings_of(config.learning)
        if item.name != "seed"  # the run's
    ]
    lines += ["", "[evaluation]"]
    lines += [
        _line(item.name, getattr(config.evaluation, item.name))
        for item in settings_of(config.evaluation)
    ]
    if config.chat_template:
        lines += ["", f"[{CHAT_TEMPLATE}]"]
        lines += [_line(name, value) for name, value in config.chat_template.items()]
    return "\n".join(lines)


def _line(name: str, value: object) -> str:
    # TOML refuses the one control character that JSON leaves as it is.
    written = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    bare = name.isascii() and name.isidentifier()
    return f"{name if bare else json.dumps(name)} = {written}"
