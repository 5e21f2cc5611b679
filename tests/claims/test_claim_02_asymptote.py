"""Claim 2a on sigmoids whose asymptotes are known."""

from __future__ import annotations

import numpy as np
import pytest

from cl_bench.claims.claim_02_asymptote import CLAIM
from cl_bench.claims.subject import EMBEDDED
from cl_bench.metrics import Undefined
from cl_bench.metrics.stats.student import Estimate, Interval

from .synthetic import (
    Synthetic,
    additions,
    filled,
    heights,
    line,
    measures,
    plan_of,
    reason,
    shown,
    sigmoids,
    texts,
    value,
)
from .synthetic_stages import means

MEASURES = measures(CLAIM)

TOPS = {"facts": (0.8, 0.5), "code": (0.6, 0.5), "math": (0.55, 0.4)}
"""A of fast-slow training and of RL: 0.3, 0.1 and 0.15 apart."""
APART = (0.3 + 0.1 + 0.15) / 3


def rule(domain: str, learner: str, seed: int, share: float) -> float:
    """A sigmoid that has half of its gain after a tenth of the run; seed 101 is 0.02 higher."""
    top = TOPS[domain][learner == "rl"] - 0.1
    gained = 1 / (1 + (0.1 / share) ** 2) if share else 0.0
    return 0.1 + top * gained + 0.02 * (seed - 100)


@pytest.mark.parametrize("budget", ["small", "full"])
def test_the_value_is_the_mean_difference_of_the_fitted_asymptotes(budget: str) -> None:
    data = filled(plan_of(budget), EMBEDDED.singles, ("rl", "fst"), rule)
    found = MEASURES["2a"](data, data.plan)
    assert found.value_by_seed == {}
    assert value(found.estimate) == pytest.approx(APART, abs=1e-4)
    assert shown(found, "facts", "fst") == pytest.approx(0.81, abs=1e-4)
    assert shown(found, "code", "rl") == pytest.approx(0.51, abs=1e-4)
    assert shown(found, "math", "difference") == pytest.approx(0.15, abs=1e-4)
    assert found.notes == ()


def test_seeds_that_move_both_learners_alike_do_not_widen_the_interval() -> None:
    data = filled(plan_of(seeds=3), EMBEDDED.singles, ("rl", "fst"), rule)
    found = MEASURES["2a"](data, data.plan)
    assert isinstance(found.estimate, Estimate)
    assert isinstance(found.estimate.interval, Interval)
    assert found.estimate.interval.high - found.estimate.interval.low < 1e-3
    alone = found.details[0].values["fst"]
    assert isinstance(alone, Estimate)
    assert isinstance(alone.interval, Interval)
    assert alone.interval.high - alone.interval.low > 0.02


def test_the_interval_is_the_same_again_whatever_the_order_of_rows() -> None:
    data = filled(plan_of(), EMBEDDED.singles, ("rl", "fst"), rule)
    again = filled(plan_of(), EMBEDDED.singles[::-1], ("fst", "rl"), rule)
    assert MEASURES["2a"](data, data.plan) == MEASURES["2a"](again, again.plan)


def test_one_fit_that_is_undefined_leaves_no_mean_and_the_others_are_shown() -> None:
    data = filled(
        plan_of(),
        EMBEDDED.singles,
        ("rl", "fst"),
        lambda d, name, s, share: 0.2 if (d, name) == ("facts", "rl") else rule(d, name, s, share),
    )
    found = MEASURES["2a"](data, data.plan)
    why = "the fitted asymptote is at its bound, R0: the curve does not rise"
    assert reason(found.estimate) == f"{why} (facts RL)"
    assert found.details[0].values["rl"] == Undefined(why)
    assert shown(found, "facts", "fst") == pytest.approx(0.81, abs=1e-4)
    assert shown(found, "math", "difference") == pytest.approx(0.15, abs=1e-4)


