"""Run directories of runs that were never made: every number is given, no model, nothing slow.

    write_run(folder / "a", learner="fst", seed=1, accuracy=lambda step, domain, prompt: 0.5)
    write_runs(folder, 1_000)

They are what a `RunDirectory` writes, but for the flushing of files to the disk.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache, partial
from hashlib import sha256
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from cl_bench.contract.learner import LearnerConfig
from cl_bench.contract.registry import LEARNERS
from cl_bench.contract.text import config_hash
from cl_bench.metrics.stats.student import Estimate
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.board import Leaderboard
from cl_bench.report.leaderboard import leaderboard
from cl_bench.report.plasticity_tables import find_tables
from cl_bench.store.run_tables import find_runs
from cl_bench.store.schema import SCHEMA_VERSION, TABLES
from tests.report.synthetic_tables import TEXTS, TWO, Cell, Row, Synthetic, rising, tables

__all__ = [
    "TEXTS",
    "TWO",
    "Synthetic",
    "flat",
    "leaderboard_of",
    "reason",
    "rising",
    "value",
    "write_run",
    "write_runs",
]


def flat(share: float) -> Cell:
    """An accuracy of a quarter before training, then `share`."""
    return lambda step, _domain, _prompt: share if step else 0.25


def value(found: object) -> float:
    """The mean of an estimate, which it has to be."""
    assert isinstance(found, Estimate), found
    return found.value


def reason(found: object) -> str:
    """Why a number is undefined, which it has to be."""
    assert isinstance(found, Undefined), found
    return found.reason


Rows = Mapping[str, Sequence[Row] | pa.Table]
"""By table."""


def write_run(
    path: Path,
    run: Synthetic | None = None,
    *,
    rows: Callable[[Synthetic, list[int]], Rows] = tables,
    **fields: Any,
) -> Path:
    """Write the run, or one with these `fields`, into the new folder `path`, and return that;
    `rows` makes those of some steps."""
    spec = replace(run or Synthetic(), **fields)
    path.mkdir(parents=True)
    manifest = json.dumps(_manifest(spec), indent=2, ensure_ascii=True)
    (path / "manifest.json").write_text(manifest + "\n")
    steps = np.array_split(np.array(spec.steps, dtype=int), spec.parts)
    for part, chosen in enumerate(steps):
        _commit(path, part, rows(spec, [int(step) for step in chosen]))
    return path


def write_runs(folder: Path, count: int, **fields: Any) -> list[Path]:
    """`count` finished runs: 4 streams × 2 models × 5 learners, and as many seeds as it takes.

    The learners differ by 0.04, the seeds by up to 0.1; `fields` are of every run.
    """
    kinds = list(product(_STREAMS, ("embedded", "models/other"), enumerate(_LEARNERS)))
    written = []
    for number in range(count):
        seed, kind = divmod(number, len(kinds))
        stages, model, (place, learner) = kinds[kind]
        noise = np.random.default_rng([seed, kind]).uniform(0, 0.1)
        run = Synthetic(
            learner=learner,
            stages=stages,
            seed=seed,
            accuracy=partial(_lifted, 0.04 * place + noise),
            config={"model": model},
            manifest={"model": model, "model_files": {"model.safetensors": model}},
            texts=TEXTS if learner != "rl" else (),
        )
        written.append(write_run(folder / f"run-{number:05d}", run, **fields))
    return written


_STREAMS = (TWO, (("facts", 20),), (("physics", 20), ("math", 20)), (("code", 10), ("facts", 30)))
_LEARNERS = ("rl", "prompt", "rl-kl", "fst", "fst-distill")


def _lifted(lift: float, step: int, domain: str, prompt: str) -> float:
    return rising(step, domain, prompt) + lift


def _manifest(spec: Synthetic) -> Row:
    known = spec.learner in LEARNERS
    config = LEARNERS.load(spec.learner).config if known else LearnerConfig
    learning = config(problems_per_step=2, group_size=5, seed=spec.seed)
    parts: Row = {
        "learner": spec.learner,
        "model": "embedded",
        "seed": spec.seed,
        "feedback": "step",
        "announced": False,
        "eval_every": spec.every,
        "threads": 1,
        "device": "auto",
        "precision": "float32",
        "keep_stage_models": False,
        "learning": asdict(learning),
        "evaluation": _EVALUATION | {"items": spec.items or 64, "samples": spec.samples},
    }
    for name, value in spec.config.items():
        *part, last = name.split(".")
        (parts[part[0]] if part else parts)[last] = value
    described: Row = {"stream": _stream(spec), "config": parts}
    return {
        "schema_version": SCHEMA_VERSION,
        **described,
        "learner": spec.learner,
        "model": parts["model"],
        "seed": spec.seed,
        "config_hash": config_hash(described),
        "status": spec.status,
        "reason": spec.reason,
        "plugins": {},
        "provenance": _PROVENANCE | dict(spec.provenance),
        "model_files": {"model.safetensors": "e" * 64},
        "reflection_files": {},
        "model_revision": None,
        "device": "cpu",
        "engine": "transformers",
        "threads": 1,
        "journal": None,
    } | dict(spec.manifest)


def _stream(spec: Synthetic) -> Row:
    stages = [
        {"domain": domain, "domain_version": "1", "setting": "default", "steps": steps}
        for domain, steps in spec.stages
    ]
    name = "-to-".join(domain for domain, _ in spec.stages)
    retention = [{"domain": "star-graph", "domain_version": "1"}]
    described = {"name": name, "version": "1", "stages": stages, "retention": retention}
    return described | dict(spec.stream)


# `EvaluationConfig`, whose module would import torch.
_EVALUATION = {
    "retention_items": 8,
    "kl_items": 0,
    "transcripts": 3,
    "probes": True,
}
_PROVENANCE = {
    "cl_bench": "0.1.0",
    "git_commit": "c" * 40,
    "git_dirty": False,
    "source_hash": "5" * 64,
    "python": "3.11.9",
    "platform": "Linux",
    "cpu_count": 2,
    "packages": {"torch": "2.9", "transformers": "5.11", "trl": "1.17"},
}


def _commit(path: Path, part: int, rows: Rows) -> None:
    """As `RunDirectory.commit`, without checks and without flushing."""
    hashes = {}
    for name in TABLES:
        content = _file(name, rows[name]) if len(rows.get(name, ())) else _empty(name)
        file = path / "tables" / name / f"{part:06d}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        hashes[name] = sha256(content).hexdigest()
    record = path / "commits" / f"{part:06d}.json"
    record.parent.mkdir(exist_ok=True)
    record.write_text(json.dumps(hashes))


def _file(table: str, rows: Sequence[Row] | pa.Table) -> bytes:
    content = BytesIO()
    if not isinstance(rows, pa.Table):
        rows = pa.Table.from_pylist(list(rows), TABLES[table])
    parquet.write_table(rows, content)
    return content.getvalue()


@cache
def _empty(table: str) -> bytes:
    return _file(table, ())


def leaderboard_of(folder: Path) -> Leaderboard:
    """The leaderboard of all runs below a folder, with the plasticity tables beside them."""
    runs, unreadable = find_runs([folder])
    return leaderboard(runs, unreadable, find_tables([folder]))
