"""Runs that were never made, for the tests of the gate: as noisy as real ones, or as certain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cl_bench.store.run_directory import RunDirectory
from tests.report.synthetic_runs import write_run
from tests.report.synthetic_tables import Row, Synthetic, rising, tables


def noisy_run(
    path: Path,
    *,
    seed: int = 0,
    noise: int = 0,
    drop: float = 0.0,
    spread: float = 0.0,
    dip: tuple[int, str, float] | None = None,
    **fields: Any,
) -> Path:
    """A run whose verdicts are drawn, `drop` below `rising` after training has begun.

    Runs of one `noise` are equal but for what `drop` changes; `spread` moves a whole run, and
    `dip` lowers one evaluation of the learner's prompt: a step, a domain and how far.
    """
    rng = np.random.default_rng([seed, noise])
    lift = spread * rng.standard_normal()

    def accuracy(step: int, domain: str, prompt: str) -> float:
        dipped = dip is not None and (step, domain) == dip[:2] and prompt == "learner"
        lost = dip[2] if dip and dipped else 0.0
        return rising(step, domain, prompt) + (lift - drop - lost if step else 0.0)

    run = Synthetic(seed=seed, accuracy=accuracy, probes=False, **fields)
    directory = RunDirectory.open(write_run(path, run))
    rows = tables(run, run.steps)
    _draw(rows, run, rng)
    directory.discard_after(-1)
    directory.commit(0, rows)
    return path


def noisy_runs(folder: Path, seeds: int, **fields: Any) -> Path:
    """Runs of seeds 0, 1, … in `folder`."""
    for seed in range(seeds):
        noisy_run(folder / str(seed), seed=seed, **fields)
    return folder


def _draw(rows: dict[str, list[Row]], run: Synthetic, rng: np.random.Generator) -> None:
    """Draw every verdict anew; the accuracies are their means."""
    scores: dict[tuple[object, ...], list[float]] = {}
    for item in rows["items"]:
        chance = run.accuracy(item["step"], item["domain"], item["prompt"])
        item["score"] = float(rng.random() < chance)
        key = (item["step"], item["domain"], item["prompt"])
        scores.setdefault(key, []).append(item["score"])
    for row in rows["evaluations"]:
        row["accuracy"] = float(np.mean(scores[row["step"], row["domain"], row["prompt"]]))
        row["kl_policy_base"] *= float(np.exp(0.1 * rng.standard_normal()))
