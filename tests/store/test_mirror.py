"""Whenever an upload is cut off, what is in the store can be read and resumed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem

from cl_bench.contract.errors import LockedError, StorageError
from cl_bench.store.mirror import Mirror, Writer
from cl_bench.store.remote import RemoteFolder, download
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.schema import TABLES


class Cut(RemoteFolder):
    """A store that fails after so many changes."""

    left = 10**6

    def put(self, file: Path, name: str) -> None:
        self._spend()
        super().put(file, name)

    def remove(self, name: str) -> None:
        self._spend()
        super().remove(name)

    def _spend(self) -> None:
        if self.left <= 0:
            raise StorageError("cut off", lasting=False)
        self.left -= 1


def give_up(error: StorageError) -> None:
    raise error


def checkpointed(run: RunDirectory, part: int) -> None:
    with run.checkpoints.new() as folder:
        (folder / "run.json").write_text(str(part))
        (folder / "weights").write_text("w" * part)


def history(home: Path) -> Iterator[RunDirectory]:
    """The states in which a run's folder is found: it begins, goes on, is resumed, ends."""
    run = RunDirectory.create(home, {"status": "running"})
    yield run
    for part in range(3):
        if part == 1:
            with run.stage_model(1) as folder:
                (folder / "config.json").write_text("{}")
                (folder / "weights").write_text("model")
        run.commit(part, {})
        yield run
        if part < 2:
            checkpointed(run, part + 1)
            yield run
    run.discard_after(1)
    yield run
    run.commit(2, {"timing": [{"step": 1, "phase": "learn", "seconds": 1.0}]})
    run.commit(3, {})
    checkpointed(run, 4)
    (home / "summary.txt").write_text("summary")
    run.update_manifest(status="done")
    yield run


def require_usable(remote: RemoteFolder, home: Path) -> None:
    """What is there is a run: all its rows can be read, and its checkpoint has rows before it."""
    shutil.rmtree(home, ignore_errors=True)
    download(remote, home)
    run = RunDirectory.open(home)
    for table in TABLES:
        run.table(table)
    current = run.checkpoints.current()
    if current is not None:
        part = int((current / "run.json").read_text())
        assert (current / "weights").read_text() == "w" * part
        run.verify(part - 1)
    if run.manifest["status"] == "done":
        assert current is not None
        assert current.name == "000003"
        assert len(run.table("timing")) == 1
        assert (home / "summary.txt").exists()


def mirror_of(home: Path, remote: RemoteFolder, patient: Callable[[StorageError], None]) -> Mirror:
    return Mirror(home, Writer(remote, "me", 1), home.with_name("staging"), {}, patient)


@pytest.mark.parametrize("budget", [0, 1, 2, 3, 5, 7])
def test_a_store_that_is_cut_off_anywhere_holds_a_usable_run(tmp_path: Path, budget: int) -> None:
    remote, home = Cut(f"file://{tmp_path}/there"), tmp_path / "run"
    mirror = mirror_of(home, remote, give_up)
    # The first look sees each state once; how many changes it may make differs from look to look.
    for look, _ in enumerate(history(home)):
        remote.left = budget + look % 3
        for _ in range(3):
            with suppress(StorageError):
                mirror.sync()
            if "manifest.json" in remote.files():
                require_usable(remote, tmp_path / "elsewhere")
    remote.left = 10**6
    mirror.sync()
    require_usable(remote, tmp_path / "elsewhere")
    there = {name for name in remote.files() if name.startswith(("checkpoint", "tables", "models"))}
    here = {
        file.relative_to(home).as_posix()
        for folder in ("checkpoint", "tables", "models")
        for file in (home / folder).rglob("*")
        if file.is_file()
    }
    assert there == here
    assert not mirror.sync()


@pytest.mark.parametrize("changes", range(0, 12, 2))
def test_a_part_that_is_written_again_takes_the_place_of_the_old_one(
    tmp_path: Path, changes: int
) -> None:
    home, remote = tmp_path / "run", Cut(f"file://{tmp_path}/there")
    run = RunDirectory.create(home, {"status": "running"})
    for part in range(3):
        run.commit(part, {})
    checkpointed(run, 1)
    mirror = mirror_of(home, remote, give_up)
    mirror.sync()
    run.discard_after(0)
    run.commit(1, {"timing": [{"step": 1, "phase": "learn", "seconds": 1.0}]})
    remote.left = changes
    with suppress(StorageError):
        mirror.sync()
    require_usable(remote, tmp_path / "elsewhere")


