"""Claim 9 on runs whose levels are known."""

from __future__ import annotations

import numpy as np
import pytest

from cl_bench.claims.claim_09_prompt_ceiling import CLAIM, middle_window
from cl_bench.claims.subject import EMBEDDED

from .synthetic import additions, filled, levelled, measures, plan_of, reason, shown, sigmoids

MEASURES = measures(CLAIM)


def test_the_gain_of_the_second_half_counts_from_the_three_around_the_middle() -> None:
    data = levelled()
    for domain in EMBEDDED.singles:
        #                 0    10   20   30   40   50   60   70   80 steps
        rising = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.6, 0.7]
        data.add(domain, "prompt", 100, rising)
    data.add("code", "prompt", 101, [0.2] * 9)
    found = MEASURES["9b"](data, data.plan)
    assert found.value_by_seed[100] == pytest.approx(-(0.6 - 0.4))
    assert shown(found, "code, prompt-only", "middle") == pytest.approx((0.4 + 0.2) / 2)
    assert shown(found, "code, prompt-only", "end") == pytest.approx((0.6 + 0.2) / 2)
    assert shown(found, "code, prompt-only", "gain") == pytest.approx(0.1)


@pytest.mark.parametrize("budget", ["small", "full"])
def test_prompt_only_that_levels_off_at_the_middle_gains_next_to_nothing(budget: str) -> None:
    data = levelled(budget)
    found = MEASURES["9b"](data, data.plan)
    for gain in found.value_by_seed.values():
        assert isinstance(gain, float)
        assert -0.02 < gain < 0


@pytest.mark.parametrize(
    ("steps", "window"),
    [
        (range(0, 130, 10), slice(5, 8)),
        ([*range(0, 40, 3), 40], slice(6, 9)),
        ([0, 1, 2, 3, 4, 5, 6, 7], slice(2, 5)),
        ([0, 50, 60, 70, 80, 90, 100], slice(0, 3)),
    ],
)
def test_the_middle_is_found_by_steps(steps: list[int], window: slice) -> None:
    assert middle_window(np.array(steps, float)) == window


@pytest.mark.parametrize("steps", [[0, 1, 2, 3, 4, 5, 6], [0, 60, 70, 80], [0, 90, 95, 96, 100]])
def test_a_middle_among_the_last_three_is_undefined(steps: list[int]) -> None:
    said = reason(middle_window(np.array(steps, float)))
    assert said == f"of {len(steps)} evaluations the middle three are not before the last"


def test_unequal_costs_of_the_ceiling_are_said() -> None:
    plan = plan_of()
    data = filled(plan, EMBEDDED.singles, ("prompt", "fst"), lambda _d, _l, _s, share: share)
    spent = plan.budget.single_samples
    (note,) = additions(CLAIM)["9a"](data, plan).notes
    assert f"{spent // 2:,} rollouts of prompt-only with {spent * 3 // 2:,}" in note


def test_the_plateau_of_prompt_only_ends_with_its_run() -> None:
    data = sigmoids()
    axes = CLAIM.figure(data, data.plan).axes[0]
    assert axes.get_xscale() == "symlog"
    (dashed,) = [drawn for drawn in axes.lines if drawn.is_dashed()]
    assert np.asarray(dashed.get_xdata(), float)[-1] == data.plan.budget.single_samples / 2


def test_the_ceiling_is_prompt_onlys_plateau() -> None:
    data = sigmoids()
    axes = CLAIM.figure(data, data.plan).axes[2]
    measured = MEASURES["9b"](data, data.plan)
    middle, end = (shown(measured, "math, prompt-only", name) for name in ("middle", "end"))
    flat = [
        float(np.asarray(drawn.get_ydata())[0])
        for drawn in axes.lines
        if len(np.unique(np.asarray(drawn.get_ydata()))) == 1
    ]
    assert sorted(flat) == pytest.approx(sorted([middle, end, end]))
