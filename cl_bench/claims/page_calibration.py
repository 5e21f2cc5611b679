"""The part of the page about calibration: what was tried, what won, and by how much."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from cl_bench.claims import calibration
from cl_bench.claims.plan import Plan
from cl_bench.claims.styles import called, place
from cl_bench.report.blocks.blocks import Block, Paragraph, Table

if TYPE_CHECKING:
    import pandas as pd


def calibration_section(
    plan: Plan, name_of: Callable[[str], str], shown: Callable[[object], str]
) -> Iterator[Block]:
    """What was tried for every setting that was chosen, where in it the chosen one lies, and how
    clear the choice was. `name_of` has words for a setting, `shown` for its value."""
    rows: list[list[str]] = []
    calibrated = [name for name in plan.settings if name in calibration.LEARNERS]
    for learner in sorted(calibrated, key=place):
        options = [trial.options for trial in calibration.trials((learner,))]
        for name, chosen in plan.settings[learner].items():
            tried = sorted({one[name] for one in options if name in one})
            listed = ", ".join(map(shown, tried))
            rows.append(
                [called(learner), name_of(name), shown(chosen), listed, _where(chosen, tried)]
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
        [called(learner), *_of(found)]
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
        "How clear the choice was: scores are mean accuracies over stage ends, points of 100",
        columns,
        rows,
    )
    yield Paragraph(
        "A trial is two runs, one on each of two streams, and a difference between trials that is "
        "smaller than that between its runs may be chance."
    )


def _of(found: pd.DataFrame) -> list[str]:
    ranked = found.sort_values("score", ascending=False, kind="stable")
    runs = ranked[[column for column in found if ", seed " in str(column)]]
    apart = runs.max(axis=1) - runs.min(axis=1)
    best, second = ranked["score"].iloc[:2]
    return [f"{100 * value:.1f}" for value in (best, second, apart.iloc[0], apart.median())]
