"""The sentences of a report that both its forms have."""

from __future__ import annotations

from collections import Counter

from cl_bench.analysis.run_values import METRIC_VERSION
from cl_bench.report.page.contents import Contents

TITLE = "Continual learning of language models: leaderboard"
_READING = """
A board holds runs that can be compared: one stream in one version, the same test problems, sampler,
model, budget and metrics. What differs in any of these stands on another board, and the notes say
why.

A value is a mean over seeds; below it stands its 95 % bootstrap interval over seeds, and the bar
shows both on one scale for the whole column. One seed has no interval: test problems of one run say
nothing of another run.

Ranks are intervals too: rank 2–4 of 5 says that one learner is surely better and one surely worse,
and that these runs tell nothing of the others. Surely means a paired t test over the seeds that two
learners share, at 5 % for all pairs of the column together, and never with fewer than 3 such seeds.
The rank column follows the column that the table is sorted by; arrows in headings say whether more
(↑) or less (↓) is better. Wall time ranks nobody: it depends on the machine, its threads and its
load, which runs of one board need not share.

A dash stands where a number cannot be computed; the letter beside it leads to the reason. Runs that
failed, diverged or are missing are counted in “k of n seeds” and listed under problems.
"""
HOW_TO_READ = tuple(" ".join(text.split()) for text in _READING.strip().split("\n\n"))
"""Paragraphs."""


def introduction(contents: Contents) -> list[str]:
    """What was read, and what is wrong with it."""
    runs, boards = contents.runs, contents.leaderboard.boards
    learners = {str(one.digest.manifest["learner"]) for one in runs}
    streams, models = {board.key.stream for board in boards}, {board.model for board in boards}
    read = (
        f"{counted(len(runs), 'run')} of {counted(len(learners), 'learner')} on "
        f"{counted(len(streams), 'stream')} with {counted(len(models), 'model')}. Every number is "
        f"computed from the runs’ tables alone (metric version {METRIC_VERSION})."
    )
    lines = [read]
    kinds = Counter(problem.kind for problem in contents.problems)
    flags = Counter(flag for board in boards for row in board.rows for flag in row.flags)
    wrong = [f"{number} {kind}" for kind, number in sorted(kinds.items())]
    if wrong:
        lines.append(f"Problems: {', '.join(wrong)}.")
    if flags:
        flagged = ", ".join(f"{flag} ({number})" for flag, number in sorted(flags.items()))
        lines.append(f"Rows to read with care: {flagged}.")
    return lines


def counted(number: int, thing: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
