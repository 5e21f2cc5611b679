from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_bench.metrics import Undefined, rank_intervals
from cl_bench.metrics.stats.ranks import Ranks, seeds_to_rank
from cl_bench.metrics.stats.student import student_p

Values = Mapping[int, float | Undefined]


def ranks(*learners: Values, higher: bool = True) -> list[str]:
    return [str(value) for value in rank_intervals(learners, higher=higher)]


def of(*values: float) -> dict[int, float | Undefined]:
    return dict(enumerate(values))


def test_learners_far_apart_have_one_place_each() -> None:
    learners = of(0.1, 0.2, 0.1), of(0.8, 0.9, 0.81), of(0.5, 0.61, 0.5)
    assert ranks(*learners) == ["3", "1", "2"]
    assert ranks(*learners, higher=False) == ["1", "3", "2"]


def test_p_of_three_differences_is_students() -> None:
    # Mean 2 and deviation 1 of 3 values: t = 2 √3 = 3.4641. With 2 degrees of freedom
    # P(T > t) = ½ − t / (2 √(2 + t²)), t² = 12: p = 1 − √(12 / 14).
    assert student_p([1.0, 2.0, 3.0]) == pytest.approx(1 - np.sqrt(12 / 14))
    assert student_p([-1.0, -2.0, -3.0]) == pytest.approx(0.0741799, abs=1e-6)
    assert student_p([0.0, 0.0]) == student_p([0.1 + 0.2 - 0.3, 0.0]) == 1.0


def test_ranks_by_hand() -> None:
    # Differences to the first, with deviation 1 and 4 seeds: 20 ± 0.58, 21 ± 0.58 and 1 ± 0.58.
    noise = np.array([-1.0, 1.0, -1.0, 1.0]) * np.sqrt(3 / 4)
    first, second = of(0, 0, 0, 0), of(*(20 + noise))
    near = of(*(1 + noise[[0, 2, 1, 3]]))
    # p: second against first t = 40: 3.4e-5; against near 19 / 0.707 > 23: 1.7e-4 at most;
    # near against first t = 2: 0.14, which is not sure.
    assert ranks(first, second, near) == ["2–3", "1", "2–3"]


def test_holm_asks_more_of_a_difference_the_more_pairs_there_are() -> None:
    # Differences with mean 2 and deviation 1 in 5 seeds: t = 2 √5 = 4.47, p = 0.011. Alone that is
    # sure, as one of three pairs, the others equal, it has to be below 0.0167, of six 0.0083.
    noise = np.array([-1.0, 1.0, -1.0, 1.0, 0.0])
    base, better = of(*np.zeros(5)), of(*(2 + noise))
    assert ranks(base, better) == ["2", "1"]
    twin = of(*(1 + noise[::-1] * 3))
    assert ranks(base, better, twin) == ["2–3", "1–2", "1–3"]
    assert ranks(base, better, twin, dict(twin)) == ["1–4"] * 4


def test_noise_as_large_as_the_difference_leaves_both_places_open() -> None:
    assert ranks(of(0.1, 0.9, 0.5), of(0.8, 0.2, 0.6)) == ["1–2", "1–2"]


def test_seeds_that_are_shared_are_compared_in_pairs() -> None:
    # Seeds differ by 0.3, learners by 0.01 with every seed: pairing shows it.
    first: Values = {seed: 0.3 * seed for seed in range(3)}
    second: Values = {seed: 0.3 * seed + 0.01 + 0.001 * (seed % 2) for seed in range(3)}
    assert ranks(first, second) == ["2", "1"]
    # Without a seed in common there is nothing to pair.
    other = {seed + 10: value for seed, value in second.items()}
    assert ranks(first, other) == ["1–2", "1–2"]


def test_fewer_than_three_common_seeds_tell_nobody_apart() -> None:
    assert ranks(of(0.1, 0.1), of(0.9, 0.9)) == ["1–2", "1–2"]
    assert ranks(of(0.1, 0.1, 0.1), {1: 0.9, 2: 0.9, 3: 0.9}) == ["1–2", "1–2"]
    assert ranks(of(0.1, 0.1, 0.1), of(0.9, 0.91, 0.9)) == ["2", "1"]


def test_differences_without_spread_are_left_to_the_exact_test_which_takes_six_seeds() -> None:
    assert ranks(of(*[0.1] * 5), of(*[0.9] * 5)) == ["1–2", "1–2"]
    assert ranks(of(*[0.1] * 6), of(*[0.9] * 6)) == ["2", "1"]


