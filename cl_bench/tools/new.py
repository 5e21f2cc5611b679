"""`cl-bench new`: a small working package with a domain or a learner, from tools/templates."""

from __future__ import annotations

import keyword
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from string import Template

from cl_bench.contract.errors import UsageError, unknown
from cl_bench.contract.plugins import STREAM_SEPARATOR
from cl_bench.contract.registry import DOMAINS, LEARNERS
from cl_bench.contract.stream_names import STREAMS

TEMPLATES = Path(__file__).parent / "templates"
KINDS = ("task", "learner")

_WORDS = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_FILES: Mapping[str, str] = {
    "pyproject.toml.template": "pyproject.toml",
    "README.md.template": "README.md",
    "init.py.template": "src/{module}/__init__.py",
    "module.py.template": "src/{module}/{file}.py",
    "test.py.template": "tests/test_{file}.py",
}
"""Template to the file it becomes."""
_NEXT = {
    "task": "cl-bench run --stream {} --learner rl --steps 20",
    "learner": "cl-bench run --stream math-to-code --learner {} --steps 20",
}

_PLACEHOLDER = {"task": ", with a question of operators on digits to put yours in", "learner": ""}


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a skeleton's parts; the templates' `$…`."""

    package: str
    """The distribution: `acme-streams`."""
    entry: str
    """The entry point: `colours`."""
    name: str
    """The full name: `acme-streams/colours`."""
    short: str
    """The name that commands may have in its place: `colours`, unless something has it already."""
    module: str
    """The importable package: `acme_streams`."""
    file: str
    """The module with the code, without its suffix."""
    type: str
    """The class."""


def write(kind: str, name: str, out: Path | None = None) -> str:
    """Write the skeleton of a `task` or `learner` and return what to do next, as a few lines.

    `name` is `package/entry`; `colours` alone means `cl-bench-colours/colours`. The folder `out`
    (by default the package's name) must not exist. Impossible names, existing folders and folders
    that cannot be written are a `UsageError`; nothing is written then.
    """
    if kind not in KINDS:
        raise unknown("kind of skeleton", kind, KINDS)
    names = named(kind, name)
    folder = out or Path(names.package)
    _create(folder, kind, names)
    # With a path's separator, or pip would look for a package of that name.
    editable, place = quote(f"{folder.parent}/{folder.name}[test]"), quote(str(folder))
    return "\n".join(
        [
            f"{folder} holds the {kind} {names.name}{_PLACEHOLDER[kind]}. Next:",
            f"  python -m pip install -e {editable} && python -m pytest {place}",
            f"  {_NEXT[kind].format(names.short)}",
        ]
    )


def named(kind: str, name: str) -> Names:
    """The names of a `task` or `learner` that follow from `name`; `UsageError` for one that cannot
    be used."""
    package, slash, entry = name.rpartition("/")
    if not slash:
        package = f"cl-bench-{entry}"
    for part in (package, entry):
        if not _WORDS.fullmatch(part):
            raise _impossible(name, "it takes small letters, digits and single hyphens")
    if STREAM_SEPARATOR in f"-{entry}-":
        raise _impossible(name, f"{STREAM_SEPARATOR!r} joins the domains of a stream's name")
    module, file = package.replace("-", "_"), entry.replace("-", "_")
    for word in (module, file):
        if keyword.iskeyword(word):
            raise _impossible(name, f"{word!r} is a word of Python's own")
    if module in sys.stdlib_module_names or find_spec(module) is not None:
        raise _impossible(name, f"a package that is imported as {module!r} is installed already")
    type_name = "".join(word.capitalize() for word in entry.split("-"))
    full = f"{package}/{entry}"
    taken = _is_taken(kind, entry)
    return Names(package, entry, full, full if taken else entry, module, file, type_name)


def _is_taken(kind: str, entry: str) -> bool:
    """Tell whether something that is built in or installed has the name already."""
    if kind == "learner":
        return entry in LEARNERS
    return entry in DOMAINS or entry in STREAMS


def _impossible(name: str, reason: str) -> UsageError:
    return UsageError(
        f"A package cannot be made for the name {name!r}: {reason}. Give a name such as 'colours' "
        "(in the package cl-bench-colours) or 'acme/colours' (in the package acme)."
    )


def _create(folder: Path, kind: str, names: Names) -> None:
    try:
        if folder.exists() or folder.is_symlink():
            raise UsageError(
                f"{folder} already exists and nothing in it is overwritten. Give another --out."
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Beside its place, so that a full disk leaves nothing half written.
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".cl-bench-new-") as parent:
            content = Path(parent) / folder.name
            _fill(content, kind, names)
            shutil.move(content, folder)
    except OSError as error:
        raise UsageError(
            f"Cannot write {folder}: {error.strerror or error}. Give another --out."
        ) from error


def _fill(folder: Path, kind: str, names: Names) -> None:
    words = asdict(names)
    for template, target in _FILES.items():
        file = folder / target.format(**words)
        file.parent.mkdir(parents=True, exist_ok=True)
        text = Template((TEMPLATES / kind / template).read_text(encoding="utf-8"))
        file.write_text(text.substitute(words), encoding="utf-8", newline="\n")
