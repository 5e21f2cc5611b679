"""Streams as files: a TOML file with one table for each stage.

name = "small-steps"            # else the file's own name
retention = ["gym/leg_counting"]

[[stage]]
domain = "gym/gcd"              # or a name of `cl-bench list`, or a data file's path
steps = 40                      # or rollouts = 2560, at any number of rollouts in a step
setting = "easy"
options = { max_value = 20 }
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cl_bench.contract.errors import UsageError, unknown
from cl_bench.contract.plugins import QUOTED_SEPARATOR, STREAM_SEPARATOR
from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.stream import (
    DEFAULT_ROLLOUTS,
    Stage,
    Stream,
    require_outside,
    require_stages,
)
from cl_bench.contract.text import one_line, printable
from cl_bench.contract.validation import COUNTS, a_text, whole_number

_KEYS = ("name", "version", "retention", "stage")
_STAGE_KEYS = ("domain", "steps", "rollouts", "setting", "options")
_EXAMPLE = '[[stage]]\\ndomain = "gym/gcd"\\nsteps = 40'


def read_stream(path: str | Path) -> Stream:
    """Return the stream in a TOML file; raise `UsageError` for anything wrong with it.

    Paths of data files are relative to the folder of the stream's file.
    """
    path = Path(path)
    found = _read(path)
    _require_known(found, _KEYS, f"key in {path}")
    stages = found.get("stage")
    if not isinstance(stages, list) or not stages:
        raise UsageError(
            f"{path} has no stages. Write one table for each, as in {_EXAMPLE} (real line ends)."
        )
    name = a_text(f"name in {path}", found.get("name", path.stem))
    version = a_text(f"version in {path}", found.get("version", "1"))
    built = tuple(_stage(path, number, stage) for number, stage in enumerate(stages, start=1))
    require_stages(built)
    stream = Stream(name, built, version, _retention(path, found.get("retention")))
    require_outside(stream, f"retention in {path}")
    return stream


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(
            f"The stream file {printable(str(path))} cannot be read: {error.strerror}. Give a TOML "
            "file, or the name of a stream; `cl-bench list` shows them."
        ) from error
    except ValueError as error:  # of TOML and of UTF-8 alike
        raise UsageError(
            f"{printable(str(path))} is not a TOML file: {one_line(str(error), 200)}. Write one "
            f"table for each stage, as in {_EXAMPLE} (real line ends)."
        ) from error


def _require_known(found: Mapping[str, Any], allowed: tuple[str, ...], kind: str) -> None:
    for key in found:
        if key not in allowed:
            raise unknown(kind, key, allowed)


def _stage(path: Path, number: int, found: Any) -> Stage:
    where = f"stage {number} of {path}"
    if isinstance(found, dict):
        _require_known(found, _STAGE_KEYS, f"key in {where}")
    if not isinstance(found, dict) or "domain" not in found:
        raise UsageError(f"The {where} names no domain. Write {_EXAMPLE} (real line ends).")
    domain = a_text(f"domain in {where}", found["domain"])
    setting = a_text(f"setting in {where}", found.get("setting", "default"))
    reference = _reference(path, where, domain, found.get("options", {}))
    return Stage.on(reference, setting=setting, **_length(where, found))


def _length(where: str, found: Mapping[str, Any]) -> dict[str, int]:
    """Return the steps of a stage, or the training rollouts that it is made for."""
    given = {name: found[name] for name in ("steps", "rollouts") if name in found}
    if len(given) > 1:
        raise UsageError(
            f"The {where} has steps and rollouts, which both say how long it is. Give one of them."
        )
    length = given or {"rollouts": DEFAULT_ROLLOUTS}
    return {name: whole_number(f"{name} in {where}", n, COUNTS) for name, n in length.items()}


def _reference(path: Path, where: str, domain: str, options: Any) -> str:
    """Return the domain as the registry takes it, with its options after a question mark."""
    if not isinstance(options, dict) or any(isinstance(v, dict) for v in options.values()):
        raise UsageError(
            f"options in {where} is {one_line(str(options), 100)}, but must be a table of numbers, "
            "texts, true and false, and lists of them, as in options = { max_value = 20 }."
        )
    domain = _beside(path, domain)
    given = "&".join(f"{name}={_quoted(_plain(value))}" for name, value in options.items())
    if not given:
        return domain
    return f"{domain}{'&' if '?' in domain else '?'}{given}"


def _beside(path: Path, domain: str) -> str:
    """Return the domain; a data file beside the stream's file by its whole path."""
    name, mark, options = domain.partition("?")
    beside = path.parent / name
    if name not in DOMAINS.table and beside.is_file():
        return f"{beside.resolve()}{mark}{options}"
    return domain


def _quoted(value: str) -> str:
    """Return a value as it stands in a name, in which some texts join options and domains."""
    return quote(value).replace(STREAM_SEPARATOR, QUOTED_SEPARATOR)


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(_plain, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _retention(path: Path, names: Any) -> tuple[str, ...] | None:
    if names is None:
        return None
    if not isinstance(names, list):
        raise UsageError(
            f"retention in {path} is {one_line(str(names), 100)}, but must be a list of domains, "
            'as in retention = ["gym/gcd"].'
        )
    texts = [a_text(f"retention in {path}", name) for name in names]
    return tuple(Stage.on(_beside(path, text), 1).reference for text in texts)
