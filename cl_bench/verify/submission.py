"""Adding runs to the results: verified, packed, read once more, put into their place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

from cl_bench.analysis.run_values import RUN_METRICS
from cl_bench.contract.errors import ClBenchError, RunDirectoryError, UsageError
from cl_bench.contract.text import one_line, printable
from cl_bench.metrics.quantities import BYTES
from cl_bench.store.packs.layout import FINISHED, file_name, home, require_finished
from cl_bench.store.remote import fetched
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.run_tables import find_runs
from cl_bench.verify.findings import Verification
from cl_bench.verify.manifest import is_dirty
from cl_bench.verify.packing import Pack, pack
from cl_bench.verify.run import verify_run

HOME = PurePath("results/runs")
_SHOWN = ("average_accuracy", "bwt_gem", "forgetting_max", "kl_policy_base", "rollouts")
Fate = Literal["packed", "replaced", "unchanged", "unfinished", "refused"]


@dataclass(frozen=True, eq=False)
class Submission:
    """A run that was to be packed."""

    verified: Verification
    """Of the run, or of the pack once that is written."""
    pack: Pack | None
    """None if the run has findings."""
    out: Path | None = None
    """Where the pack was written."""

    def text(self) -> str:
        """Return what the pack holds and how to add it, or the findings if there is none."""
        if self.pack is None or self.out is None:
            return f"{self.verified.text()}\nNothing was packed."
        lines = [*_contents(self.pack, self.verified, self.out), "", *_advice(self.pack, self.out)]
        return "\n".join(map(printable, lines))


def prepare(path: Path, *, allow_dirty: bool = False) -> Submission:
    """Verify the finished run in the directory `path` and pack it; nothing is written.

    A run that has not ended is a `RunDirectoryError`, one from a tree with changes that nobody
    committed a `UsageError` unless `allow_dirty`.
    """
    path = fetched(path)
    run = RunDirectory.open(path)
    require_finished(run.manifest, path)
    if is_dirty(run.manifest) and not allow_dirty:
        raise UsageError(
            f"The run in {path} was made by code with changes that are in no commit, so nobody "
            "else can make it again. Commit them and make the run anew, or give --allow-dirty: it "
            "is then shown as made from a dirty tree wherever it is shown."
        )
    verified = verify_run(path)
    return Submission(verified, None if verified.findings else pack(run))


def submit(path: Path, out: Path | None = None, *, allow_dirty: bool = False) -> Submission:
    """Verify the run in the directory `path`, pack it into the file `out` and verify that.

    `out` is by default named after stream, learner and seed, in the working directory; another file
    of that name is a `UsageError`.
    """
    made = prepare(path, allow_dirty=allow_dirty)
    if made.pack is None:
        return made
    target = Path(file_name(made.pack.manifest)) if out is None else out
    if target.exists() and not _is_same(target, made.pack):
        raise UsageError(
            f"{target} already exists and is another file. Give another --out, or remove it."
        )
    made.pack.write(target)
    verified = verify_run(target)
    if verified.findings:
        target.unlink()
        return Submission(verified, None)
    return Submission(verified, made.pack, target)


def _is_same(file: Path, made: Pack) -> bool:
    """Whether a file is that pack, byte for byte."""
    return file.is_file() and file.read_bytes() == made.content


def _contents(made: Pack, verified: Verification, out: Path) -> Iterator[str]:
    manifest, values = made.manifest, made.contents["metrics"]["values"]
    yield f"{verified.title}, model {manifest['model']}: {manifest['status']}"
    yield f"{out}: {BYTES.text(len(made.content))}, {', '.join(['verified', *verified.notes])}"
    for name, entry in made.contents["members"].items():
        rows = f"{entry['rows']:,} rows" if "rows" in entry else ""
        yield f"  {name:<28}{BYTES.text(entry['bytes']):>12}  {rows}".rstrip()
    yield f"  left out: {made.contents['left_out']}"
    for name in _SHOWN:
        value, metric = values[name].get("value"), RUN_METRICS[name]
        lost = f"undefined: {values[name]['undefined']}" if value is None else ""
        yield f"  {metric.title:<38}{lost or metric.quantity.text(value)}"


def _advice(made: Pack, out: Path) -> Iterator[str]:
    manifest, target = made.manifest, HOME / home(made.manifest)
    sources = (stage.get("source", "") for stage in manifest["stream"]["stages"])
    for path in dict.fromkeys(map(str, (manifest["model"], *sources))):
        if Path(path).is_absolute():
            yield f"Its manifest names {path}, a place on this machine: others will read that."
    yield "To add it to the results, in a checkout of cl-bench:"
    yield f"  mkdir -p {target.parent} && cp {out} {target}"
    yield f"  cl-bench results verify {target}"
    yield f"  git add {target}"
    yield "and open a pull request (docs/results.md says more)."


@dataclass(frozen=True)
class Placement:
    """The outcome of packing one run of a folder."""

    path: Path
    fate: Fate
    target: Path | None = None
    reason: str = ""

    def text(self) -> str:
        """One line, and one more for each finding."""
        words = [str(self.path), f"→ {self.target}" if self.target else "", self.reason]
        head, *rest = f"{self.fate:<12}{' '.join(filter(None, words))}".splitlines()
        return "\n".join([printable(head), *(f"    {one_line(more)}" for more in rest)])


def pack_folder(
    folder: Path, out: Path, *, replace: bool = False, allow_dirty: bool = False
) -> Iterator[Placement]:
    """Pack the finished runs at or below `folder` into `out`, each into its place.

    A run is refused if it has findings, if it was made from a dirty tree (unless `allow_dirty`), if
    another run of the folder has the same place, or if another pack is there (unless `replace`). A
    folder without any run directory is a `RunDirectoryError`.
    """
    found, unreadable = find_runs([folder])
    directories = [run for run in found if isinstance(run, RunDirectory)]  # others are packed
    if not unreadable and not directories:
        raise RunDirectoryError(
            f"There is no run directory at or below {folder} to pack, only runs that are packed "
            "already. `cl-bench results verify` checks them; copy them to where they belong."
        )
    for broken in unreadable:
        yield Placement(broken.path, "refused", reason=broken.reason)
    places: dict[Path, list[Path]] = defaultdict(list)
    for run in directories:
        status = run.manifest.get("status")
        if status not in FINISHED:
            reason = f"(status {status!r}; `cl-bench run --resume {run.path}` goes on with it)"
            yield Placement(run.path, "unfinished", reason=reason)
            continue
        try:
            places[out / home(run.manifest)].append(run.path)
        except (LookupError, TypeError) as error:
            yield Placement(run.path, "refused", reason=f"its manifest is damaged ({error!r})")
    for target, paths in places.items():
        for path in paths:
            others = ", ".join(str(other) for other in paths if other is not path)
            reason = f"has the same place as {others}: name the one that is meant"
            if others:
                yield Placement(path, "refused", target, reason)
            else:
                yield _placed(path, target, replace=replace, allow_dirty=allow_dirty)


def _placed(path: Path, target: Path, *, replace: bool, allow_dirty: bool) -> Placement:
    try:
        made = prepare(path, allow_dirty=allow_dirty)
    except ClBenchError as error:
        return Placement(path, "refused", target, str(error))
    if made.pack is None:
        findings = "\n".join(found.text() for found in made.verified.findings)
        return Placement(path, "refused", target, f"has findings:\n{findings}")
    there = target.exists()
    if there and _is_same(target, made.pack):
        return Placement(path, "unchanged", target)
    if there and not replace:
        reason = "another pack is there; --replace puts this one in its place"
        return Placement(path, "refused", target, reason)
    made.pack.write(target)
    return Placement(path, "replaced" if there else "packed", target)