def test_a_failed_change_is_tried_again_until_it_is_made(tmp_path: Path) -> None:
    remote, home = Cut(f"file://{tmp_path}/there"), tmp_path / "run"
    failures: list[StorageError] = []

    def patient(error: StorageError) -> None:
        failures.append(error)
        remote.left = 4

    remote.left = 0
    mirror = mirror_of(home, remote, patient)
    for _ in history(home):
        mirror.sync()
    assert len(failures) > 3
    require_usable(remote, tmp_path / "elsewhere")


def test_a_checkpoint_is_uploaded_whole_although_the_run_replaces_it(tmp_path: Path) -> None:
    home = tmp_path / "run"
    run = RunDirectory.create(home, {"status": "running"})
    run.commit(0, {})
    checkpointed(run, 1)

    class Slow(RemoteFolder):
        def put(self, file: Path, name: str) -> None:
            if name == "checkpoint/000001/files.json":
                run.commit(1, {})
                checkpointed(run, 2)
            super().put(file, name)

    remote = Slow(f"file://{tmp_path}/there")
    mirror = mirror_of(home, remote, give_up)
    mirror.sync()
    require_usable(remote, tmp_path / "elsewhere")
    assert "checkpoint/000001/weights" in remote.files()
    mirror.sync()
    require_usable(remote, tmp_path / "elsewhere")
    assert "checkpoint/000002/weights" in remote.files()


def test_what_others_put_beside_a_run_stays(tmp_path: Path) -> None:
    home, remote = tmp_path / "run", RemoteFolder(f"file://{tmp_path}/there")
    RunDirectory.create(home, {"status": "running"})
    remote.write("notes.txt", b"mine")
    assert mirror_of(home, remote, give_up).sync()
    assert remote.read("notes.txt") == b"mine"


def test_a_look_is_one_commit_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which counts commits, and would refuse an upload file by file."""
    commits: list[tuple[str, list[str], dict[str, Any]]] = []

    class Hub(LocalFileSystem):  # type: ignore[misc]
        @property
        def _api(self) -> Hub:
            return self

        def resolve_path(self, path: str) -> SimpleNamespace:
            return SimpleNamespace(
                repo_id="me/runs", repo_type="dataset", revision="main", path_in_repo="a/run"
            )

        def create_commit(self, repo: str, operations: list[Any], **said: Any) -> None:
            commits.append((repo, [one.path_in_repo for one in operations], said))

    monkeypatch.setattr("fsspec.core.url_to_fs", lambda url: (Hub(), str(tmp_path / "there")))
    home = tmp_path / "run"
    run = RunDirectory.create(home, {"status": "running"})
    run.commit(0, {})
    mirror = mirror_of(home, RemoteFolder("hf://datasets/me/runs/a/run"), give_up)
    mirror.sync()
    run.discard_after(-1)
    mirror.sync()
    (repo, names, said), (_, gone, _) = commits
    assert (repo, said["repo_type"], said["revision"]) == ("me/runs", "dataset", "main")
    assert len(names) == len(TABLES) + 2
    assert names[-1] == "a/run/manifest.json"
    assert sorted(gone) == sorted(set(names) - {"a/run/manifest.json"})


def test_a_writer_stops_when_another_has_taken_over(tmp_path: Path) -> None:
    home, remote = tmp_path / "run", RemoteFolder(f"file://{tmp_path}/there")
    run = RunDirectory.create(home, {"status": "running"})
    mine = Writer(remote, "me", 1)
    mine.sign()
    mirror = mirror_of(home, remote, give_up)
    mirror.sync()
    Writer(remote, "other", 7).sign()
    run.update_manifest(status="done")
    with pytest.raises(LockedError, match=r"taken over by another process \(.*pid 7\)"):
        mirror.sync()
    with pytest.raises(LockedError):
        mine.renew()
    assert remote.read_json("manifest.json")["status"] == "running"


@pytest.mark.parametrize("after", [1, 3, 8])
def test_a_writer_that_lost_its_connection_does_not_write_over_one_that_took_over(
    tmp_path: Path, after: int
) -> None:
    home, remote = tmp_path / "run", Cut(f"file://{tmp_path}/there")
    run = RunDirectory.create(home, {"status": "running"})
    run.commit(0, {})
    checkpointed(run, 1)

    def taken_over_meanwhile(_: StorageError) -> None:
        Writer(remote, "other", 7).sign()
        remote.left = 10**6

    remote.left = after
    with pytest.raises(LockedError):
        mirror_of(home, remote, taken_over_meanwhile).sync()
    assert len(set(remote.files()) - {"writer.json"}) == after
