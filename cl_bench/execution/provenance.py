"""Where a run's numbers come from: versions, commit, machine, hashes of configuration and model."""

from __future__ import annotations

import ast
import hashlib
import io
import os
import platform
import subprocess
import tokenize
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cl_bench.execution.machine import cores
from cl_bench.store.files import file_hash

PACKAGES = ("torch", "transformers", "trl", "gepa", "peft", "datasets", "numpy", "pandas")
"""Packages whose version can change a run's numbers."""

_ROOT = Path(__file__).resolve().parents[2]
_EXECUTED = (
    *("cl_bench.contract", "cl_bench.model", "cl_bench.slow", "cl_bench.fast"),
    *("cl_bench.execution", "cl_bench.metrics", "cl_bench.store"),
    *("cl_bench.tasks", "cl_bench.baselines", "cl_bench.fst"),
)
"""Packages whose code a run executes; reports about it, and commands beside it, are others."""
_PACKED = "cl_bench.store.packs"
"""The part of them that only handles finished runs."""
_MODEL_SUFFIXES = {".safetensors", ".gguf", ".bin", ".json", ".jinja", ".model", ".txt"}


def provenance() -> dict[str, Any]:
    """Plain data for a manifest; what cannot be found out is None, and nothing raises.

    `git_commit` and `git_dirty` are there when cl-bench runs from its own checkout; dirty means
    that the folders a run executes differ from the commit, in new files too. `source_hash` names
    the code that makes a run's numbers wherever it is installed: equal hashes, equal code, whatever
    comments and docstrings say. It is read once in a process, whose modules stay as they were
    loaded whatever happens to their files.
    """
    commit, dirty = _commit(_ROOT)
    return {
        "cl_bench": _version("cl-bench"),
        "git_commit": commit,
        "git_dirty": dirty,
        "source_hash": _source_hash(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": cores(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


@cache
def _source_hash() -> str:
    """SHA-256 (hex) over names and code of the Python files that a run executes."""
    digest = hashlib.sha256()
    for package in sorted(_EXECUTED):
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            continue
        home = Path(spec.origin).parent
        for file in sorted(home.rglob("*.py")):
            name = ".".join((package, *file.relative_to(home).with_suffix("").parts))
            if not name.startswith(_PACKED):
                code = code_of(file.read_text(encoding="utf-8"))
                digest.update(f"{name} {hashlib.sha256(code.encode()).hexdigest()}\n".encode())
    return digest.hexdigest()


def code_of(source: str) -> str:
    """Python source without comments, docstrings and blank lines: what it does, not what it says.

    The text of what remains, and not its parse tree, so that Python versions agree on it.
    """
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        said = node.value if isinstance(node, ast.Expr) else None
        if isinstance(said, ast.Constant) and isinstance(said.value, str):
            last = said.end_lineno or said.lineno
            lines[said.lineno - 1 : last] = ["\n"] * (last - said.lineno + 1)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column] + "\n"
    return "".join(f"{line.rstrip()}\n" for line in lines if line.strip())


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


def _commit(root: Path) -> tuple[str | None, bool | None]:
    """Commit and dirty flag of the checkout whose top is `root`; (None, None) where it is none."""
    # An installed copy may lie inside somebody else's checkout, whose commit says nothing of it.
    top = _git(root, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != root.resolve():
        return None, None
    commit = _git(root, "rev-parse", "--verify", "HEAD")
    status = _git(root, "status", "--porcelain", "--", *_places())
    if commit is None or status is None:
        return None, None
    return commit, bool(status)


def _places() -> list[str]:
    """The folders of a checkout that hold what a run executes, as git's path specifications."""
    outside = ("cl_bench.tasks", "cl_bench.baselines", "cl_bench.fst")
    places = [n.removeprefix("cl_bench.") if n in outside else n for n in _EXECUTED]
    return [*(n.replace(".", "/") for n in places), f":(exclude){_PACKED.replace('.', '/')}"]


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
