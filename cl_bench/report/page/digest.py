"""What a page shows of one run, read from its tables once.

Numbers stay as the tables have them; whoever writes them rounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cl_bench.metrics.arrays import Array
from cl_bench.metrics.attribution import ChannelAttribution, channel_attribution
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.page.turnover import ITEM_COLUMNS, Turnover, turnovers
from cl_bench.run_tables import RunTables, select
from cl_bench.schema import TABLES

if TYPE_CHECKING:
    import pandas as pd

PROMPTS = ("learner", "seed")
CHANNELS = ("slow", "fast")
TOKENS = ("prompt_tokens", "generated_tokens", "reflection_tokens")
CURVES = ("reward", "signal", "entropy", "grad_norm", "completion_tokens", "loss")
"""Columns of the table `steps` that are drawn."""


class Subject(NamedTuple):
    """Whose accuracy a line shows, on which problems."""

    domain: str
    test_set: str
    setting: str
    prompt: str
    weights: str


_EVALUATED = (
    *Subject._fields,
    *("step", "stage", "at", "accuracy", "n_items", "kl_policy_base", "samples_slow", "rollouts"),
)


@dataclass(frozen=True, eq=False)
class Line:
    """Evaluations of one subject at the digest's points; NaN where it was not evaluated."""

    accuracy_E: Array
    kl_E: Array
    """KL(policy ‖ base), nats per token."""
    n_items: int


@dataclass(frozen=True, eq=False)
class Round:
    """One round of the prompt optimiser."""

    step: int
    number: int
    candidates: tuple[tuple[int, float, str], ...]
    """Prompt, score (NaN if not scored on everything) and fate."""


@dataclass(frozen=True, eq=False)
class Lineage:
    """Every prompt of a run and what became of it."""

    prompts: Mapping[int, tuple[int, str]]
    """By prompt: its parent, -1 for the seed's, and its text."""
    rounds: tuple[Round, ...]


@dataclass(frozen=True, eq=False)
class Digest:
    """One run."""

    name: str
    """Unique on the page; the place of the run among those that were asked for."""
    manifest: Mapping[str, Any]
    stages: tuple[tuple[str, str, int], ...]
    """Domain, setting and training steps of every stage."""
    step_E: Array
    """Steps of the evaluation points, growing; shape (E,) as all that follows them."""
    stage_E: Array
    end_E: tuple[bool, ...]
    """Whether the point is the start or the end of a stage."""
    samples_E: Array
    """Training samples (RL rollouts) spent by then."""
    rollouts_E: Array
    """All rollouts spent by then."""
    lines: Mapping[Subject, Line]
    steps: Mapping[str, Sequence[float]]
    """Columns of the table `steps`."""
    lineage: Lineage
    spent: Mapping[str, Mapping[str, float]]
    """By channel, then by column of `ledger`, at the last evaluation."""
    phases: Mapping[str, float]
    """Seconds by phase, in the order in which phases first came."""
    turnover: Mapping[str, Turnover]
    """By domain of the stream, under the learner's prompt."""
    transcripts: Sequence[Mapping[str, Any]]
    """Rows of the table `transcripts`."""

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains of the stream, each once."""
        return tuple(dict.fromkeys(domain for domain, _, _ in self.stages))

    def line(self, domain: str, prompt: str = "learner", weights: str = "trained") -> Line | None:
        """Evaluations on the stream's own problems."""
        setting = next((s for name, s, _ in self.stages if name == domain), "")
        return self.lines.get(Subject(domain, "stream", setting, prompt, weights))

    def attribution(self, domain: str) -> ChannelAttribution | Undefined:
        """What each channel gained up to the end of the last stage that has ended."""
        ended = [place for place, end in enumerate(self.end_E) if end and self.stage_E[place]]
        if not ended or self.line(domain, "seed", "base") is None:
            return Undefined("no stage has ended" if not ended else "the run has no probes")
        lines = [
            [self.line(domain, prompt, weights) for prompt in ("seed", "learner")]
            for weights in ("base", "trained")
        ]
        return channel_attribution(
            [[line.accuracy_E[ended[-1]] if line else np.nan for line in row] for row in lines]
        )


