"""The thoughts of models that reason before they speak: what follows a thought is the response.

A thought stands in a tag of its own at the very beginning, `<think>…</think>` or one of its like.
Where a chat template opens it, a response has the closing tag alone.
"""

from __future__ import annotations

import re

_NAMES = "think|thinking|thought|seed:think"
_TAG = re.compile(rf"<(?P<close>/?)(?:{_NAMES})>|\[(?P<shut>/?)THINK\]", re.IGNORECASE)


def after_thought(text: str) -> str | None:
    """Return what follows the thought that `text` begins with; None if the thought has no end.

    A text without a thought is returned as it is. Tags that are mentioned later, in pairs, begin no
    thought.
    """
    begins = _TAG.match(text.lstrip())
    depth = 0
    for tag in _TAG.finditer(text):
        depth += -1 if tag["close"] or tag["shut"] else 1
        if depth < 0 or (depth == 0 and begins):
            return text[tag.end() :].strip()
    return None if begins else text


def closed(tag: str) -> str:
    """Return the text that ends the thought which `tag` opened, without a word in it."""
    return f"\n{tag[0]}/{tag[1:]}\n\n" if tag else ""


def opened_by(prompt: str) -> str:
    """Return the tag that `prompt` ends with, if it opens a thought, else nothing."""
    last = [tag for tag in _TAG.finditer(prompt) if tag.end() == len(prompt.rstrip())]
    return last[0][0] if last and not (last[0]["close"] or last[0]["shut"]) else ""
