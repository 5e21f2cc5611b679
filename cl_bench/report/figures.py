"""A run's figures, drawn from its tables alone.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; every domain has its marker
too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cl_bench.contract.redaction import short_line
from cl_bench.contract.text import abbreviated, printable
from cl_bench.metrics.stats.proportions import wilson
from cl_bench.report.blocks.drawings import STYLE, percent, saved, shade, sheet
from cl_bench.report.blocks.look import Look, domain_look, named
from cl_bench.store.files import replacing
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.views import stream_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_log = logging.getLogger(__name__)
_HEIGHT = 3.9
"""Of every figure, in inches."""
Stages = Sequence[Mapping[str, Any]]
"""The stages of a manifest's stream: each has a `domain` and its `steps`."""

_CHANNELS = {
    "slow": ("parameters (slow weights)", "#0072B2"),
    "fast": ("prompts (fast weights)", "#E69F00"),
}
_PROMPTS = {"seed": "seed prompt", "learner": "learner's prompt"}


def accuracy_figure(evaluations: pd.DataFrame, stages: Stages) -> Figure:
    """Accuracy on every domain over the stream, under the learner's and the seed prompt.

    Bands are Wilson 95 % intervals over items, for the learner's prompt. Several samples of one
    item count as one observation, which is the cautious choice.
    """
    evaluations = stream_rows(evaluations)
    with sheet(_HEIGHT) as figure:
        from matplotlib.ticker import MaxNLocator

        axes = figure.add_subplot()
        _shade_stages(axes, stages)
        same = _same_prompts(evaluations)
        for domain, look in _looks(evaluations):
            rows = _rows(evaluations, domain, "learner")
            low, high = wilson(rows["accuracy"].to_numpy(), rows["n_items"].to_numpy())
            axes.fill_between(rows["step"], low, high, color=look.colour, alpha=0.11, linewidth=0)
            axes.plot(rows["step"], rows["accuracy"], color=look.colour, marker=look.marker)
            if not same:
                seed = _rows(evaluations, domain, "seed")
                axes.plot(seed["step"], seed["accuracy"], color=look.colour, dashes=(4, 2), lw=1.2)
        axes.set(xlabel="training step of the stream", ylabel="accuracy on test problems")
        axes.set_xlim(*_room(max(_bounds(stages)[-1][1], evaluations["step"].max())))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        percent(axes)
        _legend(figure, evaluations, _prompt_handles(same))
        return figure


def accuracy_kl_figure(evaluations: pd.DataFrame) -> Figure:
    """Accuracy against distance from the base model, per domain, joined in time.

    One panel per prompt; a ring marks the first evaluation, a large marker the last.
    """
    evaluations = stream_rows(evaluations)
    with sheet(_HEIGHT) as figure:
        panels = figure.subplots(1, 2, sharex=True, sharey=True)
        finite = evaluations["kl_policy_base"].replace([np.inf, -np.inf], np.nan).dropna()
        furthest = max([*finite, 1e-3])
        for axes, prompt in zip(panels, ("learner", "seed"), strict=True):
            for domain, look in _looks(evaluations):
                rows = _rows(evaluations, domain, prompt)
                kl, accuracy = rows["kl_policy_base"].to_numpy(), rows["accuracy"].to_numpy()
                axes.plot(kl, accuracy, color=look.colour, marker=look.marker, ms=3, lw=1.2)
                style: Any = {"color": look.colour, "marker": "o", "mfc": "white"}
                axes.plot(kl[:1], accuracy[:1], ms=8, mew=1.5, **style)
                axes.plot(kl[-1:], accuracy[-1:], color=look.colour, marker=look.marker, ms=9)
            axes.set_title(f"under the {_PROMPTS[prompt]}")
            axes.set_xlabel("KL(policy ‖ base), nats per token")
            axes.set_xlim(*_room(furthest, 0.04))
            percent(axes)
        panels[0].set_ylabel("accuracy on test problems")
        ends: Any = {"color": "#555555", "linestyle": "none"}
        first = _handle(marker="o", ms=8, mfc="white", mew=1.5, label="start", **ends)
        _legend(figure, evaluations, [first, _handle(marker="o", ms=9, label="end", **ends)])
        return figure


def rollouts_figure(evaluations: pd.DataFrame, ledger: pd.DataFrame, stages: Stages) -> Figure:
    """The cost of accuracy: each stage's own domain against the rollouts spent in that stage, and
    all rollouts by channel over the stream.

    Left, solid lines count every rollout, dotted ones those of RL alone: the gap is what the prompt
    optimiser spent.
    """
    evaluations = stream_rows(evaluations)
    with sheet(_HEIGHT) as figure:
        from matplotlib.ticker import MaxNLocator, StrMethodFormatter

        left, right = figure.subplots(1, 2)
        _draw_stage_costs(left, evaluations, stages)
        left.set_title("each stage's own domain", pad=18)
        left.set(xlabel="rollouts since the stage began", ylabel="accuracy, learner's prompt")
        percent(left)
        _draw_channels(right, ledger)
        right.set_title("spent so far, by channel", pad=18)
        right.set(xlabel="training step of the stream", ylabel="rollouts")
        _shade_stages(right, stages, numbered=True)
        right.margins(x=0)
        right.xaxis.set_major_locator(MaxNLocator(integer=True))
        for axis in (left.xaxis, right.yaxis):
            axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        left.xaxis.set_major_locator(MaxNLocator(5))
        return figure


