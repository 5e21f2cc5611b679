"""The process for patterns and for comparing formulas: `python -m cl_bench.tasks.data.worker`."""

from __future__ import annotations

import json
import re
import resource
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

_MEMORY = 4 * 2**30


def main() -> None:
    """Answer questions until there are no more; with the argument `formulas`, about those."""
    # imports math-verify and fills its caches
    serve(_answer, lambda: "formulas" in sys.argv and _same_formula("1", "1"))


def serve(answer: Callable[[Mapping[str, Any]], dict[str, Any]], warm: Callable[[], Any]) -> None:
    """Answer each question by `answer`, after `warm` has imported what it needs."""
    with suppress(ValueError, OSError):  # not every system has this limit
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    out, sys.stdout = sys.stdout, sys.stderr  # libraries print
    warm()
    print('{"id": 0}', file=out, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            found = answer(asked)
        except Exception as error:  # noqa: BLE001 - a formula may break its reader anywhere
            found = {"fault": f"{type(error).__name__}: {error}"}
        print(json.dumps({"id": asked["id"], **found}), file=out, flush=True)


def _answer(question: Mapping[str, str]) -> dict[str, Any]:
    """The score of the text; where a pattern is none, its fault."""
    if "formula" in question:
        return {"score": float(_same_formula(question["formula"], question["text"]))}
    try:
        return {"score": float(re.search(question["pattern"], question["text"]) is not None)}
    except (re.error, RecursionError, OverflowError) as error:
        return {"fault": str(error)}


def _same_formula(gold: str, text: str) -> bool:
    """Whether math-verify finds the two the same, each read as LaTeX or as plain text."""
    from math_verify import verify  # type: ignore[import-untyped]

    rights, given = _readings(gold), _readings(text)
    # A limit of None turns math-verify's own off, which sets alarms; the whole process has one.
    return any(verify(right, found, timeout_seconds=None) for right in rights for found in given)


def _readings(text: str) -> list[list[Any]]:
    """A text as LaTeX and as plain text, as far as it can be read so."""
    from math_verify import parse

    plain = parse(text, parsing_timeout=None)
    if "$" in text or "\\boxed" in text:
        return [plain] if plain else []
    formula = parse(f"${text}$", parsing_timeout=None)
    # In plain text math-verify takes the last number alone: 12 of "13, 12".
    found = [formula] if formula and _several(formula[0]) else [formula, plain]
    return [reading for reading in found if reading]


def _several(value: Any) -> bool:
    """Whether a formula is several numbers: a set, a tuple or an interval."""
    if not hasattr(value, "free_symbols") or getattr(value, "is_number", False):
        return False
    return len(value.args) > 1 and not value.free_symbols


if __name__ == "__main__":
    main()
