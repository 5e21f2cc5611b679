"""Figures of all claims: labelled panels, a look for each learner, words where runs lack."""

from __future__ import annotations

from io import BytesIO

import pytest
from matplotlib.figure import Figure

from cl_bench.claims.calibration import LEARNERS
from cl_bench.claims.claim_06_continual import STREAM_LEARNERS
from cl_bench.claims.data import Data
from cl_bench.claims.plan import Plan
from cl_bench.claims.registered import CLAIMS
from cl_bench.claims.settings import CLAIMED
from cl_bench.claims.styles import colour, label, marker

from .synthetic import Synthetic, plan_of, sigmoids, texts
from .synthetic_stages import Runs, make_plan, on_stream, row, training

FIGURES = {claim.registered.number: claim.figure for claim in CLAIMS}
PANELS = {
    1: ["facts", "code", "math"],
    2: ["facts", "code", "math"],
    3: ["facts", "code", "math", "physics"],
    9: ["facts", "code", "math"],
    10: ["facts", "facts"],
}


@pytest.fixture(scope="module")
def data() -> Synthetic:
    return sigmoids()


def png(figure: Figure) -> bytes:
    written = BytesIO()
    figure.savefig(written, format="png")
    return written.getvalue()


def written(figure: Figure) -> str:
    return " ".join(text for axes in figure.axes for text in texts(axes))


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


@pytest.mark.parametrize("claim", PANELS)
def test_every_panel_is_a_domain_with_labelled_axes_and_a_line_for_each_learner(
    claim: int, data: Synthetic
) -> None:
    figure = FIGURES[claim](data, data.plan)
    assert [axes.get_title() for axes in figure.axes] == PANELS[claim]
    for axes in figure.axes:
        assert axes.lines
        assert axes.get_xlim()[0] == axes.get_ylim()[0] == 0
    assert any(axes.get_xlabel() for axes in figure.axes)
    assert figure.axes[0].get_ylabel()
    (legend,) = figure.legends
    named = {text.get_text() for text in legend.get_texts()}
    pair = {9: ("prompt", "fst"), 10: ("fst", "fst-distill")}.get(claim, ("rl", "fst"))
    assert named >= {label(learner) for learner in pair}
    assert len(png(figure)) > 10_000
    for axes in figure.axes:  # no tick is a formula, a logarithmic axis' neither
        ticks = [*axes.get_xticklabels(), *axes.get_yticklabels()]
        assert not [tick.get_text() for tick in ticks if "$" in tick.get_text()]


@pytest.mark.parametrize("claim", [1, 9, 10])
def test_means_have_bands_that_are_their_intervals(claim: int, data: Synthetic) -> None:
    figure = FIGURES[claim](data, data.plan)
    assert all(len(axes.collections) == 2 for axes in figure.axes)
    (legend,) = figure.legends
    assert "95 % interval" in {text.get_text() for text in legend.get_texts()}


def test_learners_differ_in_colour_marker_and_name() -> None:
    names = (*LEARNERS, "base")
    assert len({label(name) for name in names}) == len(names)
    assert len({(colour(name), marker(name)) for name in names}) == len(names)
    compared = (*CLAIMED, "base")
    for look in (colour, marker):
        assert len({look(name) for name in compared}) == len(compared)


@pytest.mark.parametrize("number", FIGURES)
def test_without_runs_a_figure_says_so_in_every_panel(number: int) -> None:
    figure = FIGURES[number](Data([]), plan_of())
    assert [texts(axes) for axes in figure.axes] == [["no runs"]] * len(figure.axes)
    assert len(png(figure)) > 1000


@pytest.mark.parametrize(("number", "empty"), [(4, 3), (5, 1), (6, 0), (7, 0), (8, 2)])
def test_panels_with_runs_are_drawn_beside_those_without(number: int, empty: int) -> None:
    plan = make_plan()

    figure = FIGURES[number](make_runs(plan), plan)

    assert written(figure).count("no runs") == empty
    assert png(figure)


@pytest.mark.parametrize("number", [6, 7])
def test_curves_of_some_seeds_say_how_many_they_are(number: int) -> None:
    plan = make_plan(seeds=[100, 101, 102])
    runs = make_runs(plan)
    runs.diverge(plan.stream("rl", 102))
    runs.lose(plan.single("star-graph", "rl", 102))

    assert "2 of 3" in written(FIGURES[number](runs, plan))
