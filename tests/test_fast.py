"""The fast channel on a scripted policy, which is right if the system prompt holds the word."""

from __future__ import annotations

import copy
import math
import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from cl_bench.errors import ReflectionError, RunDirectoryError, UsageError
from cl_bench.fast import FastWeights
from cl_bench.learner import Exercise, LearnerConfig, Ledger, PromptRecord
from cl_bench.policy import Chat, Policy, Rollout
from cl_bench.reflection import JudgedRollout, Reflection, Reflector, Request
from cl_bench.task import Verdict

SEED = "think ."
PROMPT_TOKENS, COMPLETION_TOKENS, REFLECTION_TOKENS = 3, 2, 10
CONFIG = LearnerConfig(population=4, proposals=3, reflection_batch=2, round_exercises=4)


@dataclass
class ScriptedPolicy:
    """Solves `need x` if the system prompt has the word x and the weights still know it."""

    forgotten: set[str] = field(default_factory=set)
    luck: float = 0.0
    room: int = 1_000_000
    rng: random.Random = field(default_factory=lambda: random.Random(0))
    calls: list[list[str]] = field(default_factory=list)

    def generate(
        self,
        chats: Sequence[Chat],
        *,
        max_new_tokens: int,
        temperature: float = 1.0,
        from_base: bool = False,
    ) -> list[Rollout]:
        assert (max_new_tokens, temperature, from_base) == (96, 1.0, False)
        self.calls.append([chat[0]["content"] for chat in chats])
        return [self._respond(*(message["content"] for message in chat)) for chat in chats]

    def fits(self, chat: Chat, max_new_tokens: int, share: float = 1.0) -> bool:
        words = sum(len(message["content"].split()) for message in chat)
        return words + max_new_tokens <= share * self.room

    def _respond(self, system: str, user: str) -> Rollout:
        words = set(system.split()) - self.forgotten
        right = user.removeprefix("need ") in words or self.rng.random() < self.luck
        return Rollout((0,) * PROMPT_TOKENS, (0,) * COMPLETION_TOKENS, str(right), False)

    @property
    def seen(self) -> set[str]:
        return {system for call in self.calls for system in call}


def exercise(word: str) -> Exercise:
    def judge(response: str) -> Verdict:
        right = response == "True"
        return Verdict(float(right), "right" if right else f"learn {word}", response)

    return Exercise(word, f"need {word}", judge)


def exercises(words: str) -> list[Exercise]:
    return [exercise(word) for word in words]


def learn(current: str, rollouts: Sequence[JudgedRollout]) -> Reflection:
    """Appends the word that the first failing rollout lacked."""
    lacking = [r.verdict.feedback.split()[-1] for r in rollouts if r.verdict.score < 1]
    return Reflection(f"{current} {lacking[0]}", REFLECTION_TOKENS)


def says(*texts: str | Exception) -> Reflector:
    """A reflector that gives `texts` in turn (raising the errors), then repeats what it got."""
    left = list(texts)

    def reflect(current: str, _: Sequence[JudgedRollout]) -> Reflection:
        text = left.pop(0) if left else current
        if isinstance(text, Exception):
            raise text
        return Reflection(text, REFLECTION_TOKENS)

    return reflect


def fast(
    policy: ScriptedPolicy | None = None,
    reflector: Reflector = learn,
    config: LearnerConfig = CONFIG,
    *,
    ledger: Ledger | None = None,
    wave: int = 1,
) -> FastWeights:
    return FastWeights(
        cast(Policy, policy or ScriptedPolicy()),
        reflector,
        config,
        ledger or Ledger(),
        SEED,
        wave=wave,
    )


def by_text(records: Sequence[PromptRecord]) -> dict[str, PromptRecord]:
    return {record.text: record for record in records}


def test_before_any_round_the_population_is_the_seed_alone() -> None:
    channel = fast()
    assert (channel.prompts, channel.best, channel.lineage()) == ([SEED], SEED, [])


def test_an_improvement_is_found_and_accepted() -> None:
    channel = fast()
    channel.round(exercises("aaaa"))
    assert channel.prompts == [f"{SEED} a", SEED]
    assert channel.best == f"{SEED} a"


def test_proposals_of_a_round_build_on_earlier_ones_when_the_wave_is_one() -> None:
    config = replace(CONFIG, proposals=12, round_exercises=2)
    channel = fast(config=config)
    channel.round(exercises("ab"))
    assert set(channel.best.split()) == {*SEED.split(), "a", "b"}


def test_a_wave_of_proposals_shares_its_generations() -> None:
    policy = ScriptedPolicy()
    channel = fast(policy, says("x a", "y a", "z a"), wave=2)
    channel.round(exercises("aaaaaa"))
    first, second = policy.calls[1:4], policy.calls[4:]
    assert [len(call) for call in first] == [4, 4, 8]  # two parents, two children, both on all
    assert len(second[0]) == 2  # the third proposal comes alone


def test_the_whole_population_is_scored_anew_in_one_generation() -> None:
    policy = ScriptedPolicy()
    channel = fast(policy)
    channel.round(exercises("aaaa"))
    policy.calls.clear()
    channel.round(exercises("aaaa"))
    assert sorted(policy.calls[0]) == [SEED] * 4 + [f"{SEED} a"] * 4


