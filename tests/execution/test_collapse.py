"""What counts as a collapsed policy, and as one whose responses never end."""

from __future__ import annotations

from math import nan

import pytest

from cl_bench.contract.errors import DivergedError
from cl_bench.contract.records import StepRecord
from cl_bench.execution.collapse import ENOUGH, STEPS, CollapseWatch, EndlessWatch


def record(entropy: float = 1e-5, signal: float = 0.0, reward: float = 0.25) -> StepRecord:
    return StepRecord(reward, signal, 0.0, 0.0, entropy, 10.0, 0.1)


def test_the_last_of_twenty_hopeless_steps_is_named() -> None:
    watch = CollapseWatch(384)
    for step in range(1, STEPS):
        watch.see(step, record())
    with pytest.raises(DivergedError, match=r"Step 20 diverged: the policy has collapsed.*25\.0 %"):
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
        StepRecord(0.25, 0.0, 0.0, 0.02, 1e-5, 10.0, 0.1),
        StepRecord(0.0, nan, nan, nan, nan, nan, 0.1),
    ],
    ids=["explores", "has a signal", "solved", "has a gradient", "has no such quantities"],
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


def evaluated(share: float, domain: str = "math", count: int = ENOUGH) -> dict[str, object]:
    row = {"domain": domain, "test_set": "stream", "weights": "trained", "n_samples": 1}
    return row | {"n_items": count, "truncation_rate": share}


def test_responses_that_hardly_ever_end_are_told_once_with_what_to_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watch = EndlessWatch({"<eos>": 2}, 96)
    retention = evaluated(1.0) | {"test_set": "retention"}
    watch.see([evaluated(0.85), evaluated(1.0, count=ENOUGH - 1), retention])
    assert caplog.messages == []
    watch.see([evaluated(0.2), evaluated(0.95, "code"), evaluated(1.0, "code")])
    watch.see([evaluated(1.0)])
    (line,) = caplog.messages
    for part in ("response on code ends", "96 tokens", "<eos>", "eos_token_id", "--max-new-tokens"):
        assert part in line
