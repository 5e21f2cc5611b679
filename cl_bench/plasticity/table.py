"""What probes of plasticity found: a row per run and stage, as text and as CSV."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from cl_bench.contract.text import printable
from cl_bench.metrics.quantities import NUMBER, RATIO, ROLLOUTS, SHARE, Quantity
from cl_bench.metrics.stats.student import Estimate
from cl_bench.metrics.undefined import Undefined
from cl_bench.plasticity.origins import Origin
from cl_bench.plasticity.probe import Probe
from cl_bench.report.terminal import plain_text
from cl_bench.store.files import write_text_atomically

DEAD_BELOW = 0.01
"""A unit of a feed-forward block is dead if |h| is at most this everywhere."""
_WIDTH = 100


@dataclass(frozen=True)
class Internals:
    """Diagnostics of one model (see `cl_bench.metrics.plasticity`)."""

    dead_units: float | Undefined
    """Share of the hidden units of its feed-forward blocks with |h| ≤ `DEAD_BELOW` everywhere."""
    effective_rank: float | Undefined
    """Of the last hidden state where a problem's prompt ends."""
    weight_distance: float | Undefined
    """‖θ − θ0‖ to the base's parameters."""


@dataclass(frozen=True)
class ProbedModel:
    """The results of one model; accuracies are means over the seeds, with their intervals."""

    origin: Origin
    stage: int
    """The stage, from 1, at whose end the run had this model."""
    seeds: tuple[int, ...]
    accuracy: Estimate | Undefined
    """The mean that fresh RL reaches from the model."""
    base_accuracy: Estimate | Undefined
    """The mean that it reaches from the base."""
    ratio: Estimate | Undefined
    internals: Internals
    base_internals: Internals
    trained_before: bool
    """Whether the run had already trained on the probe's domain."""

    @property
    def after(self) -> str:
        """The stage as tables name it."""
        return f"{self.stage} {self.origin.stages[self.stage - 1]}"

    @property
    def note(self) -> str:
        """The reason why a number is missing, or what to mind about it; may be empty."""
        means = (self.ratio, self.accuracy, self.base_accuracy)
        intervals = [mean.interval for mean in means if isinstance(mean, Estimate)]
        values = (*means, *vars(self.internals).values(), *intervals)
        reasons = [value.reason for value in values if isinstance(value, Undefined)]
        known = ["the run trained on this domain before"] if self.trained_before else []
        return "; ".join(dict.fromkeys([*reasons, *known]))


