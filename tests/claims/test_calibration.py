"""Calibration: equal trials and samples for all learners, and the first best one is chosen."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cl_bench.claims import calibration
from cl_bench.claims.calibration import (
    GROUP_SIZE,
    LEARNERS,
    SAMPLES,
    choose,
    table,
    trials,
    verify_calibration,
    write,
)
from cl_bench.cli.app import app
from cl_bench.contract.errors import RunDirectoryError, UsageError
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.schema import TABLES
from cl_bench.sweep.backends.backend import CellOutcome
from cl_bench.sweep.cell import Cell
from tests.sweep.manifests import manifest_of


def test_every_learner_has_four_trials_of_four_runs_on_conventions_of_their_own() -> None:
    planned = trials()
    assert Counter(trial.learner for trial in planned) == dict.fromkeys(LEARNERS, 4)
    runs = [cell for trial in planned for cell in trial.cells]
    assert len({cell.name for cell in runs}) == len(runs) == 8 * 4 * 4
    assert {len(stream.split("-to-")) for stream, _ in calibration.COURSES} == {2, 3}
    assert {(cell.stream, cell.seed) for cell in runs} == set(calibration.COURSES)
    assert all(trial.options for trial in planned)


def test_every_trial_spends_equal_samples() -> None:
    for trial in trials():
        for cell in trial.cells:
            problems = int(cell.options.get("problems_per_step", 8))
            assert cell.steps * GROUP_SIZE * problems == SAMPLES
            assert cell.options["eval_every"] == cell.steps


def test_an_unknown_learner_has_no_trials() -> None:
    with pytest.raises(
        UsageError, match="sft has no trials and goes into comparisons with its defaults"
    ):
        trials(["rl", "sft"])


def scores(*of_rl: float, prompt: Sequence[float] = (0, 0, 0, 0)) -> pd.DataFrame:
    rows = [("rl", number, score) for number, score in enumerate(of_rl, 1)]
    rows += [("prompt", number, score) for number, score in enumerate(prompt, 1)]
    return pd.DataFrame(rows, columns=["learner", "trial", "score"])


def test_the_best_trial_is_chosen_and_among_equal_ones_the_first() -> None:
    options = {(trial.learner, trial.number): trial.options for trial in trials()}
    chosen = choose(scores(0.1, 0.5, 0.3, 0.5, prompt=[0, 0, 0, 0.1]))
    assert chosen == {"rl": options["rl", 2], "prompt": options["prompt", 4]}
    assert choose(scores(0, 0, 0, 0))["rl"] == options["rl", 1]


def run(cell: Cell, folder: Path, after: float, status: str = "done") -> None:
    """A run whose accuracies at the end of every stage are these, on all stages so far."""
    domains = cell.stream.split("-to-")
    finished = 1 if status == "running" else len(domains)
    kinds = {"int64": 0, "double": 0.0, "string": ""}
    neutral = {field.name: kinds[str(field.type)] for field in TABLES["evaluations"]}
    rows = [
        neutral
        | {"step": stage, "stage": stage, "at": "stage-end" if stage else "start"}
        | {"domain": domain, "prompt": prompt, "test_set": "stream", "weights": "trained"}
        | {"accuracy": after if stage else 0.0}
        for stage in range(finished + 1)
        for domain in domains
        for prompt in ("seed", "learner")
    ]
    manifest = manifest_of(cell, folder, status) | {
        "learner": cell.learner,
        "model": "embedded",
        "seed": cell.seed,
    }
    RunDirectory.create(folder / cell.name, manifest).commit(0, {"evaluations": rows})


def test_a_trials_score_is_the_mean_of_its_runs_and_a_diverged_one_scores_zero(
    tmp_path: Path,
) -> None:
    planned = trials(["rl"])[:2]
    for trial, status in zip(planned, ("done", "diverged"), strict=True):
        for cell, score in zip(trial.cells, (0.6, 0.3, 0.4, 0.5), strict=True):
            run(cell, tmp_path, score, status if score == 0.3 else "done")
    found = table(planned, tmp_path)
    assert found["score"].tolist() == pytest.approx([0.45, 0.375])
    # Squares of the distances to the mean: 0.05 of 0.6, 0.3, 0.4, 0.5; 0.2075 of 0.6, 0, 0.4, 0.5.
    assert found["spread"].tolist() == pytest.approx([(0.05 / 3) ** 0.5, (0.2075 / 3) ** 0.5])
    assert found["math-to-facts, seed 1000"].tolist() == pytest.approx([0.6, 0.6])
    assert found["code-to-physics, seed 1001"].tolist() == pytest.approx([0.3, 0.0])
    write(found, tmp_path / "out")
    kept = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert kept == {"rl": dict(planned[0].options)}
    assert pd.read_csv(tmp_path / "out" / "trials.csv")["trial"].tolist() == [1, 2]


def test_an_unfinished_run_leaves_no_table_with_holes(tmp_path: Path) -> None:
    planned = trials(["rl"])[:1]
    for cell in planned[0].cells:
        run(cell, tmp_path, 0.6, "running")
    with pytest.raises(RunDirectoryError, match="is running"):
        table(planned, tmp_path)


def test_the_command_makes_the_trials_and_prints_their_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pool(cells: Sequence[Cell], folder: Path, **_: object) -> list[CellOutcome]:
        for cell in cells:
            run(cell, folder, 0.6)
        return [CellOutcome(cell, "done", "", 1.0) for cell in cells]

    monkeypatch.setattr(calibration, "make_missing", pool)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["calibrate", "--learners", "rl", "--jobs", "1"])
    assert result.exit_code == 0, result.stderr
    assert "Trials and chosen settings: results/calibration" in result.stdout
    assert len(pd.read_csv("results/calibration/trials.csv")) == 4


COMMITTED = Path(__file__).parents[2] / "results" / "calibration"


@pytest.fixture
def made_up(tmp_path: Path) -> Path:
    """A folder with trials of all learners; trial 3 is the best of each, with 0.33 to 0.36."""
    rows = []
    for trial in trials():
        scores = {run: 0.11 * min(trial.number, 6 - trial.number) for run in calibration.RUNS}
        runs = {name: score + place / 100 for place, (name, score) in enumerate(scores.items())}
        whole = {"score": np.mean([*runs.values()]), "spread": np.std([*runs.values()], ddof=1)}
        options = dict.fromkeys(("learning_rate", "problems_per_step"))
        options |= dict.fromkeys(("proposals", "round_exercises"))
        named = {"learner": trial.learner, "trial": trial.number} | options | dict(trial.options)
        rows.append(named | {"steps": trial.cells[0].steps} | runs | whole)
    write(pd.DataFrame(rows), tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def recalibrated(made_up: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with trials of all learners, and a pool in which all runs score 0.6."""

    def pool(cells: Sequence[Cell], folder: Path, **_: object) -> list[CellOutcome]:
        for cell in cells:
            run(cell, folder, 0.6)
        return []

    monkeypatch.setattr(calibration, "make_missing", pool)
    monkeypatch.chdir(tmp_path)
    return made_up


