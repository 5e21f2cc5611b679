"""pass@k against enumeration, and the answer given most often."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from cl_bench.metrics.samples import ConstantAnswer, constant_answer, pass_at_k
from cl_bench.metrics.undefined import Undefined


@pytest.mark.parametrize("samples", [1, 2, 5, 8])
def test_pass_at_k_is_the_mean_over_all_choices_of_k_responses(samples: int) -> None:
    right = np.random.default_rng(samples).random((6, samples)) < 0.4
    for k in range(1, samples + 1):
        chosen = [
            any(problem[list(places)])
            for problem in right
            for places in combinations(range(samples), k)
        ]
        assert pass_at_k(right, k) == pytest.approx(np.mean(chosen))


def test_pass_at_1_is_the_accuracy_and_pass_at_all_counts_solved_problems() -> None:
    right = [[1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]]
    assert pass_at_k(right, 1) == pytest.approx(5 / 12)
    assert pass_at_k(right, 2) == pytest.approx((1 / 2 + 0 + 1) / 3)
    assert pass_at_k(right, 4) == pytest.approx(2 / 3)


def test_it_is_unbiased_over_draws_of_the_responses() -> None:
    rng = np.random.default_rng(0)
    chance = rng.random(40)
    draws = (rng.random((40, 4)) < chance[:, None] for _ in range(2000))
    found = np.array([pass_at_k(right, 3) for right in draws], dtype=float)
    assert found.mean() == pytest.approx(np.mean(1 - (1 - chance) ** 3), abs=0.005)


def test_what_cannot_be_estimated_is_undefined_and_what_makes_no_sense_an_error() -> None:
    assert isinstance(pass_at_k([[1, 0]], 3), Undefined)
    assert isinstance(pass_at_k([[1, np.nan]], 1), Undefined)
    with pytest.raises(ValueError, match="k is 0"):
        pass_at_k([[1, 0]], 0)
    with pytest.raises(ValueError, match="0 and 1 only"):
        pass_at_k([[0.5, 0]], 1)


def test_a_word_that_is_said_to_everything_is_found_with_what_it_earns() -> None:
    answers = ["yes", "yes", "no", None, "yes", "maybe"]
    scores = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]
    found = constant_answer(answers, scores)
    assert found.answer == "yes"
    assert found.given == pytest.approx(3 / 6)
    assert found.earned == pytest.approx(2 / 3)
    assert found.score == pytest.approx(2 / 3)
    assert found.is_telling
    assert constant_answer(["b", "a"], [0.0, 0.0]) == ConstantAnswer("a", 0.5, 0.0, 0.0)
    with pytest.raises(ValueError, match="no response has an answer"):
        constant_answer([None], [0.0])


@pytest.mark.parametrize(
    ("given", "earned", "score", "tells"),
    [
        (0.71, 0.58, 0.4, True),
        (0.5, 0.5, 1.0, False),  # knows which of two answers is right
        (0.71, 0.49, 0.4, False),  # most of the score is earned by others
        (0.02, 1.0, 0.5, False),  # the only right responses of a model that knows nothing
    ],
)
def test_a_constant_answer_earns_the_score_is_frequent_and_often_wrong(
    given: float, earned: float, score: float, tells: bool
) -> None:
    assert ConstantAnswer("yes", given, earned, score).is_telling == tells
