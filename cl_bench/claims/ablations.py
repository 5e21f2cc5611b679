"""Ablations: what fast-slow training is made of, taken away or changed one thing at a time.

Every variation runs the stream of claim 6 beside the reference, fast-slow training as calibrated,
with equal seeds; the learners that answer a question people asked of the paper are variations too.
Only descriptive: nothing here has a verdict, and with few seeds the intervals are rough.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any

from cl_bench.claims import wording
from cl_bench.claims.measure import Scale, difference, generator
from cl_bench.claims.plan import STREAM, Plan
from cl_bench.contract.plugins import STREAM_SEPARATOR
from cl_bench.fast.settings import PeriodicRoundsConfig
from cl_bench.metrics import anytime_average_accuracy, average_accuracy, forgetting_max, over_seeds
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.blocks import Block, Inline, Paragraph, Table
from cl_bench.sweep.cell import Cell

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from cl_bench.claims.data import Data
    from cl_bench.metrics.stats.bootstrap import Estimate

SEEDS = 3
"""Seeds of the ablations, the first of the plan's: they explain, and cost as much as the claims."""
ROUNDS_IN_A_ROW = ("prompt-then-rl", "rl-then-prompt")
"""Learners whose rounds are set apart: they get as many as the reference makes in the stream."""
STAGES = tuple(STREAM.split(STREAM_SEPARATOR))


@dataclass(frozen=True)
class Variation:
    """One change, and the question that it answers."""

    name: str
    question: str
    learner: str = "fst"
    options: Mapping[str, Any] = field(default_factory=dict)


_LAST = "(its rounds see the last task's exercises only)"
_KEEPS = "(boundaries are hidden: it keeps the first task's prompt, so only in part)"
REFERENCE = Variation("fst", "the reference: T = 6, K = 4, feedback by step, the base reflects")
VARIATIONS = (
    REFERENCE,
    Variation("K = 1", "does a population matter?", options={"population": 1}),
    Variation("one prompt a group", "do mixed groups matter?", options={"mixed_groups": False}),
    Variation("no refill", "do weak prompts in the population hurt?", options={"refill": False}),
    Variation("T = 2", "do more frequent rounds help?", options={"round_every": 2}),
    Variation("T = 20", "do rarer rounds hurt?", options={"round_every": 20}),
    Variation("feedback: answer", "must feedback name the step?", options={"feedback": "answer"}),
    Variation("feedback: none", "is feedback needed at all?", options={"feedback": "none"}),
    Variation("oracle reflector", "is reflection the limit?", options={"reflection_lm": "oracle"}),
    Variation("fst, rate 9e-4", "is the lower rate the secret?", options={"learning_rate": 9e-4}),
    Variation("rl", "parameters alone", "rl"),
    Variation("rl, rate 6e-4", "is the higher rate its fall?", "rl", {"learning_rate": 6e-4}),
    Variation("rl, rate 3e-4", "the rate of fst", "rl", {"learning_rate": 3e-4}),
    Variation("prompt", "prompts alone", "prompt"),
    Variation("prompt-then-rl", f"is interleaving needed? {_KEEPS}", "prompt-then-rl"),
    Variation(
        "prompt-then-rl, rate 3e-4",
        "or is it the rate?",
        "prompt-then-rl",
        {"learning_rate": 3e-4},
    ),
    Variation("rl-then-prompt", f"how much is GEPA on an RL checkpoint? {_LAST}", "rl-then-prompt"),
    Variation("rl-kl", "is it just regularisation?", "rl-kl"),
    Variation("rl-kl, β = 0.2", "would more of it do?", "rl-kl", {"kl_beta": 0.2}),
    Variation("rl-replay", "does replay do the same?", "rl-replay"),
)


def cells(plan: Plan) -> list[Cell]:
    """The runs of all variations, seed by seed; some are the claims' own."""
    return [cell(plan, change, seed) for seed in plan.seeds[:SEEDS] for change in VARIATIONS]


def cell(plan: Plan, variation: Variation, seed: int) -> Cell:
    """The run of a variation for one seed."""
    options = dict(variation.options)
    if variation.learner in ROUNDS_IN_A_ROW:
        options["consecutive_rounds"] = _rounds(plan)
    if variation.learner == "rl-then-prompt":  # rounds only where something is measured of it
        options["eval_every"] = plan.stage_steps(variation.learner)
    return plan.stream(variation.learner, seed, **options)


def _rounds(plan: Plan) -> int:
    """Rounds that the reference makes in the whole stream."""
    return ceil(
        len(STAGES) * plan.stage_steps(REFERENCE.learner) / PeriodicRoundsConfig().round_every
    )


@dataclass(frozen=True)
class StreamRow:
    """One quantity of one variation: its mean, and its paired difference from the reference."""

    variation: Variation
    quantity: str
    value: Estimate | Undefined
    difference: Estimate | Undefined


