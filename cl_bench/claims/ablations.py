"""Ablations: fast-slow training with one thing taken away or changed at a time.

On the stream of claim 6 every variation runs beside the reference, fast-slow training as
calibrated; the learners that answer a question people asked of the paper are variations too. On
single domains it is the learning rate that varies, and where the base hardly earns a reward the
population. All have equal seeds and are only descriptive: nothing here has a verdict, and with few
seeds the intervals are rough.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any

from cl_bench.analysis.paired import BySeed, known
from cl_bench.claims.claim_03_kl import RunPair, match
from cl_bench.claims.claim_07_zero_reward import DOMAIN as ZERO_REWARD
from cl_bench.claims.claim_07_zero_reward import training
from cl_bench.claims.measure import (
    Scale,
    difference,
    each,
    levels,
    mean_over,
    pairs,
    trajectories,
)
from cl_bench.claims.plan import Plan
from cl_bench.claims.subject import EMBEDDED, listed
from cl_bench.claims.wording import of_detail
from cl_bench.fast.settings import PeriodicRoundsConfig
from cl_bench.metrics import anytime_average_accuracy, average_accuracy, forgetting_max, over_seeds
from cl_bench.metrics.quantities import NOTHING
from cl_bench.metrics.stats.student import as_ratio
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.blocks import Block, Heading, Inline, Paragraph, Table
from cl_bench.sweep.cell import Cell

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from cl_bench.claims.data import Data

KL_DOMAINS, STAGES, STREAM = EMBEDDED.kl_domains, EMBEDDED.stages, EMBEDDED.stream
"""Those of the one subject that has ablations."""
SEEDS = 3
"""Seeds of the ablations, the first of the plan's: they explain, and cost as much as the claims."""
ROUNDS_IN_A_ROW = ("prompt-then-rl", "rl-then-prompt")
"""Learners whose rounds are set apart: they get as many as the reference makes in the stream."""
DOMAINS = (ZERO_REWARD, *KL_DOMAINS)
"""Those of the ablations of single runs."""


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
ON_STREAM = (
    REFERENCE,
    Variation("K = 1", "does a population matter?", options={"population": 1}),
    Variation("one prompt a group", "do mixed groups matter?", options={"mixed_groups": False}),
    Variation("no refill", "do weak prompts in the population hurt?", options={"refill": False}),
    Variation("T = 2", "do more frequent rounds help?", options={"round_every": 2}),
    Variation("T = 20", "do rarer rounds hurt?", options={"round_every": 20}),
    Variation("feedback: answer", "must feedback name the step?", options={"feedback": "answer"}),
    Variation("feedback: none", "is feedback needed at all?", options={"feedback": "none"}),
    Variation("oracle reflector", "is reflection the limit?", options={"reflection_lm": "oracle"}),
    Variation("fst, rate 9e-4", "does the rate decide?", options={"learning_rate": 9e-4}),
    Variation("rl", "parameters alone", "rl"),
    Variation("rl, rate 6e-4", "does the rate decide?", "rl", {"learning_rate": 6e-4}),
    Variation("rl, rate 3e-4", "or a lower one?", "rl", {"learning_rate": 3e-4}),
    Variation("prompt", "prompts alone", "prompt"),
    Variation("prompt-then-rl", f"is interleaving needed? {_KEEPS}", "prompt-then-rl"),
    Variation(
        "prompt-then-rl, rate 3e-4", "or is it the rate?", "prompt-then-rl", {"learning_rate": 3e-4}
    ),
    Variation("rl-then-prompt", f"how much is GEPA on an RL checkpoint? {_LAST}", "rl-then-prompt"),
    Variation("rl-kl", "is it just regularisation?", "rl-kl"),
    Variation("rl-kl, β = 0.2", "would more of it do?", "rl-kl", {"kl_beta": 0.2}),
    Variation("rl-replay", "does replay do the same?", "rl-replay"),
)
ON_DOMAINS = (
    Variation("fst", "as calibrated"),
    Variation("rl", "as calibrated", "rl"),
    Variation("rl, rate 6e-4", "does the rate decide?", "rl", {"learning_rate": 6e-4}),
    Variation("rl, rate 3e-4", "or a lower one?", "rl", {"learning_rate": 3e-4}),
)
WITHOUT_REWARD = (
    Variation("no refill", "do worthless prompts hold it back?", options={"refill": False}),
    Variation("fst, rate 9e-4", "or its rate?", options={"learning_rate": 9e-4}),
)
"""Variations on the domain where the base hardly earns a reward, besides the others."""


def variations(where: str) -> tuple[Variation, ...]:
    """The variations on the stream or on a domain, the reference first."""
    if where == STREAM:
        return ON_STREAM
    return (*ON_DOMAINS, *(WITHOUT_REWARD if where == ZERO_REWARD else ()))


def told_apart(plan: Plan, where: str) -> tuple[Variation, ...]:
    """The variations but those that are, at the plan's settings, the same run as one before."""
    by_cell: dict[Cell, Variation] = {}
    for change in variations(where):
        by_cell.setdefault(cell(plan, where, change, plan.seeds[0]), change)
    return tuple(by_cell.values())


