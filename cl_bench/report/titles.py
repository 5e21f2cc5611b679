"""What boards are called: each by its stream, and what tells it from others of that stream."""

from __future__ import annotations

from collections.abc import Sequence

from cl_bench.report.board import Board


def titles(boards: Sequence[Board]) -> list[str]:
    """Of all boards of a leaderboard: streams, each with what tells it from others of its name,
    which is the version, the model, the budget or a number."""
    found = [board.key.stream for board in boards]
    for tell in (lambda b: f"version {b.key.version}", lambda b: b.model, lambda b: b.budget):
        alike: dict[str, set[str]] = {}
        for title, board in zip(found, boards, strict=True):
            alike.setdefault(title, set()).add(tell(board))
        found = [
            f"{title}, {tell(board)}" if len(alike[title]) > 1 else title
            for title, board in zip(found, boards, strict=True)
        ]
    return [
        title if found.count(title) == 1 else f"{title} ({found[: place + 1].count(title)})"
        for place, title in enumerate(found)
    ]
