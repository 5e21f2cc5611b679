"""The tables of plasticity: rows by hand, as text and as CSV."""

from __future__ import annotations

import csv
from dataclasses import replace
from io import StringIO
from pathlib import Path

from cl_bench.execution.settings import RunConfig
from cl_bench.metrics.stats.student import ONE_SEED, Estimate, Interval
from cl_bench.metrics.undefined import Undefined
from cl_bench.plasticity.origins import Origin
from cl_bench.plasticity.probe import Probe, options_of
from cl_bench.plasticity.table import Internals, Plasticity, ProbedModel

ORIGIN = Origin(
    Path("results/one"),
    "fst",
    "math-to-facts",
    RunConfig(seed=5),
    ("math", "facts"),
    {1: Path("a"), 2: Path("b")},
)
FIRST = ProbedModel(
    origin=ORIGIN,
    stage=1,
    seeds=(0, 1),
    accuracy=Estimate(0.6, Interval(0.5, 0.7, 0.95), 2, 2),
    base_accuracy=Estimate(0.75, Interval(0.7, 0.8, 0.95), 2, 2),
    ratio=Estimate(0.8, Interval(0.75, 0.8125, 0.95), 2, 2),
    internals=Internals(0.25, 12.5, 3.0625),
    base_internals=Internals(0.125, 20.0, 0.0),
    trained_before=False,
)
LOST = Undefined("the probe facts-rl-0-1234 diverged")
SECOND = replace(FIRST, stage=2, accuracy=LOST, ratio=LOST, trained_before=True)
PROBE = Probe("facts", 40, (0, 1), options_of(RunConfig()))
FOUND = Plasticity(PROBE, ORIGIN.path, [FIRST, SECOND], {})


def test_text_has_a_row_per_model_and_calls_internals_diagnostics() -> None:
    lines = [" ".join(line.split()) for line in FOUND.text().splitlines()]
    assert [line for line in lines if not line.startswith("──")] == [
        "Plasticity: RL on facts for 40 steps from each model",
        "Every probe: 2,560 samples, 8 problems × 8 a step, learning rate 0.0006",
        "Other settings of RL: those of results/one",
        "Means over the seeds [95 % interval over them]",
        "run after stage seeds accuracy from base ratio",
        "results/one 1 math 0,1 60.0 % [50.0, 70.0] 75.0 % [70.0, 80.0] 0.80× [0.75, 0.81]",
        "results/one 2 facts 0,1 — 75.0 % [70.0, 80.0] —",
        "",
        "Internals (the base's): diagnostics, no verdict; dead is |h| ≤ 0.01",
        "run after stage dead units effective rank ‖θ − θ0‖",
        "results/one 1 math 25.0 % (12.5 %) 12.5 (20) 3.062",
        "results/one 2 facts 25.0 % (12.5 %) 12.5 (20) 3.062",
        "",
        f"results/one, 2 facts: {LOST.reason}; the run trained on this domain before",
    ]


def test_one_seed_has_no_interval_anywhere() -> None:
    half = Estimate(0.5, ONE_SEED, 1, 1)
    row = replace(FIRST, seeds=(5,), accuracy=half, base_accuracy=half, ratio=half)
    one = replace(FOUND, rows=[row])
    assert "[" not in one.text()
    assert "results/one   1 math        5         50.0 %      50.0 %   0.50×" in one.text()
    (line,) = csv.DictReader(StringIO(one.csv()))
    assert (line["accuracy"], line["accuracy_low"], line["plasticity_ratio_high"]) == (
        "0.5",
        "",
        "",
    )


def test_why_an_interval_is_missing_is_noted() -> None:
    reason = "the probe from the base model reaches 0 with some seeds"
    ratio = Estimate(0.5, Undefined(reason), 2, 2)
    found = replace(FOUND, rows=[replace(FIRST, ratio=ratio)])
    (line,) = csv.DictReader(StringIO(found.csv()))
    assert (line["plasticity_ratio"], line["plasticity_ratio_low"]) == ("0.5", "")
    assert line["note"] == reason
    assert found.text().endswith(reason)


def test_csv_has_full_numbers_and_leaves_out_those_that_are_undefined() -> None:
    first, second = csv.DictReader(StringIO(FOUND.csv()))
    assert first == {
        "probe": "facts",
        "steps": "40",
        "samples": "2560",
        "learning_rate": "0.0006",
        "problems_per_step": "8",
        "group_size": "8",
        "seeds": "0 1",
        "run": "results/one",
        "stream": "math-to-facts",
        "learner": "fst",
        "run_seed": "5",
        "stage": "1",
        "domain": "math",
        "accuracy": "0.6",
        "accuracy_low": "0.5",
        "accuracy_high": "0.7",
        "base_accuracy": "0.75",
        "base_accuracy_low": "0.7",
        "base_accuracy_high": "0.8",
        "plasticity_ratio": "0.8",
        "plasticity_ratio_low": "0.75",
        "plasticity_ratio_high": "0.8125",
        "diagnostic_dead_units": "0.25",
        "diagnostic_base_dead_units": "0.125",
        "diagnostic_effective_rank": "12.5",
        "diagnostic_base_effective_rank": "20.0",
        "diagnostic_weight_distance": "3.0625",
        "note": "",
    }
    assert (second["accuracy"], second["plasticity_ratio"]) == ("", "")
    assert second["note"] == f"{LOST.reason}; the run trained on this domain before"


def test_names_from_elsewhere_are_harmless_in_both(tmp_path: Path) -> None:
    wild = replace(ORIGIN, path=Path("a\x1b[31m\nb"), stages=("x\u202e", "y"))
    probe = replace(PROBE, domain="acme/x")
    found = Plasticity(probe, Path("here"), [replace(FIRST, origin=wild)], {})
    for text in (found.text(), found.csv()):
        assert not {"\x1b", "\u202e"} & set(text)
        assert "\\x1b[31m\\nb" in text
    assert [path.name for path in found.write(tmp_path)] == ["acme_x.txt", "acme_x.csv"]
    assert (tmp_path / "acme_x.csv").read_text() == found.csv()