def test_twins_share_their_places() -> None:
    twin = of(0.4, 0.6, 0.5)
    assert ranks(twin, dict(twin), of(0.1, 0.31, 0.2)) == ["1–2", "1–2", "3"]


def test_one_seed_has_no_ranks_and_does_not_count_among_the_others() -> None:
    lost = Undefined("diverged")
    found = rank_intervals(
        [of(0.5, 0.6, 0.5), of(0.99, lost), {0: lost}, of(0.1, 0.2, 0.11)],  # type: ignore[arg-type]
    )
    assert found == [
        Ranks(1, 1, 2, 0.95),
        Undefined("one seed shows no ranks over seeds"),
        Undefined("no seed has a value"),
        Ranks(2, 2, 2, 0.95),
    ]
    assert rank_intervals([]) == []


def test_values_that_are_no_finite_numbers_are_refused_or_undefined() -> None:
    with pytest.raises(ValueError, match="infinity"):
        ranks({0: float("inf"), 1: 0.0})
    assert ranks({0: float("nan"), 1: 0.0}) == ["undefined: missing value_S[0]"]


@pytest.mark.parametrize(("learners", "seeds"), [(2, 3), (2, 5), (5, 3), (5, 5), (5, 10)])
def test_equal_learners_are_told_apart_in_one_of_twenty_experiments_at_most(
    learners: int, seeds: int
) -> None:
    draw, trials = np.random.default_rng(0), 1_000
    apart = 0
    for _ in range(trials):
        hard_S = draw.normal(size=seeds)
        found = rank_intervals([of(*(hard_S + draw.normal(size=seeds))) for _ in range(learners)])
        apart += any(str(one) != f"1–{learners}" for one in found)
    # 0.05 and three times the deviation of a share of 1,000 trials
    assert apart / trials <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)


@pytest.mark.parametrize(
    ("learners", "seeds"), [(2, 4), (3, 5), (5, 6), (6, 7), (8, 8), (11, 8), (12, 9)]
)
def test_seeds_needed_tell_one_clear_learner_from_its_equals_and_one_seed_less_does_not(
    learners: int, seeds: int
) -> None:
    assert seeds_to_rank(learners) == seeds

    def places(count: int) -> list[str]:
        """One learner differs from equal ones by twice the deviation of the difference."""
        noise = np.arange(count) - (count - 1) / 2
        twins = [of(*np.zeros(count))] * (learners - 1)
        return ranks(*twins, of(*(2 + noise / noise.std(ddof=1))))

    apart = ["1", *[f"2–{learners}" if learners > 2 else "2"] * (learners - 1)]
    assert sorted(places(seeds)) == apart
    assert set(places(seeds - 1)) == {f"1–{learners}"}


def test_the_documented_seeds_are_those_needed() -> None:
    docs = (Path(__file__).parents[3] / "docs" / "leaderboard.md").read_text(encoding="utf-8")
    head, _, row = docs.partition("| learners with a number")[2].splitlines()[:3]
    spans, seeds = (line.strip("| ").split(" | ")[1:] for line in (f"| x {head}", row))
    for span, needed in zip(spans, seeds, strict=True):
        first, _, last = span.partition("–")
        found = {seeds_to_rank(number) for number in range(int(first), int(last or first) + 1)}
        assert found == {int(needed)}


def test_learners_that_do_differ_are_found() -> None:
    draw = np.random.default_rng(0)
    found = [ranks(of(*draw.normal(size=6)), of(*draw.normal(3, size=6))) for _ in range(200)]
    assert found.count(["2", "1"]) > 0.9 * len(found)


LEARNERS = st.lists(
    st.dictionaries(st.integers(0, 5), st.floats(-1, 1), min_size=2), min_size=1, max_size=4
)


@given(LEARNERS)
def test_ranks_lie_within_their_bounds_and_follow_their_learners(
    learners: list[dict[int, float | Undefined]],
) -> None:
    found = rank_intervals(learners)
    count = len(learners)
    for one in found:
        assert isinstance(one, Ranks)
        assert 1 <= one.best <= one.worst <= one.of == count
    for order in permutations(range(count)):
        moved = rank_intervals([learners[place] for place in order])
        assert moved == [found[place] for place in order]
    renamed = [{5 - seed: value for seed, value in one.items()} for one in reversed(learners)]
    assert rank_intervals(renamed) == found[::-1]
    opposite = [{seed: -value for seed, value in one.items()} for one in learners]  # type: ignore[operator]
    assert rank_intervals(opposite, higher=False) == found
