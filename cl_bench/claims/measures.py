"""Every statement's measure, by the statement's id."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cl_bench.claims import (
    measures_asymptote,
    measures_efficiency,
    measures_kl,
    measures_plateau,
)
from cl_bench.claims.measure import Curves, Measured
from cl_bench.claims.plan import Plan

MEASURES: Mapping[str, Callable[[Curves, Plan], Measured]] = {
    "1a": measures_efficiency.training_samples,
    "1b": measures_efficiency.all_rollouts,
    "2a": measures_asymptote.asymptote_above_rl,
    "2b": measures_plateau.plateau_above_rl,
    "3a": measures_kl.own_prompts,
    "3b": measures_kl.seed_prompt,
    "9a": measures_plateau.plateau_above_prompt_only,
    "9b": measures_plateau.second_half,
    "10a": measures_plateau.plateau_above_distill,
    "10b": measures_plateau.entropy_above_distill,
}
