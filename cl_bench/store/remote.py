"""Runs named by a URL: what is a URL, the store behind it, and copies of its runs to be read.

    s3://bucket/path   gs://bucket/path   hf://datasets/owner/name/path   file:///path   …

Everything that fsspec knows and that can be written to. Credentials are the affair of the library
behind it (s3fs, gcsfs, huggingface_hub): none is taken from a URL, kept or printed. Copies lie in
the cache folder, so that their paths give the URL back:

    storage/read/<scheme>/<bucket>/<path>      what was fetched to be read
    storage/written/<scheme>/<bucket>/<path>   the folder in which a run is made
    storage/notes/                             what is known of either, by a hash of its URL
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock

from cl_bench.contract.errors import RunDirectoryError, StorageError, UsageError, did_you_mean
from cl_bench.contract.redaction import short_line
from cl_bench.contract.text import printable
from cl_bench.store.files import cache_folder, replacing, write_json_atomically, writing

# A Path has one slash where the URL it was made from had two.
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(?:/(.*))?", re.DOTALL)
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
_ROOTED = ("file", "local")
"""Schemes whose paths begin with a slash."""
_IN_PLACE = ("file", "local", "sftp", "ssh", "smb", "hdfs", "ftp")
"""Schemes of file systems, where a file that is being written can be seen; it is renamed then."""
_HUB, _LEAST_ON_HUB = ("datasets", "buckets"), 3
_READ_ONLY = ("http", "https", "data", "memory", "github", "git", "zip", "tar")
_UNREAD = ("checkpoint", "models", "tracking", "figures")
"""Folders of a run that its readers do not need."""
_BESIDE = (".zip", ".json", ".csv", ".toml")
"""Files outside runs that readers may need: packed runs, references, tables of plasticity."""
_KEYS = re.compile("Credential|Token")
_AT_A_TIME = 8
WRITER = "writer.json"
"""Says in a store which process writes a run; no file of the run itself."""


def as_url(given: str | Path) -> str | None:
    """Return the URL that is given, or None for a path.

    An unknown scheme, and a URL with a password or a query in it, is a `UsageError`.
    """
    text = str(given)
    found = _URL.fullmatch(text)
    if found is None or Path(text).exists():
        return None
    scheme, path = found[1].lower(), (found[2] or "").lstrip("/")
    _require_public(scheme, path)
    if not _is_known(scheme):
        raise UsageError(
            f"Unknown scheme {scheme}:// in {printable(f'{scheme}://{path}', 100)}."
            f"{did_you_mean(scheme, ('s3', 'gs', 'hf', 'file'))} Known are s3://, gs://, "
            "hf://datasets/, file:/// and what else fsspec can write to."
        )
    parts = PurePosixPath(path).parts
    if not parts or ".." in parts:
        raise UsageError(
            f"{scheme}://{printable(path, 100)} is no place for runs: give a bucket and a path, "
            "such as s3://bucket/run."
        )
    if scheme == "hf" and (parts[0] not in _HUB or len(parts) < _LEAST_ON_HUB):
        raise UsageError(
            f"hf://{printable(path, 100)} is no place for runs: they are kept in a data set, or in "
            "a bucket, of the hub. Give hf://datasets/OWNER/NAME/PATH or hf://buckets/OWNER/NAME."
        )
    return f"{scheme}://{'/' * (scheme in _ROOTED)}{'/'.join(parts)}"


def _require_public(scheme: str, path: str) -> None:
    """Raise `UsageError` for a URL with secrets in it, which are not repeated, and for a chain."""
    if re.match(r"[^/]*:[^/]*@", path) or (scheme != "file" and "?" in path):
        raise UsageError(
            f"The {scheme}:// URL has a user with a password or a query in it, which would be "
            "stored and printed. Give credentials as its library takes them (environment, profile, "
            "login), and a URL without them."
        )
    if "::" in path or scheme in _READ_ONLY:
        raise UsageError(
            f"{scheme}:// cannot hold runs that are written piece by piece. Known are s3://, "
            "gs://, hf://datasets/, file:/// and what else fsspec can write to."
        )


def _is_known(scheme: str) -> bool:
    from fsspec import available_protocols

    return scheme in available_protocols()


def local_folder(url: str, kind: str) -> Path:
    """Return the folder of this machine for a URL; `kind` is read or written."""
    scheme, _, path = url.partition("://")
    return _storage() / kind / scheme / path.lstrip("/")


def note_file(url: str, suffix: str) -> Path:
    """Return the file of notes about a URL that ends in `suffix`; its folder is made."""
    file = _storage() / "notes" / f"{sha256(url.encode()).hexdigest()[:32]}{suffix}"
    with writing(file.parent, run=False):
        file.parent.mkdir(parents=True, exist_ok=True)
    return file


def with_urls(text: str) -> str:
    """Return the text with the URLs themselves where it names copies of what is there."""
    for kind in ("read", "written"):
        top = re.escape(f"{_storage() / kind}{os.sep}")
        text = re.sub(rf"{top}([a-z0-9+.-]+)/", _with_slashes, text)
    return text


def _with_slashes(found: re.Match[str]) -> str:
    return f"{found[1]}://{'/' * (found[1] in _ROOTED)}"


def written_to(given: str | Path) -> str | None:
    """Return the URL that a run at `given` is written to: a URL, or the folder in which a run with
    one is made; None for another path."""
    inside = Path(given).is_relative_to(_storage() / "written")
    return as_url(with_urls(str(given)) if inside else given)


def _storage() -> Path:
    return cache_folder() / "storage"


def require_local(option: str, path: Path | None) -> None:
    """Raise `UsageError` if the path of an option is a URL, which only runs are written to."""
    if path is not None and (url := as_url(path)) is not None:
        raise UsageError(
            f"{option} is {url}, but only runs are written to a URL. Give a folder of this machine."
        )


def require_folder(option: str, path: Path | None) -> None:
    """Raise `UsageError` unless the path of an option is a folder of this machine that can be
    written to, or can be made; nothing is made."""
    require_local(option, path)
    if path is None:
        return
    there = next(place for place in (path, *path.absolute().parents) if place.exists())
    if not there.is_dir():
        raise UsageError(f"{option} is {path}, but {there} is a file. Give a folder.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(
            f"{option} is {path}, but {there} is read-only. Give a folder that can be written to."
        )


class RemoteFolder:
    """The files below a URL, by names relative to it.

    What goes wrong is a `StorageError`; it is `lasting` if waiting does not help.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.scheme = url.partition("://")[0]
        with self._told():
            from fsspec.core import url_to_fs

            self._fs, root = url_to_fs(url)
        self._root = str(root).rstrip("/")

    def files(self) -> dict[str, str]:
        """The names of all files, each with a text that changes when the file does.

        Names that would lead out of a copy of the folder, as anyone can give them who may write
        into the store, are left out.
        """
        with self._told():
            self._fs.invalidate_cache()
            try:
                found = self._fs.find(self._root, detail=True)
            except FileNotFoundError:
                return {}
        start = len(self._root) + 1
        return {
            path[start:]: _version(info)
            for path, info in found.items()
            if info.get("type") != "directory"
            and not path.endswith(("/", ".tmp"))
            and _is_inside(path[start:])
        }

    def read(self, name: str) -> bytes | None:
        """The content of a file; None if there is none."""
        with self._told():
            self._fs.invalidate_cache()
            try:
                content: bytes = self._fs.cat_file(self._path(name))
            except FileNotFoundError:
                return None
        return content

    def read_json(self, name: str) -> dict[str, Any]:
        """The object in a JSON file; empty if there is none that is whole."""
        with suppress(ValueError):
            found = json.loads(self.read(name) or b"{}")
            return found if isinstance(found, dict) else {}
        return {}

    def write(self, name: str, content: bytes) -> None:
        """Write a small file as a whole."""
        with self._told(), self._replacing(name) as path:
            self._fs.pipe_file(path, content)

    def put(self, file: Path, name: str) -> None:
        """Copy a file there; it appears as a whole."""
        with self._told(), self._replacing(name) as path:
            self._fs.put_file(str(file), path)

    def get(self, name: str, file: Path) -> None:
        """Copy a file from there; it appears as a whole."""
        file.parent.mkdir(parents=True, exist_ok=True)
        with self._told(), replacing(file) as temporary:
            self._fs.get_file(self._path(name), str(temporary))

    def remove(self, name: str) -> None:
        """Delete a file, if it is there."""
        with self._told(), suppress(FileNotFoundError):
            self._fs.rm_file(self._path(name))

    def apply(self, puts: Mapping[str, Path], removes: Iterable[str]) -> bool:
        """Write and delete files as one change, where the store can do that; tell whether."""
        if self.scheme != "hf" or self.url.startswith("hf://buckets/"):
            return False
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        with self._told():
            place = self._fs.resolve_path(self._root)
            below = f"{place.path_in_repo}/".lstrip("/")
            self._fs._api.create_commit(
                place.repo_id,
                [
                    *(CommitOperationDelete(below + name) for name in removes),
                    *(CommitOperationAdd(below + name, str(file)) for name, file in puts.items()),
                ],
                repo_type=place.repo_type,
                revision=place.revision,
                commit_message="cl-bench run",
            )
            self._fs.invalidate_cache()
        return True

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    @contextmanager
    def _replacing(self, name: str) -> Iterator[str]:
        """The path to write to; on file systems a temporary one, renamed afterwards."""
        path = self._path(name)
        if self.scheme not in _IN_PLACE:
            yield path
            return
        folder, _, last = path.rpartition("/")
        self._fs.makedirs(folder, exist_ok=True)
        yield f"{folder}/.{last}.tmp"
        self._fs.mv(f"{folder}/.{last}.tmp", path)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn whatever a library raises inside into a `StorageError`, but for what callers of the
        inside catch themselves."""
        try:
            yield
        except StorageError:
            raise
        except Exception as error:
            raise _refused(self.url, self.scheme, error) from error


def _refused(url: str, scheme: str, error: Exception) -> StorageError:
    """Return the error of a store as one of the suite."""
    kind = type(error).__name__
    said = short_line(str(error)).rstrip(".") or kind
    if isinstance(error, ImportError):
        extra = _EXTRAS.get(scheme)
        how = f": python -m pip install 'cl-bench[{extra}]'" if extra else ""
        return StorageError(f"{scheme}:// needs a package that is not installed{how} ({said}).")
    answer = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, PermissionError) or answer in (401, 403) or _KEYS.search(kind):
        return StorageError(
            f"Access to {url} is denied ({said}). Credentials are those of its library "
            "(environment, profile, login); give it some that may read and write there."
        )
    if isinstance(error, FileNotFoundError) or answer == 404:
        return StorageError(
            f"There is no {url}, or no bucket of that name ({said}). Make the bucket, or give "
            "another URL."
        )
    return StorageError(f"Cannot reach {url}: {kind}: {said}.", lasting=False)


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _version(info: Mapping[str, Any]) -> str:
    described = sorted((key, str(value)) for key, value in info.items() if key != "name")
    return sha256(repr(described).encode()).hexdigest()[:32]


def fetched(given: str | Path, *, models: bool = False) -> Path:
    """Return the path of what is given; for a URL, that of an up-to-date copy of the runs there.

    Of each run its manifest, tables and records are fetched, and its `models` if asked for; what is
    there already and has not changed is not fetched again. Nothing at the URL gives a path at which
    nothing is. A store that cannot be read is a `StorageError`.
    """
    url = as_url(given)
    if url is None:
        return Path(given)
    home, remote = local_folder(url, "read"), RemoteFolder(url)
    with writing(home, run=False), FileLock(note_file(url, ".read.lock")):
        note = note_file(url, ".read.json")
        known = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else {}
        _fetch(remote, home, known, models=models)
        write_json_atomically(note, known)
    return home


def _fetch(remote: RemoteFolder, home: Path, known: dict[str, str], *, models: bool) -> None:
    """Bring the copy in `home` up to date, and `known`, the versions of its files."""
    there = remote.files()
    if "" in there:  # the URL of one file
        if known.get("") != there[""] or not home.is_file():
            remote.get("", home)
        known[""] = there[""]
        return
    # A manifest is written after the rows it speaks of: it is read before these are listed.
    manifests = [name for name in there if PurePosixPath(name).name == "manifest.json"]
    _get(remote, home, manifests, there, known)
    wanted = {name: there[name] for name in manifests}
    others = remote.files()
    wanted |= {n: others[n] for n in _readable(others, models=models) if n not in wanted}
    for name in [name for name in known if name not in others]:
        (home / name).unlink(missing_ok=True)
        del known[name]
    # A part's record is written after its tables.
    ordered = sorted(wanted, key=lambda name: "/commits/" not in f"/{name}")
    _get(remote, home, ordered, wanted, known)


def _get(
    remote: RemoteFolder,
    home: Path,
    names: Iterable[str],
    versions: Mapping[str, str],
    known: dict[str, str],
) -> None:
    changed = [n for n in names if known.get(n) != versions[n] or not (home / n).is_file()]
    with ThreadPoolExecutor(_AT_A_TIME) as threads:
        list(threads.map(lambda name: remote.get(name, home / name), changed))
    known.update({name: versions[name] for name in changed})


def _readable(names: Iterable[str], *, models: bool) -> Iterator[str]:
    """Of all names below a URL, those that readers need."""
    left_out = set(_UNREAD) - ({"models"} if models else set())
    paths = {name: PurePosixPath(name) for name in names}
    runs = {path.parent for path in paths.values() if path.name == "manifest.json"}
    for name, path in paths.items():
        run = next((parent for parent in reversed(path.parents) if parent in runs), None)
        if run is None:
            if path.suffix in _BESIDE:
                yield name
        elif path.relative_to(run).parts[0] not in left_out and path.name != WRITER:
            yield name


def download(remote: RemoteFolder, home: Path) -> None:
    """Copy a whole run into the empty folder `home`; without one it is a `RunDirectoryError`."""
    there = remote.files()
    there.pop(WRITER, None)
    if "manifest.json" not in there:
        raise RunDirectoryError(
            f"There is no run at {remote.url}. `cl-bench run --out {remote.url}` makes one."
        )
    _get(remote, home, there, there, {})
