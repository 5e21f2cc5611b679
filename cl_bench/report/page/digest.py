"""The part of one run that a page shows, read from its tables once.

Numbers stay as the tables have them; whoever writes them rounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute

from cl_bench.analysis.responses import constant_answers
from cl_bench.analysis.run_values import EvaluationRow, Measured
from cl_bench.metrics.arrays import Array
from cl_bench.metrics.attribution import ChannelAttribution, channel_attribution
from cl_bench.metrics.samples import ConstantAnswer
from cl_bench.metrics.undefined import Undefined
from cl_bench.store.run_tables import RunTables, rows_of

SOLVED = 0.5
"""A problem counts as solved if the mean score of its responses is at least this."""
ITEM_COLUMNS = ("step", "domain", "test_set", "prompt", "weights", "uid", "score", "answer")
"""Of the table `items`."""


@dataclass(frozen=True, eq=False)
class Turnover:
    """The test problems of one domain at the start and at every stage's end."""

    step_E: tuple[int, ...]
    share_E_P: Array
    """Mean score of the responses to each problem."""

    @property
    def counts(self) -> list[tuple[int, int, int, int]]:
        """From each point to the next: problems kept, gained, lost, and solved at neither."""
        solved = self.share_E_P >= SOLVED
        return [
            (
                int((before & after).sum()),
                int((~before & after).sum()),
                int((before & ~after).sum()),
                int((~before & ~after).sum()),
            )
            for before, after in pairwise(solved)
        ]


def turnovers(run: RunTables, domains: Sequence[str], steps: Sequence[int]) -> dict[str, Turnover]:
    """By domain, its problems at these steps, under the learner's prompt.

    Left out is a domain whose problems are not the same at all points.
    """
    rows = _asked(run, steps)
    found = {}
    for domain in domains:
        turnover = _of_domain(rows.filter(compute.equal(rows["domain"], domain)))
        if turnover is not None:
            found[domain] = turnover
    return found


def _asked(run: RunTables, steps: Sequence[int]) -> pa.Table:
    """Responses of the policy under the learner's prompt to the stream's problems."""
    items = run.select("items", ITEM_COLUMNS)
    wanted = {"prompt": "learner", "test_set": "stream", "weights": "trained"}
    chosen = compute.is_in(items["step"], value_set=pa.array(steps, pa.int64()))
    for column, value in wanted.items():
        chosen = compute.and_(chosen, compute.equal(items[column], value))
    return items.filter(chosen)


def _of_domain(rows: pa.Table) -> Turnover | None:
    coded = rows["uid"].combine_chunks().dictionary_encode()
    uid, problems = coded.indices.to_numpy(), len(coded.dictionary)
    steps, step = np.unique(rows["step"].to_numpy(), return_inverse=True)
    shape = (len(steps), problems)
    if not problems:
        return None
    cell = step * shape[1] + uid
    count = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
    total = np.bincount(cell, rows["score"].to_numpy(), shape[0] * shape[1]).reshape(shape)
    return Turnover(tuple(steps.tolist()), total / count) if count.all() else None


CHANNELS = ("slow", "fast")
TOKENS = ("prompt_tokens", "generated_tokens", "reflection_tokens")
CURVES = ("reward", "signal", "entropy", "grad_norm", "completion_tokens", "loss")
"""Columns of the table `steps` that are drawn."""
TRANSCRIBED = (
    *("stage", "domain", "prompt", "uid", "system_prompt", "problem"),
    *("response", "score", "answer", "feedback", "reference"),
)
"""Columns of the table `transcripts` that are shown."""


class LineSubject(NamedTuple):
    """Whose accuracy a line shows, on which problems."""

    domain: str
    test_set: str
    setting: str
    prompt: str
    weights: str


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
    lines: Mapping[LineSubject, Line]
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
    constants: Mapping[str, ConstantAnswer]
    """By domain of the stream, an answer that earns most of the score at the last evaluation."""

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains of the stream, each once."""
        return tuple(dict.fromkeys(domain for domain, _, _ in self.stages))

    def line(
        self,
        domain: str,
        prompt: str = "learner",
        weights: str = "trained",
        test_set: str = "stream",
    ) -> Line | None:
        """Evaluations on the stream's own problems, or on its validation problems."""
        setting = next((s for name, s, _ in self.stages if name == domain), "")
        return self.lines.get(LineSubject(domain, test_set, setting, prompt, weights))

    def attribution(self, domain: str) -> ChannelAttribution | Undefined:
        """The gains of each channel up to the end of the last stage that has ended."""
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


