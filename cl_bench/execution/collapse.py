"""Noticing a policy that cannot learn: it always says the same and fails, or it never ends."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from math import log

from cl_bench.contract.errors import DivergedError
from cl_bench.contract.records import StepRecord
from cl_bench.metrics.quantities import NATS, SHARE
from cl_bench.store.rows import is_stream_row

STEPS = 20
"""Consecutive steps that make a collapse."""
ENTROPY = 1e-3
"""Mean token entropy, in nats, below which a policy counts as deterministic."""
NOISE = 0.9
"""Share of the greatest possible entropy above which a policy counts as noise."""
ENDLESS = 0.9
"""Share of responses cut off from which on hardly any ends by itself."""
ENOUGH = 20
"""Responses on a domain below which that share says little."""
_log = logging.getLogger(__name__)


class CollapseWatch:
    """Raises `DivergedError` after `STEPS` hopeless steps in a row.

    In a hopeless step the entropy is below `ENTROPY` or above `NOISE` of log(`vocabulary`), some
    rollout fails, no group has rewards that differ, and there is no gradient. A solved task (reward
    1), a hard one (entropy between the two) and a penalty that still pulls are not a collapse.
    """

    def __init__(self, vocabulary: int) -> None:
        self._noise = NOISE * log(vocabulary)
        self.hopeless = 0
        """Hopeless steps in a row up to now; part of a checkpoint."""

    def see(self, step: int, record: StepRecord) -> None:
        """Take in the record of training step `step`; raise `DivergedError` for a collapse."""
        broken = record.entropy < ENTROPY or record.entropy > self._noise
        stuck = broken and record.signal == record.grad_norm == 0 and record.reward < 1
        self.hopeless = self.hopeless + 1 if stuck else 0
        if self.hopeless >= STEPS:
            raise DivergedError(
                f"Step {step} diverged: the policy has collapsed. In each of the last {STEPS} "
                f"steps it said always the same or pure noise (entropy now "
                f"{NATS.text(record.entropy)} a token), no group of rollouts had differing rewards "
                f"and some failed (reward now {SHARE.text(record.reward)}), so it can learn no "
                "more. Lower `learning_rate` and run again."
            )


class EndlessWatch:
    """Warns once if hardly any response to a domain of the stream ends by itself.

    `stops` are the tokens that end one, by their text; `limit` is the length that cuts them off.
    """

    def __init__(self, stops: Mapping[str, int], limit: int) -> None:
        self._stops, self._limit = stops, limit
        self._told = False

    def see(self, evaluations: Iterable[Mapping[str, object]]) -> None:
        """Take in the rows of an evaluation point."""
        if self._told:
            return
        endless = dict.fromkeys(str(row["domain"]) for row in evaluations if _is_endless(row))
        if endless:
            self._told = True
            _log.warning(
                "Hardly any response on %s ends by itself. %s",
                ", ".join(endless),
                cut_off_advice(self._stops, self._limit),
            )


def cut_off_advice(stops: Collection[str], limit: int) -> str:
    """Return what to do where responses are cut off at `limit` tokens instead of ending."""
    ends = f"a response ends with {' or '.join(stops)}: if" if stops else "if"
    return (
        f"They are cut off at {limit} tokens; {ends} the model ends its turns with another token, "
        "set `eos_token_id` in its generation_config.json to that, else give --max-new-tokens more."
    )


def _is_endless(row: Mapping[str, object]) -> bool:
    if not is_stream_row(row):
        return False
    responses = int(str(row["n_items"])) * int(str(row["n_samples"]))
    return responses >= ENOUGH and float(str(row["truncation_rate"])) >= ENDLESS
