"""Wrong numbers that other suites shipped: each by name, with the right number."""

from __future__ import annotations

import numpy as np
import pytest

from cl_bench.contract.registry import DOMAINS
from cl_bench.metrics import (
    METRICS,
    Undefined,
    average_accuracy,
    bwt_gem,
    bwt_trace,
    forgetting_first,
    forgetting_max,
    over_seeds,
)
from cl_bench.metrics.stats.student import Estimate

TWO_TASKS = [[0.0, 0.0], [0.9, 0.0], [0.4, 0.8]]
NAMES = sorted(METRICS)


def test_forgetting_does_not_skip_the_next_to_last_task() -> None:
    assert forgetting_max(TWO_TASKS) == pytest.approx(0.5)  # the bug gives 0


def test_forgetting_is_not_clipped_at_zero() -> None:
    improved = [[0.0, 0.0], [0.50, 0.0], [0.75, 0.8]]
    assert forgetting_max(improved) == pytest.approx(-0.25)
    assert forgetting_first(improved) == pytest.approx(-0.25)


def test_the_best_of_forgetting_does_not_include_the_final_row() -> None:
    # with the final row the maximum would be 0.75 and the value 0
    assert forgetting_max([[0.0, 0.0], [0.25, 0.0], [0.75, 0.8]]) == pytest.approx(-0.5)


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_does_not_change_the_callers_array(name: str) -> None:
    acc_I_J = np.array(TWO_TASKS)
    acc_I_J.setflags(write=False)  # writing into it would raise
    METRICS[name].function(acc_I_J)
    np.testing.assert_array_equal(acc_I_J, TWO_TASKS)


def test_backward_transfer_over_t_and_over_t_minus_1_have_names_of_their_own() -> None:
    assert bwt_gem(TWO_TASKS) == pytest.approx(-0.5)
    assert bwt_trace(TWO_TASKS) == pytest.approx(-0.25)


def test_a_missing_cell_is_not_averaged_away() -> None:
    missing = [[0.0, 0.0], [0.9, 0.0], [0.4, np.nan]]
    assert average_accuracy(missing) == Undefined("missing cell R[2, 2]")  # the bug gives 0.4


def test_a_score_of_zero_is_not_a_missing_one() -> None:
    assert average_accuracy([[0.5, 0.5], [0.5, 0.5], [0.0, 0.8]]) == pytest.approx(0.4)
    assert bwt_gem([[0.5, 0.5], [0.5, 0.5], [0.0, 0.8]]) == pytest.approx(-0.5)


def test_one_seed_has_no_standard_error_of_zero() -> None:
    found = over_seeds({0: 0.6})
    assert isinstance(found, Estimate)
    assert isinstance(found.interval, Undefined)


def test_no_metric_picks_the_best_checkpoint_on_the_test_set() -> None:
    # the learner was best after stage 1; what counts is where it ended
    assert average_accuracy([[0.0, 0.0], [1.0, 1.0], [0.2, 0.3]]) == pytest.approx(0.25)


@pytest.mark.parametrize("name", list(DOMAINS))
def test_item_i_of_a_seed_is_not_item_i_minus_1_of_the_next(name: str) -> None:
    here, there = (
        [
            problem.prompt
            for problem in DOMAINS.load(name)
            .task(seed=seed, setting="default", feedback="none")
            .problems("train", 50)
        ]
        for seed in (3, 4)
    )
    equal = sum(one == other for one, other in zip(here[1:], there[:-1], strict=True))
    assert equal <= 2  # reasoning-gym: 49


@pytest.mark.parametrize("name", list(DOMAINS))
def test_an_answer_that_merely_contains_the_right_one_scores_nothing(name: str) -> None:
    task = DOMAINS.load(name).task(seed=0, setting="default", feedback="none")
    for problem in task.problems("test", 20):
        for response in (f"{problem.answer} {problem.answer}0", "42", f"not {problem.answer}9"):
            assert task.verify(problem, response).score == 0.0


@pytest.mark.parametrize("name", list(DOMAINS))
def test_no_verifier_executes_the_models_text(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    task = DOMAINS.load(name).task(seed=0, setting="default", feedback="step")
    (problem,) = task.problems("test", 1)
    for response in ("print('executed')", "__import__('os').system('echo executed')", "1+1"):
        assert task.verify(problem, response).score == 0.0
        assert task.verify(problem, f"ANSWER: {response}").score == 0.0
    assert "executed" not in "".join(capfd.readouterr())
