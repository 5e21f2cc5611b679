"""The books of the fast channel: ledger, lineage, seeds, saving and loading, misuse."""

from __future__ import annotations

import copy
import math
import random
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cl_bench.contract.errors import ReflectionError, RunDirectoryError, UsageError
from cl_bench.contract.learner import Ledger
from cl_bench.contract.records import PromptRecord
from cl_bench.fast.fast_weights import FastWeights
from cl_bench.model.policy import Rollout
from tests.fast.scripted import (
    COMPLETION_TOKENS,
    CONFIG,
    PROMPT_TOKENS,
    REFLECTION_TOKENS,
    SEED,
    ScriptedPolicy,
    by_text,
    exercises,
    fast,
    says,
)


def test_the_ledger_equals_a_hand_count() -> None:
    ledger = Ledger()
    channel = fast(reflector=says("a", "b", "c"), ledger=ledger)
    channel.round(exercises("aaaa"))
    # The seed on 4. Proposal 1: parent 2, child 2, accepted and on 4. Its parent is then "a",
    # alone on the frontier: proposals 2 and 3 roll out a perfect minibatch of 2 and end there.
    rollouts = 4 + (2 + 2 + 4) + 2 + 2
    assert ledger.fast.rollouts == rollouts
    assert ledger.fast.prompt_tokens == rollouts * PROMPT_TOKENS
    assert ledger.fast.generated_tokens == rollouts * COMPLETION_TOKENS
    assert ledger.fast.reflection_calls == 1
    assert ledger.fast.reflection_tokens == REFLECTION_TOKENS
    assert 0 < ledger.fast.seconds < 10
    assert ledger.slow == Ledger().slow


def test_the_lineage_tells_every_candidate_once_with_parent_score_and_fate() -> None:
    config = replace(CONFIG, population=1)
    channel = fast(reflector=says("b", "a x"), config=config, wave=3)
    channel.round(exercises("aaaa"))
    records = by_text(channel.lineage())
    assert records.keys() == {SEED, "b", "a x"}
    assert records[SEED] == PromptRecord(1, 0, -1, SEED, 0.0, "dropped")
    assert records["a x"] == PromptRecord(1, 2, 0, "a x", 1.0, "kept")
    rejected = records["b"]
    assert (rejected.prompt_id, rejected.parent_id, rejected.fate) == (1, 0, "rejected")
    assert math.isnan(rejected.score)
    assert channel.lineage() == []


def test_a_restart_begins_at_the_seed_and_numbers_on() -> None:
    channel = fast(reflector=says("b", "c", "d", "e"), config=replace(CONFIG, proposals=1))
    channel.round(exercises("bcde"))
    assert channel.prompts == ["b", SEED]
    channel.restart()
    assert (channel.prompts, channel.best) == ([SEED], SEED)
    assert math.isnan(channel.score)
    channel.round(exercises("bcde"))
    assert channel.prompts == ["c", SEED]
    found = [(r.round, r.prompt_id, r.parent_id, r.text) for r in channel.lineage()]
    assert found == [(1, 0, -1, SEED), (1, 1, 0, "b"), (2, 0, -1, SEED), (2, 2, 0, "c")]


def test_prompt_numbers_are_unique_over_the_run() -> None:
    channel = fast(ScriptedPolicy(luck=0.4), config=replace(CONFIG, population=2))
    for _ in range(6):
        channel.round(exercises("abcdef"))
    texts: dict[int, set[str]] = {}
    for record in channel.lineage():
        texts.setdefault(record.prompt_id, set()).add(record.text)
        assert record.parent_id < record.prompt_id
    assert len(texts) > 3
    assert all(len(same) == 1 for same in texts.values())


def several_rounds(channel: FastWeights, rounds: int) -> list[list[str]]:
    populations = []
    for _ in range(rounds):
        channel.round(exercises("abcdef"))
        populations.append(channel.prompts)
    return populations


def test_the_same_seed_gives_the_same_populations_and_another_seed_others() -> None:
    config = replace(CONFIG, proposals=2)
    runs = [
        several_rounds(fast(config=replace(config, seed=seed), wave=2), 3) for seed in (1, 1, 2)
    ]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize("refill", [True, False])
def test_a_loaded_channel_goes_on_as_the_saved_one(tmp_path: Path, refill: bool) -> None:
    policy, config = ScriptedPolicy(luck=0.3), replace(CONFIG, refill=refill)
    channel = fast(policy, config=config)
    several_rounds(channel, 3)
    channel.save(tmp_path / "step-3")
    loaded = fast(copy.deepcopy(policy), config=config)
    loaded.load(tmp_path / "step-3")
    assert (loaded.prompts, loaded.best) == (channel.prompts, channel.best)
    assert several_rounds(loaded, 3) == several_rounds(channel, 3)
    assert repr(loaded.lineage()) == repr(channel.lineage())  # as text: NaN is not equal to NaN


@pytest.mark.parametrize("content", [None, "", "{}", '{"population": 3}'])
def test_a_missing_or_damaged_state_is_an_error_that_changes_nothing(
    content: str | None, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "fast.json").write_text(content)
    channel = fast()
    with pytest.raises(RunDirectoryError, match=r"fast\.json"):
        channel.load(tmp_path)
    assert channel.prompts == [SEED]


def test_a_round_prints_nothing_and_leaves_no_file_and_no_random_state(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    state = random.getstate()
    several_rounds(fast(ScriptedPolicy(luck=0.3), says("a", ReflectionError("no"), "b")), 2)
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
    assert random.getstate() == state


def test_an_error_of_the_policy_reaches_the_caller_and_leaves_the_population() -> None:
    class Broken(ScriptedPolicy):
        def _respond(self, system: str, user: str) -> Rollout:
            if system == "a":
                raise MemoryError("out of memory")
            return super()._respond(system, user)

    channel = fast(Broken(), says("a"))
    with pytest.raises(MemoryError):
        channel.round(exercises("aaaa"))
    assert (channel.prompts, channel.lineage()) == ([SEED], [])


def test_a_round_without_exercises_is_an_error() -> None:
    with pytest.raises(UsageError, match="at least 1 exercise"):
        fast().round([])


@pytest.mark.parametrize("name", ["population", "proposals", "reflection_batch", "round_exercises"])
def test_amounts_below_one_are_errors_that_name_the_field(name: str) -> None:
    nothing: dict[str, Any] = {name: 0}
    with pytest.raises(UsageError, match=f"{name} is 0"):
        fast(config=replace(CONFIG, **nothing))
    with pytest.raises(UsageError, match="wave is 0"):
        fast(wave=0)
