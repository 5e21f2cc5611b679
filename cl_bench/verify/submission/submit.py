"""From a run's directory to a pack that others can add: checked, packed, and read once more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from cl_bench.analysis.run_values import RUN_METRICS
from cl_bench.contract.errors import UsageError
from cl_bench.contract.text import printable
from cl_bench.metrics.quantities import BYTES
from cl_bench.store.packs.layout import file_name, home, require_finished
from cl_bench.store.run_directory import RunDirectory
from cl_bench.verify.findings import Report
from cl_bench.verify.run import verify_run
from cl_bench.verify.submission.packing import Pack, pack

HOME = PurePath("results/runs")
_SHOWN = ("average_accuracy", "bwt_gem", "forgetting_max", "kl_policy_base", "rollouts")


@dataclass(frozen=True, eq=False)
class Submission:
    """A run that was to be packed."""

    report: Report
    """What verification says of the run, or of the pack once that is written."""
    pack: Pack | None
    """None if the run has findings."""
    out: Path | None = None
    """Where the pack was written."""

    def text(self) -> str:
        """What is in the pack and how to add it; the findings if there is none."""
        if self.pack is None or self.out is None:
            return f"{self.report.text()}\nNothing was packed."
        return "\n".join([*_contents(self.pack, self.report, self.out), "", *_advice(self)])


def prepare(path: Path, *, allow_dirty: bool = False) -> Submission:
    """Verify the finished run in the directory `path` and pack it; nothing is written.

    A run that has not ended is a `RunDirectoryError`, one from a tree with changes that nobody
    committed a `UsageError` unless `allow_dirty`.
    """
    run = RunDirectory.open(path)
    manifest = run.manifest
    require_finished(manifest, path)
    if is_dirty(manifest) and not allow_dirty:
        raise UsageError(
            f"The run in {path} was made by code with changes that are in no commit, so nobody "
            "else can make it again. Commit them and make the run anew, or give --allow-dirty: it "
            "is then shown as made from a dirty tree wherever it is shown."
        )
    report = verify_run(path)
    return Submission(report, None if report.findings else pack(run))


def submit(path: Path, out: Path | None = None, *, allow_dirty: bool = False) -> Submission:
    """Verify the run in the directory `path`, pack it into the file `out` and verify that.

    `out` is by default named after stream, learner and seed, in the working directory; another file
    of that name is a `UsageError`.
    """
    made = prepare(path, allow_dirty=allow_dirty)
    if made.pack is None:
        return made
    target = Path(file_name(made.pack.manifest)) if out is None else out
    if target.exists() and not is_same(target, made.pack):
        raise UsageError(
            f"{target} already exists and is another file. Give another --out, or remove it."
        )
    made.pack.write(target)
    report = verify_run(target)
    if report.findings:
        target.unlink()
        return Submission(report, None)
    return Submission(report, made.pack, target)


def is_dirty(manifest: Mapping[str, Any]) -> bool:
    """Whether a run was made by code that differs from its commit."""
    found = manifest.get("provenance")
    return isinstance(found, dict) and bool(found.get("git_dirty"))


def is_same(file: Path, made: Pack) -> bool:
    """Whether a file is that pack, byte for byte."""
    return file.is_file() and file.read_bytes() == made.content


def _contents(made: Pack, report: Report, out: Path) -> list[str]:
    manifest, entries = made.manifest, made.contents["members"]
    values = made.contents["metrics"]["values"]
    lines = [
        f"{report.title}, model {manifest['model']}: {manifest['status']}",
        f"{out}: {BYTES.text(len(made.content))}, {', '.join(['verified', *report.notes])}",
    ]
    for name, entry in entries.items():
        rows = f"{entry['rows']:,} rows" if "rows" in entry else ""
        lines.append(f"  {name:<28}{BYTES.text(entry['bytes']):>12}  {rows}".rstrip())
    lines.append(f"  left out: {made.contents['left_out']}")
    for name in _SHOWN:
        value, metric = values[name].get("value"), RUN_METRICS[name]
        lost = f"undefined: {values[name]['undefined']}"
        shown = lost if value is None else metric.quantity.text(value)
        lines.append(f"  {metric.title:<38}{shown}")
    return list(map(printable, lines))


def _advice(made: Submission) -> list[str]:
    assert made.pack is not None
    manifest = made.pack.manifest
    target = HOME / home(manifest)
    sources = (stage.get("source", "") for stage in manifest["stream"]["stages"])
    named = [manifest["model"], *sources]
    lines = [
        f"Its manifest names {path}, a place on this machine: others will read that."
        for path in dict.fromkeys(map(str, named))
        if Path(path).is_absolute()
    ]
    lines += [
        "To add it to the results, in a checkout of cl-bench:",
        f"  mkdir -p {target.parent} && cp {made.out} {target}",
        f"  cl-bench results verify {target}",
        f"  git add {target}",
        "and open a pull request (docs/results.md says more).",
    ]
    return list(map(printable, lines))
