"""Finding domains and learners by name: literal lazy tables, read once at the start of a run.

Nothing is imported before it is asked for, and nothing here is used inside a learning loop.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from cl_bench.errors import unknown

if TYPE_CHECKING:
    from cl_bench.learner import LearnerFactory
    from cl_bench.stream import Stream
    from cl_bench.task import Domain

Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Registry(Generic[Entry]):
    """Names of one kind of thing, each with the `module:attribute` it lives in and a summary."""

    kind: str
    table: Mapping[str, tuple[str, str]] = field(repr=False)

    def __iter__(self) -> Iterator[str]:
        return iter(self.table)

    def __contains__(self, name: str) -> bool:
        return name in self.table

    def load(self, name: str) -> Entry:
        """Import the entry called `name`; an unknown name is a `UsageError` with a suggestion."""
        if name not in self.table:
            raise unknown(self.kind, name, self.table)
        module, _, attribute = self.table[name][0].partition(":")
        return cast(Entry, getattr(import_module(module), attribute))

    def summaries(self) -> list[tuple[str, str]]:
        """Each name with its line, without importing anything."""
        return [(name, summary) for name, (_, summary) in self.table.items()]


DOMAINS: Registry[Domain] = Registry(
    "domain",
    {
        "math": (
            "cl_bench.tasks.math:DOMAIN",
            "chains of house operators on a digit; hidden: what each does, and the order",
        ),
        "code": (
            "cl_bench.tasks.code:DOMAIN",
            "programs on two registers; hidden: what each house instruction does",
        ),
        "facts": (
            "cl_bench.tasks.facts:DOMAIN",
            "multi-hop claims over links; hidden: what relations span, the verdict words",
        ),
        "physics": (
            "cl_bench.tasks.physics:DOMAIN",
            "displacements on a dial; hidden: the unit factors and the sign convention",
        ),
        "star-graph": (
            "cl_bench.tasks.star_graph:DOMAIN",
            "paths in nested star graphs; hidden: only the search back from the goal works",
        ),
    },
)

STREAMS: Registry[Stream] = Registry(
    "stream",
    {
        "math-to-code": (
            "cl_bench.tasks.streams:MATH_TO_CODE",
            "two stages: math, then code; the default",
        ),
        "paper": (
            "cl_bench.tasks.streams:PAPER",
            "facts, code, physics, 200 steps each: the FST paper's continual run",
        ),
        "all": ("cl_bench.tasks.streams:ALL", "all five domains in turn"),
    },
)

LEARNERS: Registry[LearnerFactory] = Registry(
    "learner",
    {
        "rl": (
            "cl_bench.baselines.rl_only:RL",
            "slow weights only: GRPO/CISPO under the fixed seed prompt",
        ),
        "prompt": (
            "cl_bench.baselines.prompt_only:PROMPT",
            "fast weights only: GEPA rounds on frozen parameters",
        ),
        "fst": (
            "cl_bench.fst.fast_slow:FST",
            "fast-slow training: GEPA rounds and RL steps interleaved",
        ),
    },
)
