"""Claim 8: what trained parameters and evolved prompts gain, alone and together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from cl_bench.analysis.paired import BySeed
from cl_bench.claims.claim import Claim, Registered, measurement, paper_figure
from cl_bench.claims.measure import (
    MeasuredStatement,
    Scale,
    detail,
    each,
    mean_over,
    measured,
)
from cl_bench.claims.plan import Plan, singles
from cl_bench.claims.rule import Statement
from cl_bench.claims.styles import sheet
from cl_bench.metrics import channel_attribution, over_seeds
from cl_bench.metrics.digits import carried
from cl_bench.metrics.quantities import NOTHING, SHARE
from cl_bench.metrics.stats.student import Estimate
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cl_bench.claims.data import Data

REGISTERED = Registered(
    8,
    "both-channels",
    "Parameters and prompts both carry the gain",
    "At the end of single runs of fast-slow training on $singles: accuracy of "
    "{base, trained} parameters under {seed, evolved} prompt; mean over the $count.",
    (
        paper_figure(
            "HoVer", base_seed="2.0", base_evolved="10.6", trained_seed="11.6", both="21.2"
        ),
        paper_figure(
            "Math", base_seed="20.0", base_evolved="20.3", trained_seed="47.2", both="48.4"
        ),
        paper_figure(
            "CodeIO", base_seed="19.4", base_evolved="34.5", trained_seed="25.1", both="43.3"
        ),
    ),
    (
        Statement("8a", "slow: trained + seed minus base + seed", 0.0, 0.02),
        Statement("8b", "fast: base + evolved minus base + seed", 0.0, 0.02),
        Statement(
            "8c",
            "both minus the better of the two alone, seed by seed and domain by domain",
            0.0,
            0.02,
            primary=False,
        ),
    ),
)


WEIGHTS = ("base", "trained")
PROMPTS = {"seed": "seed", "evolved": "learner"}
"""Names of the prompts, and what the tables call them."""
GAINS = ("slow", "fast", "joint", "interaction", "difference to the better")


def accuracies(data: Data, plan: Plan, domain: str) -> Mapping[str, BySeed]:
    """The 2x2 at the end of fast-slow training: `base + seed` to `trained + evolved`."""
    cells = plan.single_runs(domain, "fst")
    return {
        f"{weights} + {name}": {
            seed: data.cell_accuracy(cell, domain, prompt=prompt, weights=weights)
            for seed, cell in cells.items()
        }
        for weights in WEIGHTS
        for name, prompt in PROMPTS.items()
    }


def gains(cells: Mapping[str, BySeed]) -> Mapping[str, BySeed]:
    """Gains of each channel over the base under the seed prompt, from the four accuracies.

    `slow`, `fast`, `joint` and `interaction` as in `channel_attribution`, and both channels minus
    the better of the two alone. A seed without one of the four has none of them.
    """
    seeds = next(iter(cells.values()))
    found = {seed: _gains({name: of[seed] for name, of in cells.items()}) for seed in seeds}
    return {gain: each(found, itemgetter(gain)) for gain in GAINS}


def _gains(cells: Mapping[str, float | Undefined]) -> Mapping[str, float] | Undefined:
    known = []
    for name, value in cells.items():
        if isinstance(value, Undefined):
            return Undefined(f"{name}: {value.reason}")
        known.append(value)
    found = channel_attribution([known[:2], known[2:]])
    if isinstance(found, Undefined):
        return found
    better = found.joint - max(found.slow, found.fast)
    values = (found.slow, found.fast, found.joint, found.interaction, better)
    return dict(zip(GAINS, values, strict=True))


def gain(data: Data, plan: Plan, name: str) -> MeasuredStatement:
    """The mean of a gain over domains; beside single channels the accuracies, else all gains."""
    cells = {domain: accuracies(data, plan, domain) for domain in plan.subject.singles}
    gained = {domain: gains(of_domain) for domain, of_domain in cells.items()}
    single = name in ("slow", "fast")
    scale: Scale = "accuracy" if single else "points"
    details = [
        detail(domain, values, scale) for domain, values in (cells if single else gained).items()
    ]
    return measured(mean_over({d: values[name] for d, values in gained.items()}), details)


# The figure


def draw(data: Data, plan: Plan) -> Figure:
    """Mean accuracy over seeds under {seed, evolved} prompt with {base, trained} parameters."""
    domains = plan.subject.singles
    with sheet(1, len(domains), sharey=True) as (figure, axes):
        for domain, panel in zip(domains, axes, strict=True):
            found = accuracies(data, plan, domain).values()
            _draw_domain([over_seeds(by_seed) for by_seed in found], panel)
            panel.set_title(domain)
        axes[0].set_yticks(range(2), [f"{weights}\nparameters" for weights in WEIGHTS])
        figure.supxlabel(
            "accuracy at the end of fast-slow training, mean over n seeds [95 % interval]",
            fontsize=8,
        )
    return figure


def _draw_domain(means: Sequence[Estimate | Undefined], panel: Axes) -> None:
    """The means of base + seed, base + evolved, trained + seed and trained + evolved."""
    values = [np.nan if isinstance(mean, Undefined) else mean.value for mean in means]
    acc_W_P = np.array(values).reshape(2, 2)
    panel.grid(visible=False)
    panel.set(xlim=(-0.5, 1.5), ylim=(1.5, -0.5))
    panel.set_xticks(range(2), [f"{prompt}\nprompt" for prompt in PROMPTS])
    if np.isnan(acc_W_P).all():
        panel.text(0.5, 0.5, "no runs", ha="center", color="#777777")
        return
    panel.imshow(acc_W_P, cmap="Blues", vmin=0, vmax=1)
    for ((row, column), value), mean in zip(np.ndenumerate(acc_W_P), means, strict=True):
        colour = "white" if value > 0.6 else "#222222"
        panel.text(column, row, _words(mean), ha="center", va="center", color=colour)


def _words(mean: Estimate | Undefined) -> str:
    if isinstance(mean, Undefined):
        return NOTHING
    of = carried(SHARE, mean)
    lines = (of.text(mean.value), of.interval(mean.interval), f"n = {mean.seeds}")
    return "\n".join(filter(None, lines))


CLAIM = Claim(
    REGISTERED,
    runs=singles(("fst",)),
    measurements={
        "8a": measurement("trained parameters − base, seed prompt", gain, name="slow"),
        "8b": measurement("evolved prompt − seed prompt, base parameters", gain, name="fast"),
        "8c": measurement("both − the better of the two alone", gain, name=GAINS[-1]),
    },
    figure=draw,
)
