from __future__ import annotations

from pathlib import Path

import pytest

from cl_bench.contract.errors import RunDirectoryError
from cl_bench.store.files import (
    read_json,
    replacing,
    replacing_folder,
    write_json_atomically,
    write_text_atomically,
)


def test_text_replaces_the_old_content_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "summary.txt"
    write_text_atomically(path, "a longer old text")
    write_text_atomically(path, "größer ‖\n")
    assert path.read_bytes() == "größer ‖\n".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_failure_while_writing_keeps_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "summary.txt"
    path.write_text("old")

    def fail_halfway() -> None:
        with replacing(path) as temporary:
            temporary.write_text("ne")
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        fail_halfway()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("value", "error"), [(float("nan"), ValueError), (float("inf"), ValueError), ({1}, TypeError)]
)
def test_what_json_cannot_hold_keeps_the_old_file(
    tmp_path: Path, value: object, error: type[Exception]
) -> None:
    path = tmp_path / "manifest.json"
    write_json_atomically(path, {"status": "running"})
    with pytest.raises(error):
        write_json_atomically(path, {"status": value})
    assert read_json(path) == {"status": "running"}


def test_folder_replaces_the_old_one_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "models" / "stage-1"
    for names in (("config", "weights"), ("config",)):
        with replacing_folder(path) as folder:
            assert list(folder.iterdir()) == []
            for name in names:
                (folder / name).write_text(name)
        assert sorted(file.name for file in path.iterdir()) == list(names)
    assert list(path.parent.iterdir()) == [path]


def test_failure_while_writing_keeps_the_old_folder(tmp_path: Path) -> None:
    path = tmp_path / "stage-1"
    path.mkdir()
    (path / "weights").write_text("old")

    def fail_halfway() -> None:
        with replacing_folder(path) as folder:
            (folder / "weights").write_text("ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_halfway()
    assert (path / "weights").read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_folder_can_be_written_over_what_a_killed_process_left(tmp_path: Path) -> None:
    path = tmp_path / "stage-1"
    for left in ("stage-1.unfinished", "stage-1.old.unfinished"):
        (tmp_path / left).mkdir()
        (tmp_path / left / "weights").write_text("half")
    with replacing_folder(path) as folder:
        (folder / "config").write_text("whole")
    assert list(tmp_path.iterdir()) == [path]
    assert [file.name for file in path.iterdir()] == ["config"]


@pytest.mark.parametrize("content", [b'{"status": "runn', b"\xff\xfe\x00"])
def test_json_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "manifest.json"
    with pytest.raises(RunDirectoryError, match=r"Cannot read .*manifest\.json: No such file"):
        read_json(path)
    path.write_bytes(content)
    with pytest.raises(RunDirectoryError, match=r"manifest\.json is damaged"):
        read_json(path)
