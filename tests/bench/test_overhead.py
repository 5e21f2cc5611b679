"""What of a whole run is neither generating, updating nor evaluating: the suite's own overhead.

Recorded as `overhead` (a share of the wall time) in the benchmark's extra information, and not
more than a twentieth.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

import cl_bench
from cl_bench.execution.evaluator import Evaluator
from cl_bench.model.samplers.transformers import TransformersSampler
from cl_bench.slow.trl_trainer import MixedPromptTrainer

MOST = 0.05
WORK = {
    "generate": (TransformersSampler, "sample"),
    "loss": (MixedPromptTrainer, "training_step"),
    "optimizer": (torch.optim.AdamW, "step"),
    "evaluate": (Evaluator, "evaluate"),
}


class Stopwatch:
    """Sums the time inside the wrapped functions; of nested ones only the outermost counts."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(WORK, 0.0)
        self._inside: list[str] = []

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            self._inside.append(name)
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self._inside.pop()
                if not self._inside:
                    self.seconds[name] += time.perf_counter() - started

        return timed


@pytest.mark.parametrize("learner", ["rl", "prompt", "fst"])
def test_a_stage_of_forty_steps(
    benchmark: BenchmarkFixture, learner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cl_bench.run("math", learner, steps=1, items=2, out=tmp_path / "imports")  # once a process
    watch = Stopwatch()
    for name, (owner, attribute) in WORK.items():
        monkeypatch.setattr(owner, attribute, watch.wrap(name, getattr(owner, attribute)))
    started = time.perf_counter()

    def run() -> None:
        cl_bench.run("math", learner, steps=40, out=tmp_path / "run")

    benchmark.pedantic(run, rounds=1)  # type: ignore[no-untyped-call]
    wall = time.perf_counter() - started
    overhead = 1 - sum(watch.seconds.values()) / wall
    benchmark.extra_info["overhead"] = round(overhead, 4)
    benchmark.extra_info["seconds"] = {n: round(s, 3) for n, s in watch.seconds.items()}
    assert 0 < overhead <= MOST
