"""An archive of all runs of the full plan is small enough to commit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from cl_bench.claims.archive import write_archive
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.schema import TABLES, allowed_values
from cl_bench.sweep.cell import Cell

Row = dict[str, Any]
RUNS, MEGABYTES = 130, 8
EVERY, LAST, ITEMS, SAMPLES = 10, 120, 64, 4
OUTSIDE = ("code", "math", "physics", "star-graph")


class Noise:
    """Rows as long as a run's, and harder to compress: every measured number is random."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def row(self, table: str, **given: object) -> Row:
        return {field.name: self._value(field) for field in TABLES[table]} | given

    def words(self, count: int) -> str:
        return " ".join(str(self._random.randrange(2_000)) for _ in range(count))

    def _value(self, field: Any) -> object:
        kind = str(field.type)
        if kind == "string":
            return (allowed_values(field) or ("",))[0]
        return self._random.random() if kind == "double" else self._random.randrange(5_000)


def evaluations(noise: Noise) -> Iterator[Row]:
    """Those of a single run on facts, with all that is asked at its start and end."""
    for step in range(0, LAST + 1, EVERY):
        at = {0: "start", LAST: "stage-end"}.get(step, "inside")
        asked = [("facts", "stream", prompt, "trained") for prompt in ("seed", "learner")]
        if at != "inside":
            asked += [("facts", "stream", prompt, "base") for prompt in ("seed", "learner")]
            asked += [(domain, "retention", "stated", "trained") for domain in OUTSIDE]
            asked += [("facts", "harder", "seed", "trained")]
        for domain, test_set, prompt, weights in asked:
            label = {"domain": domain, "test_set": test_set, "prompt": prompt, "weights": weights}
            yield noise.row("evaluations", step=step, at=at, **label)


def items(noise: Noise, row: Row, seed: int) -> Iterator[Row]:
    keys = ("step", "domain", "test_set", "setting", "prompt", "weights")
    shared = {name: row[name] for name in keys}
    for number in range(ITEMS):
        uid = f"{row['domain']}/test/{number}/{number * 7919 + seed * 31337:016x}"
        for sample in range(SAMPLES):
            score = float(noise.row("items")["score"] < 0.5)
            yield noise.row("items", **{**shared, "uid": uid, "sample": sample, "score": score})


def test_the_runs_of_the_full_plan_fit(tmp_path: Path) -> None:
    cells = [Cell("facts", "fst", seed, LAST) for seed in (100, 101)]
    for cell in cells:
        noise = Noise(cell.seed)
        scored = list(evaluations(noise))
        rounds = [(r, k) for r in range(1, LAST // 6 + 1) for k in range(9)]
        tables = {
            "evaluations": scored,
            "items": [item for row in scored for item in items(noise, row, cell.seed)],
            "steps": [noise.row("steps", step=step) for step in range(LAST)],
            "prompts": [noise.row("prompts", round=r, text=noise.words(60)) for r, _ in rounds],
            "ledger": [noise.row("ledger") for _ in range(2 * LAST // EVERY)],
        }
        run = RunDirectory.create(tmp_path / cell.name, {"status": "done"})
        run.commit(0, tables)
    write_archive(cells, tmp_path, tmp_path / "archive")
    size = sum(file.stat().st_size for file in (tmp_path / "archive").iterdir())
    assert size / len(cells) * RUNS < MEGABYTES * 10**6
