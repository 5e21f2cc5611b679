"""A run's headline numbers, computed from its tables alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cl_bench.analysis.plugin_metrics import plugin_metrics, plugin_quantity
from cl_bench.analysis.responses import Responses, constant_answers, said_of
from cl_bench.analysis.run_values import Measured
from cl_bench.contract.answers import MOST_CUT_OFF
from cl_bench.contract.text import abbreviated, printable
from cl_bench.execution.collapse import cut_off_advice
from cl_bench.metrics import METRICS as MATRIX_METRICS
from cl_bench.metrics.attribution import ChannelAttribution
from cl_bench.metrics.quantities import (
    COUNT,
    NATS,
    NOTHING,
    POINTS,
    SECONDS,
    SHARE,
    TOKENS,
    Quantity,
    percent,
)
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.notebook import html
from cl_bench.report.terminal import heading, plain_text, section, table
from cl_bench.store.run_tables import RunTables
from cl_bench.store.views import (
    Rewrites,
    attributions,
    matrix_of,
    probe_accuracy,
    rewrites,
    stream_rows,
)

PROMPTS = ("learner", "seed")
METRICS = ("average_accuracy", "bwt_gem", "forgetting_max")
"""The built-in metrics of an accuracy matrix that a summary shows; those of plug-ins follow."""

_UNDER = ("learner's prompt", "seed prompt")
_CHANNELS = ("", "parameters (slow weights)", "prompts (fast weights)", "both")
_FORMS = {
    "format_rate": ("answer in a form", SHARE),
    "truncation_rate": ("cut off at the limit", SHARE),
    "completion_tokens": ("tokens of a response", TOKENS),
}
_THOUGHTS = {
    "thought_tokens": ("thought", TOKENS),
    "thought_truncation_rate": ("cut in thought", SHARE),
}
"""Columns of `evaluations`, with their headings; those of thoughts where there are any."""
_REWRITES = {
    "rounds": "rounds",
    "proposed": "proposed",
    "skipped": "skipped: no mistake",
    "asked": "asked",
    "failed": "failed",
    "repeated": "repeated",
    "rejected": "no better",
    "accepted": "accepted",
}
_SPENT = {
    "rollouts": "rollouts",
    "prompt_tokens": "tokens read",
    "generated_tokens": "tokens sampled",
    "solution_tokens": "tokens of solutions",
    "reflection_calls": "reflection calls",
    "reflection_tokens": "reflection tokens",
    "optimizer_steps": "optimizer steps",
    "seconds": "wall time",
}


@dataclass(frozen=True, eq=False, repr=False)
class Summary:
    """The headline numbers of one run. Mappings by prompt have the keys of `PROMPTS`."""

    learner: str
    stream: str
    model: str
    seed: int
    status: str
    """running, done, diverged or failed."""
    steps: int
    """Training steps of the whole stream."""
    evaluated_step: int | None
    """Step of the last evaluation; None before the first."""
    stages: tuple[str, ...]
    """The domain of every stage; a domain may come twice."""
    accuracy: Mapping[str, NDArray[np.float64]]
    """By prompt: acc_I_J, shape (T+1, T), row 0 the base; NaN where nothing was evaluated yet."""
    metrics: Mapping[str, Mapping[str, float | Undefined]]
    """By prompt, then by the names of `METRICS` and of the plug-ins' metrics."""
    retention: pd.DataFrame
    """Accuracy on domains outside the stream, whose conventions the prompt states: a column per
    domain, a row per stage that has ended, from 0, the base model."""
    harder: pd.DataFrame
    """The same on the stream's domains in their hardest setting, under the seed prompt; without
    those that the stream has in it."""
    attribution: Mapping[str, ChannelAttribution | Undefined]
    """By domain, the gains of each channel at the last stage's end; empty without probes."""
    kl: Mapping[str, float | Undefined]
    """By prompt: KL(policy ‖ base) at the last evaluation, nats per token, mean over domains."""
    deployed: float | Undefined
    """KL(policy under the learner's prompt ‖ base under the seed prompt), likewise."""
    form: pd.DataFrame
    """How responses ended under the learner's prompt: a row per domain of the stream, the columns
    of `_FORMS` and `_THOUGHTS` at the start and at the last evaluation."""
    responses: Mapping[str, Responses]
    """By domain of the stream, the single responses under the learner's prompt at the last
    evaluation."""
    greedy: Mapping[str, float]
    """By domain, accuracy at temperature 0, there; empty where it was not asked for."""
    cut_off_advice: str
    """Advice if responses are cut off."""
    spent: Mapping[str, Mapping[str, float]]
    """By channel (slow, fast), then by the fields of `Spend`."""
    rewrites: Rewrites | None
    """The outcomes of proposed rewrites; None of a run without rounds."""
    seconds: Mapping[str, float]
    """Wall time by phase, longest first."""

    def text(self) -> str:
        """The summary as plain text, at most 100 columns wide."""
        return plain_text(self)

    __repr__ = text

    def _repr_html_(self) -> str:
        first = ("Accuracy on test problems", "Over the stream")
        return html(self._body(), opened=first) + html(self._end(), opened=())

    def __rich__(self) -> Group:
        return Group(self._body(), self._end())

    def _body(self) -> Group:
        return Group(
            Text(printable(self._title())),
            heading("Accuracy on test problems, learner's prompt (seed prompt)"),
            matrix_table(self._stage_names(), self.accuracy, SHARE),
            *self._probe(self.retention, "outside the stream, conventions stated (retention)"),
            *self._probe(self.harder, "in the hardest setting, seed prompt (harder)"),
            *self._gains(),
            *self._forms(),
            *self._samples(),
            *map(Text, self._constants()),
            *section("Over the stream", ("", *_UNDER, ""), self._metric_rows()),
            *section("Spent on learning", _CHANNELS, self._spent_rows()),
            *section("Rewrites of prompts", tuple(_REWRITES.values()), self._rewritten()),
        )

    def _end(self) -> Group:
        return Group(*map(Text, [*self._cut_off(), *self._failures(), self._time_line()]))

    def _title(self) -> str:
        title = f"{self.learner} on {self.stream}, seed {self.seed}, model {self.model}"
        if self.evaluated_step is None:
            return f"{title}: {self.status} (no evaluation yet)"
        reached = f" (evaluated up to step {self.evaluated_step} of {self.steps})"
        return f"{title}: {self.status}{'' if self.evaluated_step == self.steps else reached}"

    def _stage_names(self) -> list[str]:
        short = abbreviated(self.stages)
        return [f"{number} {printable(short[name])}" for number, name in enumerate(self.stages, 1)]

    def _probe(self, accuracy: pd.DataFrame, what: str) -> list[RenderableType]:
        names = ["base model", *self._stage_names()]
        domains = map(printable, abbreviated(accuracy.columns).values())
        rows = [(names[int(stage)], *map(SHARE.text, row)) for stage, row in accuracy.iterrows()]
        return section(f"Accuracy {what}", ("after stage", *domains), rows)

    def _gains(self) -> list[RenderableType]:
        channels = ("slow", "fast", "joint", "interaction")
        short = abbreviated(self.attribution)
        rows = []
        for domain, gains in self.attribution.items():
            values = [
                gains if isinstance(gains, Undefined) else getattr(gains, name) for name in channels
            ]
            rows.append((printable(short[domain]), *map(POINTS.text, values)))
        title = "Gains over the base: trained weights (slow), learner's prompt (fast), both (joint)"
        return section(title, ("domain", *channels), rows)

    def _metric_rows(self) -> Iterator[Sequence[str]]:
        for name in self.metrics[PROMPTS[0]]:
            values = [self.metrics[prompt][name] for prompt in PROMPTS]
            of = MATRIX_METRICS[name].quantity if name in METRICS else plugin_quantity(name)
            yield name, *map(of.text, values), _reason(values)
        divergences = [self.kl[prompt] for prompt in PROMPTS]
        note = _reason(divergences) or "per token, at the end"
        yield "KL(policy ‖ base)", *map(NATS.text, divergences), note
        if not isinstance(self.deployed, Undefined):
            divergences = [self.deployed, self.kl["seed"]]
            note = "both, against the base under the seed prompt"
            yield "KL(deployed ‖ start)", *map(NATS.text, divergences), note

    def _forms(self) -> list[RenderableType]:
        """Return how responses ended, and how long they were."""
        short = abbreviated(self.form["domain"])
        thinks = bool((self.form["thought_tokens"] > 0).any())
        shown = _FORMS | (_THOUGHTS if thinks else {})
        rows = [
            (
                printable(short[str(domain)]),
                *(_from_to(of[name], unit) for name, (_, unit) in shown.items()),
            )
            for domain, of in self.form.groupby("domain", sort=False)
        ]
        title = "Responses under the learner's prompt, at the start → at the end"
        return section(title, ("domain", *(heading for heading, _ in shown.values())), rows)

    def _samples(self) -> list[RenderableType]:
        """mean@k and pass@k where problems have several responses, and greedy accuracy."""
        most = max((of.samples for of in self.responses.values()), default=1)
        if most < 2 and not self.greedy:
            return []
        counts = [*(k for k in (2, 4, 8, 16, 32, 64) if k < most), *([most] if most > 1 else [])]
        names = [f"mean@{most}", *(f"pass@{k}" for k in counts)]
        names += ["greedy"] if self.greedy else []
        short = abbreviated(self.responses)
        rows = [
            (
                printable(short[domain]),
                *map(SHARE.text, (of.mean, *map(of.pass_at, counts))),
                *([SHARE.text(self.greedy.get(domain, nan))] if self.greedy else []),
            )
            for domain, of in self.responses.items()
        ]
        title = "Responses to a problem, learner's prompt, at the end (right: a score of 1)"
        return section(title, ("domain", *names), rows)

    def _constants(self) -> list[str]:
        """A line for each domain where one answer earns most of the score."""
        short = abbreviated(self.responses)
        found = constant_answers(self.responses)
        return [f"{said_of(printable(short[domain]), of)}." for domain, of in found.items()]

    def _cut_off(self) -> list[str]:
        """A line if most responses to a domain were cut off at the last evaluation."""
        last = self.form.drop_duplicates("domain", keep="last")
        most = last["domain"][last["truncation_rate"] > MOST_CUT_OFF]
        if most.empty:
            return []
        short = abbreviated(self.form["domain"])
        domains = ", ".join(printable(short[domain]) for domain in most)
        return [f"Most responses on {domains} do not end by themselves. {self.cut_off_advice}"]

    def _spent_rows(self) -> Iterator[Sequence[str]]:
        for name, label in _SPENT.items():
            slow, fast = (self.spent[channel][name] for channel in ("slow", "fast"))
            if name == "solution_tokens" and not slow > 0:
                continue  # of one learner alone, or not counted
            of = SECONDS if name == "seconds" else COUNT
            yield label, *map(of.text, (slow, fast, slow + fast))

    def _rewritten(self) -> Iterator[Sequence[str]]:
        if self.rewrites:
            yield [COUNT.text(getattr(self.rewrites, name)) for name in _REWRITES]

    def _failures(self) -> list[str]:
        """A line if a reflection failed: numbers of a run that lacked rewrites compare badly."""
        failed, asked = (self.spent["fast"][f"reflection_{n}"] for n in ("failures", "calls"))
        said = f"{COUNT.text(failed)} rewrites failed ({COUNT.text(asked)} asked)."
        return [said] if failed > 0 else []  # NaN: an old run, which did not count them

    def _time_line(self) -> str:
        total = sum(self.seconds.values())
        if not total:
            return "Time: none recorded."
        shares = [
            f"{name} {percent(round(spent / total, 2))}" for name, spent in self.seconds.items()
        ]
        return f"Time: {SECONDS.text(total)}, of it {', '.join(shares)}."


