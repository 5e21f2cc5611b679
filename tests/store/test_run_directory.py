from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from cl_bench.contract.errors import OtherSoftwareError, RunDirectoryError, UsageError
from cl_bench.contract.text import config_hash
from cl_bench.store.files import file_hash
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.schema import SCHEMA_VERSION, TABLES

HOLD = """
import sys, time
from pathlib import Path
from cl_bench.store.run_directory import RunDirectory
with RunDirectory.open(Path(sys.argv[1])).locked():
    print("locked", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    return RunDirectory.create(tmp_path / "run", {"seed": 3, "status": "running"})


def timing(step: int, seconds: float = 1.0) -> dict[str, object]:
    return {"step": step, "phase": "learn", "seconds": seconds}


def steps(directory: RunDirectory) -> list[int]:
    return list(directory.table("timing")["step"])


def part_files(directory: RunDirectory) -> dict[str, list[str]]:
    folder = directory.path / "tables"
    return {table.name: sorted(file.name for file in table.iterdir()) for table in folder.iterdir()}


def test_created_directory_is_opened_with_its_manifest(directory: RunDirectory) -> None:
    manifest = RunDirectory.open(directory.path).manifest
    assert manifest == {"schema_version": SCHEMA_VERSION, "seed": 3, "status": "running"}


def test_manifest_changes_keep_the_rest(directory: RunDirectory) -> None:
    directory.update_manifest(status="done", reason="über")
    expected = {"schema_version": SCHEMA_VERSION, "seed": 3, "status": "done", "reason": "über"}
    assert RunDirectory.open(directory.path).manifest == expected


def test_path_with_content_is_not_overwritten(directory: RunDirectory, tmp_path: Path) -> None:
    with pytest.raises(
        RunDirectoryError, match=rf"--out.*`cl-bench run --resume {directory.path}`"
    ):
        RunDirectory.create(directory.path, {"seed": 4})
    assert directory.manifest["seed"] == 3
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(RunDirectoryError, match="already exists"):
        RunDirectory.create(file, {})
    with pytest.raises(RunDirectoryError, match="Cannot create"):
        RunDirectory.create(file / "run", {})
    assert file.read_text() == "mine"


def test_what_is_not_a_run_directory_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="There is no run directory"):
        RunDirectory.open(tmp_path / "nowhere")
    with pytest.raises(RunDirectoryError, match=r"holds no manifest\.json"):
        RunDirectory.open(tmp_path)
    assert RunDirectory.create(tmp_path, {}).path == tmp_path


@pytest.mark.parametrize("content", ['{"seed": 3, "sta', "", "[1]"])
def test_damaged_manifest_is_named(directory: RunDirectory, content: str) -> None:
    (directory.path / "manifest.json").write_text(content)
    with pytest.raises(RunDirectoryError, match=r"manifest\.json is damaged"):
        RunDirectory.open(directory.path)


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, 0, True, "1", None])
def test_unknown_schema_version_says_what_wrote_it(
    directory: RunDirectory, version: object
) -> None:
    directory.update_manifest(schema_version=version, provenance={"cl_bench": "7.1"})
    reads = rf"version {version!r}; .* version {SCHEMA_VERSION}\. .*\(7\.1\)"
    with pytest.raises(OtherSoftwareError, match=reads):
        RunDirectory.open(directory.path)


def test_second_writer_is_told_who_writes(directory: RunDirectory) -> None:
    other = RunDirectory.open(directory.path)
    with (
        directory.locked(),
        pytest.raises(RunDirectoryError, match=rf"pid {os.getpid()}\)"),
        other.locked(),
    ):
        pytest.fail("two writers at once")
    with other.locked():
        assert (directory.path / "lock").read_text() == str(os.getpid())


def test_lock_ends_with_its_owner(directory: RunDirectory) -> None:
    command = [sys.executable, "-c", HOLD, str(directory.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline() == "locked\n"
            with (
                pytest.raises(RunDirectoryError, match=rf"pid {owner.pid}\)"),
                directory.locked(),
            ):
                pytest.fail("two writers at once")
        finally:
            owner.send_signal(signal.SIGKILL)
    with directory.locked():
        pass


def test_parts_are_read_in_order(directory: RunDirectory) -> None:
    for part in range(12):
        directory.commit(part, {"timing": [timing(2 * part), timing(2 * part + 1)]})
    frame = RunDirectory.open(directory.path).table("timing")
    assert list(frame["step"]) == list(range(24))
    assert list(frame.index) == list(range(24))


def test_commit_writes_one_part_of_every_table_and_nothing_else(directory: RunDirectory) -> None:
    directory.commit(0, {"timing": [timing(0)]})
    assert part_files(directory) == {name: ["000000.parquet"] for name in TABLES}


@pytest.mark.parametrize("rows", [None, {}, {"timing": [timing(0)]}])
def test_table_without_rows_has_columns_and_types(
    directory: RunDirectory, rows: dict[str, list[dict[str, object]]] | None
) -> None:
    if rows is not None:
        directory.commit(0, rows)
    for name in ("items", "evaluations"):
        frame = directory.table(name)
        assert frame.empty
        assert list(frame.columns) == TABLES[name].names
        assert frame.dtypes["step"] == "int64"
        assert pd.api.types.is_string_dtype(frame.dtypes["domain"])


def test_wrong_row_writes_nothing(directory: RunDirectory) -> None:
    with pytest.raises(RunDirectoryError, match="'seconds' of the table 'timing'"):
        directory.commit(0, {"timing": [timing(0), {**timing(1), "seconds": "long"}]})
    assert not (directory.path / "tables").exists()


def test_unknown_table_is_refused(directory: RunDirectory) -> None:
    with pytest.raises(UsageError, match=r"Unknown table 'timings'\. Did you mean 'timing'"):
        directory.commit(0, {"timings": []})
    with pytest.raises(UsageError, match=r"Unknown table 'item'\. Did you mean 'items'"):
        directory.table("item")


@pytest.mark.parametrize("part", [0, 2, -1])
def test_part_that_exists_or_leaves_a_gap_is_refused(directory: RunDirectory, part: int) -> None:
    directory.commit(0, {"timing": [timing(0)]})
    with pytest.raises(RunDirectoryError, match="the next part is 1"):
        directory.commit(part, {"timing": [timing(9)]})
    assert steps(directory) == [0]


@pytest.mark.parametrize(("part", "left"), [(-1, []), (0, [0]), (2, [0, 1, 2]), (9, [0, 1, 2, 3])])
def test_discarded_parts_are_gone_and_can_be_written_again(
    directory: RunDirectory, part: int, left: list[int]
) -> None:
    for number in range(4):
        directory.commit(number, {"timing": [timing(number)]})
    directory.discard_after(part)
    assert steps(directory) == left
    directory.commit(len(left), {"timing": [timing(100)]})
    assert steps(directory) == [*left, 100]


def test_interrupted_commit_is_not_read_and_can_be_repeated(directory: RunDirectory) -> None:
    directory.commit(0, {"timing": [timing(0)]})
    directory.commit(1, {"timing": [timing(1)], "prompts": []})
    (directory.path / "commits" / "000001.json").unlink()
    assert steps(directory) == [0]
    directory.commit(1, {"timing": [timing(2)]})
    assert steps(directory) == [0, 2]


def test_leftovers_of_a_killed_writer_are_not_read_and_go_on_resume(
    directory: RunDirectory,
) -> None:
    directory.commit(0, {"timing": [timing(0)]})
    leftover = directory.path / "tables" / "timing" / ".000001.parquet.77.tmp"
    leftover.write_bytes(b"PAR1")
    assert steps(directory) == [0]
    directory.sweep()
    assert not leftover.exists()
    assert steps(directory) == [0]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:-20]), "it was cut short or edited"),
        (lambda file: pd.DataFrame([timing(0, 2.0)]).to_parquet(file), "it was cut short or edi"),
        (Path.unlink, "No such file"),
    ],
)
def test_a_part_that_is_not_what_was_committed_is_named(
    directory: RunDirectory, damage: Callable[[Path], object], said: str
) -> None:
    for part in range(3):
        directory.commit(part, {"timing": [timing(part)]})
    file = directory.path / "tables" / "timing" / "000001.parquet"
    damage(file)
    with pytest.raises(RunDirectoryError, match=rf"Cannot use the table file {file}: .*{said}"):
        directory.table("timing")


def test_part_of_a_forged_commit_with_other_columns_is_named(directory: RunDirectory) -> None:
    directory.commit(0, {"timing": [timing(0)]})
    file = directory.path / "tables" / "timing" / "000000.parquet"
    pd.DataFrame({"step": [0], "minutes": [1.0]}).to_parquet(file)
    record = directory.path / "commits" / "000000.json"
    hashes = json.loads(record.read_text()) | {"timing": file_hash(file)}
    record.write_text(json.dumps(hashes))
    with pytest.raises(RunDirectoryError, match=rf"{file}: its columns .* step, minutes"):
        directory.table("timing")


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK])
def test_without_locks_on_its_file_system_it_is_refused(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("fcntl.flock", no_locks)
    with (
        pytest.raises(RunDirectoryError, match=r"cannot be locked: .*with locks"),
        directory.locked(),
    ):
        pytest.fail("a writer without a lock")


def test_edited_configuration_is_refused(tmp_path: Path) -> None:
    described = {"stream": {"name": "math"}, "config": {"seed": 1}}
    manifest = {**described, "config_hash": config_hash(described)}
    RunDirectory.create(tmp_path / "run", manifest).update_manifest(status="done")
    directory = RunDirectory.open(tmp_path / "run")
    directory.update_manifest(config={"seed": 2})
    with pytest.raises(RunDirectoryError, match=r"manifest\.json was edited.*config_hash"):
        RunDirectory.open(tmp_path / "run")


def test_path_where_a_process_was_killed_before_its_manifest_can_be_used(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("77")
    (tmp_path / ".manifest.json.77.tmp").write_text('{"see')
    assert RunDirectory.create(tmp_path, {"seed": 1}).manifest["seed"] == 1


def test_torch_is_not_imported() -> None:
    code = "import sys, cl_bench.store.run_directory; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
