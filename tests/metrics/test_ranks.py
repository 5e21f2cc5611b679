from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from cl_bench.metrics import Undefined, rank_intervals
from cl_bench.metrics.ranks import Ranks


def ranks(*learners: Mapping[int, float | Undefined], higher: bool = True) -> list[str]:
    found = rank_intervals(learners, np.random.default_rng(0), higher=higher)
    return [str(value) for value in found]


def test_learners_far_apart_have_one_place_each() -> None:
    learners = [{0: 0.1, 1: 0.2}, {0: 0.8, 1: 0.9}, {0: 0.5, 1: 0.6}]
    assert ranks(*learners) == ["3", "1", "2"]
    assert ranks(*learners, higher=False) == ["1", "3", "2"]


def test_noise_as_large_as_the_difference_leaves_both_places_open() -> None:
    assert ranks({0: 0.1, 1: 0.9, 2: 0.5}, {0: 0.8, 1: 0.2, 2: 0.6}) == ["1–2", "1–2"]


def test_seeds_that_are_shared_are_drawn_together() -> None:
    # Seeds differ by 0.3, learners by 0.01 with every seed: pairing shows it.
    first = {seed: 0.3 * seed for seed in range(3)}
    second = {seed: value + 0.01 for seed, value in first.items()}
    assert ranks(first, second) == ["2", "1"]
    # Without a seed in common there is nothing to pair.
    other = {seed + 10: value for seed, value in second.items()}
    assert ranks(first, other) == ["1–2", "1–2"]


def test_seeds_that_are_partly_shared_are_drawn_together_where_they_are() -> None:
    first = {seed: float(seed) for seed in range(20)}
    second = {seed: seed + 1.0 for seed in range(1, 20)}
    apart = {seed + 100: value for seed, value in second.items()}
    coupled, alone = (
        rank_intervals([first, other], np.random.default_rng(0)) for other in (second, apart)
    )
    assert list(map(str, coupled)) == ["2", "1"]
    assert list(map(str, alone)) == ["1–2", "1–2"]


def test_twins_share_their_places() -> None:
    twin: dict[int, float | Undefined] = {0: 0.4, 1: 0.6}
    assert ranks(twin, dict(twin), {0: 0.1, 1: 0.1}) == ["1–2", "1–2", "3"]


def test_sums_in_another_order_are_no_difference() -> None:
    values = [0.1, 0.2, 0.3]
    first: dict[int, float | Undefined] = dict(enumerate(values))
    second: dict[int, float | Undefined] = dict(zip((2, 1, 0), reversed(values), strict=True))
    assert ranks(first, second) == ["1–2", "1–2"]


def test_one_seed_has_no_ranks_and_does_not_count_among_the_others() -> None:
    lost = Undefined("diverged")
    found = rank_intervals(
        [{0: 0.5, 1: 0.6}, {0: 0.99, 1: lost}, {0: lost}, {0: 0.1, 1: 0.2}],
        np.random.default_rng(0),
    )
    assert found == [
        Ranks(1, 1, 2, 0.95),
        Undefined("one seed shows no ranks over seeds"),
        Undefined("no seed has a value"),
        Ranks(2, 2, 2, 0.95),
    ]


def test_few_own_seeds_among_many_are_drawn_from_themselves() -> None:
    many = dict.fromkeys(range(400), 0.5)
    few: dict[int, float | Undefined] = {7: 0.1, 300: 0.2}
    assert ranks(many, few) == ["1", "2"]


def test_the_same_generator_gives_the_same_ranks_and_nothing_is_nothing() -> None:
    learners = [
        {s: float(v) for s, v in enumerate(np.random.default_rng(s).random(5))} for s in range(4)
    ]
    assert ranks(*learners) == ranks(*learners)
    assert ranks() == []


def test_values_that_are_no_finite_numbers_are_refused_or_undefined() -> None:
    with pytest.raises(ValueError, match="infinity"):
        ranks({0: float("inf"), 1: 0.0})
    assert ranks({0: float("nan"), 1: 0.0}) == ["undefined: missing value_S[0]"]
