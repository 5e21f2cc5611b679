"""How pages write numbers: by their unit, with the minus of typography and aligned decimals."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cl_bench.text import duration

NOTHING = "—"
"""Stands where a number would."""


def plain(value: float, spec: str) -> str:
    """A number with a proper minus; what rounds to zero has none."""
    shown = format(value, spec).replace("-", "−")
    return shown if shown.strip("−0.,") else shown.removeprefix("−")


def signed(value: float, spec: str) -> str:
    """With its sign; what rounds to zero has none."""
    shown = format(value, f"+{spec}").replace("-", "−")
    return shown if shown.strip("+−0.,") else shown[1:]


def compact(value: float) -> str:
    """A count in three digits: `842`, `9.84k`, `1.35M`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * size:
            scaled = value / size
            digits = 2 if abs(scaled) < 9.995 else 1 if abs(scaled) < 99.95 else 0
            return plain(scaled, f".{digits}f") + letter
    return plain(value, ".0f")


_BY_UNIT: Mapping[str, tuple[Callable[[float], str], str]] = {
    "share": (lambda value: plain(100 * value, ".1f"), "%"),
    "points": (lambda value: signed(100 * value, ".1f"), "points"),
    "nats/token": (lambda value: plain(value, ".4f"), "nats/token"),
    "ratio": (lambda value: plain(value, ".2f"), "×"),
    "times": (lambda value: plain(value, ".2f"), "×"),
    "seconds": (duration, ""),
    "rollouts": (compact, ""),
    "tokens": (compact, ""),
}


def shown(value: float, unit: str) -> str:
    """A value of this unit, without the unit."""
    write, _ = _BY_UNIT.get(unit, (lambda other: plain(other, ".4g"), unit))
    return write(value)


def unit_name(unit: str) -> str:
    """What to write beside values of the unit; empty where they say it themselves."""
    return _BY_UNIT.get(unit, (None, unit))[1]
