"""The README and the pages of docs/: their Python runs, and their commands can be typed.

Python of a page is run from top to bottom, in a folder with a run in `results/`; a block of text
right below is what it prints. A block below `<!-- not run -->` is left out. Commands are parsed.
"""

from __future__ import annotations

import io
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from typer import Exit
from typer.main import get_command

from cl_bench.cli.app import app
from cl_bench.cli.usage_page import markdown

ROOT = Path(__file__).parents[2]
# docs/cli.md is the usage of the commands, and made from them
PAGES = {f"docs/{path.name}": path for path in (ROOT / "docs").glob("*.md") if path.stem != "cli"}
PAGES |= {name: ROOT / name for name in ("README.md", "CONTRIBUTING.md")}
NOT_RUN = "<!-- not run -->"


@dataclass(frozen=True)
class Snippet:
    """A block of Python, and what the page says that it prints."""

    code: str
    line: int
    shown: str | None


def tokens(page: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(PAGES[page].read_text(encoding="utf-8"))


def snippets(page: str) -> list[Snippet]:
    """The page's Python that is run, in order."""
    found = []
    blocks = [None, *tokens(page), None]
    for before, block, after in zip(blocks, blocks[1:], blocks[2:], strict=False):
        if block is None or block.type != "fence" or block.info != "python":
            continue
        if before is not None and before.type == "html_block" and NOT_RUN in before.content:
            continue
        printed = after is not None and after.type == "fence" and after.info == "text"
        line = (block.map or [0])[0] + 1
        found.append(Snippet(block.content, line, after.content if after and printed else None))
    return found


def commands(page: str) -> Iterator[tuple[str, bool]]:
    """The lines of `cl-bench` on a page, each with whether it is a part of a sentence."""
    for token in tokens(page):
        if token.type in ("fence", "code_block"):
            for line in token.content.replace("\\\n", " ").splitlines():
                typed = line.strip().removeprefix("$ ")
                if typed.startswith("cl-bench "):
                    yield typed, False
        for part in token.children or ():
            if part.type == "code_inline" and part.content.startswith("cl-bench "):
                yield part.content, True


@pytest.fixture
def place(tmp_path: Path, packed_run: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder as the pages speak of it: one packed run lies in `results/runs`."""
    pack = tmp_path / "results/runs/math-to-code/fst-5-1e480b6d.zip"
    pack.parent.mkdir(parents=True)
    shutil.copy(packed_run, pack)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", sorted(page for page in PAGES if snippets(page)))
@pytest.mark.usefixtures("place")
def test_the_python_of_a_page_runs_and_prints_what_is_shown(
    page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    for snippet in snippets(page):
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(compile(snippet.code, f"{page}:{snippet.line}", "exec"), vars(module))
        if snippet.shown is not None:
            assert printed.getvalue() == snippet.shown


@pytest.mark.parametrize("page", sorted(PAGES))
def test_the_commands_of_a_page_can_be_typed(page: str) -> None:
    wrong = {}
    for line, in_a_sentence in commands(page):
        if fault := parse(line, in_a_sentence):
            wrong[line] = fault
    assert wrong == {}


def parse(line: str, in_a_sentence: bool) -> str:
    """What is wrong with a command. What … stands for is left out; a $variable is a number."""
    typed = re.sub(r"(--\S+ )?\S*…\S*", "", re.sub(r"\$\w+", "0", line)).partition(" > ")[0]
    words = shlex.split(typed, comments=True)[1:]
    command: Any = get_command(app)
    while words and words[0] in getattr(command, "commands", ()):
        command = command.commands[words.pop(0)]
    if hasattr(command, "commands"):
        known = not words or words[0].startswith("-")
        return "" if known else f"no command {words[0]!r}"
    try:
        command.make_context(line, words)
    except Exit:
        pass
    except Exception as error:  # noqa: BLE001 - typer has its own copy of click's errors
        if not (in_a_sentence and "Missing" in str(error)):
            return str(error)
    return ""


def test_the_page_of_the_command_line_is_generated() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert page == markdown(), "run `python -m cl_bench.cli.usage_page > docs/cli.md`"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) < 1_200
