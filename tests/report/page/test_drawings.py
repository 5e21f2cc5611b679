"""Figure files: what they draw, that any name is text, and that one that fails ends nothing."""

from __future__ import annotations

from itertools import combinations, pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.collections import PathCollection

from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.drawings import drawing
from cl_bench.report.page import build
from cl_bench.report.page.board_record import DrawnBoard
from cl_bench.report.page.build import FIGURES, board_figures, report
from cl_bench.report.page.contents import contents
from cl_bench.report.page.hero import hero, hero_figure, hero_record
from cl_bench.store.run_tables import find_runs
from tests.report.page import hostile
from tests.report.synthetic_runs import rising, write_run


def boards(folder: Path) -> list[DrawnBoard]:
    return list(contents(*find_runs([folder])).boards)


def board(folder: Path) -> DrawnBoard:
    (found,) = boards(folder)
    return found


def figure(of: DrawnBoard, name: str) -> Any:
    return dict(board_figures(of))[name]()


@pytest.mark.parametrize("name", hostile.NAMES)
def test_any_name_is_drawn_as_text(tmp_path: Path, name: str) -> None:
    for learner in (name, "rl"):
        write_run(
            tmp_path / "runs" / ("rl" if learner == "rl" else "other"),
            learner=learner,
            stages=((name, 20),),
            stream={"name": name},
            items=16,
        )
    done = report([tmp_path / "runs"], tmp_path / "out")
    assert done.contents.problems == []
    assert len(done.figures) == 2 * (len(FIGURES) + 1)  # and the one at the top
    for path in done.figures:
        if path.suffix == ".svg":
            ET.parse(path)


def test_a_figure_that_fails_is_a_problem_and_the_page_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("no such axis")

    monkeypatch.setattr(build, "FIGURES", {**FIGURES, "cost": fails})
    write_run(tmp_path / "runs" / "a")
    done = report([tmp_path / "runs"], tmp_path / "out")
    (problem,) = done.contents.problems
    assert (str(problem.path), problem.kind) == ("board-math-to-code.cost", "not drawn")
    assert problem.reason == "ZeroDivisionError: no such axis"
    assert "no such axis" in done.html.read_text(encoding="utf-8")
    assert "| `board-math-to-code.cost` | not drawn |" in done.markdown.read_text(encoding="utf-8")
    assert not any("cost" in path.name for path in done.figures)


def test_the_first_figure_has_a_disc_as_large_as_what_was_forgotten(tmp_path: Path) -> None:
    for learner, lost in (("rl", 0.64), ("fst", 0.16), ("prompt", 0.0)):
        write_run(
            tmp_path / learner,
            learner=learner,
            stages=(("math", 20), ("code", 20)),
            items=16,
            accuracy=lambda stage, domain, _, lost=lost: (
                0.0 if not stage else 0.8 - lost if stage > 1 and domain == "math" else 0.8
            ),
            kl=lambda step, _d, _p: step / 100,
        )
    found = hero(contents(*find_runs([tmp_path])))
    assert found is not None
    discs = {row["series"]: row["disc"] for row in hero_record(found)["rows"]}
    assert discs["rl"] == pytest.approx(2 * discs["fst"])
    assert discs["prompt"] == 0
    drawn = hero_figure(found)
    (axes,) = drawn.axes
    areas = [one.get_sizes() for one in axes.collections if isinstance(one, PathCollection)]
    radii = sorted(float(area[0]) ** 0.5 / 2 for area in areas)
    assert radii == pytest.approx(sorted(discs.values()), abs=0.06)
    assert axes.get_xlabel() == "KL(policy ‖ base) at the end, nats per token"
    assert axes.get_ylabel() == "average accuracy"
    named = {text.get_text() for legend in drawn.legends for text in legend.get_texts()}
    assert named == {"RL", "FST", "prompt-only"}


def test_boards_of_one_row_have_figures_only_if_there_are_no_others(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "a", learner="fst")
    write_run(tmp_path / "runs" / "b", learner="fst", stages=(("facts", 20),))
    alone = report([tmp_path / "runs"], tmp_path / "out")
    assert {path.name.split(".")[0] for path in alone.figures} == {
        "board-math-to-code",
        "board-facts",
    }
    write_run(tmp_path / "runs" / "c", learner="rl")
    both = report([tmp_path / "runs"], tmp_path / "both")
    assert {path.name.split(".")[0] for path in both.figures} == {
        *("board-math-to-code", "leaderboard")
    }


def test_every_panel_of_three_domains_has_its_axes_labelled(tmp_path: Path) -> None:
    stages = (("math", 20), ("code", 20), ("facts", 20))
    write_run(tmp_path / "a", stages=stages)
    made = figure(board(tmp_path), "accuracy")
    drawing(lambda: made)
    assert [axes.get_title()[12:] for axes in made.axes] == ["math", "code", "facts"]
    first, second, third = made.axes
    shown = [axes.xaxis.get_tick_params()["labelbottom"] for axes in made.axes]
    assert shown == [False, True, True]
    assert second.get_xlabel() == third.get_xlabel() == "share of the training"
    assert first.get_ylabel() == third.get_ylabel() == "accuracy on test problems"


def test_the_bars_of_wall_time_add_up_to_it(tmp_path: Path) -> None:
    write_run(tmp_path / "a")
    of = board(tmp_path)
    (_, _, seconds) = figure(of, "cost").axes
    found = of.board.rows[0].per_seed["seconds"][0]
    assert not isinstance(found, Undefined)
    assert sum(bar.get_width() for bar in seconds.patches) == pytest.approx(found / 60)
    names = [text.get_text() for text in seconds.get_legend().get_texts()]
    assert names == ["learning", "evaluating", "else"]


