"""Names of reasoning-gym's data sets with parameters: `gym/gcd?max_value=20&min_value=1`.

The text of a parameter is read by the type of its default. Which parameters there are is
reasoning-gym's affair; `partial` is ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from enum import Enum
from typing import Any
from urllib.parse import unquote

from cl_bench.contract.errors import UsageError, unknown
from cl_bench.contract.plugins import STREAM_SEPARATOR
from cl_bench.contract.text import printable

Values = dict[str, Any]

PARTIAL = "partial"
"""The parameter that turns reasoning-gym's partial credit on."""
_OURS = {"seed", "size"}
"""Parameters of every data set that the suite sets itself."""
_SHOWN = 60
_PAIR = r"[a-z0-9_]+=[^&=?#\s]+"
_NAME = re.compile(rf"gym/(?P<data>\w+)(?:\?(?P<pairs>{_PAIR}(?:&{_PAIR})*))?")
_MEANT = re.compile(rf"gym/\w+(?:\?(?:(?!{STREAM_SEPARATOR}).)*)?")


def known(name: str) -> bool:
    """Whether `name` means a data set, which need not exist, nor its parameters be well written."""
    return _MEANT.fullmatch(name) is not None


def split(name: str) -> tuple[str, dict[str, str]]:
    """The data set and the texts of its parameters."""
    match = _NAME.fullmatch(name)
    bare, _, pairs = name.partition("?")
    for pair in pairs.split("&") if match is None else ():
        if pair and not pair.partition("=")[2]:
            key = pair.rstrip("=")
            raise UsageError(f"The parameter {key!r} has no value. Write {bare}?{key}=VALUE.")
    if match is None:
        raise UsageError(
            f"{printable(name, 100)!r} is no name of a reasoning-gym data set; write gym/gcd, or "
            "gym/gcd?max_value=20&min_value=1 to set parameters. `cl-bench list gym` names them."
        )
    texts: dict[str, str] = {}
    for pair in filter(None, (match["pairs"] or "").split("&")):
        key, _, text = pair.partition("=")
        if key in texts:
            raise UsageError(f"{name!r} sets {key!r} twice; write it once.")
        texts[key] = unquote(text)
    return match["data"], texts


def canonical(data: str, values: Mapping[str, Any]) -> str:
    """The one name for a data set with these values: sorted, each in one spelling."""
    pairs = "&".join(f"{key}={spelled(values[key]).replace('%', '%25')}" for key in sorted(values))
    return f"gym/{data}{'?' * bool(pairs)}{pairs}"


def spelled(value: object) -> str:
    """A value as it stands in a name."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(map(spelled, value))
    return str(value.value if isinstance(value, Enum) else value)


def defaults(config: Any) -> Values:
    """The parameters of a configuration class that a name can set, with their defaults."""
    made = config()
    values = {
        part.name: getattr(made, part.name) for part in fields(config) if part.name not in _OURS
    }
    return {key: value for key, value in values.items() if _reader(value) is not None}


def read(data: str, config: Any, texts: Mapping[str, str]) -> Values:
    """The values of parameters. Unknown ones, and texts of another type, are a `UsageError`."""
    allowed: Values = {PARTIAL: False, **defaults(config)}
    values = {}
    for key, text in texts.items():
        if key not in allowed:
            error = unknown(f"parameter of gym/{data}", key, allowed)
            raise UsageError(f"{error} Defaults: {_listed(allowed)}.")
        reader = _reader(allowed[key])
        try:
            values[key] = reader(text) if reader else text
        except ValueError as error:
            raise UsageError(
                f"gym/{data} cannot have {key}={text}: {key} is {_kind(allowed[key])}, such as "
                f"its default {spelled(allowed[key])}. Parameters: {_listed(allowed)}."
            ) from error
    return values


def _listed(values: Mapping[str, Any]) -> str:
    shown = {key: spelled(value) for key, value in values.items()}
    return ", ".join(
        f"{key}={text if len(text) <= _SHOWN else text[: _SHOWN - 1] + '…'}"
        for key, text in shown.items()
    )


def _reader(default: Any) -> Callable[[str], Any] | None:
    """A function from a text to a value of the type of `default`; None if no text can be one."""
    if isinstance(default, bool):
        return _truth
    if isinstance(default, Enum | int | float | str):
        kind: Callable[[str], Any] = type(default)
        return kind
    if isinstance(default, list | tuple) and default:
        element = _reader(default[0])
        sequence: Any = type(default)
        return element and (lambda text: sequence(map(element, text.split(","))))
    return None


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _kind(default: object) -> str:
    if isinstance(default, list | tuple):
        return f"a list with commas, each {_kind(default[0])}"
    if isinstance(default, Enum):
        return f"one of {', '.join(str(item.value) for item in type(default))}"
    kinds = {bool: "true or false", int: "a whole number", float: "a number"}
    return kinds.get(type(default), "a text")
