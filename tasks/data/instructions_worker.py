"""The process for checking instructions: `python -m cl_bench.tasks.data.instructions_worker`."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Mapping
from typing import Any

from .worker import serve


def main() -> None:
    """Answer questions until there are no more; the argument is NLTK's search path."""
    if sys.argv[1]:
        os.environ["NLTK_DATA"] = sys.argv[1]
    serve(_answer, _warm)


def _warm() -> None:
    """Import the checkers, without what they fetch when they are imported."""
    import langdetect
    import nltk

    nltk.download = lambda *_, **__: False
    langdetect.DetectorFactory.seed = 0
    from lm_eval.tasks.ifeval import utils  # noqa: F401


def _answer(question: Mapping[str, Any]) -> dict[str, Any]:
    """For each instruction what it says and whether the text follows it; of NLTK's data whether
    they are there."""
    from lm_eval.tasks.ifeval import utils
    from lm_eval.tasks.ifeval.instructions_registry import INSTRUCTION_DICT

    random.seed(0)  # what a row leaves open, such as a number, is drawn
    names = [name for name, _ in question["instructions"]]
    given = [{k: v for k, v in arguments.items() if v} for _, arguments in question["instructions"]]
    said = [
        INSTRUCTION_DICT[name](name).build_description(**arguments)
        for name, arguments in zip(names, given, strict=True)
    ]
    found = {"said": said, "punkt": _has_punkt()}
    if not question["text"].strip():
        return found | {"followed": [False] * len(said)}
    followed = []
    for name, arguments in zip(names, given, strict=True):
        random.seed(0)
        asked = utils.InputExample(0, [name], question["prompt"], [arguments])
        try:
            result = utils.test_instruction_following_strict(asked, question["text"])
            followed.append(bool(result.follow_all_instructions))
        except Exception:  # noqa: BLE001 - a hostile text may break a checker anywhere
            followed.append(False)
    return found | {"followed": followed}


def _has_punkt() -> bool:
    import nltk

    try:
        nltk.data.find("tokenizers/punkt_tab")
    except LookupError:
        return False
    return True


if __name__ == "__main__":
    main()
