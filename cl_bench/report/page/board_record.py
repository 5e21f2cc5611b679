"""A board's figures as the page's script reads them: plain JSON, rounded to what can be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cl_bench.report.blocks.look import Look, learner_look, looks_apart
from cl_bench.report.board import Board, Overall
from cl_bench.report.page.bands import Band, Drawn
from cl_bench.report.page.record import rounded

Seen = Sequence[tuple[str, Look, Drawn]]
"""Label, look and curves of rows."""
MOST_SEEDS = 30
"""Of more seeds than this, single curves are not drawn: nothing could be told apart."""
MOST_DRAWN = 24
"""Rows of a board that its figure files draw, the best ones."""


@dataclass(frozen=True, eq=False)
class DrawnBoard:
    """A board and what its figures draw."""

    board: Board
    anchor: str
    """Its name in links."""
    rows: Sequence[Drawn | None]
    """Beside `board.rows`; None for a row without finished runs."""
    stages: Sequence[tuple[str, int]]
    """Domain of every stage, and the steps that one of the runs trained on it."""

    @property
    def looks(self) -> list[Look]:
        """The looks of the rows, no two alike."""
        return looks_apart([row.learner for row in self.board.rows])

    @property
    def seen(self) -> Seen:
        """The rows that have finished runs, of very many the best."""
        rows = zip(self.board.rows, self.looks, self.rows, strict=True)
        seen = [(row.name, look, drawn) for row, look, drawn in rows if drawn is not None]
        return seen[:MOST_DRAWN]

    @property
    def reference(self) -> int | None:
        """The place of the row that sample efficiency is measured against."""
        labels = [row.label for row in self.board.rows]
        known = self.board.reference
        return labels.index(known) if known in labels else None


def overall_looks(overall: Overall, boards: Sequence[DrawnBoard]) -> list[Look]:
    """Return the looks of its rows, which are those on the first of its boards that shows them."""
    known: dict[tuple[str, str], Look] = {}
    for place in overall.boards:
        for row, look in zip(boards[place].board.rows, boards[place].looks, strict=True):
            known.setdefault(row.key, look)
    return [known.get(row.key) or learner_look(row.learner) for row in overall.rows]


def board_record(drawn: DrawnBoard) -> dict[str, Any]:
    """The board's figures."""
    total = sum(steps for _, steps in drawn.stages)
    return {
        "anchor": drawn.anchor,
        "most": MOST_DRAWN,
        "stages": [[domain, steps / total] for domain, steps in drawn.stages],
        "domains": list(dict.fromkeys(domain for domain, _ in drawn.stages)),
        "reference": drawn.reference,
        "rows": [
            {
                "row": f"{drawn.anchor}-{place}",
                "label": row.name,
                "series": row.learner,
                "look": look_record(look),
                **({} if band is None else _row(band)),
            }
            for place, (row, look, band) in enumerate(
                zip(drawn.board.rows, drawn.looks, drawn.rows, strict=True)
            )
        ],
    }


def look_record(look: Look) -> dict[str, Any]:
    """A look without its label."""
    return {"colour": look.place, "marker": look.marker, "dashed": look.dashed}


def _row(drawn: Drawn) -> dict[str, Any]:
    return {
        "seeds": drawn.seeds,
        "share": rounded(drawn.share_E),
        "samples": rounded(drawn.samples_E, 6),
        "rollouts": rounded(drawn.rollouts_E, 6),
        "end": [int(end) for end in drawn.end_E],
        "accuracy": _bands(drawn.accuracy),
        "kl": {domain: {"mean": rounded(band.mean_P)} for domain, band in drawn.kl.items()},
        "average": _band(drawn.average),
        "best": rounded(drawn.best_S),
        "divergence": _band(drawn.divergence),
        "gains": None if drawn.gains is None else _band(drawn.gains),
        "spent": {
            what: {name: rounded([value], 9)[0] for name, value in parts.items()}
            for what, parts in drawn.spent.items()
        },
        "changes": None if drawn.changes is None else _band(drawn.changes, seeds=False),
    }


def _bands(bands: Mapping[str, Band]) -> dict[str, Any]:
    return {domain: _band(band) for domain, band in bands.items()}


def _band(band: Band, *, seeds: bool = True) -> dict[str, Any]:
    ends: dict[str, Any] = {}
    if band.low_P is not None and band.high_P is not None:
        ends = {"low": rounded(band.low_P), "high": rounded(band.high_P)}
    if seeds and 1 < len(band.seeds_S_P) <= MOST_SEEDS:
        ends["seeds"] = [rounded(value_P) for value_P in band.seeds_S_P]
    return {"mean": rounded(band.mean_P), **ends}