def test_calibrating_some_learners_leaves_the_others_trials_and_settings(
    recalibrated: Path,
) -> None:
    before = pd.read_csv(recalibrated / "trials.csv")
    kept = json.loads((recalibrated / "settings.json").read_text())
    result = CliRunner().invoke(app, ["calibrate", "--learners", "fst,rl", "--out", "out"])
    assert result.exit_code == 0, result.stderr
    after = pd.read_csv(recalibrated / "trials.csv")
    assert after["learner"].tolist() == before["learner"].tolist()
    assert after["trial"].tolist() == before["trial"].tolist()
    again = after["learner"].isin(["rl", "fst"])
    assert (after["score"][again] == 0.6).all()
    assert after[~again].equals(before[~again])
    chosen = json.loads((recalibrated / "settings.json").read_text())
    first = {name: dict(trials([name])[0].options) for name in ("rl", "fst")}
    assert chosen == kept | first
    assert list(chosen) == list(LEARNERS)


def test_settings_are_chosen_from_the_table_as_it_is_written(tmp_path: Path) -> None:
    found = pd.DataFrame(
        [
            {"learner": "rl", "trial": trial, "score": score, "spread": 0.1}
            for trial, score in ((1, 0.5), (2, 0.5000000001), (3, 0.4))
        ]
    )
    write(found, tmp_path)
    chosen = json.loads((tmp_path / "settings.json").read_text())
    assert (
        chosen == choose(pd.read_csv(tmp_path / "trials.csv")) == {"rl": dict(trials()[0].options)}
    )


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ("prompt,4,", "prompt,5,", "its trials of prompt are not those that calibration makes"),
        ("\nfst,2,0.0003", "\nfst,2,0.0004", "its trials of fst are not those"),
        ("fst-distill,", "sgd,", "it has trials of 'sgd', which is not calibrated"),
        (",0.0129099\n", ",\n", "its trials of fst are not those"),
        ("score", "points", "it has no column score"),
    ],
)
def test_a_table_that_cannot_be_kept_is_refused_before_any_run(
    recalibrated: Path, old: str, new: str, hint: str
) -> None:
    text = (recalibrated / "trials.csv").read_text()
    assert old in text
    (recalibrated / "trials.csv").write_text(text.replace(old, new))
    result = CliRunner().invoke(app, ["calibrate", "--learners", "rl", "--out", "out"])
    assert result.exit_code == 2
    assert hint in " ".join(result.stderr.split())
    assert not (recalibrated.parent / "results").exists()


