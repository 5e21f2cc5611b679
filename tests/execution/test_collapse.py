"""What counts as a collapsed policy."""

from __future__ import annotations

from math import nan

import pytest

from cl_bench.contract.errors import DivergedError
from cl_bench.contract.records import StepRecord
from cl_bench.execution.collapse import STEPS, CollapseWatch


def record(entropy: float = 1e-5, signal: float = 0.0, reward: float = 0.25) -> StepRecord:
    return StepRecord(reward, signal, 0.0, 0.0, entropy, 10.0, 0.1)


def test_the_last_of_twenty_hopeless_steps_is_named() -> None:
    watch = CollapseWatch(384)
    for step in range(1, STEPS):
        watch.see(step, record())
    with pytest.raises(DivergedError, match=r"Step 20 diverged: the policy has collapsed.*0\.250"):
        watch.see(STEPS, record())


def test_a_policy_that_samples_pure_noise_has_collapsed_too() -> None:
    watch = CollapseWatch(384)
    for step in range(1, STEPS):
        watch.see(step, record(entropy=5.9, reward=0.0))
    with pytest.raises(DivergedError, match="or pure noise"):
        watch.see(STEPS, record(entropy=5.9, reward=0.0))


@pytest.mark.parametrize(
    "hopeful",
    [
        record(entropy=0.01),
        record(signal=0.125),
        record(reward=1.0),
        StepRecord(0.0, nan, nan, nan, nan, nan, 0.1),
    ],
    ids=["explores", "has a signal", "solved", "has no such quantities"],
)
def test_one_hopeful_step_starts_the_count_again(hopeful: StepRecord) -> None:
    watch = CollapseWatch(384)
    for step in range(3 * STEPS):
        watch.see(step, hopeful if step % STEPS == STEPS - 1 else record())
    assert watch.hopeless == 0


def test_the_count_can_be_carried_over() -> None:
    watch = CollapseWatch(384)
    watch.hopeless = STEPS - 1
    with pytest.raises(DivergedError, match="Step 7 "):
        watch.see(7, record())