def write_figures(directory: RunDirectory) -> list[Path]:
    """Draw all figures of a run into its `figures/` as PNG; none before the first evaluation.

    One that cannot be drawn is left out with a warning.
    """
    evaluations, ledger = directory.table("evaluations"), directory.table("ledger")
    stages: Stages = directory.manifest["stream"]["stages"]
    if evaluations.empty:
        return []
    figures: dict[str, Callable[[], Figure]] = {
        "accuracy": lambda: accuracy_figure(evaluations, stages),
        "accuracy-kl": lambda: accuracy_kl_figure(evaluations),
        "rollouts": lambda: rollouts_figure(evaluations, ledger, stages),
    }
    folder = directory.path / "figures"
    folder.mkdir(exist_ok=True)
    written = []
    for name, make in figures.items():
        path = folder / f"{name}.png"
        try:
            (content,) = saved(make, "png")
        except Exception as error:  # noqa: BLE001 - no figure is worth a finished run's summary
            reason = short_line(f"{type(error).__name__}: {error}").rstrip(".")
            _log.warning(
                "%s is not drawn (%s). The run's tables are whole.", printable(str(path)), reason
            )
            continue
        with replacing(path) as temporary:
            temporary.write_bytes(content)
        written.append(path)
    return written


def _draw_stage_costs(axes: Axes, evaluations: pd.DataFrame, stages: Stages) -> None:
    looks = dict(_looks(evaluations))
    for number, (start, end, domain) in enumerate(_bounds(stages), 1):
        rows = _rows(evaluations, domain, "learner")
        rows = rows[(rows["step"] >= start) & (rows["step"] <= end)]
        if len(rows) < 2:
            continue
        look = looks[domain]
        again = domain in [earlier for _, _, earlier in _bounds(stages)[: number - 1]]
        spent = rows["rollouts"] - rows["rollouts"].iloc[0]
        slow = rows["samples_slow"] - rows["samples_slow"].iloc[0]
        style: Any = {"marker": look.marker, "mfc": "white" if again else look.colour}
        label = f"{number}. {look.label}"
        axes.plot(spent, rows["accuracy"], color=look.colour, label=label, **style)
        if 0 < slow.iloc[-1] < spent.iloc[-1]:
            axes.plot(slow, rows["accuracy"], color=look.colour, ls=":", lw=1.3)
    handles, _ = axes.get_legend_handles_labels()
    if len(axes.lines) > len(handles):
        handles.append(_handle(color="#555555", ls=":", label="RL rollouts alone"))
    if handles:
        axes.legend(handles=handles, loc="lower right")


def _draw_channels(axes: Axes, ledger: pd.DataFrame) -> None:
    wide = ledger.pivot(index="step", columns="channel", values="rollouts")
    heights = [wide[channel].to_numpy(dtype=float) for channel in _CHANNELS if channel in wide]
    if heights:
        labels, colours = zip(*(_CHANNELS[name] for name in _CHANNELS if name in wide), strict=True)
        axes.stackplot(wide.index.to_numpy(), heights, labels=labels, colors=colours, alpha=0.75)
        axes.legend(loc="upper left")


def _shade_stages(axes: Axes, stages: Stages, *, numbered: bool = False) -> None:
    short = abbreviated(stage["domain"] for stage in stages)
    labels = [
        str(number) if numbered else named(short[stage["domain"]])
        for number, stage in enumerate(stages, 1)
    ]
    bounds = [(start, end) for start, end, _ in _bounds(stages)]
    shade(axes, bounds, labels, size=STYLE["font.size"], above=4)


def _bounds(stages: Stages) -> list[tuple[int, int, str]]:
    """First and last step on the axis, and domain, of every stage."""
    ends = np.cumsum([stage["steps"] for stage in stages]).tolist()
    return [
        (end - stage["steps"], end, stage["domain"])
        for end, stage in zip(ends, stages, strict=True)
    ]


def _rows(evaluations: pd.DataFrame, domain: str, prompt: str) -> pd.DataFrame:
    chosen = (evaluations["domain"] == domain) & (evaluations["prompt"] == prompt)
    return evaluations[chosen].sort_values("step")


def _looks(evaluations: pd.DataFrame) -> list[tuple[str, Look]]:
    """Every domain and its look, in the order in which domains appear."""
    domains = list(evaluations["domain"].drop_duplicates())
    short = abbreviated(domains)
    return [(name, domain_look(short[name], place)) for place, name in enumerate(domains)]


def _same_prompts(evaluations: pd.DataFrame) -> bool:
    """Whether both prompts scored alike everywhere: then one line says everything."""
    wide = evaluations.pivot_table(index=["step", "domain"], columns="prompt", values="accuracy")
    return {"seed", "learner"} <= set(wide) and bool((wide["seed"] == wide["learner"]).all())


def _room(last: float, share: float = 0.012) -> tuple[float, float]:
    """Limits of an axis from 0 to `last` with room for a marker at either end."""
    margin = share * max(last, 1e-9)
    return -margin, last + margin


def _prompt_handles(same: bool) -> list[Line2D]:
    solid = "both prompts alike" if same else _PROMPTS["learner"]
    learner = _handle(color="#555555", label=f"{solid} (band: 95 %)")
    seed = _handle(color="#555555", dashes=(4, 2), lw=1.2, label=_PROMPTS["seed"])
    return [learner] if same else [learner, seed]


def _handle(**look: Any) -> Line2D:
    """An entry of a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], **look)


def _legend(figure: Figure, evaluations: pd.DataFrame, more: Sequence[Line2D]) -> None:
    handles = [
        _handle(color=look.colour, marker=look.marker, label=look.label)
        for _, look in _looks(evaluations)
    ]
    figure.legend(
        handles=[*handles, *more],
        loc="outside lower center",
        ncols=7,
        columnspacing=1.3,
        handlelength=1.7,
    )
