from __future__ import annotations

from pathlib import Path

import pytest

from cl_bench.contract.errors import RunDirectoryError
from cl_bench.store.run_directory import RunDirectory


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    return RunDirectory.create(tmp_path / "run", {})


def test_new_checkpoint_replaces_the_old_one(directory: RunDirectory) -> None:
    assert directory.checkpoints.current() is None
    for text in ("first", "second", "third"):
        with directory.checkpoints.new() as folder:
            assert list(folder.iterdir()) == []
            (folder / "adapter").mkdir()
            (folder / "adapter" / "state.txt").write_text(text)
        current = RunDirectory.open(directory.path).checkpoints.current()
        assert current is not None
        assert (current / "adapter" / "state.txt").read_text() == text
    assert len([path for path in (directory.path / "checkpoint").iterdir() if path.is_dir()]) == 1


def test_failed_checkpoint_leaves_the_old_one(directory: RunDirectory) -> None:
    with directory.checkpoints.new() as folder:
        (folder / "state.txt").write_text("old")

    def fail_halfway() -> None:
        with directory.checkpoints.new() as folder:
            (folder / "state.txt").write_text("ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_halfway()
    current = directory.checkpoints.current()
    assert current is not None
    assert (current / "state.txt").read_text() == "old"
    assert sorted(path.name for path in current.parent.iterdir()) == [current.name, "current"]


@pytest.mark.parametrize("leftover", ["000002.unfinished", "000002"])
def test_checkpoint_of_a_killed_writer_is_ignored(directory: RunDirectory, leftover: str) -> None:
    with directory.checkpoints.new() as folder:
        (folder / "state.txt").write_text("old")
    killed = directory.path / "checkpoint" / leftover
    killed.mkdir()
    (killed / "state.txt").write_text("half")
    current = directory.checkpoints.current()
    assert current is not None
    assert (current / "state.txt").read_text() == "old"
    with directory.checkpoints.new() as folder:
        assert list(folder.iterdir()) == []
    assert not killed.exists() or directory.checkpoints.current() == killed


def test_lost_checkpoint_is_named(directory: RunDirectory) -> None:
    (directory.path / "checkpoint").mkdir()
    (directory.path / "checkpoint" / "current").write_text("000007")
    with pytest.raises(RunDirectoryError, match="names the checkpoint '000007', which is not"):
        directory.checkpoints.current()


@pytest.mark.parametrize(
    ("damage", "said"), [("cut", "is not what was saved"), ("lost", "is missing")]
)
def test_damaged_checkpoint_file_is_named(directory: RunDirectory, damage: str, said: str) -> None:
    with directory.checkpoints.new() as folder:
        (folder / "adapter").mkdir()
        (folder / "adapter" / "state.txt").write_text("weights")
    current = directory.checkpoints.current()
    assert current is not None
    file = current / "adapter" / "state.txt"
    if damage == "cut":
        file.write_text("weigh")
    else:
        file.unlink()
    with pytest.raises(RunDirectoryError, match=rf"{file} {said}"):
        directory.checkpoints.current()
