"""What probes of plasticity found: a row per run and stage, as text and as CSV."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from cl_bench.contract.text import printable
from cl_bench.metrics.quantities import NUMBER, RATIO, ROLLOUTS, SHARE, Quantity
from cl_bench.metrics.stats.bootstrap import Estimate
from cl_bench.metrics.undefined import Undefined
from cl_bench.plasticity.origins import Origin
from cl_bench.plasticity.probe import Probe
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
class Row:
    """What was found of one model; accuracies are means over the seeds, with their intervals."""

    origin: Origin
    stage: int
    """The stage, from 1, at whose end the run had this model."""
    seeds: tuple[int, ...]
    accuracy: Estimate | Undefined
    """What fresh RL reaches from the model."""
    base_accuracy: Estimate | Undefined
    """What it reaches from the base."""
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
        """Why a number is missing, or what to mind about it; empty if there is nothing."""
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
    rows: Sequence[Row]
    failed: Mapping[str, str]
    """By its name, why a probe could not be made."""

    def text(self) -> str:
        """Both tables as plain text, at most 100 columns wide."""
        console = Console(file=StringIO(), width=_WIDTH, color_system=None, force_terminal=False)
        with console.capture() as capture:
            console.print(Group(*self._probed(), *self._diagnosed(), *self._notes()))
        return "\n".join(line.rstrip() for line in capture.get().strip().splitlines())

    def csv(self) -> str:
        """The rows with numbers at full precision; an undefined one is empty, its reason noted."""
        file = StringIO()
        writer = csv.writer(file, lineterminator="\n")
        options = self.probe.options
        shared: dict[str, object] = {"probe": self.probe.domain, "steps": self.probe.steps}
        shared |= {"samples": self.probe.samples} | {name: options[name] for name in _SETTINGS}
        writer.writerow([*shared, *_COLUMNS])
        for row in self.rows:
            values = (*shared.values(), *(read(row) for read in _COLUMNS.values()))
            writer.writerow(map(_cell, values))
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
            f"Other settings: those of {self.settings_of}",
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


def _names(row: Row) -> tuple[str, str]:
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


def _ends(name: str, read: Callable[[Row], Estimate | Undefined]) -> dict[str, _Read]:
    """The columns of a value and of the ends of its interval."""

    def end(which: str) -> _Read:
        def read_end(row: Row) -> object:
            value = read(row)
            ends = value if isinstance(value, Undefined) else value.interval
            return ends if isinstance(ends, Undefined) else getattr(ends, which)

        return read_end

    def mean(row: Row) -> object:
        value = read(row)
        return value if isinstance(value, Undefined) else value.value

    return {name: mean, f"{name}_low": end("low"), f"{name}_high": end("high")}


def _cell(value: object) -> str:
    return "" if isinstance(value, Undefined) else printable(str(value))


_SETTINGS = ("learning_rate", "problems_per_step", "group_size")
_Read = Callable[[Row], object]
_COLUMNS: Mapping[str, _Read] = {
    "seeds": lambda row: " ".join(map(str, row.seeds)),
    "run": lambda row: row.origin.path,
    "stream": lambda row: row.origin.stream,
    "learner": lambda row: row.origin.learner,
    "run_seed": lambda row: row.origin.config.seed,
    "stage": lambda row: row.stage,
    "domain": lambda row: row.origin.stages[row.stage - 1],
    **_ends("accuracy", lambda row: row.accuracy),
    **_ends("base_accuracy", lambda row: row.base_accuracy),
    **_ends("plasticity_ratio", lambda row: row.ratio),
    "diagnostic_dead_units": lambda row: row.internals.dead_units,
    "diagnostic_base_dead_units": lambda row: row.base_internals.dead_units,
    "diagnostic_effective_rank": lambda row: row.internals.effective_rank,
    "diagnostic_base_effective_rank": lambda row: row.base_internals.effective_rank,
    "diagnostic_weight_distance": lambda row: row.internals.weight_distance,
    "note": lambda row: row.note,
}
