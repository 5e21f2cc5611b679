"""Calibration: the settings with which each learner goes into the comparison.

Every learner of `LEARNERS` has four trials (those that are taught have none), around what eight
trials of two runs each had found before. A trial is four runs, two on streams of two stages and two
of three, whose conventions (seeds) no other run uses. In a stage every trial of a learner that
trains parameters spends `SAMPLES` rollouts: with twice as many problems in a step a stage has half
as many steps. A trial's score is the mean over its runs of `anytime_average_accuracy` under the
learner's own prompt: what has been learned and kept, on average over the stage ends; `spread` is
the standard deviation over them. A run that diverged scores 0. The best score wins; among equal
ones the trial that comes first in the table.

`cl-bench calibrate` makes the runs and writes trials.csv, the table of all trials, and what that
table chooses, settings.json, to results/calibration/. Rows of learners that are not calibrated
again stay in the table. Copies of both beside this file are what `cl-bench reproduce` takes and
shows.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cl_bench.contract.errors import ClBenchError, RunDirectoryError, UsageError, unknown
from cl_bench.contract.registry import LEARNERS as BUILT_IN
from cl_bench.store.files import read_json, write_json_atomically, write_text_atomically
from cl_bench.sweep.backends.backend import BackendConfig
from cl_bench.sweep.cell import Cell
from cl_bench.sweep.display import Display
from cl_bench.sweep.pool import make_missing
from cl_bench.verify.findings import Findings, Verification

if TYPE_CHECKING:
    import pandas as pd

SAMPLES = 5_120
"""Rollouts of slow weights in a stage."""
GROUP_SIZE = 8
COURSES = (
    ("math-to-facts", 1000),
    ("code-to-physics", 1001),
    ("math-to-facts-to-code", 1003),
    ("code-to-physics-to-math", 1004),
)
"""Stream and seed of the runs of a trial; the final runs use other seeds."""
RUNS = [f"{stream}, seed {seed}" for stream, seed in COURSES]
"""The columns of their scores."""
_DIGITS = 2e-6
"""Rounding to the six digits of the file."""
LEARNERS = (
    *("rl", "prompt", "fst", "fst-distill"),
    *("rl-kl", "rl-replay", "prompt-then-rl", "rl-then-prompt"),
)
"""The learners that have trials, in the order of tables and legends."""
SETTINGS = Path(__file__).with_name("settings.json")
TRIALS = Path(__file__).with_name("trials.csv")


def _rates(*rates: tuple[float, int]) -> list[dict[str, Any]]:
    return [{"learning_rate": rate, "problems_per_step": problems} for rate, problems in rates]


_SLOW = _rates((3e-4, 8), (6e-4, 8), (6e-4, 16), (9e-4, 16))
"""The second is the default."""
_FAST: list[dict[str, Any]] = [
    {"proposals": proposals, "round_exercises": exercises}
    for proposals, exercises in ((3, 8), (3, 16), (5, 16), (8, 32))
]
_OPTIONS = tuple({**_SLOW[0], **_FAST[0]})
_COLUMNS = ("learner", "trial", *_OPTIONS, "steps", "score", "spread")

_GRIDS: Mapping[str, list[dict[str, Any]]] = {
    **dict.fromkeys(LEARNERS, _SLOW),
    "prompt": _FAST,
    "fst": _rates((1.5e-4, 8), (3e-4, 16), (6e-4, 16), (9e-4, 16)),
    "fst-distill": _rates((7.5e-5, 16), (1.5e-4, 8), (1.5e-4, 16), (3e-4, 16)),
}
"""By learner its trials."""


@dataclass(frozen=True)
class Trial:
    """One setting of one learner, and the runs that try it."""

    learner: str
    number: int
    """From 1, in the order of the table."""
    options: Mapping[str, Any]
    cells: tuple[Cell, ...]


def trials(learners: Sequence[str] = LEARNERS) -> list[Trial]:
    """The trials of these learners; `UsageError` for one that has none."""
    for learner in learners:
        if learner in BUILT_IN.table and learner not in LEARNERS:
            raise UsageError(
                f"{learner} has no trials and goes into comparisons with its defaults. Those that "
                f"have: {', '.join(LEARNERS)}."
            )
        if learner not in LEARNERS:
            raise unknown("learner to calibrate", learner, LEARNERS)
    return [
        _trial(learner, number, options)
        for learner in learners
        for number, options in enumerate(_GRIDS[learner], 1)
    ]


def steps_for(samples: int, options: Mapping[str, Any]) -> int:
    """Training steps that spend `samples` rollouts of slow weights under these options."""
    return samples // (GROUP_SIZE * int(options.get("problems_per_step", 8)))


def calibrate(
    folder: Path, *, on: BackendConfig, display: Display, learners: Sequence[str] = LEARNERS
) -> pd.DataFrame:
    """Make the runs of all trials in `folder` that are missing there, and return their table.

    A run that failed is a `RunDirectoryError`: a table with holes would choose among fewer trials.
    """
    planned = trials(learners)
    # Course by course, so that an interrupted calibration has whole trials of one course.
    by_course = zip(*(trial.cells for trial in planned), strict=True)
    wanted = [cell for course in by_course for cell in course]
    outcomes = make_missing(wanted, folder, on=on, display=display)
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    if failed:
        raise RunDirectoryError(
            f"{len(failed)} of the runs failed, the first of them {failed[0].cell.name}: "
            f"{failed[0].reason}. Mend that and give the same command; finished runs are kept."
        )
    return table(planned, folder)


def table(planned: Sequence[Trial], folder: Path) -> pd.DataFrame:
    """One row per trial: learner, trial, its options, the score of each run, their mean and
    standard deviation (n − 1)."""
    import pandas as pd

    rows = []
    for trial in planned:
        scores = [_score(folder / cell.name) for cell in trial.cells]
        named = dict(zip(RUNS, scores, strict=True))
        whole = {"score": np.mean(scores), "spread": np.std(scores, ddof=1)}
        rows.append(_label(trial) | named | whole)
    return pd.DataFrame(rows)


def choose(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """By learner the options of its best trial."""
    planned = {(trial.learner, trial.number): trial.options for trial in trials()}
    best = table.loc[table.groupby("learner", sort=False)["score"].idxmax()]
    pairs = zip(best["learner"], best["trial"], strict=True)
    return {learner: dict(planned[learner, number]) for learner, number in pairs}


def write(table: pd.DataFrame, out: Path) -> pd.DataFrame:
    """Write the table of trials and what it chooses into the folder `out`; return that table.

    Learners that only the trials.csv there has keep their rows. Settings are chosen from the table
    as it is written, rounded to six digits, so that whoever reads it chooses the same.
    """
    import pandas as pd

    rows = [*table.to_dict("records"), *kept_rows(out, set(table["learner"]))]
    rows.sort(key=lambda row: (LEARNERS.index(str(row["learner"])), row["trial"]))
    text = pd.DataFrame(rows).to_csv(index=False, float_format="%.6g")
    out.mkdir(parents=True, exist_ok=True)
    write_text_atomically(out / TRIALS.name, text)
    written = pd.read_csv(out / TRIALS.name)
    write_json_atomically(out / SETTINGS.name, choose(written))
    return written


def kept_rows(out: Path, learners: Collection[str]) -> list[dict[Hashable, Any]]:
    """The rows of the trials.csv in `out`, if there is one, about others than these learners.

    `RunDirectoryError` unless every learner in them has just the trials that it has today.
    """
    import pandas as pd

    file = out / TRIALS.name
    if not file.exists():
        return []
    try:
        found = pd.read_csv(file)
    except (ValueError, OSError) as error:
        raise _unusable(file, str(error)) from error
    lacking = [column for column in _COLUMNS if column not in found]
    if lacking:
        raise _unusable(file, f"it has no column {', '.join(lacking)}")
    others = found[~found["learner"].isin(learners)]
    for learner, rows in others.groupby("learner", dropna=False):
        if learner not in LEARNERS:
            raise _unusable(file, f"it has trials of {learner!r}, which is not calibrated")
        if not _are_todays(rows, str(learner)):
            raise _unusable(file, f"its trials of {learner} are not those that calibration makes")
    records: list[dict[Hashable, Any]] = others.to_dict("records")
    return records


def _are_todays(rows: pd.DataFrame, learner: str) -> bool:
    """Whether these are all trials of a learner, each with its options, steps and a score."""
    tried = rows[list(_COLUMNS)].astype(object).where(rows[list(_COLUMNS)].notna(), None)
    asked = [_label(trial) for trial in trials([learner])]
    scored = ["score", "spread"]
    labels = tried.drop(columns=scored).to_dict("records")
    return bool(labels == asked and tried[scored].notna().all(axis=None))


def _unusable(file: Path, reason: str) -> RunDirectoryError:
    return RunDirectoryError(
        f"{file} is not a table of trials that can be kept: {reason}. Restore it from a copy, "
        "calibrate those learners again as well (--learners), or give another --out."
    )


def _label(trial: Trial) -> dict[str, Any]:
    """A trial's row in the table, without its scores."""
    options = {name: trial.options.get(name) for name in _OPTIONS}
    label = {"learner": trial.learner, "trial": trial.number}
    return label | options | {"steps": trial.cells[0].steps}


