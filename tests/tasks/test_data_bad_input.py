"""Files that cannot be used: each is one clear line that names the place and what to do."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cl_bench.contract.errors import UsageError
from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.text import printable

ROWS: list[dict[str, Any]] = [{"prompt": f"q{n}", "answer": n} for n in range(20)]


def lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def with_row(number: int, **cells: Any) -> bytes:
    """The rows, of which one has other cells; its line is `number`."""
    rows = [*ROWS]
    rows[number - 1] = rows[number - 1] | cells
    return lines(rows)


def with_splits(*splits: str) -> bytes:
    return lines([row | {"split": split} for row, split in zip(ROWS, splits, strict=False)])


def message(place: Path, name: str, content: bytes = b"") -> str:
    """What loading says of a file with that content; the name may have options."""
    (place / name.partition("?")[0]).write_bytes(content)
    return refusal(place / name)


def refusal(name: object) -> str:
    with pytest.raises(UsageError) as caught:
        DOMAINS.load(str(name))
    said = str(caught.value)
    assert said == printable(said)
    return said


PICTURE = [{"role": "user", "content": [{"type": "image", "image": "x.png"}]}]
FILES: dict[str, tuple[str, bytes, str]] = {
    "a file of white space": ("my.jsonl", b"\n \n", "is empty"),
    "a CSV with a header only": ("my.csv", b"prompt,answer\n", "is empty"),
    "one document named .jsonl": ("my.jsonl", b'[\n{"prompt": 1}]', "Line 1 .* name it .json"),
    "a line that is no object": ("my.jsonl", b"[1, 2]\n", "Line 1 .* is a list, but must be"),
    "no number": ("my.jsonl", b'{"prompt": "q", "answer": NaN}', "Line 1 .*NaN is no number"),
    "lines named .json": ("my.json", lines(ROWS), "line 2: Extra data .* is a .jsonl file"),
    "a document without rows": ("my.json", b'{"prompt": "q"}', "holds no list of rows"),
    "nested too deeply": ("my.json", b"[" * 100_000, "nested too deeply"),
    "binary rubbish": ("my.jsonl", bytes(range(128, 256)), r"no UTF-8 text \(line 1"),
    "another encoding": ("my.csv", "prompt,answer\nä,1\n".encode("latin-1"),
                         r"\(line 2: .* Save it as UTF-8"),
    "UTF-16 without its mark": ("my.csv", "prompt,answer\n".encode("utf-16-le"), "NUL bytes"),
    "an archive named .jsonl": ("my.jsonl", gzip.compress(lines(ROWS)), "looks like a gzip"),
    "no Parquet": ("my.parquet", b"PAR1 no", "is no whole Parquet file"),
    "a quote open to the end": ("my.csv", b'prompt,answer\nq,1\n"r,2\ns,3\n',
                                "Line 3 .* never closed"),
    "two columns of one name": ("my.csv", b"prompt,answer,answer\n",
                                "two columns called 'answer'"),
    "no column of answers": (
        "my.csv", b"prompt,right\nq,1\n",
        r"no column of answers. It has: prompt, right. Understood are: answer, .*\?answer=COLUMN"),
    "an option without a value": ("my.jsonl?verifier", lines(ROWS), "Write verifier=VALUE"),
    "an option that is given twice": ("my.jsonl?verifier=exact&verifier=number", lines(ROWS),
                                      "The option 'verifier' is given twice. Give it once"),
    "an option in two spellings": ("my.jsonl?licence=a&license=b", lines(ROWS),
                                   "The option 'licence' is given twice"),
    "a pattern for another verifier": ("my.jsonl?verifier=exact&pattern=x", lines(ROWS),
                                       "pattern= goes with verifier=regex"),
    "a pattern that is too long": (f"my.jsonl?pattern={'x' * 1001}", lines(ROWS),
                                   "1,001 characters"),
    "a pattern that its answer does not match": (
        "my.jsonl?verifier=regex",
        lines([row | {"answer": f"^x+{n}$"} for n, row in enumerate(ROWS)]),
        "Add a column `solution`"),
    "a function that is not there": ("my.jsonl?verifier=python:json.judge", lines(ROWS),
                                     "json has no function 'judge'"),
    "no function": ("my.jsonl?verifier=python:judge", lines(ROWS), "names no function"),
    "a text where a number is needed": (
        "my.jsonl?verifier=number",
        lines([row | {"answer": f"about {n}"} for n, row in enumerate(ROWS)]),
        "verifier number cannot judge by .* 'about 0' in line 1 .*, because it is no number"),
    "a text where JSON is needed": (
        "my.jsonl?verifier=json", lines([row | {"answer": "a0"} for row in ROWS]),
        r"verifier json cannot .* 'a0' in line 1 of .*, because it is no JSON \(Expecting value"),
    "a text where a letter is needed": (
        "my.jsonl?verifier=choice", lines([row | {"answer": "AB"} for row in ROWS]),
        "is no letter of a choice"),
    "an answer of spaces": ("my.jsonl", with_row(5, answer="  "), "answer in line 5 .* is empty"),
    "an empty cell": ("my.csv", b"prompt,answer\nq,1\nr,\n", "answer in line 3 .* is empty"),
    "an answer that is a list": ("my.jsonl", with_row(5, answer=[1]), "line 5 .* is a list"),
    "an answer that is an object": ("my.jsonl", with_row(5, answer={}), "line 5 .* is an object"),
    "a prompt that is a number": ("my.jsonl", with_row(6, prompt=[1]), "prompt in line 6 .*a list"),
    "a picture": ("my.jsonl", with_row(7, prompt=PICTURE), "images are not understood"),
    "an answer of ten megabytes": (
        "my.jsonl",
        lines([r | {"answer": "x" * (10_000_000 if n == 3 else 9)} for n, r in enumerate(ROWS)]),
        "answer in line 4 .* has 10,000,000 characters; at most 10,000"),
    "a cell of ten megabytes": (
        "my.csv", b"prompt,answer\nq,1\n" + b"x" * 10_000_000 + b",2\n",
        "Line 3 .* a cell is too long"),
    "feedback that is no text": ("my.jsonl", with_row(2, feedback=7), r"\?feedback= ignores"),
    "an unknown split": ("my.jsonl", with_splits(*["train"] * 19, "tset"), "line 20 .* 'tset'"),
    "a row without a split": (
        "my.jsonl", lines([*[row | {"split": "train"} for row in ROWS[1:]], ROWS[0]]),
        "split in line 20 .* is empty, but must be one of train, .* add .split= to"),
    "a split of one": ("my.jsonl", with_splits(*["train"] * 19, "test"),
                       "split test of .* has 1 different problems; at least 2"),
}  # fmt: skip
"""More than tests/test_bad_input.py documents."""


@pytest.mark.parametrize("what", FILES)
def test_a_file_that_cannot_be_used_is_refused_in_one_clear_line(what: str, tmp_path: Path) -> None:
    name, content, expected = FILES[what]
    said = message(tmp_path, name, content)
    assert re.search(expected, said), said


def test_a_file_that_is_not_there_suggests_one_that_is(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_bytes(lines(ROWS))
    assert "Did you mean 'mine.jsonl'?" in refusal(tmp_path / "mien.jsonl")
    assert "There is no folder" in refusal(tmp_path / "nowhere" / "mine.jsonl")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "my.jsonl").mkdir()
    assert "is a folder" in refusal(tmp_path / "my.jsonl")
    os.mkfifo(tmp_path / "pipe.csv")
    assert "is no regular file" in refusal(tmp_path / "pipe.csv")


def test_files_that_are_too_large_are_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "huge.jsonl").open("wb") as file:
        file.truncate(3_000_000_000)
    assert "3.0 GB; at most" in refusal(tmp_path / "huge.jsonl")


def test_files_of_too_many_rows_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cl_bench.tasks.data.reading.MOST_ROWS", 15)
    assert "more than 15 rows" in message(tmp_path, "my.jsonl", lines(ROWS))


def test_a_path_that_reads_as_several_domains_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a.jsonl-to-b"
    folder.mkdir()
    (folder / "my.jsonl").write_bytes(lines(ROWS))
    monkeypatch.chdir(folder)
    assert "reads as several domains" in refusal("my.jsonl")


def test_a_broken_file_beside_the_data_is_refused(tmp_path: Path) -> None:
    about = tmp_path / "my.about.json"
    about.write_text("{")
    assert "my.about.json is no JSON" in message(tmp_path, "my.jsonl", lines(ROWS))
    about.write_text('{"licence": 3}')
    assert "object of texts" in refusal(tmp_path / "my.jsonl")


def test_names_in_files_cannot_reach_the_terminal(tmp_path: Path) -> None:
    said = message(tmp_path, "my.jsonl", b'{"\\u001b[31mred": 1}')
    assert "\\x1b[31mred" in said


def test_math_verify_is_asked_for_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cl_bench.tasks.data.verifiers.find_spec", lambda _: None)
    said = message(tmp_path, "my.jsonl?verifier=math", lines(ROWS))
    assert "pip install 'cl-bench[math]'" in said


def test_unknown_settings_feedback_levels_and_splits_are_refused(tmp_path: Path) -> None:
    (tmp_path / "my.jsonl").write_bytes(lines(ROWS))
    domain = DOMAINS.load(str(tmp_path / "my.jsonl"))
    with pytest.raises(UsageError, match="setting of file/my"):
        domain.task(seed=0, setting="hard", feedback="none")
    task = domain.task(seed=0, setting="default", feedback="none")
    with pytest.raises(UsageError, match="split 'dev'"):
        task.problems("dev", 1)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="must be 0 or more"):
        task.problems("train", -1)