def curves_alone(one: Digest) -> Digest:
    """The digest without what single runs are shown for, which is most of it."""
    without = Lineage({}, ())
    return replace(one, steps={}, transcripts=(), lineage=without)


_STEPS = ("step", *CURVES)
_PROMPTS = ("step", "round", "prompt_id", "parent_id", "text", "score", "fate")
_SPENT = ("rollouts", *TOKENS, "reflection_calls", "optimizer_steps")
_TIMING = ("phase", "seconds")
READ: Mapping[str, Sequence[str]] = {
    "evaluations": EvaluationRow._fields,
    "items": ITEM_COLUMNS,
    "steps": _STEPS,
    "prompts": _PROMPTS,
    "ledger": ("step", "channel", *_SPENT),
    "timing": _TIMING,
    "transcripts": TRANSCRIBED,
}
"""By table, the columns that a digest reads."""


def digest(run: RunTables, name: str) -> Digest:
    """The digest of a run, finished or not."""
    manifest = run.manifest
    stages = tuple(
        (str(stage["domain"]), str(stage.get("setting", "")), int(stage["steps"]))
        for stage in manifest["stream"]["stages"]
    )
    evaluated = [EvaluationRow(*row) for row in rows_of(run, "evaluations", EvaluationRow._fields)]
    points = sorted({row.step: row for row in evaluated}.values(), key=lambda row: row.step)
    ends = tuple(row.at != "inside" for row in points)
    steps = [row.step for row in points]
    return Digest(
        name=name,
        manifest=manifest,
        stages=stages,
        step_E=np.array(steps, dtype=np.int64),
        stage_E=np.array([row.stage for row in points], dtype=np.int64),
        end_E=ends,
        samples_E=np.array([row.samples_slow for row in points], dtype=np.float64),
        rollouts_E=np.array([row.rollouts for row in points], dtype=np.float64),
        lines=_lines(evaluated, steps),
        steps=_steps(run),
        lineage=_lineage(run),
        spent=_spent(run),
        phases=_phases(run),
        turnover=turnovers(
            run,
            list(dict.fromkeys(domain for domain, _, _ in stages)),
            [step for step, end in zip(steps, ends, strict=True) if end],
        ),
        transcripts=_transcripts(run),
        constants=constant_answers(Measured(run).responses(steps[-1])) if steps else {},
    )


def _lines(evaluated: Sequence[EvaluationRow], steps: Sequence[int]) -> dict[LineSubject, Line]:
    place = {step: number for number, step in enumerate(steps)}
    lines: dict[LineSubject, Line] = {}
    for row in evaluated:
        subject = LineSubject(row.domain, row.test_set, row.setting, row.prompt, row.weights)
        if subject not in lines:
            accuracy_E, kl_E = np.full((2, len(steps)), np.nan)
            lines[subject] = Line(accuracy_E, kl_E, row.n_items)
        lines[subject].accuracy_E[place[row.step]] = row.accuracy
        lines[subject].kl_E[place[row.step]] = row.kl_policy_base
    return lines


def _steps(run: RunTables) -> dict[str, Sequence[float]]:
    rows = rows_of(run, "steps", _STEPS)
    return {name: [row[place] for row in rows] for place, name in enumerate(_STEPS)}


def _lineage(run: RunTables) -> Lineage:
    known: dict[int, tuple[int, str]] = {}
    rounds: dict[tuple[int, int], list[tuple[int, float, str]]] = {}
    for step, number, prompt, parent, text, score, fate in rows_of(run, "prompts", _PROMPTS):
        known[prompt] = (parent, text)
        rounds.setdefault((step, number), []).append((prompt, score, fate))
    return Lineage(known, tuple(Round(*key, tuple(found)) for key, found in rounds.items()))


def _spent(run: RunTables) -> dict[str, dict[str, float]]:
    """The last row of each channel."""
    rows = sorted(rows_of(run, "ledger", READ["ledger"]), key=lambda row: row[0])
    return {
        channel: dict(zip(_SPENT, map(float, amounts), strict=True))
        for _, channel, *amounts in rows
    }


def _phases(run: RunTables) -> dict[str, float]:
    total: dict[str, float] = {}
    for phase, seconds in rows_of(run, "timing", _TIMING):
        total[phase] = total.get(phase, 0.0) + seconds
    return total


def _transcripts(run: RunTables) -> list[dict[str, Any]]:
    rows = rows_of(run, "transcripts", TRANSCRIBED)
    return [dict(zip(TRANSCRIBED, row, strict=True)) for row in rows]