def _trial(learner: str, number: int, options: Mapping[str, Any]) -> Trial:
    steps = steps_for(SAMPLES, options)
    measured = {"eval_every": steps, "retention_items": 0, "probes": False, "threads": 1}
    cells = tuple(
        Cell(stream, learner, seed, steps, {**options, **measured}) for stream, seed in COURSES
    )
    return Trial(learner, number, options, cells)


def _score(path: Path) -> float:
    from cl_bench.api import Run
    from cl_bench.metrics import anytime_average_accuracy
    from cl_bench.metrics.undefined import Undefined

    run = Run(path)
    if run.status == "diverged":
        return 0.0
    score = anytime_average_accuracy(run.summary().accuracy["learner"])
    if isinstance(score, Undefined):
        raise RunDirectoryError(f"{path} is {run.status}: {score.reason}. Calibrate again.")
    return score


def verify_calibration(path: Path) -> Verification:
    """The report of the table of trials in the folder `path`; nothing in it raises."""
    import pandas as pd

    report = Verification(path, "trials of calibration")
    findings = Findings({"trials": TRIALS.name})
    try:
        frame = pd.DataFrame(kept_rows(path, ()))
        report.checked["trials"] = len(frame)
        _verify_scores(frame, findings)
        settings = read_json(path / SETTINGS.name)
        if settings != choose(frame):
            findings.add("the settings are not those that the trials choose", file=SETTINGS.name)
    except ClBenchError as error:
        findings.add(str(error), file=TRIALS.name)
    except (LookupError, TypeError, ValueError) as error:
        findings.add(f"the trials cannot be checked ({error!r})", file=TRIALS.name)
    report.findings += findings.found
    return report


def _verify_scores(frame: pd.DataFrame, findings: Findings) -> None:
    keys = ("learner", "trial")
    for column in ("score", *RUNS):
        wrong = ~frame[column].between(0, 1)
        reason = f"{column} is not a score from 0 to 1"
        findings.rows("trials", frame[wrong], reason, keys)
    runs = frame[RUNS]
    for column, found, words in (
        ("score", runs.mean(axis=1), "mean"),
        ("spread", runs.std(axis=1), "standard deviation"),
    ):
        wrong = ~np.isclose(frame[column], found, rtol=_DIGITS, atol=_DIGITS)
        reasons = [
            f"{column} is {value:.6g}, but the {words} of its runs is {found[number]:.6g}"
            for number, value in frame[column][wrong].items()
        ]
        findings.rows("trials", frame[wrong], reasons, keys)
