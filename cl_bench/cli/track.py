"""The command `cl-bench track`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from cl_bench.cli.console import echo
from cl_bench.cli.options import ending
from cl_bench.contract.errors import RunDirectoryError, UsageError
from cl_bench.contract.text import printable


@ending()
def track(
    runs: Annotated[list[Path], Argument(help="Runs, or folders with runs in them.")],
    to: Annotated[list[str], Option("--to", help="tensorboard, wandb, trackio or mlflow.")],
    out: Annotated[
        Path, Option(help="Folder for files of the tracker's own: tensorboard's.")
    ] = Path("tensorboard"),
) -> None:
    """Send recorded runs to experiment trackers, under the names of `run --track`."""
    from cl_bench.store.run_tables import find_runs
    from cl_bench.trackers import chosen, tracker
    from cl_bench.trackers.values import name_of, send

    names = chosen(to)
    found, broken = find_runs(runs)
    for place in broken:
        echo(f"left out: {printable(place.reason)}", err=True)
    if not found:
        raise RunDirectoryError(f"None of the runs can be read: {broken[0].reason}")
    folders = {run.path: out / name_of(run) for run in found}
    if "tensorboard" in names:
        _require_new(list(folders.values()))
    for run in found:
        for name in names:
            where = send(run, name, tracker(name), folders[run.path]).where
            echo(f"{printable(str(run.path))} → {name}: {printable(where)}")


def _require_new(folders: list[Path]) -> None:
    """Two runs in one folder would be one run to TensorBoard."""
    for folder in folders:
        if folder.exists():
            raise UsageError(f"{folder} exists already. Give another --out, or delete it first.")
        if folders.count(folder) > 1:
            raise UsageError(
                f"Several of the runs are called {folder.name!r}. Send them one by one, each with "
                "an --out of its own."
            )
