"""Where a run's numbers come from: versions, commit, machine, hashes of configuration and model."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cl_bench.store.files import file_hash

PACKAGES = ("torch", "transformers", "trl", "gepa", "peft", "datasets", "numpy", "pandas")
"""Packages whose version can change a run's numbers."""

_ROOT = Path(__file__).resolve().parents[2]
_SOURCES = ("cl_bench", "tasks", "baselines", "fst", "pyproject.toml")
_PACKAGES = ("cl_bench", "cl_bench.tasks", "cl_bench.baselines", "cl_bench.fst")
_IN_A_RUN = ("contract", "model", "slow", "fast", "execution", "store", "metrics")
"""Folders of cl_bench whose code a run executes, but for `packs` in one of them."""
_MODEL_SUFFIXES = {".safetensors", ".gguf", ".bin", ".json", ".jinja", ".model", ".txt"}


def provenance() -> dict[str, Any]:
    """Plain data for a manifest; what cannot be found out is None, and nothing raises.

    `git_commit` and `git_dirty` are there when cl-bench runs from its own checkout; dirty means
    that its source folders differ from the commit, in new files too. `source_hash` names the code
    that makes a run's numbers wherever it is installed: equal hashes, equal code. It is read once
    in a process, whose modules stay as they were loaded whatever happens to their files.
    """
    commit, dirty = _commit(_ROOT)
    return {
        "cl_bench": _version("cl-bench"),
        "git_commit": commit,
        "git_dirty": dirty,
        "source_hash": _source_hash(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": _cpu_count(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


@cache
def _source_hash() -> str:
    """SHA-256 (hex) over names and contents of the Python files that a run uses, by import name."""
    files: dict[str, Path] = {}
    for package in _PACKAGES:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            continue
        home = Path(spec.origin).parent
        for file in home.rglob("*.py"):
            folder, *inner = (*file.relative_to(home).parts, "")
            if package == "cl_bench" and (folder not in _IN_A_RUN or inner[0] == "packs"):
                continue
            # In an installed copy the other packages lie inside the first one.
            files[f"{package}/{file.relative_to(home).as_posix()}".replace("/", ".")] = file
    digest = hashlib.sha256()
    for name, file in sorted(files.items()):
        digest.update(f"{name} {file_hash(file)}\n".encode())
    return digest.hexdigest()


def file_hashes(path: Path) -> dict[str, str]:
    """SHA-256 (hex) of the weights, configuration and tokenizer files directly in a model's folder,
    or of the one file that is the model.

    Empty when `path` is neither on this machine, as for a model given by its hub name.
    """
    if not path.is_dir():
        return {path.name: file_hash(path)} if path.is_file() else {}
    files = sorted(file for file in path.iterdir() if file.suffix in _MODEL_SUFFIXES)
    return {file.name: file_hash(file) for file in files if file.is_file()}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu_count() -> int | None:
    """CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _commit(root: Path) -> tuple[str | None, bool | None]:
    """Commit and dirty flag of the checkout whose top is `root`; (None, None) where it is none."""
    # An installed copy may lie inside somebody else's checkout, whose commit says nothing of it.
    top = _git(root, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != root.resolve():
        return None, None
    commit = _git(root, "rev-parse", "--verify", "HEAD")
    status = _git(root, "status", "--porcelain", "--", *_SOURCES)
    if commit is None or status is None:
        return None, None
    return commit, bool(status)


def _git(root: Path, *arguments: str) -> str | None:
    """What git prints, stripped; None when it is absent, fails or takes longer than 10 s."""
    environment = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
    environment["GIT_OPTIONAL_LOCKS"] = "0"
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            env=environment,
            check=True,
        )
    except (OSError, subprocess.SubprocessError, UnicodeError):
        return None
    return done.stdout.strip()
