"""The command `cl-bench export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cl_bench.cli.options import ending
from cl_bench.contract.text import printable

Name = typer.Option


@ending()
def export(
    run: Annotated[Path, typer.Argument(help="Run directory.")],
    out: Annotated[Path, Name(help="New folder for the model.")],
    stage: Annotated[int | None, Name(help="Stage at whose end; else the last.")] = None,
    push_to_hub: Annotated[
        str | None, Name(help="Repository on the Hugging Face hub to upload it to.")
    ] = None,
    private: Annotated[bool, Name("--private", help="Make that repository private.")] = False,
) -> None:
    """A run's model as a Hugging Face folder, with its prompts and a model card."""
    from cl_bench.export import exporting

    done = exporting.export(run, out, stage=stage, push_to_hub=push_to_hub, private=private)
    typer.echo(
        f"The model after stage {done.stage}, prompts.json and README.md: "
        f"{printable(str(done.folder))}"
    )
    if done.url is not None:
        typer.echo(f"Pushed: {printable(done.url)}")
