"""Metrics as pure functions of arrays: numpy in, a value or `Undefined` out, never a silent NaN.

`METRICS` take one accuracy matrix of shape (T+1, T), `OTHER_METRICS` what their line names, and
`STATISTICS` say how sure a number is. docs/metrics.md shows all of them with their formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from numpy.typing import ArrayLike

from cl_bench.metrics.attribution import channel_attribution
from cl_bench.metrics.comparison import (
    holm,
    permutation_test,
    rescore_noise_floor,
    sampling_noise_floor,
    seeds_needed,
)
from cl_bench.metrics.continual import (
    anytime_average_accuracy,
    average_accuracy,
    bwt_gem,
    bwt_trace,
    forgetting_first,
    forgetting_max,
    fwt_base,
)
from cl_bench.metrics.divergence import kl_at_matched_accuracy
from cl_bench.metrics.efficiency import normalised_accuracy, sample_efficiency, samples_to_reach
from cl_bench.metrics.plasticity import (
    dead_units,
    effective_rank,
    plasticity_ratio,
    update_norm,
    weight_distance,
)
from cl_bench.metrics.quantities import NUMBER, POINTS, SHARE, Quantity
from cl_bench.metrics.samples import pass_at_k
from cl_bench.metrics.scaling import asymptote, asymptote_difference
from cl_bench.metrics.stability import (
    general_ability_delta,
    min_accuracy,
    stability_gap,
    turnover,
)
from cl_bench.metrics.stats.proportions import (
    interquartile_mean,
    probability_of_improvement,
    wilson,
)
from cl_bench.metrics.stats.ranks import rank_intervals
from cl_bench.metrics.stats.student import jackknife, over_seeds
from cl_bench.metrics.transfer import forward_transfer_auc, intransigence
from cl_bench.metrics.undefined import Undefined

__all__ = [
    "METRICS",
    "OTHER_METRICS",
    "STATISTICS",
    "Measure",
    "Metric",
    "Undefined",
    "anytime_average_accuracy",
    "asymptote",
    "asymptote_difference",
    "average_accuracy",
    "bwt_gem",
    "bwt_trace",
    "channel_attribution",
    "dead_units",
    "effective_rank",
    "forgetting_first",
    "forgetting_max",
    "forward_transfer_auc",
    "fwt_base",
    "general_ability_delta",
    "holm",
    "interquartile_mean",
    "intransigence",
    "jackknife",
    "kl_at_matched_accuracy",
    "min_accuracy",
    "normalised_accuracy",
    "over_seeds",
    "pass_at_k",
    "permutation_test",
    "plasticity_ratio",
    "probability_of_improvement",
    "rank_intervals",
    "rescore_noise_floor",
    "sample_efficiency",
    "samples_to_reach",
    "sampling_noise_floor",
    "seeds_needed",
    "stability_gap",
    "turnover",
    "update_norm",
    "weight_distance",
    "wilson",
]


class Metric(NamedTuple):
    """A metric of one accuracy matrix of shape (T+1, T), with one line on what it says and how
    people read it."""

    summary: str
    function: Callable[[ArrayLike], float | Undefined]
    quantity: Quantity = NUMBER


class Measure(NamedTuple):
    """A metric of other inputs, or a statistic: what it says, what it takes, the function."""

    summary: str
    takes: str
    function: Callable[..., object]


METRICS: Mapping[str, Metric] = {
    "average_accuracy": Metric("mean accuracy over all tasks at the end", average_accuracy, SHARE),
    "anytime_average_accuracy": Metric(
        "mean over stages of the accuracy on tasks seen so far", anytime_average_accuracy, SHARE
    ),
    "bwt_gem": Metric("change on earlier tasks since their stage, over T-1 tasks", bwt_gem, POINTS),
    "bwt_trace": Metric("the same change, over T tasks (TRACE)", bwt_trace, POINTS),
    "fwt_base": Metric("gain over the base model before a task's own stage", fwt_base, POINTS),
    "forgetting_max": Metric("loss from the best a task ever was", forgetting_max, POINTS),
    "forgetting_first": Metric("loss from the end of a task's own stage", forgetting_first, POINTS),
}
"""Metrics of one accuracy matrix."""

_CURVE = "accuracies and samples of a learning curve"
_TWO = "values of two learners"
OTHER_METRICS: Mapping[str, Measure] = {
    "pass_at_k": Measure(
        "chance that one of k responses is right", "problems × responses, k", pass_at_k
    ),
    "intransigence": Measure(
        "what a task lacks against training on it alone",
        "an accuracy matrix, the single-task accuracies",
        intransigence,
    ),
    "forward_transfer_auc": Measure(
        "area gained under the learning curve against training alone",
        "each task's curve in its stage and alone, samples",
        forward_transfer_auc,
    ),
    "min_accuracy": Measure(
        "worst accuracy of finished tasks in later stages",
        "all evaluations × tasks, the stage of each",
        min_accuracy,
    ),
    "stability_gap": Measure(
        "dip of finished tasks inside later stages that stage ends do not show",
        "all evaluations × tasks, the stage of each",
        stability_gap,
    ),
    "turnover": Measure(
        "share of once solved items that are unsolved at the end",
        "items solved at their stage's end and at the end",
        turnover,
    ),
    "general_ability_delta": Measure(
        "change on tasks outside the stream",
        "evaluations × retention tasks",
        general_ability_delta,
    ),
    "normalised_accuracy": Measure(
        "share of the best gain any compared learner made",
        "learners × points of one task, the base's accuracy",
        normalised_accuracy,
    ),
    "samples_to_reach": Measure(
        "samples until the running maximum is at a level", f"{_CURVE}, a level", samples_to_reach
    ),
    "sample_efficiency": Measure(
        "how many times fewer samples than a reference needs for its peak",
        "the curves of learner and reference",
        sample_efficiency,
    ),
    "asymptote": Measure("accuracy that a fitted sigmoid approaches", _CURVE, asymptote),
    "asymptote_difference": Measure(
        "how much higher a learner's fitted sigmoids end than another's",
        "two arrays of tasks × seeds × points, the samples of both",
        asymptote_difference,
    ),
    "kl_at_matched_accuracy": Measure(
        "KL to the base at equal accuracy, against a reference",
        "accuracy and KL trajectories of learner and reference",
        kl_at_matched_accuracy,
    ),
    "plasticity_ratio": Measure(
        "what fresh RL reaches from a checkpoint over what it reaches from the base",
        "final accuracies of both probes by seed",
        plasticity_ratio,
    ),
    "channel_attribution": Measure(
        "gains of trained weights, evolved prompt, both, and their interaction",
        "the 2×2 of accuracies",
        channel_attribution,
    ),
    "dead_units": Measure(
        "share of units that are silent on all inputs (diagnostic)",
        "activations, inputs × units",
        dead_units,
    ),
    "effective_rank": Measure(
        "directions that features use (diagnostic)",
        "features, inputs × dimensions",
        effective_rank,
    ),
    "weight_distance": Measure(
        "distance of the parameters from the base's (diagnostic)",
        "two sets of parameters by name",
        weight_distance,
    ),
    "update_norm": Measure(
        "length of one update of the parameters (diagnostic)",
        "two sets of parameters by name",
        update_norm,
    ),
}
"""Metrics of other inputs than one accuracy matrix."""

STATISTICS: Mapping[str, Measure] = {
    "wilson": Measure("95 % interval of proportions", "proportions and their counts", wilson),
    "over_seeds": Measure(
        "mean over the seeds that have a value, k of n, with its t interval",
        "a value or Undefined by seed",
        over_seeds,
    ),
    "jackknife": Measure(
        "any statistic of seeds × tasks with its t interval",
        "seeds × tasks, the statistic",
        jackknife,
    ),
    "interquartile_mean": Measure(
        "mean of the middle half of all scores", "seeds × tasks", interquartile_mean
    ),
    "probability_of_improvement": Measure(
        "how often a seed of one learner beats one of another",
        "two arrays of seeds × tasks",
        probability_of_improvement,
    ),
    "rank_intervals": Measure(
        "places that the means of compared learners may have",
        "a value or Undefined by seed for each learner",
        rank_intervals,
    ),
    "permutation_test": Measure(
        "exact test of equal means, and the smallest p it can reach",
        f"{_TWO} by seed",
        permutation_test,
    ),
    "holm": Measure("p values of several tests, corrected for their number", "p values", holm),
    "seeds_needed": Measure(
        "seeds that would decide an observed difference", "differences by seed", seeds_needed
    ),
    "rescore_noise_floor": Measure(
        "how far two scorings of one checkpoint differ",
        "item scores of both scorings",
        rescore_noise_floor,
    ),
    "sampling_noise_floor": Measure(
        "the same floor from the samples of one scoring",
        "mean scores of items, samples of each",
        sampling_noise_floor,
    ),
}
"""The certainty of a number, and of the difference of two."""