def test_divergence_over_several_magnitudes_is_logarithmic_as_on_the_page(tmp_path: Path) -> None:
    write_run(tmp_path / "a", kl=lambda step, _domain, _prompt: 0.05 * (step / 10) ** 3)
    (axes,) = figure(board(tmp_path), "accuracy-against-kl").axes
    assert axes.get_xscale() == "log"
    # 0.05 at step 10, 3.2 at the end; 0 stands where the axis begins.
    assert axes.lines[0].get_xdata()[[0, 1, -1]] == pytest.approx([0.01, 0.05, 3.2])
    assert axes.xaxis.get_major_formatter()(0.01, None) == "≤ 0.01"


def test_divergence_of_one_magnitude_is_linear(tmp_path: Path) -> None:
    write_run(tmp_path / "a", kl=lambda step, _domain, _prompt: 0.001 * step)
    (axes,) = figure(board(tmp_path), "accuracy-against-kl").axes
    assert axes.get_xscale() == "linear"
    assert axes.lines[0].get_xdata()[0] == 0


def test_levels_are_those_of_each_seed_and_not_of_the_mean_curve(tmp_path: Path) -> None:
    # One seed is best at 20, the other at 40: the mean curve is lower than either.
    peak = {0: 20, 1: 40}
    for seed, learner in ((0, "rl"), (1, "rl"), (0, "fst"), (1, "fst")):
        write_run(
            tmp_path / f"{learner}-{seed}",
            learner=learner,
            seed=seed,
            accuracy=lambda s, _d, _p, seed=seed: 0.75 + seed / 8 if s == peak[seed] else 0.25,
        )
    of = board(tmp_path)
    assert of.reference is not None
    reference = of.rows[of.reference]
    assert reference is not None
    assert reference.best_S.tolist() == [0.75, 0.875]
    assert float(reference.average.mean_P.max()) < 0.75
    left = figure(of, "sample-efficiency").axes[0]
    ticks = [line.get_ydata()[0] for line in left.lines if line.get_xdata()[0] == 0.975]
    assert ticks == [0.75, 0.875]


def test_turnover_is_drawn_with_what_was_lost_to_the_left(tmp_path: Path) -> None:
    write_run(tmp_path / "a", items=32, accuracy=rising)
    of = board(tmp_path)
    row = of.rows[0]
    assert row is not None
    assert row.changes is not None
    panels = figure(of, "turnover").axes
    assert [text.get_text() for text in panels[0].get_yticklabels()] == ["FST"]
    gained, lost = np.split(100 * row.changes.mean_P, 2)
    for axes, more, less in zip(panels, gained, lost, strict=True):
        drawn = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 1]
        assert drawn == pytest.approx([more, -less])


def test_colours_of_a_run_that_diverged_leave_room_for_the_others(tmp_path: Path) -> None:
    for learner, far in (("rl", 1.0), ("fst", 0.01), ("prompt", 0.01), ("rl-kl", 0.01)):
        drifts = {"math": far, "code": 0.01}
        write_run(
            tmp_path / learner,
            learner=learner,
            kl=lambda step, domain, _p, of=drifts: of.get(domain, 0.01) if step == 40 else 0.005,
        )
    made = figure(board(tmp_path), "matrices")
    assert made.axes[1].images[0].get_clim() == (0, pytest.approx(0.01))
    assert "colours end at 0.010" in made.axes[1].get_title("left")


def test_names_with_an_underscore_are_in_the_legend(tmp_path: Path) -> None:
    for learner in ("_mine", "rl"):
        write_run(tmp_path / learner, learner=learner)
    (legend,) = figure(board(tmp_path), "accuracy").legends
    assert "_mine" in [text.get_text() for text in legend.get_texts()]


def many_learners(folder: Path) -> DrawnBoard:
    """A board of twelve learners whose names are long to say."""
    for number in range(12):
        write_run(
            folder / str(number),
            learner=f"acme/learner (learning_rate={1e-4 * (number + 1):.4f}, refill=False)",
            items=16,
        )
    return board(folder)


def boxes(made: Any, things: Any) -> list[Any]:
    made.canvas.draw()
    return [thing.get_window_extent() for thing in things if thing.get_text()]


def test_long_legends_take_no_room_from_the_panels(tmp_path: Path) -> None:
    of = many_learners(tmp_path)
    for name in ("accuracy", "accuracy-against-kl", "sample-efficiency"):
        made = figure(of, name)
        made.canvas.draw()
        (legend,) = made.legends
        for axes in made.axes:
            panel = axes.get_window_extent()
            assert panel.height > 1.2 * made.dpi, name
            assert not panel.overlaps(legend.get_window_extent()), name


def test_long_labels_do_not_lie_on_each_other(tmp_path: Path) -> None:
    of = many_learners(tmp_path)
    for name in ("channels", "turnover", "cost"):
        made = figure(of, name)
        found = boxes(made, made.axes[0].get_yticklabels())
        assert len(found) >= 12
        assert not [name for one, two in pairwise(found) if one.overlaps(two)]
    made = figure(of, "matrices")
    titles = boxes(made, [axes.title for axes in made.axes] + [a._left_title for a in made.axes])
    assert len(titles) == 2 * 6  # of the best
    assert not [one for one, two in combinations(titles, 2) if one.overlaps(two)]