def rows(data: Data, plan: Plan) -> list[StreamRow]:
    """Every quantity of every variation, with intervals over the seeds of the ablations."""
    seeds = plan.seeds[:SEEDS]
    found = []
    for name, quantity in QUANTITIES.items():
        measure = quantity.measure
        reference = {seed: measure(data, cell(plan, REFERENCE, seed)) for seed in seeds}
        for variation in VARIATIONS:
            value = {seed: measure(data, cell(plan, variation, seed)) for seed in seeds}
            means = (over_seeds(v, generator()) for v in (value, difference(value, reference)))
            found.append(StreamRow(variation, name, *means))
    return found


def _of_matrix(
    metric: Callable[[ArrayLike], float | Undefined], prompt: str = "learner"
) -> _Measure:
    def measure(data: Data, cell: Cell) -> float | Undefined:
        matrix = data.accuracy_matrix(cell, STAGES, prompt=prompt)
        return matrix if isinstance(matrix, Undefined) else metric(matrix)

    return measure


def _kl_at_end(data: Data, cell: Cell) -> float | Undefined:
    """KL(policy ‖ base) under the learner's own prompt, mean over the stream's domains."""
    values = []
    for domain in STAGES:
        curve = data.curve(cell, domain)
        if isinstance(curve, Undefined):
            return curve
        values.append(float(curve["kl_policy_base"].iloc[-1]))
    return sum(values) / len(values)


def _rollouts(data: Data, cell: Cell) -> float | Undefined:
    """All rollouts spent on learning, the prompt optimiser's included."""
    table = data.table("evaluations", cell)
    return table if isinstance(table, Undefined) else float(table["rollouts"].max())


_Measure = Callable[["Data", Cell], "float | Undefined"]


@dataclass(frozen=True)
class StreamQuantity:
    """What is measured of a run, and its unit."""

    measure: _Measure
    scale: Scale = "accuracy"


QUANTITIES: Mapping[str, StreamQuantity] = {
    "average_accuracy": StreamQuantity(_of_matrix(average_accuracy)),
    "anytime_average_accuracy": StreamQuantity(_of_matrix(anytime_average_accuracy)),
    "forgetting_max": StreamQuantity(_of_matrix(forgetting_max), "points"),
    "average_accuracy, seed prompt": StreamQuantity(_of_matrix(average_accuracy, "seed")),
    "KL(policy ‖ base), nats/token": StreamQuantity(_kl_at_end, "nats"),
    "all rollouts": StreamQuantity(_rollouts, "samples"),
}
"""What is compared, by its name; own prompts unless said otherwise, at the end of the stream."""


def section(rows: Sequence[StreamRow]) -> list[Block]:
    """Two tables, the quantities and their differences from the reference; nothing without runs."""
    by_key = {(row.variation.name, row.quantity): row for row in rows}
    if all(map(_lacks, rows)):
        return []
    made = [v for v in VARIATIONS if any(not _lacks(by_key[v.name, q]) for q in QUANTITIES)]
    changed = [variation for variation in made if variation is not REFERENCE]
    values = [[_words(by_key[v.name, name], name) for name in QUANTITIES] for v in made]
    changes = [
        [_words(by_key[v.name, name], name, difference=True) for name in QUANTITIES]
        for v in changed
    ]
    return [
        Paragraph(
            f"One thing changed at a time, on the stream {STREAM}, with the first {SEEDS} seeds: "
            "means over seeds with 95 % intervals, own prompts unless said otherwise, at the end "
            "of the stream. They describe and explain; no rule judges them, and with so few seeds "
            "intervals are rough. Training samples are equal, all rollouts are not: T, for one, "
            "changes how many the prompt optimiser spends. Only rl, prompt and fst were calibrated "
            "for themselves: all variations of fst have its settings, the other learners those of "
            "rl, not tuned. prompt-then-rl makes as many rounds as fst in the whole stream, before "
            "it; rl-then-prompt makes as many for each of its evaluations, at stage ends only."
        ),
        *_not_made([variation.name for variation in VARIATIONS if variation not in made]),
        _table("What was measured", values, made),
        _table("Difference from the reference, paired by seed", changes, changed),
    ]


def _lacks(row: StreamRow) -> bool:
    """Whether a variation has no run with a value of a quantity."""
    return isinstance(row.value, Undefined)


def _not_made(names: Sequence[str]) -> list[Block]:
    """Which variations have no run yet."""
    return [Paragraph(f"Without a finished run: {', '.join(names)}.")] if names else []


def _table(caption: str, cells: Sequence[Sequence[str]], variations: Sequence[Variation]) -> Table:
    rows: list[list[Inline]] = [
        [variation.name, variation.question, *words]
        for variation, words in zip(variations, cells, strict=True)
    ]
    return Table(caption, ["variation", "question", *QUANTITIES], rows, stacked=True)


def _words(row: StreamRow, quantity: str, *, difference: bool = False) -> str:
    name = "difference" if difference else quantity
    value = row.difference if difference else row.value
    return wording.of_detail(name, QUANTITIES[quantity].scale, value)
