"""Finding the answer in a response, judging it, and the feedback that a teacher would give.

An answer is looked for in a form first: `\\boxed{…}`, `<answer>…</answer>`, or a line that begins
with "answer:" ("final answer:"). A response without a form is read as people read it: its last
number, choice or line counts, so that a model that never writes a tag can earn a reward. Two
different answers in forms count as no answer; of a choice and its reasons in one form, what it
begins with counts. No text is ever evaluated as code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

from cl_bench.contract.choices import formed, last
from cl_bench.contract.task import Fault, FeedbackLevel, Verdict
from cl_bench.contract.text import one_line

Kind = Literal["number", "choice", "line", "text"]
"""The kinds of answer: a number, one of some choices, one line, or a text of any shape."""
KINDS: tuple[Kind, ...] = get_args(Kind)

CUT_OFF = "The response was cut off at the length limit."
"""Feedback that precedes the rest where it is true."""
MANY_CUT_OFF = 0.05
"""Share of responses cut off above which whoever reads of a run is told it."""
MOST_CUT_OFF = 0.5
"""Share of responses cut off above which accuracy says more of their length than of the answers."""
_MOST = 20_000
"""A response of more characters is not searched for an answer."""
_SHOWN = 80
"""Characters of an answer that feedback repeats."""
_DIGITS = 1_000
"""A text with more digits is not read as a number; Python refuses numbers of 4,300 digits."""

_TAG = re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)
_LINE = re.compile(
    r"^[ \t>*_#-]*(?:the |my |your )?(?:final |correct )?answer(?: is)?[*_]*[ \t]*:[*_]*[ \t]*"
    r"(\S[^\n]*)$",
    re.IGNORECASE | re.MULTILINE,
)
_NUMBER = re.compile(
    r"(?<![\w)]\*\*)(?<!\^)(?<!\^\{)"  # not an exponent
    # Not part of a word, of a longer number, of a name or of a terminal's escape.
    r"(?<![a-z0-9])(?<![a-z0-9]_)(?<!\x1b[\[\]])"
    r"(?:(?<![\w)\]])[-−–+])?"
    r"(?:(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|(?<![\w.])\.[0-9]+)"
    r"(?:[eE][-+]?[0-9]{1,2}(?!\w))?(?:/[0-9]+(?![\w.]))?"
    r"(?!\*\*[0-9]|\^[0-9]|[0-9]|[eE][-+]?[0-9]|\.__)"
)
_OR = re.compile(r"\bor\b", re.IGNORECASE)
_LIST = re.compile(r"\bor\b|\band\b|[,;]\s", re.IGNORECASE)
_GOES_ON = re.compile(r"\s*(?:[-+*/×÷^=<>−–]|\\|[a-zA-Z]\s*[-+*/=])")
"""What follows a number inside a calculation, whose result comes later."""
_PAIRS = ('""', "''", "``", "**", "__", "$$", "“”", "‘’")
_WRITTEN: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), plain)
    for pattern, plain in (
        # {,} is a comma without a space after it; \, and thin spaces separate thousands.
        (r"\{,\}", ","),
        (r"(?<=[0-9])(?:\\[,;! ]|[\u2009\u202f])(?=[0-9]{3})", ""),
        # \frac{3}{4} and \frac34.
        (r"\\[dt]?frac\{?(-?[0-9]+|(?<=frac)[0-9])\}?\{?([0-9]+)\}?", r" \1/\2"),
        # A sign apart from its number, or before a currency.
        (r"([=:({>][ \t]*)[-−–][ \t]+(?=[$€£]?[0-9.])", r"\1-"),
        (r"[-−–][ \t]?[$€£](?=[0-9.])", "-"),
        # 3 x 10^4, and a fraction with spaces.
        (r"([0-9.]) ?(?:x|×|\\times|\\cdot|\*) ?10(?:\^|\*\*)\{?(-?[0-9]{1,2})\}?", r"\1e\2"),
        (r"(?<=[0-9]) / (?=[0-9])", "/"),
    )
)
"""Ways of writing numbers in LaTeX and by hand, each with the text that `number` reads."""
_MIXED = re.compile(r"(?<![\w./])([-−–]?)([0-9]+) +([0-9]+)/([0-9]+)(?![\w/])")
_UNBOXED = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\{([^{}]*)\}")

_EXPECTED: dict[Kind, str] = {
    "number": "a number",
    "choice": "one of the choices",
    "line": "an answer on the last line",
    "text": "an answer",
}


@dataclass(frozen=True, slots=True)
class Extracted:
    """The answer that was read out of a response."""

    text: str | None
    """The answer; None when there is none, or two different ones."""
    formatted: bool = False
    """Whether it stood in a form."""
    rival: str = ""
    """The first and the last answer in words, where two different ones stand in forms."""


def extract(response: str, kind: Kind, choices: tuple[str, ...] = ()) -> Extracted:
    """Return the answer of that kind in `response`.

    A choice is one of `choices` or, without any, a letter.
    """
    if len(response) > _MOST:
        return Extracted(None)
    if kind == "number":
        response = _plainly(response)
    elif kind != "text":
        response = _UNBOXED.sub(r"\1", response)
    parts = (part for text in _forms(response) for part in _alternatives(text, kind, choices))
    forms = list(dict.fromkeys(_inside(part, kind, choices) for part in parts))
    if forms:
        found = [form for form in forms if form is not None]
        if len({_same(form, kind) for form in found}) > 1:
            return Extracted(None, True, f"{_shown(found[0])} and {_shown(found[-1])}")
        return Extracted(found[0] if found else None, bool(found))
    return Extracted(_last(response, kind, choices))


def _plainly(text: str) -> str:
    """Return `text` with all numbers written one way, mixed numbers as fractions."""
    text = _UNBOXED.sub(r" \1 ", text)
    for pattern, plain in _WRITTEN:
        text = pattern.sub(plain, text)
    return _MIXED.sub(_improper, text)


def _improper(match: re.Match[str]) -> str:
    sign, whole, above, below = match.groups()
    if not int(above) < int(below):
        return match[0]
    return f"{sign}{int(whole) * int(below) + int(above)}/{below}"


def _forms(response: str) -> Iterator[str]:
    """Yield the contents of all forms: boxes first, then tags, then lines."""
    yield from boxed(response)
    yield from _TAG.findall(response)
    untagged = _TAG.sub("", response)
    for match in _LINE.finditer(untagged):
        if "\\boxed" not in match[1]:
            emphasised = match[0].lstrip(" \t>#-")[:1] in ("*", "_")
            yield match[1].rstrip(" *_") or match[1] if emphasised else match[1]


def _alternatives(text: str, kind: Kind, choices: tuple[str, ...]) -> list[str]:
    """Return the answers that the content of a form gives: two for "7 or 8" and for "7, 8"."""
    if kind == "choice":
        return formed(text, choices) or [text]
    if kind != "number":
        return [text]
    parts = [part for part in _LIST.split(text) if part.strip()]
    return parts if all(number(_bare(part)) is not None for part in parts) else _OR.split(text)


def boxed(response: str) -> list[str]:
    """Return the stripped content of every `\\boxed{…}` whose braces are balanced."""
    found = []
    start = 0
    while (start := response.find("\\boxed{", start)) >= 0:
        start += len("\\boxed{")
        depth = 1
        for place in range(start, len(response)):
            depth += {"{": 1, "}": -1}.get(response[place], 0)
            if not depth:
                found.append(response[start:place].strip())
                start = place
                break
        else:
            break
    return found


def _inside(text: str, kind: Kind, choices: tuple[str, ...]) -> str | None:
    """Return the answer in the content of a form, or None."""
    text = text.strip()
    if kind == "number":
        return _formed_number(text)
    return (text if kind == "text" else _last(text, kind, choices)) or None


def _formed_number(text: str) -> str | None:
    """Return the number that a form begins with, 12 in "12 apples (3 boxes)".

    Where the form calculates, or tells the number in a sentence, it is the last one.
    """
    result = text.rpartition("=")[2]
    begun = _bare(result if _NUMBER.search(result) else text).lstrip("$€£ ")
    match = _NUMBER.match(begun)
    if match and not _GOES_ON.match(begun, match.end()):
        return _signed(match[0])
    return _last(text, "number", ())


def _signed(digits: str) -> str:
    return digits.replace("−", "-").replace("–", "-")


def _last(text: str, kind: Kind, choices: tuple[str, ...]) -> str | None:
    if kind == "number":
        numbers = _NUMBER.findall(text)
        return _signed(numbers[-1]) if numbers else None
    if kind == "choice":
        return last(text, choices)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if kind == "line":
        lines = [line for line in lines if not line.startswith("```")]
    if not lines:
        return None
    return _bare(lines[-1]) or None if kind == "line" else "\n".join(lines)


def _bare(line: str) -> str:
    """Return a line without the quotes, emphasis and full stop that surround an answer."""
    before = None
    while line != before:
        before, line = line, line.strip()
        if len(line) > 1 and line.endswith("."):
            line = line[:-1]
        if len(line) > 1 and line[0] + line[-1] in _PAIRS:
            line = line[1:-1]
    return line


def number(text: str) -> Fraction | None:
    """Return the exact value of `text`, or None if it is not a number."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None or sum(character.isdigit() for character in text) > _DIGITS:
        return None
    head, _, below = _signed(match[0]).replace(",", "").partition("/")
    try:
        return Fraction(head) / (Fraction(below) if below else 1)
    except (ValueError, ZeroDivisionError):
        return None


