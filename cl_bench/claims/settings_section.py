"""The part of the page about settings: those in effect, and how calibration came to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from cl_bench.claims import calibration
from cl_bench.claims.plan import PROBE, Plan
from cl_bench.claims.styles import called, place
from cl_bench.contract.learner import LearnerConfig
from cl_bench.contract.registry import LEARNERS, REFERENCE_LEARNER
from cl_bench.contract.settings import those_of
from cl_bench.metrics.quantities import NOTHING, SHARE
from cl_bench.report.blocks.blocks import Block, Paragraph, Table

if TYPE_CHECKING:
    import pandas as pd

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
        *_calibration(plan),
    ]


def _origin(plan: Plan, learner: str) -> str:
    if learner in plan.settings:
        return "calibration"
    return f"settings of {REFERENCE_LEARNER}, not tuned"


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


def _calibration(plan: Plan) -> Iterator[Block]:
    """What was tried for every setting that was chosen, where in it the chosen one lies, and how
    clear the choice was."""
    rows: list[list[str]] = []
    calibrated = [name for name in plan.settings if name in calibration.LEARNERS]
    for learner in sorted(calibrated, key=place):
        options = [trial.options for trial in calibration.trials((learner,))]
        for name, chosen in plan.settings[learner].items():
            tried = sorted({one[name] for one in options if name in one})
            listed = ", ".join(map(shown, tried))
            rows.append(
                [called(learner), _words(name), shown(chosen), listed, _where(chosen, tried)]
            )
    if not rows:
        return
    columns = ("learner", "setting", "chosen", "tried", "chosen is")
    yield Table("What calibration chose, and among what", columns, rows)
    edges = sum("edge" in row[-1] for row in rows)
    if edges:
        yield Paragraph(
            f"{edges} of the chosen settings lie at the edge of what was tried: beyond it "
            "there may be better ones, for that learner."
        )
    yield from _scores(plan)


def _where(chosen: Any, tried: Sequence[Any]) -> str:
    if chosen not in tried:
        return "not among them"
    if len(tried) == 1:
        return "the only one: at the edge"
    edges = {tried[0]: "the smallest: at the edge", tried[-1]: "the largest: at the edge"}
    return edges.get(chosen, "inside")


def _scores(plan: Plan) -> Iterator[Block]:
    """The best trials and the noise between runs, of learners whose trials chose their settings."""
    import pandas as pd

    table = pd.read_csv(calibration.TRIALS)
    chosen = calibration.choose(table)
    rows = [
        [called(learner), *_best(found)]
        for learner, found in sorted(table.groupby("learner"), key=lambda pair: place(pair[0]))
        if chosen[learner] == plan.settings.get(learner)
    ]
    if not rows:
        return
    columns = (
        "learner",
        "the best trial",
        "the next best",
        "its two runs differ by",
        "those of a trial differ by, median",
    )
    yield Table(
        "How clear the choice was: scores are mean accuracies over stage ends",
        columns,
        rows,
    )
    yield Paragraph(
        "A trial is two runs, one on each of two streams, and a difference between trials that is "
        "smaller than that between its runs may be chance."
    )


def _best(found: pd.DataFrame) -> list[str]:
    ranked = found.sort_values("score", ascending=False, kind="stable")
    runs = ranked[[column for column in found if ", seed " in str(column)]]
    apart = runs.max(axis=1) - runs.min(axis=1)
    best, second = ranked["score"].iloc[:2]
    apart_by = map(SHARE.distance.text, (apart.iloc[0], apart.median()))
    return [SHARE.text(best), SHARE.text(second), *apart_by]
