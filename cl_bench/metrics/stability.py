"""The fate of a finished task during and after later stages."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cl_bench.metrics.arrays import Array, missing, real_array, same_shape
from cl_bench.metrics.undefined import Undefined


def min_accuracy(acc_E_J: ArrayLike, stage_E: ArrayLike) -> float | Undefined:
    """Mean over finished tasks of the worst accuracy in any later stage.

    1/(T−1) Σ_{j<T} min_{e: stage(e) > j} R[e, j]. De Lange et al. 2023, "min-ACC". `acc_E_J`,
    shape (E, T), has a row per evaluation in order of training, `stage_E`, shape (E,), the stage
    1…T that each belongs to (0: before training), the last of a stage being its end. Undefined
    when a later stage was evaluated at its end only: a dip within it would not show. A minimum of
    noisy scores is biased downwards, more so with more evaluations.
    """
    checked = _evaluations(acc_E_J, stage_E, own_ends=False)
    if isinstance(checked, Undefined):
        return checked
    acc, stage = checked
    finished = range(acc.shape[1] - 1)  # tasks count from 0 here, stages from 1
    return float(np.mean([acc[stage > task + 1, task].min() for task in finished]))


def stability_gap(acc_E_J: ArrayLike, stage_E: ArrayLike) -> float | Undefined:
    """Dip of finished tasks inside later stages that is gone at the stages' ends; at least 0.

    Mean over stages s ≥ 2 and tasks j < s of min(R[s−1, j], R[s, j]) − min_{e in s} R[e, j], with
    R[s, j] the accuracy at the end of stage s: what evaluation at stage ends alone misses. The
    phenomenon is De Lange et al. 2023, the number ours. Arguments and caveats as `min_accuracy`.
    """
    checked = _evaluations(acc_E_J, stage_E, own_ends=True)
    if isinstance(checked, Undefined):
        return checked
    acc, stage = checked
    dips = []
    for later in range(2, acc.shape[1] + 1):
        inside = acc[stage == later, : later - 1]
        before, after = acc[stage == later - 1, : later - 1][-1], inside[-1]
        dips.extend(np.minimum(before, after) - np.minimum(inside.min(axis=0), before))
    return float(np.mean(dips))


def turnover(solved_then_N: ArrayLike, solved_end_N: ArrayLike) -> float | Undefined:
    """Share of the items solved at the end of their stage that are unsolved at the end.

    |solved then, unsolved at the end| / |solved then|, over the items of all finished tasks, shape
    (N,), 1 or True where solved. It sees losses that gains on other items hide from an average.
    """
    then = real_array("solved_then_N", solved_then_N, "N")
    end = real_array("solved_end_N", solved_end_N, "N")
    same_shape(solved_then_N=then, solved_end_N=end)
    undefined = missing(solved_then_N=then, solved_end_N=end)
    if undefined is not None:
        return undefined
    for name, solved in (("solved_then_N", then), ("solved_end_N", end)):
        if not np.isin(solved, (0, 1)).all():
            raise ValueError(
                f"{name} holds 0 or 1 for each item; decide first when an item counts as solved, "
                f"such as `score >= 0.5`."
            )
    if not then.any():
        return Undefined("no item was solved at the end of its stage")
    return float(1 - end[then == 1].mean())


def general_ability_delta(acc_I_D: ArrayLike) -> float | Undefined:
    """Change on held-out retention tasks over the whole stream; negative means ability was lost.

    1/D Σ_d (R[T, d] − R[0, d]). Wang et al. 2023 (TRACE), "general ability delta". `acc_I_D` has
    one row per evaluation, the base model's first and the end of the stream last, and a column
    per task outside the stream.
    """
    acc = real_array("acc_I_D", acc_I_D, "ID")
    if len(acc) < 2:
        return Undefined(f"needs the base model and the end of the stream, got {len(acc)} row(s)")
    undefined = missing(base=acc[0], end=acc[-1])
    return float((acc[-1] - acc[0]).mean()) if undefined is None else undefined


def _evaluations(
    acc_E_J: ArrayLike, stage_E: ArrayLike, own_ends: bool
) -> tuple[Array, Array] | Undefined:
    """Return both arrays after checks, or why values are missing.

    `own_ends` says whether the accuracy of a task at the end of its own stage is needed.
    """
    acc = real_array("acc_E_J", acc_E_J, "EJ")
    stage = real_array("stage_E", stage_E, "E")
    same_shape(rows_of_acc_E_J=acc[:, :1].ravel(), stage_E=stage)
    tasks = acc.shape[1]
    if np.isnan(stage).any() or (np.diff(stage) < 0).any():
        raise ValueError("stage_E holds the stage of every evaluation, in order of training.")
    if not np.isin(stage, range(tasks + 1)).all():
        raise ValueError(f"stage_E holds stages from 0 to T = {tasks}.")
    if tasks < 2:
        return Undefined(f"needs at least 2 stages, got {tasks}")
    counts = [int((stage == number).sum()) for number in range(1, tasks + 1)]
    if 0 in counts:
        return Undefined(f"no evaluation at the end of stage {counts.index(0) + 1}")
    if 1 in counts[1:]:
        return Undefined(f"needs evaluations inside stage {counts.index(1, 1) + 1}")
    needed = stage[:, None] > np.arange(1, tasks + 1)
    if own_ends:
        ends = np.cumsum(counts) + int((stage == 0).sum()) - 1
        needed[ends, np.arange(tasks)] = True
    lost = np.argwhere(np.isnan(acc) & needed & (np.arange(tasks) < tasks - 1))
    if len(lost):
        return Undefined(f"missing acc_E_J[{lost[0][0]}, {lost[0][1]}]")
    return acc, stage
