"""What a nominal interval holds in truth."""

from __future__ import annotations

import pytest

from cl_bench.claims.coverage import coverage


def test_few_seeds_have_intervals_that_are_too_narrow() -> None:
    found = [coverage(seeds) for seeds in (2, 3, 6, 20)]
    assert found == sorted(found)
    assert found[2] == pytest.approx(0.86, abs=0.015)
    assert found[3] > 0.92


def test_with_two_seeds_the_truth_lies_between_them_half_of_the_time() -> None:
    # A resample has both means with 1/4 each, so that the interval goes from the one to the other.
    assert coverage(2) == pytest.approx(0.5, abs=0.03)


def test_it_is_the_same_again() -> None:
    assert coverage(4) == coverage(4)
