"""The command `cl-bench export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from cl_bench.cli.console import echo
from cl_bench.cli.options import ending
from cl_bench.contract.text import printable


@ending()
def export(
    run: Annotated[Path, Argument(help="Run directory or its URL.")],
    out: Annotated[Path, Option(help="New folder for the model.")],
    stage: Annotated[int | None, Option(help="Stage at whose end; else the last.")] = None,
    push_to_hub: Annotated[
        str | None, Option(help="Repository on the Hugging Face hub to upload it to.")
    ] = None,
    private: Annotated[bool, Option("--private", help="Make that repository private.")] = False,
    adapter: Annotated[
        bool, Option("--adapter", help="Of a run with --peft lora, the adapter alone, not merged.")
    ] = False,
) -> None:
    """A run's model as a Hugging Face folder, with its prompts and a model card."""
    from cl_bench.export import exporting
    from cl_bench.store.remote import require_local

    require_local("--out", out)
    done = exporting.export(
        run, out, stage=stage, push_to_hub=push_to_hub, private=private, adapter=adapter
    )
    what = "adapter" if adapter else "model"
    echo(
        f"The {what} after stage {done.stage}, prompts.json and README.md: "
        f"{printable(str(done.folder))}"
    )
    if done.url is not None:
        echo(f"Pushed: {printable(done.url)}")
