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
_MARKED = re.compile(r"(?<!\\)\$.*(?<!\\)\$|\\boxed", re.DOTALL)
"""Text that says itself where its formulas are."""
_WORD = (
    r"(?!(?:and|or|not|minus|negative|plus|times|over|mod|sqrt|log|exp|(?:arc)?(?:sin|cos|tan)h?"
    r"|alpha|beta|gamma|theta|lambda|sigma|omega|phi)\b)"
    r"(?:[A-Za-z]{3,}|is|so|we|it|of|to|at|in|as|by|if|be|an|cm|mm|km|kg|mg|ml|ft|lb|oz)"
)
"""A word or a unit, but none that changes a formula; "xy" and "pi" are parts of one."""
_TOLD = re.compile(
    rf"(?:(?:[ai] +)?{_WORD}[,:]? +)*(?P<formula>\S.*?)"
    rf"(?: +(?:(?:{_WORD}|m)(?:\^\{{?[23]\}}?)?(?: +|$))+)?",
    re.IGNORECASE | re.DOTALL,
)
"""A formula between words: 5 in "a total of 5 apples", x = 5 in "so x is 5"."""
_IS = re.compile(r"(?<=^[a-zA-Z]) +is\b")


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
    """Whether math-verify finds the two the same, each with or without the words around it."""
    from math_verify import verify  # type: ignore[import-untyped]

    rights, given = _readings(gold), _readings(text)
    # A limit of None turns math-verify's own off, which sets alarms; the whole process has one.
    return any(verify(right, found, timeout_seconds=None) for right in rights for found in given)


def _readings(text: str) -> list[list[Any]]:
    """A text as LaTeX, and what of it is none as words around a formula.

    Never as plain text, of which math-verify takes one number: 2 of "2i", 12 of "13, 12".
    """
    from math_verify import LatexExtractionConfig, parse

    formulas = [text if _MARKED.search(text) else f"${text}$"]
    if told := _TOLD.fullmatch(text.strip()):
        formulas.append(f"${_IS.sub('=', told['formula'])}$")
    parsed = (parse(each, [LatexExtractionConfig()], parsing_timeout=None) for each in formulas)
    return [reading for reading in parsed if reading]


if __name__ == "__main__":
    main()
