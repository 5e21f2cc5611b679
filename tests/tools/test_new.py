"""`cl-bench new`: what it writes works as it is, and what it refuses leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from typer.testing import CliRunner

from cl_bench.api import Run
from cl_bench.cli.app import app
from cl_bench.contract.errors import UsageError
from cl_bench.tools.new import named, write

COMMAND = ("-c", "from cl_bench.cli.app import main; main()")
SMALL = (
    *("--steps", "1", "--problems-per-step", "2", "--group-size", "2", "--items", "2"),
    *("--samples", "2", "--max-new-tokens", "4", "--quiet"),
)


def test_a_new_task_and_a_new_learner_pass_their_tests_and_run(
    outside: Callable[..., CompletedProcess[str]], tiny_model: Path, tmp_path: Path
) -> None:
    write("task", "sums", tmp_path / "sums")
    write("learner", "acme-lab/two-prompts", tmp_path / "two")
    folders = [str(tmp_path / "sums"), str(tmp_path / "two")]
    steps = [
        ["-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", *folders],
        ["-m", "pytest", "-q", "-p", "no:cacheprovider", *folders],
        [
            *COMMAND, "run", "--stream", "sums", "--learner", "two-prompts",
            "--model", str(tiny_model), "--out", str(tmp_path / "run"), *SMALL,
        ],
    ]  # fmt: skip
    for arguments in steps:
        done = outside(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    run = Run(tmp_path / "run")
    assert run.manifest["plugins"] == {"cl-bench-sums": "0.1.0", "acme-lab": "0.1.0"}
    assert set(run.table("steps")["domain"]) == {"cl-bench-sums/sums"}


def test_the_command_says_what_to_do_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["new", "task", "acme-lab/sums"])
    assert done.exit_code == 0
    assert "python -m pip install -e './acme-lab[test]' && python -m pytest acme-lab" in done.stdout
    assert "cl-bench run --stream sums --learner rl" in done.stdout
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {
        "acme-lab/pyproject.toml",
        "acme-lab/README.md",
        "acme-lab/src/acme_lab/__init__.py",
        "acme-lab/src/acme_lab/sums.py",
        "acme-lab/tests/test_sums.py",
    }


@pytest.mark.parametrize("kind", ["task", "learner"])
def test_every_word_of_a_template_is_filled_in(kind: str, tmp_path: Path) -> None:
    write(kind, "acme-lab/two-words", tmp_path / "new")
    for file in (tmp_path / "new").rglob("*.*"):
        assert file.is_dir() or "$" not in file.read_text()
    (module,) = (tmp_path / "new" / "src" / "acme_lab").glob("two_words.py")
    assert "class TwoWords" in module.read_text()
    assert '"acme-lab/two-words"' in module.read_text()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "small letters"),
        ("Colours", "small letters"),
        ("two words", "small letters"),
        ("../up", "small letters"),
        ("acme/", "small letters"),
        ("a/b/c", "small letters"),
        ("1st", "small letters"),
        ("double--hyphen", "small letters"),
        ("math-to-code", "joins the domains"),
        ("acme-lab/class", "'class' is a word of Python's own"),
        ("json/colours", "imported as 'json' is installed already"),
        ("numpy/colours", "imported as 'numpy' is installed already"),
    ],
)
def test_an_impossible_name_is_refused_with_a_possible_one(
    name: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["new", "task", name])
    assert done.exit_code == 2
    assert reason in done.stderr
    assert "'acme/colours'" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_name_alone_gets_a_package_called_after_it() -> None:
    names = named("task", "two-words")
    assert (names.package, names.name) == ("cl-bench-two-words", "cl-bench-two-words/two-words")
    assert names.short == "two-words"
    assert (names.module, names.file, names.type) == ("cl_bench_two_words", "two_words", "TwoWords")


@pytest.mark.parametrize(
    ("kind", "entry"), [("task", "math"), ("task", "paper"), ("learner", "rl"), ("learner", "math")]
)
def test_what_is_built_in_keeps_its_name(kind: str, entry: str) -> None:
    names = named(kind, f"acme/{entry}")
    assert names.short == ("math" if kind == "learner" and entry == "math" else f"acme/{entry}")


def test_an_existing_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(UsageError, match="already exists and nothing in it is overwritten"):
        write("task", "colours", tmp_path / "mine")
    assert [path.name for path in tmp_path.rglob("*")] == ["mine"]


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(UsageError, match=r"Cannot write .*: .*Give another --out"):
        write("learner", "colours", tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text() == "precious"