def summarise(directory: RunTables) -> Summary:
    """The summary of a run, finished or not: what is missing is `Undefined` with its reason."""
    manifest = directory.manifest
    evaluations = directory.table("evaluations")
    described = manifest["stream"]["stages"]
    stages = tuple(stage["domain"] for stage in described)
    last = -1 if evaluations.empty else int(evaluations["step"].max())
    accuracy = {prompt: accuracy_matrix(evaluations, stages, prompt) for prompt in PROMPTS}
    return Summary(
        learner=manifest["learner"],
        stream=manifest["stream"]["name"],
        model=manifest["model"],
        seed=manifest["seed"],
        status=manifest["status"],
        steps=sum(stage["steps"] for stage in described),
        evaluated_step=None if evaluations.empty else last,
        stages=stages,
        accuracy=accuracy,
        metrics={prompt: _metrics(accuracy[prompt]) for prompt in PROMPTS},
        retention=probe_accuracy(evaluations, "retention"),
        harder=probe_accuracy(evaluations, "harder"),
        attribution=attributions(evaluations),
        kl={prompt: _last_kl(evaluations, prompt) for prompt in PROMPTS},
        deployed=_deployed(evaluations),
        form=_form(evaluations),
        responses={} if evaluations.empty else Measured(directory).responses(last),
        greedy=_greedy(evaluations, last),
        cut_off_advice=cut_off_advice(
            manifest.get("stop_tokens", ()), manifest["config"]["learning"]["max_new_tokens"]
        ),
        spent=_spent(directory.table("ledger")),
        rewrites=rewrites(
            directory.table("prompts"),
            directory.table("ledger"),
            manifest["config"]["learning"].get("proposals", 0),
        ),
        seconds=_seconds(directory.table("timing")),
    )


