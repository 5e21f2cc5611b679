"""The part of the page about ablations: what each change does, beside fast-slow training."""

from __future__ import annotations

from collections.abc import Sequence

from cl_bench.claims import wording
from cl_bench.claims.ablations import QUANTITIES, REFERENCE, SEEDS, VARIATIONS, Row, Variation
from cl_bench.claims.plan import STREAM
from cl_bench.metrics.undefined import Undefined
from cl_bench.pages.blocks import Block, Heading, Inline, Paragraph, Table


def ablation_section(rows: Sequence[Row]) -> list[Block]:
    """Two tables, the quantities and their differences from the reference; nothing if no row of a
    variation has a value."""
    by_key = {(row.variation.name, row.quantity): row for row in rows}
    if all(isinstance(row.value, Undefined) for row in rows):
        return []
    values = [[_words(by_key[v.name, name], name) for name in QUANTITIES] for v in VARIATIONS]
    changes = [
        [_words(by_key[v.name, name], name, difference=True) for name in QUANTITIES]
        for v in VARIATIONS
        if v is not REFERENCE
    ]
    return [
        Heading(2, "Ablations", "ablations"),
        Paragraph(
            f"One thing changed at a time, on the stream {STREAM}, with the first {SEEDS} seeds: "
            "means over seeds with 95 % intervals, own prompts unless said otherwise, at the end "
            "of the stream. They describe and explain; no rule judges them, and with so few seeds "
            "intervals are rough. Training samples are equal, all rollouts are not: T, for one, "
            "changes how many the prompt optimiser spends. Only rl, prompt and fst were calibrated "
            "for themselves: all variations of fst have its settings, the other learners those of "
            "rl, not tuned."
        ),
        _table("What was measured", values, [*VARIATIONS]),
        _table(
            "Difference from the reference, paired by seed",
            changes,
            [v for v in VARIATIONS if v is not REFERENCE],
        ),
    ]


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
