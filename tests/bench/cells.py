"""Many cells of a campaign: runs that were never made, of about 10,000 responses each, on which
verification finds nothing.

    write_cells(folder, 1_000)

They are ten learners on two to twenty streams with five to fifty seeds. The problems are those of
their seeds, and the answers those that the scores speak of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice, permutations, product
from pathlib import Path

import numpy as np
import pyarrow as pa

from cl_bench.contract.registry import DOMAINS, LEARNERS
from cl_bench.execution.problem_sets import distinct_problems
from cl_bench.metrics.arrays import Array
from cl_bench.store.schema import TABLES
from tests.report.synthetic_runs import write_run
from tests.report.synthetic_tables import TEXTS, Row, Synthetic, rising, tables

ITEMS, SAMPLES = 64, 8
ROWS = 10_240
"""Of the table `items` of every cell: 5 evaluations × 2 domains × 2 prompts × 64 problems × 8."""
_LEARNERS = (
    *("rl", "prompt", "fst", "fst-distill", "rl-then-prompt", "prompt-then-rl"),
    *("rl-kl", "rl-replay", "sdft", "sdpo"),
)
_TOKENS = 20
_PROMPTS = (*TEXTS, "add one .", "then solve .")
"""One for every evaluation."""


@dataclass(frozen=True)
class CellPlace:
    """One cell among all."""

    stream: tuple[str, str]
    learner: str
    seed: int

    @property
    def path(self) -> Path:
        return Path("-to-".join(self.stream), self.learner, f"seed-{self.seed}")


def campaign(count: int) -> Iterator[CellPlace]:
    """The places of `count` cells, a multiple of 100."""
    streams = list(permutations(DOMAINS.table, 2))[: max(2, count // 100)]
    seeds = range(-(-count // (len(_LEARNERS) * len(streams))))
    cells = product(streams, _LEARNERS, seeds)
    return (CellPlace(*cell) for cell in islice(cells, count))


def write_cells(folder: Path, count: int, *, part: float = 1.0, lift: float = 0.0) -> None:
    """Write the runs, or of the first streams a part; their accuracies are `lift` higher than they
    would be."""
    for number, cell in enumerate(islice(campaign(count), round(part * count))):
        write_cell(folder / cell.path, cell, number, lift)


def write_cell(path: Path, cell: CellPlace, number: int = 0, lift: float = 0.0) -> None:
    """Write one run; `number` is of its noise."""
    channels = LEARNERS.load(cell.learner).channels
    noise = np.random.default_rng([number, round(1000 * lift)]).uniform(0, 0.1)
    better = 0.01 * _LEARNERS.index(cell.learner) + noise + lift
    spec = Synthetic(
        learner=cell.learner,
        stages=[(domain, 20) for domain in cell.stream],
        seed=cell.seed,
        accuracy=partial(_lifted, better),
        items=ITEMS,
        samples=SAMPLES,
        slow=10 * ("slow" in channels),
        fast=5 * ("fast" in channels),
        texts=_PROMPTS if "fast" in channels else (),
        probes=False,
        transcripts=0,
        config={
            "evaluation.probes": False,
            "evaluation.transcripts": 0,
            "evaluation.retention_items": 0,
        },
        stream={"stages": [_stage(domain) for domain in cell.stream], "retention": []},
    )
    write_run(path, spec, rows=_rows)


def _lifted(lift: float, step: int, domain: str, prompt: str) -> float:
    return min(1.0, rising(step, domain, prompt) + lift)


def _stage(domain: str) -> Row:
    version = DOMAINS.load(domain).version
    return {"domain": domain, "domain_version": version, "setting": "default", "steps": 20}


def _rows(spec: Synthetic, steps: list[int]) -> Mapping[str, list[Row] | pa.Table]:
    """The rows of all tables, with amounts that can be together."""
    found = tables(spec, steps, items=False)
    tokens = ITEMS * _TOKENS
    for row in found["evaluations"]:
        row |= {"kl_policy_base_tokens": tokens, "kl_base_policy_tokens": tokens}
    for row in found["ledger"]:
        row["seconds"] *= row["rollouts"] > 0
    for table, column, most in (("steps", "reward", 10), ("prompts", "score", 8)):
        for row in found[table]:
            row[column] = round(row[column] * most) / most
    return {**found, "items": _items(spec, found["evaluations"])}


def _items(spec: Synthetic, evaluations: list[Row]) -> pa.Table:
    """The responses of all evaluations: of each the first ones are right."""
    count, total = ITEMS * SAMPLES, ITEMS * SAMPLES * len(evaluations)
    right = [round(row["accuracy"] * count) for row in evaluations]
    score = (np.arange(count) < np.array(right)[:, None]).ravel()
    known = {domain: _problems(domain, spec.seed) for domain in spec.domains}
    constant = {
        name: np.repeat([row[name] for row in evaluations], count)
        for name in ("step", "domain", "test_set", "setting", "prompt", "weights")
    }
    columns: dict[str, object] = {
        **constant,
        "uid": np.concatenate([known[row["domain"]][0] for row in evaluations]),
        "sample": np.tile(np.arange(SAMPLES), total // SAMPLES),
        "score": score.astype(float),
        "answer": np.where(
            score, np.concatenate([known[row["domain"]][1] for row in evaluations]), "no answer"
        ),
        "formatted": pa.nulls(total, pa.int64()),
        "truncated": np.zeros(total, int),
        "completion_tokens": np.full(total, _TOKENS),
        "thought_tokens": np.zeros(total, int),
    }
    return pa.table(columns).cast(TABLES["items"])


@cache
def _problems(domain: str, seed: int) -> tuple[Array, Array]:
    """The identifiers and the answers of the test problems, each as often as it is asked."""
    task = DOMAINS.load(domain).task(seed=seed, setting="default", feedback="none")
    made = distinct_problems(task, ITEMS)
    uids, answers = [p.uid for p in made], [p.answer for p in made]
    return np.repeat(uids, SAMPLES), np.repeat(answers, SAMPLES)
