"""What a run needs: from shapes alone, from the budgets of passes, and what to change."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cl_bench import api
from cl_bench.cli.app import app
from cl_bench.contract.errors import ModelError
from cl_bench.execution import machine, requirements
from cl_bench.execution.requirements import (
    Rates,
    calibrate,
    memory_before,
    memory_of,
    times_of,
    work_of,
)
from cl_bench.model import memory
from cl_bench.model.loading import shapes_of
from cl_bench.model.policy import Policy

GB = 2**30


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def needs(model: Path, free: int = 8 * GB, **options: Any) -> requirements.Memory:
    config = api.resolve(model=str(model), learner="rl", **options).config
    shapes = shapes_of(str(model), lora=config.lora)
    return memory_of(shapes, config, 50, card=options.get("card"), free=free)


def test_shapes_are_those_of_the_model_and_hold_nothing(tiny_model: Path) -> None:
    shapes, loaded = shapes_of(str(tiny_model)), Policy.load(str(tiny_model)).model
    assert {weight.device.type for weight in shapes.parameters()} == {"meta"}
    assert memory.Held.of(shapes) == memory.Held.of(loaded)
    assert memory.cache_bytes(shapes) == memory.cache_bytes(loaded)


def test_shapes_of_a_name_that_is_no_model_are_refused() -> None:
    with pytest.raises(ModelError, match=r"There is no model folder '\./nope'"):
        shapes_of("./nope")


def test_an_adapter_needs_no_base_and_little_for_what_is_trained(tiny_model: Path) -> None:
    whole, adapted = needs(tiny_model), needs(tiny_model, peft="lora", lora_rank=1)
    weights = whole.held["weights"]
    assert whole.held["base, a frozen copy"] == whole.held["gradients"] == weights
    assert whole.held["AdamW's moments"] == 2 * weights
    assert "base, a frozen copy" not in adapted.held
    assert adapted.held["gradients"] < weights / 2


def test_a_large_model_with_a_small_adapter_needs_most_while_it_is_loaded(tiny_model: Path) -> None:
    found = replace(needs(tiny_model, peft="lora"), loading=100 * GB)
    assert found.peak == 100 * GB
    assert needs(tiny_model).loading > 2 * needs(tiny_model).held["weights"]
    config = api.resolve(model=str(tiny_model), learner="rl").config
    shapes = shapes_of(str(tiny_model))
    assert memory_of(shapes, config, 50, card=80 * GB, free=80 * GB).loading == 0


def test_a_learner_of_prompts_trains_nothing(tiny_model: Path) -> None:
    config = api.resolve(model=str(tiny_model), learner="prompt").config
    found = memory_of(shapes_of(str(tiny_model)), config, 50, card=None, free=GB)
    assert set(found.held) == {"weights", "base, a frozen copy", "libraries"}
    assert set(found.passes) == {"sampling", "scoring"}


def test_passes_stay_within_their_budgets(tiny_model: Path) -> None:
    long = needs(tiny_model, max_new_tokens=300, problems_per_step=64)
    vocabulary = memory.vocabulary(shapes_of(str(tiny_model)))
    assert long.passes["sampling"] < 1.1 * memory.CACHE + 16 * 256 * vocabulary
    assert long.passes["learning"] <= memory.ACTIVATIONS + 20 * memory.MOST_LOGITS
    assert long.peak == sum(long.held.values()) + max(long.passes.values())


def test_what_does_not_fit_is_told_with_what_would(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = api.resolve(model=str(tiny_model), learner="rl", stream="math", peft="none")
    found, advice = memory_before(asked.config, asked.stream)
    assert (found.fits, advice) == (True, [])
    monkeypatch.setattr(machine, "free_memory", lambda: int(found.peak * 1.1) - 1)
    found, advice = memory_before(asked.config, asked.stream)
    assert not found.fits
    assert any(line.startswith("--peft lora: ") for line in advice)
    monkeypatch.setattr(machine, "free_memory", lambda: 1000)
    _, advice = memory_before(asked.config, asked.stream)
    assert "a smaller model, or" in advice[0]


def test_a_dry_run_says_it_in_comments_of_a_settings_file(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "free_memory", lambda: 1000)
    done = CliRunner().invoke(app, ["run", "--model", str(tiny_model), "--dry-run"])
    assert done.exit_code == 0
    assert tomllib.loads(done.stdout)["model"] == str(tiny_model)
    assert "# memory: about " in done.stdout
    assert "which does not fit" in done.stdout
    assert "#   it would fit with a smaller model" in done.stdout


def test_a_dry_run_with_a_model_that_is_not_here_says_that_memory_is_not_known() -> None:
    done = CliRunner().invoke(app, ["run", "--model", "./nope", "--dry-run"])
    assert done.exit_code == 0
    assert "# memory: not known (There is no model folder './nope'" in done.stdout


def test_time_is_that_of_what_a_run_does() -> None:
    asked = api.resolve(
        stream="math-to-code", learner="rl", steps=10, eval_every=5, items=4, samples=2,
        problems_per_step=2, group_size=4, probes=False, retention="none",
    )  # fmt: skip
    times = times_of(asked.config, asked.stream, Rates(sample=1.0, score=0.5, learn=2.0, step=3.0))
    # The start and two of each stage; two domains of 4 problems, twice each, once scored under two.
    assert times.parts == {"steps": (20, 19.0), "evaluations": (5, 16 * 1.0 + 8 * 1.0)}
    assert times.total == 20 * 19 + 5 * 24
    few = replace(asked.config, evaluation=replace(asked.config.evaluation, kl_items=1))
    rates = Rates(sample=1.0, score=0.5, learn=2.0, step=3.0)
    assert times_of(few, asked.stream, rates).parts["evaluations"] == (5, 16 * 1.0 + 2 * 1.0)


@pytest.mark.parametrize(
    ("learner", "options", "rounds"),
    [
        ("fst", {"round_every": 6}, 4),  # before steps 1, 7, 13 and 19 of 20
        ("prompt-then-rl", {"consecutive_rounds": 2}, 2),
        ("prompt-then-rl", {"consecutive_rounds": 2, "announced": True}, 4),
        ("rl-then-prompt", {"consecutive_rounds": 2}, 8),
    ],
)
def test_rounds_are_foretold_as_they_are_made(
    learner: str, options: dict[str, Any], rounds: int
) -> None:
    asked = api.resolve(stream="math-to-code", steps=10, eval_every=5, learner=learner, **options)
    assert work_of(asked.config, asked.stream).rounds == rounds


def test_validation_problems_are_answered_and_not_scored() -> None:
    asked = api.resolve(stream="math-to-code", steps=10, items=4, learner="rl")
    more = api.resolve(stream="math-to-code", steps=10, items=4, validation_items=4, learner="rl")
    works = [work_of(one.config, one.stream) for one in (asked, more)]
    assert works[0].scored == works[1].scored
    assert 2 * works[0].answers == works[1].answers


@pytest.mark.parametrize("learner", ["rl", "fst-distill", "prompt"])
def test_a_calibration_times_a_few_responses(tiny_policy: Policy, learner: str) -> None:
    asked = api.resolve(
        stream="math", learner=learner, problems_per_step=4, group_size=4, max_new_tokens=8
    )
    rates = calibrate(tiny_policy, asked.config, asked.stream)
    assert 0 < rates.sample < 10
    assert 0 < rates.score < 10
    assert (rates.learn > 0) == (learner != "prompt")
    assert rates.step >= 0


def test_the_peak_is_recorded_with_the_run(tiny_model: Path, tmp_path: Path) -> None:
    run = api.run(
        "math", "rl", model=str(tiny_model), steps=1, items=1, samples=1, retention="none",
        probes=False, problems_per_step=1, group_size=2, max_new_tokens=4, out=tmp_path / "run",
    )  # fmt: skip
    peak = run.manifest["peak_memory"]
    assert peak["gpu"] is None
    assert 10**8 < peak["machine"] <= (machine.peak_memory() or 0)


def test_a_card_sets_the_budgets(tiny_model: Path) -> None:
    config = api.resolve(model=str(tiny_model), learner="rl", max_new_tokens=4000).config
    shapes: Any = shapes_of(str(tiny_model))
    small = memory_of(shapes, config, 50, card=None, free=GB)
    large = memory_of(shapes, config, 50, card=80 * GB, free=80 * GB)
    assert large.passes["sampling"] > small.passes["sampling"]
    assert large.held["libraries"] == requirements.ON_A_GPU
    assert memory.budget_of(shapes) == memory.Budget.of_cpu()
