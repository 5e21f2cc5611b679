"""Finding what can be verified, and verifying all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from cl_bench.contract.errors import RunDirectoryError
from cl_bench.verify.archive import verify_archive
from cl_bench.verify.calibration import TRIALS, verify_calibration
from cl_bench.verify.findings import Report
from cl_bench.verify.run import verify_run

Verify = Callable[[Path], Report]
_MANIFEST, _ARCHIVED, _PACKED = "manifest.json", "runs.parquet", ".zip"


def verify(paths: Iterable[Path]) -> Iterator[Report]:
    """A report of every artefact at or below the paths, in order, each once.

    Artefacts are run directories, packed runs, archives of claims and trials of calibration. A path
    without any is a `RunDirectoryError`, before anything is verified.
    """
    chosen: dict[Path, tuple[Path, Verify]] = {}
    for path in paths:
        found = list(_artefacts(path))
        if not found:
            raise RunDirectoryError(
                f"There is nothing to verify at or below {path}: no run directory, packed run, "
                "archive of claims or trials of calibration. Name a folder that holds some."
            )
        for place, check in found:
            chosen.setdefault(place.resolve(), (place, check))
    return (check(place) for place, check in chosen.values())


def _artefacts(path: Path) -> Iterator[tuple[Path, Verify]]:
    """What lies inside of an artefact is no artefact of its own."""
    if path.is_file():
        yield path, verify_run
    elif (path / _ARCHIVED).is_file():
        yield path, verify_archive
    elif (path / _MANIFEST).is_file():
        yield path, verify_run
    elif (path / TRIALS).is_file():
        yield path, verify_calibration
    elif path.is_dir():
        for inner in sorted(path.iterdir()):
            folder = inner.is_dir() and not inner.is_symlink()
            if folder or (inner.is_file() and inner.suffix == _PACKED):
                yield from _artefacts(inner)
