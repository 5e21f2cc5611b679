"""Claims 2b, 9 and 10 on runs whose last evaluations are known."""

from __future__ import annotations

import numpy as np
import pytest

from cl_bench.claims.measures import MEASURES
from cl_bench.claims.plan import SINGLE_DOMAINS
from cl_bench.claims.plateau import middle_window

from .synthetic import Synthetic, filled, plan_of, reason, shown, value

LEVELS = {"rl": 0.3, "prompt": 0.2, "fst": 0.5, "fst-distill": 0.4}
LEARNERS = tuple(LEVELS)
SHIFT = {"facts": 0.0, "code": 0.1, "math": -0.05}


def runs(budget: str = "small") -> Synthetic:
    """Learners at `LEVELS` from half of the run on; only fast-slow training differs by domain."""

    def accuracy(domain: str, learner: str, seed: int, share: float) -> float:
        shift = SHIFT[domain] if learner == "fst" else 0.0
        return (LEVELS[learner] + shift + (seed - 100) / 100) * min(1.0, 2 * share)

    return filled(plan_of(budget, seeds=2), SINGLE_DOMAINS, LEARNERS, accuracy)


@pytest.mark.parametrize("budget", ["small", "full"])
@pytest.mark.parametrize(("statement", "other"), [("2b", "rl"), ("9a", "prompt")])
def test_plateaus_are_compared_seed_by_seed_over_three_domains(
    budget: str, statement: str, other: str
) -> None:
    data = runs(budget)
    found = MEASURES[statement](data, data.plan)
    expected = 0.5 - LEVELS[other] + 0.05 / 3
    assert found.value_by_seed == pytest.approx({100: expected, 101: expected})
    assert shown(found, "code", "fst") == pytest.approx(0.605)
    assert shown(found, "code", other) == pytest.approx(LEVELS[other] + 0.005)
    assert shown(found, "math", "difference") == pytest.approx(0.45 - LEVELS[other])


def test_the_plateau_is_the_mean_of_the_last_three_evaluations() -> None:
    data = runs()
    data.add("facts", "fst-distill", 100, [0.9, 0.9, 0.1, 0.2, 0.6], entropy=[1, 1, 0.1, 0.2, 0.3])
    accuracy = MEASURES["10a"](data, data.plan)
    assert accuracy.value_by_seed == pytest.approx({100: 0.5 - 0.3, 101: 0.51 - 0.41})
    entropy = MEASURES["10b"](data, data.plan)
    plan = data.plan
    every, steps = plan.single("facts", "fst", 100).options["eval_every"], 24
    assert every == 2
    at_end = 0.6 - 0.2 * np.mean([20 / steps, 22 / steps, 1])
    assert entropy.value_by_seed[100] == pytest.approx(at_end - 0.2)
    assert [d.scale for d in entropy.details] == ["nats"]


def test_two_evaluations_are_no_plateau() -> None:
    data = runs()
    data.add("facts", "fst", 101, [0.1, 0.5])
    found = MEASURES["10a"](data, data.plan)
    assert reason(found.value_by_seed[101]) == "facts: a plateau needs 3 evaluations, got 2"
    assert value(found.estimate) == pytest.approx(0.1)


def test_the_gain_of_the_second_half_counts_from_the_three_around_the_middle() -> None:
    data = runs()
    for domain in SINGLE_DOMAINS:
        #                 0    10   20   30   40   50   60   70   80 steps
        rising = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.6, 0.7]
        data.add(domain, "prompt", 100, rising)
    data.add("code", "prompt", 101, [0.2] * 9)
    found = MEASURES["9b"](data, data.plan)
    assert found.value_by_seed[100] == pytest.approx(-(0.6 - 0.4))
    assert shown(found, "code, prompt-only", "middle") == pytest.approx((0.4 + 0.2) / 2)
    assert shown(found, "code, prompt-only", "end") == pytest.approx((0.6 + 0.2) / 2)
    assert shown(found, "code, prompt-only", "gain") == pytest.approx(0.1)


@pytest.mark.parametrize("budget", ["small", "full"])
def test_prompt_only_that_levels_off_at_the_middle_gains_next_to_nothing(budget: str) -> None:
    data = runs(budget)
    found = MEASURES["9b"](data, data.plan)
    for gain in found.value_by_seed.values():
        assert isinstance(gain, float)
        assert -0.02 < gain < 0


@pytest.mark.parametrize(
    ("steps", "window"),
    [
        (range(0, 130, 10), slice(5, 8)),
        ([*range(0, 40, 3), 40], slice(6, 9)),
        ([0, 1, 2, 3, 4, 5, 6, 7], slice(2, 5)),
        ([0, 50, 60, 70, 80, 90, 100], slice(0, 3)),
    ],
)
def test_the_middle_is_found_by_steps(steps: list[int], window: slice) -> None:
    assert middle_window(np.array(steps, float)) == window


@pytest.mark.parametrize("steps", [[0, 1, 2, 3, 4, 5, 6], [0, 60, 70, 80], [0, 90, 95, 96, 100]])
def test_a_middle_among_the_last_three_is_undefined(steps: list[int]) -> None:
    said = reason(middle_window(np.array(steps, float)))
    assert said == f"of {len(steps)} evaluations the middle three are not before the last"


@pytest.mark.parametrize(
    ("statement", "domain", "learner"),
    [
        ("2b", "math", "rl"),
        ("9a", "code", "prompt"),
        ("9b", "code", "prompt"),
        ("10a", "facts", "fst-distill"),
        ("10b", "facts", "fst"),
    ],
)
def test_a_diverged_run_leaves_its_seed_without_a_value(
    statement: str, domain: str, learner: str
) -> None:
    data = runs()
    whole = MEASURES[statement](data, data.plan)
    data.lose(domain, learner, 100, "diverged at step 3")
    found = MEASURES[statement](data, data.plan)
    assert reason(found.value_by_seed[100]).startswith(f"{domain}: run {domain}-{learner}-100-")
    assert reason(found.value_by_seed[100]).endswith("diverged at step 3")
    assert found.value_by_seed[101] == whole.value_by_seed[101]
    assert str(found.estimate).endswith("1 of 2 seeds")
    missing = MEASURES[statement](Synthetic(data.plan), data.plan)
    assert "is missing" in reason(missing.value_by_seed[101])
