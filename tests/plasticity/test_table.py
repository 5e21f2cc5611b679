"""The tables of plasticity: rows by hand, as text and as CSV."""

from __future__ import annotations

import csv
from dataclasses import replace
from io import StringIO
from pathlib import Path

from cl_bench.metrics.undefined import Undefined
from cl_bench.plasticity.origins import Origin
from cl_bench.plasticity.table import Internals, Plasticity, Row
from cl_bench.run_config import RunConfig

ORIGIN = Origin(
    Path("results/one"),
    "fst",
    "math-to-facts",
    RunConfig(seed=5),
    ("math", "facts"),
    {1: Path("a"), 2: Path("b")},
)
FIRST = Row(
    origin=ORIGIN,
    stage=1,
    seeds=(0, 1),
    accuracy=0.6,
    base_accuracy=0.75,
    ratio=0.8,
    internals=Internals(0.25, 12.5, 3.0625),
    base_internals=Internals(0.125, 20.0, 0.0),
    trained_before=False,
)
LOST = Undefined("the probe facts-rl-0-1234 diverged")
SECOND = replace(FIRST, stage=2, accuracy=LOST, ratio=LOST, trained_before=True)
FOUND = Plasticity("facts", 40, [FIRST, SECOND], {})


def test_text_has_a_row_per_model_and_calls_internals_diagnostics() -> None:
    assert FOUND.text().splitlines() == [
        "Plasticity: RL on facts for 40 steps from each model",
        "run           after stage    accuracy   from base       ratio",
        "─────────────────────────────────────────────────────────────",
        "results/one   1 math            60.0%       75.0%       0.800",
        "results/one   2 facts       undefined       75.0%   undefined",
        "",
        "Internals (the base's): diagnostics, no verdict; dead is |h| ≤ 0.01",
        "run           after stage      dead units   effective rank   ‖θ − θ0‖",
        "─────────────────────────────────────────────────────────────────────",
        "results/one   1 math        25.0% (12.5%)      12.5 (20.0)      3.062",
        "results/one   2 facts       25.0% (12.5%)      12.5 (20.0)      3.062",
        "",
        f"results/one, 2 facts: {LOST.reason}; the run trained on this domain before",
    ]


def test_csv_has_full_numbers_and_leaves_out_those_that_are_undefined() -> None:
    first, second = csv.DictReader(StringIO(FOUND.csv()))
    assert first == {
        "probe": "facts",
        "steps": "40",
        "seeds": "0 1",
        "run": "results/one",
        "stream": "math-to-facts",
        "learner": "fst",
        "run_seed": "5",
        "stage": "1",
        "domain": "math",
        "accuracy": "0.6",
        "base_accuracy": "0.75",
        "plasticity_ratio": "0.8",
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
    found = Plasticity("acme/x", 1, [replace(FIRST, origin=wild)], {})
    for text in (found.text(), found.csv()):
        assert not {"\x1b", "\u202e"} & set(text)
        assert "\\x1b[31m\\nb" in text
    assert [path.name for path in found.write(tmp_path)] == ["acme_x.txt", "acme_x.csv"]
    assert (tmp_path / "acme_x.csv").read_text() == found.csv()
