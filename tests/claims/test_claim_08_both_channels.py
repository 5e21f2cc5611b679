from __future__ import annotations

from collections.abc import Mapping

import pytest

from cl_bench.claims.claim_08_both_channels import CLAIM
from cl_bench.claims.plan import Plan
from cl_bench.metrics import Undefined
from tests.claims.synthetic import measures, texts
from tests.claims.synthetic_stages import Row, Runs, make_plan, means, row

MEASURES = measures(CLAIM)

Cells = tuple[float, float, float, float]
# base + seed, base + evolved, trained + seed, trained + evolved
CELLS: Mapping[str, Cells] = {
    "facts": (0.2, 0.3, 0.5, 0.6),
    "code": (0.2, 0.5, 0.3, 0.4),
    "math": (0.1, 0.1, 0.4, 0.55),
}


def rows(domain: str, step: int, cells: Cells) -> list[Row]:
    places = [(w, p) for w in ("base", "trained") for p in ("seed", "learner")]
    return [
        row(step, domain, accuracy, weights=weights, prompt=prompt)
        for (weights, prompt), accuracy in zip(places, cells, strict=True)
    ] + [row(step, domain, 0.01, prompt="seed", test_set="harder")]


def make_runs(plan: Plan) -> Runs:
    runs = Runs()
    for seed in plan.seeds:
        for domain, cells in CELLS.items():
            cell = plan.single(domain, "fst", seed)
            start = rows(domain, 0, (0.9, 0.9, 0.9, 0.9))
            runs.add(cell, evaluations=start + rows(domain, cell.steps, cells))
    return runs


@pytest.mark.parametrize("budget", ["small", "full"])
@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("8a", (0.3 + 0.1 + 0.3) / 3),
        ("8b", (0.1 + 0.3 + 0.0) / 3),
        ("8c", (0.1 - 0.1 + 0.15) / 3),  # the better one is the prompt on code
    ],
)
def test_gains_are_means_over_domains(budget: str, statement: str, value: float) -> None:
    plan = make_plan(budget)

    measured = MEASURES[statement](make_runs(plan), plan)

    assert measured.value_by_seed == pytest.approx(dict.fromkeys(plan.seeds, value))


def test_the_better_channel_is_chosen_seed_by_seed() -> None:
    plan = make_plan()
    runs = make_runs(plan)
    cell = plan.single("facts", "fst", 101)
    runs.add(cell, evaluations=rows("facts", cell.steps, (0.2, 0.6, 0.3, 0.7)))

    measured = MEASURES["8c"](runs, plan)

    # facts: 0.6 - 0.5 for one seed and 0.7 - 0.6 for the other; by their means it were 0.2.
    assert means(measured.details[0])["difference to the better"] == pytest.approx(0.1)


def test_details_show_the_four_cells_and_every_channel() -> None:
    plan = make_plan()
    runs = make_runs(plan)

    cells, gains = MEASURES["8a"](runs, plan).details, MEASURES["8c"](runs, plan).details

    assert cells == MEASURES["8b"](runs, plan).details
    assert [line.what for line in cells] == [line.what for line in gains] == [*CELLS]
    assert means(cells[1]) == pytest.approx(
        {"base + seed": 0.2, "base + evolved": 0.5, "trained + seed": 0.3, "trained + evolved": 0.4}
    )
    assert means(gains[1]) == pytest.approx(
        {
            "slow": 0.1,
            "fast": 0.3,
            "joint": 0.2,
            "interaction": -0.2,
            "difference to the better": -0.1,
        }
    )


def test_a_run_without_probes_has_no_gains_and_its_accuracies_stay() -> None:
    plan = make_plan(seeds=[100])
    runs = make_runs(plan)
    cell = plan.single("code", "fst", 100)
    trained = [r for r in rows("code", cell.steps, CELLS["code"]) if r["weights"] == "trained"]
    runs.add(cell, evaluations=trained)

    measured = MEASURES["8a"](runs, plan)

    value = measured.value_by_seed[100]
    assert isinstance(value, Undefined)
    assert value.reason.startswith("code: base + seed: ")
    assert "trained + seed" in means(measured.details[1])
    assert "base + seed" not in means(measured.details[1])


def test_missing_and_diverged_runs_leave_their_seed_undefined() -> None:
    plan = make_plan(seeds=[100, 101, 102])
    runs = make_runs(plan)
    lost, diverged = plan.single("math", "fst", 100), plan.single("facts", "fst", 101)
    runs.lose(lost)
    runs.diverge(diverged)

    for measure in MEASURES.values():
        values = measure(runs, plan).value_by_seed
        assert values[100] == Undefined(f"math: base + seed: run {lost.name} is missing")
        assert values[101] == Undefined(
            f"facts: base + seed: run {diverged.name} diverged at step 7"
        )
        assert not isinstance(values[102], Undefined)


def test_the_figure_shows_intervals_and_seeds() -> None:
    plan = make_plan()

    facts, *_ = CLAIM.figure(make_runs(plan), plan).axes

    assert texts(facts)[2] == "50.0 %\nn = 2"
