"""How the page says that runs are not alike, are missing, and how much an accuracy rests on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cl_bench.claims import calibration
from cl_bench.claims.data import Data
from cl_bench.claims.methods_section import (
    methods_section,
    mixed,
    noise_floor,
    noise_section,
    settings_section,
    shown,
)
from cl_bench.claims.plan import Plan
from cl_bench.claims.subject import EMBEDDED
from cl_bench.contract.registry import LEARNERS
from cl_bench.metrics import sampling_noise_floor
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.blocks import Block, Paragraph, Table
from cl_bench.report.blocks.write_markdown import markdown
from cl_bench.sweep.cell import Cell
from tests.claims.synthetic_stages import Row, Runs, make_plan, row

PLAN = make_plan(seeds=[100, 101])
CELLS = [PLAN.single("facts", learner, seed) for learner in ("rl", "fst") for seed in PLAN.seeds]


def runs(**columns: object) -> pd.DataFrame:
    """Four finished runs of one code and model, but for these columns."""
    found = Data([]).runs(CELLS).astype({"source_hash": object, "model_hash": object})
    alike = {"status": "done", "source_hash": "5" * 64, "model_hash": "e" * 64}
    return found.assign(**{**alike, **columns})


def text(blocks: list[Block]) -> str:
    return markdown(blocks, "claims")


def test_runs_of_one_code_and_model_are_nothing_to_warn_of() -> None:
    assert list(mixed(runs())) == []


def test_runs_of_several_codes_are_a_warning_with_their_numbers() -> None:
    codes = ["a" * 64, "5" * 64, "5" * 64, None]
    (block,) = mixed(runs(source_hash=codes))
    said = text([block])
    assert "**Warning: the judged runs mix different code" in said
    assert "555555555555: 2 runs, aaaaaaaaaaaa: 1 runs, unknown: 1 runs" in said


def test_runs_that_are_not_judged_do_not_count() -> None:
    codes = ["a" * 64, *["5" * 64] * 3]
    assert list(mixed(runs(source_hash=codes, status=["failed", *["done"] * 3]))) == []


def test_other_files_of_a_model_of_the_same_name_are_a_warning_but_not_a_probes_start() -> None:
    hashes = ["a" * 64, *["e" * 64] * 3]
    (block,) = mixed(runs(model_hash=hashes))
    assert "mix different models (hashes of their files" in text([block])
    assert list(mixed(runs(model_hash=hashes, start=["math-rl", None, None, None]))) == []


def test_problems_and_samples_are_those_of_the_evaluations(
    make_run: Callable[[Cell], Path],
) -> None:
    folder = make_run(CELLS[0])
    data = Data.of_runs(CELLS, folder)
    said = text(list(methods_section(PLAN, data, CELLS, data.runs(CELLS), {})))
    assert "problems × samples of each: the stream's domains 2 × 2." in said
    assert "4 runs were planned: 1 done, 3 missing." in said


def test_without_runs_there_is_no_such_sentence() -> None:
    blocks = list(methods_section(PLAN, Data([]), CELLS, Data([]).runs(CELLS), {}))
    assert not [b for b in blocks if isinstance(b, Paragraph) and "problems × samples" in str(b)]


LAST = [0.25, 0.5, 1.0, 0.75]


def item(number: int, score: float, **changed: object) -> Row:
    kind = {"domain": "facts", "prompt": "learner", "weights": "trained", "test_set": "stream"}
    return {"step": 40, **kind, "uid": f"{number}", "score": score, **changed}


def items_of_a_run() -> dict[str, list[Row]]:
    """A run whose last evaluation has the items `LAST`; every other kind of row is there too."""
    wanted = [item(number, score) for number, score in enumerate(LAST)]
    others: list[dict[str, object]] = [
        {"step": 0},
        {"domain": "code"},
        {"prompt": "seed"},
        {"weights": "base"},
        {"test_set": "harder"},
    ]
    more = [item(number, 0.5, **changed) for changed in others for number in range(4)]
    evaluations = [{**row(step, "facts", 0.5), "n_samples": 4} for step in (0, 40)]
    return {"items": [*more, *wanted], "evaluations": evaluations}


def test_the_noise_floor_is_of_the_last_evaluation_under_the_runs_own_prompt() -> None:
    plan = make_plan(seeds=[100])
    runs = Runs()
    cell = plan.single("facts", "rl", 100)
    runs.add(cell, **items_of_a_run())
    assert noise_floor(runs, cell, "facts") == pytest.approx(sampling_noise_floor(LAST, 4))
    assert noise_floor(runs, cell, "math") == Undefined(
        f"run {cell.name} has no item rows at its end"
    )


def test_the_floors_have_a_row_for_every_domain_and_none_without_runs() -> None:
    plan = make_plan(seeds=[100])
    runs = Runs()
    assert noise_section(runs, plan) == []
    runs.add(plan.single("facts", "rl", 100), **items_of_a_run())
    _, table = noise_section(runs, plan)
    assert isinstance(table, Table)
    assert [line[0] for line in table.rows] == ["facts", "code", "math", "physics"]
    floor_of_rl = sampling_noise_floor(LAST, 4)
    assert isinstance(floor_of_rl, float)
    assert str(table.rows[0][1]).startswith(f"{100 * floor_of_rl:.1f} points")
    assert "is missing" in str(table.rows[0][2])


SETTINGS: dict[str, dict[str, Any]] = {
    "rl": {"learning_rate": 6e-4, "problems_per_step": 8},
    "prompt": {"proposals": 5, "round_exercises": 1_000},
    "fst": {"learning_rate": 1.5e-4, "problems_per_step": 8},
}
PLAN = Plan(EMBEDDED.budgets["full"], (100,), SETTINGS)


@pytest.fixture(autouse=True)
def trials_of_calibration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials of three learners: of RL the second is the best, of the others the first."""
    scores = {"rl": (0.25, 0.5, 0.375, 0.125), "prompt": (0.5, 0.25, 0.25, 0.25)}
    rows = []
    for trial in calibration.trials(["rl", "prompt", "fst"]):
        score = scores.get(trial.learner, (0.75, 0, 0, 0))[trial.number - 1]
        apart = {"score": score, "spread": 0.1}
        row = {"learner": trial.learner, "trial": trial.number}
        rows.append(row | apart | dict.fromkeys(calibration.RUNS, score))
    pd.DataFrame(rows).to_csv(tmp_path / "trials.csv", index=False)
    monkeypatch.setattr(calibration, "TRIALS", tmp_path / "trials.csv")


