"""How every command ends when something is wrong or interrupts it."""

from __future__ import annotations

import signal
from pathlib import Path

import typer

from cl_bench.console import USAGE_ERROR, begun, report, say


class Errors:
    """Turns errors into one line and an exit code (see `report`); `--debug` lets them through.

    Ctrl-C and SIGTERM end with exit code 130 and 143 and, with `interrupted`, a line that says how
    to go on. `out` is where a single run may have begun.
    """

    def __init__(self, debug: bool, interrupted: str = "", out: Path | None = None) -> None:
        self._debug, self._interrupted, self._out = debug, interrupted, out

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGTERM, _terminate)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        signal.signal(signal.SIGTERM, self._before)
        if isinstance(error, KeyboardInterrupt) and self._interrupted:
            terminated = isinstance(error, _Terminated)
            said = "terminated" if terminated else "interrupted"
            go_on = self._interrupted if self._begun() else "Nothing was written."
            say(f"{said}. {go_on}")
            raise typer.Exit(143 if terminated else 130) from None
        if isinstance(error, BrokenPipeError | typer.Exit | typer.Abort | USAGE_ERROR):
            return  # typer's to handle
        if isinstance(error, Exception) and not self._debug:
            raise typer.Exit(report(error, self._out)) from None

    def _begun(self) -> bool:
        """Whether there is anything to go on with; a command of many runs (no `out`) has."""
        return self._out is None or begun(self._out)


class _Terminated(KeyboardInterrupt):
    """SIGTERM, as a batch system sends it before it kills: ends a run as Ctrl-C does."""


def _terminate(*_: object) -> None:
    raise _Terminated
