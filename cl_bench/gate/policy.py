"""The demands of the gate on a candidate: a TOML file, read strictly.

    version = 1
    level = 0.95                      # of every interval, two-sided
    missing_seeds = "inconclusive"    # or "error"

    [metrics.average_accuracy]        # any of cl_bench.analysis.run_values.RUN_METRICS
    tolerance = 0.05
    relative_tolerance = 0.0
    better = "higher"                 # "lower", "neither"; by default the metric's own
    interval = true                   # false: every seed's difference itself decides
    optional = false                  # true: skipped if no run has it, instead of inconclusive

    [trajectory.accuracy]             # or kl_policy_base
    mean_tolerance = 0.05
    point_tolerance = 0.10            # with mean_relative_tolerance, point_relative_tolerance
    optional = false                  # true: points that the reference lacks are left out

An unknown name, a value of another type and a negative tolerance are a `UsageError` that names the
file and the entry.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

from cl_bench.analysis.run_values import RUN_METRICS, Better
from cl_bench.contract.errors import UsageError, unknown
from cl_bench.contract.text import one_line, printable
from cl_bench.contract.validation import Bounds, real_number
from cl_bench.metrics.quantities import NATS, SHARE, Quantity

POLICY_VERSION = 1
TRAJECTORIES: Mapping[str, tuple[Quantity, Better]] = {
    "accuracy": (SHARE, "higher"),
    "kl_policy_base": (NATS, "lower"),
}
"""The columns of `evaluations` that can be followed over a run: what they measure, and which way is
better."""

OPTIONAL = "optional = true in [{}.{}] lets that pass"
"""The entry of a policy for streams that have no such number."""
OnMissing = Literal["inconclusive", "error"]
_TOLERANCES: Bounds = (0, 1e12)
_LEVELS: Bounds = (0.5, 0.9999)


@dataclass(frozen=True)
class Tolerance:
    """How much worse a candidate may be."""

    absolute: float = 0.0
    """In the unit of the quantity."""
    relative: float = 0.0
    """As a share of the reference's value, added to `absolute`."""

    def at(self, reference: float) -> float:
        """The tolerance beside a value of the reference, in the unit of the quantity."""
        return self.absolute + self.relative * abs(reference)


@dataclass(frozen=True)
class MetricRule:
    """The demand on one number of a run."""

    tolerance: Tolerance
    better: Better
    """`neither`: a difference in either direction counts."""
    interval: bool = True
    """Whether the interval of the difference decides; else every seed's difference itself does."""
    optional: bool = False
    """Whether it is skipped where no run has it; else that is inconclusive."""


@dataclass(frozen=True)
class TrajectoryRule:
    """The demand on one quantity over all evaluation points."""

    mean: Tolerance
    """For the mean drift over all points."""
    point: Tolerance
    """For the drift at every single point."""
    better: Better
    optional: bool = False
    """Whether points that the reference lacks are left out, all of them if no run has any; else
    they are inconclusive."""


@dataclass(frozen=True)
class GatePolicy:
    """All demands on a candidate."""

    metrics: Mapping[str, MetricRule]
    trajectories: Mapping[str, TrajectoryRule]
    level: float = 0.95
    """Of every interval, two-sided; that of points is spread over all of them (Bonferroni)."""
    missing_seeds: OnMissing = "inconclusive"
    source: str = field(default="", compare=False)
    """Where it was read."""
    sha256: str = field(default="", compare=False)
    """Of the file's bytes."""


def default_policy_text() -> str:
    """The policy that holds when none is given, as TOML."""
    return files("cl_bench.gate").joinpath("policy.toml").read_text(encoding="utf-8")


def default_policy() -> GatePolicy:
    """The policy that holds when none is given."""
    return parse_policy(default_policy_text(), "the default policy")


def load_policy(path: Path) -> GatePolicy:
    """The policy in a file; one that cannot be read or understood is a `UsageError`."""
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise UsageError(
            f"Cannot read the policy {path}: {error.strerror}. `cl-bench check --print-policy > "
            "policy.toml` writes one to start from."
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"The policy {path} is no UTF-8 text ({error.reason}).") from error
    return parse_policy(text, str(path))


