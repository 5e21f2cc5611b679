"""Whether a response follows the instructions of its prompt, as IFEval judges it strictly.

The checkers are those of lm-evaluation-harness. They run in a process of their own: they draw from
the global generator, search with patterns of the rows, and would fetch data when imported. An
answer is JSON, `[["punctuation:no_comma", {}], …]`: the instructions, each with its arguments.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cl_bench.contract.answers import CUT_OFF
from cl_bench.contract.errors import UsageError
from cl_bench.contract.task import FeedbackLevel, Verdict, content_hash
from cl_bench.contract.text import one_line

from ..workers import DeadError, StartError, Worker
from .columns import DataItem

NAME = "instructions"
VERSION = "1"
"""Of how instructions are checked here; changes whenever scores do."""
_NEEDS = ("lm_eval", "langdetect", "immutabledict", "nltk")
_PUNKT = ("length_constraints:number_sentences", "change_case:capital_word_frequency")
"""Instructions whose checkers tell sentences or words apart by data of NLTK's."""
_LONGEST = 100_000
"""Characters of a response that is read."""
_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Instructions:
    """A response scores 1 if it follows all instructions, else 0."""

    name: str = NAME
    code: str = VERSION

    def answer(self, item: DataItem) -> str:
        """The instructions in words: there is no right answer but what follows them."""
        return " ".join(_words(item.answer))

    def solution(self, item: DataItem) -> str:
        """A text in place of a reference, of which the rows have none; no response can know it."""
        return f"(any response that follows the instructions of {content_hash(item.prompt)})"

    def judge(self, item: DataItem, response: str, level: FeedbackLevel) -> Verdict:
        words = _words(item.answer)
        if response == self.solution(item):
            return Verdict(1.0, "Correct.", None)
        broken = words
        if len(response) <= _LONGEST:
            with suppress(DeadError):
                found = _asked(item.answer, response, item.prompt).get("followed", [])
                broken = [said for said, kept in zip(words, found, strict=False) if not kept]
                broken += words[len(found) :]
        if not broken:
            return Verdict(1.0, "Correct.", None)
        if level == "none":
            return Verdict(0.0, "Wrong.", None)
        said = f"The response did not do this: {' '.join(broken)}"
        if level == "answer":
            return Verdict(0.0, said, None)
        return Verdict(0.0, said, None, None, "wrong", CUT_OFF)


def instructions(items: Sequence[DataItem]) -> Instructions:
    """The verifier; a `UsageError` if what its checkers need is not installed."""
    if missing := [name for name in _NEEDS if find_spec(name) is None]:
        raise UsageError(
            f"Instructions are checked by lm-evaluation-harness, and {missing[0]!r} is not "
            "installed: `pip install 'cl-bench[lm-eval]'`."
        )
    try:
        has_punkt = _asked("[]", "").get("punkt")
    except (DeadError, StartError) as error:
        raise UsageError(
            "The checkers of instructions, those of lm-evaluation-harness, do not start. Type: "
            "python -c 'import lm_eval.tasks.ifeval.utils'"
        ) from error
    counted = next((name for name in _PUNKT for item in items if name in item.answer), "")
    if counted and not has_punkt:
        raise UsageError(
            f"The instruction {counted} is checked with data of NLTK's, punkt_tab, which is not "
            "there. Type, where there is a connection: python -m nltk.downloader punkt_tab; or "
            "name in NLTK_DATA a folder with a copy as tokenizers/punkt_tab."
        )
    return Instructions()


@lru_cache(maxsize=100_000)
def _words(answer: str) -> list[str]:
    """What each instruction says; `ValueError` if one of them cannot be checked."""
    try:
        found = _asked(answer, "")
    except DeadError as error:
        raise ValueError("takes too long to check") from error
    if "said" not in found:
        raise ValueError(f"is no list of instructions ({one_line(found['fault'], 100)})")
    return [one_line(said, 300) for said in found["said"]]


def _asked(answer: str, response: str, prompt: str = "") -> dict[str, Any]:
    question = {"instructions": json.loads(answer), "text": response, "prompt": prompt}
    return _worker(_nltk_data()).ask(question, _SECONDS)


def _nltk_data() -> str:
    """The folders where NLTK looks for data: its process has another home and working folder."""
    named = filter(None, os.environ.get("NLTK_DATA", "").split(os.pathsep))
    return os.pathsep.join(str(Path(at).expanduser().absolute()) for at in (*named, "~/nltk_data"))


@cache
def _worker(nltk_data: str) -> Worker:
    return Worker("cl_bench.tasks.data.instructions_worker", nltk_data)