def accuracy_matrix(
    evaluations: pd.DataFrame, stages: Sequence[str], prompt: str
) -> NDArray[np.float64]:
    """acc_I_J, shape (T+1, T): accuracy on stage j's domain at the end of stage i, row 0 at step 0.

    Columns are stages: a domain that comes twice has two equal ones. NaN where no evaluation is.
    Two evaluations of one cell are a `RunDirectoryError`.
    """
    rows = stream_rows(evaluations)
    rows = rows[(rows["prompt"] == prompt) & (rows["at"] != "inside")]
    columns = (rows[name].tolist() for name in ("stage", "step", "domain", "accuracy"))
    return matrix_of(list(zip(*columns, strict=True)), stages, prompt)


def _metrics(acc_I_J: NDArray[np.float64]) -> dict[str, float | Undefined]:
    built_in = {name: MATRIX_METRICS[name].function(acc_I_J) for name in METRICS}
    return built_in | plugin_metrics(acc_I_J)


def _last_kl(evaluations: pd.DataFrame, prompt: str) -> float | Undefined:
    rows = stream_rows(evaluations)
    rows = rows[rows["prompt"] == prompt]
    last = rows[rows["step"] == rows["step"].max()]
    if last.empty:
        return Undefined("no evaluation yet")
    unknown = ~np.isfinite(last["kl_policy_base"])
    if unknown.any():
        domains = ", ".join(last["domain"][unknown])
        return Undefined(f"KL is not a number on {domains}")
    return float(last["kl_policy_base"].mean())


