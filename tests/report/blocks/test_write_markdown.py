"""Untrusted texts in Markdown: shown as they are, obeyed nowhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cl_bench.contract.text import printable
from cl_bench.report.blocks.write_markdown import escaped, fenced

HARMFUL = (
    "```", "````\n", "~~~", "\n```\n# no", "</pre><script>alert(1)</script>", "<img onerror=x>",
    "[a](javascript:x)", "![a](http://x)", "|", "\\", "`", "*b*", "_i_", "\n\n", "\r", "\x1b[31m",
    "\u202e", "&lt;", "<!--", "-->", "---\n", "$x$", "# h", "http://x.example", "\ud800",
    "1. ", "2) ", "- ", "+ ", "[x] ", "    ", "www.x.example", "@name", "===",
)  # fmt: skip
TEXTS = st.lists(st.one_of(st.sampled_from(HARMFUL), st.text(max_size=8)), max_size=6).map("".join)


@given(TEXTS)
def test_a_fence_holds_the_whole_text_and_nothing_ends_it(text: str) -> None:
    tokens = MarkdownIt("commonmark").parse(f"before\n\n{fenced(text)}\n\nafter")
    assert [token.type for token in tokens if token.level == 0] == [
        *("paragraph_open", "paragraph_close", "fence", "paragraph_open", "paragraph_close")
    ]
    (fence,) = (token for token in tokens if token.type == "fence")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert fence.content == "".join(f"{printable(line.expandtabs())}\n" for line in lines)


@given(TEXTS)
def test_an_escaped_text_is_one_line_of_plain_text(text: str) -> None:
    (inline,) = (
        token
        for token in MarkdownIt("commonmark").enable("table").parse(f"x {escaped(text)} x")
        if token.type == "inline"
    )
    assert {child.type for child in inline.children or ()} == {"text"}
    shown = "".join(child.content for child in inline.children or ())
    assert shown.replace("@\u200b", "@") == f"x {printable(text)} x"


@given(TEXTS)
def test_an_escaped_text_is_a_paragraph_wherever_its_line_begins(text: str) -> None:
    for before in ("", "- "):
        kinds = {token.type for token in MarkdownIt("commonmark").parse(before + escaped(text))}
        listed = {
            f"{name}_{end}" for name in ("bullet_list", "list_item") for end in ("open", "close")
        }
        assert kinds - (listed if before else set()) <= {
            "paragraph_open",
            "inline",
            "paragraph_close",
        }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# BIG", "\\# BIG"),
        ("1. first", "1\\. first"),
        ("[x] done", "\\[x] done"),
        ("see https://x.example", "see https\\://x.example"),
        ("www.x.example, WWW.y", "www\\.x.example, WWW\\.y"),
        ("by @name", "by @&#8203;name"),
    ],
)
def test_what_github_makes_of_a_line_is_escaped_too(text: str, expected: str) -> None:
    assert escaped(text) == expected


def test_an_escaped_text_stays_in_its_cell() -> None:
    page = f"| a | b |\n|---|---|\n| {escaped('x | y')} | z |\n"
    html = MarkdownIt("commonmark").enable("table").render(page)
    assert "<td>x | y</td>\n<td>z</td>" in html