def cells(plan: Plan) -> list[Cell]:
    """The runs of all variations, seed by seed, those of single domains first, as they are
    shorter; some are the claims' own."""
    return [
        cell(plan, where, change, seed)
        for places in (DOMAINS, (STREAM,))
        for seed in plan.seeds[:SEEDS]
        for where in places
        for change in told_apart(plan, where)
    ]


def cell(plan: Plan, where: str, variation: Variation, seed: int) -> Cell:
    """The run of a variation on the stream or on a domain, for one seed."""
    options = dict(variation.options)
    if where != STREAM:
        return plan.single(where, variation.learner, seed, **options)
    if variation.learner in ROUNDS_IN_A_ROW:
        steps = len(STAGES) * plan.stage_steps(REFERENCE.learner)
        options["consecutive_rounds"] = ceil(steps / PeriodicRoundsConfig().round_every)
    if variation.learner == "rl-then-prompt":  # rounds only where something is measured of it
        options["eval_every"] = plan.stage_steps(variation.learner)
    return plan.stream(variation.learner, seed, **options)


@dataclass(frozen=True)
class Compared:
    """The runs of a variation, and the reference's, by seed."""

    where: str
    """`STREAM` or a domain."""
    cells: Mapping[int, Cell]
    reference: Mapping[int, Cell]


@dataclass(frozen=True)
class StudiedQuantity:
    """A number of runs, and its unit."""

    name: str
    measure: Callable[[Data, Compared], BySeed]
    scale: Scale = "accuracy"
    domains: tuple[str, ...] = ()
    """Of single runs: where it says something."""

    def applies(self, variation: Variation) -> bool:
        """Whether it says anything of a variation: nothing is compared with itself."""
        return self.scale != "ratio" or variation.learner != REFERENCE.learner


def value(
    data: Data, plan: Plan, where: str, variation: Variation, quantity: StudiedQuantity
) -> BySeed:
    """A quantity of a variation on the stream or on a domain, for the seeds of the ablations."""
    own, reference = (
        {seed: cell(plan, where, change, seed) for seed in plan.seeds[:SEEDS]}
        for change in (variation, variations(where)[0])
    )
    return quantity.measure(data, Compared(where, own, reference))


def _of_matrix(
    metric: Callable[[ArrayLike], float | Undefined], prompt: str = "learner"
) -> Callable[[Data, Compared], BySeed]:
    def measure(data: Data, runs: Compared) -> BySeed:
        matrices = {
            seed: data.accuracy_matrix(cell, STAGES, prompt=prompt)
            for seed, cell in runs.cells.items()
        }
        return each(matrices, metric)

    return measure


def _kl_at_end(data: Data, runs: Compared) -> BySeed:
    """KL(policy ‖ base) under the learner's own prompt, mean over the stream's domains."""
    ends = {}
    for domain in STAGES:
        curves = {seed: data.curve(cell, domain) for seed, cell in runs.cells.items()}
        ends[domain] = each(curves, lambda curve: float(curve["kl_policy_base"].iloc[-1]))
    return mean_over(ends)


def _rollouts(data: Data, runs: Compared) -> BySeed:
    """All rollouts spent on learning, the prompt optimiser's included."""
    tables = {seed: data.table("evaluations", cell) for seed, cell in runs.cells.items()}
    return each(tables, lambda table: float(table["rollouts"].max()))


def _log_ratio_of_kl(data: Data, runs: Compared) -> BySeed:
    """log2 of the KL to the base at equal accuracy, over that of the reference."""
    own, reference = (
        trajectories(data, cells, runs.where, "accuracy", "kl_policy_base")
        for cells in (runs.cells, runs.reference)
    )
    matched = each(pairs(own, reference), lambda both: match(RunPair(*both)))
    return each(matched, lambda found: found.log_ratio)


def _training_reward(data: Data, runs: Compared) -> BySeed:
    """Mean reward of all training steps."""
    found = {seed: training(data, cell) for seed, cell in runs.cells.items()}
    return each(found, lambda run: run.mean_reward)


def _first_accuracy(data: Data, runs: Compared) -> BySeed:
    """Accuracy of the first evaluation after training began, under the learner's own prompt."""
    none = Undefined("nothing was evaluated in training")
    found = trajectories(data, runs.cells, runs.where, "step")
    return each(found, lambda run: float(run[1][1]) if len(run[1]) > 1 else none)


