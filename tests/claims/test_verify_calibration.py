"""The trials of calibration, verified."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cl_bench.claims.calibration import verify_calibration

ROOT = Path(__file__).parents[2]


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "results" / "calibration", tmp_path / "calibration"))


def test_the_committed_trials_are_fine(calibration: Path) -> None:
    report = verify_calibration(calibration)
    assert report.findings == []
    assert report.checked == {"trials": 32}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("0.872559", "0.972559", "score is 0.972559, but the mean of its runs is 0.872559"),
        ("0.765625", "1.765625", "math-to-facts, seed 1000 is no score from 0 to 1"),
        ("0.0006,8", "0.0007,8", "its trials of rl are not those that calibration makes"),
        ("rl,3,", "lr,3,", "which is not calibrated"),
    ],
)
def test_forged_trials_are_found_out(calibration: Path, old: str, new: str, words: str) -> None:
    file = calibration / "trials.csv"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    report = verify_calibration(calibration)
    assert any(words in found.text() for found in report.findings), report.text()
    assert report.findings[0].file == "trials.csv"


def test_settings_that_the_trials_do_not_choose_are_found_out(calibration: Path) -> None:
    file = calibration / "settings.json"
    settings = json.loads(file.read_text())
    settings["rl"]["learning_rate"] = 0.5
    file.write_text(json.dumps(settings))
    (found,) = verify_calibration(calibration).findings
    assert found.text() == "settings.json: the settings are not those that the trials choose"
