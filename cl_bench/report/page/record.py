"""A run as the page's script reads it: a few parts of plain JSON.

    core         what it was, its evaluations, what it spent, its item turnover
    prompts      the lineage of its prompts
    steps        its training curves
    transcripts  problems and responses before and after each stage

Parts of later rank are left out first where a page would become too large. Numbers are rounded to
what a drawing can show; NaN is null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from cl_bench.analysis.responses import said_of
from cl_bench.metrics.stats.proportions import wilson
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.page.digest import Digest, Line, Lineage, LineSubject, Turnover

PARTS = ("core", "prompts", "steps", "transcripts")
"""The parts of a record, those that a page keeps longest first."""
_POINTS = 200
"""A training curve has at most this many points; longer ones are averaged in windows."""
_DIGITS = 4


def record(
    digest: Digest, metrics: Mapping[str, float | Undefined], shared: Shared
) -> dict[str, Any]:
    """All parts by name; without those that have nothing to tell.

    `metrics` are the run's own numbers; what many runs have alike goes to `shared`.
    """
    parts = {
        "core": _core(digest, metrics, shared),
        "prompts": _prompts(digest.lineage),
        "steps": _steps(digest.steps),
        "transcripts": _transcripts(digest.transcripts),
    }
    return {name: part for name, part in parts.items() if part is not None}


def _core(
    digest: Digest, metrics: Mapping[str, float | Undefined], shared: Shared
) -> dict[str, Any]:
    manifest = dict(digest.manifest)
    common = {key: shared.place(manifest.pop(key)) for key in _COMMON if key in manifest}
    return {
        "manifest": manifest,
        "common": common,
        "stages": digest.stages,
        "points": {
            "step": digest.step_E.tolist(),
            "stage": digest.stage_E.tolist(),
            "end": [int(end) for end in digest.end_E],
            "samples": digest.samples_E.tolist(),
            "rollouts": digest.rollouts_E.tolist(),
        },
        "lines": [_line(subject, line) for subject, line in digest.lines.items()],
        "metrics": {name: _metric(value) for name, value in metrics.items()},
        "spent": {channel: rounded(row.values()) for channel, row in digest.spent.items()},
        "spentColumns": list(next(iter(digest.spent.values()), {})),
        "phases": {name: rounded([value])[0] for name, value in digest.phases.items()},
        "attribution": _attributions(digest),
        "said": [said_of(domain, of) for domain, of in digest.constants.items()],
        "turnover": {name: _turnover(found) for name, found in digest.turnover.items()},
    }


_COMMON = ("stream", "config", "provenance", "model_files", "reflection_files", "plugins")
"""Entries of a manifest that many runs have alike."""


def _line(subject: LineSubject, line: Line) -> dict[str, Any]:
    found = {
        **subject._asdict(),
        "items": line.n_items,
        "accuracy": rounded(line.accuracy_E),
        "kl": rounded(line.kl_E),
    }
    if subject.test_set == "stream" and subject.weights == "trained":
        low, high = wilson(line.accuracy_E, np.full(len(line.accuracy_E), max(line.n_items, 1)))
        found |= {"low": rounded(low, 3), "high": rounded(high, 3)}
    return found


def _metric(value: float | Undefined) -> float | str | None:
    """A number; a reason where there is none."""
    return value.reason if isinstance(value, Undefined) else rounded([value], 6)[0]


def _attributions(digest: Digest) -> dict[str, Any]:
    found = {domain: digest.attribution(domain) for domain in digest.domains}
    return {
        domain: gains.reason
        if isinstance(gains, Undefined)
        else rounded([gains.slow, gains.fast, gains.joint, gains.interaction])
        for domain, gains in found.items()
    }


def _turnover(found: Turnover) -> dict[str, Any]:
    """Shares as digits, 0 none to 9 all of a problem's responses; 5 or more of those solved."""
    nines = np.floor(9 * np.clip(np.nan_to_num(found.share_E_P), 0, 1) + 0.5).astype(int)
    return {
        "step": found.step_E,
        "shares": ["".join(map(str, row)) for row in nines.tolist()],
        "counts": found.counts,
    }


def _prompts(lineage: Lineage) -> dict[str, Any] | None:
    if not lineage.rounds:
        return None
    texts = {str(prompt): [parent, text] for prompt, (parent, text) in lineage.prompts.items()}
    rounds = [
        {
            "step": one.step,
            "round": one.number,
            "candidates": [[p, rounded([score])[0], fate] for p, score, fate in one.candidates],
        }
        for one in lineage.rounds
    ]
    return {"texts": texts, "rounds": rounds}


def _steps(steps: Mapping[str, Sequence[float]]) -> dict[str, Any] | None:
    """Columns of numbers; a column that never has one is left out."""
    count = len(steps["step"])
    if not count:
        return None
    window = math.ceil(count / _POINTS)
    columns = {name: _averaged(values, window) for name, values in steps.items()}
    known = {name: values for name, values in columns.items() if any(v is not None for v in values)}
    return {"window": window, **known}


def _averaged(values: Sequence[float], window: int) -> list[float | None]:
    if window == 1:
        return rounded(values)
    padded = np.full(math.ceil(len(values) / window) * window, np.nan)
    padded[: len(values)] = values
    parted = padded.reshape(-1, window)
    count = (~np.isnan(parted)).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return rounded(np.nansum(parted, axis=1) / count)


def _transcripts(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Problems, and the responses to each; a system prompt stands once."""
    if not rows:
        return None
    problems: dict[tuple[str, str], dict[str, Any]] = {}
    systems: dict[str, int] = {}
    for row in rows:
        problem = problems.setdefault(
            (row["domain"], row["uid"]),
            {
                "domain": row["domain"],
                "uid": row["uid"],
                "problem": row["problem"],
                "reference": row["reference"],
                "responses": [],
            },
        )
        system = systems.setdefault(row["system_prompt"], len(systems))
        said = (row["response"], rounded([row["score"]])[0], row["answer"], row["feedback"])
        problem["responses"].append([row["stage"], row["prompt"], system, *said])
    return {"systems": list(systems), "problems": list(problems.values())}


def rounded(values: Iterable[float], digits: int = _DIGITS) -> list[float | None]:
    """Values to so many significant digits, whole numbers as such; None for NaN and infinity."""
    spec = f"%.{digits}g"
    return [
        (int(value) if value == int(value) else float(spec % value))
        if math.isfinite(value)
        else None
        for value in map(float, values)
    ]


class Shared:
    """Values without doubles, in the order in which they came."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self.values: list[Any] = []

    def place(self, value: Any) -> int:
        """The index of the value in `values`."""
        key = json.dumps(value, sort_keys=True)
        if key not in self._places:
            self._places[key] = len(self.values)
            self.values.append(value)
        return self._places[key]
