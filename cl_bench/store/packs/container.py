"""The zip file of a packed run and the Parquet files in it: written with the same bytes every time,
read with suspicion.

Packs come from strangers. Nothing is ever unpacked to a disk; a member is read into memory, and
only one whose name is expected and whose size is within bounds.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as compute
import pyarrow.parquet as parquet

from cl_bench.contract.errors import DamagedError
from cl_bench.contract.text import printable
from cl_bench.metrics.quantities import BYTES
from cl_bench.store.packs.layout import MANIFEST, MEMBERS, PACK

MAX_FILE = 256 * 2**20
"""Bytes of the largest pack that is opened."""
MAX_UNPACKED = 512 * 2**20
"""Bytes of all members together."""
MAX_JSON = 2**20
"""Bytes of pack.json, and of manifest.json."""
MAX_ROWS = 10_000_000
"""Rows of one table."""
MAX_TABLE = 2**31
"""Bytes of one table in memory, whose Parquet file may say more in few than a machine can hold."""
_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError)


def written(members: Mapping[str, bytes]) -> bytes:
    """The zip file of these members, in the order of `MEMBERS`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(members, key=MEMBERS.index):
            archive.writestr(_info(name), members[name], compresslevel=9)
    return buffer.getvalue()


def names(path: Path) -> frozenset[str]:
    """The names of all members; `DamagedError` if the file is not a pack or a hostile one."""
    with _opened(path) as archive:
        return frozenset(archive.namelist())


def read(path: Path, name: str) -> bytes:
    """The content of one member; `DamagedError` if it cannot be had."""
    with _opened(path) as archive:
        if name not in archive.namelist():
            raise no_pack(path, "is missing", name)
        try:
            return archive.read(name)
        except _DAMAGE as error:
            raise no_pack(path, f"is damaged ({error})", name) from error


def holds_more(path: Path) -> bool:
    """Whether a file has other bytes than `written` puts around the compressed members."""
    content = path.read_bytes()
    with _opened(path) as archive:
        members = sorted(archive.infolist(), key=lambda info: MEMBERS.index(info.filename))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as again:
        for found in members:  # not compressed again: another zlib may give other bytes
            info = _info(found.filename)
            info.CRC, info.file_size = found.CRC, found.file_size
            info.compress_size, info.header_offset = found.compress_size, buffer.tell()
            head = info.FileHeader()
            start = found.header_offset + len(head)
            buffer.write(head + content[start : start + info.compress_size])
            again.filelist.append(info)
        again.start_dir = buffer.tell()
    return buffer.getvalue() != content


def no_pack(path: Path, reason: str, name: str = "") -> DamagedError:
    """Return the error for what is wrong with the file or its member `name`, in one line."""
    where = f"its member {name} " if name else ""
    message = (
        f"Cannot use the packed run {path}: {where}{reason}. `cl-bench submit RUN` makes a pack "
        "anew, from the run's directory."
    )
    return DamagedError(message, name, reason)


def _over(size: int, most: int, how: str = "") -> str:
    return f"{BYTES.text(size)}{how}; at most {BYTES.text(most)} are read"


def _opened(path: Path) -> zipfile.ZipFile:
    """The archive; refused unless every member may be read."""
    try:
        size = path.stat().st_size
        if size > MAX_FILE:
            raise no_pack(path, f"it has {_over(size, MAX_FILE)}")
        archive = zipfile.ZipFile(path)
    except _DAMAGE as error:
        raise no_pack(path, f"it is not a zip file that can be read ({error})") from error
    fault = next(_faults(archive.infolist()), None)
    if fault:
        archive.close()
        raise no_pack(path, fault)
    return archive


def _faults(members: list[zipfile.ZipInfo]) -> Iterator[str]:
    """Whatever must not be in a pack."""
    found = Counter(info.filename for info in members)
    for name, count in found.items():
        shown = printable(repr(name), 100)
        if name.startswith(("/", "\\")) or ".." in name or ":" in name:
            yield f"it has a member {shown}, a name that leads out of the archive"
        if name not in MEMBERS:
            yield f"it has a member {shown}, which is not part of a packed run"
        if count > 1:
            yield f"it has {count} members called {shown}"
    for info in members:
        shown, size = f"its member {info.filename}", info.file_size
        if info.flag_bits & 0x1:
            yield f"{shown} is encrypted"
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            yield f"{shown} is compressed by a method that is not read"
        if info.filename in (PACK, MANIFEST) and size > MAX_JSON:
            yield f"{shown} has {_over(size, MAX_JSON)}"
    total = sum(info.file_size for info in members)
    if total > MAX_UNPACKED:
        yield f"its members have {_over(total, MAX_UNPACKED, ' unpacked')}"


def _info(name: str) -> zipfile.ZipInfo:
    """Return the entry of a member; compressed, as small Parquet files are mostly headers."""
    info = zipfile.ZipInfo(name, _TIME)
    info.create_system, info.external_attr = _UNIX, 0o644 << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def encoded(table: pa.Table) -> bytes:
    """A table as a Parquet file; the same rows give the same bytes, however they came together.

    What columns mean is left out, and so are statistics and Arrow's own schema: they are longer
    than the rows of many runs.
    """
    sink = io.BytesIO()
    fields = [pa.field(field.name, field.type, field.nullable) for field in table.schema]
    whole = table.cast(pa.schema(fields)).combine_chunks()
    parquet.write_table(
        whole,
        sink,
        compression="zstd",
        compression_level=9,
        write_statistics=False,
        store_schema=False,
    )
    return sink.getvalue()


def decoded(content: bytes) -> pa.Table:
    """The table in a Parquet file; `ValueError` with the reason if it is damaged or too large."""
    try:
        with parquet.ParquetFile(io.BytesIO(content), pre_buffer=False) as file:
            _require_bounds(file.metadata)
            schema = file.schema_arrow
        # Texts as dictionaries first: one long text may stand in a million rows.
        texts = [field.name for field in schema if pa.types.is_string(field.type)]
        # Without Arrow's threads: a process that ends while one of them runs may be aborted.
        with parquet.ParquetFile(
            io.BytesIO(content), read_dictionary=texts, pre_buffer=False
        ) as file:
            table = file.read(use_threads=False)
        _require_texts(table)
        return table.cast(schema)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ValueError(str(error).splitlines()[0]) from error


def _require_bounds(metadata: parquet.FileMetaData) -> None:
    if metadata.num_rows > MAX_ROWS:
        raise ValueError(f"it has {metadata.num_rows:,} rows; at most {MAX_ROWS:,} are read")
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    if (size := sum(group.total_byte_size for group in groups)) > MAX_TABLE:
        raise ValueError(f"it has {_over(size, MAX_TABLE, ' unpacked')}")


def _require_texts(table: pa.Table) -> None:
    """Raise `ValueError` if the texts of the dictionary columns are too long together."""
    total = 0
    for column in table.columns:
        for chunk in column.chunks if pa.types.is_dictionary(column.type) else ():
            lengths = compute.binary_length(chunk.dictionary)
            total += compute.sum(lengths.take(chunk.indices)).as_py() or 0
    if total > MAX_TABLE:
        raise ValueError(f"its texts have {_over(total, MAX_TABLE)}")
