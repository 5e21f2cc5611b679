"""How the learners look in every figure of the claims: Okabe and Ito's colours, one for each."""

from __future__ import annotations

LEARNERS = ("rl", "fst", "prompt", "fst-distill")
_COLOURS = {"rl": "#D55E00", "fst": "#0072B2", "prompt": "#E69F00", "fst-distill": "#009E73"}
_LABELS = {"rl": "RL", "fst": "FST", "prompt": "prompt only", "fst-distill": "FST-distill"}


def colour(learner: str) -> str:
    """The colour of a learner, as `#rrggbb`."""
    return _COLOURS[learner]


def label(learner: str) -> str:
    """The name of a learner in legends."""
    return _LABELS[learner]
