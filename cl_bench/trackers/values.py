"""What trackers are sent of a run's tables, and under which names (docs/trackers.md)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from cl_bench.analysis.run_values import run_metrics
from cl_bench.contract.errors import TrackerError
from cl_bench.contract.redaction import short_line
from cl_bench.contract.text import printable
from cl_bench.metrics.quantities import SHARE
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.write_markdown import fenced
from cl_bench.store.run_tables import RunTables
from cl_bench.store.schema import TEST_SETS
from cl_bench.trackers import Started, TrackedRun, Tracker, hush

Row = Mapping[str, Any]
Tables = Mapping[str, Sequence[Row]]
Kind = Literal["steps", "rows", "summary"]
"""What an update is made of: a training step, what was recorded at an evaluation, or the end."""

NAMES = ("steps", "evaluations", "ledger", "prompts")
"""The tables that are sent."""
_GROUPS = {name: "eval" if name == "stream" else name for name in TEST_SETS}
_EVALUATED = ("accuracy", "kl_policy_base", "kl_base_policy", "entropy", "completion_tokens")
_TOKENS = ("prompt_tokens", "generated_tokens", "reflection_tokens")
_NOT_CONFIG = ("status", "reason", "journal", "stream")


@dataclass(frozen=True)
class Update:
    """Values that are sent at once; plain data."""

    kind: Kind
    step: int
    values: Mapping[str, float]
    texts: Mapping[str, str] = field(default_factory=dict)


def send(run: RunTables, name: str, tracker: Tracker, folder: Path) -> Started:
    """Send a recorded run as a new tracked run; `folder` is for files of the tracker's own.

    Whatever goes wrong in the tracker is a `TrackerError`.
    """
    recorded = [*history(run)]
    status = str(run.manifest["status"])
    if status == "done":
        recorded.append(summary_of(run))
    hush()
    try:
        started = tracker.start(tracked_run(run, folder), None)
        for update in recorded:
            if update.values:
                tracker.log(update.step, update.values)
            for title, text in update.texts.items():
                tracker.text(update.step, title, text)
        tracker.finish("interrupted" if status == "running" else status)
    except Exception as error:
        raise TrackerError(
            f"{name} did not take the run {run.path}: "
            f"{short_line(f'{type(error).__name__}: {error}').rstrip('.')}. Mend that and send it "
            "again; what was sent up to there stays."
        ) from error
    return started


def tracked_run(run: RunTables, folder: Path) -> TrackedRun:
    """Return a run as trackers are told it; `folder` is for files of their own."""
    manifest = run.manifest
    return TrackedRun(
        name=name_of(run),
        stream=str(manifest["stream"]["name"]),
        learner=str(manifest["learner"]),
        config=config_of(manifest),
        folder=str(folder.resolve()),
    )


def name_of(run: RunTables) -> str:
    """That of its directory, or of the file that it is packed in."""
    return printable(run.path.resolve().name.removesuffix(".zip"))


def config_of(manifest: Mapping[str, Any]) -> dict[str, str | int | float | bool]:
    """The manifest but for its status, flat: names joined by dots, no None, no keys or tokens."""
    stages = manifest["stream"]["stages"]
    flat = {f"stream.{name}": manifest["stream"][name] for name in ("name", "version")}
    flat["stream.stages"] = " → ".join(
        f"{stage['domain']} ({stage['setting']}, {stage['steps']} steps)" for stage in stages
    )
    flat |= _flat({name: value for name, value in manifest.items() if name not in _NOT_CONFIG})
    return {k: short_line(v) if isinstance(v, str) else v for k, v in flat.items()}


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif value is not None:
        yield name, value if isinstance(value, bool | int | float | str) else str(value)


def history(run: RunTables) -> Iterator[Update]:
    """All that is sent of a run's tables, in the order of their steps."""
    return updates({name: run.table(name).to_dict("records") for name in NAMES})


