"""Every addition after the runs, by the id of the statement that it stands beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cl_bench.claims import (
    added_asymptote,
    added_ceiling,
    added_efficiency,
    added_kl,
    added_zero_reward,
)
from cl_bench.claims.added import Added
from cl_bench.claims.data import Data
from cl_bench.claims.plan import Plan

ADDITIONS: Mapping[str, Callable[[Data, Plan], Added]] = {
    "1a": added_efficiency.training_samples,
    "1b": added_efficiency.all_rollouts,
    "2a": added_asymptote.undecided,
    "2b": added_asymptote.headroom,
    "3a": added_kl.own_prompts,
    "3b": added_kl.seed_prompt,
    "7a": added_zero_reward.onset,
    "7b": added_zero_reward.reward,
    "9a": added_ceiling.rollouts,
}
