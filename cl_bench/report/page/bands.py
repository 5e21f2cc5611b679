"""The curves that figures of a board draw of one of its rows: means over its finished seeds, with
intervals, and the seeds themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cl_bench.metrics.arrays import Array
from cl_bench.metrics.stats.student import student_band
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.page.digest import CHANNELS, TOKENS, Digest

GAINS = ("slow", "fast", "joint")
"""The gains of a channel attribution that are drawn."""


@dataclass(frozen=True, eq=False)
class Band:
    """A curve over P points; NaN where a seed has no value."""

    seeds_S_P: Array
    mean_P: Array
    low_P: Array | None
    """Lower ends of the 95 % intervals over seeds; None for one seed."""
    high_P: Array | None


@dataclass(frozen=True, eq=False)
class Drawn:
    """One row of a board, over the seeds whose runs are done."""

    seeds: tuple[int, ...]
    share_E: Array
    """Share of the stream's steps done at the evaluations that all seeds have: learners that
    take larger steps have fewer of them."""
    samples_E: Array
    """Training samples spent by then, mean over seeds."""
    rollouts_E: Array
    accuracy: Mapping[str, Band]
    """By domain of the stream, under the learner's prompt."""
    kl: Mapping[str, Band]
    """KL(policy ‖ base) of the same, nats per token."""
    average: Band
    """Accuracy, mean over the stages: the curve that sample efficiency is computed from."""
    best_S: Array
    """The highest accuracy of that curve with each seed, at any of its evaluations: the level that
    other learners are matched at with that seed; NaN where a domain was not evaluated."""
    divergence: Band
    """KL, mean over the stages."""
    end_E: tuple[bool, ...]
    """Whether the evaluation is the start or the end of a stage."""
    gains: Band | None
    """Of `GAINS` at the stream's end, mean over domains; None without probes."""
    spent: Mapping[str, Mapping[str, float]]
    """Rollouts by channel, tokens by kind and seconds by phase, means over seeds."""
    changes: Band | None
    """Items gained, then items lost, from each stage's end to the next, as shares of all items of
    the stream; None where a seed has none."""


def drawn(digests: Mapping[int, Digest]) -> Drawn | None:
    """Everything to draw of the finished runs by seed; None without any evaluation."""
    finished = {
        seed: one
        for seed, one in digests.items()
        if one.manifest["status"] == "done" and len(one.step_E)
    }
    if not finished:
        return None
    runs = list(finished.values())
    steps = [step for step in runs[0].step_E.tolist() if all(step in r.step_E for r in runs)]
    places = [np.flatnonzero(np.isin(run.step_E, steps)) for run in runs]
    bands = _bands(_curves(runs, places))
    samples_E, rollouts_E = (
        np.mean([getattr(run, axis)[at] for run, at in zip(runs, places, strict=True)], axis=0)
        for axis in ("samples_E", "rollouts_E")
    )
    return Drawn(
        seeds=tuple(finished),
        share_E=np.array(steps) / sum(steps for _, _, steps in runs[0].stages),
        samples_E=samples_E,
        rollouts_E=rollouts_E,
        accuracy={domain: band for (what, domain), band in bands.items() if what == "accuracy"},
        kl={domain: band for (what, domain), band in bands.items() if what == "kl"},
        average=bands["average", ""],
        best_S=np.array([_best(run) for run in runs]),
        divergence=bands["divergence", ""],
        end_E=tuple(runs[0].end_E[place] for place in places[0]),
        gains=bands.get(("gains", "")),
        spent=_spent(runs),
        changes=bands.get(("changes", "")),
    )