def test_a_curve_that_has_not_levelled_off_is_not_extrapolated() -> None:
    def slow(domain: str, learner: str, seed: int, share: float) -> float:
        # Half of the gain at the end of the run: A = 0.8 from a best of 0.45.
        late = learner == "rl" and domain == "code"
        gained = 1 / (1 + (1 / share) ** 2) if share else 0.0
        return 0.1 + 0.7 * gained if late else rule(domain, learner, seed, share)

    data = filled(plan_of(), EMBEDDED.singles, ("rl", "fst"), slow)
    found = MEASURES["2a"](data, data.plan)
    assert reason(found.estimate) == (
        "A = 80.0 % extrapolates from the best mean accuracy, 45.0 % (code RL)"
    )


def test_a_seed_without_one_of_its_runs_is_left_out_and_counted() -> None:
    data = filled(plan_of(seeds=3), EMBEDDED.singles, ("rl", "fst"), rule)
    data.lose("code", "rl", 102, "diverged at step 3")
    found = MEASURES["2a"](data, data.plan)
    assert str(found.estimate).endswith("2 of 3 seeds")
    assert shown(found, "facts", "fst") == pytest.approx(0.81, abs=1e-4)
    (note,) = found.notes
    assert note.startswith("seed 102 is left out: code: run code-rl-102-")
    assert note.endswith("diverged at step 3")


def test_one_seed_has_asymptotes_and_no_interval() -> None:
    data = filled(plan_of(seeds=1), EMBEDDED.singles, ("rl", "fst"), rule)
    found = MEASURES["2a"](data, data.plan)
    assert value(found.estimate) == pytest.approx(APART, abs=1e-4)
    for estimate in (found.estimate, *found.details[0].values.values()):
        assert isinstance(estimate, Estimate)
        assert estimate.interval == Undefined("one seed shows no interval over seeds")


def test_runs_that_were_evaluated_elsewhere_have_no_mean() -> None:
    data = filled(plan_of(), EMBEDDED.singles, ("rl", "fst"), rule)
    data.add("math", "rl", 101, list(np.linspace(0.1, 0.5, 9)))
    found = MEASURES["2a"](data, data.plan)
    assert found.estimate == Undefined("runs of rl were evaluated at different numbers of samples")


def test_reasons_are_said_once_with_the_curves_that_they_are_about() -> None:
    flat = filled(plan_of(), EMBEDDED.singles, ("rl", "fst"), lambda _d, _l, seed, _s: seed / 500)
    found = MEASURES["2a"](flat, flat.plan)
    curves = ", ".join(f"{domain} FST and RL" for domain in EMBEDDED.singles)
    said = reason(found.estimate)
    assert said.count("does not rise") == 1
    assert said.endswith(f"({curves})")


def test_headroom_is_what_the_plateau_of_rl_leaves_to_all() -> None:
    data = Synthetic(plan_of())
    for domain in EMBEDDED.singles:
        for seed in data.plan.seeds:
            data.add(domain, "rl", seed, [0.1, 0.2, 0.93, 1.0])
    added = additions(CLAIM)["2b"](data, data.plan)
    assert means(line(added, "code"))["headroom"] == pytest.approx(1 - (0.2 + 0.93 + 1.0) / 3)


def test_asymptotes_are_lines_with_their_values() -> None:
    data = sigmoids()
    axes = CLAIM.figure(data, data.plan).axes[0]
    assert texts(axes) == ["RL: A = 41.0 %", "FST: A = 61.0 %"]
    level = [np.asarray(drawn.get_ydata(), float) for drawn in axes.lines]
    flat = [y[0] for y in level if len(y) == 2 and y[0] == y[1]]
    assert flat == pytest.approx([0.41, 0.61], abs=1e-4)


def test_curves_without_a_fit_are_still_drawn() -> None:
    data = sigmoids(["facts", "math"])
    figure = CLAIM.figure(data, data.plan)
    assert heights(figure.axes[0], "fst")[0] == pytest.approx(0.11)
    assert texts(figure.axes[1]) == ["no runs"]
