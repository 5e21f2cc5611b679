"""Resolving settings: defaults, preset, file and options, each over the one before."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from cl_bench import api
from cl_bench.contract.errors import UsageError
from cl_bench.contract.registry import LEARNERS
from cl_bench.execution.settings import RunConfig, configure

FILE = """
stream = "facts"
seed = 3
steps = 4
[learner]
name = "fst"
population = 8
[evaluation]
items = 32
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(FILE)
    return path


def test_options_go_to_the_part_that_has_them() -> None:
    config = configure(learner="rl-kl", kl_beta=0.5, items=8, eval_every=3, group_size=4)
    assert (config.evaluation.items, config.eval_every, config.learning.group_size) == (8, 3, 4)
    assert asdict(config.learning)["kl_beta"] == 0.5


def test_a_configuration_survives_the_manifest() -> None:
    for learner in LEARNERS.table:
        config = configure(learner=learner, seed=7)
        assert RunConfig.from_dict(asdict(config)) == config


def test_settings_of_another_learner_are_refused_with_whose_they_are() -> None:
    with pytest.raises(UsageError, match=r"population is not a setting of rl, but of prompt, fst"):
        configure(learner="rl", population=3)


def test_settings_of_nobody_are_refused_with_a_guess() -> None:
    with pytest.raises(UsageError, match=r"Unknown setting 'populaton'. Did you mean 'population'"):
        configure(learner="fst", populaton=3)


def test_settings_of_another_learners_class_are_refused() -> None:
    with pytest.raises(UsageError, match=r"learning is a RLConfig, but fst takes a FastSlowConfig"):
        RunConfig(learner="fst", learning=LEARNERS.load("rl").config())


def test_a_presets_settings_go_to_learners_that_have_them() -> None:
    assert asdict(configure(learner="fst", model="smollm2").learning)["reflection_lm"] == "digest"
    assert "reflection_lm" not in asdict(configure(learner="rl", model="smollm2").learning)


def test_a_file_lies_between_preset_and_options(file: Path) -> None:
    asked = api.resolve(file, items=16)
    learning = asdict(asked.config.learning)
    assert (asked.stream.name, asked.stream.stages[0].steps) == ("facts", 4)
    assert (asked.config.seed, learning["seed"], learning["population"]) == (3, 3, 8)
    assert asked.config.evaluation.items == 16


def test_what_is_printed_is_read_again_as_the_same_settings(file: Path, tmp_path: Path) -> None:
    asked = api.resolve(file, feedback="full", seed_prompt='say "so" \\ — ü \x7f')
    again = tmp_path / "again.toml"
    again.write_text(asked.toml(), encoding="utf-8")
    assert api.resolve(again).config == asked.config
    assert api.resolve(again).stream == asked.stream


def test_a_learner_may_be_named_without_a_table(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("learner = 'rl'")
    assert api.resolve(path).config.learner == "rl"