def _curves(
    runs: Sequence[Digest], places: Sequence[NDArray[np.intp]]
) -> dict[tuple[str, str], Array]:
    """Everything that has a band, by what it is and its domain, shape (S, P) each."""
    own = [domain for domain, _, _ in runs[0].stages]
    found: dict[tuple[str, str], Array] = {}
    for what, mean, column in (
        ("accuracy", "average", "accuracy_E"),
        ("kl", "divergence", "kl_E"),
    ):
        stacked = {domain: _stack(runs, places, domain, column) for domain in runs[0].domains}
        found |= {(what, domain): value_S_E for domain, value_S_E in stacked.items()}
        found[mean, ""] = np.mean([stacked[domain] for domain in own], axis=0)
    others = {("gains", ""): _gains(runs), ("changes", ""): _changes(runs)}
    return found | {name: value for name, value in others.items() if value is not None}


def _best(run: Digest) -> float:
    """The highest accuracy, mean over the stages, at any evaluation: on validation problems, where
    the run was asked any (as `Measured.curve`)."""
    lines = []
    for domain, _, _ in run.stages:
        line = run.line(domain, test_set="validation") or run.line(domain)
        lines.append(np.full(len(run.step_E), np.nan) if line is None else line.accuracy_E)
    return float(np.mean(lines, axis=0).max())


def _bands(curves: Mapping[tuple[str, str], Array]) -> dict[tuple[str, str], Band]:
    """The bands of several curves, shape (S, P) each, of the same seeds."""
    together = np.concatenate([*curves.values()], axis=1)
    value_S_P = np.where(np.isfinite(together), together, np.nan)
    mean_P, ends = value_S_P.mean(axis=0), student_band(value_S_P)
    low_P, high_P = (None, None) if isinstance(ends, Undefined) else ends
    found, start = {}, 0
    for name, curve in curves.items():
        own = slice(start, start + curve.shape[1])
        start = own.stop
        low, high = (None if all_P is None else all_P[own] for all_P in (low_P, high_P))
        found[name] = Band(value_S_P[:, own], mean_P[own], low, high)
    return found


def _stack(
    runs: Sequence[Digest], places: Sequence[NDArray[np.intp]], domain: str, name: str
) -> Array:
    """Values by seed and evaluation, shape (S, E)."""
    rows = []
    for run, chosen in zip(runs, places, strict=True):
        line = run.line(domain)
        rows.append(np.full(len(chosen), np.nan) if line is None else getattr(line, name)[chosen])
    return np.array(rows)


def _gains(runs: Sequence[Digest]) -> Array | None:
    """Of `GAINS`, mean over domains, shape (S, 3)."""
    values = []
    for run in runs:
        found = [run.attribution(domain) for domain in run.domains]
        if any(isinstance(gains, Undefined) for gains in found):
            return None
        values.append([np.mean([getattr(gains, name) for gains in found]) for name in GAINS])
    return np.array(values)


def _spent(runs: Sequence[Digest]) -> dict[str, dict[str, float]]:
    def mean(values: Iterable[float]) -> float:
        return sum(values) / len(runs)

    rollouts = {c: mean(r.spent.get(c, {}).get("rollouts", 0.0) for r in runs) for c in CHANNELS}
    tokens = {k: mean(sum(row[k] for row in r.spent.values()) for r in runs) for k in TOKENS}
    phases = dict.fromkeys(name for run in runs for name in run.phases)
    seconds = {name: mean(run.phases.get(name, 0.0) for run in runs) for name in phases}
    return {"rollouts": rollouts, "tokens": tokens, "seconds": seconds}


def _changes(runs: Sequence[Digest]) -> Array | None:
    """Shares gained, then lost, in every stage, shape (S, 2 T)."""
    values = []
    for run in runs:
        if set(run.turnover) != set(run.domains):
            return None
        counts = np.array([run.turnover[domain].counts for domain in run.domains], dtype=float)
        if counts.size == 0:
            return None
        share = counts.sum(axis=0) / counts.sum(axis=(0, 2))[:, None]
        values.append([*share[:, 1], *share[:, 2]])
    if len({len(row) for row in values}) != 1:
        return None
    return np.array(values)
