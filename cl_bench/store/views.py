"""What the tables of a run hold, by the question it answers.

The rows that say what a run learned are those of its own problems and of the policy in training;
whoever reads the tables takes them with `stream_rows`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cl_bench.contract.errors import RunDirectoryError
from cl_bench.metrics.attribution import ChannelAttribution, channel_attribution
from cl_bench.metrics.undefined import Undefined

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Rewrites:
    """The rewrites of prompts in a run, from proposals down to those that were accepted."""

    rounds: int
    proposed: int
    """Minibatches drawn."""
    skipped: int
    """Those without a mistake to learn from; with a budget of tokens, also those after its end."""
    asked: int
    """Asked of the reflection LM."""
    failed: int
    repeated: int
    """Equal to a prompt at hand."""
    accepted: int
    """Better than their parent on the minibatch."""

    @property
    def rejected(self) -> int:
        """The others that were asked: new, but no better than their parent."""
        return self.asked - self.failed - self.repeated - self.accepted


def rewrites(prompts: pd.DataFrame, ledger: pd.DataFrame, proposals: int) -> Rewrites | None:
    """The rewrites of a run; None without a round.

    Where a run did not count its proposals, it made `proposals` in a round; a failure that it did
    not count is 0.
    """
    if prompts.empty:
        return None
    rounds = int(prompts["round"].nunique())
    spent = ledger[ledger["channel"] == "fast"]
    fast = spent.filter(like="reflection_").fillna(0).max()
    asked, failed, repeated = (
        int(fast[f"reflection_{name}"]) for name in ("calls", "failures", "repeats")
    )
    new = prompts[(prompts["prompt_id"] > 0) & prompts["score"].notna()]
    counted = spent["proposals"]
    proposed = int(counted.max()) if counted.notna().all() else rounds * proposals
    accepted = int(new["prompt_id"].nunique())
    return Rewrites(rounds, proposed, proposed - asked, asked, failed, repeated, accepted)


def stream_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the stream's problems and the policy, under the seed and the learner's prompt.

    `frame` is the table `evaluations` or `items`. Left out are the retention domains, the harder
    setting and the responses of the base model.
    """
    return frame[(frame["test_set"] == "stream") & (frame["weights"] == "trained")]


def probe_accuracy(evaluations: pd.DataFrame, test_set: str) -> pd.DataFrame:
    """Accuracy on `retention` or `harder`: a column per domain, a row per stage that has ended,
    from 0, the base model; empty where nothing was asked."""
    rows = evaluations[evaluations["test_set"] == test_set]
    domains = rows["domain"].drop_duplicates()
    return rows.pivot(index="stage", columns="domain", values="accuracy")[domains]


def matrix_of(
    ends: Sequence[tuple[int, int, str, float]], stages: Sequence[str], prompt: str
) -> NDArray[np.float64]:
    """acc_I_J, shape (T+1, T), from stage, step, domain and accuracy of start and stage ends.

    NaN where nothing was evaluated; two values of one cell are a `RunDirectoryError`.
    """
    found: dict[tuple[int, str], float] = {}
    for stage, step, domain, accuracy in ends:
        if (stage, domain) in found:
            raise RunDirectoryError(
                f"The table 'evaluations' has two rows for {domain} under the {prompt} prompt at "
                f"the end of stage {stage} (step {step}); a run writes one."
            )
        found[stage, domain] = accuracy
    numbers = range(len(stages) + 1)
    return np.array([[found.get((number, d), np.nan) for d in stages] for number in numbers])


def attributions(evaluations: pd.DataFrame) -> dict[str, ChannelAttribution | Undefined]:
    """By domain, what each channel gained up to the end of the last stage that has ended.

    From accuracies on the stream's problems; empty before the first stage's end, and for a run
    without probes.
    """
    rows = evaluations[(evaluations["test_set"] == "stream") & (evaluations["at"] == "stage-end")]
    rows = rows[rows["stage"] == rows["stage"].max()]
    if "base" not in set(rows["weights"]):
        return {}
    cells = rows.set_index(["domain", "weights", "prompt"])["accuracy"]
    return {
        domain: channel_attribution(
            [
                [cells.get((domain, weights, prompt), np.nan) for prompt in ("seed", "learner")]
                for weights in ("base", "trained")
            ]
        )
        for domain in rows["domain"].drop_duplicates()
    }
