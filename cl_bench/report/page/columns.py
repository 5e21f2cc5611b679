"""Which numbers a board shows at first sight, and what their columns are called there."""

from __future__ import annotations

from cl_bench.metrics.undefined import Undefined
from cl_bench.report.leaderboard import Board, Column

RANKED_BY = "average_accuracy"
"""The metric whose ranks stand in the rank column until the reader sorts by another."""
MAIN = (
    *("average_accuracy", "bwt_gem", "forgetting_max", "kl_policy_base"),
    *("kl_policy_base_seed_prompt", "plasticity_ratio", "sample_efficiency"),
    *("sample_efficiency_rollouts", "rollouts", "tokens", "seconds"),
)
"""The others stand in a table of their own."""
_SHORT = {
    "bwt_gem": "backward transfer",
    "forgetting_max": "forgetting",
    "kl_policy_base": "KL",
    "kl_policy_base_seed_prompt": "KL, seed prompt",
    "kl_deployed_start": "KL, deployed from start",
    "format_rate": "answers in a form",
    "truncation_rate": "cut off",
    "plasticity_ratio": "plasticity",
    "sample_efficiency": "efficiency, samples",
    "sample_efficiency_rollouts": "efficiency, rollouts",
    "harder_accuracy": "hardest setting",
    "retention_delta": "outside the stream",
    "min_accuracy": "worst accuracy",
}


def short(name: str, column: Column) -> str:
    """A column's name where room is scarce."""
    return _SHORT.get(name, column.title)


def parted(board: Board) -> tuple[dict[str, Column], dict[str, Column]]:
    """The columns at first sight, and the others; one in which no row has a value is no sight."""
    known = {
        name
        for name in board.columns
        if any(not isinstance(row.values[name], Undefined) for row in board.rows)
    } | {RANKED_BY}
    main = {name: board.columns[name] for name in MAIN if name in board.columns and name in known}
    return main, {name: column for name, column in board.columns.items() if name not in main}
