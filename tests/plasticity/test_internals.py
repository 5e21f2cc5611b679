"""Diagnostics of models whose internals are known because they were set."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cl_bench.execution.settings import RunConfig
from cl_bench.metrics.undefined import Undefined
from cl_bench.model.loading import load
from cl_bench.plasticity.internals import internals_of
from cl_bench.plasticity.origins import Origin


def origin(base: Path, model: Path) -> Origin:
    config = RunConfig(model=str(base), device="cpu")
    return Origin(Path("run"), "rl", "math", config, ("math",), {1: model})


@pytest.fixture
def loud(tiny_model: Path, tmp_path: Path) -> Path:
    """The tiny model with hidden units of its feed-forward blocks that are all awake."""
    model, tokenizer, _ = load(str(tiny_model))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "feed_forward" in name:
                weight.mul_(20)
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path / "loud")
    return tmp_path / "loud"


def changed(model: Path, folder: Path, parameter: str, rows: slice, value: float) -> Path:
    """A copy in which some rows of a parameter have that value."""
    loaded, tokenizer, _ = load(str(model))
    with torch.no_grad():
        loaded.get_parameter(parameter)[rows] = value
    for part in (loaded, tokenizer):
        part.save_pretrained(folder)
    return folder


def test_units_that_are_switched_off_are_dead_and_the_base_s_are_not(
    loud: Path, tmp_path: Path
) -> None:
    name = "model.layers.1.feed_forward.w3.weight"
    after = changed(loud, tmp_path / "after", name, slice(0, 3), 0.0)
    found = internals_of(origin(loud, after), "math", 0, 4)
    units = sum(
        weight.shape[0]
        for name, weight in load(str(loud))[0].named_parameters()
        if name.endswith("feed_forward.w3.weight")
    )
    assert found[None].dead_units == 0
    assert found[after].dead_units == pytest.approx(3 / units)


def test_the_distance_is_that_of_what_was_changed(tiny_model: Path, tmp_path: Path) -> None:
    name = "model.embedding_norm.weight"
    before = load(str(tiny_model))[0].get_parameter(name).detach()
    after = changed(tiny_model, tmp_path / "after", name, slice(0, 4), 3.0)
    found = internals_of(origin(tiny_model, after), "math", 0, 4)
    expected = float((3.0 - before[:4]).norm())
    assert expected > 1
    assert found[after].weight_distance == pytest.approx(expected, rel=1e-6)
    assert found[None].weight_distance == 0


def test_features_of_one_problem_have_rank_one_and_of_several_at_most_their_number(
    tiny_model: Path,
) -> None:
    ranks = [
        internals_of(origin(tiny_model, tiny_model), "math", 0, items)[None].effective_rank
        for items in (1, 4)
    ]
    assert ranks[0] == pytest.approx(1)
    assert isinstance(ranks[1], float)
    assert 1 < ranks[1] <= 4


def test_a_model_without_known_blocks_and_one_that_is_not_finite_have_no_numbers(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "model.embedding_norm.weight"
    after = changed(tiny_model, tmp_path / "after", name, slice(0, 1), float("inf"))
    monkeypatch.setattr("cl_bench.plasticity.internals._DOWN", ("nothing",))
    found = internals_of(origin(tiny_model, after), "math", 0, 4)
    assert found[None].dead_units == Undefined("no feed-forward layer of a known kind")
    assert isinstance(found[after].effective_rank, Undefined)
    assert found[after].weight_distance == Undefined(f"{name} is not finite")
