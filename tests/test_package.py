"""What a wheel holds, and what an installed cl-bench is made of."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FOLDERS: dict[str, str] = PROJECT["tool"]["setuptools"]["package-dir"]
EMBEDDED = "cl_bench/model/embedded/"
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
PROBE = """
import sys
sys.path.insert(0, sys.argv[1])
import importlib
for name in sys.argv[2:]:
    print(importlib.import_module(name).__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the source tree."""
    source = tmp_path_factory.mktemp("source")
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    for folder in FOLDERS.values():
        shutil.copytree(ROOT / folder, source / folder, ignore=ignore)
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    out = source / "dist"
    subprocess.run([sys.executable, "-c", BUILD, str(out)], cwd=source, check=True, timeout=300)
    (built,) = out.glob("*.whl")
    return built


def files_of_the_folders() -> Iterator[str]:
    """Where each source file belongs in a wheel."""
    for package, folder in FOLDERS.items():
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                inside = path.relative_to(ROOT / folder).as_posix()
                yield f"{package.replace('.', '/')}/{inside}"


def test_the_wheel_holds_exactly_the_files_of_the_folders(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert shipped == set(files_of_the_folders())


def test_the_wheel_is_marked_as_typed_and_carries_its_licence(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        headers = archive.read(metadata).decode()
    assert "cl_bench/py.typed" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert "License-Expression: Apache-2.0" in headers


def test_nothing_but_cl_bench_is_installed_at_the_top(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist() if ".dist-info/" not in name}
    assert tops == {"cl_bench"}


def test_the_domains_are_importable_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    modules = ["cl_bench.tasks", "cl_bench.tasks.math", "cl_bench.baselines", "cl_bench.fst"]
    site = tmp_path / "site"
    with ZipFile(wheel) as archive:
        archive.extractall(site)
    # without site-packages (-S), so that nothing else called cl_bench can answer
    done = subprocess.run(
        [sys.executable, "-S", "-c", PROBE, str(site), *modules],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == [
        str(site / "cl_bench" / place)
        for place in (
            "tasks/__init__.py",
            "tasks/math.py",
            "baselines/__init__.py",
            "fst/__init__.py",
        )
    ]


def test_in_a_checkout_the_package_is_whole() -> None:
    """Python started in a clone finds the clone's cl_bench first, without what lies beside it."""
    lines = "import cl_bench, cl_bench.fst, cl_bench.baselines.rl_only as rl\n"
    show = "print(cl_bench.__file__, cl_bench.fst.__file__, rl.__file__, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", lines + show], cwd=ROOT, check=True, capture_output=True, text=True
    )
    places = ("cl_bench/__init__.py", "fst/__init__.py", "baselines/rl_only.py")
    assert done.stdout.split() == [str(ROOT / place) for place in places]


def test_the_embedded_model_is_shipped_whole_and_small(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        sizes = {item.filename: item.file_size for item in archive.infolist()}
    embedded = {name.removeprefix(EMBEDDED) for name in sizes if name.startswith(EMBEDDED)}
    assert {"model.safetensors", "tokenizer.json", "config.json", "README.md"} <= embedded
    assert sum(size for name, size in sizes.items() if name.startswith(EMBEDDED)) <= 8_000_000


def test_the_installed_version_is_the_projects() -> None:
    assert version("cl-bench") == PROJECT["project"]["version"]


@pytest.mark.skipif(
    "CL_BENCH_TESTS_INSTALLED" not in os.environ, reason="only where tox installed a wheel"
)
def test_the_tests_run_against_the_installed_wheel_not_the_source_tree() -> None:
    import cl_bench
    from cl_bench.contract.registry import DOMAINS

    site = Path(sys.prefix).resolve()
    assert Path(cl_bench.__file__).resolve().is_relative_to(site)
    domain = type(DOMAINS.load("math"))
    assert Path(sys.modules[domain.__module__].__file__ or "").resolve().is_relative_to(site)
