"""Streams as TOML files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cl_bench.contract.errors import UsageError
from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.stream import Stage, Stream
from cl_bench.contract.stream_names import stream

GOOD = """
name = "small"
retention = ["facts"]

[[stage]]
domain = "math"
steps = 4
setting = "easy"

[[stage]]
domain = "gym/gcd"
steps = 6
options = { max_value = 20 }
"""


def write(folder: Path, text: str) -> str:
    path = folder / "my-stream.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_file_says_what_the_stages_are(tmp_path: Path) -> None:
    found = stream(write(tmp_path, GOOD))
    assert found.name == "small"
    assert found.stages == (Stage("math", 4, "easy"), Stage("gym/gcd?max_value=20", 6))
    assert found.outside == ("facts",)


def test_parameters_may_be_texts_and_lists(tmp_path: Path) -> None:
    stage = '[[stage]]\ndomain = "gym/basic_arithmetic"\noptions = { operators = %s }'
    one, other = (
        stream(write(tmp_path, stage % given)).stages[0] for given in ('"+,-"', '["+", "-"]')
    )
    assert one == other
    assert one.domain == "gym/basic_arithmetic?operators=+,-"


def test_an_option_may_hold_what_joins_domains_and_options(tmp_path: Path) -> None:
    rows = "".join(f'{{"prompt": "{n}?", "answer": "a-to-b & {n}%"}}\n' for n in range(60))
    (tmp_path / "ways.jsonl").write_text(rows, encoding="utf-8")
    pattern = "^a-to-b & [0-9]+%$"
    stage = f'[[stage]]\ndomain = "ways.jsonl"\noptions = {{ pattern = "{pattern}" }}'
    domain: Any = DOMAINS.load(stream(write(tmp_path, stage)).stages[0].source)
    assert domain.verifier.pattern == pattern


def test_what_a_stage_trains_on_cannot_be_kept_outside(tmp_path: Path) -> None:
    text = 'retention = ["gym/gcd"]\n[[stage]]\ndomain = "gym/gcd"'
    with pytest.raises(UsageError, match=r"retention in .* names gym/gcd, which a stage trains"):
        stream(write(tmp_path, text))


def test_what_a_manifest_says_of_it_gives_the_same_stream(tmp_path: Path) -> None:
    found = stream(write(tmp_path, GOOD))
    assert Stream.from_description(found.describe()) == found


def test_steps_and_setting_replace_those_of_every_stage(tmp_path: Path) -> None:
    found = stream(write(tmp_path, GOOD), steps=2, setting="hard")
    assert {(stage.steps, stage.setting) for stage in found.stages} == {(2, "hard")}


def test_without_a_name_it_is_called_like_its_file(tmp_path: Path) -> None:
    assert stream(write(tmp_path, '[[stage]]\ndomain = "math"')).name == "my-stream"


def test_the_path_of_a_data_file_is_taken_from_the_streams_folder(tmp_path: Path) -> None:
    rows = "".join(f'{{"prompt": "What is {n} + 1?", "answer": "{n + 1}"}}\n' for n in range(60))
    (tmp_path / "sums.jsonl").write_text(rows, encoding="utf-8")
    found = stream(write(tmp_path, '[[stage]]\ndomain = "sums.jsonl"\nsteps = 3'))
    assert found.stages[0].domain == "file/sums.jsonl"
    assert found.stages[0].source.startswith(str(tmp_path / "sums.jsonl"))
    assert found.outside == ()


def test_a_data_file_may_be_kept_outside_and_lies_beside_the_stream_too(tmp_path: Path) -> None:
    rows = "".join(f'{{"prompt": "What is {n} + 1?", "answer": "{n + 1}"}}\n' for n in range(60))
    (tmp_path / "sums.jsonl").write_text(rows, encoding="utf-8")
    kept = 'retention = ["sums.jsonl?verifier=number"]\n[[stage]]\ndomain = "gym/gcd"'
    (outside,) = stream(write(tmp_path, kept)).outside
    assert outside.startswith(str(tmp_path / "sums.jsonl"))
    assert DOMAINS.load(outside).name == "file/sums.jsonl"


def test_a_stage_may_be_as_long_as_its_rollouts_in_steps_of_any_size(tmp_path: Path) -> None:
    file = write(tmp_path, '[[stage]]\ndomain = "math"\nrollouts = 130')
    assert [stream(file, step_rollouts=n).stages[0].steps for n in (64, 65, 130, 500)] == [
        *(3, 2, 1, 1)
    ]
    assert stream(file, rollouts=640, step_rollouts=32).stages == (Stage("math", 20),)
    assert stream(file, steps=5, step_rollouts=32).stages == (Stage("math", 5),)
    with pytest.raises(UsageError, match="steps=5 and rollouts=640 both say how long"):
        stream(file, steps=5, rollouts=640)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = 'x'", r"has no stages\. Write one table for each"),
        ("stage = []", "has no stages"),
        ("[[stage]]\ndomain = 'math'\n" * 1_001, "has 1,001 stages, but may have 1,000"),
        ("[[stage]]\nsteps = 4", "stage 1 of .* names no domain"),
        ("[[stage]]\ndomain = 'maths'", "Unknown domain 'maths'. Did you mean 'math'"),
        (
            "[[stage]]\ndomain = 'math'\nstep = 4",
            "Unknown key in stage 1 .* 'step'. Did you mean 'steps'",
        ),
        ("[[stage]]\ndomian = 'math'", "Unknown key in stage 1 .* 'domian'. Did you mean 'domain'"),
        ("nme = 'x'\n[[stage]]\ndomain = 'math'", "Unknown key in .* 'nme'. Did you mean 'name'"),
        (
            "[[stage]]\ndomain = 'math'\nsteps = 4\nrollouts = 256",
            "stage 1 .* has steps and rollouts",
        ),
        ("[[stage]]\ndomain = 'math'\nsteps = 0", "steps in stage 1 .* must be at least 1"),
        ("[[stage]]\ndomain = 'math'\nsteps = 'four'", "steps in stage 1 .* a whole number"),
        ("[[stage]]\ndomain = 'math'\nsetting = 'esy'", "Did you mean 'easy'"),
        ("[[stage]]\ndomain = 'gym/gcd'\noptions = 3", "options in stage 1 .* must be a table"),
        ("[[stage]]\ndomain = 'gym/gcd'\noptions = { max_valu = 3 }", "max_value"),
        ("retention = 'math'\n[[stage]]\ndomain = 'code'", "must be a list of domains"),
        ("[[stage", "is not a TOML file"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as raised:
        stream(write(tmp_path, text))
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be read: No such file"):
        stream(str(tmp_path / "none.toml"))
