"""The trials of calibration: all of them, their mean scores, and the settings they choose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cl_bench.claims.calibration import COURSES, SETTINGS, choose, kept_rows
from cl_bench.contract.errors import ClBenchError
from cl_bench.store.files import read_json
from cl_bench.verify.findings import Findings, Verification

if TYPE_CHECKING:
    import pandas as pd

TRIALS = "trials.csv"
_RUNS = [f"{stream}, seed {seed}" for stream, seed in COURSES]
_DIGITS = 2e-6
"""Rounding to the six digits of the file."""


def verify_calibration(path: Path) -> Verification:
    """The report of the table of trials in the folder `path`; nothing in it raises."""
    import pandas as pd

    report = Verification(path, "trials of calibration")
    findings = Findings({"trials": TRIALS})
    try:
        frame = pd.DataFrame(kept_rows(path, ()))
        report.checked["trials"] = len(frame)
        _check_scores(frame, findings)
        settings = read_json(path / SETTINGS.name)
        if settings != choose(frame):
            findings.add("the settings are not those that the trials choose", file=SETTINGS.name)
    except ClBenchError as error:
        findings.add(str(error), file=TRIALS)
    except (LookupError, TypeError, ValueError) as error:
        findings.add(f"the trials cannot be checked ({error!r})", file=TRIALS)
    report.findings += findings.found
    return report


def _check_scores(frame: pd.DataFrame, findings: Findings) -> None:
    keys = ("learner", "trial")
    for column in ("score", *_RUNS):
        wrong = ~frame[column].between(0, 1)
        reason = f"{column} is no score from 0 to 1"
        findings.rows("trials", frame[wrong], reason, keys)
    mean = frame[_RUNS].mean(axis=1)
    wrong = ~np.isclose(frame["score"], mean, rtol=_DIGITS, atol=_DIGITS)
    reasons = [
        f"score is {score:.6g}, but the mean of its runs is {mean[number]:.6g}"
        for number, score in frame["score"][wrong].items()
    ]
    findings.rows("trials", frame[wrong], reasons, keys)