OF_STREAM = (
    StudiedQuantity("average accuracy", _of_matrix(average_accuracy)),
    StudiedQuantity("anytime average accuracy", _of_matrix(anytime_average_accuracy)),
    StudiedQuantity("forgetting_max", _of_matrix(forgetting_max), "points"),
    StudiedQuantity("average accuracy, seed prompt", _of_matrix(average_accuracy, "seed")),
    StudiedQuantity("KL(policy ‖ base), nats/token", _kl_at_end, "nats"),
    StudiedQuantity("all rollouts", _rollouts, "samples"),
)
"""Compared on the stream: own prompts unless said otherwise, at its end."""
OF_DOMAINS = (
    StudiedQuantity(
        "plateau of accuracy",
        lambda data, runs: levels(data, runs.cells, runs.where),
        domains=(*KL_DOMAINS, ZERO_REWARD),
    ),
    StudiedQuantity(
        "KL to the base at equal accuracy, over fst's", _log_ratio_of_kl, "ratio", KL_DOMAINS
    ),
    StudiedQuantity("reward of the whole training", _training_reward, domains=(ZERO_REWARD,)),
    StudiedQuantity("accuracy at the first evaluation", _first_accuracy, domains=(ZERO_REWARD,)),
)
"""Compared on single domains."""


def section(data: Data, plan: Plan) -> list[Block]:
    """The page's blocks about the ablations on the stream and on single domains; nothing of those
    without runs."""
    return [*_of_the_stream(data, plan), *_of_single_domains(data, plan)]


def _of_the_stream(data: Data, plan: Plan) -> list[Block]:
    """Two tables, the quantities and their differences from the reference."""
    changes = told_apart(plan, STREAM)
    found = {
        change.name: [value(data, plan, STREAM, change, quantity) for quantity in OF_STREAM]
        for change in changes
    }
    made = [change for change in changes if any(map(known, found[change.name]))]
    if not made:
        return []
    changed = [change for change in made if change is not REFERENCE]
    apart = {
        change.name: list(map(difference, found[change.name], found[REFERENCE.name]))
        for change in changed
    }
    names = [quantity.name for quantity in OF_STREAM]

    def words(values: Sequence[BySeed], name: str = "") -> list[str]:
        return [_words(*pair, name) for pair in zip(OF_STREAM, values, strict=True)]

    missing = ", ".join(change.name for change in changes if change not in made)
    return [
        Paragraph(
            f"One thing changed at a time, on the stream {STREAM}, with the first {SEEDS} seeds: "
            "means over seeds with 95 % intervals, own prompts unless said otherwise, at the end "
            "of the stream. They describe and explain; no rule judges them, and with so few seeds "
            "intervals are rough. Training samples are equal, all rollouts are not: T, for one, "
            "changes how many the prompt optimiser spends. Calibrated for themselves were "
            f"{listed(list(plan.settings))}: all variations of fst have its settings, any other "
            "learner those of rl, not tuned. prompt-then-rl makes as many rounds as fst in the "
            "whole stream, before it; rl-then-prompt makes as many for each of its evaluations, at "
            "stage ends only."
        ),
        *([Paragraph(f"Without a finished run: {missing}.")] if missing else []),
        _table("What was measured", made, names, lambda change: words(found[change.name])),
        _table(
            "Difference from the reference, paired by seed",
            changed,
            names,
            lambda change: words(apart[change.name], "difference"),
        ),
    ]


def _of_single_domains(data: Data, plan: Plan) -> list[Block]:
    """A table of each quantity, variations by domains."""
    found = {
        (quantity.name, domain, change.name): value(data, plan, domain, change, quantity)
        for quantity in OF_DOMAINS
        for domain in quantity.domains
        for change in filter(quantity.applies, told_apart(plan, domain))
    }
    if not any(map(known, found.values())):
        return []
    return [
        Heading(3, "On single domains", "ablations-single"),
        Paragraph(
            "The claims about single domains hold each learner at the rate that calibration chose "
            f"for it. The same runs at other rates, {SEEDS} seeds; on star-graph also a population "
            "without refill."
        ),
        *(_domains_table(plan, quantity, found) for quantity in OF_DOMAINS),
    ]


def _domains_table(
    plan: Plan, quantity: StudiedQuantity, found: Mapping[tuple[str, str, str], BySeed]
) -> Table:
    domains = quantity.domains
    tried = {change.name: change for domain in domains for change in told_apart(plan, domain)}

    def words(change: Variation) -> list[str]:
        values = [found.get((quantity.name, domain, change.name)) for domain in domains]
        return [NOTHING if by_seed is None else _words(quantity, by_seed) for by_seed in values]

    title = quantity.name[0].upper() + quantity.name[1:]
    return _table(title, list(filter(quantity.applies, tried.values())), domains, words)


def _table(
    caption: str,
    changes: Sequence[Variation],
    columns: Sequence[str],
    words: Callable[[Variation], list[str]],
) -> Table:
    rows: list[list[Inline]] = [
        [change.name, change.question, *words(change)] for change in changes
    ]
    return Table(caption, ["variation", "question", *columns], rows, stacked=True)


def _words(quantity: StudiedQuantity, by_seed: BySeed, name: str = "") -> str:
    """The mean in words; that of what is called `difference` has a sign."""
    mean = over_seeds(by_seed)
    shown = as_ratio(mean) if quantity.scale == "ratio" else mean
    return of_detail(name, quantity.scale, shown)
