from __future__ import annotations

import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from matplotlib.figure import Figure

from cl_bench.claims.channels import FIGURES, MEASURES
from cl_bench.claims.plan import STREAM_LEARNERS, Plan
from cl_bench.claims.registered import CLAIMS
from tests.claims.synthetic_stages import Runs, make_plan, on_stream, row, training


def make_runs(plan: Plan) -> Runs:
    runs = Runs()
    for seed in plan.seeds:
        origin = plan.single("math", "rl", seed)
        probe = plan.probe(origin, seed)
        runs.add(probe, evaluations=[row(probe.steps, "facts", 0.5, prompt="seed")])
        for learner in STREAM_LEARNERS:
            cell = plan.stream(learner, seed)
            runs.add(cell, evaluations=on_stream(cell, lambda _, point: point / 20, 2))
        for learner in ("rl", "fst"):
            cell = plan.single("star-graph", learner, seed)
            runs.add(cell, **training(cell, [0.0] * 10 + [0.5] * 10))
        cell = plan.single("facts", "fst", seed)
        runs.add(cell, evaluations=[row(cell.steps, "facts", 0.5, weights="base")])
    return runs


def texts(figure: Figure) -> str:
    return " ".join(text.get_text() for axes in figure.axes for text in axes.texts)


def test_claims_4_to_8_are_measured_and_drawn() -> None:
    claims = [claim for claim in CLAIMS if 4 <= claim.number <= 8]

    assert set(MEASURES) == {s.id for claim in claims for s in claim.statements}
    assert set(FIGURES) == {claim.number for claim in claims}


@pytest.mark.parametrize("number", FIGURES)
def test_without_runs_a_figure_says_so_in_every_panel(number: int) -> None:
    figure = FIGURES[number](Runs(), make_plan())

    assert texts(figure).count("no runs") == len(figure.axes)
    figure.savefig(BytesIO(), format="png")


@pytest.mark.parametrize(("number", "empty"), [(4, 3), (5, 1), (6, 0), (7, 0), (8, 2)])
def test_panels_with_runs_are_drawn_beside_those_without(number: int, empty: int) -> None:
    plan = make_plan()

    figure = FIGURES[number](make_runs(plan), plan)

    assert texts(figure).count("no runs") == empty
    figure.savefig(BytesIO(), format="png")


@pytest.mark.parametrize("number", [6, 7])
def test_curves_of_some_seeds_say_how_many_they_are(number: int) -> None:
    plan = make_plan(seeds=[100, 101, 102])
    runs = make_runs(plan)
    runs.diverge(plan.stream("rl", 102))
    runs.lose(plan.single("star-graph", "rl", 102))

    assert "2 of 3" in texts(FIGURES[number](runs, plan))


def test_a_bar_says_how_many_seeds_it_rests_on() -> None:
    plan = make_plan(seeds=[100, 101, 102])
    runs = make_runs(plan)
    runs.lose(plan.probe(plan.single("math", "rl", 102), 102))

    assert texts(FIGURES[5](runs, plan)).count("2 of 3") == 1


def test_the_2x2_shows_intervals_and_seeds() -> None:
    plan = make_plan()

    assert "50.0 %\n[50.0, 50.0]\nn = 2" in texts(FIGURES[8](make_runs(plan), plan))


def test_the_figure_of_rewards_draws_the_windows_that_are_measured() -> None:
    plan = make_plan(seeds=[100, 101])
    reward, _ = FIGURES[7](make_runs(plan), plan).axes

    curves = [np.asarray(line.get_xdata(), float) for line in reward.lines]
    assert min(across[0] for across in curves if len(across) > 2) == 640
    assert "2 RL" in texts(FIGURES[7](make_runs(plan), plan))


def test_the_same_tables_give_the_same_measures() -> None:
    plan = make_plan()

    for measure in MEASURES.values():
        assert measure(make_runs(plan), plan) == measure(make_runs(plan), plan)


def test_importing_the_measures_loads_neither_torch_nor_what_draws() -> None:
    code = (
        "import sys, cl_bench.claims.channels;"
        "print([name for name in ('torch', 'matplotlib', 'pandas') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"
