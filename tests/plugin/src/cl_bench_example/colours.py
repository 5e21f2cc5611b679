"""colours: the sum of what colours are worth, modulo ten; hidden: what each is worth."""

from __future__ import annotations

from collections.abc import Sequence

from cl_bench.contract.task import (
    FeedbackLevel,
    IndexedTask,
    Problem,
    Split,
    Verdict,
    content_hash,
    hashed_rng,
    require_offered,
    split_of,
)

NAME = "cl-bench-example/colours"
COLOURS = ("red", "green", "blue", "white", "black", "pink")
LENGTHS = {"easy": 3, "default": 5}


class Colours:
    """The domain: one task for every seed and setting."""

    name = NAME
    version = "1"
    settings = tuple(LENGTHS)

    def task(self, *, seed: int, setting: str, feedback: FeedbackLevel) -> Palette:
        require_offered(self, setting, feedback)
        return Palette(seed, setting, feedback)


class Palette(IndexedTask):
    """The colours under one seed's worths."""

    name = NAME

    def __init__(self, seed: int, setting: str, feedback: FeedbackLevel) -> None:
        self._seed, self._setting, self._feedback = seed, setting, feedback
        rng = hashed_rng(NAME, "worths", seed)
        self._worths = {colour: rng.randrange(1, 10) for colour in COLOURS}

    def rules(self) -> Sequence[str]:
        return [f"{colour} is {worth}" for colour, worth in self._worths.items()]

    def verify(self, problem: Problem, response: str) -> Verdict:
        answer = response.strip()[:20]
        if answer == problem.answer:
            return Verdict(1.0, "colours : correct", answer)
        told = {"none": "", "answer": f" : answer is {problem.answer}"}
        rules = " , ".join(self.rules())
        return Verdict(0.0, f"colours : wrong{told.get(self._feedback, f' : {rules}')}", answer)

    def problem(self, split: Split, index: int) -> Problem:
        rng = hashed_rng(NAME, self._setting, split, self._seed, index)
        while split_of(prompt := self._prompt(rng.choices(COLOURS, k=self._length))) != split:
            pass
        total = sum(self._worths[word] for word in prompt.split() if word in COLOURS)
        answer = str(total % 10)
        uid = f"{NAME}/{split}/{index}/{content_hash(prompt)}"
        return Problem(uid, NAME, prompt, answer, answer)

    @property
    def _length(self) -> int:
        return LENGTHS[self._setting]

    def _prompt(self, colours: Sequence[str]) -> str:
        return f"colours : {' and '.join(colours)}"


DOMAIN = Colours()
