"""How a command of the command line ends when something goes wrong or somebody ends it."""

from __future__ import annotations

import signal
from pathlib import Path

import typer

from cl_bench.cli.console import USAGE_ERROR, begun, report
from cl_bench.contract.redaction import say


class Errors:
    """Turns errors into one line and an exit code (see `report`); `--debug` lets them through.

    Ctrl-C and SIGTERM end with exit code 130 and 143 and a line, `interrupted`, that says how to go
    on; given `out`, only if there is a run in that directory. A bug ends with exit code `bug`,
    which a command changes to which 1 means something else.
    """

    def __init__(
        self, debug: bool, interrupted: str = "", out: Path | None = None, *, bug: int = 1
    ) -> None:
        self._debug, self._interrupted, self._out = debug, interrupted, out
        self._bug = bug

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGTERM, _terminate)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        signal.signal(signal.SIGTERM, self._before)
        if isinstance(error, KeyboardInterrupt) and self._interrupted:
            terminated = isinstance(error, _Terminated)
            said = "terminated" if terminated else "interrupted"
            resumable = self._out is None or begun(self._out)
            say(f"{said}. {self._interrupted if resumable else 'Nothing was written.'}")
            raise typer.Exit(143 if terminated else 130) from None
        if isinstance(error, BrokenPipeError | typer.Exit | typer.Abort | USAGE_ERROR):
            return  # typer's to handle
        if isinstance(error, Exception) and not self._debug:
            raise typer.Exit(report(error, self._out, bug=self._bug)) from None


class _Terminated(KeyboardInterrupt):
    """SIGTERM, as a batch system sends it before it kills: ends a run as Ctrl-C does."""


def _terminate(*_: object) -> None:
    raise _Terminated
