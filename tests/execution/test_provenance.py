from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import cl_bench
from cl_bench.contract.errors import OtherSoftwareError
from cl_bench.execution.provenance import PACKAGES, code_hash, code_of, provenance

SHOW = """
from cl_bench.execution.provenance import provenance
found = provenance()
print(found["git_commit"], found["git_dirty"])
"""


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def seen_from(folder: Path) -> str:
    """Commit and dirty flag that the copy of cl-bench in `folder` finds."""
    command = [sys.executable, "-c", SHOW]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with a copy of the package's own modules, in no checkout."""
    source = Path(cl_bench.__file__).parent
    target = tmp_path / "copy"
    left_out = shutil.ignore_patterns("embedded", "__pycache__")
    shutil.copytree(source, target / "cl_bench", ignore=left_out)
    return target


@pytest.fixture
def checkout(copy: Path) -> Path:
    (copy / ".gitignore").write_text("__pycache__/\n")
    git(copy, "init", "--quiet")
    git(copy, "add", ".")
    git(copy, "commit", "--quiet", "--message", "first")
    return copy


def test_versions_are_those_that_are_installed() -> None:
    found = provenance()
    assert found["cl_bench"] == version("cl-bench")
    assert found["packages"] == {name: version(name) for name in PACKAGES}
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["cpu_count"] >= 1
    assert json.loads(json.dumps(found)) == found


def test_checkout_gives_its_commit(checkout: Path) -> None:
    assert seen_from(checkout) == f"{git(checkout, 'rev-parse', 'HEAD')} False"


@pytest.mark.parametrize("name", ["cl_bench/contract/task.py", "cl_bench/execution/new.py"])
def test_changed_and_new_files_that_a_run_executes_make_a_checkout_dirty(
    checkout: Path, name: str
) -> None:
    (checkout / name).write_text("changed = True\n")
    assert seen_from(checkout) == f"{git(checkout, 'rev-parse', 'HEAD')} True"


@pytest.mark.parametrize(
    "name", ["cl_bench/report/show.py", "cl_bench/store/packs/layout.py", "cl_bench/metrics/new.py"]
)
def test_files_that_no_run_executes_do_not(checkout: Path, name: str) -> None:
    (checkout / name).write_text("changed = True\n")
    assert seen_from(checkout).endswith(" False")


def test_results_do_not_make_a_checkout_dirty(checkout: Path) -> None:
    (checkout / "results").mkdir()
    (checkout / "results" / "run.txt").write_text("rows")
    assert seen_from(checkout).endswith(" False")


def test_copy_outside_a_checkout_has_no_commit(copy: Path) -> None:
    assert seen_from(copy) == "None None"


def test_copy_inside_another_checkout_has_no_commit(checkout: Path) -> None:
    inner = checkout / "environment" / "site-packages"
    shutil.copytree(checkout / "cl_bench", inner / "cl_bench")
    assert seen_from(inner) == "None None"


def test_checkout_without_commits_has_none(copy: Path) -> None:
    git(copy, "init", "--quiet")
    assert seen_from(copy) == "None None"


def test_missing_git_does_not_raise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance()["git_commit"] is None


def testsource_hash_names_the_code_however_it_is_installed(tmp_path: Path) -> None:
    root = Path(cl_bench.execution.provenance.__file__).parents[2]
    if not (root / "tasks").is_dir():  # an installed copy: its packages lie in one another
        root = tmp_path / "checkout"
        shutil.copytree(Path(cl_bench.execution.provenance.__file__).parents[1], root / "cl_bench")
        for name in ("tasks", "baselines", "fst"):
            shutil.move(root / "cl_bench" / name, root / name)
    installed = tmp_path / "installed" / "cl_bench"
    shutil.copytree(root / "cl_bench", installed)
    for name in ("tasks", "baselines", "fst"):
        shutil.copytree(root / name, installed / name)
    code = (
        "from cl_bench.execution.provenance import provenance; print(provenance()['source_hash'])"
    )

    def hashed() -> str:
        command = [sys.executable, "-c", code]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(installed.parent)},
            cwd=tmp_path,
        ).stdout.strip()

    assert hashed() == provenance()["source_hash"]
    (installed / "claims" / "page.py").write_text("TITLE = 'reworded'\n")
    (installed / "tools" / "doctor.py").write_text("")
    assert hashed() == provenance()["source_hash"]  # of what makes a run's numbers
    task = installed / "contract" / "task.py"
    task.write_text(f"# Said once more.\n{task.read_text()}")
    assert hashed() == provenance()["source_hash"]
    (installed / "tasks" / "math.py").write_text("DOMAIN = None\n")
    assert hashed() != provenance()["source_hash"]


def test_code_is_what_remains_without_comments_docstrings_and_blank_lines() -> None:
    source = '''"""What it is."""

# Why.
class A:
    """A class."""

    size: int = 3  # the size
    """Its size."""

    def tell(self) -> str:
        """Say it."""
        return "# not a comment"
'''
    assert code_of(source) == (
        "class A:\n    size: int = 3\n    def tell(self) -> str:\n"
        '        return "# not a comment"\n'
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('A = """a\n\nb"""', 'A = """a\nb"""'),
        ('A = """a \nb"""', 'A = """a\nb"""'),
        ('class A(B): """x"""', 'class C(D): """x"""'),
        ('"""doc"""; y = 2', '"""doc"""; y = 3'),
        ("y = 2  # why\nz = '\u2028#'", "y = 2\nz = '\u2028'"),
    ],
)
def test_other_code_is_told_from_it(one: str, other: str) -> None:
    assert code_of(one) != code_of(other)


def test_comments_do_not_count_after_a_line_that_only_some_would_split() -> None:
    assert code_of("x = '\u2028'  # why\ny = 1  # two\n") == code_of("x = '\u2028'\ny = 1\n")


def test_a_package_without_code_to_read_has_no_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hollow").mkdir()
    (tmp_path / "hollow" / "__init__.pyc").write_bytes(b"")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("hollow", "nowhere_at_all"):
        with pytest.raises(OtherSoftwareError, match=f"code of {name} cannot be read"):
            code_hash([name])
