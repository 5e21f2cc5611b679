"""The spending of runs on learning: rollouts and tokens, unequal at equal training samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING

from cl_bench.claims.calibration import LEARNERS
from cl_bench.claims.styles import called, label, place
from cl_bench.claims.subject import SUBJECTS
from cl_bench.metrics.quantities import NOTHING, RATIO, ROLLOUTS, TOKENS
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.blocks import Block, Heading, Link, Paragraph, Table

if TYPE_CHECKING:
    from cl_bench.claims.data import Data
    from cl_bench.sweep.cell import Cell

SINGLE, STREAM, PROBE = "single run", "stream", "plasticity probe"
ANCHOR = "spent"
_STREAMS = {subject.stream for subject in SUBJECTS.values()}
_QUANTITIES = ("rollouts", "prompt_tokens", "generated_tokens", "reflection_tokens")


@dataclass(frozen=True)
class Spent:
    """The spending of the runs of one kind and learner, mean over those that are done."""

    runs: int
    of_runs: int
    slow: float
    """Rollouts of RL, the training samples."""
    fast: float
    """Rollouts of the prompt optimiser."""
    tokens: float
    """Read and sampled for the rollouts of both."""
    reflection_tokens: float
    """Read and written by whoever rewrites prompts."""

    @property
    def rollouts(self) -> float:
        """All rollouts."""
        return self.slow + self.fast


Spending = Mapping[tuple[str, str], Spent]
"""By kind of run and learner."""


def spending(data: Data, cells: Sequence[Cell]) -> Spending:
    """The spending of these cells' runs; kinds of which no run is done are left out."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((kind(cell), cell.learner), []).append(cell)
    found = {key: _mean(data, group) for key, group in groups.items()}
    return {key: spent for key, spent in found.items() if spent is not None}


def kind(cell: Cell) -> str:
    """The kind of a cell's run; the probe from the base is one, though it starts from no run."""
    if cell.start is not None or cell.options.get("probes") is False:
        return PROBE
    return STREAM if cell.stream in _STREAMS else SINGLE


def spending_section(found: Spending) -> list[Block]:
    """The table; nothing where no run is done."""
    if not found:
        return []
    columns = ("run", "learner", "done", "training samples", "prompt optimiser's rollouts")
    more = ("all rollouts", "against RL", "tokens of rollouts", "tokens of reflection")
    ordered = sorted(found, key=lambda key: ((SINGLE, STREAM, PROBE).index(key[0]), place(key[1])))
    return [
        Heading(3, "What the runs spent on learning", ANCHOR),
        Paragraph(
            "Mean of the runs that are done; evaluation is not counted. Learners that train "
            "parameters have equal training samples (rollouts of RL). The prompt optimiser's "
            "rollouts come on top, and prompt-only has no others: at equal training samples costs "
            "differ."
        ),
        Table(
            "Spent on learning, by kind of run and learner",
            [*columns, *more],
            [_row(found, key) for key in ordered],
        ),
    ]


def costs_differ(found: Spending) -> Paragraph:
    """For the top of the page: equal training samples are not equal costs."""
    told = []
    for which in (SINGLE, STREAM):
        times = [
            f"{label(learner)} {RATIO.number(ratio)} times as many"
            for learner in LEARNERS
            if learner != "rl" and (ratio := _against_rl(found, (which, learner))) is not None
        ]
        told += [f"{', '.join(times)} in a {which}"] if times else []
    text = "Learners that train parameters have equal training samples, not equal costs"
    if told:
        text += f". Against all rollouts of RL: {'; '.join(told)}"
    return Paragraph([f"{text}. ", Link("What the runs spent.", ANCHOR)] if found else f"{text}.")


def _mean(data: Data, cells: Sequence[Cell]) -> Spent | None:
    totals = [total for cell in cells if (total := _total(data, cell)) is not None]
    if not totals:
        return None
    return Spent(len(totals), len(cells), *map(mean, zip(*totals, strict=True)))


def _total(data: Data, cell: Cell) -> tuple[float, float, float, float] | None:
    """Slow rollouts, fast rollouts, tokens and tokens of reflection at the end of a run."""
    ledger = data.table("ledger", cell)
    if isinstance(ledger, Undefined) or ledger.empty:
        return None
    last = ledger[ledger["step"] == ledger["step"].max()]
    by_channel = last.groupby("channel")["rollouts"].sum()
    _, read, sampled, reflection = (float(last[name].sum()) for name in _QUANTITIES)
    slow, fast = (float(by_channel.get(channel, 0)) for channel in ("slow", "fast"))
    return slow, fast, read + sampled, reflection


def _row(found: Spending, key: tuple[str, str]) -> list[str]:
    spent = found[key]
    ratio = _against_rl(found, key)
    amounts = (spent.slow, spent.fast, spent.rollouts)
    return [
        key[0],
        called(key[1]),
        f"{spent.runs} of {spent.of_runs}",
        *map(ROLLOUTS.text, amounts),
        NOTHING if ratio is None else RATIO.text(ratio),
        TOKENS.text(spent.tokens),
        TOKENS.text(spent.reflection_tokens),
    ]


def _against_rl(found: Spending, key: tuple[str, str]) -> float | None:
    """All rollouts over those of RL in the same kind of run."""
    rl, own = found.get((key[0], "rl")), found.get(key)
    return own.rollouts / rl.rollouts if rl and own and rl.rollouts else None