def digest(run: RunTables, name: str) -> Digest:
    """The digest of a run, finished or not."""
    manifest = run.manifest
    stages = tuple(
        (str(stage["domain"]), str(stage.get("setting", "")), int(stage["steps"]))
        for stage in manifest["stream"]["stages"]
    )
    evaluations = select(run, "evaluations", _EVALUATED)
    points = evaluations.drop_duplicates("step").sort_values("step")
    timing = select(run, "timing", ("phase", "seconds"))
    return Digest(
        name=name,
        manifest=manifest,
        stages=stages,
        step_E=points["step"].to_numpy(),
        stage_E=points["stage"].to_numpy(),
        end_E=tuple(place != "inside" for place in points["at"]),
        samples_E=points["samples_slow"].to_numpy(),
        rollouts_E=points["rollouts"].to_numpy(),
        lines=_lines(evaluations, points["step"].tolist()),
        steps=_steps(select(run, "steps", ("step", *CURVES))),
        lineage=_lineage(run.table("prompts")),
        spent=_spent(run.table("ledger")),
        phases=_totals(timing["phase"].tolist(), timing["seconds"].tolist()),
        turnover=turnovers(
            select(run, "items", ITEM_COLUMNS),
            list(dict.fromkeys(domain for domain, _, _ in stages)),
            points["step"][points["at"] != "inside"].tolist(),
        ),
        transcripts=_transcripts(run),
    )


def _lines(evaluations: pd.DataFrame, steps: Sequence[int]) -> dict[Subject, Line]:
    place = {step: number for number, step in enumerate(steps)}
    subjects = zip(*(evaluations[name].tolist() for name in Subject._fields), strict=True)
    numbers = zip(
        *(evaluations[n].tolist() for n in ("step", "accuracy", "kl_policy_base", "n_items")),
        strict=True,
    )
    lines: dict[Subject, Line] = {}
    for subject, (step, accuracy, kl, items) in zip(subjects, numbers, strict=True):
        key = Subject(*subject)
        if key not in lines:
            lines[key] = Line(*(np.full(len(steps), np.nan) for _ in range(2)), int(items))
        lines[key].accuracy_E[place[step]] = accuracy
        lines[key].kl_E[place[step]] = kl
    return lines


def _steps(steps: pd.DataFrame) -> dict[str, Sequence[float]]:
    return {name: steps[name].tolist() for name in ("step", *CURVES)}


def _lineage(prompts: pd.DataFrame) -> Lineage:
    columns = ("step", "round", "prompt_id", "parent_id", "text", "score", "fate")
    known: dict[int, tuple[int, str]] = {}
    rounds: dict[tuple[int, int], list[tuple[int, float, str]]] = {}
    rows = zip(*(prompts[name].tolist() for name in columns), strict=True)
    for step, number, prompt, parent, text, score, fate in rows:
        known[prompt] = (parent, text)
        rounds.setdefault((step, number), []).append((prompt, score, fate))
    return Lineage(known, tuple(Round(*key, tuple(found)) for key, found in rounds.items()))


def _spent(ledger: pd.DataFrame) -> dict[str, dict[str, float]]:
    """The last row of each channel."""
    last = ledger.sort_values("step", kind="stable").drop_duplicates("channel", keep="last")
    columns = ("rollouts", *TOKENS, "reflection_calls", "optimizer_steps")
    return {
        str(row["channel"]): {name: float(row[name]) for name in columns}
        for row in last[["channel", *columns]].to_dict("records")
    }


def _transcripts(run: RunTables) -> list[dict[str, Any]]:
    return run.table("transcripts").to_dict("records") if "transcripts" in TABLES else []


def _totals(names: Sequence[str], seconds: Sequence[float]) -> dict[str, float]:
    total: dict[str, float] = {}
    for name, spent in zip(names, seconds, strict=True):
        total[name] = total.get(name, 0.0) + spent
    return total
