"""What the runner hands to learners: nothing of a stage before that stage begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from cl_bench.contract.learner import Batch
from cl_bench.contract.records import StepRecord
from cl_bench.contract.registry import LEARNERS
from cl_bench.contract.stream import Stage, Stream
from cl_bench.execution.progress import Quiet
from cl_bench.execution.runner import Runner
from cl_bench.execution.settings import configure
from cl_bench.model.policy import Policy
from cl_bench.store.run_directory import RunDirectory
from tests.options import fitting

NAMES = list(LEARNERS.table)
DOMAINS = ("math", "code", "facts", "physics", "star-graph")
NOTHING_EVALUATED = {"items": 1, "retention_items": 0, "probes": False}
STEP = StepRecord(**dict.fromkeys(StepRecord.__dataclass_fields__, 1.0))


class Seeing:
    """A learner in place of any of the registry: notes the exercises that it is given."""

    def __init__(self, *_: Any) -> None:
        self.taken: list[str] = []
        self.calls: list[tuple[list[str], list[str]]] = []

    def learn(self, batches: Sequence[Batch], ahead: Sequence[Batch] = ()) -> Iterator[StepRecord]:
        self.calls.append((prompts(batches), prompts(ahead)))
        for _ in batches:
            yield STEP

    def prompt(self) -> str:
        return ""


class Blind(Runner):
    """A runner that evaluates nothing and writes nothing."""

    def _evaluate(self, at: str, steps: object) -> None:
        self._part += 1

    def _record(self, tables: object) -> None:
        pass


def prompts(batches: Sequence[Batch]) -> list[str]:
    return [exercise.prompt for batch in batches for exercise in batch]


def course_of(random: Random) -> tuple[Stream, dict[str, int]]:
    """A random stream whose stages differ from their neighbours, and settings of a run on it."""
    names = [random.choice(DOMAINS)]
    while len(names) < random.randint(2, 4):
        names.append(random.choice([name for name in DOMAINS if name != names[-1]]))
    stages = tuple(Stage(name, random.randint(1, 7), "easy") for name in names)
    options = {
        "problems_per_step": random.randint(1, 5),
        "eval_every": random.randint(1, 9),
        "round_exercises": random.randint(2, 30),
        "round_every": random.randint(1, 6),
        "seed": random.randint(0, 9),
        **NOTHING_EVALUATED,
    }
    return Stream("random", stages), options


@pytest.mark.parametrize("name", NAMES)
def test_no_exercise_of_a_later_stage_is_seen_before_its_boundary(
    name: str, tiny_policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeing: Any = Seeing()
    random = Random(NAMES.index(name))
    blind = SimpleNamespace(load=lambda _: replace(LEARNERS.load(name), build=lambda *_: seeing))
    monkeypatch.setattr("cl_bench.execution.runner.LEARNERS", blind)
    looked = 0
    for _ in range(200):
        stream, options = course_of(random)
        config = configure(**fitting(name, options))
        seeing.calls.clear()
        Blind(RunDirectory(tmp_path), stream, config, tiny_policy, Quiet())._run()
        # The first word of an exercise is its domain's, and neighbouring stages have two domains.
        due = [
            stage.domain.partition("-")[0]
            for stage in stream.stages
            for _ in range(stage.steps * options["problems_per_step"])
        ]
        for now, ahead in seeing.calls:
            there = len(now)
            assert {prompt.split()[0] for prompt in (*now, *ahead)} == {due[0]}
            assert set(due[:there]) == {due[0]}
            stage_left = next((i for i, word in enumerate(due) if word != due[0]), len(due))
            assert there + len(ahead) <= stage_left
            del due[:there]
            looked += len(ahead)
        assert not due
    assert (looked > 0) == (configure(learner=name).learning.exercises_ahead > 0)
