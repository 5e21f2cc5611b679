"""Another local model as reflection LM."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cl_bench.contract.errors import ModelError, ReflectionError
from cl_bench.contract.learner import Ledger
from cl_bench.contract.prompts import SEED_PROMPT, reflection
from cl_bench.contract.task import Verdict
from cl_bench.fast.reflection.endpoints import LocalModel
from cl_bench.fast.reflection.factory import build_reflector
from cl_bench.fast.reflection.journal import Record, Replay
from cl_bench.fast.reflection.reflector import JudgedRollout, Reflection, Reflector
from cl_bench.fast.settings import FastConfig
from cl_bench.model.policy import Policy

ROLLOUTS = [
    JudgedRollout(
        "math : one f : 4", "answer 4", Verdict(0.0, "math : wrong at step 1 : f adds 3", None)
    )
]
EMBEDDED = FastConfig(reflection_lm="local:embedded", seed=5)


def ask(reflector: Reflector, ledger: Ledger) -> Reflection:
    ledger.add("fast", reflection_calls=1)
    return reflector(SEED_PROMPT, ROLLOUTS)


def test_the_embedded_model_writes_the_rule_down_for_another_policy(tiny_policy: Policy) -> None:
    ledger = Ledger()
    said = ask(build_reflector(tiny_policy, EMBEDDED, ledger), ledger)
    assert "f adds 3" in said.text
    assert said.tokens > len(tiny_policy.encode([reflection(SEED_PROMPT, ["math"])])[0])


def test_answers_depend_on_the_seed_and_the_call_and_on_nothing_else(tiny_model: Path) -> None:
    said = []
    asked = reflection(SEED_PROMPT, ["math : wrong"])
    for seed in (5, 5, 6):
        model = LocalModel(str(tiny_model), "cpu", seed)
        answers = [model.ask(asked, SEED_PROMPT, number=n, attempt=1) for n in (1, 2, 3)]
        said.append([answer.text for answer in answers])
        torch.rand(1)
    assert said[0] == said[1]
    assert len({*said[0], *said[2]}) == 6


def test_a_reply_that_reached_its_limit_is_a_failed_reflection(
    tiny_policy: Policy, tiny_model: Path
) -> None:
    ledger = Ledger()
    config = FastConfig(reflection_lm=f"local:{tiny_model}", seed=5, reflection_retries=0)
    with pytest.raises(ReflectionError, match="cut off at its limit") as failed:
        ask(build_reflector(tiny_policy, config, ledger), ledger)
    assert failed.value.tokens > 64


def test_reflecting_draws_nothing_from_the_runs_generator(tiny_policy: Policy) -> None:
    ledger = Ledger()
    reflector = build_reflector(tiny_policy, EMBEDDED, ledger)
    before = torch.get_rng_state()
    ask(reflector, ledger)
    assert torch.equal(torch.get_rng_state(), before)


def test_its_calls_are_recorded_and_replayed_without_the_model(
    tiny_policy: Policy, tmp_path: Path
) -> None:
    ledger = Ledger(journal=Record(tmp_path / "record.jsonl"))
    said = ask(build_reflector(tiny_policy, EMBEDDED, ledger), ledger)
    again = Ledger(journal=Replay(tmp_path / "record.jsonl"))
    assert ask(build_reflector(tiny_policy, EMBEDDED, again), again) == said


def test_a_folder_without_a_model_is_an_error_with_its_name(
    tiny_policy: Policy, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=str(tmp_path)):
        build_reflector(tiny_policy, FastConfig(reflection_lm=f"local:{tmp_path}"), Ledger())
