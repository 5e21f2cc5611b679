"""The part of the page about ablations: what each change does, beside fast-slow training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cl_bench.claims import ablations_single, wording
from cl_bench.claims.ablations import QUANTITIES, REFERENCE, SEEDS, VARIATIONS, Row, Variation
from cl_bench.claims.ablations_single import Row as SingleRow
from cl_bench.claims.plan import STREAM
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.blocks import Block, Heading, Inline, Paragraph, Table
from cl_bench.report.blocks.numbers import NOTHING


def ablation_section(rows: Sequence[Row], single: Sequence[SingleRow] = ()) -> list[Block]:
    """What the changes do on the stream, then on single domains; nothing without any value."""
    blocks = [*_of_stream(rows), *_of_singles(single)]
    return [Heading(2, "Ablations", "ablations"), *blocks] if blocks else []


def _of_stream(rows: Sequence[Row]) -> list[Block]:
    """Two tables, the quantities and their differences from the reference."""
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


def _lacks(row: Row) -> bool:
    """Whether a variation has no run with a value of a quantity."""
    return isinstance(row.value, Undefined)


def _not_made(names: Sequence[str]) -> list[Block]:
    """Which variations have no run yet."""
    return [Paragraph(f"Without a finished run: {', '.join(names)}.")] if names else []


def _of_singles(rows: Sequence[SingleRow]) -> list[Block]:
    """A table of each quantity: variations by domains."""
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
        *(_single_table(quantity, found) for quantity in ablations_single.QUANTITIES),
    ]


def _single_table(
    quantity: ablations_single.Quantity, found: Mapping[tuple[str, str, str], SingleRow]
) -> Table:
    domains = quantity.domains
    tried = {c.name: c for d in domains for c in ablations_single.variations(d)}
    changes = [change for change in tried.values() if quantity.applies(change)]
    cells = [
        [_single_words(found.get((quantity.name, domain, c.name))) for domain in domains]
        for c in changes
    ]
    body = [[c.name, c.question, *words] for c, words in zip(changes, cells, strict=True)]
    title = quantity.name[0].upper() + quantity.name[1:]
    return Table(title, ["variation", "question", *domains], body, stacked=True)


def _single_words(row: SingleRow | None) -> str:
    """The value of a cell; nothing where the variation is not tried."""
    return NOTHING if row is None else wording.of_detail("", row.quantity.scale, row.value)


def _table(caption: str, cells: Sequence[Sequence[str]], variations: Sequence[Variation]) -> Table:
    rows: list[list[Inline]] = [
        [variation.name, variation.question, *words]
        for variation, words in zip(variations, cells, strict=True)
    ]
    return Table(caption, ["variation", "question", *QUANTITIES], rows, stacked=True)


def _words(row: Row, quantity: str, *, difference: bool = False) -> str:
    name = "difference" if difference else quantity
    value = row.difference if difference else row.value
    return wording.of_detail(name, QUANTITIES[quantity].scale, value)
