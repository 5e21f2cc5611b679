"""Sums of whole numbers as texts: what they come to, without running them, and how to reach one."""

from __future__ import annotations

import ast
import operator
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import combinations

_LONGEST = 2_000
"""Characters of a text from which on it is not read."""
_OPERATORS: Mapping[type, Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_Part = tuple[Fraction, str]
"""A value, and the text that comes to it."""


def value_of(text: str) -> Fraction | None:
    """The value of whole numbers under + - * / and brackets; None of anything else."""
    if len(text) > _LONGEST or not re.fullmatch(r"[-+*/() 0-9]+", text):
        return None
    try:
        return _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None


def numbers_in(text: str) -> Counter[int]:
    """The whole numbers that a text holds, and how often."""
    return Counter(int(digits) for digits in re.findall(r"[0-9]+", text))


def reaching(target: int, numbers: Sequence[int]) -> str | None:
    """An expression that comes to `target` and has each of `numbers` at most once, or None."""
    # Differences are taken of the larger: what comes to a negative number is the other way round.
    found = _reached(Fraction(abs(target)), [(Fraction(n), str(n)) for n in numbers], set())
    return f"-{found}" if found and target < 0 else found


def _value(node: ast.expr) -> Fraction:
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return Fraction(node.value)
    raise ValueError(ast.dump(node))


def _reached(target: Fraction, parts: list[_Part], tried: set[tuple[Fraction, ...]]) -> str | None:
    """As `reaching`; the values of `tried` do not come to the target, however they came about."""
    values = tuple(sorted(value for value, _ in parts))
    if values in tried:
        return None
    tried.add(values)
    for value, text in parts:
        if value == target:
            return text
    for i, j in combinations(range(len(parts)), 2):
        rest = [part for k, part in enumerate(parts) if k not in (i, j)]
        for joined in _joined(parts[i], parts[j]):
            found = _reached(target, [*rest, joined], tried)
            if found is not None:
                return found
    return None


def _joined(one: _Part, two: _Part) -> Iterator[_Part]:
    (a, left), (b, right) = (one, two) if one[0] >= two[0] else (two, one)
    yield a + b, f"({left} + {right})"
    yield a * b, f"({left} * {right})"
    yield a - b, f"({left} - {right})"
    if b:
        yield a / b, f"({left} / {right})"
    if a:
        yield b / a, f"({right} / {left})"
