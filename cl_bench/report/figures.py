"""A run's figures, drawn from its tables alone.

Every domain has its colour and marker, which are never the only difference: colours are Okabe and
Ito's, which colour-blind readers can tell apart. What a run does not have, such as prompts or a
divergence, has no figure and no panel.
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
from cl_bench.metrics.quantities import NATS, SHARE
from cl_bench.metrics.stats.proportions import wilson
from cl_bench.report.blocks.drawings import (
    KINDS,
    NARROW_HEIGHT,
    SCREEN,
    heat,
    legend,
    panels,
    percent,
    saved,
    shade,
    style,
    styled,
)
from cl_bench.report.blocks.look import Look, domain_look, named
from cl_bench.store.files import replacing
from cl_bench.store.run_tables import RunTables
from cl_bench.store.views import stream_rows

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_log = logging.getLogger(__name__)
_HEIGHT = 3.4
"""Of a panel, in inches, on the screen."""
_SMOOTHED = 20
"""The mean of rewards is over this part of the steps."""
_MARKERS = 12
"""About how many markers a line has."""
Stages = Sequence[Mapping[str, Any]]
"""The stages of a manifest's stream: each has a `domain` and its `steps`."""

_GREY = "#555555"
_DASHED: Any = {"dashes": (4, 2)}
_CHANNELS: Mapping[str, tuple[str, Any]] = {
    "slow": ("parameters (slow weights)", {"facecolor": "#6b7280"}),
    "fast": ("prompts (fast weights)", {"facecolor": "#d9dde3", "hatch": "////"}),
}
"""Greys: the colours of these figures are those of domains."""
_PROMPTS = {"seed": "seed prompt", "learner": "learner's prompt"}
_KL = "KL(policy ‖ base)"


def accuracy_figure(evaluations: pd.DataFrame, stages: Stages) -> Figure:
    """Accuracy on every domain over the stream, under the learner's and the seed prompt.

    Bands are Wilson 95 % intervals over items, for the learner's prompt. Several samples of one
    item count as one observation, which is the cautious choice.
    """
    evaluations = stream_rows(evaluations)
    with panels(1, 1, _HEIGHT) as (figure, ((axes,),)):
        same = _same_prompts(evaluations, "accuracy")
        for domain, look in _looks(evaluations):
            rows = _rows(evaluations, domain, "learner")
            low, high = wilson(rows["accuracy"].to_numpy(), rows["n_items"].to_numpy())
            axes.fill_between(rows["step"], low, high, color=look.colour, alpha=0.11, linewidth=0)
        _draw_over_steps(axes, evaluations, "accuracy", same=same)
        axes.set_ylabel("accuracy on test problems")
        _over_the_stream(axes, stages, evaluations["step"].max())
        percent(axes)
        legend(figure, [*_domain_handles(evaluations), *_prompt_handles(same), _band()])
        return figure