def tables(learners: Sequence[str]) -> tuple[dict[str, dict[str, str]], list[Block]]:
    """The values in effect by setting and learner, and what follows that table."""
    first, *rest = settings_section(PLAN, learners)
    assert isinstance(first, Table)
    named = {
        str(row[0]): dict(zip(first.columns, map(str, row), strict=True)) for row in first.rows
    }
    return named, rest


def test_settings_in_effect_are_shown_with_their_defaults() -> None:
    rows, _ = tables(["fst", "rl", "prompt"])
    assert list(rows["learning rate"]) == ["setting", "RL", "prompt-only", "FST"]
    assert rows["rewrites proposed in a round"]["FST"] == "5"
    assert rows["rewrites proposed in a round"]["prompt-only"] == "5"
    assert rows["steps between rounds (T)"]["FST"] == "6"
    assert rows["prompts kept (K)"]["RL"] == "—"
    assert rows["learning rate"]["prompt-only"] == "—"
    assert rows["weight of the KL penalty"]["FST"] == "0.0"
    assert rows["weight of the KL penalty"]["prompt-only"] == "—"
    # 7,680 rollouts in steps of 8 × 8, and twelve evaluations.
    assert rows["steps in a single run"]["FST"] == "120"
    assert rows["evaluated every … steps, single run"]["FST"] == "10"


def test_learners_without_trials_are_called_untuned_and_have_the_settings_of_rl() -> None:
    rows, _ = tables(["rl", "rl-kl"])
    assert rows["chosen by"]["RL"] == "calibration"
    assert rows["chosen by"]["RL-KL"] == "settings of rl, not tuned"
    assert rows["learning rate"]["RL-KL"] == "0.0006"
    assert rows["weight of the KL penalty"]["RL-KL"] == "0.04"


def test_a_choice_at_the_edge_of_what_was_tried_is_told() -> None:
    _, (table, said, *_) = tables(["fst", "prompt", "rl"])
    assert isinstance(table, Table)
    assert isinstance(said, Paragraph)
    places = {(row[0], row[1]): row[-1] for row in table.rows}
    assert places == {
        ("RL", "learning rate"): "inside",
        ("RL", "problems in a step"): "the smallest: at the edge",
        ("FST", "learning rate"): "the smallest: at the edge",
        ("FST", "problems in a step"): "the smallest: at the edge",
    }
    assert "Of the chosen settings 3 are at the edge" in str(said.text)


def test_settings_of_an_earlier_calibration_are_told_from_todays() -> None:
    _, (*_, said) = tables(["fst", "prompt", "rl"])
    assert text([said]).strip() == (
        "Another calibration chose the settings of prompt-only. Today's chooses others "
        "(prompt-only: rewrites proposed in a round 3, problems that score a round 8)."
    )


def test_how_clear_the_choice_of_calibration_was() -> None:
    _, blocks = tables(["fst", "prompt", "rl"])
    table = next(b for b in blocks if isinstance(b, Table) and b.caption.startswith("How clear"))
    assert table.rows == [
        ["RL", "50.0 %", "10.0 points", "37.5 %", "10.0 points"],
        ["FST", "75.0 %", "10.0 points", "0.0 %", "10.0 points"],
    ]


def test_the_settings_that_the_page_knows_exist() -> None:
    from cl_bench.claims.methods_section import _WORDS

    configs = [LEARNERS.load(name).config for name in LEARNERS.table]
    assert set(_WORDS) <= {item.name for config in configs for item in fields(config)}


@pytest.mark.parametrize(
    ("value", "text"), [(True, "yes"), (False, "no"), (None, "—"), (float("nan"), "—"), (3, "3")]
)
def test_values_are_words_for_readers(value: object, text: str) -> None:
    assert shown(value) == text
