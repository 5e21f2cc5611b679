"""JSON values in responses: finding the one that is the answer, and comparing two."""

from __future__ import annotations

import json
import re
from math import isclose
from typing import Any, NoReturn

from cl_bench.contract.answers import extract

KEY = "output"
"""A response may give its answer as an object with this key alone."""
_LONGEST = 20_000
_MOST_TRIES = 500
"""Braces of a response at which an object is looked for."""
_NEAR = 0.001
"""Relative distance of numbers that are not whole, as CodeI/O allows."""


def answered(response: str) -> str | None:
    """The value that `response` answers, written in one way; None if there is none.

    It is that of the last object with the key `output`, else what stands in a form or in the last
    line. Nothing is evaluated.
    """
    if len(response) > _LONGEST:
        return None
    found = [given[KEY] for given in _objects(response) if KEY in given]
    if found:
        return _written(found[-1])
    text = extract(response, "line").text or ""
    try:
        return _written(read(f"{{{text}}}")[KEY] if text.startswith(f'"{KEY}"') else read(text))
    except (ValueError, KeyError):
        return None


def read(text: str) -> Any:
    """The value that a JSON text means; `ValueError` if it means none."""
    try:
        return _DECODER.decode(text.strip())
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def same(one: Any, two: Any) -> bool:
    """Whether two values are equal: numbers nearly, objects in any order, all else exactly."""
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, float) or isinstance(two, float):
        return _is_number(one) and _is_number(two) and _near(one, two)
    return type(one) is type(two) and bool(one == two)  # of which True is not 1


def _near(one: float, two: float) -> bool:
    try:
        return isclose(one, two, rel_tol=_NEAR)
    except OverflowError:  # a whole number that no float can hold
        return False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _objects(text: str) -> list[dict[str, Any]]:
    """The outermost objects in a text."""
    found = []
    end = 0
    for match in [*re.finditer(r"\{", text)][-_MOST_TRIES:]:
        if match.start() < end:
            continue
        try:
            value, end = _DECODER.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        found.append(value)
    return found


def _written(value: Any) -> str | None:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True)
    except (ValueError, RecursionError):
        return None


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


_DECODER = json.JSONDecoder(parse_constant=_refused)
