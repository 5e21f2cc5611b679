"""What holds of every metric and statistic alike, and the page that is made of them."""

from __future__ import annotations

import copy
import subprocess
import sys
from inspect import getdoc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cl_bench.metrics
from cl_bench.cli.listing import listing
from cl_bench.metrics import METRICS, OTHER_METRICS, STATISTICS, Undefined, interquartile_mean
from cl_bench.metrics.page import markdown

MEASURES = {**OTHER_METRICS, **STATISTICS}
SAMPLES = [float(n) for n in range(0, 800, 100)]
RISING = [0.1, 0.15, 0.3, 0.45, 0.52, 0.56, 0.58, 0.59]
SLOWER = [0.1, 0.11, 0.15, 0.2, 0.3, 0.35, 0.38, 0.4]
KL = [0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07]
TWO_LEARNERS: list[Any] = [[[0.9, 0.8], [0.7, 0.6], [0.8, 0.8]], [[0.5, 0.4], [0.3, 0.6], [0, 0]]]
# Arguments under which each is defined; arrays first.
EXAMPLES: dict[str, list[Any]] = {
    "pass_at_k": [[[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]], 2],
    "intransigence": [[[0.1, 0.2], [0.8, 0.25], [0.6, 0.9]], [0.9, 0.9]],
    "forward_transfer_auc": [[RISING], [SLOWER], SAMPLES],
    "min_accuracy": [[[0.1, 0.1], [0.9, 0.1], [0.4, 0.4], [0.6, 0.9]], [0, 1, 2, 2]],
    "stability_gap": [[[0.1, 0.1], [0.9, 0.1], [0.4, 0.4], [0.6, 0.9]], [0, 1, 2, 2]],
    "turnover": [[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]],
    "general_ability_delta": [[[0.5, 0.4], [0.4, 0.2]]],
    "normalised_accuracy": [[[0.1, 0.5], [0.2, 0.4]], 0.1],
    "samples_to_reach": [RISING, SAMPLES, 0.3],
    "sample_efficiency": [RISING, SAMPLES, SLOWER, SAMPLES],
    "asymptote": [RISING, SAMPLES],
    "asymptote_difference": [[[RISING]], SAMPLES, [[SLOWER]], SAMPLES],
    "kl_at_matched_accuracy": [RISING, KL, SLOWER, KL],
    "plasticity_ratio": [[0.1, 0.2], [0.2, 0.2]],
    "channel_attribution": [[[0.1, 0.2], [0.3, 0.5]]],
    "dead_units": [[[0.0, 0.2], [0.0, 0.4]]],
    "effective_rank": [[[1.0, 0.2], [0.0, 0.4]]],
    "weight_distance": [{"w": [0.0, 1.0]}, {"w": [1.0, 1.0]}],
    "update_norm": [{"w": [0.0, 1.0]}, {"w": [1.0, 1.0]}],
    "wilson": [[0.5, 0.1], [10, 10]],
    "over_seeds": [{0: 0.1, 1: 0.2}],
    "jackknife": [TWO_LEARNERS[0], interquartile_mean],
    "interquartile_mean": [TWO_LEARNERS[0]],
    "probability_of_improvement": TWO_LEARNERS,
    "rank_intervals": [[{0: 0.1, 1: 0.2}, {0: 0.3, 1: 0.1}]],
    "permutation_test": [[0.9, 0.8], [0.1, 0.2]],
    "holm": [[0.01, 0.2]],
    "seeds_needed": [[0.1, 0.2, 0.15]],
    "rescore_noise_floor": [[0.5, 1.0, 0.0], [0.5, 0.5, 0.25]],
    "sampling_noise_floor": [[0.5, 1.0, 0.0], 4],
}


def arguments(name: str) -> list[Any]:
    """The example as arrays."""
    given = [np.array(value) if isinstance(value, list) else value for value in EXAMPLES[name]]
    return copy.deepcopy(given)


def test_every_metric_has_an_example_here() -> None:
    assert EXAMPLES.keys() == MEASURES.keys()


@pytest.mark.parametrize("name", MEASURES)
def test_it_is_found_under_its_own_name_with_one_line_and_what_it_takes(name: str) -> None:
    measure = MEASURES[name]
    assert measure.function.__name__ == name
    assert getattr(cl_bench.metrics, name) is measure.function
    for text in (measure.summary, measure.takes):
        assert text
        assert "\n" not in text
    assert getdoc(measure.function)


@pytest.mark.parametrize("name", MEASURES)
def test_the_callers_arrays_are_left_alone_and_the_result_is_the_same_again(name: str) -> None:
    given = arguments(name)
    first = MEASURES[name].function(*given)
    assert not isinstance(first, Undefined), first
    for now, before in zip(given, arguments(name), strict=True):
        if isinstance(now, np.ndarray | dict):
            np.testing.assert_equal(now, before)
    np.testing.assert_equal(_plain(MEASURES[name].function(*arguments(name))), _plain(first))


def _plain(value: object) -> object:
    return vars(value) if hasattr(value, "__dict__") else value


@pytest.mark.parametrize("name", sorted(MEASURES.keys() - {"wilson", "rank_intervals", "holm"}))
def test_a_missing_value_anywhere_that_is_read_is_undefined_and_never_a_nan(name: str) -> None:
    for place, value in enumerate(arguments(name)):
        if isinstance(value, np.ndarray) and name not in ("min_accuracy", "stability_gap"):
            given = arguments(name)
            given[place] = value.astype(float)
            given[place][(-1,) * value.ndim] = np.nan
            found = MEASURES[name].function(*given)
            assert isinstance(found, Undefined), (place, found)
            assert "missing" in found.reason


@pytest.mark.parametrize(
    "name", sorted(MEASURES.keys() - {"wilson", "over_seeds", "rank_intervals", "holm"})
)
def test_infinity_is_an_error_or_named_and_never_a_number(name: str) -> None:
    given = arguments(name)
    if isinstance(given[0], dict):
        given[0]["w"] = [np.inf, 0.0]
        assert MEASURES[name].function(*given) == Undefined("w is not finite")
        return
    given[0] = given[0].astype(float)
    given[0][(0,) * given[0].ndim] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        MEASURES[name].function(*given)


def test_the_listing_shows_every_one_with_what_it_takes() -> None:
    kinds = listing()
    assert {name for name, _ in kinds["metrics of one accuracy matrix"]} >= METRICS.keys()
    shown = dict(kinds["metrics of other inputs"] + kinds["statistics"])
    assert shown.keys() == MEASURES.keys()
    for name, line in shown.items():
        assert line == f"{MEASURES[name].summary}; takes {MEASURES[name].takes}"


def test_the_page_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs" / "metrics.md"
    assert page.read_text(encoding="utf-8") == markdown(), (
        "run `python -m cl_bench.metrics.page > docs/metrics.md`"
    )


def test_importing_the_metrics_loads_numpy_and_nothing_heavier() -> None:
    script = "import sys, cl_bench.metrics; print([m for m in %r if m in sys.modules])"
    heavy = ("torch", "pandas", "scipy", "pyarrow", "evaluate", "datasets", "transformers")
    done = subprocess.run(
        [sys.executable, "-c", script % (heavy,)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
