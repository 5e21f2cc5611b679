"""The options of `cl-bench run`, made from settings, printed by a dry run; and docs/settings.md."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cl_bench.cli.app import app
from cl_bench.contract.registry import LEARNERS
from cl_bench.contract.settings import settings_of
from cl_bench.tools.settings_page import markdown


def dry(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["run", *arguments, "--dry-run"])
    assert done.exit_code == 0, done.output
    return tomllib.loads(done.stdout)


def test_every_setting_of_every_built_in_learner_has_an_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for learner in LEARNERS.table:
        changed: dict[str, Any] = {}
        for item in settings_of(LEARNERS.load(learner).config):
            if item.rule.option and item.type in (int, float):
                changed[item.name] = item.bounds[1] if item.type is float else 7
        words = [w for n, v in changed.items() for w in (f"--{n.replace('_', '-')}", str(v))]
        assert changed.items() <= dry("--learner", learner, *words)["learner"].items()
    assert not list(tmp_path.iterdir())  # a dry run writes nothing


def test_a_file_and_options_of_a_learner_by_name_meet(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("[learner]\nname = 'fst'\npopulation = 8\nrefill = false\n")
    found = dry("--config", str(file), "--learner-option", "population=2", "--no-mixed-groups")
    learner = found["learner"]
    assert (learner["population"], learner["refill"], learner["mixed_groups"]) == (2, False, False)


@pytest.mark.parametrize(
    "given", ["config=3", "items=3", "stream=nope", "learner=rl", "popluation=2"]
)
def test_an_option_of_the_learner_has_to_be_one(given: str) -> None:
    done = CliRunner().invoke(app, ["run", "--learner-option", given, "--dry-run"])
    assert done.exit_code == 2
    assert f"Unknown setting of fst '{given.partition('=')[0]}'" in done.output


def test_boundaries_are_words_on_the_command_line() -> None:
    assert dry()["announced"] is False
    assert dry("--boundaries", "announced")["announced"] is True


def test_the_committed_page_of_settings_is_generated() -> None:
    page = Path(__file__).parents[2] / "docs" / "settings.md"
    assert page.read_text(encoding="utf-8") == markdown()