def _deployed(evaluations: pd.DataFrame) -> float | Undefined:
    rows = stream_rows(evaluations)
    rows = rows[rows["prompt"] == "learner"]
    last = rows[rows["step"] == rows["step"].max()]["kl_deployed_start"]
    if last.empty or not np.isfinite(last.astype(float)).all():
        return Undefined("not measured")
    return float(last.mean())


def _form(evaluations: pd.DataFrame) -> pd.DataFrame:
    rows = stream_rows(evaluations)
    rows = rows[rows["prompt"] == "learner"]
    ends = rows[rows["step"].isin([0, rows["step"].max()])]
    return ends[["domain", *_FORMS, *_THOUGHTS]]


def _greedy(evaluations: pd.DataFrame, step: int) -> dict[str, float]:
    rows = evaluations[(evaluations["test_set"] == "greedy") & (evaluations["step"] == step)]
    rows = rows[rows["prompt"] == "learner"]
    return dict(zip(rows["domain"], rows["accuracy"], strict=True))


def _from_to(values: pd.Series, unit: Quantity) -> str:
    """The first and the last of some numbers; a dash where none was measured."""
    if values.isna().any():
        return NOTHING
    return f"{unit.text(values.iloc[0])} → {unit.text(values.iloc[-1])}"


def matrix_table(
    stages: Sequence[str], matrices: Mapping[str, NDArray[np.float64]], of: Quantity
) -> Table:
    """A matrix of shape (T+1, T), a row for the base model and after each of the `stages`: the
    value under the learner's prompt, and under the seed's in brackets."""
    shown = table("after stage", *stages)
    learner, seed = (matrices[prompt] for prompt in PROMPTS)
    for row, name in enumerate(["base model", *stages]):
        pairs = zip(learner[row], seed[row], strict=True)
        shown.add_row(
            name,
            *(NOTHING if np.isnan(own) else f"{of.text(own)} ({of.text(at)})" for own, at in pairs),
        )
    return shown


def _spent(ledger: pd.DataFrame) -> dict[str, dict[str, float]]:
    """The last row of each channel; zeros before the first."""
    last = ledger.sort_values("step", kind="stable").groupby("channel").last()
    return {
        channel: {
            name: float(last[name].get(channel, 0)) for name in (*_SPENT, "reflection_failures")
        }
        for channel in ("slow", "fast")
    }


def _seconds(timing: pd.DataFrame) -> dict[str, float]:
    total: dict[str, Any] = timing.groupby("phase")["seconds"].sum().to_dict()
    return dict(sorted(total.items(), key=lambda item: -item[1]))


def _reason(values: Sequence[float | Undefined]) -> str:
    return next((printable(str(value)) for value in values if isinstance(value, Undefined)), "")
