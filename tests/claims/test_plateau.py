"""Claims 2b, 9 and 10 on runs whose last evaluations are known."""

from __future__ import annotations

import pytest

from cl_bench.claims import claim_02_asymptote, claim_09_prompt_ceiling, claim_10_distillation

from .synthetic import LEVELS, Synthetic, levelled, measures, reason, shown

MEASURES = measures(
    *(one.CLAIM for one in (claim_02_asymptote, claim_09_prompt_ceiling, claim_10_distillation))
)


@pytest.mark.parametrize("budget", ["small", "full"])
@pytest.mark.parametrize(("statement", "other"), [("2b", "rl"), ("9a", "prompt")])
def test_plateaus_are_compared_seed_by_seed_over_three_domains(
    budget: str, statement: str, other: str
) -> None:
    data = levelled(budget)
    found = MEASURES[statement](data, data.plan)
    expected = 0.5 - LEVELS[other] + 0.05 / 3
    assert found.value_by_seed == pytest.approx({100: expected, 101: expected})
    assert shown(found, "code", "fst") == pytest.approx(0.605)
    assert shown(found, "code", other) == pytest.approx(LEVELS[other] + 0.005)
    assert shown(found, "math", "difference") == pytest.approx(0.45 - LEVELS[other])


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
    data = levelled()
    whole = MEASURES[statement](data, data.plan)
    data.lose(domain, learner, 100, "diverged at step 3")
    found = MEASURES[statement](data, data.plan)
    assert reason(found.value_by_seed[100]).startswith(f"{domain}: run {domain}-{learner}-100-")
    assert reason(found.value_by_seed[100]).endswith("diverged at step 3")
    assert found.value_by_seed[101] == whole.value_by_seed[101]
    assert str(found.estimate).endswith("1 of 2 seeds")
    missing = MEASURES[statement](Synthetic(data.plan), data.plan)
    assert "is missing" in reason(missing.value_by_seed[101])