def test_trials_that_are_made_again_may_be_of_an_older_grid(recalibrated: Path) -> None:
    lines = (recalibrated / "trials.csv").read_text().splitlines(keepends=True)
    older = [line for line in lines if not line.startswith("rl,4")]
    (recalibrated / "trials.csv").write_text("".join(older))
    result = CliRunner().invoke(app, ["calibrate", "--learners", "rl", "--out", "out"])
    assert result.exit_code == 0, result.stderr
    assert len(pd.read_csv(recalibrated / "trials.csv")) == len(lines) - 1


def test_a_failed_run_ends_calibration_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pool(cells: Sequence[Cell], _: Path, **__: object) -> list[CellOutcome]:
        return [CellOutcome(cells[0], "failed", "OSError: no room", 1.0)]

    monkeypatch.setattr(calibration, "make_missing", pool)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["calibrate", "--learners", "rl"])
    assert result.exit_code == 2
    assert "1 of the runs failed" in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("--learners", "rl,sgd"), "Unknown learner to calibrate 'sgd'"),
        (("--learners", ","), "--learners is ','"),
        (("--jobs", "-1"), "jobs"),
    ],
)
def test_bad_input_is_one_line(
    arguments: tuple[str, ...], hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["calibrate", *arguments])
    assert result.exit_code == 2
    assert hint in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_settings_in_use_are_what_the_committed_trials_choose() -> None:
    found = pd.read_csv(COMMITTED / "trials.csv")
    assert Counter(found["learner"]) == dict.fromkeys(LEARNERS, 4)
    assert choose(found) == json.loads(calibration.SETTINGS.read_text())
    assert choose(found) == json.loads((COMMITTED / "settings.json").read_text())
    assert calibration.TRIALS.read_bytes() == (COMMITTED / "trials.csv").read_bytes()
    report = verify_calibration(COMMITTED)
    assert report.findings == []
    assert report.checked == {"trials": 4 * len(LEARNERS)}


def test_the_readme_of_the_results_has_every_trial() -> None:
    found = pd.read_csv(COMMITTED / "trials.csv")
    lines = (COMMITTED.parent / "README.md").read_text().replace("**", "").splitlines()
    for row in found.to_dict("records"):
        runs = ", ".join(f"{100 * row[run]:.0f}" for run in calibration.RUNS)
        numbers = f"| {runs} | {100 * row['score']:.1f} ± {100 * row['spread']:.1f} |"
        assert any(line.startswith(f"| `{row['learner']}`") and numbers in line for line in lines)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("0.125,", "0.225,", "score is 0.225, but the mean of its runs is 0.125"),
        (",0.0129099", ",0.02", "but the standard deviation of its runs is 0.0129099"),
        (",0.11,", ",1.11,", "math-to-facts, seed 1000 is not a score from 0 to 1"),
        ("0.0006,8", "0.0007,8", "its trials of rl are not those that calibration makes"),
        ("rl,3,", "lr,3,", "which is not calibrated"),
    ],
)
def test_forged_trials_are_found_out(made_up: Path, old: str, new: str, words: str) -> None:
    file = made_up / "trials.csv"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    report = verify_calibration(made_up)
    assert any(words in found.text() for found in report.findings), report.text()
    assert report.findings[0].file == "trials.csv"


def test_settings_that_the_trials_do_not_choose_are_found_out(made_up: Path) -> None:
    file = made_up / "settings.json"
    settings = json.loads(file.read_text())
    settings["rl"]["learning_rate"] = 0.5
    file.write_text(json.dumps(settings))
    (found,) = verify_calibration(made_up).findings
    assert found.text() == "settings.json: the settings are not those that the trials choose"
