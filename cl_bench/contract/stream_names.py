"""Streams by name: those built in, those of plug-ins, stream files, and chains of known domains."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from typing import Any

from cl_bench.contract.errors import UsageError, unknown
from cl_bench.contract.plugins import STREAM_SEPARATOR as _SEPARATOR
from cl_bench.contract.registry import DOMAINS, Registry
from cl_bench.contract.stream import (
    DEFAULT_ROLLOUTS,
    STEP_ROLLOUTS,
    Stage,
    Stream,
    require_outside,
    require_stages,
)
from cl_bench.contract.stream_file import read_stream
from cl_bench.contract.text import printable
from cl_bench.contract.validation import COUNTS, a_text, whole_number

_LONGEST = 8
"""Words between separators that one domain's name may have."""

STREAMS: Registry[Stream] = Registry(
    "stream",
    {
        "math-to-code": (
            "cl_bench.tasks.streams:MATH_TO_CODE",
            "two stages: math, then code; the default",
        ),
        "paper": (
            "cl_bench.tasks.streams:PAPER",
            "facts, code, physics, 12,800 rollouts each: the FST paper's continual run",
        ),
        "paper-hub": (
            "cl_bench.tasks.streams:PAPER_HUB",
            "for pretrained models: HoVer, CodeI/O, physics; retention on Polaris (hub)",
        ),
        "all": ("cl_bench.tasks.streams:ALL", "all five domains in turn"),
        "gym-arithmetic": (
            "cl_bench.tasks.streams:GYM_ARITHMETIC",
            "for pretrained models: sums, then products of small numbers (extra `gym`)",
        ),
        "gym-mixed": (
            "cl_bench.tasks.streams:GYM_MIXED",
            "for pretrained models: sums, syllogisms, letters, divisors (extra `gym`)",
        ),
    },
    "cl_bench.streams",
    "cl_bench.contract.plugin_checks:stream_fault",
)


LENGTHS = frozenset({"steps", "rollouts"})
"""The options that say how long a stage is, of which one is given."""
OF_A_STREAM = ("steps", "rollouts", "setting", "retention")
"""The options that replace a part of the stream that is named."""


def stream(
    name: str,
    *,
    steps: int | None = None,
    rollouts: int | None = None,
    setting: str | None = None,
    retention: str | None = None,
    step_rollouts: int = STEP_ROLLOUTS,
) -> Stream:
    """Return a named stream, that of a file, or `a-to-b(-to-c…)` over known domains.

    The three are tried in that order. `steps` or `rollouts`, and `setting`, replace those of every
    stage, `retention` the domains outside the stream (see `_outside`). Stages whose length is given
    in rollouts get as many steps of `step_rollouts` as those are. Raises `UsageError` for any other
    name, and for impossible steps, settings and domains.
    """
    if name in STREAMS and name not in DOMAINS.table:
        found = STREAMS.load(name)
    elif name.endswith(".toml"):
        found = read_stream(name)
    else:
        found = _parse(name)
    length = _length(steps, rollouts)
    if setting is not None:
        setting = a_text("setting", setting)
    stages = tuple(
        replace(stage, **length, setting=setting or stage.setting).sized(step_rollouts)
        for stage in found.stages
    )
    require_stages(stages)
    found = replace(found, stages=stages)
    if retention is not None and retention != "":
        found = replace(found, retention=_outside(a_text("retention", retention)))
        require_outside(found)
    return found


def _length(steps: int | None, rollouts: int | None) -> dict[str, Any]:
    """Return the fields of `Stage` that replace the length of every stage."""
    if steps is None and rollouts is None:
        return {}
    if rollouts is None:
        return {"steps": whole_number("steps", steps, COUNTS), "rollouts": 0}
    if steps is not None:
        raise UsageError(
            f"steps={steps} and rollouts={rollouts} both say how long a stage is: give one of them."
        )
    return {"rollouts": whole_number("rollouts", rollouts, COUNTS)}


def _outside(text: str) -> tuple[str, ...]:
    """Return the domains of a list joined by commas, as the registry finds them; `none` for none.

    In the options of a domain, %2C is a comma.
    """
    if text.strip() == "none":
        return ()
    names = [name.strip() for name in text.split(",")]
    if "" in names:
        raise UsageError(
            f"retention is {printable(repr(text), 100)}, but must be domains joined by commas, "
            "such as gym/gcd,lm_eval:ifeval, or none."
        )
    return tuple(dict.fromkeys(Stage.on(name, 1).reference for name in names))


def _parse(name: str) -> Stream:
    if name in DOMAINS:
        return _joined([name])
    ways = readings(name, DOMAINS)
    if len(ways) > 1:
        both = " or ".join(", then ".join(way) for way in ways)
        raise UsageError(
            f"The stream name {name!r} can be read in two ways: {both}. Name the stream you mean "
            "in a package of your own (entry points `cl_bench.streams`)."
        )
    if ways:
        return _joined(ways[0])
    if _SEPARATOR not in name:
        others = ("a-to-b over known domains", "FILE.toml")
        listed = [*STREAMS, *DOMAINS, *DOMAINS.sources, *others]
        raise unknown("stream", name, listed, DOMAINS.sourced())
    listed = [*DOMAINS, *DOMAINS.sources]
    raise unknown(f"domain (in the stream {name!r})", _unread(name), listed, DOMAINS.sourced())


def _joined(domains: Sequence[str]) -> Stream:
    stages = tuple(Stage.on(domain, rollouts=DEFAULT_ROLLOUTS) for domain in domains)
    return Stream(_SEPARATOR.join(stage.domain for stage in stages), stages)


def readings(name: str, domains: Container[str]) -> list[tuple[str, ...]]:
    """Return the ways to read `name` as domains joined by `-to-`, at most two of them.

    A domain's package may itself be called `seq-to-seq`, so that cutting at every `-to-` is not
    enough.
    """
    words = name.split(_SEPARATOR)
    ways: list[list[tuple[str, ...]]] = [[()], *([] for _ in words)]
    for end in range(1, len(words) + 1):
        for start in range(max(0, end - _LONGEST), end):
            domain = _SEPARATOR.join(words[start:end])
            if ways[start] and domain in domains:
                ways[end] += [(*way, domain) for way in ways[start]]
        ways[end] = ways[end][:2]  # two are enough to call a name ambiguous
    return ways[-1]


def _unread(name: str) -> str:
    """Return the part of a stream's name that is not a domain, as far as can be told."""
    words = name.split(_SEPARATOR)
    known = set(DOMAINS)
    start = max(
        (n for n in range(len(words)) if readings(_SEPARATOR.join(words[:n]), DOMAINS)), default=0
    )
    ends = range(start + 1, min(len(words), start + 8) + 1)
    rest = [_SEPARATOR.join(words[start:end]) for end in ends]
    # The shortest, unless a longer one resembles a known name more closely.
    return max(rest, key=lambda text: (_likeness(text, known), -len(text)))


def _likeness(text: str, known: Iterable[str]) -> float:
    return max(SequenceMatcher(None, text, name).ratio() for name in known)
