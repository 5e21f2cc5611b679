"""pass@k and constant answers of single responses, by values worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from cl_bench.analysis.responses import constant_answers, responses_of, said_of
from cl_bench.analysis.run_values import Measured
from cl_bench.metrics.undefined import Undefined
from cl_bench.store.run_tables import open_run
from tests.report.synthetic_runs import write_run

ROWS = [
    *[("facts", "a", score, "yes") for score in (1.0, 1.0, 1.0, 1.0)],
    *[("facts", "b", 0.0, answer) for answer in ("yes", "yes", None, "no")],
    *[("facts", "c", score, answer) for score, answer in ((0.0, "yes"), (1.0, "no"))],
    *[("facts", "c", score, answer) for score, answer in ((0.0, "yes"), (1.0, "no"))],
    # partial scores: a half is not right
    *[("code", "d", score, None) for score in (0.5, 1.0, 0.5, 0.0)],
]


def test_mean_at_k_counts_partial_scores_and_pass_at_k_right_responses() -> None:
    found = responses_of(ROWS)
    assert found["facts"].samples == 4
    assert found["facts"].mean == pytest.approx(6 / 12)
    # of 4, 0 and 2 right ones: 1, 0 and 1 - C(2, 2) / C(4, 2)
    assert found["facts"].pass_at(2) == pytest.approx((1 + 0 + 5 / 6) / 3)
    assert found["facts"].pass_at(4) == pytest.approx(2 / 3)
    assert found["code"].mean == pytest.approx(0.5)
    assert found["code"].pass_at(1) == pytest.approx(1 / 4)


def test_more_responses_than_were_sampled_and_uneven_ones_are_undefined() -> None:
    assert isinstance(responses_of(ROWS)["facts"].pass_at(5), Undefined)
    uneven = responses_of([*ROWS, ("facts", "a", 1.0, "yes")])["facts"]
    assert uneven.pass_at(2) == Undefined("problems have different numbers of responses")


def test_an_answer_that_earns_most_of_the_score_is_named_with_its_domain() -> None:
    found = constant_answers(responses_of(ROWS))
    assert found.keys() == {"facts"}
    # 8 of 12 responses say it, 4 of the 6 right ones
    sentence = 'facts: 66.7 % of responses say "yes", which earns 66.7 % of the score'
    assert said_of("facts", found["facts"]) == sentence


def test_a_long_answer_stands_in_one_short_line() -> None:
    rows = [("facts", str(n), float(n < 2), "first\nline " * 20) for n in range(4)]
    sentence = said_of("facts", constant_answers(responses_of(rows))["facts"])
    assert "\n" not in sentence
    assert len(sentence) < 140


def test_those_of_a_run_are_of_the_policy_and_the_learners_prompt(tmp_path: Path) -> None:
    # 5 of 8 right under the learner's prompt: both of problems 0 and 1, one of 2
    run = Measured(
        open_run(
            write_run(
                tmp_path / "run",
                items=4,
                accuracy=lambda step, _domain, prompt: 0.625 if prompt == "learner" else 0.0,
                greedy=True,
                harder=True,
                validation=lambda *_: 1.0,
            )
        )
    )
    found = run.responses(40)
    assert found.keys() == {"math", "code"}
    assert found["math"].scores == {
        f"math/stream/{item}/0": scores
        for item, scores in enumerate(([1.0, 1.0], [1.0, 1.0], [1.0, 0.0], [0.0, 0.0]))
    }
    assert found["math"].pass_at(2) == pytest.approx(3 / 4)
    assert run.responses(7) == {}
