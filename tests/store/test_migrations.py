"""Runs that earlier versions wrote load as if this one had; they are never written to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from cl_bench import Run
from cl_bench.analysis.run_values import run_metrics
from cl_bench.api import resume
from cl_bench.claims.archive import write_archive
from cl_bench.claims.data import Data
from cl_bench.claims.tables import TABLES as ARCHIVED
from cl_bench.contract.errors import OtherSoftwareError, RunDirectoryError
from cl_bench.metrics.undefined import Undefined
from cl_bench.store.files import file_hash
from cl_bench.store.migrations import tables_of, unknown_to, upgrade
from cl_bench.store.parts import Parts
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.run_tables import find_runs
from cl_bench.store.schema import SCHEMA_VERSION, TABLES
from cl_bench.sweep.cell import Cell
from tests.store.older_runs import older_run

OLDER = range(1, SCHEMA_VERSION)
PLACE = {"domain": ["math", "facts", "acme/colours"], "prompt": ["learner", "stated", "stated"]}
STAGES = [
    {"domain": "math", "setting": "hard", "steps": 4},
    {"domain": "math", "setting": "easy", "steps": 4},
]


@pytest.fixture(params=OLDER, ids="schema {}".format)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where the run of an older version lies; what its own code said of it is beside it."""
    return older_run(request.param, tmp_path)


def said(home: Path) -> dict[str, Any]:
    """What the code that made the run computed from it."""
    found: dict[str, Any] = json.loads((home.parent / "expected.json").read_text())
    return found


def version(home: Path) -> int:
    return int(Run(home).manifest["schema_version"])


def contents(home: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in home.rglob("*") if file.is_file()}


def test_the_summary_has_the_numbers_of_the_code_that_made_the_run(home: Path) -> None:
    summary, expected = Run(home).summary(), said(home)
    assert list(summary.stages) == expected["stages"]
    for prompt in ("learner", "seed"):
        assert summary.accuracy[prompt].tolist() == expected["accuracy"][prompt]
        metrics = expected["metrics"][prompt]
        assert {name: summary.metrics[prompt][name] for name in metrics} == metrics
        assert summary.kl[prompt] == expected["kl"][prompt]
    for channel, spent in expected["spent"].items():
        assert {name: summary.spent[channel][name] for name in spent} == spent
    assert "math-to-code, seed 5" in summary.text()
    assert "rewrites failed" not in summary.text()


def test_every_table_has_the_columns_of_this_version_and_all_its_rows(home: Path) -> None:
    directory = RunDirectory.open(home)
    parts = Parts(home, directory.manifest)
    rows = said(home)["rows"]
    assert set(rows) == set(tables_of(version(home)))
    for name, schema in TABLES.items():
        assert parts.table(name).schema.equals(schema)
        assert len(directory.table(name)) == rows.get(name, 0)
    assert directory.table("transcripts").empty == (version(home) < 4)


def test_rows_say_what_is_true_of_a_version_that_did_not_ask(home: Path) -> None:
    run = Run(home)
    for name in ("evaluations", "items"):
        frame = run.table(name)
        stated = frame["prompt"] == "stated"
        assert (frame["test_set"][stated] == "retention").all()
        if version(home) < 3:
            assert set(frame["test_set"][~stated]) == {"stream"}
            assert set(frame["weights"]) == {"trained"}
            assert set(frame["setting"]) == {"easy"}
        assert stated.any() == (version(home) > 1)
    counted = run.table("ledger")[["reflection_failures", "reflection_repeats"]].notna()
    assert counted.to_numpy().all() == counted.to_numpy().any() == (version(home) > 1)
    deployed = ["kl_deployed_start", "kl_deployed_start_sequence"]
    evaluations = run.table("evaluations")[[*deployed, "format_rate", "truncation_rate"]]
    assert evaluations.isna().all(axis=None)
    assert run.table("items")[["formatted", "truncated"]].isna().all(axis=None)
    for name in TABLES:
        nobodys = unknown_to(version(home), name)
        assert run.table(name)[sorted(nobodys)].isna().all(axis=None)
        assert unknown_to(SCHEMA_VERSION, name) == set() <= nobodys


def test_metrics_and_figures_are_made_of_older_runs_too(home: Path) -> None:
    (run,), broken = find_runs([home.parent])
    assert broken == []
    found = run_metrics(run)
    expected = said(home)
    assert found["average_accuracy"] == expected["metrics"]["learner"]["average_accuracy"]
    assert found["rollouts"] == sum(spent["rollouts"] for spent in expected["spent"].values())
    assert len(Run(home).write_figures()) >= 3


def test_reading_changes_no_file(home: Path) -> None:
    before = contents(home)
    run = Run(home)
    run.summary()
    for name in TABLES:
        run.table(name)
    assert contents(home) == before


def test_older_runs_are_neither_resumed_nor_written_to(home: Path) -> None:
    before = contents(home)
    directory = RunDirectory.open(home)
    commit = directory.manifest["provenance"]["git_commit"][:10]
    refused = rf"version {version(home)}, .* writes version {SCHEMA_VERSION}: .*commit {commit}"
    for write in (
        lambda: resume(home),
        lambda: directory.commit(len(Parts(home, directory.manifest).numbers()), {}),
        lambda: directory.discard_after(-1),
        lambda: directory.update_manifest(status="running"),
    ):
        with pytest.raises(OtherSoftwareError, match=refused):
            write()
    assert contents(home) == before