def test_a_prompt_falls_behind_when_the_weights_move_against_it() -> None:
    policy = ScriptedPolicy()
    channel = fast(policy, says("a", "a b b"), wave=2)
    channel.round(exercises("aabc"))
    assert channel.best == "a b b"
    policy.forgotten = {"a", "b"}
    channel.round(exercises("aabc"))
    scores = {record.text: record.score for record in channel.lineage() if record.round == 2}
    assert scores == {"a": 0.0, "a b b": 0.0, SEED: 0.0}
    assert channel.best == SEED  # all equal: the oldest


def test_the_population_survives_from_round_to_round_under_its_numbers() -> None:
    channel = fast(reflector=says("a", "b"), wave=3)
    channel.round(exercises("aabc"))
    first = by_text(channel.lineage())
    channel.round(exercises("aabc"))
    second = by_text(channel.lineage())
    assert set(channel.prompts) == {"a", "b", SEED}
    assert {text: (r.prompt_id, r.parent_id) for text, r in first.items()} == {
        text: (r.prompt_id, r.parent_id) for text, r in second.items()
    }
    assert {record.round for record in second.values()} == {2}


SPECIALISTS = ("a b c d", "b c d", "e f")
"""Mean scores 4/6, 3/6 and 2/6 on abcdef; only the second is redundant."""


@pytest.mark.parametrize(
    ("population", "kept"),
    [
        (1, ["a b c d"]),
        (2, ["a b c d", "e f"]),
        (3, ["a b c d", "b c d", "e f"]),
        (4, ["a b c d", "b c d", "e f", SEED]),
        (5, ["a b c d", "b c d", "e f", SEED]),
    ],
)
def test_the_frontier_is_kept_before_higher_means_and_refilled_by_mean(
    population: int, kept: list[str]
) -> None:
    config = replace(CONFIG, population=population, reflection_batch=6, round_exercises=6)
    channel = fast(reflector=says(*SPECIALISTS), config=config, wave=3)
    channel.round(exercises("abcdef"))
    assert channel.prompts == kept


@pytest.mark.parametrize(
    ("rewrites", "kept"),
    [
        (SPECIALISTS, ["a b c d", "e f"]),
        (("a b c d", "e f", "a b c d e f"), ["a b c d e f"]),
        (("x", "y", "z"), [SEED]),
    ],
)
def test_without_refill_only_the_frontier_is_kept_even_if_it_is_one_prompt(
    rewrites: tuple[str, ...], kept: list[str]
) -> None:
    config = replace(CONFIG, reflection_batch=6, round_exercises=6, refill=False)
    channel = fast(reflector=says(*rewrites), config=config, wave=3)
    channel.round(exercises("abcdef"))
    assert channel.prompts == kept
    fates = {record.text: record.fate for record in channel.lineage()}
    assert [text for text in fates if fates[text] == "kept"] == sorted(kept, key=[*fates].index)


def test_without_refill_a_frontier_of_more_than_k_prompts_keeps_the_best_means() -> None:
    config = replace(CONFIG, reflection_batch=6, round_exercises=6, refill=False, population=2)
    channel = fast(reflector=says("a b c", "d e", "f"), config=config, wave=3)
    channel.round(exercises("abcdef"))
    assert channel.prompts == ["a b c", "d e"]


def test_equal_scores_go_to_the_older_prompt() -> None:
    channel = fast(reflector=says("x a", "y a"), config=replace(CONFIG, population=1), wave=3)
    channel.round(exercises("aaaa"))
    assert channel.best == "x a"


def test_older_prompts_win_ties_even_when_they_led_less_before() -> None:
    policy = ScriptedPolicy()
    channel = fast(policy, says("a", "a b"), replace(CONFIG, population=2), wave=3)
    channel.round(exercises("aabb"))
    assert channel.prompts == ["a b", "a"]
    policy.forgotten = {"b"}
    channel.round(exercises("aaaa"))
    assert channel.prompts == ["a", "a b"]


def test_validation_is_the_first_exercises_and_minibatches_come_from_all() -> None:
    policy, asked = ScriptedPolicy(), list[str]()

    def reflector(current: str, rollouts: Sequence[JudgedRollout]) -> Reflection:
        asked.extend(rollout.prompt for rollout in rollouts)
        return Reflection(current, REFLECTION_TOKENS)

    channel = fast(policy, reflector, replace(CONFIG, round_exercises=2))
    channel.round(exercises("abcdef"))
    assert len(policy.calls[0]) == 2
    assert sorted(asked) == [f"need {word}" for word in "abcdef"]


@pytest.mark.parametrize("text", [SEED, f" {SEED}\n"])
def test_an_unchanged_rewrite_is_skipped_and_never_rolled_out(text: str) -> None:
    policy, ledger = ScriptedPolicy(), Ledger()
    channel = fast(policy, says(text, text, text), ledger=ledger)
    channel.round(exercises("aaaa"))
    assert ledger.fast.reflection_calls == ledger.fast.reflection_repeats == 3
    assert ledger.fast.reflection_failures == 0
    assert ledger.rollouts == 4 + 3 * 2
    assert [record.text for record in channel.lineage()] == [SEED]