@dataclass(frozen=True)
class Plasticity:
    """The probes of one command."""

    probe: Probe
    settings_of: Path
    """The run whose settings the probes have, but for those that were given."""
    rows: Sequence[ProbedModel]
    failed: Mapping[str, str]
    """By its name, why a probe could not be made."""

    def text(self) -> str:
        """Both tables as plain text, at most 100 columns wide."""
        return plain_text(Group(*self._probed(), *self._diagnosed(), *self._notes()), _WIDTH)

    def csv(self) -> str:
        """The rows with numbers at full precision; an undefined one is empty, its reason noted."""
        file = StringIO()
        writer = csv.writer(file, lineterminator="\n")
        probe, options = self.probe, self.probe.options
        shared = {"probe": probe.domain, "steps": probe.steps, "samples": probe.samples}
        shared |= {name: options[name] for name in _SETTINGS}
        found = [shared | _columns(row) for row in self.rows]
        writer.writerows([*found[:1], *(map(_cell, row.values()) for row in found)])
        return file.getvalue()

    def write(self, out: Path) -> list[Path]:
        """Write `<domain>.txt` and `<domain>.csv` into the existing folder `out`."""
        name = re.sub(r"[^\w.+-]", "_", self.probe.domain)
        texts = {out / f"{name}.txt": self.text() + "\n", out / f"{name}.csv": self.csv()}
        for path, text in texts.items():
            write_text_atomically(path, text)
        return list(texts)

    def _probed(self) -> tuple[Text, Table]:
        table = _table("run", "after stage", "seeds", "accuracy", "from base", "ratio")
        for row in self.rows:
            numbers = (
                SHARE.estimate(row.accuracy),
                SHARE.estimate(row.base_accuracy),
                RATIO.estimate(row.ratio),
            )
            table.add_row(*_names(row), ",".join(map(str, row.seeds)), *numbers)
        probe, options = self.probe, self.probe.options
        a_step = f"{options['problems_per_step']} problems × {options['group_size']} a step"
        rate = f"learning rate {options['learning_rate']:g}"
        lines = [
            f"Plasticity: RL on {probe.domain} for {probe.steps} steps from each model",
            f"Every probe: {ROLLOUTS.text(probe.samples)} samples, {a_step}, {rate}",
            f"Other settings of RL: those of {self.settings_of}",
        ]
        if any(len(row.seeds) > 1 for row in self.rows):
            lines.append("Means over the seeds [95 % interval over them]")
        return Text("\n".join(map(printable, lines))), table

    def _diagnosed(self) -> tuple[Text, Table]:
        table = _table("run", "after stage", "dead units", "effective rank", "‖θ − θ0‖")
        for row in self.rows:
            now, base = row.internals, row.base_internals
            table.add_row(
                *_names(row),
                _with_base(SHARE, now.dead_units, base.dead_units),
                _with_base(NUMBER, now.effective_rank, base.effective_rank),
                NUMBER.text(now.weight_distance),
            )
        title = f"Internals (the base's): diagnostics, no verdict; dead is |h| ≤ {DEAD_BELOW:g}"
        return Text(f"\n{title}"), table

    def _notes(self) -> list[Text]:
        lines = [f"{', '.join(_names(row))}: {row.note}" for row in self.rows if row.note]
        return [Text(""), *map(Text, map(printable, lines))] if lines else []


def _names(row: ProbedModel) -> tuple[str, str]:
    return printable(str(row.origin.path)), printable(row.after)


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="", show_edge=False)
    for place, heading in enumerate(headings):
        numbers = place > 1 and heading != "seeds"
        table.add_column(
            heading, justify="right" if numbers else "left", no_wrap=numbers, overflow="fold"
        )
    return table


def _with_base(of: Quantity, value: float | Undefined, base: float | Undefined) -> str:
    return f"{of.text(value)} ({of.text(base)})"


def _of(name: str, value: Estimate | Undefined) -> dict[str, object]:
    """The columns of a value and of the ends of its interval."""
    mean = value if isinstance(value, Undefined) else value.value
    ends = value if isinstance(value, Undefined) else value.interval
    low, high = (ends, ends) if isinstance(ends, Undefined) else (ends.low, ends.high)
    return {name: mean, f"{name}_low": low, f"{name}_high": high}


def _cell(value: object) -> str:
    return "" if isinstance(value, Undefined) else printable(str(value))


_SETTINGS = ("learning_rate", "problems_per_step", "group_size")


def _columns(row: ProbedModel) -> dict[str, object]:
    """A row as the CSV has it, by column."""
    now, base = row.internals, row.base_internals
    return {
        "seeds": " ".join(map(str, row.seeds)),
        "run": row.origin.path,
        "stream": row.origin.stream,
        "learner": row.origin.learner,
        "run_seed": row.origin.config.seed,
        "stage": row.stage,
        "domain": row.origin.stages[row.stage - 1],
        **_of("accuracy", row.accuracy),
        **_of("base_accuracy", row.base_accuracy),
        **_of("plasticity_ratio", row.ratio),
        "diagnostic_dead_units": now.dead_units,
        "diagnostic_base_dead_units": base.dead_units,
        "diagnostic_effective_rank": now.effective_rank,
        "diagnostic_base_effective_rank": base.effective_rank,
        "diagnostic_weight_distance": now.weight_distance,
        "note": row.note,
    }