def same_number(answer: str, gold: str) -> bool:
    """Tell whether both are the same number, as 12, 12.0 and 24/2 are."""
    found = number(answer)
    return found is not None and found == number(gold)


def same_text(answer: str, gold: str) -> bool:
    """Tell whether both texts are equal but for case, white space, quotes and emphasis."""
    return _folded(answer) == _folded(gold)


def _folded(text: str) -> str:
    return " ".join(_bare(" ".join(text.split())).casefold().split())


def _same(text: str, kind: Kind) -> object:
    found = number(text) if kind == "number" else None
    return _folded(text) if found is None else found


SAME: dict[Kind, Callable[[str, str], bool]] = {
    "number": same_number,
    "choice": same_text,
    "line": same_text,
    "text": same_text,
}
"""For each kind of answer, the comparison with the right one."""


def judge(
    response: str,
    gold: str,
    *,
    asked: str,
    kind: Kind,
    level: FeedbackLevel,
    choices: tuple[str, ...] = (),
    score: Callable[[str], float] | None = None,
) -> Verdict:
    """Return the verdict on `response` to the problem `asked`, whose right answer is `gold`.

    Repetitions of the problem are removed first, whatever number they end in. `score` gives the
    extracted answer a number from 0 to 1 and must not raise; without it the answer has to be the
    same as `gold`.
    """
    found = extract(_without(asked, response), kind, choices)
    if found.text is None:
        points = 0.0
    elif score is None:
        points = float(SAME[kind](found.text, gold))
    else:
        points = score(found.text)
    formatted = found.formatted if found.text is not None else False
    if points >= 1:
        return Verdict(points, "Correct.", found.text, formatted)
    said, fault = _said(found, gold, kind, level, points)
    cut = CUT_OFF if level in ("step", "full") else ""
    return Verdict(points, said, found.text, formatted, fault, cut)