def reward_figure(steps: pd.DataFrame, stages: Stages) -> Figure:
    """Mean reward of every training step, thin, and smoothed, in the colour of the stage's domain.

    The smoothed line is the mean of the last twentieth of the stream's steps, of one stage only.
    """
    window = max(1, sum(stage["steps"] for stage in stages) // _SMOOTHED)
    with panels(1, 1, _HEIGHT) as (figure, ((axes,),)):
        looks = _stage_looks(stages)
        for _, stage in steps.groupby("stage"):
            look = looks[str(stage["domain"].iloc[0])]
            smooth = stage["reward"].rolling(window, min_periods=1).mean()
            axes.plot(stage["step"], stage["reward"], color=look.colour, lw=0.6, alpha=0.45)
            every = max(1, len(stage) // _MARKERS)
            kind: Any = {"color": look.colour, "marker": look.marker, "markevery": every}
            axes.plot(stage["step"], smooth, **kind)
        axes.set_ylabel("training reward")
        _over_the_stream(axes, stages, steps["step"].max())
        percent(axes)
        trained = list(dict.fromkeys(steps["domain"]))
        more = [
            _handle(color=_GREY, label=f"mean of {window} step{'s' * (window > 1)}"),
            _handle(color=_GREY, lw=0.6, alpha=0.6, label="single steps"),
        ]
        legend(figure, [*(_of_domain(looks[name]) for name in trained), *more])
        return figure


def kl_figure(evaluations: pd.DataFrame, stages: Stages) -> Figure:
    """Distance from the base model over the stream, under the learner's and the seed prompt."""
    evaluations = _finite(stream_rows(evaluations))
    with panels(1, 1, _HEIGHT) as (figure, ((axes,),)):
        same = _same_prompts(evaluations, "kl_policy_base")
        _draw_over_steps(axes, evaluations, "kl_policy_base", same=same)
        axes.set_ylabel("KL, nats per token" if style().narrow else f"{_KL}, nats per token")
        _over_the_stream(axes, stages, evaluations["step"].max())
        axes.set_ylim(bottom=0)
        legend(figure, [*_domain_handles(evaluations), *_prompt_handles(same)])
        return figure


def accuracy_kl_figure(evaluations: pd.DataFrame) -> Figure:
    """Accuracy against distance from the base model, per domain, joined in time.

    One panel per prompt, or one where both are alike; a ring marks the first evaluation, a large
    marker the last.
    """
    evaluations = _finite(stream_rows(evaluations))
    same = all(_same_prompts(evaluations, column) for column in ("accuracy", "kl_policy_base"))
    prompts = ("learner",) if same else ("learner", "seed")
    size = style().marker
    with panels(1, len(prompts), _HEIGHT, sharex=True, sharey=True) as (figure, (every,)):
        furthest = max(evaluations["kl_policy_base"].max(), 1e-3)  # of those that are finite
        for axes, prompt in zip(every, prompts, strict=True):
            for domain, look in _looks(evaluations):
                rows = _rows(evaluations, domain, prompt)
                kl, accuracy = rows["kl_policy_base"].to_numpy(), rows["accuracy"].to_numpy()
                whole: Any = {"color": look.colour, "clip_on": False}
                axes.plot(kl, accuracy, marker=look.marker, ms=0.65 * size, lw=1.2, **whole)
                axes.plot(kl[:1], accuracy[:1], "o", ms=1.8 * size, mew=1.5, mfc="white", **whole)
                axes.plot(kl[-1:], accuracy[-1:], marker=look.marker, ms=2 * size, **whole)
            axes.set_title("" if same else f"under the {_PROMPTS[prompt]}")
            axes.set_xlim(*_room(furthest, 0.04))
            axes.set_ylabel(
                "accuracy on test problems" if axes is every[0] or style().narrow else ""
            )
            percent(axes)
        for axes in every[-1:] if style().narrow else every:
            axes.set_xlabel(f"{_KL}, nats per token")
        ends: Any = {"color": _GREY, "linestyle": "none", "marker": "o"}
        first = _handle(ms=1.8 * size, mfc="white", mew=1.5, label="start", **ends)
        last = _handle(ms=2 * size, label="end", **ends)
        legend(figure, [*_domain_handles(evaluations), first, last])
        return figure


def rollouts_figure(evaluations: pd.DataFrame, ledger: pd.DataFrame, stages: Stages) -> Figure:
    """The cost of accuracy: each stage's own domain against the rollouts spent in that stage, and
    where parameters and prompts both spent some, all rollouts by channel over the stream.

    Solid lines count every rollout, dotted ones those of RL alone: the gap is what the prompt
    optimiser spent.
    """
    evaluations = stream_rows(evaluations)
    spent = ledger.pivot(index="step", columns="channel", values="rollouts").astype(float)
    channels = [name for name in _CHANNELS if name in spent and spent[name].max() > 0]
    both = len(channels) > 1
    with panels(1, 1 + both, _HEIGHT) as (figure, (every,)):
        from matplotlib.ticker import MaxNLocator, StrMethodFormatter

        left, right = every[0], every[-1]
        handles = _draw_stage_costs(left, evaluations, stages)
        left.set(xlabel="rollouts since the stage began", ylabel="accuracy, learner's prompt")
        percent(left)
        left.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        left.xaxis.set_major_locator(MaxNLocator(5))
        if both:
            left.set_title("each stage's own domain", pad=18)
            handles += _draw_channels(right, spent[channels])
            right.set_title("spent so far, by channel", pad=18)
            right.set_ylabel("rollouts")
            right.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
            _over_the_stream(right, stages, spent.index.max(), across=1 if style().narrow else 2)
            right.margins(x=0)
        if handles:
            legend(figure, handles)
        return figure


def matrices_figure(evaluations: pd.DataFrame, stages: Stages) -> Figure:
    """The accuracy matrix R and, where there is a divergence, the matrix of KL: the start and the
    end of every stage by domains, under the learner's prompt. What a stage trained is outlined.
    Cells of very many domains have a colour and no number.
    """
    evaluations = stream_rows(evaluations)
    matrices = [(_matrix(evaluations, "accuracy"), "R: accuracy in %", "Blues", 1.0, SHARE)]
    if _diverges(evaluations):
        kl = _matrix(_finite(evaluations), "kl_policy_base")
        top = float(np.nanmax(kl.to_numpy()))
        matrices.append((kl, f"{_KL}, nats per token", "Oranges", top, NATS))
    domains = list(matrices[0][0].columns)
    rows, across = len(matrices[0][0]), len(matrices) if len(domains) <= _BESIDE else 1
    height = (0.75 + 0.31 * rows) / (NARROW_HEIGHT if style().narrow else 1)
    cell = 0.7 * style().width * 72 / (1 if style().narrow else across) / len(domains)
    has_room = cell > _IN_A_CELL * 0.62 * style().font
    with panels(len(matrices) // across, across, height) as (figure, axes_R_C):
        for axes, (matrix, title, colours, top, of) in zip(axes_R_C.flat, matrices, strict=True):
            values = matrix.to_numpy(float)
            heat(axes, values, colours=colours, top=top, write=of.number if has_room else None)
            axes.set_title(title, loc="left")
            _name_cells(axes, domains, rows, stages)
        return figure


def figures_of(run: RunTables) -> dict[str, Callable[[], Figure]]:
    """What draws each figure of a run, by name; none before the first evaluation."""
    evaluations, steps, ledger = map(run.table, ("evaluations", "steps", "ledger"))
    stages: Stages = run.manifest["stream"]["stages"]
    own = stream_rows(evaluations)
    if own.empty:
        return {}
    found: dict[str, Callable[[], Figure]] = {
        "accuracy": lambda: accuracy_figure(evaluations, stages)
    }
    if np.isfinite(steps["reward"].to_numpy(float)).any():
        found["reward"] = lambda: reward_figure(steps, stages)
    if _diverges(own):
        found["kl"] = lambda: kl_figure(evaluations, stages)
        found["accuracy-kl"] = lambda: accuracy_kl_figure(evaluations)
    found["matrices"] = lambda: matrices_figure(evaluations, stages)
    found["rollouts"] = lambda: rollouts_figure(evaluations, ledger, stages)
    return found


def write_figures(run: RunTables, folder: Path, *, figure_style: str = SCREEN) -> list[Path]:
    """Draw all figures of a run into a folder as PNG, SVG and PDF, in a style of `STYLES`.

    One that cannot be drawn is left out with a warning. `UsageError` for an unknown style.
    """
    written: list[Path] = []
    with styled(figure_style):
        for name, make in figures_of(run).items():
            try:
                files = saved(make, *KINDS)
            except Exception as error:  # noqa: BLE001 - no figure is worth a finished run's summary
                reason = short_line(f"{type(error).__name__}: {error}").rstrip(".")
                said = "%s is not drawn (%s). The run's tables are whole."
                _log.warning(said, printable(str(folder / name)), reason)
                continue
            folder.mkdir(parents=True, exist_ok=True)
            for kind, content in zip(KINDS, files, strict=True):
                path = folder / f"{name}.{kind}"
                with replacing(path) as temporary:
                    temporary.write_bytes(content)
                written.append(path)
    return written


def _draw_over_steps(axes: Axes, evaluations: pd.DataFrame, column: str, *, same: bool) -> None:
    """A line for every domain, solid under the learner's prompt and dashed under the seed's."""
    for domain, look in _looks(evaluations):
        rows = _rows(evaluations, domain, "learner")
        axes.plot(rows["step"], rows[column], color=look.colour, marker=look.marker)
        if not same:
            seed = _rows(evaluations, domain, "seed")
            axes.plot(seed["step"], seed[column], color=look.colour, lw=1.2, **_DASHED)


def _draw_stage_costs(axes: Axes, evaluations: pd.DataFrame, stages: Stages) -> list[Artist]:
    looks = dict(_looks(evaluations))
    handles: list[Artist] = []
    dotted = False
    for number, (start, end, domain) in enumerate(_bounds(stages), 1):
        rows = _rows(evaluations, domain, "learner")
        rows = rows[(rows["step"] >= start) & (rows["step"] <= end)]
        if len(rows) < 2:
            continue
        look = looks[domain]
        again = domain in [earlier for _, _, earlier in _bounds(stages)[: number - 1]]
        spent = rows["rollouts"] - rows["rollouts"].iloc[0]
        slow = rows["samples_slow"] - rows["samples_slow"].iloc[0]
        kind: Any = {"marker": look.marker, "mfc": "white" if again else look.colour}
        label = f"{number}. {look.label}"
        handles += axes.plot(spent, rows["accuracy"], color=look.colour, label=label, **kind)
        if 0 < slow.iloc[-1] < spent.iloc[-1]:
            axes.plot(slow, rows["accuracy"], color=look.colour, ls=":", lw=1.3)
            dotted = True
    return [*handles, *([_handle(color=_GREY, ls=":", label="RL rollouts alone")] * dotted)]


def _draw_channels(axes: Axes, spent: pd.DataFrame) -> list[Artist]:
    base = np.zeros(len(spent))
    drawn: list[Artist] = []
    for name in spent:
        label, look = _CHANNELS[str(name)]
        top = base + spent[name].to_numpy()
        drawn.append(
            axes.fill_between(spent.index, base, top, label=label, ec=_GREY, lw=0.5, **look)
        )
        base = top
    return drawn


def _over_the_stream(axes: Axes, stages: Stages, last: float, across: int = 1) -> None:
    """Steps across, from the start to the end of the stream, and its stages; `across` is how many
    panels share the width."""
    from matplotlib.ticker import MaxNLocator

    total = max(_bounds(stages)[-1][1], 1)
    short = abbreviated(stage["domain"] for stage in stages)
    points = 0.8 * style().width * 72 / across
    labels = []
    for number, stage in enumerate(stages, 1):
        fits = int(points * stage["steps"] / total / (0.62 * style().font))
        name = named(short[stage["domain"]])
        labels.append(name if len(name) <= fits else str(number))
    bounds = [(start, end) for start, end, _ in _bounds(stages)]
    shade(axes, bounds, labels, size=style().font, above=4)
    axes.set_xlabel("training step of the stream")
    axes.set_xlim(*_room(max(total, last)))
    axes.xaxis.set_major_locator(MaxNLocator(8 if across == 1 else 5, integer=True))


def _name_cells(axes: Axes, domains: Sequence[str], rows: int, stages: Stages) -> None:
    """Names beside the rows and below the columns of a matrix, and outlines where a stage trained
    the domain of a column."""
    from matplotlib.patches import Rectangle

    short = abbreviated(domains)
    names = [named(short[domain], _SHORT) for domain in domains]
    ends = [named(short[str(stage["domain"])], _SHORT) for stage in stages]
    shown = ["start", *(f"after {number} {name}" for number, name in enumerate(ends, 1))]
    axes.tick_params(length=0)
    axes.set_yticks(range(rows), shown[:rows])
    wide = sum(map(len, names)) * 0.62 * style().font > 0.3 * style().width * 72
    axes.set_xticks(range(len(names)), names, rotation=90 if wide else 0)
    for row, stage in enumerate(stages[: rows - 1], 1):
        corner = (domains.index(stage["domain"]) - 0.5, row - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, ec="#222222", lw=1.2, clip_on=False))


_SHORT, _IN_A_CELL = 18, 5
"""Characters of a domain's name beside a matrix, and of a number in it."""
_BESIDE = 6
"""Columns of a matrix that leave room for another beside it."""


def _matrix(evaluations: pd.DataFrame, column: str) -> pd.DataFrame:
    """A quantity under the learner's prompt: the start and stage ends by the stream's domains."""
    ends = evaluations[(evaluations["prompt"] == "learner") & (evaluations["at"] != "inside")]
    domains = list(evaluations["domain"].drop_duplicates())
    found = ends.pivot_table(index="step", columns="domain", values=column)
    return found.reindex(index=sorted(ends["step"].unique()), columns=domains)


def _diverges(evaluations: pd.DataFrame) -> bool:
    """Whether a run's policy ever lay apart from the base, by a number that is finite."""
    return bool((_finite(evaluations)["kl_policy_base"] > 0).any())


def _finite(evaluations: pd.DataFrame) -> pd.DataFrame:
    """The evaluations with divergences that are not finite as missing ones."""
    kl = evaluations["kl_policy_base"].replace([np.inf, -np.inf], np.nan)
    return evaluations.assign(kl_policy_base=kl)


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


def _stage_looks(stages: Stages) -> dict[str, Look]:
    """The looks of the domains that stages train, as `_looks` has them."""
    domains = list(dict.fromkeys(stage["domain"] for stage in stages))
    short = abbreviated(domains)
    return {name: domain_look(short[name], place) for place, name in enumerate(domains)}


def _same_prompts(evaluations: pd.DataFrame, column: str) -> bool:
    """Whether a column is alike under both prompts everywhere: then one line says everything."""
    wide = evaluations.pivot_table(index=["step", "domain"], columns="prompt", values=column)
    return {"seed", "learner"} <= set(wide) and bool((wide["seed"] == wide["learner"]).all())


def _room(last: float, share: float = 0.012) -> tuple[float, float]:
    """Limits of an axis from 0 to `last` with room for a marker at either end."""
    margin = share * max(last, 1e-9)
    return -margin, last + margin


def _band() -> Artist:
    from matplotlib.patches import Patch

    return Patch(color=_GREY, alpha=0.25, lw=0, label="95 % interval")


def _prompt_handles(same: bool) -> list[Artist]:
    solid = "both prompts alike" if same else _PROMPTS["learner"]
    learner = _handle(color=_GREY, label=solid)
    seed = _handle(color=_GREY, lw=1.2, label=_PROMPTS["seed"], **_DASHED)
    return [learner] if same else [learner, seed]


def _domain_handles(evaluations: pd.DataFrame) -> list[Artist]:
    return [_of_domain(look) for _, look in _looks(evaluations)]


def _of_domain(look: Look) -> Artist:
    return _handle(color=look.colour, marker=look.marker, label=look.label)


def _handle(**look: Any) -> Artist:
    """An entry of a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], **look)
