"""Two runs of one seed, which were asked the same items, and how far their difference can be
trusted.

Items are drawn with replacement, the same ones for both runs, at all evaluations and under both
prompts, and every number is computed anew from them: what makes an item hard for both cancels out.
To the N items of a domain are added the four halves of an item that Agresti and Min (2005) add to a
table of matched pairs: half an item that only the candidate solves, half that only the reference
solves, and one on which they agree. So five items that all changed alike show no certainty, and
differences of no item at all are not taken for proof.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from cl_bench.analysis.paired import ItemNoise, PairedDifference
from cl_bench.analysis.run_values import Measured, RunMetric
from cl_bench.metrics.arrays import Array
from cl_bench.metrics.undefined import Undefined, finite
from cl_bench.store.schema import TABLES, TEXT
from cl_bench.store.views import stream_rows

if TYPE_CHECKING:
    import pandas as pd

_COMPARED = ("evaluations", "items", "steps", "prompts", "ledger")
"""The tables that are equal where two runs did the same, wall time apart."""
RESAMPLES = 500
SEED = 20_050_115
"""Of the generator: the same tables give the same interval."""
_PSEUDO = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [1.0, 1.0]])
"""Run and reference on what is added, half an item each."""

EvaluationPoint = tuple[int, str, str]
"""An evaluation: step, domain, prompt."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Two runs of one seed."""

    seed: int
    run: Measured
    reference: Measured

    @cached_property
    def identical(self) -> bool:
        """Whether all tables are equal to the last bit, wall time apart and columns that one of the
        runs did not measure at all."""
        return all(self._equal(table) for table in _COMPARED)

    @cached_property
    def items(self) -> ItemScores | Undefined:
        """The scores of both on the same items."""
        return ItemScores.of(self.run, self.reference)

    def _equal(self, table: str) -> bool:
        ours, theirs = self.run.run.table(table), self.reference.run.table(table)  # held by nobody
        left_out = ["seconds", *_unmeasured(table, ours), *_unmeasured(table, theirs)]
        ours, theirs = (
            frame.drop(columns=left_out, errors="ignore").reset_index(drop=True)
            for frame in (ours, theirs)
        )
        return bool(ours.equals(theirs))


def _unmeasured(table: str, frame: pd.DataFrame) -> list[str]:
    """The numbers that may be null and are in every row."""
    numbers = [field.name for field in TABLES[table] if field.nullable and field.type != TEXT]
    return [name for name in numbers if frame[name].isna().all()]


def paired_values(pairs: Sequence[Pair], metric: RunMetric) -> PairedDifference:
    """A metric of the runs of all pairs minus that of the references."""
    return PairedDifference(
        {pair.seed: finite(metric.value(pair.run)) for pair in pairs},
        {pair.seed: finite(metric.value(pair.reference)) for pair in pairs},
    )


class ItemScores:
    """The scores of two runs of one seed on the same items of the stream."""

    def __init__(self, measured: Measured, axes: _Axes, scores: Sequence[Array]) -> None:
        self._measured, self._axes, self._scores = measured, axes, scores

    @classmethod
    def of(cls, run: Measured, reference: Measured) -> ItemScores | Undefined:
        """`Undefined` where the two were not asked the same items at the same steps."""
        means = [_means(run) for run in (run, reference)]
        axes = _Axes.of(reference)
        scores = []
        for domain in axes.domains:
            both = [_wide(frame, domain, axes) for frame in means]
            if not both[0].index.equals(both[1].index):
                return Undefined(f"the items of {domain} differ")
            cube = np.stack([frame.to_numpy(np.float64) for frame in both])
            if not cube.size or np.isnan(cube).any():
                return Undefined(f"not all items of {domain} were scored at every evaluation")
            scores.append(cube.reshape(2, len(both[0]), len(axes.prompts), len(axes.steps)))
        return cls(reference, axes, scores)

    @property
    def items(self) -> int:
        """Items of the domain that has fewest."""
        return min(int(score.shape[1]) for score in self._scores)

    def of_metric(self, metric: RunMetric) -> ItemNoise | Undefined | None:
        """The difference run − reference of a metric that is computed from accuracies; None
        of one that is not."""
        runs = [_OfItems(self._measured, self._axes) for _ in range(2)]
        values = np.empty((2, RESAMPLES))
        for side, run in enumerate(runs):
            for draw in range(RESAMPLES):
                run.acc_P_E_J = self._accuracies[side, draw]
                try:
                    value = metric.value(run)
                except _NotOfItemsError:
                    return None
                if isinstance(value, Undefined):
                    return value
                values[side, draw] = value
        return self._summary(values[0] - values[1])

    def of_points(self, points: Sequence[EvaluationPoint]) -> ItemNoise:
        """The difference run − reference of the mean accuracy over some evaluations."""
        axes = self._axes
        places = [
            (axes.prompts.index(prompt), axes.steps.index(step), axes.domains.index(domain))
            for step, domain, prompt in points
        ]
        prompt_N, step_N, domain_N = np.array(places).reshape(-1, 3).T
        accuracy = self._accuracies[:, :, prompt_N, step_N, domain_N].mean(axis=-1)
        return self._summary(accuracy[0] - accuracy[1])

    def _summary(self, difference_R: Array) -> ItemNoise:
        return ItemNoise(float(difference_R.mean()), float(difference_R.std(ddof=1)), self.items)

    @cached_property
    def _accuracies(self) -> Array:
        """Of both runs: shape (2, RESAMPLES, prompts, evaluations, domains)."""
        rng = np.random.default_rng(SEED)
        return np.stack([_resampled(score, rng) for score in self._scores], axis=-1)


