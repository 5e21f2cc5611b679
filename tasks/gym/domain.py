"""Every data set of reasoning-gym as a domain: `gym/gcd`, `gym/gcd?max_value=20&min_value=1`.

reasoning-gym (arXiv 2505.24760) draws the questions and, where several answers are right, judges
them. It seeds item i with `seed + i`, so that neighbouring seeds share nearly all items; here
every item has a seed that is a hash of the domain, setting, split, seed and index. A question
belongs to the split that its text says. What is known of each data set stands in the module table.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

from cl_bench.contract.answers import extract, judge
from cl_bench.contract.errors import ClBenchError, UsageError, did_you_mean
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
from cl_bench.contract.text import one_line, printable

from . import params
from .params import PARTIAL, known
from .scoring import points, spelled
from .table import LEFT_OUT, SETS

if TYPE_CHECKING:
    from .engine import Engine

__all__ = ["NAMES", "GymDomain", "GymTask", "factory", "known", "load"]

NAMES = tuple(f"gym/{data}" for data in SETS)
_TRIES = 400
"""Draws until a question of the right split has to be among them."""
_PROBLEMS = 20_000
"""Problems that are kept, because drawing them again takes about five draws each."""


@cache
def load(name: str) -> GymDomain:
    """The domain of that name; `UsageError` if there is none or reasoning-gym is missing."""
    data, texts = params.split(name)
    if data in LEFT_OUT:
        raise UsageError(
            f"gym/{data} is not adapted: {LEFT_OUT[data]}. `cl-bench list gym` shows what is."
        )
    if data not in SETS:
        hint = did_you_mean(data.casefold(), SETS, prefix="gym/")
        raise UsageError(
            f"reasoning-gym has no data set {printable(data, 60)!r}.{hint} `cl-bench list gym` "
            f"names all {len(SETS)}."
        )
    data_sets = factory().DATASETS
    if data not in data_sets:
        raise UsageError(
            f"The installed reasoning-gym has no data set {data!r}; `pip install -U "
            "'cl-bench[gym]'` installs a version that has."
        )
    values = params.read(data, data_sets[data][1], texts)
    if not values.get(PARTIAL, True):
        del values[PARTIAL]
    if values.get(PARTIAL) and SETS[data].judge:
        raise UsageError(
            f"gym/{data} has no partial credit, because its answers are compared without "
            "reasoning-gym's scorer; leave `partial` out."
        )
    own = params.canonical(data, values)
    return load(own) if own != name else GymDomain(data, own)


def factory() -> Any:
    """Its module `factory`, imported for the first time here."""
    try:
        return import_module("reasoning_gym.factory")
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == "reasoning_gym":
            raise UsageError(
                "Domains called gym/NAME need reasoning-gym: `pip install 'cl-bench[gym]'`."
            ) from error
        raise UsageError(
            f"reasoning-gym cannot be imported, because {missing!r} is not installed: "
            "`pip install 'cl-bench[gym]'` installs what it needs."
        ) from error


class GymDomain:
    """A data set of reasoning-gym under the parameters that its name gives."""

    licence = "Apache-2.0"
    citation = "Stojanovski et al., Reasoning Gym, 2025, arXiv 2505.24760"

    def __init__(self, data: str, name: str) -> None:
        self.name, self.data = name, data
        self._entry = entry = SETS[data]
        self.version = f"{entry.version}+reasoning-gym-{metadata.version('reasoning-gym')}"
        self.kind, self.choices = entry.kind, entry.choices
        self.summary = f"{data} of reasoning-gym; an answer is a {entry.kind}"
        self._texts = params.split(name)[1]
        self.partial = self._texts.get(PARTIAL) == "true"
        self._require()
        self.settings: Collection[str] = [
            setting for setting in ("easy", "default", "hard") if self._offers(setting)
        ]

    def task(self, *, seed: int, setting: str, feedback: FeedbackLevel) -> GymTask:
        require_offered(self, setting, feedback)
        return GymTask(self, seed, setting, feedback)

    @lru_cache(maxsize=64)  # noqa: B019 - domains live as long as the process
    def engine(self, setting: str) -> Engine:
        """The engine that draws and scores the items of a setting."""
        from .engine import Apart, Local

        return (Apart if self._entry.apart else Local)(self.data, setting, self._texts)

    @lru_cache(maxsize=_PROBLEMS)  # noqa: B019 - as above
    def problem(self, setting: str, split: Split, seed: int, index: int) -> Problem:
        """The item of that index. Its uid holds the seed that reasoning-gym had."""
        rng = hashed_rng(self.name, setting, split, seed, index)
        failures: list[str] = []
        for _ in range(_TRIES):
            number = rng.getrandbits(31)
            try:
                question = self.engine(setting).question(number)
                gold = self.engine(setting).gold(number) if split_of(question) == split else ""
            except ClBenchError:
                raise
            except Exception as error:  # noqa: BLE001 - reasoning-gym gives some items up
                failures.append(_reason(error))
                continue
            if self._readable(gold):
                uid = f"{self.name}/{split}/{index}/{number:08x}-{content_hash(question)}"
                return Problem(uid, self.name, question, gold, self._solution(gold))
        raise self._exhausted(setting, split, failures)

    def _exhausted(self, setting: str, split: Split, failures: list[str]) -> UsageError:
        if len(failures) > _TRIES // 2:
            return UsageError(
                f"reasoning-gym cannot draw a question for {self.name} in the setting "
                f"{setting!r}: {failures[0]}. Set other parameters, or leave them out."
            )
        return UsageError(
            f"In {_TRIES} draws {self.name} has no question of its setting {setting!r} for the "
            f"split {split!r}: it has too few different ones. Set parameters that allow more."
        )

    def points(self, setting: str, problem: Problem, answer: str) -> float:
        """The score of the extracted answer, from 0 to 1."""

        def score(text: str) -> float:
            number = int(problem.uid.rpartition("/")[2].partition("-")[0], 16)
            return self.engine(setting).score(number, problem.prompt, text)

        return points(answer, problem.answer, self._entry, score, partial=self.partial)

    def _solution(self, gold: str) -> str:
        return f"<answer>{gold}</answer>" if self.kind == "text" else f"answer: {gold}"

    def _readable(self, gold: str) -> bool:
        """Whether the right answer is found in the full response that gives it."""
        found = extract(self._solution(gold), self.kind, self.choices).text if gold else None
        return found is not None and spelled(found, gold, self._entry) == gold

    def _require(self) -> None:
        """Raise `UsageError` where reasoning-gym refuses the parameters of the name."""
        try:
            self._validate("default")
        except Exception as error:
            raise UsageError(
                f"reasoning-gym refuses the parameters of {self.name}: {_reason(error)}. Set "
                "others, or leave them out; `cl-bench list gym` shows the data sets."
            ) from error

    def _offers(self, setting: str) -> bool:
        """Whether there is such a setting, and the user's parameters go with those it sets."""
        if setting != "default" and not self._entry.parameters(setting):
            return False
        try:
            self._validate(setting)
        except Exception:  # noqa: BLE001 - reasoning-gym asserts, converts and compares
            return False
        return True

    def _validate(self, setting: str) -> None:
        from .engine import validate

        validate(self.data, setting, self._texts)


def _reason(error: Exception) -> str:
    return one_line(str(error), 200).rstrip(".") or type(error).__name__


@dataclass(frozen=True)
class GymTask(IndexedTask):
    """A data set in one setting; nothing about it is hidden."""

    domain: GymDomain
    seed: int
    setting: str
    feedback: FeedbackLevel

    @property
    def name(self) -> str:
        return self.domain.name

    def rules(self) -> list[str]:
        return []

    def problem(self, split: Split, index: int) -> Problem:
        return self.domain.problem(self.setting, split, self.seed, index)

    def verify(self, problem: Problem, response: str) -> Verdict:
        return judge(
            response,
            problem.answer,
            asked=problem.prompt,
            kind=self.domain.kind,
            choices=self.domain.choices,
            level=self.feedback,
            score=lambda answer: self.domain.points(self.setting, problem, answer),
        )
