"""Keys and passwords stay out of what is stored, logged and printed."""

from __future__ import annotations

import pytest

from cl_bench.contract.redaction import redacted, say, short_line

LONG, SHORT = "hf_abcdefghSECRETTAIL", "hf_abcdefgh"


@pytest.mark.parametrize("names", [("A_TOKEN", "B_KEY"), ("B_KEY", "A_TOKEN")])
def test_nothing_is_left_of_a_key_that_begins_with_another_one(
    names: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, key in zip(names, (SHORT, LONG), strict=True):
        monkeypatch.setenv(name, key)
    told = redacted(f"keys {LONG} and {SHORT}, not {SHORT[:7]}")
    assert told == "keys [hidden] and [hidden], not hf_abcd"


def test_a_short_value_is_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    assert redacted("there is none") == "there is none"


@pytest.mark.parametrize("user", ["ada:pa55word", "AKIA0", ":pa55word"])
@pytest.mark.parametrize("scheme", ["http", "HTTPS", "postgres", "s3", "git+ssh"])
def test_users_of_urls_are_neither_stored_nor_printed(
    scheme: str, user: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = f"see {scheme}://{user}@host:80/x and 3 @ home"
    bare = f"see {scheme}://host:80/x and 3 @ home"
    assert short_line(line) == bare
    say(line)
    assert capsys.readouterr().err == f"cl-bench: {bare}\n"


def test_a_foreign_text_loses_the_queries_of_its_urls() -> None:
    line = "GET postgres://h/db?password=pw123 and https://h/a#t=1, failed?"
    assert short_line(line) == "GET postgres://h/db and https://h/a failed?"
