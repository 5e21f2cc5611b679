"""Hostile zip files: each refused in one line that names the file and the reason."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from cl_bench.contract.errors import DamagedError
from cl_bench.store.packs import container
from cl_bench.store.packs.container import decoded, encoded
from cl_bench.store.packs.packed import PackedRun

Add = Callable[[zipfile.ZipFile], None]


def with_members(packed_run: Path, target: Path, add: Add) -> Path:
    """A copy of the pack, to which more is added."""
    target.write_bytes(packed_run.read_bytes())
    with warnings.catch_warnings(), zipfile.ZipFile(target, "a") as archive:
        warnings.simplefilter("ignore", UserWarning)  # zipfile's, about a name that stands twice
        add(archive)
    return target


def added(name: str, content: bytes = b"x") -> Add:
    return lambda archive: archive.writestr(name, content)


def bomb(archive: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("tables/bomb.parquet")
    archive.writestr(info, b"0" * 10_000_000, zipfile.ZIP_DEFLATED)


@pytest.mark.parametrize(
    ("add", "words"),
    [
        (added("../evil.txt"), "leads out of the archive"),
        (added("tables/../../evil.txt"), "leads out of the archive"),
        (added("/etc/passwd"), "leads out of the archive"),
        (added("C:evil.txt"), "leads out of the archive"),
        (added("\\evil.txt"), "leads out of the archive"),
        (added("tables/"), "not part of a packed run"),
        (added("readme.txt"), "not part of a packed run"),
        (added("tables/secrets.parquet"), "not part of a packed run"),
        (added("evil\x1b[31m"), r"evil\\x1b"),
        (added("manifest.json"), "2 members called 'manifest.json'"),
        (bomb, "not part of a packed run"),
    ],
)
def test_members_that_do_not_belong_are_refused(
    packed_run: Path, tmp_path: Path, add: Add, words: str
) -> None:
    target = with_members(packed_run, tmp_path / "evil.zip", add)
    with pytest.raises(DamagedError, match=words) as refused:
        PackedRun.open(target)
    assert str(target) in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.zip"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not a zip", b"PK\x05\x06" + b"\0" * 18])
def test_what_is_no_zip_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DamagedError, match=r"not a zip file|pack\.json is missing"):
        PackedRun.open(tmp_path / "a.zip")


def test_a_file_that_was_cut_short_is_refused(packed_run: Path, tmp_path: Path) -> None:
    whole = packed_run.read_bytes()
    for size in (len(whole) // 2, len(whole) - 10):
        (tmp_path / "a.zip").write_bytes(whole[:size])
        with pytest.raises(DamagedError, match="not a zip file"):
            PackedRun.open(tmp_path / "a.zip")


def test_an_encrypted_member_is_refused(packed_run: Path, tmp_path: Path) -> None:
    content = bytearray(packed_run.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.find(signature) + offset] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DamagedError, match=r"pack\.json is encrypted"):
        PackedRun.open(tmp_path / "a.zip")


def test_a_member_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(
    packed_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tables/items.parquet", b"0" * 5_000_000)
    monkeypatch.setattr(container, "MAX_UNPACKED", 4_000_000)
    assert target.stat().st_size < 10_000
    with pytest.raises(DamagedError, match="5 MB unpacked; at most 4 MB"):
        PackedRun.open(target)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pack.json", b" " * 2_000_000)
    with pytest.raises(DamagedError, match=r"pack\.json has 2 MB"):
        PackedRun.open(target)
    monkeypatch.setattr(container, "MAX_FILE", 100)
    with pytest.raises(DamagedError, match=r"at most 0\.1 kB are read"):
        PackedRun.open(packed_run)


def test_a_size_that_is_a_lie_is_no_way_around_the_limit(packed_run: Path, tmp_path: Path) -> None:
    content = bytearray(packed_run.read_bytes())
    place = content.find(b"PK\x01\x02")  # the first entry of the directory: pack.json
    content[place + 24 : place + 28] = (10).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DamagedError, match=r"pack\.json is (damaged|not whole JSON)"):
        PackedRun.open(tmp_path / "a.zip")


def test_a_table_that_says_much_in_few_bytes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "MAX_ROWS", 1_000)
    monkeypatch.setattr(container, "MAX_TABLE", 100_000)
    rows = encoded(pa.table({"step": pa.array([1] * 1_001)}))
    with pytest.raises(match="1,001 rows; at most 1,000"):
        decoded(rows)
    with pytest.raises(match=r"kB unpacked; at most 100\.0 kB"):
        decoded(encoded(pa.table({"text": ["x" * 200_000]})))
    text = encoded(pa.table({"text": ["x" * 5_000] * 900}))  # a dictionary of one word
    assert len(text) < 2_000
    with pytest.raises(match="texts have 4 MB"):
        decoded(text)


def test_tables_come_back_as_they_were() -> None:
    table = pa.table({"a": ["x", None, "y", "x"], "b": [1, 2, 3, 4]})
    assert decoded(encoded(table)).equals(table)
    assert encoded(pa.concat_tables([table.slice(0, 1), table.slice(1)])) == encoded(table)
    buffer = io.BytesIO()
    parquet.write_table(table, buffer)
    with pytest.raises(ValueError, match=r"footer|magic"):
        decoded(buffer.getvalue()[:-20])
