"""The command `cl-bench check`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Exit, Option

from cl_bench.cli.console import echo
from cl_bench.cli.options import Json, Readers, ending, readers
from cl_bench.contract.errors import ClBenchError, UsageError

if TYPE_CHECKING:
    from cl_bench.gate.outcome import GateReport

Runs = Annotated[
    list[Path] | None,
    Argument(help="Runs, or folders of runs.", metavar="CANDIDATE"),
]


@ending(bug=2)
def check(
    candidate: Runs = None,
    against: Annotated[Path | None, Option(help="The reference, or any folder of runs.")] = None,
    policy: Annotated[
        Path | None, Option(help="TOML file; else the reference's own, else the default.")
    ] = None,
    verify: Annotated[
        bool, Option("--verify", help="First hold all runs against themselves: `results verify`.")
    ] = False,
    jobs: Readers = None,
    as_json: Json = False,
    junit: Annotated[Path | None, Option(help="Also write JUnit XML to this file.")] = None,
    github: Annotated[
        bool, Option("--github", help="Annotate and summarise; so it is on GitHub anyway.")
    ] = False,
    print_policy: Annotated[
        bool, Option("--print-policy", help="Print the default policy and do nothing else.")
    ] = False,
) -> None:
    """Did it get worse? Exit code 0: no. 1: yes. 3: too little data to say. 2: cannot compare."""
    if print_policy:
        from cl_bench.gate.policy import default_policy_text

        echo(default_policy_text().rstrip("\n"))
        raise Exit(0)
    from cl_bench.gate.write_github import on_github

    output = _Output(as_json, github or on_github())
    try:
        output.junit = _writable(junit)
        report = _report(candidate, against, policy, verify=verify, jobs=jobs)
    except Exception as error:
        output.failed(error)
        raise
    output.done(report)
    raise Exit(report.exit_code)


def _report(
    candidate: list[Path] | None,
    against: Path | None,
    policy: Path | None,
    *,
    verify: bool,
    jobs: int | None,
) -> GateReport:
    from cl_bench.gate.policy import load_policy
    from cl_bench.gate.regression import check as check_runs

    if not candidate or against is None:
        raise UsageError(
            "A candidate and a reference are needed: `cl-bench check RUN --against REFERENCE`."
        )
    chosen = load_policy(policy) if policy else None
    return check_runs(candidate, against, chosen, verify=verify, jobs=readers(jobs))


class _Output:
    """Where a report, or the error instead of one, goes."""

    def __init__(self, as_json: bool, github: bool) -> None:
        self._as_json, self._github = as_json, github
        self.junit: Path | None = None

    def done(self, report: GateReport) -> None:
        from cl_bench.gate import write_data
        from cl_bench.gate import write_github as hub

        if not self._as_json:
            self._print(report)
        lines, markdown = hub.annotation_lines(report), hub.summary(report)
        self._write(write_data.data(report), write_data.junit(report), lines, markdown)

    def failed(self, error: Exception) -> None:
        from cl_bench.gate import write_data
        from cl_bench.gate import write_github as hub

        expected = isinstance(error, ClBenchError)
        message = str(error) if expected else f"unexpected {type(error).__name__}: {error}"
        failure = write_data.failure(message, getattr(error, "differences", ()))
        lines, markdown = [hub.annotation_of_error(message)], hub.summary_of_error(message)
        self._write(failure, write_data.junit_failure(message), lines, markdown)

    def _write(self, data: object, junit: bytes, lines: list[str], markdown: str) -> None:
        """Each to its place, where it is asked for."""
        from cl_bench.gate.write_github import append_summary
        from cl_bench.store.files import replacing

        if self._as_json:
            text = json.dumps(data, indent=2, allow_nan=False)
            echo(text.replace("##[", r"##\u005b"))  # the same JSON; GitHub's runner obeys "##["
        if self.junit:
            with replacing(self.junit) as temporary:
                temporary.write_bytes(junit)
        if self._github:
            for line in lines:
                echo(line, err=self._as_json)  # the runner reads both streams
            append_summary(markdown)

    def _print(self, report: GateReport) -> None:
        from rich.console import Console

        from cl_bench.gate.write_github import fenced
        from cl_bench.gate.write_text import renderable, text

        console = Console()
        if self._github:
            echo(fenced(text(report)))
        elif console.is_terminal:
            console.print(renderable(report))
        else:
            echo(text(report))


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
