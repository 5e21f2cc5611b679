"""Synthetic runs of a sweep for the tests of claims: known numbers, no model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.schema import TABLES
from cl_bench.sweep.cell import Cell

Row = dict[str, Any]
Accuracy = Callable[[int, str, str], float]
MakeRun = Callable[..., Path]
_KINDS: dict[str, object] = {"int64": 0, "double": 0.0, "string": ""}
_PROVENANCE = {
    "cl_bench": "0.1.0",
    "git_commit": "c" * 40,
    "git_dirty": False,
    "source_hash": "5" * 64,
    "packages": {"torch": "2.9", "transformers": "5.11", "trl": "1.17"},
}


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Writes the run of a cell: `make_run(cell, accuracy, status=…, reason=…, items=…)`.

    Returns the sweep's folder. `accuracy` is a function of (step, domain, prompt). Every domain of
    the stream is evaluated every `eval_every` steps and at stage ends under both prompts; there and
    at step 0 by the base as well, with half that accuracy. A step spends 64 rollouts.
    Of `items` problems with two samples each the first answers are right and the second ones wrong.
    The run took 7 s.
    """

    def make(
        cell: Cell,
        accuracy: Accuracy = lambda step, _domain, _prompt: step / 100,
        *,
        status: str = "done",
        reason: str | None = None,
        items: int = 2,
        folder: Path | None = None,
    ) -> Path:
        home = folder or tmp_path / "runs"
        stages = [{"domain": name, "steps": cell.steps} for name in cell.stream.split("-to-")]
        manifest = {
            "stream": {"name": cell.stream, "stages": stages},
            "learner": cell.learner,
            "model": cell.model,
            "seed": cell.seed,
            "status": status,
            "reason": reason,
            "threads": 1,
            "provenance": _PROVENANCE,
            "model_files": {"model.safetensors": "e" * 64},
            "model_revision": None,
        }
        directory = RunDirectory.create(home / cell.name, manifest)
        rows = list(_evaluations(cell, accuracy))
        tables = {
            "evaluations": rows,
            "items": [item for row in rows for item in _items(row, items)],
            "steps": [_row("steps", step=step, reward=step / 10) for step in range(1, cell.steps)],
            "prompts": [_row("prompts", text="Answer well.", fate="kept")],
            "ledger": [_row("ledger", channel="slow", rollouts=64)],
            "timing": [_row("timing", phase="learn", seconds=s) for s in (3.0, 4.0)],
        }
        directory.commit(0, tables)
        return home

    return make


def _evaluations(cell: Cell, accuracy: Accuracy) -> Iterator[Row]:
    domains = cell.stream.split("-to-")
    total = cell.steps * len(domains)
    ends = range(0, total + 1, cell.steps)
    for step in sorted({*range(0, total, cell.options["eval_every"]), *ends}):
        end = step % cell.steps == 0
        at = "start" if step == 0 else "stage-end" if end else "inside"
        place: Row = {"step": step, "stage": -(-step // cell.steps), "at": at}
        for weights in ("trained", "base") if end else ("trained",):
            for domain in domains:
                for prompt in ("seed", "learner"):
                    score = accuracy(step, domain, prompt) / (1 if weights == "trained" else 2)
                    named: Row = {"domain": domain, "prompt": prompt, "weights": weights}
                    spent = dict.fromkeys(("samples_slow", "rollouts"), 64 * step)
                    named |= {"accuracy": score, "test_set": "stream", **spent}
                    named |= {"n_items": 2, "n_samples": 2}
                    yield _row("evaluations", **place, **named)


def _items(row: Row, count: int) -> Iterator[Row]:
    shared = {name: row[name] for name in TABLES["items"].names if name in row}
    for number in range(count):
        uid = f"{row['domain']}/test/{number}"
        for sample in (0, 1):
            scored = {"uid": uid, "sample": sample, "score": 1.0 - sample, "answer": "7"}
            ended = {"formatted": None, "truncated": 0, "completion_tokens": 5}
            ended["thought_tokens"] = 0
            yield shared | ended | scored


def _row(table: str, **given: object) -> Row:
    """A row with these values and neutral ones in the other columns."""
    return {field.name: _KINDS[str(field.type)] for field in TABLES[table]} | given
