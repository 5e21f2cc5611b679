"""`check_learner`: silent on sound learners, and each fault with its explanation."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from math import nan
from pathlib import Path
from typing import Any

import pytest
import torch

from cl_bench import check_learner
from cl_bench.contract.errors import UsageError
from cl_bench.contract.learner import Batch, Exercise, LearnerConfig, LearnerFactory, Ledger
from cl_bench.contract.prompts import SEED_PROMPT, chat
from cl_bench.contract.records import PromptRecord, StepRecord
from cl_bench.contract.registry import LEARNERS
from cl_bench.model.policy import Policy, Rollout
from cl_bench.tools.checks.randomness import kept, states


class Sound:
    """A learner without a fault: one rollout an exercise, and a nudge to one weight a step."""

    name: Any = "toy"

    def __init__(self, policy: Policy, config: LearnerConfig, ledger: Ledger) -> None:
        self.policy, self.config, self.ledger = policy, config, ledger
        self.steps = 0

    def learn(self, batches: Sequence[Batch], ahead: Sequence[Batch] = ()) -> Iterator[Any]:
        for batch in batches:
            yield self.step(batch)

    def step(self, batch: Batch) -> Any:
        rollouts = self.sample(batch)
        scores = [self.judge(*pair) for pair in zip(batch, rollouts, strict=True)]
        reward = sum(scores) / len(scores)
        self.steps += 1
        self.nudge(1e-3 * (self.steps + reward))
        return StepRecord(reward, nan, nan, nan, nan, nan, 0.1)

    def sample(self, batch: Batch) -> list[Rollout]:
        rollouts = self.policy.generate(
            [chat(SEED_PROMPT, exercise.prompt) for exercise in batch], max_new_tokens=4
        )
        self.report(rollouts)
        return rollouts

    def report(self, rollouts: Sequence[Rollout]) -> None:
        self.ledger.add(
            "slow",
            rollouts=len(rollouts),
            prompt_tokens=sum(len(rollout.prompt_ids) for rollout in rollouts),
            generated_tokens=sum(len(rollout.completion_ids) for rollout in rollouts),
        )

    def judge(self, exercise: Exercise, rollout: Rollout) -> float:
        return exercise.judge(rollout.text).score

    def nudge(self, amount: float) -> None:
        with torch.no_grad():
            next(self.policy.model.parameters()).add_(amount)
        self.ledger.add("slow", optimizer_steps=1)

    def prompt(self) -> Any:
        return SEED_PROMPT

    def lineage(self) -> Any:
        return []

    def save(self, folder: Path) -> None:
        torch.save(self.policy.model.state_dict(), folder / "model.pt")
        (folder / "steps.json").write_text(json.dumps(self.steps))

    def load(self, folder: Path) -> None:
        self.policy.model.load_state_dict(torch.load(folder / "model.pt", weights_only=True))
        self.steps = json.loads((folder / "steps.json").read_text())


class Nameless(Sound):
    name = None


class SeedsWhenBuilt(Sound):
    def __init__(self, policy: Policy, config: LearnerConfig, ledger: Ledger) -> None:
        super().__init__(policy, config, ledger)
        random.seed(config.seed)
        torch.manual_seed(config.seed)


class Raises(Sound):
    def step(self, batch: Batch) -> Any:
        raise ValueError("no step today")


class CannotLoad(Sound):
    def load(self, folder: Path) -> None:
        (folder / "absent.json").read_text()


class StepsAhead(Sound):
    def learn(self, batches: Sequence[Batch], ahead: Sequence[Batch] = ()) -> Iterator[Any]:
        yield from super().learn([*batches, *ahead])


class OneRecord(Sound):
    def learn(self, batches: Sequence[Batch], ahead: Sequence[Batch] = ()) -> Iterator[Any]:
        yield list(super().learn(batches))[-1]


class SumOfScores(Sound):
    def step(self, batch: Batch) -> Any:
        super().step(batch)
        return StepRecord(7.0, nan, nan, nan, nan, nan, 0.1)


class NoReward(Sound):
    def step(self, batch: Batch) -> Any:
        super().step(batch)
        return StepRecord(1.0, "high", nan, nan, nan, nan, 0.1)  # type: ignore[arg-type]


class PromptAsList(Sound):
    def prompt(self) -> Any:
        return [SEED_PROMPT]


class RepeatsItsLineage(Sound):
    def lineage(self) -> Any:
        return [PromptRecord(1, 0, -1, SEED_PROMPT, nan, "kept")]


class OddFate(Sound):
    def lineage(self) -> Any:
        return [PromptRecord(self.steps, 0, -1, "p", nan, "forgotten")]  # type: ignore[arg-type]


class Silent(Sound):
    def report(self, rollouts: Sequence[Rollout]) -> None:
        pass


class ReflectsInSecret(Sound):
    def step(self, batch: Batch) -> Any:
        self.policy.generate([chat("", "think")], max_new_tokens=4, from_base=True)
        return super().step(batch)


class JudgesMore(Sound):
    def judge(self, exercise: Exercise, rollout: Rollout) -> float:
        exercise.judge("a text of another sampler")
        return super().judge(exercise, rollout)


class Boasts(Sound):
    def report(self, rollouts: Sequence[Rollout]) -> None:
        super().report([*rollouts, *rollouts])


class CountsNoTokens(Sound):
    def report(self, rollouts: Sequence[Rollout]) -> None:
        self.ledger.add("slow", rollouts=len(rollouts))


class CountsTokensTwice(Sound):
    def report(self, rollouts: Sequence[Rollout]) -> None:
        super().report(rollouts)
        self.ledger.add("slow", prompt_tokens=1_000_000)


class SecretSteps(Sound):
    def nudge(self, amount: float) -> None:
        super().nudge(amount)
        self.ledger.add("slow", optimizer_steps=-1)


class HalfRollouts(Sound):
    def nudge(self, amount: float) -> None:
        super().nudge(amount)
        self.ledger.add("slow", reflection_tokens=0.5)


class TrainsTheBase(Sound):
    def nudge(self, amount: float) -> None:
        super().nudge(amount)
        with torch.no_grad(), self.policy.base() as base:
            next(base.parameters()).add_(amount)


class JudgesTokens(Sound):
    def judge(self, exercise: Exercise, rollout: Rollout) -> float:
        return exercise.judge(rollout.completion_ids).score  # type: ignore[arg-type]


class WantsTheDomain(Sound):
    def judge(self, exercise: Exercise, rollout: Rollout) -> float:
        return float(getattr(exercise, "domain", "") == "math")


class LooksBehindTheJudge(Sound):
    def judge(self, exercise: Exercise, rollout: Rollout) -> float:
        getattr(exercise.judge, "__closure__", None)
        return super().judge(exercise, rollout)


class ForgetsItsSteps(Sound):
    def load(self, folder: Path) -> None:
        super().load(folder)
        self.steps = 0


class DrawsWhenLoaded(Sound):
    """Its own generator is not saved."""

    def __init__(self, policy: Policy, config: LearnerConfig, ledger: Ledger) -> None:
        super().__init__(policy, config, ledger)
        self.rng = random.Random(0)

    def prompt(self) -> Any:
        return f"{SEED_PROMPT} {self.rng.random()}"


class SamplesBehindTheScenes(Sound):
    """Looks at responses that it neither judges nor reports, past the policy."""

    def step(self, batch: Batch) -> Any:
        model: Any = self.policy.model
        model.generate(torch.tensor([(5, 6)] * 3), max_new_tokens=2)
        return super().step(batch)


class UpdatesBehindTheScenes(Sound):
    def step(self, batch: Batch) -> Any:
        weights = [*self.policy.model.parameters()][:1]
        for _ in range(2):
            torch.optim.SGD(weights, lr=0.0).step()
        return super().step(batch)


FAULTS: Sequence[tuple[type[Sound], str, str]] = [
    (SamplesBehindTheScenes, "rollouts", "generated 25 responses, but the ledger has 10 rollouts"),
    (UpdatesBehindTheScenes, "ledger", "Optimizers made 10 steps, but 5 are reported"),
    (Nameless, "name", "The learner's name is None"),
    (SeedsWhenBuilt, "building", "seeds the global generator of random and torch"),
    (Raises, "runs", "raised ValueError: no step today."),
    (CannotLoad, "runs", "While a fresh one loaded what it had saved, pathlib.py, line"),
    (StepsAhead, "records", "learn was given 2 batches and yielded at least 3 records"),
    (OneRecord, "records", "learn was given 2 batches and yielded 1 records"),
    (SumOfScores, "records", "A step's reward is 7.0"),
    (NoReward, "records", "Column 'signal' of the table 'steps' takes double, not 'high'"),
    (PromptAsList, "prompt", "it has to give the system prompt, a text"),
    (RepeatsItsLineage, "lineage", "returned one prompt of one round twice"),
    (OddFate, "lineage", "takes 'kept' or 'dropped' or 'rejected', not 'forgotten'"),
    (Silent, "rollouts", "generated 10 responses, but the ledger has 0 rollouts and 0 reflection"),
    (ReflectsInSecret, "rollouts", "generated 15 responses, but the ledger has 10 rollouts"),
    (JudgesMore, "rollouts", "20 responses were judged, but the ledger has 10 rollouts"),
    (Boasts, "rollouts", "the ledger has 20 rollouts and 0 reflection calls: more than there were"),
    (CountsNoTokens, "tokens", "but only 0 are reported"),
    (CountsTokensTwice, "tokens", "count each once and without padding"),
    (SecretSteps, "ledger", "weights changed, but no optimizer step is reported"),
    (HalfRollouts, "ledger", "Column 'reflection_tokens' of the table 'ledger' takes int64"),
    (TrainsTheBase, "base", "The frozen base was changed"),
    (JudgesTokens, "exercises", "A judge was called with a tuple"),
    (WantsTheDomain, "exercises", "An exercise was asked for 'domain'"),
    (LooksBehindTheJudge, "exercises", "An exercise was asked for 'judge.__closure__'"),
    (ForgetsItsSteps, "resume", "the weights differ"),
    (DrawsWhenLoaded, "resume", "the prompts differ"),
]


@pytest.mark.parametrize("name", list(LEARNERS.table))
def test_every_built_in_learner_is_sound(name: str) -> None:
    assert check_learner(name) == []


def test_a_sound_learner_of_somebody_else_is_sound_and_random_states_stay() -> None:
    with kept():
        before = repr(states())
        assert check_learner(LearnerFactory(Sound)) == []
        assert repr(states()) == before


@pytest.mark.parametrize(
    ("learner", "rule", "said"), FAULTS, ids=[kind.__name__ for kind, _, _ in FAULTS]
)
def test_a_fault_is_found_and_explained(learner: Callable[..., Any], rule: str, said: str) -> None:
    told = {fault.rule: fault.explanation for fault in check_learner(LearnerFactory(learner))}
    assert said in told[rule]


def test_what_is_no_factory_is_a_fault() -> None:
    (fault,) = check_learner(Sound)  # type: ignore[arg-type]
    assert str(fault).startswith("factory: It is of type type; offer a LearnerFactory")


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(
        UsageError, match="Known: fst, fst-distill, prompt, prompt-then-rl, rl, rl-kl"
    ):
        check_learner("fts")
