"""Domains and learners, which installed are parts of cl_bench, know only the core, and it not them.

The import linter reads the checkout, where they lie beside cl_bench: it does not see these imports.
"""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("tasks", "baselines", "fst")


def imported(file: Path) -> set[str]:
    """The first two parts of every module that a file imports absolutely, lazy imports too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {".".join(name.split(".")[:2]) for name in found}


@pytest.mark.parametrize("folder", ["cl_bench", *FOLDERS])
def test_nobody_imports_a_domain_or_a_learner_but_its_siblings(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    others = {f"cl_bench.{name}" for name in FOLDERS if name != folder}
    for file in files:
        assert not imported(file) & others, file


def name_of(file: Path) -> str:
    """The module's full name, as it is when installed."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    whole = parts if parts[0] == "cl_bench" else ("cl_bench", *parts)
    return ".".join(whole[:-1] if whole[-1] == "__init__" else whole)


def imports_of(file: Path, modules: dict[str, Path]) -> set[str]:
    """The modules that a file imports, lazily or for types only as well."""
    package = name_of(file).split(".")
    home = package if file.stem == "__init__" else package[:-1]
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            level = len(home) - node.level + 1 if node.level else 0
            base = ".".join([*home[:level], *filter(None, [node.module])])
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                found.add(whole if whole in modules else base)
    return (found & modules.keys()) - {name_of(file)}


def test_no_module_imports_itself_by_way_of_others() -> None:
    files = [file for folder in ("cl_bench", *FOLDERS) for file in (ROOT / folder).rglob("*.py")]
    modules = {name_of(file): file for file in files}
    assert len(modules) > 200
    # Raises CycleError, which names the modules.
    TopologicalSorter({name: imports_of(modules[name], modules) for name in modules}).prepare()