def of_accuracies(metric: RunMetric, run: Measured) -> bool:
    """Whether a metric of a run is computed from accuracies alone, which are means over items."""
    axes = _Axes.of(run)
    blank = _OfItems(run, axes)
    blank.acc_P_E_J = np.zeros((len(axes.prompts), len(axes.steps), len(axes.domains)))
    try:
        metric.value(blank)
    except _NotOfItemsError:
        return False
    return True


def _resampled(score_2_N_P_E: Array, rng: np.random.Generator) -> Array:
    """Accuracy of both runs on resampled items of a domain, shape (2, RESAMPLES, P, E)."""
    _, items, prompts, evaluations = score_2_N_P_E.shape
    added = np.broadcast_to(_PSEUDO.T[:, :, None, None], (2, 4, prompts, evaluations))
    score = np.concatenate([score_2_N_P_E, added], axis=1)
    weight = np.array([1.0] * items + [0.5] * 4) / (items + 2)
    drawn = rng.multinomial(items + 2, weight, size=RESAMPLES) / (items + 2)
    accuracy: Array = np.einsum("rn,snpe->srpe", drawn, score, optimize=True)
    return accuracy


@dataclass(frozen=True)
class _Axes:
    """The meaning of the axes of accuracies."""

    prompts: tuple[str, ...]
    steps: tuple[int, ...]
    stages: tuple[int, ...]
    """Of every step."""
    ends: tuple[bool, ...]
    """Of every step: whether it is the start or the end of a stage."""
    domains: tuple[str, ...]

    @classmethod
    def of(cls, run: Measured) -> _Axes:
        rows = stream_rows(run.table("evaluations"))
        points = rows.drop_duplicates("step").sort_values("step")
        return cls(
            tuple(sorted(set(rows["prompt"]))),
            tuple(points["step"].tolist()),
            tuple(points["stage"].tolist()),
            tuple((points["at"] != "inside").tolist()),
            tuple(dict.fromkeys(run.stages)),
        )


class _NotOfItemsError(Exception):
    """A metric asked for more than accuracies."""


class _OfItems(Measured):
    """A run whose accuracies are given: what `Measured` reads from its tables."""

    acc_P_E_J: Array

    def __init__(self, measured: Measured, axes: _Axes) -> None:
        super().__init__(measured.run)
        self._axes = axes
        self._columns = [axes.domains.index(domain) for domain in self.stages]
        self._rows = [place for place, end in enumerate(axes.ends) if end]

    def matrix(self, prompt: str = "learner", column: str = "accuracy") -> Array:
        if column != "accuracy":
            raise _NotOfItemsError(column)
        whole: Array = self.acc_P_E_J[self._axes.prompts.index(prompt)]
        return whole[self._rows][:, self._columns]

    def trajectory(self, prompt: str = "learner") -> tuple[Array, Array]:
        whole: Array = self.acc_P_E_J[self._axes.prompts.index(prompt)]
        return whole[:, self._columns], np.array(self._axes.stages, np.float64)

    def table(self, name: str) -> NoReturn:
        raise _NotOfItemsError(name)

    def rows(self, name: str, *columns: str, where: Mapping[str, object] | None = None) -> NoReturn:
        raise _NotOfItemsError(name)


def _means(run: Measured) -> pd.Series:
    """The mean score over samples, by domain, prompt, step and item."""
    rows = stream_rows(run.run.table("items"))  # held by nobody: it is the largest table
    return rows.groupby(["domain", "prompt", "step", "uid"])["score"].mean()


def _wide(means: pd.Series, domain: str, axes: _Axes) -> pd.DataFrame:
    """A row for each item of a domain, a column for each prompt and step."""
    import pandas as pd

    if domain not in means.index.get_level_values("domain"):
        return pd.DataFrame()
    wide = means.loc[domain].unstack(["prompt", "step"])
    columns = pd.MultiIndex.from_product([axes.prompts, axes.steps], names=["prompt", "step"])
    return wide.reindex(columns=columns)
