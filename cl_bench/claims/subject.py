"""Subjects: the models that the claims are tried on, each with domains, a stream and budgets.

The rules are the same for all; `Subject.words` puts a subject's domains into their texts. What a
subject adds to its runs' options is in the names of its cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cl_bench.contract.errors import unknown
from cl_bench.contract.plugins import STREAM_SEPARATOR
from cl_bench.contract.text import in_words


@dataclass(frozen=True)
class Budget:
    """How much the runs of a reproduction may cost."""

    name: str
    seeds: int
    """Seeds of every comparison, unless others are asked for."""
    single_samples: int
    """RL rollouts in a single run."""
    stage_samples: int
    """RL rollouts in a stage of the stream, and in a plasticity probe."""
    items: int
    """Test problems per domain."""


@dataclass(frozen=True)
class Subject:
    """A model, and what it takes to try the claims on it."""

    model: str
    claims: tuple[int, ...]
    """The numbers of those that can be asked of it."""
    seeds: tuple[int, ...]
    """The seeds of its runs, in order."""
    singles: tuple[str, ...]
    """Domains of the claims that average over single runs, as the paper has them."""
    more: tuple[str, ...]
    """Domains that are measured besides: single runs of claim 3, origins of claim 5."""
    origins: tuple[str, ...]
    """Where the models of the plasticity probe come from."""
    probe: str
    """The domain of the plasticity probe."""
    domains: tuple[str, ...]
    """All; a single run is asked about those that it does not train on."""
    outside: str
    """Claim 4's words for the others."""
    stream: str
    stages: tuple[str, ...]
    """The domains of the stream."""
    budgets: Mapping[str, Budget]
    evaluations: int
    """Evaluations in a single run, besides the one before training."""
    settings: Mapping[str, Mapping[str, Any]] | None
    """By learner its options over those of the model's preset; None for those that calibration
    chose."""
    single_options: Mapping[str, Any] = field(default_factory=dict)
    """Options of single runs and probes."""
    names_others: bool = False
    """Whether a single run has to be told which domains it is asked about besides its own."""
    whole_stream: bool = False
    """Whether runs on the stream are those of its board: of its own length, problems and
    evaluations."""

    @property
    def kl_domains(self) -> tuple[str, ...]:
        """Domains of single runs in which distances to the base are compared."""
        return (*self.singles, *self.more)

    @cached_property
    def words(self) -> Mapping[str, str]:
        """What stands for the names in the texts of the claims (`string.Template`)."""
        arrows = " → ".join(self.stages)
        return {
            "singles": listed(self.singles),
            "count": in_words(len(self.singles)),
            "kl_domains": listed(self.kl_domains),
            "origins": " and on ".join(self.origins),
            "probe": self.probe,
            "outside": self.outside,
            "stream": arrows,
            "first": self.stages[0],
            "later": ("mean of " if len(self.stages) > 2 else "on ") + listed(self.stages[1:]),
        }

    def others(self, domain: str) -> tuple[str, ...]:
        """The domains that a single run on `domain` does not train on."""
        return tuple(name for name in self.domains if name != domain)


def listed(names: Sequence[str]) -> str:
    """`facts, code and math`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


_STREAM = ("facts", "code", "physics")
EMBEDDED = Subject(
    model="embedded",
    claims=tuple(range(1, 11)),
    seeds=(
        *(100, 102, 103, 104, 105, 106, 107, 108, 109, 111),
        *(112, 114, 115, 116, 118, 121, 123, 124, 125, 126),
    ),
    singles=("facts", "code", "math"),
    more=("physics",),
    origins=("math", "physics"),
    probe="facts",
    domains=("facts", "code", "math", "physics", "star-graph"),
    outside="the other four domains (problems with conventions of their own, stated in the prompt)",
    stream=STREAM_SEPARATOR.join(_STREAM),
    stages=_STREAM,
    budgets={
        "small": Budget("small", seeds=2, single_samples=3_072, stage_samples=2_560, items=32),
        "full": Budget("full", seeds=6, single_samples=7_680, stage_samples=5_120, items=64),
    },
    evaluations=12,
    settings=None,
    single_options={"threads": 1},
)
"""Its seeds and those of calibration and development give all different conventions in every domain
(but star-graph, which has one convention)."""

_GYM = ("gym/chain_sum", "gym/products")
SMOLLM2 = Subject(
    model="smollm2",
    claims=(1, 3, 4, 5, 6, 8, 9),
    seeds=tuple(range(20)),
    singles=_GYM,
    more=(),
    origins=_GYM,
    probe="gym/gcd",
    domains=(*_GYM, "gym/gcd", "gym/letter_counting", "gym/syllogism"),
    outside=(
        "the other four of gym/chain_sum, gym/products, gym/gcd, gym/letter_counting and "
        "gym/syllogism in their easiest setting"
    ),
    stream="gym-arithmetic",
    stages=_GYM,
    budgets={
        "small": Budget("small", seeds=2, single_samples=512, stage_samples=1_024, items=16),
        "full": Budget("full", seeds=6, single_samples=1_024, stage_samples=1_024, items=64),
    },
    evaluations=8,
    settings={name: {"precision": "bf16"} for name in ("rl", "prompt", "fst")},
    single_options={"setting": "easy", "probes": True, "threads": 1},
    names_others=True,
    whole_stream=True,
)
"""Claim 2 would need runs long enough to level off, claim 7 a domain where the base scores 0, and
claim 10 is about distillation, which is not among its learners."""

SUBJECTS: Mapping[str, Subject] = {one.model: one for one in (EMBEDDED, SMOLLM2)}


def subject_of(model: str) -> Subject:
    """The subject whose model this is; `UsageError` if there is none."""
    if model not in SUBJECTS:
        raise unknown("model to try the claims on", model, SUBJECTS)
    return SUBJECTS[model]