def test_a_file_cut_short_is_named(home: Path) -> None:
    file = home / "tables" / "items" / "000001.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(RunDirectoryError, match=f"Cannot use the table file {file}: "):
        RunDirectory.open(home).table("items")


def test_an_edited_file_is_refused_where_versions_kept_hashes(home: Path) -> None:
    file = home / "tables" / "items" / "000001.parquet"
    rows = parquet.ParquetFile(file).read().slice(1)
    parquet.write_table(rows, file)
    if version(home) == 1:
        assert len(Run(home).table("items")) == said(home)["rows"]["items"] - 1
    else:
        with pytest.raises(RunDirectoryError, match=f"{file}: it was cut short or edited"):
            Run(home).table("items")


def test_other_columns_are_refused_without_hashes_too(tmp_path: Path) -> None:
    home = older_run(1, tmp_path)
    file = home / "tables" / "items" / "000001.parquet"
    parquet.write_table(parquet.ParquetFile(file).read().drop_columns("score"), file)
    with pytest.raises(RunDirectoryError, match=rf"{file}: its columns .* version 1, but step, "):
        Run(home).table("items")


def test_columns_of_a_later_version_are_refused(tmp_path: Path) -> None:
    home = older_run(4, tmp_path)
    file = home / "tables" / "items" / "000000.parquet"
    content = parquet.ParquetFile(file).read()
    ones = pa.array([1] * len(content), pa.int64())
    parquet.write_table(content.append_column("truncated", ones), file)
    record = home / "commits" / "000000.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"items": file_hash(file)}))
    with pytest.raises(RunDirectoryError, match=rf"{file}: its columns .* version 4, but step, "):
        RunDirectory.open(home).table("items")


def test_null_where_none_is_allowed_is_refused(tmp_path: Path) -> None:
    home = older_run(2, tmp_path)
    file = home / "tables" / "timing" / "000000.parquet"
    content = parquet.ParquetFile(file).read()
    nulls = pa.nulls(len(content), pa.float64())
    forged = content.drop_columns("seconds").append_column("seconds", nulls)
    parquet.write_table(forged, file)
    record = home / "commits" / "000000.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"timing": file_hash(file)}))
    with pytest.raises(RunDirectoryError, match=f"Cannot use the table file {file}: .*null"):
        RunDirectory.open(home).table("timing")


def test_a_commit_without_its_last_table_is_not_read_in_version_1(tmp_path: Path) -> None:
    directory = RunDirectory.open(older_run(1, tmp_path))
    (directory.path / "tables" / "timing" / "000004.parquet").unlink()
    assert directory.table("evaluations")["step"].max() == 3


def test_the_archive_of_the_claims_takes_older_runs(home: Path) -> None:
    cell = Cell("math-to-code", "fst", 5, 2, {"eval_every": 1})
    home.rename(home.with_name(cell.name))
    write_archive([cell], home.parent, home.parent / "archive")
    data = Data.of_archive(home.parent / "archive")
    accuracy = said(home)["accuracy"]["learner"]
    assert data.cell_accuracy(cell, "code") == accuracy[-1][1]
    for name in ARCHIVED:
        kept = data.table(name, cell)
        assert not isinstance(kept, Undefined)
        assert not kept.empty


def test_the_setting_is_that_of_a_domain_s_first_stage_or_the_easiest_outside() -> None:
    manifest = {"schema_version": 2, "stream": {"stages": STAGES}}
    found = upgrade(manifest, "items", pa.table(PLACE)).to_pydict()
    assert found["test_set"] == ["stream", "retention", "retention"]
    assert found["setting"] == ["hard", "easy", "easiest"]
    assert found["weights"] == ["trained"] * 3


@pytest.mark.parametrize("older", [1, 2])
def test_counts_that_nobody_made_are_null(older: int) -> None:
    schema = TABLES["ledger"]
    uncounted = schema.empty_table().drop_columns(["reflection_failures", "reflection_repeats"])
    row = {name: [1] if name != "channel" else ["fast"] for name in uncounted.column_names}
    found = upgrade({"schema_version": older}, "ledger", pa.table(row, schema=uncounted.schema))
    assert found.schema.equals(schema)
    expected = {name: values[0] for name, values in row.items()}
    assert found.to_pylist() == [
        {"reflection_failures": None, "reflection_repeats": None, **expected}
    ]


@pytest.mark.parametrize("stream", [None, {}, {"stages": [{}]}])
def test_a_manifest_that_lost_its_stream_is_one_error(stream: object) -> None:
    with pytest.raises(RunDirectoryError, match="version 2 does not say what its stream was"):
        upgrade({"schema_version": 2, "stream": stream}, "items", pa.table(PLACE))


def test_what_this_version_wrote_stays_as_it_is() -> None:
    table = pa.table(PLACE)
    assert upgrade({"schema_version": SCHEMA_VERSION}, "items", table) is table
