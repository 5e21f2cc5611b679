"""A run's settings as a TOML file, which `--config` reads and `--dry-run` prints.

stream = "math-to-code"
seed = 3
[learner]
name = "fst"
population = 8
[evaluation]
items = 32
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cl_bench.contract.errors import UsageError, unknown
from cl_bench.contract.settings import settings_of
from cl_bench.contract.stream import Stream
from cl_bench.contract.stream_names import OF_A_STREAM
from cl_bench.contract.text import printable
from cl_bench.execution.settings import EvaluationConfig, RunConfig

_OF_THE_STREAM = ("stream", *OF_A_STREAM)
_TABLES = ("learner", "evaluation")


def read_run_file(path: Path) -> dict[str, Any]:
    """Return the options of `cl_bench.run` that the file holds.

    `learner` may be a name or a table. Raises `UsageError` for a file that is not TOML and for keys
    without meaning; those of a learner are checked later, with the learner.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}. Give another file.") from error
    except ValueError as error:
        raise UsageError(f"{path} is not TOML: {printable(str(error), 200)}.") from error
    if isinstance(found.get("learner"), str):
        found["learner"] = {"name": found["learner"]}
    tables = {name: found.pop(name, {}) for name in _TABLES}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise UsageError(
                f"{path}: {name} is {printable(repr(table), 100)}, but must be a table."
            )
    top = {item.name for item in settings_of(RunConfig) if item.name != "learner"}
    _require(found, {*_OF_THE_STREAM, *top}, f"key of {path}")
    evaluation = {item.name for item in settings_of(EvaluationConfig)}
    _require(tables["evaluation"], evaluation, f"key of [evaluation] in {path}")
    learner = dict(tables["learner"])
    for name in {*_OF_THE_STREAM, *top, *evaluation} & learner.keys():
        raise UsageError(
            f"{path}: {name} is not a setting of a learner; write it outside [learner]."
        )
    named = {"learner": learner.pop("name")} if "name" in learner else {}
    return {**found, **named, **learner, **tables["evaluation"]}


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
    return "\n".join(lines)


def _line(name: str, value: object) -> str:
    # TOML refuses the one control character that JSON leaves as it is.
    written = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return f"{name} = {written}"


def _require(found: Mapping[str, Any], allowed: set[str], kind: str) -> None:
    for name in found:
        if name not in allowed:
            raise unknown(kind, name, allowed)
