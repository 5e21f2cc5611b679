"""The words of the claims, for those who have not read the code."""

from __future__ import annotations

from collections.abc import Mapping

GLOSSARY: Mapping[str, str] = {
    "single run": "a run that trains on one domain only",
    "seed prompt": "the prompt that every learner begins with, and RL keeps",
    "own prompt": (
        "the prompt that a learner would be evaluated with at that point: the best that it "
        "evolved, for RL the seed prompt"
    ),
    "samples": (
        "training samples: rollouts that RL learns from; “all rollouts” are these and those of "
        "the prompt optimiser"
    ),
    "the end": "the last evaluation of a run",
    "plateau": "the mean of the last three evaluations of a run",
    "K": (
        "how many prompts the population of the prompt optimiser holds at most; effective K is how "
        "many it held"
    ),
    "joint": "the gain of trained parameters with the evolved prompt over the base with the seed's",
    "interaction": "joint − the gain of parameters alone − the gain of the prompt alone",
    "forgetting_max": (
        "how far accuracy at the end of a stream lies below the best that a task had at the ends "
        "of stages, mean over the tasks before the last"
    ),
    "p": (
        "of the exact sign-flip test over seeds, two-sided, against the value without an effect: "
        "with six seeds at least 0.031"
    ),
    "seeds needed": (
        "how many seeds would show an effect as large and noisy as the one measured, with 80 % "
        "power at the level 0.05, by the approximation of the t test"
    ),
}
