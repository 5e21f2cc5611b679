"""What is a URL, what of it is fetched to be read, and what goes wrong with a store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem

from cl_bench.contract.errors import ClBenchError, StorageError, UsageError
from cl_bench.store.remote import RemoteFolder, as_url, fetched, with_urls
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.run_tables import find_runs, open_run
from tests.report.synthetic_runs import write_run


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CL_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are fetched."""
    names: list[str] = []
    get = RemoteFolder.get

    def counting(self: RemoteFolder, name: str, file: Path) -> None:
        names.append(name)
        get(self, name, file)

    monkeypatch.setattr(RemoteFolder, "get", counting)
    return names


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("s3://bucket/a/run", "s3://bucket/a/run"),
        ("S3://bucket//a/run/", "s3://bucket/a/run"),
        (Path("s3://bucket/a/run"), "s3://bucket/a/run"),  # which has lost a slash
        ("gs://bucket/run", "gs://bucket/run"),
        ("hf://datasets/me/runs/a", "hf://datasets/me/runs/a"),
        ("hf://buckets/me/runs", "hf://buckets/me/runs"),
        ("file:///srv/run", "file:///srv/run"),
        (Path("file:///srv/run"), "file:///srv/run"),
        ("results/run", None),
        ("/srv/a:b/run", None),
        ("C:/runs/run", None),
        (r"C:\runs\run", None),
        ("run:1", None),
    ],
)
def test_a_url_is_told_from_a_path(given: str | Path, url: str | None) -> None:
    assert as_url(given) == url


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("s4://bucket/run", r"Unknown scheme s4://.*Did you mean 's3'"),
        ("s3://", "no place for runs"),
        ("s3://bucket/../other", "no place for runs"),
        ("https://host/run", "cannot hold runs"),
        ("hf://me/runs/a", "hf://me/runs/a is no place for runs.*Give hf://datasets/OWNER/NAME"),
        ("hf://datasets/me", "Give hf://datasets/OWNER/NAME"),
        ("simplecache::s3://bucket/run", None),
        ("s3://key:verysecret@bucket/run", "a URL without them"),
        ("s3://bucket/run?signature=verysecret", "a URL without them"),
    ],
)
def test_what_cannot_be_one_is_refused_and_no_secret_is_repeated(
    given: str, said: str | None
) -> None:
    if said is None:
        assert as_url(given) is None
        return
    with pytest.raises(UsageError, match=said) as error:
        as_url(given)
    assert "verysecret" not in str(error.value)


def test_a_scheme_without_its_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(StorageError, match=r"python -m pip install 'cl-bench\[s3\]'"):
        RemoteFolder("s3://bucket/run")


def test_errors_of_a_store_are_one_line_without_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI-secret")
    remote = RemoteFolder(f"file://{tmp_path}/there")

    def refuse(*_: str, **__: object) -> None:
        raise PermissionError("Forbidden for wJalrXUtnFEMI-secret\nat https://host/?X-Sig=abc")

    monkeypatch.setattr(remote._fs, "find", refuse)
    with pytest.raises(StorageError, match=r"Access to file://.* is denied") as error:
        remote.files()
    assert error.value.lasting
    assert not any(word in str(error.value) for word in ("wJalr", "X-Sig", "\n"))


def test_runs_are_fetched_to_be_read_and_again_only_what_changed(
    tmp_path: Path, counted: list[str]
) -> None:
    there = tmp_path / "there"
    write_run(there / "a", parts=2)
    (there / "a" / "checkpoint" / "000001").mkdir(parents=True)
    (there / "a" / "checkpoint" / "000001" / "weights").write_text("heavy")
    (there / "a" / "models" / "stage-1").mkdir(parents=True)
    (there / "a" / "models" / "stage-1" / "config.json").write_text("{}")
    write_run(there / "b", parts=1)
    url = f"file://{there}"

    runs, broken = find_runs([Path(url)])
    assert [with_urls(str(run.path)) for run in runs] == [f"{url}/a", f"{url}/b"]
    assert not broken
    assert runs[0].table("evaluations").equals(RunDirectory.open(there / "a").table("evaluations"))
    assert not [name for name in counted if "checkpoint" in name or "models" in name]
    assert (fetched(f"{url}/a", models=True) / "models" / "stage-1" / "config.json").exists()

    counted.clear()
    find_runs([Path(url)])
    assert counted == []
    RunDirectory.open(there / "b").update_manifest(status="running")
    (there / "a" / "summary.txt").write_text("new")
    find_runs([Path(url)])
    assert sorted(counted) == ["a/summary.txt", "b/manifest.json"]


def test_what_is_gone_there_is_gone_from_the_copy(tmp_path: Path) -> None:
    run = RunDirectory.open(write_run(tmp_path / "there", parts=3))
    url = f"file://{run.path}"
    before = len(open_run(Path(url)).table("evaluations"))
    run.discard_after(0)
    assert len(open_run(Path(url)).table("evaluations")) == len(run.table("evaluations")) < before


def test_a_packed_run_is_read_by_its_url(packed_run: Path) -> None:
    run = open_run(Path(f"file://{packed_run}"))
    assert run.table("steps").equals(open_run(packed_run).table("steps"))


def test_nothing_there_is_said_by_its_url(tmp_path: Path) -> None:
    with pytest.raises(ClBenchError, match=f"There is no file or folder file://{tmp_path}/none"):
        find_runs([Path(f"file://{tmp_path}/none")])


def test_names_that_lead_out_of_the_copy_are_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store has whatever names anyone gave who may write there; so has what is copied of it."""
    there = tmp_path / "there"
    write_run(there, parts=1)
    outside = tmp_path / "outside.json"
    find = LocalFileSystem.find

    def with_more(self: LocalFileSystem, root: str, **how: Any) -> dict[str, Any]:
        found: dict[str, Any] = find(self, root, **how)
        (one, *_) = found.values()
        more = [f"{root}/{outside}", f"{root}/../outside.json", f"{root}/tables/../../x.zip"]
        return found | {name: one | {"name": name} for name in more}

    monkeypatch.setattr(LocalFileSystem, "find", with_more)
    names = RemoteFolder(f"file://{there}").files()
    assert "manifest.json" in names
    assert not [name for name in names if ".." in name or name.startswith("/")]
    home = fetched(f"file://{there}")
    assert (home / "manifest.json").exists()
    assert not outside.exists()
