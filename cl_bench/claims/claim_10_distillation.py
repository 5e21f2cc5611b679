"""Claim 10: how far FST-distill levels off below fast-slow training."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from cl_bench.claims import styles
from cl_bench.claims.claim import Claim, Registered, measurement, paper_figure
from cl_bench.claims.measure import compare_plateaus, levels, trajectories
from cl_bench.claims.plan import Plan, singles
from cl_bench.claims.rule import Statement
from cl_bench.claims.subject import Subject

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cl_bench.claims.data import Data

REGISTERED = Registered(
    10,
    "distillation",
    "FST-distill levels off below fast-slow training",
    "Single runs on $probe, own prompts: accuracy and token entropy of the plateau.",
    (
        paper_figure("validation reward on HoVer", FST="≈ 48", FST_distill="≈ 31"),
        paper_figure("entropy, nats", FST="≈ 0.45", FST_distill="≈ 0.32"),
    ),
    (
        Statement("10a", "accuracy, fast-slow training minus FST-distill", 0.0, 0.02),
        Statement(
            "10b", "entropy, fast-slow training minus FST-distill", 0.0, 0.02, "nats", primary=False
        ),
    ),
)


LEARNERS = ("fst", "fst-distill")


def on_probe(subject: Subject) -> tuple[str, ...]:
    """The one domain of this claim."""
    return (subject.probe,)


_plateau = partial(compare_plateaus, domains=on_probe, learners=LEARNERS)


def draw(data: Data, plan: Plan) -> Figure:
    """Accuracy and token entropy of both learners against training samples."""
    probe = plan.subject.probe
    with styles.sheet(1, 2) as (figure, panels):
        for axes, column in zip(panels, ("accuracy", "entropy"), strict=True):
            axes.set_title(probe)
            axes.set_xlabel("training samples")
            for learner in LEARNERS:
                cells = plan.single_runs(probe, learner)
                runs = trajectories(data, cells, probe, "samples_slow", column)
                mean = styles.curves(axes, learner, runs)
                if mean is not None:
                    plateaus = levels(data, cells, probe, column)
                    styles.level(axes, learner, plateaus, float(mean[0][-1]))
        panels[0].set_ylabel("accuracy, own prompt")
        panels[1].set_ylabel("entropy, nats per token")
        styles.finish(panels[:1])
        styles.finish(panels[1:], percent=False)
        styles.legend(figure, LEARNERS, [styles.plateau()])
    return figure


CLAIM = Claim(
    REGISTERED,
    runs=singles(LEARNERS, on_probe),
    measurements={
        "10a": measurement("FST − FST-distill, plateau of accuracy", _plateau),
        "10b": measurement(
            "FST − FST-distill, plateau of entropy", _plateau, column="entropy", scale="nats"
        ),
    },
    figure=draw,
)
