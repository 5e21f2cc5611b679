"""The commands `cl-bench new …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from cl_bench.cli.console import OneLineGroup, echo
from cl_bench.cli.help import HelpedCommand
from cl_bench.cli.options import ending

new_app = Typer(cls=OneLineGroup, help="Write the skeleton of a package that adds to cl-bench.")
Name = Annotated[str, Argument(help="colours, or acme/colours in the package acme.")]
Folder = Annotated[Path | None, Option(help="New folder [./PACKAGE].")]


@new_app.command("task", cls=HelpedCommand)
@ending()
def new_task(name: Name, out: Folder = None) -> None:
    """A package with a domain of its own, and its test."""
    _new("task", name, out)


@new_app.command("learner", cls=HelpedCommand)
@ending()
def new_learner(name: Name, out: Folder = None) -> None:
    """A package with a learner of its own, and its test."""
    _new("learner", name, out)


def _new(kind: str, name: str, out: Path | None) -> None:
    from cl_bench.tools.new import write

    echo(write(kind, name, out))
