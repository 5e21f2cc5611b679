"""A recorded reference: runs that candidates are held against, and the policy they are held to.

    reference.json                     versions, commit, and the SHA-256 of every file below
    policy.toml                        what is asked of a candidate
    runs/<stream>/<learner>-<seed>.zip packed runs (`cl_bench.store.packs`)

It is written whole or not at all, only from finished runs of one commit whose tree was clean and in
which verification finds nothing, and refused when a file of it was edited: what a candidate has to
reach changes only by a new record.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cl_bench.analysis.run_values import METRIC_VERSION
from cl_bench.contract.errors import RunDirectoryError, UsageError
from cl_bench.contract.text import printable
from cl_bench.execution.processes import in_order
from cl_bench.gate.policy import (
    GatePolicy,
    default_policy,
    default_policy_text,
    load_policy,
    parse_policy,
)
from cl_bench.store.files import (
    file_hash,
    read_json,
    replacing_folder,
    write_json_atomically,
    writing,
)
from cl_bench.store.packs.layout import place
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.run_tables import RunTables, find_runs, open_run
from cl_bench.store.schema import SCHEMA_VERSION
from cl_bench.verify.packing import pack
from cl_bench.verify.run import verify_run

REFERENCE_VERSION = 1
"""Counts up whenever an entry of reference.json changes its meaning."""
INDEX, POLICY, RUNS = "reference.json", "policy.toml", "runs"


@dataclass(frozen=True)
class Reference:
    """Runs to be held against, and the policy to hold to."""

    path: Path
    runs: Sequence[RunTables]
    policy: GatePolicy


def open_reference(path: Path) -> Reference:
    """A recorded reference, or any folder of runs with the default policy.

    What is missing, edited or unreadable is a `RunDirectoryError`.
    """
    if (path / INDEX).is_file():
        return _recorded(path)
    if (path / POLICY).exists() and (path / RUNS).is_dir():
        raise _damaged(path, f"{INDEX} is missing, which names its runs and policy by their hashes")
    runs, unreadable = find_runs(
        [path], advice="`cl-bench reference record RUN --out {}` makes a reference."
    )
    if unreadable:
        raise RunDirectoryError(f"The reference cannot be read: {unreadable[0].reason}")
    return Reference(path, runs, default_policy())


def record(
    runs: Sequence[Path],
    out: Path,
    *,
    policy: Path | None = None,
    replace: bool = False,
    installed: bool = False,
) -> Reference:
    """Write the runs at or below the paths as a reference into the folder `out`.

    Without `policy`, that of the replaced reference stays, or the default one is written. An
    existing reference is replaced only if `replace` says so, and nothing else ever is. `installed`
    accepts runs of an installed cl-bench, whose commit is not known.
    """
    found = _recordable(runs, installed)
    _require_free(out, replace)
    text = _policy_text(policy, out)
    parse_policy(text, str(policy or POLICY))
    out.parent.mkdir(parents=True, exist_ok=True)
    with writing(out, run=False), replacing_folder(out) as folder:
        (folder / POLICY).write_text(text, encoding="utf-8", newline="\n")
        entries = [_packed(run, folder) for run in found]
        write_json_atomically(folder / INDEX, _index(found, entries, text))
    return open_reference(out)


def _recordable(paths: Sequence[Path], installed: bool) -> list[RunTables]:
    """The runs, if all of them may be recorded together, with nothing found in any."""
    found, unreadable = find_runs(paths)
    if unreadable:
        raise RunDirectoryError(f"Cannot record: {unreadable[0].reason}")
    seen: dict[object, Path] = {}
    for run in found:
        manifest = run.manifest
        _require_recordable(run.path, manifest, installed)
        name = place(manifest)
        if name in seen:
            raise UsageError(
                f"{seen[name]} and {run.path} are runs of one learner, stream and seed. "
                "Record one of them."
            )
        seen[name] = run.path
    _require_one_code(found)
    require_verified(found)
    return found


def _require_recordable(path: Path, manifest: Mapping[str, Any], installed: bool) -> None:
    if manifest["status"] != "done":
        raise UsageError(
            f"{path} is {manifest['status']}; a reference is made of runs that are done."
        )
    came = manifest.get("provenance") or {}
    if came.get("git_dirty") or (came.get("git_commit") is None and not installed):
        known = "has changes that no commit has" if came.get("git_dirty") else "is not known"
        accept = "" if came.get("git_dirty") else ", or accept an installed one with --installed"
        raise UsageError(
            f"{path} cannot be in a reference: the code that made it {known}. Commit, and make the "
            f"run again from the clean checkout{accept}."
        )


def _require_one_code(runs: Sequence[RunTables]) -> None:
    made = {_code(run.manifest): run.path for run in runs}
    if len(made) > 1:
        (one, first), (other, second) = list(made.items())[:2]
        raise UsageError(
            f"{first} was made by {one} and {second} by {other}. Make all runs of a reference with "
            "the same code."
        )


def _code(manifest: Mapping[str, Any]) -> str:
    came = manifest.get("provenance") or {}
    commit = came.get("git_commit")
    return f"commit {commit}" if commit else f"code {came.get('source_hash')}"


def _require_free(out: Path, replace: bool) -> None:
    if not out.exists():
        return
    if not out.is_dir() or not {file.name for file in out.iterdir()} <= {INDEX, POLICY, RUNS}:
        raise UsageError(f"{out} holds other files than a reference. Give another --out.")
    if any(out.iterdir()) and not replace:
        raise UsageError(f"{out} holds a reference. Give another --out, or --replace it.")


def _policy_text(given: Path | None, out: Path) -> str:
    kept = out / POLICY
    file = given or (kept if kept.is_file() else None)
    if file is None:
        return default_policy_text()
    load_policy(file)
    return file.read_text(encoding="utf-8")


def _packed(run: RunTables, folder: Path) -> dict[str, Any]:
    """Write the run's pack, or copy it, and what the index says of it."""
    manifest = run.manifest
    inside = Path(RUNS) / place(manifest)
    file = folder / inside
    file.parent.mkdir(parents=True, exist_ok=True)
    if run.path.is_file():
        file.write_bytes(run.path.read_bytes())
    else:
        pack(RunDirectory.open(run.path)).write(file)
    return {
        "file": inside.as_posix(),
        "sha256": file_hash(file),
        "learner": manifest["learner"],
        "stream": manifest["stream"]["name"],
        "seed": manifest["seed"],
    }