def parse_policy(text: str, source: str) -> GatePolicy:
    """The policy that a TOML text states; `source` names it in errors."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            f"{source} is not TOML: {one_line(str(error), 200)}. "
            "`cl-bench check --print-policy` shows how a policy is written."
        ) from error
    top = _Reader(found, source)
    version = top.take("version", _version, None)
    if version is None:
        raise UsageError(f"{source}: version is missing; write version = {POLICY_VERSION}.")
    policy = GatePolicy(
        {name: _metric(name, entry) for name, entry in top.tables("metrics", RUN_METRICS)},
        {name: _trajectory(name, entry) for name, entry in top.tables("trajectory", TRAJECTORIES)},
        top.take("level", partial(_number, _LEVELS), 0.95),
        top.take("missing_seeds", partial(_one_of, get_args(OnMissing)), "inconclusive"),
        source,
        sha256(text.encode()).hexdigest(),
    )
    top.end()
    if not policy.metrics and not policy.trajectories:
        raise UsageError(
            f"{source} asks nothing: give it a table such as [metrics.average_accuracy] with "
            "a tolerance."
        )
    return policy


class _Reader:
    """One table of a policy, whose entries are taken one by one."""

    def __init__(self, entries: Mapping[str, Any], where: str) -> None:
        self._left, self._where = dict(entries), where
        self._known: list[str] = []

    def take(self, name: str, convert: Callable[[str, Any], Any], default: Any) -> Any:
        self._known.append(name)
        if name not in self._left:
            return default
        return convert(f"{self._where}: {name}", self._left.pop(name))

    def tables(self, name: str, allowed: Mapping[str, Any]) -> list[tuple[str, _Reader]]:
        """The tables below the table `name`, which is one of `allowed` each."""
        found = self.take(name, _table, {})
        for inner in found:
            if inner not in allowed:
                raise _at(self._where, unknown(f"entry of [{name}]", inner, allowed))
        return [
            (inner, _Reader(_table(f"{self._where}: {name}.{inner}", entries), self._place(inner)))
            for inner, entries in found.items()
        ]

    def tolerance(self, prefix: str = "") -> Tolerance:
        number = partial(_number, _TOLERANCES)
        return Tolerance(
            self.take(f"{prefix}tolerance", number, 0.0),
            self.take(f"{prefix}relative_tolerance", number, 0.0),
        )

    def end(self) -> None:
        """Refuse what nobody has taken."""
        for name in self._left:
            raise _at(self._where, unknown("entry", name, self._known))

    def _place(self, inner: str) -> str:
        return f"{self._where}, {inner}"


def _metric(name: str, entry: _Reader) -> MetricRule:
    rule = MetricRule(
        entry.tolerance(),
        entry.take("better", partial(_one_of, get_args(Better)), RUN_METRICS[name].better),
        entry.take("interval", _flag, True),
        entry.take("optional", _flag, False),
    )
    entry.end()
    return rule


def _trajectory(name: str, entry: _Reader) -> TrajectoryRule:
    better = entry.take("better", partial(_one_of, get_args(Better)), TRAJECTORIES[name][1])
    optional = entry.take("optional", _flag, False)
    rule = TrajectoryRule(entry.tolerance("mean_"), entry.tolerance("point_"), better, optional)
    entry.end()
    return rule


def _version(name: str, given: Any) -> int:
    if given != POLICY_VERSION or isinstance(given, bool):
        raise UsageError(
            f"{name} is {_shown(given)}, but this cl-bench reads version {POLICY_VERSION}."
        )
    return POLICY_VERSION


def _number(bounds: Bounds, name: str, given: Any) -> float:
    return real_number(name, given, bounds)


def _flag(name: str, given: Any) -> bool:
    if not isinstance(given, bool):
        raise UsageError(f"{name} is {_shown(given)}, but must be true or false.")
    return given


def _one_of(allowed: tuple[str, ...], name: str, given: Any) -> str:
    if not isinstance(given, str) or given not in allowed:
        raise UsageError(f"{name} is {_shown(given)}, but must be one of {', '.join(allowed)}.")
    return given


def _table(name: str, given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise UsageError(f"{name} is {_shown(given)}, but must be a table.")
    return given


def _shown(given: Any) -> str:
    return printable(repr(given), 100)


def _at(where: str, error: UsageError) -> UsageError:
    return UsageError(f"{where}: {error}")
