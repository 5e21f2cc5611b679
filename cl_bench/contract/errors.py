"""The suite's errors: one small tree, so that a caller can catch all of them or one kind.

    ClBenchError
    ├── UsageError        what the user asked for does not exist or cannot work
    │   └── PluginError   what the user asked for belongs to an installed package and is broken
    ├── RunDirectoryError a run directory is locked, damaged or belongs to something else
    │   ├── LockedError         another process is writing to it now
    │   ├── DamagedError        one of its files was changed after it was written
    │   └── OtherSoftwareError  its run began with software that is not this one
    ├── ModelError        a model folder or name that cannot be used
    ├── SamplerError      an engine that samples failed, or has not the weights that are trained
    ├── DivergedError     training produced a loss or weights that are not finite
    ├── ReflectionError   no usable rewrite came; it is counted, and the run goes on
    ├── ReplayError       a replayed run asks for a reply that its record does not hold
    ├── TrackerError      an experiment tracker refused what was sent to it
    ├── HubError          the Hugging Face hub refused what was sent to it
    └── StorageError      the store behind a URL cannot be reached, or refuses to be read or written

Every message says what was given, what is allowed and what to type next.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from typing import Any

from cl_bench.contract.text import printable

_KINDS = ("stream", "domain", "learner", "metric", "model")
POSIX = hasattr(os, "fork")
"""Whether this is Linux, macOS or the like: what runs rely on, and Windows does not have."""
_LISTED = " `cl-bench list` shows what has a name."


class ClBenchError(Exception):
    """Base of every error that cl-bench raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how another process makes the same error, whatever its class is made of."""
        return _same_error, (type(self), self.args, vars(self))


class UsageError(ClBenchError):
    """The request names something unknown or asks for something impossible."""


class PluginError(UsageError):
    """A plug-in was asked for that cannot be used; `reason` says why, in one line."""

    def __init__(self, kind: str, name: str, origin: str, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"The {kind} {name!r} of the package {origin} is broken: {reason.rstrip('.')}. Mend or "
            f"update that package, or name another {kind}; `cl-bench list` shows which work."
        )


class RunDirectoryError(ClBenchError):
    """A run directory cannot be created, read or continued."""


class LockedError(RunDirectoryError):
    """Another process is writing to the run directory."""


class RankError(ClBenchError):
    """Another of the processes that make one run together has ended, or came to another state."""


class DamagedError(RunDirectoryError):
    """A file of a run was changed after it was written.

    `file` names it (empty for the run as a whole), `reason` says what is wrong with it.
    """

    def __init__(self, message: str, file: str, reason: str) -> None:
        super().__init__(message)
        self.file, self.reason = file, reason


class OtherSoftwareError(RunDirectoryError):
    """The run began with other versions than those that are installed."""


class ModelError(ClBenchError):
    """A model or tokenizer cannot be loaded or used by the suite."""


class SamplerError(ClBenchError):
    """An engine that samples failed, or draws from other weights than those that are trained."""


class DivergedError(ClBenchError):
    """Training left the finite numbers; the run is recorded as diverged."""


class ReflectionError(ClBenchError):
    """A reflection LM gave no usable rewrite.

    `reason` names the kind of failure in a few words that repeat from call to call, `detail` what
    was special this time; `tokens` were spent all the same.
    """

    def __init__(self, reason: str, detail: str = "", *, tokens: int = 0) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail, self.tokens = reason, detail, tokens


class ReplayError(ClBenchError):
    """A replayed run asks its reflection LM for a reply that the record does not hold."""


class TrackerError(ClBenchError):
    """An experiment tracker refused what was sent to it; the run goes on without the tracker."""


class HubError(ClBenchError):
    """The Hugging Face hub refused what was sent to it."""


class StorageError(ClBenchError):
    """The store behind a URL cannot be used; `lasting` tells whether waiting is of no use."""

    def __init__(self, message: str, *, lasting: bool = True) -> None:
        super().__init__(message)
        self.lasting = lasting


def _same_error(
    kind: type[ClBenchError], args: tuple[Any, ...], state: dict[str, Any]
) -> ClBenchError:
    error = kind.__new__(kind, *args)
    vars(error).update(state)
    return error


def require_posix() -> None:
    """Raise `UsageError` on a system that can read runs but not make them."""
    if not POSIX:
        raise UsageError(
            "Runs are made on Linux and macOS; on Windows, in its Subsystem for Linux (WSL). Here "
            "report, show, compare, check, metrics, list and results verify work."
        )


def at_least(**checks: tuple[float, float]) -> None:
    """Raise `UsageError` for the first `name=(given, least)` whose number is too small."""
    for name, (given, least) in checks.items():
        if not given >= least:
            raise UsageError(f"{name} is {given:.10g}, but must be at least {least:g}.")


def unknown(
    kind: str, given: object, allowed: Iterable[str], unlisted: Iterable[str] = ()
) -> UsageError:
    """Return the error for an unknown name, with the names allowed and a guess at the one meant.

    The guess may also be one of `unlisted`, names that are too many to list.
    """
    names = sorted(allowed, key=_by_number)
    hint = did_you_mean(str(given), [*names, *unlisted])
    known = ", ".join(names)
    shown = printable(repr(given), 100)
    return UsageError(
        f"Unknown {kind} {shown}.{hint} Known: {known}.{_LISTED if kind in _KINDS else ''}"
    )


def did_you_mean(given: str, names: Iterable[str], *, prefix: str = "", cutoff: float = 0.5) -> str:
    """` Did you mean 'NAME'?` for the name that is nearest to `given`; empty if none is near."""
    given = given[:100]
    close = difflib.get_close_matches(given, list(names), n=3, cutoff=cutoff)
    if not close:
        return ""

    def nearness(name: str) -> tuple[float, bool]:
        # Of two that are equally near, the one with the same first letter.
        return difflib.SequenceMatcher(None, name, given).ratio(), name[:1] == given[:1]

    return f" Did you mean {printable(prefix + max(close, key=nearness), 100)!r}?"


def _by_number(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts whole numbers in names by value: 2 before 10."""
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), "") if odd % 2 else (-1, part) for odd, part in enumerate(parts)]
