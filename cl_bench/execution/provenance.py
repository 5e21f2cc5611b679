"""The origin of a run's numbers: versions, commit, machine, hashes of code."""

from __future__ import annotations

import ast
import hashlib
import io
import os
import platform
import subprocess
import tokenize
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cl_bench.contract.errors import OtherSoftwareError
from cl_bench.execution.machine import cores

PACKAGES = (
    *("torch", "transformers", "trl", "gepa", "peft", "datasets", "numpy", "pandas"),
    *("accelerate", "tokenizers", "jinja2"),
)
"""Packages whose version can change a run's numbers."""

_ROOT = Path(__file__).resolve().parents[2]
_EXECUTED = (
    *("cl_bench.contract", "cl_bench.model", "cl_bench.slow", "cl_bench.fast"),
    *("cl_bench.execution", "cl_bench.store"),
    *("cl_bench.tasks", "cl_bench.baselines", "cl_bench.fst"),
)
"""Packages whose code a run executes; metrics, reports and commands are not among them."""
_BESIDE = ("cl_bench.store.packs", "cl_bench.store.schema_page", "cl_bench.store.views")
"""The parts of the store that handle finished runs only."""


def provenance() -> dict[str, Any]:
    """Return versions, commit and machine as plain data for a manifest, None for the unknown.

    `git_commit` and `git_dirty` are known if cl-bench runs from its own checkout; dirty means that
    the folders that a run executes differ from the commit, by new files too. `source_hash` is a
    hash of the code that makes a run's numbers, wherever it is installed; comments and docstrings
    do not count. It is computed once in a process, because modules that are loaded stay as they
    are if their files change.
    """
    commit, dirty = _commit(_ROOT)
    return {
        "cl_bench": _version("cl-bench"),
        "git_commit": commit,
        "git_dirty": dirty,
        "source_hash": source_hash(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": cores(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


@cache
def source_hash() -> str:
    """Return the SHA-256 (hex) over names and code of the Python files that a run executes."""
    return code_hash(_EXECUTED, besides=_BESIDE)


def code_hash(packages: Iterable[str], besides: tuple[str, ...] = ()) -> str:
    """Return the SHA-256 (hex) over names and code of the Python files of packages or modules.

    Modules whose full name begins with one of `besides` are left out. Raises `OtherSoftwareError`
    for a package without such files, which would be equal to any other.
    """
    digest = hashlib.sha256()
    for package in sorted(packages):
        files = _python_files(package)
        if not files:
            raise OtherSoftwareError(
                f"The code of {package} cannot be read, so that a run could not say what made it. "
                "Install it with its Python files, outside an archive."
            )
        for name, file in files.items():
            if not name.startswith(besides):
                code = code_of(file.read_text(encoding="utf-8"))
                digest.update(f"{name} {hashlib.sha256(code.encode()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _python_files(package: str) -> dict[str, Path]:
    """Return the files of a package, or the one of a module, by full names, in order."""
    spec = find_spec(package)
    homes = [] if spec is None else [Path(home) for home in spec.submodule_search_locations or ()]
    found = {
        ".".join((package, *file.relative_to(home).with_suffix("").parts)): file
        for home in homes
        for file in sorted(home.rglob("*.py"))
    }
    single = None if spec is None or homes or spec.origin is None else Path(spec.origin)
    return {package: single} if single and single.suffix == ".py" and single.is_file() else found


def code_of(source: str) -> str:
    """Return Python source without comments, docstrings and blank lines.

    It is text and not a parse tree, so that Python versions agree on it.
    """
    lines = io.StringIO(source).readlines()
    nodes = list(ast.walk(ast.parse(source)))
    # Docstrings, of attributes too, are expressions that are only a text.
    said = [
        node.value
        for node in nodes
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]
    cuts = [_span(node, lines) for node in said]
    cuts += [
        (*token.start, *token.end)
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    # In a text of several lines white space counts.
    cut = set(map(id, said))
    texts = [n for n in nodes if isinstance(n, ast.Constant | ast.JoinedStr) and id(n) not in cut]
    inside = {row for n in texts for row in range(n.lineno, n.end_lineno or n.lineno)}
    for first, left, last, right in sorted(cuts, reverse=True):
        lines[first - 1 : last] = [
            lines[first - 1][:left] + lines[last - 1][right:],
            *["\n"] * (last - first),
        ]
    return "".join(
        line if row in inside else f"{line.rstrip()}\n"
        for row, line in enumerate(lines, 1)
        if row in inside or line.strip()
    )


def _span(node: ast.expr, lines: Sequence[str]) -> tuple[int, int, int, int]:
    """Return first row and column and last row and column of a node, in characters."""
    last, end = node.end_lineno or node.lineno, node.end_col_offset or 0
    return (
        node.lineno,
        len(lines[node.lineno - 1].encode()[: node.col_offset].decode()),
        last,
        len(lines[last - 1].encode()[:end].decode()),
    )


def _version(package: str) -> str | None:
    """Return the version of an installed package; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        if find_spec(package) is None:
            return None
        raise OtherSoftwareError(
            f"{package} is installed without its metadata, so that its version is not known. "
            f"Install it anew: pip install --force-reinstall {package}."
        ) from None


def _commit(root: Path) -> tuple[str | None, bool | None]:
    """Return commit and dirty flag of the checkout at `root`, or (None, None) if it is not one."""
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
    """Return the folders of a checkout that a run executes, as git's path specifications."""
    outside = ("cl_bench.tasks", "cl_bench.baselines", "cl_bench.fst")
    places = [n.removeprefix("cl_bench.") if n in outside else n for n in _EXECUTED]
    beside = (f":(exclude){name.replace('.', '/')}*" for name in _BESIDE)
    return [*(n.replace(".", "/") for n in places), *beside]


def _git(root: Path, *arguments: str) -> str | None:
    """Return git's output, stripped; None if git is absent, fails or takes longer than 10 s."""
    # Variables such as GIT_DIR, set by a hook, would point git at another repository.
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
