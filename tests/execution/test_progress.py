"""What a run says while it runs."""

from __future__ import annotations

import sys
from dataclasses import replace
from math import nan
from types import ModuleType, SimpleNamespace

import pytest

from cl_bench.contract.records import StepRecord
from cl_bench.contract.stream_names import stream
from cl_bench.execution.evaluator import Evaluation
from cl_bench.execution.progress import Steps, describe, learned


@pytest.mark.parametrize(("share", "told"), [(0.04, ""), (0.654, ", 65.4 % cut off")])
def test_responses_that_were_cut_off_are_told_where_they_are_many(share: float, told: str) -> None:
    row: dict[str, object] = {"domain": "math", "test_set": "stream", "weights": "trained"}
    row |= {"prompt": "learner", "accuracy": 0.25, "kl_policy_base": 0.5, "truncation_rate": share}
    line = describe(Evaluation([row, row | {"prompt": "seed"}], [], []), {"math": "math"})
    assert line == f"math 25.0 % (KL 0.500 nats{told})"


def test_a_learner_without_rewards_is_shown_by_its_loss() -> None:
    steps = [StepRecord(reward, 0.5, 2 * reward, 1.0, 1.0, 1.0, 1.0) for reward in (0.25, 0.75)]
    assert learned(steps) == "reward 50.0 %"
    assert learned([replace(step, reward=nan) for step in steps]) == "loss 1"


def test_notes_go_to_standard_output_in_a_notebooks_kernel_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    for shell, where in ((None, "err"), (SimpleNamespace(), "err"), (Kernel(), "out")):
        ipython = SimpleNamespace(get_ipython=lambda shell=shell: shell)
        monkeypatch.setitem(sys.modules, "IPython", ipython)
        Steps().note("once")
        assert getattr(capsys.readouterr(), where) == "once\n"


class Kernel:
    """The shell of a notebook's kernel."""

    kernel = "its kernel"


def test_a_bar_shows_steps_rewards_and_accuracies(capsys: pytest.CaptureFixture[str]) -> None:
    row: dict[str, object] = {"domain": "math", "test_set": "stream", "weights": "trained"}
    row |= {"prompt": "learner", "accuracy": 0.25, "kl_policy_base": 0.5, "truncation_rate": 0.0}
    bar = Steps()
    bar.note("before it begins")
    bar.start(stream("math", steps=4), "rl", 1)
    bar.step(4, 0, StepRecord(0.5, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0))
    bar.evaluated(4, Evaluation([row], [], []))
    bar.stop()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("before it begins\n")
    first, *_, last = shown.err.rstrip().rpartition("\n")[2].split("\r")[1:]
    assert "rl on math:" in first
    assert "1/4" in first
    assert "4/4" in last
    assert "math 25.0 %" in last


def test_a_bar_that_never_began_stops() -> None:
    Steps().stop()
