"""Finding what can be verified, and verifying all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from cl_bench.contract.errors import RunDirectoryError
from cl_bench.verify.findings import Report
from cl_bench.verify.run import verify_run

Verify = Callable[[Path], Report]
_MANIFEST, _PACKED = "manifest.json", ".zip"
_NONE: Mapping[str, Verify] = MappingProxyType({})


def verify(paths: Iterable[Path], folders: Mapping[str, Verify] = _NONE) -> Iterator[Report]:
    """A report of every artefact at or below the paths, in order, each once.

    Artefacts are run directories and packed runs, and folders with a file that `folders` names,
    which has by that name how they are verified. A path without any artefact is a
    `RunDirectoryError`, before anything is verified.
    """
    chosen: dict[Path, tuple[Path, Verify]] = {}
    for path in paths:
        found = list(_artefacts(path, folders))
        if not found:
            raise RunDirectoryError(
                f"There is nothing to verify at or below {path}: no run directory and no packed "
                "run. Name a folder that holds some."
            )
        for place, check in found:
            chosen.setdefault(place.resolve(), (place, check))
    return (check(place) for place, check in chosen.values())


def _artefacts(path: Path, folders: Mapping[str, Verify]) -> Iterator[tuple[Path, Verify]]:
    """What lies inside of an artefact is no artefact of its own."""
    if path.is_file() or (path / _MANIFEST).is_file():
        yield path, verify_run
    elif check := next((folders[name] for name in folders if (path / name).is_file()), None):
        yield path, check
    elif path.is_dir():
        for inner in sorted(path.iterdir()):
            folder = inner.is_dir() and not inner.is_symlink()
            if folder or (inner.is_file() and inner.suffix == _PACKED):
                yield from _artefacts(inner, folders)
