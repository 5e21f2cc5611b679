"""A folder of runs packed into the places that they have in the results."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cl_bench.contract.errors import ClBenchError, RunDirectoryError
from cl_bench.contract.text import one_line, printable
from cl_bench.store.packs.layout import FINISHED, home
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.run_tables import find_runs
from cl_bench.verify.submission.submit import is_same, prepare

Fate = Literal["packed", "replaced", "unchanged", "unfinished", "refused"]


@dataclass(frozen=True)
class Outcome:
    """What became of one run."""

    path: Path
    fate: Fate
    target: Path | None = None
    reason: str = ""

    def text(self) -> str:
        """One line."""
        words = [str(self.path), *([f"→ {self.target}"] if self.target else []), self.reason]
        line = f"{self.fate:<12}{' '.join(word for word in words if word)}"
        head, *rest = line.splitlines() or [""]
        return "\n".join([printable(head), *(f"    {one_line(more)}" for more in rest)])


def pack_folder(
    folder: Path, out: Path, *, replace: bool = False, allow_dirty: bool = False
) -> Iterator[Outcome]:
    """Pack the finished runs at or below `folder` into `out`, each into its place.

    A run is refused if it has findings, if it was made from a dirty tree (unless `allow_dirty`), if
    another run of the folder has the same place, or if another pack is there (unless `replace`). A
    folder without any run directory is a `RunDirectoryError`.
    """
    found, unreadable = find_runs([folder])
    if not unreadable and not any(isinstance(run, RunDirectory) for run in found):
        raise RunDirectoryError(
            f"There is no run directory at or below {folder} to pack, only runs that are packed "
            "already. `cl-bench results verify` checks them; copy them to where they belong."
        )
    for broken in unreadable:
        yield Outcome(broken.path, "refused", reason=broken.reason)
    places: dict[Path, list[RunDirectory]] = defaultdict(list)
    for run in found:
        if not isinstance(run, RunDirectory):
            continue  # packed already
        status = run.manifest.get("status")
        if status not in FINISHED:
            reason = f"(status {status!r}; `cl-bench run --resume {run.path}` goes on with it)"
            yield Outcome(run.path, "unfinished", reason=reason)
            continue
        try:
            places[out / home(run.manifest)].append(run)
        except (LookupError, TypeError) as error:
            yield Outcome(run.path, "refused", reason=f"its manifest is damaged ({error!r})")
    for target, runs in places.items():
        for run in runs:
            if len(runs) > 1:
                others = ", ".join(str(other.path) for other in runs if other is not run)
                reason = f"has the same place as {others}: name the one that is meant"
                yield Outcome(run.path, "refused", target, reason)
            else:
                yield _placed(run, target, replace=replace, allow_dirty=allow_dirty)


def _placed(run: RunDirectory, target: Path, *, replace: bool, allow_dirty: bool) -> Outcome:
    try:
        made = prepare(run.path, allow_dirty=allow_dirty)
    except ClBenchError as error:
        return Outcome(run.path, "refused", target, str(error))
    if made.pack is None:
        findings = "\n".join(found.text() for found in made.report.findings)
        return Outcome(run.path, "refused", target, f"has findings:\n{findings}")
    there = target.exists()
    if there and is_same(target, made.pack):
        return Outcome(run.path, "unchanged", target)
    if there and not replace:
        reason = "another pack is there; --replace puts this one in its place"
        return Outcome(run.path, "refused", target, reason)
    made.pack.write(target)
    return Outcome(run.path, "replaced" if there else "packed", target)
