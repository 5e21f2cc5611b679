"""How pages write numbers: by their unit, with the minus of typography and aligned decimals."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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


def brief_time(seconds: float) -> str:
    """Wall time in one unit: `8.4 s`, `3.2 min`, `1.1 h`."""
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 0.9995 * size:
            return f"{plain(seconds / size, '.1f')} {unit}"
    return f"{plain(seconds, '.1f')} s"


_BY_UNIT: Mapping[str, tuple[Callable[[float], str], str]] = {
    "share": (lambda value: plain(100 * value, ".1f"), "%"),
    "points": (lambda value: signed(100 * value, ".1f"), "points"),
    "nats/token": (lambda value: plain(value, ".3f"), "nats/token"),
    "ratio": (lambda value: plain(value, ".2f"), "×"),
    "seconds": (brief_time, ""),
    "rollouts": (compact, ""),
    "tokens": (compact, ""),
}


def shown(value: float, unit: str) -> str:
    """A value of this unit, without the unit."""
    return _BY_UNIT[unit][0](value) if unit in _BY_UNIT else plain(value, ".4g")


def unit_name(unit: str) -> str:
    """What to write beside values of the unit; empty where they say it themselves."""
    return _BY_UNIT[unit][1] if unit in _BY_UNIT else unit