def _without(asked: str, response: str) -> str:
    """Return the response without repetitions of the problem.

    A problem of a single word may be part of an answer; it is removed only if it is the whole
    response.
    """
    if not asked or asked not in response:
        return response
    text = re.escape(asked)
    if re.fullmatch(rf"\s*{text}(?:\s+{text})*\s*", response):
        return ""
    if len(asked.split()) < 2:
        return response
    return re.sub(rf"(?<!\w){text}(?!\w)", "\n", response)


def _said(
    found: Extracted, gold: str, kind: Kind, level: FeedbackLevel, points: float
) -> tuple[str, Fault]:
    """Return the feedback on a wrong answer, and the kind of mistake."""
    if level == "none":
        return "Wrong.", ""
    right = f"The right answer is {_shown(gold)}."
    if level == "answer":
        return f"Wrong. {right}", ""
    if found.rival:
        said = f"Two different answers are given, {found.rival}."
        return f"{said} Only one may be. {right}", "two answers"
    if found.text is None:
        return f"No answer was found; {_EXPECTED[kind]} is expected. {right}", "no answer"
    part = f" It earns {points:.2g} of 1." if points > 0 else ""
    given = f"The answer given is {_shown(found.text)}.{part} {right}"
    return given, _fault(found.text, gold, kind)


def _fault(answer: str, gold: str, kind: Kind) -> Fault:
    """Return the kind of mistake, where the two answers lie close enough to tell."""
    if kind == "number":
        given, right = number(answer), number(gold)
        if given is None or right is None:
            return "wrong"
        if given == -right:
            return "sign"
        if right and abs(given - right) < Fraction(1) and given.denominator != right.denominator:
            return "rounding"
        return "wrong"
    inner = _folded(gold)
    return "extra words" if inner and inner in _folded(answer) else "wrong"


def _shown(text: str) -> str:
    return one_line(text, _SHOWN)
