"""Numbers of one run against values worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from cl_bench.analysis.run_values import RUN_METRICS, Measured, run_metrics
from cl_bench.metrics.undefined import Undefined
from cl_bench.store.run_tables import open_run
from tests.report.synthetic_runs import write_run
from tests.report.synthetic_tables import Synthetic

# By step: the learner's prompt on math and on code; the seed prompt has half of it.
SCORES = {0: (0.25, 0.125), 10: (0.5, 0.25), 20: (0.75, 0.25), 30: (0.25, 0.5), 40: (0.5, 1.0)}
OUTSIDE = {0: 0.75, 20: 0.5, 30: 0.25, 40: 0.625}
HARDER = {0: 0.0, 20: 0.25, 40: 0.5}


def scores(step: int, domain: str, prompt: str) -> float:
    if prompt == "stated":
        return OUTSIDE[step]
    if prompt == "greedy":
        return 0.25 if domain == "code" else 0.125
    if prompt == "harder":
        return HARDER[step] + (0.25 if domain == "code" else 0)
    accuracy = SCORES[step][domain == "code"]
    return accuracy / 2 if prompt == "seed" else accuracy


def kl(step: int, domain: str, prompt: str) -> float:
    return step * (0.001 if domain == "math" else 0.003) * (2 if prompt == "seed" else 1)


def test_every_number_equals_the_one_worked_out_by_hand(tmp_path: Path) -> None:
    spec = Synthetic(accuracy=scores, kl=kl, harder=True, greedy=True, formed=0.75, cut=0.125)
    run = write_run(tmp_path / "run", spec)
    assert run_metrics(open_run(run)) == pytest.approx(
        {
            "average_accuracy": (0.5 + 1) / 2,
            "average_accuracy_seed_prompt": (0.25 + 0.5) / 2,
            # math alone after stage 1, both after stage 2
            "anytime_average_accuracy": (0.75 + (0.5 + 1) / 2) / 2,
            "bwt_gem": 0.5 - 0.75,
            "forgetting_max": 0.75 - 0.5,
            # math is at its worst inside stage 2, and half of that is gone at its end
            "min_accuracy": 0.25,
            "stability_gap": 0.5 - 0.25,
            "retention_delta": 0.625 - 0.75,
            "harder_accuracy": (0.5 + 0.75) / 2,
            # 8 of 16 responses are right: two to each of the first half of the problems
            "pass_at_k": (0.5 + 1) / 2,
            "greedy_accuracy": (0.125 + 0.25) / 2,
            "kl_policy_base": (0.04 + 0.12) / 2,
            "kl_policy_base_seed_prompt": (0.08 + 0.24) / 2,
            "kl_deployed_start": (0.08 + 0.24) / 2,
            "format_rate": 0.75,
            "truncation_rate": 0.125,
            "completion_tokens": 20,
            # 40 steps of 10 RL and 5 other rollouts, 30 tokens each, and 30 tokens of reflection
            "rollouts": 600,
            "tokens": 600 * 30 + 40 * 30,
            "seconds": 5 * 10,
        }
    )
    assert run_metrics(open_run(run)).keys() == RUN_METRICS.keys()


def test_shares_lie_between_0_and_1_and_differences_of_shares_above_minus_1(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", accuracy=scores, harder=True, greedy=True, formed=0.75)
    found = run_metrics(open_run(run))
    for name, metric in RUN_METRICS.items():
        value = found[name]
        assert isinstance(value, float), name
        assert value >= (-1 if metric.quantity.is_change else 0), name
        assert metric.unit != "share" or value <= 1, name


def test_matrix_and_trajectory_have_a_column_for_every_stage(tmp_path: Path) -> None:
    stages = (("math", 20), ("code", 10), ("math", 10))
    run = Measured(open_run(write_run(tmp_path / "run", stages=stages, accuracy=scores, kl=kl)))
    first, second, third, end = SCORES[0], SCORES[20], SCORES[30], SCORES[40]
    expected = [[m, c, m] for m, c in (first, second, third, end)]
    np.testing.assert_array_equal(run.matrix(), expected)
    np.testing.assert_array_equal(run.matrix("seed"), np.array(expected) / 2)
    np.testing.assert_allclose(run.matrix(column="kl_policy_base")[-1], [0.04, 0.12, 0.04])
    acc_E_J, stage_E = run.trajectory()
    np.testing.assert_array_equal(acc_E_J, [[m, c, m] for m, c in SCORES.values()])
    assert stage_E.tolist() == [0, 1, 1, 2, 3]
    assert run.ends == (20, 30, 40)


def test_the_curve_is_the_mean_over_the_stages_by_what_was_spent(tmp_path: Path) -> None:
    run = Measured(open_run(write_run(tmp_path / "run", accuracy=scores)))
    accuracy, samples = run.curve("samples_slow")
    np.testing.assert_allclose(accuracy, [sum(pair) / 2 for pair in SCORES.values()])
    assert samples.tolist() == [0, 100, 200, 300, 400]
    assert run.curve("rollouts")[1].tolist() == [0, 150, 300, 450, 600]


def test_peaks_are_sought_on_validation_problems_if_any_were_asked(tmp_path: Path) -> None:
    spec = Synthetic(accuracy=scores, validation=lambda step, *_: step / 80)
    run = Measured(open_run(write_run(tmp_path / "run", spec)))
    accuracy, samples = run.curve("samples_slow")
    assert accuracy.tolist() == [0, 0.125, 0.25, 0.375, 0.5]
    assert samples.tolist() == [0, 100, 200, 300, 400]
    assert run.peak_set == "validation"
    without = Measured(open_run(write_run(tmp_path / "without", accuracy=scores)))
    assert without.peak_set == "stream"
    # results stay those of the test problems
    np.testing.assert_array_equal(run.matrix(), without.matrix())
    np.testing.assert_array_equal(run.trajectory()[0], without.trajectory()[0])


def test_one_response_to_each_problem_has_no_pass_at_k_and_no_item_no_reason_to_guess(
    tmp_path: Path,
) -> None:
    one = run_metrics(open_run(write_run(tmp_path / "one", samples=1)))["pass_at_k"]
    assert one == Undefined("one response to each problem: pass@1 is the accuracy")
    none = run_metrics(open_run(write_run(tmp_path / "none", items=0)))["pass_at_k"]
    assert none == Undefined("single responses at the stream's end were not kept")


def test_an_unfinished_run_has_reasons_where_it_has_no_numbers(tmp_path: Path) -> None:
    run = open_run(write_run(tmp_path / "run", accuracy=scores, last=30, status="running"))
    found = run_metrics(run)
    assert found["average_accuracy"] == Undefined("missing cells R[2, 1], R[2, 2]")
    assert found["kl_policy_base"] == Undefined("no evaluation at the stream's end (step 40)")
    assert found["retention_delta"] == Undefined("needs the base model and the end of the stream")
    assert found["harder_accuracy"] == Undefined("the hardest setting was not evaluated")
    assert found["rollouts"] == 30 * 15


def test_a_run_before_its_first_evaluation_has_no_accuracy_and_spent_nothing(
    tmp_path: Path,
) -> None:
    run = open_run(write_run(tmp_path / "run", last=-1, status="failed"))
    found = run_metrics(run)
    numbers = {name for name, value in found.items() if not isinstance(value, Undefined)}
    assert numbers == {"rollouts", "tokens"}
    assert found["rollouts"] == 0
    assert Measured(run).trajectory()[0].shape == (0, 2)


def test_what_was_not_measured_says_where() -> None:
    def run(*shares: float | None) -> Measured:
        named = zip(("math", "code"), shares, strict=True)
        points = [
            SimpleNamespace(prompt="learner", step=40, domain=name, format_rate=share)
            for name, share in named
        ]
        return cast(Measured, SimpleNamespace(points=points, ends=(20, 40)))

    said = "format_rate was not measured"
    assert Measured.last(run(0.5, 0.25), "format_rate", "learner") == 0.375
    assert Measured.last(run(None, None), "format_rate", "learner") == Undefined(said)
    assert Measured.last(run(0.5, None), "format_rate", "learner") == Undefined(f"{said} on code")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_divergence_that_is_no_number_names_its_domain(value: float, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", kl=lambda _, domain, __: value if domain == "code" else 0.1)
    found = run_metrics(open_run(run))
    assert found["kl_policy_base"] == Undefined("kl_policy_base is not a number on code")


def test_the_best_prompt_is_the_one_with_the_highest_score_after_the_last_round(
    tmp_path: Path,
) -> None:
    texts = ("first", "second", "third")
    assert Measured(open_run(write_run(tmp_path / "a", texts=texts))).best_prompt() == "third"
    assert Measured(open_run(write_run(tmp_path / "b", texts=()))).best_prompt() is None
