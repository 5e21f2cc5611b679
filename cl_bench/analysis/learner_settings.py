"""One learner with several settings: what tells them apart, and which one stands for the learner.

A board has one row a learner. Of several settings it shows the one with the most finished seeds; of
those that have equally many the model's preset, and if it is not among them the one with the best
average accuracy. The others fold under it (docs/leaderboard.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cl_bench.analysis.entries import RunEntry, Settings
from cl_bench.analysis.paired import mean_over_seeds
from cl_bench.contract.registry import LEARNERS
from cl_bench.contract.settings import settings_of
from cl_bench.execution.presets import preset_of
from cl_bench.metrics.undefined import Undefined

_ACCURACY = "average_accuracy"
AS_MOST = "as most"


@dataclass(frozen=True, eq=False)
class Runs:
    """The runs of one learner with one setting."""

    learner: str
    settings: Settings
    by_seed: Mapping[int, RunEntry]

    @property
    def candidate(self) -> Candidate:
        """What speaks for this setting."""
        values = {seed: entry.value(_ACCURACY) for seed, entry in self.by_seed.items()}
        found = mean_over_seeds(values)
        finished = sum(entry.status == "done" for entry in self.by_seed.values())
        mean = float("-inf") if isinstance(found, Undefined) else found.value
        return Candidate(self.learner, self.settings, (finished,), mean)


class Candidate(NamedTuple):
    """A setting that may stand for its learner."""

    learner: str
    settings: Settings
    counts: tuple[int, ...]
    """How much was run with it, what counts most first: boards, finished seeds."""
    accuracy: float
    """Mean average accuracy; −∞ where there is none."""


def choose(
    candidates: Sequence[Candidate], model: str, *, most: str = "with the most seeds"
) -> tuple[int, str]:
    """The place of the setting that stands for the learner of all, and why it does, in words.

    `model` is the one that all were run with, by the name that the runs were given; `most` is said
    of one that was run more than the others.
    """
    if len(candidates) == 1:
        return 0, "the only one"
    highest = max(one.counts for one in candidates)
    left = [place for place, one in enumerate(candidates) if one.counts == highest]
    if len(left) == 1:
        return left[0], most
    settings = [candidates[place].settings for place in left]
    preset = _presets_own(settings, candidates[0].learner, model)
    if preset is not None:
        return left[preset], "the model’s preset"
    best = max(left, key=lambda place: (candidates[place].accuracy, str(candidates[place])))
    return best, "with the best mean"


def _presets_own(alike: Sequence[Settings], learner: str, model: str) -> int | None:
    """The place of the settings that the model's preset gives its learner, where they differ."""
    if learner not in LEARNERS.table:
        return None  # a plug-in's, which presets know nothing of
    defaults = settings_of(LEARNERS.load(learner).config)
    given = {one.name: one.default for one in defaults}
    given |= preset_of(model).options(learner)
    others = [dict(settings) for settings in alike]
    names = dict.fromkeys(name for other in others for name in other)
    varied = [name for name in names if len({repr(other.get(name)) for other in others}) > 1]
    own = [all(name in given and of.get(name) == given[name] for name in varied) for of in others]
    return own.index(True) if True in own else None


def telling_settings(rows: Iterable[tuple[str, Settings]]) -> dict[str, Callable[[Settings], str]]:
    """By learner, what gives the settings that tell one of its rows from the others of `rows`, such
    as `learning_rate=0.0009`; empty for a learner with one row."""
    alike: dict[str, list[Settings]] = {}
    for learner, settings in rows:
        alike.setdefault(learner, []).append(settings)
    return {learner: _differing(of_learner) for learner, of_learner in alike.items()}


def _differing(alike: Sequence[Settings]) -> Callable[[Settings], str]:
    """Return what gives the settings that tell one of `alike`, all of the same learner, from the
    others; empty if it is alone.

    A value that more than half of these have is not named, so that variations of one setting are
    called by what they vary; one that has no other values is `as most`.
    """
    others = [dict(settings) for settings in alike]
    names = dict.fromkeys(name for other in others for name in other)
    counts = Counter((name, _hashable(other.get(name))) for other in others for name in names)

    def told(own: Settings) -> str:
        named = (
            f"{name}={value}"
            for name, value in own
            if 2 * counts[name, _hashable(value)] <= len(others)
        )
        return ", ".join(named) or (AS_MOST if len(others) > 1 else "")

    return told


def _hashable(value: object) -> object:
    """Return the value, or what is written for one that cannot be counted."""
    return repr(value) if isinstance(value, list | dict) else value
