"""The figures of claims 1, 2, 3, 9 and 10: what they show of runs that are known."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from cl_bench.claims.claim_01_sample_efficiency import Race, races
from cl_bench.claims.figures import FIGURES
from cl_bench.claims.measures import MEASURES
from cl_bench.claims.styles import LEARNERS, colour, label, marker

from .synthetic import Synthetic, filled, plan_of, shown

PANELS = {
    1: ["facts", "code", "math"],
    2: ["facts", "code", "math"],
    3: ["facts", "code", "math", "physics"],
    9: ["facts", "code", "math"],
    10: ["facts", "facts"],
}
TOPS = {"rl": 0.4, "prompt": 0.25, "fst": 0.6, "fst-distill": 0.3}
MIDDLES = {"rl": 0.3, "prompt": 0.05, "fst": 0.15, "fst-distill": 0.1}


def rule(_domain: str, learner: str, seed: int, share: float) -> float:
    """A sigmoid from 0.1; every seed lies 0.02 above the last."""
    gained = 1 / (1 + (MIDDLES[learner] / share) ** 2) if share else 0.0
    return 0.1 + (TOPS[learner] - 0.1) * gained + 0.02 * (seed - 100)


@pytest.fixture(scope="module")
def data() -> Synthetic:
    return filled(plan_of(), ("facts", "code", "math", "physics"), LEARNERS, rule)


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts if text.get_text()]


def line(axes: Axes, learner: str) -> list[float]:
    """The heights of the thick line of a learner in a panel."""
    (mean,) = [drawn for drawn in axes.lines if drawn.get_marker() == marker(learner)]
    assert mean.get_color() == colour(learner)
    return [float(height) for height in np.asarray(mean.get_ydata())]


def png(figure: Figure) -> bytes:
    written = io.BytesIO()
    figure.savefig(written, format="png")
    return written.getvalue()


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


@pytest.mark.parametrize("claim", PANELS)
def test_without_runs_every_panel_says_so(claim: int, data: Synthetic) -> None:
    figure = FIGURES[claim](Synthetic(data.plan), data.plan)
    assert [texts(axes) for axes in figure.axes] == [["no runs"]] * len(PANELS[claim])
    assert len(png(figure)) > 1000


@pytest.mark.parametrize("claim", PANELS)
def test_no_tick_is_labelled_in_markup(claim: int, data: Synthetic) -> None:
    """Names are never read as formulae, so neither are the labels that a logarithmic axis gives."""
    figure = FIGURES[claim](data, data.plan)
    png(figure)
    for axes in figure.axes:
        labels = [*axes.get_xticklabels(), *axes.get_yticklabels()]
        assert not [label.get_text() for label in labels if "$" in label.get_text()]


def test_the_arrow_shows_the_measured_ratio(data: Synthetic) -> None:
    figure = FIGURES[1](data, data.plan)
    ratio = shown(MEASURES["1a"](data, data.plan), "code", "ratio")
    assert texts(figure.axes[1]) == [f"RL ÷ FST: {ratio:.2g}×"]
    assert line(figure.axes[1], "rl")[-1] == pytest.approx(
        np.mean([rule("code", "rl", seed, 1.0) for seed in (100, 101)])
    )


def test_an_arrow_of_a_seed_starts_on_its_curve_and_ends_on_the_others(data: Synthetic) -> None:
    axes = FIGURES[1](data, data.plan).axes[0]
    arrows = [text for text in axes.texts if isinstance(text, Annotation) and not text.get_text()]
    found = races(data, data.plan, "facts")
    assert len(arrows) == len(found) == 2
    for arrow, race in zip(arrows, found.values(), strict=True):
        assert isinstance(race, Race)
        assert arrow.xyann == (race.rl, race.level)
        assert arrow.xy == (race.fst, race.level)


@pytest.mark.parametrize("claim", [1, 9, 10])
def test_means_have_bands_that_are_their_intervals(claim: int, data: Synthetic) -> None:
    figure = FIGURES[claim](data, data.plan)
    assert all(len(axes.collections) == 2 for axes in figure.axes)
    (legend,) = figure.legends
    assert "95 % interval" in {text.get_text() for text in legend.get_texts()}


def test_divergence_has_a_logarithmic_axis_intervals_and_the_range_compared(
    data: Synthetic,
) -> None:
    for axes in FIGURES[3](data, data.plan).axes:
        assert axes.get_xscale() == "symlog"
        assert len(axes.collections) == 2  # a bar across each point of both means
        (shaded,) = axes.patches
        low, high = shaded.get_extents().intervaly
        assert low < high


def test_the_plateau_of_prompt_only_ends_with_its_run(data: Synthetic) -> None:
    axes = FIGURES[9](data, data.plan).axes[0]
    assert axes.get_xscale() == "symlog"
    (dashed,) = [drawn for drawn in axes.lines if drawn.is_dashed()]
    assert np.asarray(dashed.get_xdata(), float)[-1] == data.plan.budget.single_samples / 2


def test_a_bound_is_marked_as_one() -> None:
    data = Synthetic(plan_of())
    for seed in data.plan.seeds:
        data.add("code", "rl", seed, [0.1, 0.3, 0.5])
        data.add("code", "fst", seed, [0.1, 0.4, 0.4])
    figure = FIGURES[1](data, data.plan)
    assert texts(figure.axes[1]) == ["RL ÷ FST: at most 1×\n(FST never there: 2 of 2)"]
    assert texts(figure.axes[0]) == ["no runs"]


def test_asymptotes_are_lines_with_their_values(data: Synthetic) -> None:
    axes = FIGURES[2](data, data.plan).axes[0]
    assert texts(axes) == ["RL: A = 41.0%", "FST: A = 61.0%"]
    level = [np.asarray(drawn.get_ydata(), float) for drawn in axes.lines]
    flat = [y[0] for y in level if len(y) == 2 and y[0] == y[1]]
    assert flat == pytest.approx([0.41, 0.61], abs=1e-4)


def test_curves_without_a_fit_are_still_drawn(data: Synthetic) -> None:
    lost = filled(data.plan, ("facts", "math"), ("rl", "fst"), rule)
    figure = FIGURES[2](lost, data.plan)
    assert line(figure.axes[0], "fst")[0] == pytest.approx(0.11)
    assert texts(figure.axes[1]) == ["no runs"]


def test_the_mean_takes_the_seeds_that_are_there(data: Synthetic) -> None:
    some = filled(data.plan, ("facts",), LEARNERS, rule)
    some.lose("facts", "fst-distill", 101, "diverged at step 5")
    accuracy, entropy = FIGURES[10](some, data.plan).axes
    assert line(accuracy, "fst-distill")[0] == pytest.approx(0.10)
    assert line(accuracy, "fst")[0] == pytest.approx(0.11)
    assert line(entropy, "fst")[-1] == pytest.approx(0.4)
    assert "nats" in entropy.get_ylabel()


def test_the_ceiling_is_prompt_onlys_plateau(data: Synthetic) -> None:
    axes = FIGURES[9](data, data.plan).axes[2]
    measured = MEASURES["9b"](data, data.plan)
    middle, end = (shown(measured, "math, prompt-only", name) for name in ("middle", "end"))
    flat = [
        float(np.asarray(drawn.get_ydata())[0])
        for drawn in axes.lines
        if len(np.unique(np.asarray(drawn.get_ydata()))) == 1
    ]
    assert sorted(flat) == pytest.approx(sorted([middle, end, end]))


def test_learners_differ_in_colour_marker_and_name() -> None:
    names = (*LEARNERS, "base")
    for look in (colour, marker, label):
        assert len({look(name) for name in names}) == len(names)


def test_the_tables_of_measures_and_figures_load_nothing_heavy() -> None:
    script = (
        "import sys, cl_bench.claims.measures, cl_bench.claims.figures; "
        "print({'torch', 'matplotlib', 'pandas', 'scipy'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
