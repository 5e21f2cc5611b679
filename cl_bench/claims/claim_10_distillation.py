"""Claim 10: how far FST-distill levels off below fast-slow training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cl_bench.claims import styles
from cl_bench.claims.claim import Claim, Measurement, Registered, paper_figure
from cl_bench.claims.measure import Curves, MeasuredStatement, trajectories
from cl_bench.claims.plan import PROBE, Plan, singles
from cl_bench.claims.plateau import compare_plateaus, draw_plateau, plateau_handle
from cl_bench.claims.rule import Statement

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REGISTERED = Registered(
    10,
    "distillation",
    "FST-distill levels off below fast-slow training",
    "Single runs on facts, own prompts: accuracy and token entropy of the plateau.",
    (
        paper_figure("validation reward on HoVer", FST="≈ 48", FST_distill="≈ 31"),
        paper_figure("entropy, nats", FST="≈ 0.45", FST_distill="≈ 0.32"),
    ),
    (
        Statement("10a", "accuracy, fast-slow training minus FST-distill", 0.0, 0.02),
        Statement(
            "10b",
            "entropy, fast-slow training minus FST-distill",
            0.0,
            0.02,
            "nats",
            primary=False,
        ),
    ),
)


LEARNERS = ("fst", "fst-distill")


def plateau_above_distill(data: Curves, plan: Plan) -> MeasuredStatement:
    """10a: accuracy, fast-slow training minus FST-distill."""
    return compare_plateaus(data, plan, (PROBE,), LEARNERS)


def entropy_above_distill(data: Curves, plan: Plan) -> MeasuredStatement:
    """10b: token entropy on the test problems, fast-slow training minus FST-distill."""
    return compare_plateaus(data, plan, (PROBE,), LEARNERS, "entropy", "nats")


# The figure


def draw(data: Curves, plan: Plan) -> Figure:
    """Accuracy and token entropy of both learners against training samples."""
    with styles.sheet(1, 2) as (figure, panels):
        for axes, column in zip(panels, ("accuracy", "entropy"), strict=True):
            axes.set_title(PROBE)
            axes.set_xlabel("training samples")
            for learner in LEARNERS:
                runs = trajectories(data, plan, PROBE, learner, "samples_slow", column)
                mean = styles.curves(axes, learner, runs)
                if mean is not None:
                    draw_plateau(axes, data, plan, PROBE, learner, float(mean[0][-1]), column)
        panels[0].set_ylabel("accuracy, own prompt")
        panels[1].set_ylabel("entropy, nats per token")
        styles.finish(panels[:1])
        styles.finish(panels[1:], percent=False)
        styles.legend(figure, LEARNERS, [plateau_handle()])
        return figure


CLAIM = Claim(
    REGISTERED,
    runs=singles((PROBE,), LEARNERS),
    measurements={
        "10a": Measurement("FST − FST-distill, plateau of accuracy", plateau_above_distill),
        "10b": Measurement("FST − FST-distill, plateau of entropy", entropy_above_distill),
    },
    figure=draw,
)