def _index(runs: Sequence[RunTables], entries: list[dict[str, Any]], policy: str) -> dict[str, Any]:
    came = runs[0].manifest.get("provenance") or {}
    return {
        "reference_version": REFERENCE_VERSION,
        "schema_version": SCHEMA_VERSION,
        "metric_version": METRIC_VERSION,
        "recorded_with": version("cl-bench"),
        "made_with": {
            name: came.get(name)
            for name in ("cl_bench", "git_commit", "source_hash", "python", "platform", "packages")
        },
        "policy": {"file": POLICY, "sha256": sha256(policy.encode()).hexdigest()},
        "runs": sorted(entries, key=lambda entry: entry["file"]),
    }


def _recorded(path: Path) -> Reference:
    index = read_json(path / INDEX)
    try:
        given = index["reference_version"]
        hashes = {run["file"]: run["sha256"] for run in index["runs"]}
        hashes[POLICY] = index["policy"]["sha256"]
    except (TypeError, KeyError) as error:
        raise _damaged(path, f"{INDEX} lacks {error}") from error
    if given != REFERENCE_VERSION:
        raise _damaged(path, f"it is of version {given!r}, not {REFERENCE_VERSION}")
    there = {file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()}
    for name in sorted(hashes.keys() ^ (there - {INDEX})):
        raise _damaged(path, f"{name} is {'missing' if name in hashes else 'not part of it'}")
    for name, expected in hashes.items():
        if file_hash(path / name) != expected:
            raise _damaged(path, f"{name} was edited after it was recorded")
    runs = [open_run(path / name) for name in sorted(hashes) if name != POLICY]
    return Reference(path, runs, load_policy(path / POLICY))


def _damaged(path: Path, reason: str) -> RunDirectoryError:
    return RunDirectoryError(
        f"The reference {path} cannot be used: {printable(reason)}. Restore it, or record it again "
        "with `cl-bench reference record`."
    )


def require_verified(runs: Iterable[RunTables], jobs: int = 1) -> None:
    """Raise `RunDirectoryError` for the first run whose tables or manifest have findings."""
    for report in in_order(verify_run, [run.path for run in runs], jobs=jobs):
        if not report.findings:
            continue
        first, more = report.findings[0].text(), len(report.findings) - 1
        counted = f" and {more} more findings" if more else ""
        raise RunDirectoryError(
            f"{report.path} is not what it says of itself: {first}{counted}. `cl-bench results "
            f"verify {report.path}` lists all; restore it from a copy, or make the run again."
        )


def rerun(
    reference: Path, out: Path, *, seeds: Sequence[int] = (), say: Callable[[str], None]
) -> list[Path]:
    """Make every run of the reference, or those of some seeds, anew below the folder `out`.

    Each has the configuration of its counterpart, and as many threads; the streams and domains are
    those of today, so that a new version of one shows as what cannot be compared.
    """
    runs = _chosen(open_reference(reference).runs, seeds)
    made = []
    for number, run in enumerate(runs, 1):
        path = out / place(run.manifest).with_suffix("")
        say(f"{number}/{len(runs)} {path}")
        _make(run.manifest, path)
        made.append(path)
    return made


def _chosen(runs: Sequence[RunTables], seeds: Sequence[int]) -> list[RunTables]:
    there = {run.manifest["seed"] for run in runs}
    for seed in seeds:
        if seed not in there:
            known = ", ".join(map(str, sorted(there)))
            raise UsageError(f"The reference has no run of seed {seed}, but of {known}.")
    return [run for run in runs if not seeds or run.manifest["seed"] in seeds]


def _make(manifest: Mapping[str, Any], path: Path) -> None:
    from cl_bench.contract.stream import Stream
    from cl_bench.contract.stream_names import STREAMS
    from cl_bench.execution.progress import Quiet
    from cl_bench.execution.runner import Runner
    from cl_bench.execution.settings import RunConfig
    from cl_bench.fast.reflection.journal import journal_for
    from cl_bench.fast.settings import reflection_lm

    config = dataclasses.replace(
        RunConfig.from_dict(manifest["config"]), threads=manifest["threads"]
    )
    course = Stream.from_description(manifest["stream"])
    if course.name in STREAMS:
        course = dataclasses.replace(course, version=STREAMS.load(course.name).version)
    outside = reflection_lm(config.learning).outside
    journal = journal_for(path, outside=outside, record=None, replay=None)
    Runner.start(path, course, config, Quiet(), journal)
