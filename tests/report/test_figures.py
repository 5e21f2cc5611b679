from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text

from cl_bench.api import Run
from cl_bench.contract.errors import UsageError
from cl_bench.report.blocks.drawings import KINDS, saved, styled
from cl_bench.report.blocks.look import PALETTE
from cl_bench.report.figures import (
    accuracy_figure,
    accuracy_kl_figure,
    figures_of,
    matrices_figure,
    reward_figure,
    rollouts_figure,
    write_figures,
)
from cl_bench.store.run_directory import RunDirectory

MakeRun = Callable[..., RunDirectory]
TWO = [("math", 20), ("code", 20)]
STAGES = [{"domain": domain, "steps": steps} for domain, steps in TWO]


@pytest.fixture(autouse=True)
def all_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures here are files of all kinds."""
    monkeypatch.setattr("cl_bench.report.figures.KINDS", KINDS)


def rising(step: int, domain: str, prompt: str) -> float:
    return step / 100 + (0.2 if domain == "math" else 0) + (0.1 if prompt == "learner" else 0)


def identity(figure: Figure) -> Figure:
    return figure


def nowhere(*_: object) -> float:
    return 0.0


def curves(axes: Axes) -> list[list[tuple[float, float]]]:
    """The points of every line of more than one point, verticals between stages left out."""
    lines = [np.asarray(line.get_xydata()) for line in axes.lines]
    return [[(float(x), float(y)) for x, y in line] for line in lines if len(line) > 2]


def legend_texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_accuracy_figure_draws_each_domain_under_both_prompts(make_run: MakeRun) -> None:
    figure = accuracy_figure(make_run(TWO, rising).table("evaluations"), STAGES)
    expected = [
        [(step, rising(step, domain, prompt)) for step in (0, 10, 20, 30, 40)]
        for domain in ("math", "code")
        for prompt in ("learner", "seed")
    ]
    assert np.array(curves(figure.axes[0])) == pytest.approx(np.array(expected))
    lines = [line for line in figure.axes[0].lines if len(np.asarray(line.get_xydata())) > 2]
    assert [line.is_dashed() for line in lines] == [False, True, False, True]


def test_accuracy_figure_labels_stages_at_their_middle(make_run: MakeRun) -> None:
    figure = accuracy_figure(make_run(TWO, rising).table("evaluations"), STAGES)
    labels = {text.get_text(): text.xy[0] for text in figure.axes[0].texts}  # type: ignore[attr-defined]
    assert labels == {"math": 10, "code": 30}
    assert figure.axes[0].get_xlabel()
    assert figure.axes[0].get_ylabel()


def test_prompts_that_score_alike_share_one_line(make_run: MakeRun) -> None:
    run = make_run(TWO, lambda step, _domain, _prompt: step / 100)
    figure = accuracy_figure(run.table("evaluations"), STAGES)
    assert len(curves(figure.axes[0])) == 2
    assert "seed prompt" not in legend_texts(figure)


def test_kl_figure_shows_every_point_of_both_panels(make_run: MakeRun) -> None:
    def kl(step: int, _domain: str, prompt: str) -> float:
        return step * (0.01 if prompt == "seed" else 0.002)

    figure = accuracy_kl_figure(make_run(TWO, rising, kl=kl).table("evaluations"))
    learner, seed = figure.axes
    assert max(x for line in curves(seed) for x, _ in line) == pytest.approx(0.4)
    assert max(x for line in curves(learner) for x, _ in line) == pytest.approx(0.08)
    for axes in (learner, seed):
        assert axes.get_xlim()[1] > 0.4
        assert "nats" in axes.get_xlabel()
        assert [len(line) for line in curves(axes)] == [5, 5]


def test_kl_figure_survives_a_divergence_that_is_not_finite(make_run: MakeRun) -> None:
    run = make_run(TWO, rising, kl=lambda step, *_: np.inf if step == 40 else 0.01 * step)
    figure = accuracy_kl_figure(run.table("evaluations"))
    assert 0.3 < figure.axes[0].get_xlim()[1] < 0.4


def test_rollouts_figure_counts_from_the_start_of_each_stage(make_run: MakeRun) -> None:
    run = make_run(TWO, rising)
    figure = rollouts_figure(run.table("evaluations"), run.table("ledger"), STAGES)
    accuracy, spent = figure.axes
    math_all, math_slow, code_all, code_slow = curves(accuracy)
    assert [x for x, _ in math_all] == [x for x, _ in code_all] == [0, 150, 300]
    assert [x for x, _ in math_slow] == [x for x, _ in code_slow] == [0, 100, 200]
    assert [y for _, y in code_all] == pytest.approx([0.3, 0.4, 0.5])
    assert spent.get_ylim()[1] >= 600


def test_figures_leave_out_the_base_and_other_problems(make_run: MakeRun) -> None:
    run = make_run(TWO, rising)
    alone = run.table("evaluations")
    others = [
        alone.assign(weights="base", accuracy=0.99),
        alone.assign(test_set="harder", accuracy=0.01),
        alone.assign(test_set="retention", domain="facts", prompt="stated"),
    ]
    whole, ledger = pd.concat([alone, *others]), run.table("ledger")
    for one, other in (
        (accuracy_figure(whole, STAGES), accuracy_figure(alone, STAGES)),
        (accuracy_kl_figure(whole), accuracy_kl_figure(alone)),
        (rollouts_figure(whole, ledger, STAGES), rollouts_figure(alone, ledger, STAGES)),
    ):
        assert list(map(curves, one.axes)) == list(map(curves, other.axes))


def test_stage_that_was_not_reached_is_not_drawn(make_run: MakeRun) -> None:
    run = make_run(TWO, rising, last=20)
    figure = rollouts_figure(run.table("evaluations"), run.table("ledger"), STAGES)
    assert legend_texts(figure)[:2] == ["1. math", "RL rollouts alone"]


def test_written_figures_are_png_svg_and_pdf(make_run: MakeRun, tmp_path: Path) -> None:
    directory = make_run(TWO, rising, kl=nowhere)
    names = ("accuracy", "reward", "matrices", "rollouts")
    written = write_figures(directory, tmp_path / "drawn")
    assert [path.name for path in written] == [
        f"{name}.{kind}" for name in names for kind in ("png", "svg", "pdf")
    ]
    for path in written:
        if path.suffix == ".png":
            height, width, _ = imread(path).shape
            assert width > height > 200
    assert sorted((tmp_path / "drawn").iterdir()) == sorted(written)
    before = [path.read_bytes() for path in written]
    assert [path.read_bytes() for path in write_figures(directory, tmp_path / "drawn")] == before


def test_a_policy_that_stays_at_the_base_has_no_figure_of_divergence(make_run: MakeRun) -> None:
    assert not {"kl", "accuracy-kl"} & set(figures_of(make_run(TWO, rising, kl=nowhere)))


def test_figures_of_divergence_are_there_where_it_is(make_run: MakeRun) -> None:
    assert {"kl", "accuracy-kl"} <= set(figures_of(make_run(TWO, rising)))


def test_a_run_of_one_prompt_and_one_channel_has_no_empty_panels(make_run: MakeRun) -> None:
    run = make_run(TWO, lambda step, *_: step / 100, kl=lambda step, *_: step / 100)
    evaluations, ledger = run.table("evaluations"), run.table("ledger")
    slow = ledger.assign(rollouts=ledger["rollouts"].where(ledger["channel"] == "slow", 0))
    assert len(accuracy_kl_figure(evaluations).axes) == 1
    assert len(rollouts_figure(evaluations, slow, STAGES).axes) == 1
    assert len(rollouts_figure(evaluations, ledger, STAGES).axes) == 2


def test_rewards_are_drawn_by_stage_and_smoothed(make_run: MakeRun) -> None:
    steps = make_run(TWO, rising).table("steps")
    axes = reward_figure(steps, STAGES).axes[0]
    single = [line for line in axes.lines if line.get_linewidth() < 1 and line.get_alpha()]
    assert [len(np.asarray(line.get_xdata())) for line in single] == [20, 20]
    found = np.concatenate([np.asarray(line.get_ydata()) for line in single])
    assert found == pytest.approx(steps["reward"].to_numpy())


def test_matrices_have_the_numbers_of_the_start_and_of_every_stage_end(make_run: MakeRun) -> None:
    run = make_run(TWO, rising, kl=lambda step, *_: step / 100)
    figure = matrices_figure(run.table("evaluations"), STAGES)
    accuracy, kl = ([text.get_text() for text in axes.texts] for axes in figure.axes)
    assert accuracy == ["30.0", "10.0", "50.0", "30.0", "70.0", "50.0"]
    assert kl == ["0.000", "0.000", "0.200", "0.200", "0.400", "0.400"]
    rows = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert rows == ["start", "after 1 math", "after 2 code"]


def test_a_stage_without_a_divergence_leaves_its_row_of_the_matrix_empty(make_run: MakeRun) -> None:
    run = make_run([*TWO, ("facts", 20)], rising, kl=lambda step, *_: np.inf if step == 40 else 1.0)
    evaluations = run.table("evaluations")
    stages = [*STAGES, {"domain": "facts", "steps": 20}]
    _, kl = matrices_figure(evaluations, stages).axes
    written = {round(text.get_position()[1]) for text in kl.texts}
    assert written == {0, 1, 3}
    assert len(kl.get_yticklabels()) == 4


def test_numbers_of_many_domains_do_not_overlap(make_run: MakeRun) -> None:
    stages = [(f"gym/letter_counting_{number}", 10) for number in range(12)]
    run = make_run(stages, rising, kl=lambda *_: 0.5)
    figure = figures_of(run)["matrices"]()
    saved(partial(identity, figure), "png")  # lays it out
    for axes in figure.axes:
        extents = [text.get_window_extent() for text in axes.texts[: len(stages)]]
        assert all(left.x1 < right.x0 for left, right in pairwise(extents))
        assert len({text.get_text() for text in axes.get_xticklabels()}) == len(stages)


@pytest.mark.parametrize(("name", "width"), [("one-column", 3.25), ("two-column", 6.75)])
def test_figures_of_a_paper_have_its_width_and_text_that_can_be_read(
    make_run: MakeRun, name: str, width: float
) -> None:
    found = figures_of(make_run(TWO, rising))
    with styled(name):
        for wanted in ("accuracy", "matrices", "rollouts"):
            figure = found[wanted]()
            pdf, png = saved(partial(identity, figure), "pdf", "png")
            (box,) = re.findall(rb"/MediaBox \[ 0 0 ([0-9.]+) [0-9.]+ \]", pdf)
            assert float(box) / 72 == pytest.approx(width, abs=0.01)
            assert imread(BytesIO(png)).shape[1] == round(300 * width)
            shown = [text for text in figure.findobj(Text) if text.get_text()]
            assert min(float(text.get_fontsize()) for text in shown) >= 7
            assert b"/Type3" not in pdf
            assert b"/FontFile2" in pdf  # TrueType


def test_an_unknown_figure_style_is_refused(make_run: MakeRun, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"Unknown figure style 'onecolumn'.*one-column"):
        write_figures(make_run(TWO, rising), tmp_path, figure_style="onecolumn")


def test_the_users_own_settings_of_matplotlib_change_nothing(
    make_run: MakeRun, tmp_path: Path
) -> None:
    directory = make_run(TWO, rising)
    before = [path.read_bytes() for path in write_figures(directory, tmp_path)]
    own: Any = {
        "text.usetex": True,
        "axes.unicode_minus": False,
        "savefig.bbox": "tight",
        "font.size": 20,
        "pdf.fonttype": 3,
    }
    with rc_context(own):
        assert [
            path.read_bytes() for path in write_figures(directory, tmp_path / "drawn")
        ] == before


def test_a_backend_that_is_not_installed_changes_nothing(make_run: MakeRun, tmp_path: Path) -> None:
    directory, elsewhere = make_run(TWO, rising), "module://no_such_package.backend"
    before = write_figures(directory, tmp_path / "before")
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\n")
    code = (
        "import os, sys; from cl_bench.api import Run\n"
        f"assert len(Run(sys.argv[1]).write_figures()) == {len(before)}\n"
        f"assert os.environ['MPLBACKEND'] == {elsewhere!r}"  # the user's own process keeps it
    )
    subprocess.run(
        [sys.executable, "-c", code, str(directory.path)],
        env=os.environ | {"MPLBACKEND": elsewhere, "MATPLOTLIBRC": str(tmp_path)},
        check=True,
    )
    figures = directory.path / "figures"
    for path in before:
        assert (figures / path.name).read_bytes() == path.read_bytes()


def test_a_run_plots_the_figures_that_it_has(make_run: MakeRun) -> None:
    run = Run(make_run(TWO, rising, kl=nowhere).path)
    assert run.plot().axes[0].get_ylabel() == "accuracy on test problems"
    assert run.plot("reward", style="one-column").get_size_inches()[0] == 3.25
    with pytest.raises(UsageError, match="Unknown figure of this run 'kl'"):
        run.plot("kl")


def test_a_run_that_was_not_evaluated_says_so_where_a_figure_is_asked_for(
    make_run: MakeRun,
) -> None:
    with pytest.raises(UsageError, match="has no figures: it was not evaluated yet"):
        Run(make_run(TWO, rising, last=-1).path).plot()


def test_a_figure_that_cannot_be_drawn_is_a_warning(
    make_run: MakeRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: object) -> Figure:
        raise RuntimeError("no room")

    monkeypatch.setattr("cl_bench.report.figures.reward_figure", broken)
    written = write_figures(make_run(TWO, rising, kl=nowhere), tmp_path)
    assert {path.stem for path in written} == {"accuracy", "matrices", "rollouts"}
    (said,) = caplog.messages
    assert "reward is not drawn (RuntimeError: no room)" in said


def test_run_without_evaluations_has_no_figures(make_run: MakeRun, tmp_path: Path) -> None:
    assert write_figures(make_run(TWO, rising, last=-1), tmp_path / "figures") == []
    assert not (tmp_path / "figures").exists()


def test_colours_differ_for_red_green_blind_readers() -> None:
    colours = np.array([to_rgb(colour) for colour in PALETTE])
    # Deuteranopia in linear RGB: Viénot, Brettel and Mollon 1999.
    seen = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    mixed = seen @ np.array([[0.29275, 0.29275, -0.02234], [0.70725, 0.70725, 0.02234], [0, 0, 1]])
    distances = np.linalg.norm(mixed[:, None] - mixed[None], axis=-1)
    assert distances[~np.eye(len(PALETTE), dtype=bool)].min() > 0.05