def test_equal_rewrites_of_one_wave_are_tried_once() -> None:
    ledger = Ledger()
    channel = fast(reflector=says("a", "a", "a"), ledger=ledger, wave=3)
    channel.round(exercises("aaaa"))
    assert (channel.prompts, ledger.fast.reflection_repeats) == (["a", SEED], 2)


@pytest.mark.parametrize(
    "text", ["", "  \n", "a " * 2001, "a " * 300, ReflectionError("no answer")]
)
def test_a_failed_reflection_is_counted_never_scored_and_the_round_goes_on(
    text: str | Exception,
) -> None:
    policy, ledger = ScriptedPolicy(room=400), Ledger()
    channel = fast(policy, says(text, "a"), ledger=ledger)
    channel.round(exercises("aaaa"))
    assert (ledger.fast.reflection_failures, ledger.fast.reflection_repeats) == (1, 0)
    assert policy.seen == {SEED, "a"}
    assert channel.prompts == ["a", SEED]
    answered = 1 if isinstance(text, Exception) else 2
    assert ledger.fast.reflection_tokens == answered * REFLECTION_TOKENS


@dataclass
class Together:
    """A reflector that answers a whole wave at once."""

    answer: Callable[[Sequence[Request]], list[Reflection]]

    def __call__(self, current: str, _: Sequence[JudgedRollout]) -> Reflection:
        raise AssertionError(f"a batch reflector was asked for one rewrite, of {current!r}")

    def reflect_many(self, requests: Sequence[Request]) -> list[Reflection]:
        return self.answer(requests)


def test_a_batch_reflector_answers_a_wave_at_once() -> None:
    reflector = Together(lambda requests: [learn(*request) for request in requests])
    channel = fast(reflector=reflector, wave=3)
    channel.round(exercises("aaaa"))
    assert channel.best == f"{SEED} a"


def test_a_failure_of_a_batch_reflector_fails_the_wave() -> None:
    def fail(_: Sequence[Request]) -> list[Reflection]:
        raise ReflectionError("no answer", tokens=5)

    ledger = Ledger()
    channel = fast(reflector=Together(fail), ledger=ledger, wave=3)
    channel.round(exercises("aaaa"))
    assert channel.prompts == [SEED]
    assert ledger.fast.reflection_calls == ledger.fast.reflection_failures == 3
    assert ledger.fast.reflection_tokens == 5


@pytest.mark.parametrize("answers", [0, 2])
def test_a_batch_reflector_that_answers_too_few_is_a_fault_that_stops_the_round(
    answers: int,
) -> None:
    reflector = Together(lambda _: [Reflection("a", REFLECTION_TOKENS)] * answers)
    with pytest.raises(RuntimeError, match=f"gave {answers} reflections to 3 requests"):
        fast(reflector=reflector, wave=3).round(exercises("aaaa"))


def test_any_other_error_of_a_reflector_reaches_the_caller_at_once() -> None:
    ledger = Ledger()
    channel = fast(reflector=says(KeyError("typo")), ledger=ledger)
    with pytest.raises(KeyError, match="typo"):
        channel.round(exercises("aaaa"))
    assert (channel.prompts, channel.lineage()) == ([SEED], [])
    assert (ledger.fast.reflection_calls, ledger.fast.reflection_failures) == (1, 0)


def test_each_reason_of_failure_is_logged_once_and_harmlessly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    busy = [ReflectionError("busy", f"\x1b[31mrequest {number}\n") for number in range(4)]
    channel = fast(reflector=says(busy[0], "", *busy[1:]), config=replace(CONFIG, proposals=5))
    channel.round(exercises("aaaaaaaaaa"))
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "busy: \\x1b[31mrequest 0 (said once" in caplog.messages[0]
    assert "an empty text" in caplog.messages[1]


def test_when_the_token_budget_is_spent_nobody_is_asked_any_more() -> None:
    config = replace(CONFIG, reflection_token_budget=2 * REFLECTION_TOKENS)
    ledger = Ledger()
    channel = fast(reflector=says("x", "y"), config=config, ledger=ledger)
    channel.round(exercises("aaaa"))
    assert (ledger.fast.reflection_calls, ledger.fast.reflection_failures) == (2, 1)
    resumed = fast(reflector=says(AssertionError("asked")), config=config, ledger=ledger)
    resumed.round(exercises("aaaa"))
    assert (ledger.fast.reflection_calls, ledger.fast.reflection_failures) == (2, 4)
    assert ledger.fast.reflection_tokens == 2 * REFLECTION_TOKENS


def test_a_minibatch_without_a_fault_asks_for_no_rewrite() -> None:
    ledger = Ledger()
    channel = fast(ScriptedPolicy(luck=1.0), ledger=ledger)
    channel.round(exercises("aaaa"))
    assert (ledger.fast.reflection_calls, ledger.rollouts) == (0, 4 + 3 * 2)


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
