"""`check_task`: silent on sound domains, and each fault with its explanation."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cl_bench import check_task
from cl_bench.contract.errors import UsageError, unknown
from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.task import (
    Domain,
    Problem,
    Split,
    Verdict,
    content_hash,
    hashed_rng,
    split_of,
)
from cl_bench.tools.checks.randomness import kept, states
from cl_bench.tools.checks.witness import Place, drawn, drawn_elsewhere, place_of


class Sound:
    """A domain without a fault: say which of two words the house prefers. It is its own task."""

    name = "toy"
    version = "1"
    settings: tuple[str, ...] = ("default",)
    seed = 0

    def task(self, *, seed: int, setting: str, feedback: str) -> Any:
        if setting not in self.settings:
            raise unknown("setting", setting, self.settings)
        task = object.__new__(type(self))
        task.seed = seed
        return task

    def rules(self) -> Any:
        return ["the house likes even numbers"]

    def problems(self, split: Split, n: int, start: int = 0) -> list[Any]:
        return [self.problem(split, index) for index in range(start, start + n)]

    def problem(self, split: Split, index: int) -> Any:
        rng = self.rng(split, index)
        prompt = self.prompt(rng)
        while self.split_of(prompt) not in (split, None):
            prompt = self.prompt(rng)
        return Problem(self.uid(split, index, prompt), "toy", prompt, "even", self.solution())

    def rng(self, split: Split, index: int) -> random.Random:
        return hashed_rng("toy", split, self.seed, index)

    def prompt(self, rng: random.Random) -> str:
        return f"toy : {rng.randrange(100_000)}"

    def split_of(self, prompt: str) -> Split | None:
        return split_of(prompt)

    def uid(self, split: Split, index: int, prompt: str) -> str:
        return f"toy/{split}/{index}/{content_hash(prompt)}"

    def solution(self) -> str:
        return "answer even"

    def verify(self, problem: Problem, response: str) -> Any:
        return self.verdict(response[:1000].removeprefix("answer "))

    def verdict(self, answer: str) -> Any:
        return Verdict(float(answer == "even"), "toy : what is it ?", answer)


class Nameless(Sound):
    name = ""


class NoSettings(Sound):
    settings = ()


class OtherTaskName(Sound):
    def task(self, *, seed: int, setting: str, feedback: str) -> Any:
        task = super().task(seed=seed, setting=setting, feedback=feedback)
        task.name = "other"
        return task


class TooFew(Sound):
    def problems(self, split: Split, n: int, start: int = 0) -> list[Any]:
        return super().problems(split, n, start)[:50]


class NumberAnswer(Sound):
    def problem(self, split: Split, index: int) -> Any:
        return Problem(f"{split}{index}", "toy", "what ?", 7, "answer 7")  # type: ignore[arg-type]


class OtherDomain(Sound):
    def problem(self, split: Split, index: int) -> Any:
        return Problem(f"{split}{index}", "other", "what ?", "7", "answer 7")


class AnySetting(Sound):
    def task(self, *, seed: int, setting: str, feedback: str) -> Any:
        return super().task(seed=seed, setting="default", feedback=feedback)


class KeyErrorSetting(Sound):
    def task(self, *, seed: int, setting: str, feedback: str) -> Any:
        return super().task(seed=seed, setting={"default": "default"}[setting], feedback=feedback)


class Unseeded(Sound):
    def rng(self, split: Split, index: int) -> random.Random:
        return random.Random()


class DrawsAtOnce(Sound):
    def problems(self, split: Split, n: int, start: int = 0) -> list[Any]:
        rng = hashed_rng(split, self.seed, n)
        problems: list[Any] = []
        while len(problems) < n:
            prompt = self.prompt(rng)
            if split_of(prompt) == split:
                uid = self.uid(split, len(problems), prompt)
                problems.append(Problem(uid, "toy", prompt, "even", "answer even"))
        return problems


class IgnoresStart(Sound):
    def problems(self, split: Split, n: int, start: int = 0) -> list[Any]:
        return super().problems(split, n)


class HashOfText(Sound):
    def rng(self, split: Split, index: int) -> random.Random:
        return random.Random(hash((split, self.seed, index)))


class GlobalRandom(Sound):
    def rng(self, split: Split, index: int) -> random.Random:
        random.seed(f"{split} {self.seed} {index}")
        return random.Random(random.getrandbits(64))


class Leaking(Sound):
    def prompt(self, rng: random.Random) -> str:
        return f"toy : {rng.randrange(40)}"

    def split_of(self, prompt: str) -> Split | None:
        return None


class SameUid(Sound):
    def uid(self, split: Split, index: int, prompt: str) -> str:
        return f"toy/{content_hash(prompt)[:1]}"


class UidWithoutContent(Sound):
    def uid(self, split: Split, index: int, prompt: str) -> str:
        return f"toy/{split}/{index}"


class OneSeed(Sound):
    def rng(self, split: Split, index: int) -> random.Random:
        return hashed_rng("toy", split, index)


class ShiftedSeeds(Sound):
    def rng(self, split: Split, index: int) -> random.Random:
        return hashed_rng("toy", split, self.seed + index)


class RulesAsText(Sound):
    def rules(self) -> Any:
        return "the house likes even numbers"


class ShowsItsRule(Sound):
    def prompt(self, rng: random.Random) -> str:
        return f"toy : the house likes even numbers : {rng.randrange(100_000)}"


class WrongGold(Sound):
    def solution(self) -> str:
        return "answer odd"


class Generous(Sound):
    def verdict(self, answer: str) -> Any:
        return Verdict(1.0, "toy", None)


class Percent(Sound):
    def verdict(self, answer: str) -> Any:
        return Verdict(1.0 if answer == "even" else -1.0, "toy", answer)


class SilentFeedback(Sound):
    def verdict(self, answer: str) -> Any:
        return Verdict(float(answer == "even"), None, answer)  # type: ignore[arg-type]


class JustANumber(Sound):
    def verdict(self, answer: str) -> Any:
        return float(answer == "even")


class Moody(Sound):
    def verdict(self, answer: str) -> Any:
        return Verdict(float(answer == "even"), f"toy : {time.perf_counter_ns()}", answer)


class Fragile(Sound):
    def verify(self, problem: Problem, response: str) -> Any:
        return self.verdict(response.split()[1] if response != "answer even" else "even")


class Slow(Sound):
    def verify(self, problem: Problem, response: str) -> Any:
        if len(response) > 10_000:
            time.sleep(60)
        return super().verify(problem, response)


class Evaluates(Sound):
    def verdict(self, answer: str) -> Any:
        try:
            eval(answer)
        except Exception:  # noqa: BLE001
            return Verdict(float(answer == "even"), "toy", answer)
        return Verdict(0.0, "toy", answer)


class RewardsThePrompt(Sound):
    def verify(self, problem: Problem, response: str) -> Any:
        return self.verdict("even" if "toy" in response else response.removeprefix("answer "))


class AnyAnswerWillDo(Sound):
    """Every third problem is odd, and its verifier looks for the right word anywhere."""

    def problem(self, split: Split, index: int) -> Any:
        answer = "odd" if index % 3 == 1 else "even"
        return replace(super().problem(split, index), answer=answer, solution=f"answer {answer}")

    def verify(self, problem: Problem, response: str) -> Any:
        found = f"answer {problem.answer}" in response.split(" ; ")
        return Verdict(float(found), "toy : what is it ?", None)


# The rule that each breaks, and what it is told.
FAULTS: Sequence[tuple[Any, str, str]] = [
    (Nameless(), "domain", "Its name is ''"),
    (NoSettings(), "domain", "It has no settings"),
    (OtherTaskName(), "domain", "Its task is called 'other' and the domain 'toy'"),
    (Sound, "domain", "It is the class Sound; offer an instance of it."),
    (object(), "domain", "It is of type object; offer a Domain"),
    (TooFew(), "problems", "problems('train', 100) of setting 'default' gave 50"),
    (NumberAnswer(), "problems", "a problem's answer is 7"),
    (OtherDomain(), "problems", "a problem's domain is 'other'; it has to be 'toy'"),
    (AnySetting(), "settings", "'no such setting') was accepted; raise UsageError"),
    (KeyErrorSetting(), "settings", "raised KeyError: 'no such setting'; raise UsageError instead"),
    (Unseeded(), "repeatable", "Two tasks of seed 0 and setting 'default' have different train"),
    (DrawsAtOnce(), "prefix", "problems('train', 8) are not the first 8 of problems('train', 100)"),
    (IgnoresStart(), "prefix", "a resumed run would go on with other problems"),
    (HashOfText(), "other process", "are others in a second process. Python's hash()"),
    (GlobalRandom(), "random state", "seeds the global generator of random,"),
    (Leaking(), "splits", "is in the splits 'train' and 'validation' of setting 'default'"),
    (SameUid(), "uids", "Two items of one task have the uid 'toy/"),
    (UidWithoutContent(), "uids", "names different problems under another seed"),
    (OneSeed(), "seeds", "Seeds 0 and 1 have the same train problems of setting 'default';"),
    (ShiftedSeeds(), "seeds", "moved by one place"),
    (RulesAsText(), "convention", "rules() gave a str"),
    (ShowsItsRule(), "convention", "states the hidden rule 'the house likes even numbers'"),
    (WrongGold(), "gold", "scores 0.0 with feedback 'none'; a problem's own solution"),
    (Generous(), "hostile text", "an empty response scores 1.0; what is not the answer"),
    (Percent(), "verdicts", "The score of an empty response is -1.0"),
    (SilentFeedback(), "verdicts", "The feedback on the solution is None; it has to be a text."),
    (JustANumber(), "verdicts", "verify gave a float on the solution"),
    (Moody(), "verdicts", "Two verdicts on the solution differ"),
    (Fragile(), "hostile text", "raised IndexError: list index out of range; verify must never"),
    (Slow(), "hostile text", "The verdict on a hundred thousand brackets takes longer than 1 s"),
    (Evaluates(), "hostile text", "The verifier ran a response (code"),
    (RewardsThePrompt(), "hostile text", "the prompt itself scores 1.0"),
    (AnyAnswerWillDo(), "hostile text", "every answer at once scores 1.0"),
]
# A module's variables, by which a second process finds them.
vars().update({f"FAULTY_{place}": fault[0] for place, fault in enumerate(FAULTS)})
SOUND = Sound()


@pytest.mark.parametrize("name", ["math", "code", "facts", "physics", "star-graph"])
def test_every_built_in_domain_is_sound(name: str) -> None:
    assert name in DOMAINS
    assert check_task(name) == []


def test_a_sound_domain_of_somebody_else_is_sound_and_random_states_stay() -> None:
    with kept():
        before = repr(states())
        assert check_task(SOUND) == []
        assert repr(states()) == before


@pytest.mark.parametrize(
    ("domain", "rule", "said"), FAULTS, ids=[f"{rule} {said[:20]}" for _, rule, said in FAULTS]
)
def test_a_fault_is_found_and_explained(domain: Domain, rule: str, said: str) -> None:
    told = {fault.rule: fault.explanation for fault in check_task(domain)}
    assert said in told[rule]
    assert told[rule].endswith((".", ")"))


def test_a_domain_that_no_module_holds_is_a_fault_of_its_own() -> None:
    (fault,) = check_task(Sound())
    assert fault.rule == "other process"
    assert "Write DOMAIN = … at the top level" in str(fault)


def test_a_domain_that_the_registry_makes_of_a_name_is_found_by_that_name() -> None:
    domain = DOMAINS.load("gym/gcd?max_value=99")
    place = place_of(domain)
    assert place == Place(name="gym/gcd?max_value=99")
    assert drawn_elsewhere(place, 2) == drawn(domain, 2)


def test_what_a_source_makes_of_a_reference_is_held_to_its_own_name(tmp_path: Path) -> None:
    file = tmp_path / "my.jsonl"
    file.write_text("".join(f'{{"prompt": "{n} + 1", "answer": {n + 1}}}\n' for n in range(60)))
    assert DOMAINS.load(str(file)).name == "file/my.jsonl"
    assert check_task(str(file)) == []
    assert check_task("gym/gcd?min_value=2&max_value=20") == []  # it sorts its options


def test_a_domain_that_only_borrows_a_name_of_the_registry_is_not_found_by_it() -> None:
    borrowed = Sound()
    borrowed.name = "gym/gcd"
    assert place_of(borrowed) is None
    borrowed.name = "gym/no_such_data_set"
    assert place_of(borrowed) is None


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UsageError, match="Did you mean 'math'"):
        check_task("maths")
