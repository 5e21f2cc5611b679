"""RL with replay: how much of a step is past, what is kept, and that it survives a resume."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cl_bench.contract.errors import RunDirectoryError
from cl_bench.contract.learner import Batch, Exercise, Learner, Ledger, load_learner
from cl_bench.contract.registry import LEARNERS
from cl_bench.contract.task import Verdict
from cl_bench.model.policy import Policy


class Course:
    """Steps of exercises that note in which order they are judged."""

    def __init__(self, steps: int, size: int, group: int) -> None:
        self.judged: list[str] = []
        self._per_step = size * group
        self._group = group
        self.batches: list[Batch] = [
            [self._exercise(f"{step}.{place}") for place in range(size)] for step in range(steps)
        ]
        self.by_key = {item.key: item for batch in self.batches for item in batch}

    def _exercise(self, key: str) -> Exercise:
        def judge(response: str) -> Verdict:
            self.judged.append(key)
            return Verdict(float(len(response) % 2), "", None)

        return Exercise(key, f"math : {key} : 4", judge)

    def trained_on(self) -> list[list[str]]:
        """The keys of each step's exercises."""
        keys = self.judged[:: self._group]
        size = self._per_step // self._group
        return [keys[first : first + size] for first in range(0, len(keys), size)]


def build(
    model: Path, config: Any, ledger: Ledger | None = None, name: str = "rl-replay"
) -> Learner:
    return LEARNERS.load(name).build(Policy.load(str(model)), config, ledger or Ledger())


def old(keys: list[str], step: int) -> list[str]:
    return [key for key in keys if int(key.partition(".")[0]) < step]


def test_a_share_of_each_step_is_past_and_a_step_costs_what_rls_does(
    tiny_model: Path, small_config: Any
) -> None:
    course, ledger = Course(7, 4, 2), Ledger()
    config = replace(small_config, group_size=2, replay_share=0.375)
    list(build(tiny_model, config, ledger).learn(course.batches))
    steps = course.trained_on()
    # 0.375 of 4 is 1.5: one and two in turn; the first step has no past.
    assert [len(old(keys, n)) for n, keys in enumerate(steps)] == [0, 2, 1, 2, 1, 2, 1]
    for number, keys in enumerate(steps):
        past = old(keys, number)
        assert keys == [f"{number}.{place}" for place in range(4 - len(past))] + past
        assert len(set(keys)) == 4
        met = {key for step in steps[:number] for key in step}
        assert set(past) <= met
    assert ledger.slow.rollouts == 7 * 4 * 2


def test_without_a_share_it_is_rl(tiny_model: Path, small_config: Any) -> None:
    found = []
    for name in ("rl", "rl-replay"):
        torch.manual_seed(1)
        learner = build(tiny_model, replace(small_config, replay_share=0.0), name=name)
        records = learner.learn(Course(3, 2, 4).batches)
        found.append([replace(record, seconds=0.0) for record in records])
    assert found[0] == found[1]


def test_the_reservoir_is_a_sample_of_everything_trained_on(
    tiny_model: Path, small_config: Any, tmp_path: Path
) -> None:
    kept: set[str] = set()
    for seed in range(3):
        course = Course(12, 2, 2)
        small = replace(small_config, group_size=2, max_new_tokens=2)
        config = replace(small, replay_size=4, seed=seed)
        learner = build(tiny_model, config)
        list(learner.learn(course.batches))
        learner.save(tmp_path)
        keys = json.loads((tmp_path / "replay.json").read_text())["reservoir"]
        assert len(set(keys)) == 4
        kept |= set(keys)
    steps = {int(key.partition(".")[0]) for key in kept}
    assert min(steps) < 6 <= max(steps)
    assert len(kept) > 4


def test_a_loaded_learner_replays_what_the_saved_one_would_have(
    tiny_model: Path, small_config: Any, tmp_path: Path
) -> None:
    config = replace(small_config, replay_share=0.5)
    course, again = Course(6, 2, 4), Course(6, 2, 4)
    saved = build(tiny_model, config)
    list(saved.learn(course.batches[:3]))
    saved.save(tmp_path)
    state = torch.get_rng_state()
    expected = [replace(record, seconds=0.0) for record in saved.learn(course.batches[3:])]

    loaded = build(tiny_model, config)
    load_learner(loaded, tmp_path, again.by_key.__getitem__)
    torch.set_rng_state(state)
    resumed = [replace(record, seconds=0.0) for record in loaded.learn(again.batches[3:])]
    assert resumed == expected
    assert again.trained_on() == course.trained_on()[3:]
    assert any(old(keys, 3) for keys in again.trained_on())


def test_learning_without_the_past_that_was_saved_is_refused(
    tiny_model: Path, small_config: Any, tmp_path: Path
) -> None:
    course = Course(2, 2, 4)
    saved = build(tiny_model, small_config)
    list(saved.learn(course.batches))
    saved.save(tmp_path)
    loaded = build(tiny_model, small_config)
    loaded.load(tmp_path)
    with pytest.raises(RunDirectoryError, match=r"without the 3 past exercises.*load_learner"):
        list(loaded.learn(course.batches))
