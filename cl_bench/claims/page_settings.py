"""The part of the page about settings: those in effect, and how calibration came to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from cl_bench.claims.look import called, place
from cl_bench.claims.page_calibration import calibration_section
from cl_bench.claims.plan import PROBE, Plan
from cl_bench.claims.settings import INHERITS
from cl_bench.contract.learner import LearnerConfig
from cl_bench.contract.registry import LEARNERS
from cl_bench.contract.settings import those_of
from cl_bench.report.blocks.blocks import Block, Table
from cl_bench.report.blocks.numbers import NOTHING

_WORDS = {
    "learning_rate": "learning rate",
    "problems_per_step": "problems in a step",
    "group_size": "rollouts of a problem (G)",
    "ratio_cap": "upper clip of the importance ratio",
    "kl_beta": "weight of the KL penalty",
    "replay_share": "share of past problems",
    "replay_size": "past problems kept",
    "round_every": "steps between rounds (T)",
    "consecutive_rounds": "rounds in a row",
    "population": "prompts kept (K)",
    "proposals": "rewrites proposed in a round",
    "round_exercises": "problems that score a round",
    "reflection_batch": "rollouts behind a rewrite",
    "reflection_lm": "who rewrites",
    "mixed_groups": "several prompts in a group",
    "refill": "population refilled",
    "temperature": "sampling temperature",
    "max_new_tokens": "longest response, tokens",
}
"""The settings that the page shows, in its order, and what they are called."""


def settings_section(plan: Plan, learners: Sequence[str]) -> list[Block]:
    """The settings of these learners, defaults included, and what calibration tried."""
    ordered = sorted(dict.fromkeys([*learners, *plan.settings]), key=place)
    rows = [[_words(name), *(_shown(plan, each, name) for each in ordered)] for name in _WORDS]
    used = [row for row in rows if set(row[1:]) != {NOTHING}]
    return [
        Table(
            f"Settings in effect, defaults included; {NOTHING}: not used by the learner",
            ["setting", *map(called, ordered)],
            [
                ["chosen by", *(_origin(plan, each) for each in ordered)],
                *used,
                *_pace(plan, ordered),
            ],
        ),
        *calibration_section(plan, _words, shown),
    ]


def _origin(plan: Plan, learner: str) -> str:
    if learner in plan.settings:
        return "calibration"
    return f"settings of {INHERITS[learner]}, not tuned"


def _shown(plan: Plan, learner: str, name: str) -> str:
    config = _config(plan, learner)
    return shown(getattr(config, name)) if hasattr(config, name) else NOTHING


def _config(plan: Plan, learner: str) -> LearnerConfig:
    config = LEARNERS.load(learner).config
    return config(**those_of(config, _single(plan, learner)))


def _single(plan: Plan, learner: str) -> dict[str, Any]:
    return dict(plan.single(PROBE, learner, plan.seeds[0]).options)


def _pace(plan: Plan, learners: Sequence[str]) -> Iterator[list[str]]:
    """Steps, and how far apart evaluations are."""
    seed = plan.seeds[0]
    for what, cells in (
        ("single run", [plan.single(PROBE, learner, seed) for learner in learners]),
        ("stage of the stream", [plan.stream(learner, seed) for learner in learners]),
    ):
        yield [f"steps in a {what}", *(str(cell.steps) for cell in cells)]
        yield [f"evaluated every … steps, {what}", *(str(c.options["eval_every"]) for c in cells)]


def shown(value: Any) -> str:
    """A setting's value as the page writes it."""
    if value is None or value != value:  # NaN, as pandas has for what is not known
        return NOTHING
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def _words(name: str) -> str:
    return _WORDS.get(name, name)
