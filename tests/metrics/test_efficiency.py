"""Sample efficiency and normalised accuracy, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_bench.metrics import Undefined, normalised_accuracy, sample_efficiency, samples_to_reach

SAMPLES = [0, 100, 200, 300]


def test_a_level_is_reached_at_the_first_evaluation_at_or_above_it() -> None:
    curve = [0.1, 0.5, 0.3, 0.7]
    assert samples_to_reach(curve, SAMPLES, 0.5) == 100
    assert samples_to_reach(curve, SAMPLES, 0.4) == 100
    assert samples_to_reach(curve, SAMPLES, 0.6) == 300
    assert samples_to_reach(curve, SAMPLES, 0.1) == 0


def test_a_level_is_reached_by_the_same_accuracy_summed_in_another_order() -> None:
    reference, learner = (0.1 + 0.7) / 2, (0.3 + 0.5) / 2
    one, other = sorted((reference, learner, 0.1 + 0.3))[::2]
    assert one != other
    assert samples_to_reach([0.1, one, one, one], SAMPLES, other) == 100


def test_a_level_that_is_never_reached_is_undefined_and_the_best_is_said() -> None:
    value = samples_to_reach([0.1, 0.5, 0.3, 0.4], SAMPLES, 0.6)
    assert value == Undefined("never reached 60.0 %; the best is 50.0 %")


def test_sample_efficiency_compares_at_the_references_own_peak() -> None:
    # the reference peaks at 0.6 after 300 samples (and falls), the learner is there after 100
    learner, reference = [0.1, 0.6, 0.8, 0.8], [0.1, 0.3, 0.5, 0.6]
    assert sample_efficiency(learner, SAMPLES, reference, SAMPLES) == pytest.approx(3.0)
    assert sample_efficiency(learner, [0, 400, 800, 1200], reference, SAMPLES) == 0.75


def test_the_two_may_have_different_evaluation_points() -> None:
    assert sample_efficiency([0.1, 0.9], [0, 50], [0.1, 0.4, 0.3], [0, 200, 300]) == 4.0


def test_sample_efficiency_is_undefined_where_the_ratio_is_none() -> None:
    never = sample_efficiency([0.1, 0.2], [0, 10], [0.1, 0.5], [0, 10])
    assert never == Undefined("never reached 50.0 %; the best is 20.0 %")
    flat = sample_efficiency([0.1, 0.2], [0, 10], [0.1, 0.1], [0, 10])
    assert flat == Undefined("the reference is at the reference's peak (10.0 %) with 0 samples")
    ahead = sample_efficiency([0.7, 0.8], [0, 10], [0.1, 0.5], [0, 10])
    assert ahead == Undefined("the learner is at the reference's peak (50.0 %) with 0 samples")


@given(st.lists(st.integers(1, 100), min_size=2, max_size=8))
def test_against_itself_every_learner_has_an_efficiency_of_1(steps: list[int]) -> None:
    curve = [0.0, *np.array(steps) / 100]
    samples = range(len(curve))
    assert sample_efficiency(curve, samples, curve, samples) == 1.0


def test_normalised_accuracy_is_1_for_the_best_of_those_compared_and_0_for_the_base() -> None:
    value = normalised_accuracy([[0.1, 0.3, 0.2], [0.1, 0.5, 0.0]], base=0.1)
    assert value == pytest.approx(np.array([[0, 0.5, 0.25], [0, 1, -0.25]]))


def test_the_peak_is_sought_in_the_tasks_own_stage() -> None:
    value = normalised_accuracy([[0.1, 0.3, 0.5]], base=0.1, in_stage_P=[True, True, False])
    assert value == pytest.approx(np.array([[0, 1, 2]]))


def test_it_depends_on_the_compared_set() -> None:
    alone = normalised_accuracy([[0.3]], base=0.1)
    beside = normalised_accuracy([[0.3], [0.5]], base=0.1)
    assert not isinstance(alone, Undefined)
    assert not isinstance(beside, Undefined)
    assert (alone[0, 0], beside[0, 0]) == pytest.approx((1.0, 0.5))


def test_normalised_accuracy_is_undefined_without_a_gain() -> None:
    value = normalised_accuracy([[0.1, 0.05]], base=0.1)
    assert value == Undefined("no learner rose above the base (10.0 %) in the task's stage")
    assert normalised_accuracy([[np.nan]], base=0.1) == Undefined("missing acc_L_P[0, 0]")
    none = normalised_accuracy([[0.3]], base=0.1, in_stage_P=[False])
    assert none == Undefined("no point lies in the task's own stage")
    assert normalised_accuracy([[0.3]], base=np.nan) == Undefined("missing base")
