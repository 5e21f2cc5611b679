"""Domains and learners, which installed are parts of cl_bench, know only the core, and it not them.

The import linter reads the checkout, where they lie beside cl_bench: it does not see these imports.
"""

from __future__ import annotations

import ast
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