def updates(tables: Tables) -> Iterator[Update]:
    """All that is sent of rows of `NAMES`, by step; a step comes before what was recorded at it."""
    rows: dict[int, dict[str, list[Row]]] = defaultdict(lambda: {name: [] for name in NAMES})
    for name in NAMES:
        for row in tables.get(name, ()):
            rows[int(row["step"])][name].append(row)
    for step, found in sorted(rows.items()):
        yield from map(of_step, found.pop("steps"))
        if any(found.values()):
            yield _recorded(step, **found)


def of_step(row: Row) -> Update:
    """A row of the table `steps`."""
    labels = ("step", "domain")
    values = {f"train/{name}": value for name, value in row.items() if name not in labels}
    return Update("steps", int(row["step"]), _finite(values))


def summary_of(run: RunTables) -> Update:
    """The metrics of a finished run, at its last step; those that are undefined are left out."""
    steps = sum(stage["steps"] for stage in run.manifest["stream"]["stages"])
    found = run_metrics(run).items()
    values = {f"summary/{name}": v for name, v in found if not isinstance(v, Undefined)}
    return Update("summary", steps, _finite(values))


def _recorded(
    step: int, evaluations: Sequence[Row], ledger: Sequence[Row], prompts: Sequence[Row]
) -> Update:
    values: dict[str, Any] = {}
    for row in evaluations:
        values |= _evaluated(row)
    values |= _spent(ledger) | _rounds(prompts)
    texts = {"prompts/population": _population(prompts)} if prompts else {}
    return Update("rows", step, _finite(values), texts)


def _evaluated(row: Row) -> dict[str, Any]:
    """`eval/<domain>/<prompt>/<quantity>`; of the frozen base's responses the accuracy alone."""
    base = row["weights"] == "base"
    group = _GROUPS[row["test_set"]] + ("-base" if base else "")
    names = _EVALUATED[:1] if base else _EVALUATED
    return {f"{group}/{row['domain']}/{row['prompt']}/{name}": row[name] for name in names}


def _spent(rows: Sequence[Row]) -> dict[str, Any]:
    """Both channels, and their sums."""
    values = {
        f"ledger/{row['channel']}/{name}": value
        for row in rows
        for name, value in row.items()
        if name not in ("step", "channel")
    }
    if rows:
        values["ledger/rollouts"] = sum(row["rollouts"] for row in rows)
        values["ledger/tokens"] = sum(row[column] for row in rows for column in _TOKENS)
    return values


def _rounds(rows: Sequence[Row]) -> dict[str, Any]:
    """The last of the rounds."""
    if not rows:
        return {}
    last = max(row["round"] for row in rows)
    kept = [row for row in rows if row["round"] == last and row["fate"] == "kept"]
    scores = [row["score"] for row in kept if math.isfinite(row["score"])]
    values = {"prompts/round": last, "prompts/kept": len(kept)}
    return values | ({"prompts/best_score": max(scores)} if scores else {})


def _population(rows: Sequence[Row]) -> str:
    """The prompts that every round kept, best first, as Markdown."""
    blocks = []
    for number, found in groupby(sorted(rows, key=_by_round), key=lambda row: row["round"]):
        candidates = list(found)
        kept = [row for row in candidates if row["fate"] == "kept"]
        blocks.append(f"**Round {number}**: {len(kept)} of {len(candidates)} prompts kept")
        for row in kept:
            came = f", from {row['parent_id']}" if row["parent_id"] >= 0 else ""
            blocks += [f"Prompt {row['prompt_id']}{came}, score {SHARE.text(row['score'])}"]
            blocks += [fenced(row["text"])]
    return "\n\n".join(blocks)


def _by_round(row: Row) -> tuple[int, float, int]:
    score = row["score"] if math.isfinite(row["score"]) else -math.inf
    return row["round"], -score, row["prompt_id"]


def _finite(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the values that are finite numbers; NaN stands for a quantity that a learner lacks."""
    return {n: float(v) for n, v in values.items() if v is not None and math.isfinite(v)}
