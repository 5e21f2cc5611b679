"""The thoughts of models that reason before they speak: what follows a thought is the response.

A thought stands in a tag of its own at the very beginning, `<think>…</think>` or one of its like.
Where a chat template opens it, a response has the closing tag alone. Or a response consists of
channels, `<|channel|>analysis<|message|>…`, of which the one that is called final has the response
(gpt-oss's harmony).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

_NAMES = "think|thinking|thought|seed:think"
_TAG = re.compile(rf"<(?P<close>/?)(?:{_NAMES})>|\[(?P<shut>/?)THINK\]", re.IGNORECASE)
_CHANNEL, _END = "<|channel|>", "<|end|>"
_FINAL = re.compile(r"<\|channel\|>final\b[^\n]*?<\|message\|>")
_CHANNELS = (_CHANNEL, "<|start|>", "<|message|>", "<|constrain|>", _END)


def tags_among(tokens: Iterable[str]) -> set[str]:
    """Return those of a tokenizer's `tokens` that are tags of thoughts, or mark channels."""
    known = {*tokens}
    channels = known & {*_CHANNELS} if _CHANNEL in known else set()
    return channels | {token for token in known if _TAG.fullmatch(token)}


def after_thought(text: str) -> str | None:
    """Return what follows the thought that `text` begins with; None if the thought has no end.

    A text without a thought is returned as it is. Tags that are mentioned later, in pairs, begin no
    thought.
    """
    if text.lstrip().startswith(_CHANNEL):
        final = _FINAL.search(text)
        return text[final.end() :].partition(_END)[0].strip() if final else None
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


def thought_length(tokens: Sequence[int], text_of: Callable[[Sequence[int]], str]) -> int:
    """Return how many of a response's tokens are its thought, tags included.

    `text_of` gives the text of its first tokens. A thought without an end is all of them.
    """

    def ended(count: int) -> bool:
        text = text_of(tokens[:count])
        return after_thought(text) not in (None, text)

    whole = text_of(tokens)
    said = after_thought(whole)
    if said is None:
        return len(tokens)
    if said == whole or _FINAL.match(whole.lstrip()):
        return 0
    return bisect_left(range(len(tokens)), True, key=ended)
