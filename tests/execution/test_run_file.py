"""Settings files: every key in its place and within its bounds, or one line that names the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from cl_bench.contract.errors import UsageError
from cl_bench.execution.run_file import read_run_file


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("run.toml")


def test_a_file_is_read_as_flat_options(file: Path) -> None:
    file.write_text(
        "seed = 3\nsteps = 4\n[learner]\nname = 'rl'\ngroup_size = 4\n[evaluation]\nitems = 8\n"
    )
    found = {"seed": 3, "steps": 4, "learner": "rl", "group_size": 4, "items": 8}
    assert read_run_file(file) == found
    file.write_text("[chat_template]\nreasoning_effort = 'low'\nitems = 3\n")
    assert read_run_file(file) == {"chat_template": {"reasoning_effort": "low", "items": 3}}
    file.write_text("learner = 'rl'\n")
    assert read_run_file(file) == {"learner": "rl"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[learner]\nname = 'fst'\npopulatio = 3",
            "Unknown key of [learner] in run.toml 'populatio'. Did you mean 'population'? Known: ",
        ),
        ("[evaluation]\nitms = 3", "Unknown key of [evaluation] in run.toml 'itms'."),
        ("sed = 3", "Unknown key of run.toml 'sed'. Did you mean 'seed'?"),
        ("items = 3", "run.toml: items belongs in [evaluation], not at the top."),
        ("population = 3", "run.toml: population belongs in [learner], not at the top."),
        ("[learner]\nseed = 3", "run.toml: seed belongs at the top, not in [learner]."),
        ("[learner]\nitems = 3", "items belongs in [evaluation], not in [learner]."),
        (
            "[lerner]\nname = 'rl'",
            "Unknown table of run.toml 'lerner'. Did you mean 'learner'? Known: chat_template",
        ),
        ("chat_template = 3", "run.toml: chat_template is 3, but must be a table of variables"),
        ("[chat_template]\na = [1]", "run.toml: a in [chat_template] is [1], but must be a text"),
        ("evaluation = 3", "run.toml: evaluation is 3, but must be a table"),
        ("seed = -1", "run.toml: seed is -1, but must be at least 0"),
        ("steps = 'x'", "run.toml: steps is 'x', but must be a whole number"),
        ("stream = 3", "run.toml: stream is 3, but must be a text"),
        ("[learner]\npopulation = 0", "run.toml: population is 0, but must be at least 1"),
        ("[learner]\nname = 3", "run.toml: learner is 3, but must be a text"),
        ("[evaluation]\nitems = true", "run.toml: items is True, but must be a whole number"),
        (
            "[learner]\nname = 'rl'\npopulation = 3",
            "run.toml: population is not a setting of rl, but of prompt, fst",
        ),
    ],
)
def test_what_cannot_be_is_told_with_the_file_and_what_to_write(
    file: Path, text: str, said: str
) -> None:
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_run_file(file)
    assert str(caught.value).startswith(("run.toml: ", "Unknown "))
    assert said in str(caught.value)


def test_the_names_listed_for_a_learner_are_its_own(file: Path) -> None:
    file.write_text("[learner]\nname = 'rl'\nlerning_rate = 1.0\n")
    with pytest.raises(UsageError) as caught:
        read_run_file(file)
    _, _, known = str(caught.value).partition("Known: ")
    assert "group_size, kl_beta, learning_rate" in known
    assert "population" not in known
    assert "items" not in known


def test_a_learner_that_is_asked_for_takes_the_place_of_the_files(file: Path) -> None:
    file.write_text("[learner]\nname = 'rl'\npopulation = 3\n")
    assert read_run_file(file, "fst") == {"learner": "rl", "population": 3}
