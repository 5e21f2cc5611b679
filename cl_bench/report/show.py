"""One run in the terminal: summary, learning curves, matrices, the prompts it has now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os.path import commonpath
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from cl_bench.analysis.entries import RunEntry, Settings, damage_told
from cl_bench.analysis.learner_settings import telling_settings
from cl_bench.analysis.run_values import Measured
from cl_bench.contract.text import counted, printable
from cl_bench.metrics.quantities import NATS, SHARE
from cl_bench.report.board import RunProblem
from cl_bench.report.leaderboard import entry_of
from cl_bench.report.summary import PROMPTS, matrix_table, summarise
from cl_bench.report.terminal import add_curve, curve_grid, heading, table
from cl_bench.store.remote import with_urls
from cl_bench.store.run_tables import RunTables, Unreadable

_LONGEST = 2_000
"""Characters of a prompt that are shown."""


def show(run: RunTables, *, width: int, ascii_only: bool = False) -> RenderableType:
    """Everything about a run that a terminal `width` columns wide can show, finished or not.

    Texts of models and names of runs are made harmless. `ascii_only` is for an output that cannot
    show block characters.
    """
    measured = Measured(run)
    with damage_told(run.path):
        return Group(
            Text(printable(with_urls(str(run.path))), style="bold"),
            *_trouble(measured),
            Text(""),
            summarise(run),
            *_curves(measured, width, ascii_only),
            *_divergences(measured),
            *_prompts(measured),
        )


def show_several(
    found: tuple[Sequence[RunTables], Sequence[Unreadable]], **_: object
) -> RenderableType:
    """A line for each of several runs, and what cannot be read; `found` is of `find_runs`.

    A learner, stream or status that all of them share is said once, below.
    """
    read = [entry_of(run) for run in found[0]]
    runs = [one for one in read if isinstance(one, RunEntry)]
    broken = [(one.path, one.reason) for one in read if isinstance(one, RunProblem)]
    broken += [(one.path, one.reason) for one in found[1]]
    paths = [*(run.path for run in runs), *(path for path, _ in broken)]
    folder = Path(commonpath([path.parent for path in paths]))
    columns: dict[str, list[Any]] = {
        "run": [run.path.relative_to(folder) for run in runs],
        "learner": [run.learner for run in runs],
        "stream": [run.setup.key.stream for run in runs],
        "seed": [run.seed for run in runs],
        "status": [run.status for run in runs],
        "accuracy": [SHARE.text(run.value("average_accuracy")) for run in runs],
    }
    if any(settings := _telling(runs)):
        columns["settings"] = settings
    alike = [name for name in ("learner", "stream", "status") if len({*columns[name]}) == 1]
    shared = {name: columns.pop(name)[0] for name in (alike if len(runs) > 1 else ())}
    shown = table(*columns, collapse_padding=True)
    for name, column in zip(columns, shown.columns, strict=True):
        column.justify = "right" if name in ("seed", "accuracy") else "left"
    for words in zip(*columns.values(), strict=True):
        shown.add_row(*(printable(str(word)) for word in words))
    said = "".join(f", {name} {printable(str(value))}" for name, value in shared.items())
    return Group(
        Text(printable(with_urls(str(folder))), style="bold"),
        Text(""),
        shown,
        *(Text(printable(f"{path.name}: {reason}"), style="red") for path, reason in broken),
        Text(
            f"\n{counted(len(runs), 'run')}{said}; accuracy is the average over tasks at the end."
        ),
        Text("`cl-bench show RUN` shows one, `cl-bench report FOLDER` ranks them."),
    )


def _telling(runs: Sequence[RunEntry]) -> list[str]:
    """Return by run the settings that tell it from others of its learner."""
    distinct: list[tuple[str, Settings]] = []
    for run in runs:
        if (run.learner, run.settings) not in distinct:
            distinct.append((run.learner, run.settings))
    telling = telling_settings(distinct)
    return [telling[run.learner](run.settings) for run in runs]


def _trouble(measured: Measured) -> Iterator[Text]:
    """Return why the run stopped early, and what speaks against its numbers."""
    manifest = measured.manifest
    if manifest.get("reason"):
        yield Text(printable(str(manifest["reason"])), style="red")
    if (manifest.get("provenance") or {}).get("git_dirty"):
        yield Text("made from a dirty tree: no commit has this code", style="yellow")


def _curves(measured: Measured, width: int, ascii_only: bool) -> list[RenderableType]:
    """A line for every domain and prompt; one for both where they scored alike."""
    curves = {prompt: measured.trajectory(prompt) for prompt in PROMPTS}
    stage_E = [int(stage) for stage in curves["learner"][1]]
    if not stage_E:
        return []
    domains = list(dict.fromkeys(measured.stages))
    grid = curve_grid()
    labels = [f"{printable(domain, 24)} {prompt}" for domain in domains for prompt in PROMPTS]
    room = max(10, width - max(map(len, labels)) - 20)
    for domain in domains:
        place = measured.stages.index(domain)
        found = {prompt: curves[prompt][0][:, place] for prompt in PROMPTS}
        same = np.array_equal(found["learner"], found["seed"], equal_nan=True)
        for prompt in PROMPTS[:1] if same else PROMPTS:
            name = printable(domain, 24) if prompt == "learner" else ""
            label = (name, "both prompts" if same else prompt)
            shares = found[prompt].tolist()
            add_curve(grid, label, shares, stage_E, width=room, ascii_only=ascii_only)
    title = "Accuracy over the run, by prompt; a bar is the end of a stage"
    return [heading(title), grid]


def _divergences(measured: Measured) -> list[RenderableType]:
    """The matrix of KL(policy ‖ base) at the ends of stages."""
    matrices = {prompt: measured.matrix(prompt, "kl_policy_base") for prompt in PROMPTS}
    if np.isnan(matrices["learner"]).all():
        return []
    names = [f"{number} {printable(name)}" for number, name in enumerate(measured.stages, 1)]
    title = "KL(policy ‖ base) per token, learner's prompt (seed prompt)"
    return [heading(title), matrix_table(names, matrices, NATS)]


def _prompts(measured: Measured) -> list[RenderableType]:
    """The population after the last round, best first."""
    names = ("round", "prompt_id", "parent_id", "text", "score", "fate", "step")
    rows = measured.rows("prompts", *names)
    if not rows:
        return []
    last = max(row[0] for row in rows)
    kept = [row for row in rows if row[0] == last and row[5] == "kept"]
    kept.sort(key=lambda row: (np.isnan(row[4]), -row[4] if row[4] == row[4] else 0.0, row[1]))
    title = f"Prompts after round {last} (step {kept[0][6] if kept else rows[-1][6]}), best first"
    shown: list[RenderableType] = [heading(title)]
    for row in kept:
        shown += _prompt(row)
    return shown


def _prompt(row: Sequence[Any]) -> list[RenderableType]:
    _, number, parent, prompt, score, *_ = row
    origin = "the seed prompt" if parent < 0 else f"rewritten from {parent}"
    scored = "not scored on all exercises" if np.isnan(score) else f"score {SHARE.text(score)}"
    more = len(prompt) - _LONGEST
    lines = [printable(line) for line in prompt[:_LONGEST].splitlines() or [""]]
    if more > 0:
        lines.append(f"… and {more:,} more characters")
    body = Text("\n".join(lines), overflow="fold")
    heading = Text(f"{number}: {scored}, {origin}", style="cyan")
    return [heading, Padding(body, (0, 0, 0, 4))]
