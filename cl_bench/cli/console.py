"""What a command prints, and how it ends when something is wrong or somebody ends it: a line on
stderr, an exit code.

2         the request cannot be met: errors of the suite, files that cannot be used, wrong options
1         a bug: an exception nobody expected, whose traceback goes to a file
130, 143  Ctrl-C and SIGTERM
"""

from __future__ import annotations

import codecs
import os
import re
import signal
import sys
import tempfile
import traceback
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from textwrap import TextWrapper
from typing import Any

import typer
from rich.cells import cell_len
from rich.console import Console
from typer.core import TyperGroup

from cl_bench.cli.help import Helped
from cl_bench.contract.errors import ClBenchError, RankError
from cl_bench.contract.redaction import say, without_keys
from cl_bench.contract.text import one_line, plainer
from cl_bench.model.ranks import speak_if_alone
from cl_bench.store.remote import with_urls

_LABELLED, _LEAST_INDENT = re.compile(r"\s*\S+(?: \S+)*\s{2,}(?=\S)|\s*"), 4
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
"""Base of typer's own errors about options and arguments; newer typers do not export it."""


def echo(text: str, *, err: bool = False) -> None:
    """Print a text as a line; copies of what is at a URL go by the URL."""
    print(with_urls(text), file=sys.stderr if err else sys.stdout, flush=True)


def echo_wrapped(text: str) -> None:
    """Print lines of labels and texts as they are; for a terminal that is narrower, wrapped by
    words, what does not fit below its text."""
    screen = Console()
    for line in text.splitlines():
        fits = not screen.is_terminal or cell_len(line) <= screen.width
        echo(line if fits else _wrapped(line, screen.width))


def _wrapped(line: str, width: int) -> str:
    head = _LABELLED.match(line)
    indent = len(head[0]) if head else 0
    if max(map(len, line[indent:].split())) > width - indent:
        indent = min(indent, _LEAST_INDENT)
    below = " " * indent
    wrapper = TextWrapper(
        width, subsequent_indent=below, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(wrapper.wrap(line))


def _plainer(error: UnicodeError) -> tuple[str, int]:
    """What is written for characters that the output's encoding lacks, and where to go on."""
    assert isinstance(error, UnicodeEncodeError)
    return plainer(error.object[error.start : error.end]), error.end


codecs.register_error("cl-bench-plainer", _plainer)


def take_any_text() -> None:
    """From now on no output fails for its encoding, whoever prints on it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # none at all where it is closed
            stream.reconfigure(errors="cl-bench-plainer")


class Errors:
    """Turns errors into one line and an exit code; with `debug` they go through as they are.

    After Ctrl-C and SIGTERM the line, `interrupted`, says how to go on; given `out`, only if there
    is a run in that directory. A bug ends with exit code `bug`, which a command changes to which 1
    means something else.
    """

    def __init__(
        self,
        debug: bool = False,
        interrupted: str = "",
        out: Path | None = None,
        *,
        bug: int = 1,
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
            resumable = self._out is None or _begun(self._out)
            interrupted = with_urls(self._interrupted)
            say(f"{said}. {interrupted if resumable else 'Nothing was written.'}")
            raise typer.Exit(143 if terminated else 130) from None
        if isinstance(error, BrokenPipeError | typer.Exit | typer.Abort | _USAGE_ERROR):
            return  # typer's to handle
        if isinstance(error, Exception) and not self._debug:
            raise typer.Exit(_report(error, self._out, self._bug)) from None


class _Terminated(KeyboardInterrupt):
    """SIGTERM, as a batch system sends it before it kills: ends a run as Ctrl-C does."""


def _terminate(*_: object) -> None:
    raise _Terminated


def _report(error: Exception, resumable: Path | None, bug: int) -> int:
    """Say what went wrong and return the exit code, `bug` for what nobody expected; `resumable` is
    where a run may have begun."""
    speak_if_alone()
    again = f" Go on with: cl-bench run --resume {resumable}" if _begun(resumable) else ""
    if isinstance(error, ClBenchError):
        say(with_urls(f"{error}{again if isinstance(error, RankError) else ''}"))
        return 2
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        say(f"{where}{error.strerror}. Give another path, or mend that one; --debug shows more.")
        return 2
    say(
        f"unexpected {type(error).__name__}: {one_line(str(error), 300)}. This is a bug in "
        f"cl-bench or in a plug-in; {_traceback_kept(error)}.{with_urls(again)}"
    )
    return bug


def _begun(path: Path | None) -> bool:
    """Whether there is a run in `path`."""
    with suppress(OSError):
        return path is not None and (path / "manifest.json").exists()
    return False


def _traceback_kept(error: Exception) -> str:
    """Write the traceback, without keys, to a new temporary file and say where it is."""
    text = without_keys("".join(traceback.format_exception(error)))
    with suppress(OSError):
        number, path = tempfile.mkstemp(prefix="cl-bench-traceback-", suffix=".txt")
        with os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        return f"its traceback is in {path}"
    return "--debug shows its traceback"


class OneLineGroup(Helped, TyperGroup):
    """A command group whose usage errors are one line, too."""

    def main(self, *args: Any, **options: Any) -> Any:
        take_any_text()
        standalone = options.pop("standalone_mode", True)
        try:
            code = super().main(*args, **{**options, "standalone_mode": False})
        except _USAGE_ERROR as error:
            if not standalone:
                raise
            code = _refuse_usage(error)
        except typer.Abort:
            if not standalone:
                raise
            say("interrupted.")
            code = 130
        if not standalone:
            return code
        sys.exit(code if isinstance(code, int) else 0)


def _refuse_usage(error: Any) -> int:
    """Print a usage error; a group called without a command shows its help instead."""
    if type(error).__name__ == "NoArgsIsHelpError":
        echo(error.ctx.get_help(), err=True)
        return 2
    speak_if_alone()
    command = error.ctx.command_path if error.ctx else "cl-bench"
    said = f"{error.format_message().rstrip('.?')}."
    say(f"{said}{_by_set(error)} `{command} --help` shows what is allowed.")
    return 2


def _by_set(error: Any) -> str:
    """How a setting of runs is given to a command about many, if it was one."""
    from cl_bench.run_options import RunOptions

    name = getattr(error, "option_name", "").removeprefix("--").replace("-", "_")
    taken = error.ctx and any("--set" in one.opts for one in error.ctx.command.params)
    if not taken or name not in RunOptions.__annotations__:
        return ""
    return f" A setting of runs is given as in --set {name}=VALUE."
