"""Every statement's measure, by the statement's id."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cl_bench.claims import (
    channels,
    claim_01_sample_efficiency,
    claim_02_asymptote,
    claim_03_kl,
    plateau,
)
from cl_bench.claims.data import Data
from cl_bench.claims.measure import Measured
from cl_bench.claims.plan import Plan

MEASURES: Mapping[str, Callable[[Data, Plan], Measured]] = {
    "1a": claim_01_sample_efficiency.training_samples,
    "1b": claim_01_sample_efficiency.all_rollouts,
    "2a": claim_02_asymptote.asymptote_above_rl,
    "2b": plateau.plateau_above_rl,
    "3a": claim_03_kl.own_prompts,
    "3b": claim_03_kl.seed_prompt,
    **channels.MEASURES,
    "9a": plateau.plateau_above_prompt_only,
    "9b": plateau.second_half,
    "10a": plateau.plateau_above_distill,
    "10b": plateau.entropy_above_distill,
}
