"""What trackers are sent of a run's tables, and under which names (docs/trackers.md)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal

from cl_bench.contract.redaction import short_line
from cl_bench.metrics.quantities import SHARE
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.untrusted_markdown import fenced

Row = Mapping[str, Any]
Tables = Mapping[str, Sequence[Row]]
Kind = Literal["steps", "rows", "summary"]
"""What an entry is made of: a training step, what was recorded at an evaluation, or the end."""

NAMES = ("steps", "evaluations", "ledger", "prompts")
"""The tables that are sent."""
POPULATION = "prompts/population"
_LABELS = ("step", "domain")
_GROUPS = {"stream": "eval", "retention": "retention", "harder": "harder"}
_EVALUATED = ("accuracy", "kl_policy_base", "kl_base_policy", "entropy", "completion_tokens")
_TOKENS = ("prompt_tokens", "generated_tokens", "reflection_tokens")
_NOT_CONFIG = ("status", "reason", "journal", "stream")


@dataclass(frozen=True)
class Entry:
    """What is sent at once; plain data."""

    kind: Kind
    step: int
    values: Mapping[str, float]
    texts: Mapping[str, str] = field(default_factory=dict)


def entries(tables: Tables) -> Iterator[Entry]:
    """All that is sent of rows of `NAMES`, by step; a step comes before what was recorded at it."""
    rows: dict[int, dict[str, list[Row]]] = defaultdict(lambda: {name: [] for name in NAMES})
    for name in NAMES:
        for row in tables.get(name, ()):
            rows[int(row["step"])][name].append(row)
    for step, found in sorted(rows.items()):
        for row in found["steps"]:
            yield of_step(row)
        if found["evaluations"] or found["ledger"] or found["prompts"]:
            yield _recorded(step, found)


def of_step(row: Row) -> Entry:
    """A row of the table `steps`."""
    values = {f"train/{name}": value for name, value in row.items() if name not in _LABELS}
    return Entry("steps", int(row["step"]), _finite(values))


def summary(metrics: Mapping[str, float | Undefined], step: int) -> Entry:
    """The metrics of a whole run; those that are undefined are left out."""
    values = {f"summary/{k}": v for k, v in metrics.items() if not isinstance(v, Undefined)}
    return Entry("summary", step, _finite(values))


def config_of(manifest: Mapping[str, Any]) -> dict[str, str | int | float | bool]:
    """The manifest but for its status, flat: names joined by dots, no None, no keys or tokens."""
    stages = manifest["stream"]["stages"]
    shown = " → ".join(f"{s['domain']} ({s['setting']}, {s['steps']} steps)" for s in stages)
    flat = {f"stream.{name}": manifest["stream"][name] for name in ("name", "version")}
    flat["stream.stages"] = shown
    kept = {name: value for name, value in manifest.items() if name not in _NOT_CONFIG}
    flat |= dict(_flat(kept))
    return {k: short_line(v) if isinstance(v, str) else v for k, v in flat.items()}


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, bool | int | float | str):
        yield name, value
    elif value is not None:
        yield name, str(value)


def _recorded(step: int, rows: Tables) -> Entry:
    values: dict[str, Any] = {}
    for row in rows["evaluations"]:
        values |= _evaluated(row)
    values |= _spent(rows["ledger"]) | _rounds(rows["prompts"])
    texts = {POPULATION: _population(rows["prompts"])} if rows["prompts"] else {}
    return Entry("rows", step, _finite(values), texts)


def _evaluated(row: Row) -> dict[str, Any]:
    """`eval/<domain>/<prompt>/<quantity>`; of the frozen base's responses the accuracy alone."""
    group = _GROUPS[row["test_set"]]
    if row["weights"] == "base":
        return {f"{group}-base/{row['domain']}/{row['prompt']}/accuracy": row["accuracy"]}
    return {f"{group}/{row['domain']}/{row['prompt']}/{name}": row[name] for name in _EVALUATED}


def _spent(rows: Sequence[Row]) -> dict[str, Any]:
    """Both channels, and their sums."""
    values = {
        f"ledger/{row['channel']}/{name}": value
        for row in rows
        for name, value in row.items()
        if name not in ("step", "channel")
    }
    if rows:
        for name, columns in (("rollouts", ("rollouts",)), ("tokens", _TOKENS)):
            values[f"ledger/{name}"] = sum(row[column] for row in rows for column in columns)
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
    """What is a finite number; a learner without a quantity has NaN for it, an old run null."""
    known = {name: value for name, value in values.items() if value is not None}
    return {name: float(value) for name, value in known.items() if math.isfinite(value)}
