"""Ablations of single runs: what of the claims is the learning rate's, or the population's?

Calibration chose a higher rate for RL than for fast-slow training, and a population is refilled
with prompts that may be worthless. Both are varied where single domains decide claims. Only
descriptive, as all ablations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cl_bench.claims import wording
from cl_bench.claims.ablations import SEEDS, Variation
from cl_bench.claims.claim_03_kl import RunPair, match
from cl_bench.claims.claim_07_zero_reward import DOMAIN as ZERO_REWARD
from cl_bench.claims.claim_07_zero_reward import training
from cl_bench.claims.measure import Scale, each, generator, levels, pairs, trajectories
from cl_bench.claims.plan import KL_DOMAINS, Plan
from cl_bench.metrics import over_seeds
from cl_bench.metrics.quantities import NOTHING
from cl_bench.metrics.stats.bootstrap import Estimate, as_ratio
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.blocks import Block, Heading, Paragraph, Table
from cl_bench.sweep.cell import Cell

if TYPE_CHECKING:
    from cl_bench.claims.data import Data

REFERENCE = Variation("fst", "as calibrated")
VARIATIONS = (
    REFERENCE,
    Variation("rl", "as calibrated", "rl"),
    Variation("rl, rate 6e-4", "is the higher rate its strength?", "rl", {"learning_rate": 6e-4}),
    Variation("rl, rate 3e-4", "the rate of fst", "rl", {"learning_rate": 3e-4}),
)
WITHOUT_REWARD = (
    Variation("no refill", "do worthless prompts hold it back?", options={"refill": False}),
    Variation("fst, rate 9e-4", "or its lower rate?", options={"learning_rate": 9e-4}),
)
"""Variations on the domain where the base hardly earns a reward, besides the others."""


def variations(domain: str) -> tuple[Variation, ...]:
    """What is compared on a domain, the reference first."""
    return (*VARIATIONS, *(WITHOUT_REWARD if domain == ZERO_REWARD else ()))


def cells(plan: Plan) -> list[Cell]:
    """The runs, seed by seed; some are the claims' own."""
    return [
        cell(plan, domain, change, seed)
        for seed in plan.seeds[:SEEDS]
        for domain in (ZERO_REWARD, *KL_DOMAINS)
        for change in variations(domain)
    ]


def cell(plan: Plan, domain: str, variation: Variation, seed: int) -> Cell:
    """The run of a variation on a domain."""
    return plan.single(domain, variation.learner, seed, **variation.options)


@dataclass(frozen=True)
class SingleQuantity:
    """What is measured of a variation's run of a seed on a domain, and where."""

    name: str
    measure: Callable[[Data, Plan, str, Variation, int], float | Undefined]
    domains: tuple[str, ...]
    scale: Scale = "accuracy"

    def applies(self, variation: Variation) -> bool:
        """Whether it says anything of a variation: nothing is compared with itself."""
        return self.scale != "ratio" or variation.learner != REFERENCE.learner


@dataclass(frozen=True)
class SingleRow:
    """A quantity of a variation on a domain, mean over the seeds of the ablations."""

    quantity: SingleQuantity
    domain: str
    variation: Variation
    value: Estimate | Undefined


def rows(data: Data, plan: Plan) -> list[SingleRow]:
    """Every quantity of every variation on every domain, with intervals over the seeds."""
    found = []
    for quantity in QUANTITIES:
        for domain in quantity.domains:
            for change in filter(quantity.applies, variations(domain)):
                by_seed = {
                    seed: quantity.measure(data, plan, domain, change, seed)
                    for seed in plan.seeds[:SEEDS]
                }
                mean = over_seeds(by_seed, generator())
                value = as_ratio(mean) if quantity.scale == "ratio" else mean
                found.append(SingleRow(quantity, domain, change, value))
    return found


def _plateau(
    data: Data, plan: Plan, domain: str, change: Variation, seed: int
) -> float | Undefined:
    """Mean accuracy of the last three evaluations, under the learner's own prompt."""
    return levels(data, {seed: cell(plan, domain, change, seed)}, domain)[seed]


def _log_ratio_of_kl(
    data: Data, plan: Plan, domain: str, change: Variation, seed: int
) -> float | Undefined:
    """log2 of the KL to the base at equal accuracy, over that of the reference."""
    own, reference = (
        trajectories(
            data, {seed: cell(plan, domain, of, seed)}, domain, "accuracy", "kl_policy_base"
        )
        for of in (change, REFERENCE)
    )
    matched = each(pairs(own, reference), lambda runs: match(RunPair(*runs)))
    return each(matched, lambda found: found.log_ratio)[seed]


def _training_reward(
    data: Data, plan: Plan, domain: str, change: Variation, seed: int
) -> float | Undefined:
    """Mean reward of all training steps."""
    found = training(data, cell(plan, domain, change, seed))
    return found if isinstance(found, Undefined) else found.mean_reward


def _first_accuracy(
    data: Data, plan: Plan, domain: str, change: Variation, seed: int
) -> float | Undefined:
    """Accuracy of the first evaluation after training began, under the learner's own prompt."""
    run = trajectories(data, {seed: cell(plan, domain, change, seed)}, domain, "step")[seed]
    if isinstance(run, Undefined):
        return run
    return float(run[1][1]) if len(run[1]) > 1 else Undefined("nothing was evaluated in training")


QUANTITIES = (
    SingleQuantity("plateau of accuracy", _plateau, (*KL_DOMAINS, ZERO_REWARD)),
    SingleQuantity(
        "KL to the base at equal accuracy, over fst's", _log_ratio_of_kl, KL_DOMAINS, "ratio"
    ),
    SingleQuantity("reward of the whole training", _training_reward, (ZERO_REWARD,)),
    SingleQuantity("accuracy at the first evaluation", _first_accuracy, (ZERO_REWARD,)),
)


def section(rows: Sequence[SingleRow]) -> list[Block]:
    """A table of each quantity, variations by domains; nothing without runs."""
    if all(isinstance(row.value, Undefined) for row in rows):
        return []
    found = {(row.quantity.name, row.domain, row.variation.name): row for row in rows}
    return [
        Heading(3, "On single domains", "ablations-single"),
        Paragraph(
            "The claims about single domains hold RL at the rate that calibration chose for it "
            f"against fast-slow training at a lower one. The same runs at other rates, {SEEDS} "
            "seeds; on star-graph also a population without refill."
        ),
        *(_table(quantity, found) for quantity in QUANTITIES),
    ]


def _table(quantity: SingleQuantity, found: Mapping[tuple[str, str, str], SingleRow]) -> Table:
    domains = quantity.domains
    tried = {c.name: c for d in domains for c in variations(d)}
    changes = [change for change in tried.values() if quantity.applies(change)]
    cells = [
        [_words(found.get((quantity.name, domain, c.name))) for domain in domains] for c in changes
    ]
    body = [[c.name, c.question, *words] for c, words in zip(changes, cells, strict=True)]
    title = quantity.name[0].upper() + quantity.name[1:]
    return Table(title, ["variation", "question", *domains], body, stacked=True)


def _words(row: SingleRow | None) -> str:
    """The value of a cell; nothing where the variation is not tried."""
    return NOTHING if row is None else wording.of_detail("", row.quantity.scale, row.value)
