"""Archives of claims, verified as far as their thinned tables allow."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from cl_bench.claims.archive import write_archive
from cl_bench.store.files import file_hash
from cl_bench.sweep.cell import Cell
from cl_bench.verify.archive import verify_archive

OPTIONS = {
    "setting": "easy",
    "eval_every": 2,
    "problems_per_step": 3,
    "group_size": 4,
    "round_every": 2,
    "population": 2,
    "proposals": 2,
    "items": 4,
    "samples": 2,
    "kl_items": 3,
    "retention_items": 2,
    "max_new_tokens": 40,
}
CELL = Cell("math-to-code", "fst", 5, 3, OPTIONS)
END = {"step": 3, "domain": "math", "prompt": "learner", "weights": "trained"}


@pytest.fixture
def archive(packed_run: Path, unpacked: Callable[..., Path], tmp_path: Path) -> Path:
    """An archive of one run."""
    unpacked(packed_run, CELL.name)
    write_archive([CELL], tmp_path, tmp_path / "archive")
    return tmp_path / "archive"


def forge(archive: Path, table: str, column: str, value: object, **where: object) -> None:
    """Set a column of a table in all rows with these values; the hash fits again."""
    file = archive / f"{table}.parquet"
    schema = parquet.read_schema(file)
    frame = parquet.read_table(file).to_pandas()
    rows = pd.Series(True, index=frame.index)
    for name, wanted in where.items():
        rows &= frame[name].eq(wanted)
    assert rows.any(), where
    frame.loc[rows, column] = value
    nulls = {name: frame[name].astype(object).where(frame[name].notna(), None) for name in frame}
    columns = [pa.array(list(nulls[field.name]), field.type) for field in schema]
    parquet.write_table(pa.Table.from_arrays(columns, schema=schema), file)
    restate(archive, files=hashes(archive))


def hashes(archive: Path) -> dict[str, str]:
    return {file.name: file_hash(file) for file in sorted(archive.glob("*.parquet"))}


def restate(archive: Path, **entries: Any) -> None:
    manifest = json.loads((archive / "manifest.json").read_text())
    (archive / "manifest.json").write_text(json.dumps(manifest | entries))


def test_an_archive_of_a_good_run_is_fine(archive: Path) -> None:
    report = verify_archive(archive)
    assert report.findings == [], report.text()
    assert (report.title, report.checked["evaluations"]) == ("1 finished runs", 47)


@pytest.mark.parametrize(
    ("table", "column", "value", "where", "words"),
    [
        ("evaluations", "accuracy", 0.5, {**END, "accuracy": 0.625}, "of its items is 0.625"),
        ("evaluations", "accuracy", 0.6, END, "accuracy · n is not whole"),
        ("evaluations", "kl_policy_base", -1.0, END, "kl_policy_base is -1, below 0"),
        ("evaluations", "kl_policy_base", 0.1, {**END, "step": 0}, "it must be 0"),
        ("evaluations", "rollouts", 7, END, "but the ledger has"),
        ("evaluations", "at", "inside", END, "by the stream it is stage-end"),
        ("evaluations", "setting", "hard", END, "the configuration asks for no such row"),
        ("items", "uid", "math/test/0", END, "seed 5 has no such test problem"),
        ("ledger", "rollouts", 0, {"step": 6}, "a ledger never decreases"),
        ("prompts", "parent_id", 99, {"prompt_id": 1}, "its parent, prompt 99, is not there"),
        ("steps", "reward", 0.3, {"step": 2}, "reward · n is not whole"),
        ("runs", "seed", 8, {"status": "done"}, "name of the cell: the settings of the row are"),
        ("runs", "status", "failed", {"status": "done"}, "status is not what runs.parquet gives"),
        ("runs", "status", "failed", {"status": "done"}, "is no finished run of runs.parquet"),
        ("runs", "stream", "acme/x", {"status": "done"}, "its run cannot be checked"),
    ],
)  # fmt: skip
def test_a_forged_archive_is_found_out(
    archive: Path, table: str, column: str, value: object, where: dict[str, object], words: str
) -> None:
    forge(archive, table, column, value, **where)
    report = verify_archive(archive)
    assert any(words in found.text() for found in report.findings), report.text()
    if table != "runs":
        named = [found for found in report.findings if words in found.text()]
        assert CELL.name in named[0].key


def test_a_data_file_in_an_archive_is_not_read_and_its_code_not_run(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = (f'{{"prompt": "What is {n} + 1?", "answer": "{n + 1}"}}' for n in range(20))
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    (tmp_path / "evil.py").write_text("open('ran', 'w').close()\ndef judge(*_): return 1.0\n")
    hidden = "rows.jsonl?verifier=python:evil.judge"
    (tmp_path / "evil.toml").write_text(f'[[stage]]\ndomain = "{hidden}"\n')
    for name in (hidden, "evil.toml"):
        forge(archive, "runs", "stream", name, status="done")
        report = verify_archive(archive)
        assert any("is not over built-in domains" in found.text() for found in report.findings)
    assert not (tmp_path / "ran").exists()


def test_files_that_are_not_those_of_the_manifest_are_named(archive: Path) -> None:
    restate(archive, files=hashes(archive) | {"items.parquet": "0" * 64})
    (found,) = verify_archive(archive).findings
    assert (found.file, found.reason) == (
        "items.parquet",
        "it is not the file that the manifest names",
    )
    (archive / "manifest.json").write_text("{")
    (found,) = verify_archive(archive).findings
    assert "damaged" in found.reason


def test_counts_are_made_again(archive: Path) -> None:
    restate(archive, cells=3)
    (found,) = verify_archive(archive).findings
    assert found.text() == "manifest.json: cells is not what runs.parquet gives: 1"
