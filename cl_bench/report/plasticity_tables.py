"""Tables of `cl-bench plasticity`, found beside the runs whose models were probed."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from cl_bench.analysis.entries import RunEntry
from cl_bench.contract.registry import REFERENCE_LEARNER
from cl_bench.metrics.undefined import Undefined, mean_of
from cl_bench.store.run_tables import readable

_HEAD = ("probe", "steps", "samples")
_NEEDED = ("run", "stream", "learner", "run_seed", "stage", "plasticity_ratio", "note")
_LARGEST = 10_000_000
_Kind = tuple[str, str, str, str, str]
"""Name of a run's folder, stream, learner, seed and number of stages."""


@dataclass(frozen=True)
class PlasticityTable:
    """The results of probes on one domain."""

    path: Path
    probe: str
    """The domain that every model learned anew."""
    rows: Sequence[Mapping[str, str]]
    """As the file has them."""

    def made(self, entry: RunEntry) -> bool:
        """Whether a run is one of the table's probes, which a leaderboard leaves out."""
        probes = (self.path.parent / "runs").resolve()
        probed = {Path(row["run"]).name for row in self.rows}
        alike = entry.learner == REFERENCE_LEARNER and entry.setup.key.stream == self.probe
        return alike and entry.path.name not in probed and entry.path.resolve().parent == probes


def find_tables(paths: Iterable[Path]) -> list[PlasticityTable]:
    """The tables at or below the paths, each once; files of another kind are passed over."""
    found = {file.resolve(): file for path in paths for file in _files(path)}
    tables = (_read(found[key]) for key in sorted(found))
    return [table for table in tables if table is not None]


def ratios(
    entries: Sequence[RunEntry], tables: Sequence[PlasticityTable]
) -> dict[Path, float | Undefined]:
    """By the path of a board's run, the ratio after its last stage, mean over the probed domains.

    Undefined where a run was not probed on a domain on which others of the board were.
    """
    by_probe = [(table.probe, found) for table in tables if (found := _ratios_in(table, entries))]
    if not by_probe:
        return {entry.path: Undefined("no table of cl-bench plasticity") for entry in entries}
    return {entry.path: _mean(entry.path, by_probe) for entry in entries}


def _mean(
    path: Path, by_probe: Sequence[tuple[str, Mapping[Path, float | Undefined]]]
) -> float | Undefined:
    return mean_of(
        found.get(path, Undefined(f"its model was not probed on {probe}"))
        for probe, found in by_probe
    )


def _ratios_in(
    table: PlasticityTable, entries: Sequence[RunEntry]
) -> dict[Path, float | Undefined]:
    """By path, what the table says of runs after their last stage.

    A row's run is the one that lies where it lay, else the only one of its folder's name.
    """
    rows: dict[_Kind, dict[Path, Mapping[str, str]]] = defaultdict(dict)
    for row in table.rows:
        of_run = Path(row["run"])
        kind: _Kind = (of_run.name, row["stream"], row["learner"], row["run_seed"], row["stage"])
        rows[kind][of_run.resolve()] = row
    kinds = {entry.path: _kind(entry) for entry in entries}
    alike = Counter(kinds.values())
    found = {}
    for path, kind in kinds.items():
        asked = rows.get(kind, {})
        only = next(iter(asked.values())) if len(asked) == 1 == alike[kind] else None
        if row_of_it := asked.get(path.resolve(), only):
            found[path] = _number(row_of_it)
    return found


def _kind(entry: RunEntry) -> _Kind:
    key = entry.setup.key
    return entry.path.name, key.stream, entry.learner, str(entry.seed), str(len(key.stages))


def _number(row: Mapping[str, str]) -> float | Undefined:
    try:
        ratio = float(row["plasticity_ratio"])
    except ValueError:
        return Undefined(row["note"] or "its probe has no ratio")
    return ratio if isfinite(ratio) else Undefined("its probe has no finite ratio")


def _files(path: Path) -> Iterator[Path]:
    """CSV files at or below the path, outside of runs and of what `places_below` passes over."""
    if path.is_file():
        yield from [path] * (path.suffix == ".csv")
    elif path.is_dir() and not (path / "manifest.json").is_file():
        for inner in readable(path):
            yield from _files(inner)


def _read(path: Path) -> PlasticityTable | None:
    try:
        if path.stat().st_size > _LARGEST:
            return None
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, restval="")
            names = reader.fieldnames or []
            if tuple(names[:3]) != _HEAD or not set(_NEEDED) <= set(names):
                return None
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error):
        return None
    return PlasticityTable(path, rows[0]["probe"], rows) if rows else None
