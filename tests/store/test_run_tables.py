"""Finding runs and reading parts of their tables."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from cl_bench.analysis.run_values import run_metrics
from cl_bench.contract.errors import RunDirectoryError
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.run_tables import find_runs, open_run, rows_of
from cl_bench.store.schema import TABLES
from cl_bench.verify.packing import pack
from tests.report.synthetic_runs import write_run


def test_synthetic_runs_are_what_a_run_directory_holds(tmp_path: Path) -> None:
    run = RunDirectory.open(write_run(tmp_path / "run", parts=3))
    run.verify(2)
    for name, schema in TABLES.items():
        assert list(run.table(name)) == schema.names
    items, evaluations = run.table("items"), run.table("evaluations")
    place = ["step", "domain", "test_set", "prompt", "weights"]
    scored = items.groupby(place)["score"].mean()
    stated = evaluations.set_index(place)["accuracy"]
    assert scored.sort_index().to_dict() == stated.sort_index().to_dict()


def test_runs_are_found_at_any_depth_once_and_in_order(tmp_path: Path) -> None:
    for name in ("b/two", "a/deep/one", "c"):
        write_run(tmp_path / name)
    (tmp_path / "b" / "notes.txt").write_text("no run")
    found, broken = find_runs([tmp_path, tmp_path / "b", tmp_path / "c"])
    assert [run.path.relative_to(tmp_path).as_posix() for run in found] == [
        "a/deep/one",
        "b/two",
        "c",
    ]
    assert broken == []


def test_links_that_lead_back_up_are_not_followed(tmp_path: Path) -> None:
    """But a link that is given is."""
    home = tmp_path / "loop"
    write_run(home / "run")
    for name in ("a", "b"):
        (home / name).symlink_to(home)
    (tmp_path / "link").symlink_to(home)
    found, broken = find_runs([home])
    assert ([run.path for run in found], broken) == ([home / "run"], [])
    assert len(find_runs([tmp_path / "link"])[0]) == 1


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_a_folder_that_may_not_be_read_hides_no_run(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    closed = tmp_path / "lost+found"
    closed.mkdir(mode=0)
    found, broken = find_runs([tmp_path])
    assert ([run.path for run in found], broken) == ([tmp_path / "run"], [])


def test_what_lies_inside_a_run_is_no_run_of_its_own(tmp_path: Path) -> None:
    write_run(write_run(tmp_path / "run") / "models" / "run")
    assert [run.path.name for run in find_runs([tmp_path])[0]] == ["run"]


def test_a_damaged_run_is_named_with_its_reason_and_hurts_no_other(tmp_path: Path) -> None:
    write_run(tmp_path / "good")
    (write_run(tmp_path / "bad") / "manifest.json").write_text("{")
    newer = write_run(tmp_path / "newer") / "manifest.json"
    newer.write_text(newer.read_text().replace('"schema_version": ', '"schema_version": 9'))
    found, broken = find_runs([tmp_path])
    assert [run.path.name for run in found] == ["good"]
    assert [(one.path.name, one.reason) for one in broken] == [
        ("bad", str(broken[0].reason)),
        ("newer", str(broken[1].reason)),
    ]
    assert "is damaged: it is not whole JSON" in broken[0].reason
    assert "schema version 9" in broken[1].reason


def test_a_place_without_runs_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"no run at or below .*`cl-bench run --out"):
        find_runs([tmp_path])
    with pytest.raises(RunDirectoryError, match=r"no file or folder .*nowhere\."):
        find_runs([tmp_path / "nowhere"])


def test_one_run_is_opened_by_its_directory_pack_folder_or_url(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "all" / "run")
    pack(RunDirectory.open(directory)).write(tmp_path / "packs" / "run.zip")
    places = (directory, directory.parent, tmp_path / "packs" / "run.zip", tmp_path / "packs")
    for place in places:
        for given in (place, str(place), f"file://{place}"):
            assert run_metrics(open_run(given)) == run_metrics(RunDirectory.open(directory))


def test_what_is_not_one_run_is_refused_in_one_way(tmp_path: Path) -> None:
    for seed in range(5):
        write_run(tmp_path / "runs" / str(seed), seed=seed)
    (tmp_path / "notes.txt").write_text("no run")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunDirectoryError, match=r"holds 5 runs.*runs/0, .*runs/1, .*runs/2, …\.$"):
        open_run(tmp_path / "runs")
    said = {name: f"no run at or below .*{name}: neither" for name in ("notes.txt", "empty")}
    for name, words in {**said, "nowhere": "no file or folder .*nowhere"}.items():
        for read in (open_run, lambda path: find_runs([path])):
            with pytest.raises(RunDirectoryError, match=words):
                read(tmp_path / name)


@pytest.mark.parametrize("parts", [1, 3])
def test_selected_columns_are_those_of_the_whole_table(parts: int, tmp_path: Path) -> None:
    run = RunDirectory.open(write_run(tmp_path / "run", parts=parts))
    whole = run.table("evaluations")
    some = run.select("evaluations", ["accuracy", "step"]).to_pandas()
    assert list(some) == ["step", "accuracy"]
    pd.testing.assert_frame_equal(some, whole[["step", "accuracy"]])
    pd.testing.assert_frame_equal(run.select("evaluations").to_pandas(), whole)


def test_the_first_rows_hold_the_whole_first_evaluation(tmp_path: Path) -> None:
    run = RunDirectory.open(write_run(tmp_path / "run", parts=5))
    whole = run.table("items")
    first = run.select("items", first=True).to_pandas()
    pd.testing.assert_frame_equal(first, whole[whole["step"] == 0])


def test_a_packed_run_gives_the_same_rows(tmp_path: Path) -> None:
    run = RunDirectory.open(write_run(tmp_path / "run", parts=3))
    pack(run).write(tmp_path / "run.zip")
    packed = open_run(tmp_path / "run.zip")
    assert rows_of(run, "evaluations", ("prompt", "step", "accuracy"))[0] == ("seed", 0, 0.25)
    for name, columns in (("evaluations", ("accuracy", "step")), ("items", ("uid", "score"))):
        assert rows_of(packed, name, columns) == rows_of(run, name, columns)
    asked = [set(rows_of(of, "items", ("uid",), first=True)) for of in (run, packed)]
    assert asked[0] == asked[1]
    assert run_metrics(packed) == run_metrics(run)
