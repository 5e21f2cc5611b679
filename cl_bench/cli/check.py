"""The command `cl-bench check`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cl_bench.cli.endings import Errors
from cl_bench.contract.errors import ClBenchError, UsageError

if TYPE_CHECKING:
    from cl_bench.gate.outcome import GateReport

Name = typer.Option
Runs = Annotated[
    list[Path] | None,
    typer.Argument(help="Runs, or folders of runs.", metavar="CANDIDATE..."),
]


def check(
    candidate: Runs = None,
    against: Annotated[Path | None, Name(help="The reference, or any folder of runs.")] = None,
    policy: Annotated[
        Path | None, Name(help="TOML file; else the reference's own, else the default.")
    ] = None,
    verify: Annotated[
        bool, Name("--verify", help="First hold all runs against themselves: `results verify`.")
    ] = False,
    as_json: Annotated[bool, Name("--json", help="Print JSON, for machines.")] = False,
    junit: Annotated[Path | None, Name(help="Also write JUnit XML to this file.")] = None,
    github: Annotated[
        bool, Name("--github", help="Annotate and summarise; so it is on GitHub anyway.")
    ] = False,
    print_policy: Annotated[
        bool, Name("--print-policy", help="Print the default policy and do nothing else.")
    ] = False,
    debug: Annotated[bool, Name("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Did it get worse? Exit code 0: no. 1: yes. 3: too little data to say. 2: cannot compare."""
    with Errors(debug, bug=2):
        if print_policy:
            from cl_bench.gate.policy import default_policy_text

            typer.echo(default_policy_text(), nl=False)
            raise typer.Exit(0)
        from cl_bench.gate.write_github import on_github

        output = _Output(as_json, github or on_github())
        try:
            output.junit = _writable(junit)
            report = _report(candidate, against, policy, verify=verify)
        except Exception as error:
            output.failed(error)
            raise
        output.done(report)
        raise typer.Exit(report.exit_code)


def _report(
    candidate: list[Path] | None, against: Path | None, policy: Path | None, *, verify: bool
) -> GateReport:
    from cl_bench.gate.policy import load_policy
    from cl_bench.gate.regression import check as check_runs

    if not candidate or against is None:
        raise UsageError(
            "A candidate and a reference are needed: `cl-bench check RUN --against REFERENCE`."
        )
    chosen = load_policy(policy) if policy else None
    return check_runs(candidate, against, chosen, verify=verify)


class _Output:
    """Where a report, or the error instead of one, goes."""

    def __init__(self, as_json: bool, github: bool) -> None:
        self._as_json, self._github = as_json, github
        self.junit: Path | None = None

    def done(self, report: GateReport) -> None:
        from cl_bench.gate import write_github as hub
        from cl_bench.gate import write_json, write_junit

        if self._as_json:
            _print_json(write_json.data(report))
        else:
            self._print(report)
        if self.junit:
            _write(self.junit, write_junit.junit(report))
        if self._github:
            self._annotate(hub.annotation_lines(report), hub.summary(report))

    def failed(self, error: Exception) -> None:
        from cl_bench.gate import write_github as hub
        from cl_bench.gate import write_json, write_junit

        expected = isinstance(error, ClBenchError)
        message = str(error) if expected else f"unexpected {type(error).__name__}: {error}"
        if self._as_json:
            _print_json(write_json.failure(message, getattr(error, "differences", ())))
        if self.junit:
            _write(self.junit, write_junit.junit_failure(message))
        if self._github:
            self._annotate([hub.annotation_of_error(message)], hub.summary_of_error(message))

    def _print(self, report: GateReport) -> None:
        from rich.console import Console

        from cl_bench.gate.write_github import fenced
        from cl_bench.gate.write_text import renderable, text
        from cl_bench.report.terminal import echo

        console = Console()
        if self._github:
            echo(fenced(text(report)))
        elif console.is_terminal:
            console.print(renderable(report))
        else:
            echo(text(report))

    def _annotate(self, lines: list[str], markdown: str) -> None:
        from cl_bench.gate.write_github import append_summary
        from cl_bench.report.terminal import echo

        for line in lines:
            echo(line, err=self._as_json)  # the runner reads both streams
        append_summary(markdown)


def _print_json(value: object) -> None:
    import json

    text = json.dumps(value, indent=2, allow_nan=False)
    typer.echo(text.replace("##[", r"##\u005b"))  # the same JSON, which GitHub's runner obeys not


def _writable(path: Path | None) -> Path | None:
    """The file for JUnit XML, if one is asked for; a `UsageError` where none can be written."""
    if path is None:
        return None
    said = "is a folder" if path.is_dir() else ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        said = f"cannot be written: {error.strerror}"
    if said or not os.access(path.parent, os.W_OK):
        said = said or "cannot be written: its folder is read-only"
        raise UsageError(f"--junit {path} {said}. Give a file, such as --junit junit.xml.")
    return path


def _write(path: Path, content: bytes) -> None:
    from cl_bench.store.files import replacing

    with replacing(path) as temporary:
        temporary.write_bytes(content)
