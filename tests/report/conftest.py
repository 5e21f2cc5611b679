"""A synthetic run for the tests of reports: known numbers, no model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from cl_bench.store.run_directory import RunDirectory

Row = dict[str, object]
Stages = Sequence[tuple[str, int]]
Cell = Callable[[int, str, str], float]


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., RunDirectory]:
    """Builds a run directory: `make_run(stages, accuracy, every=…, kl=…, last=…, status=…)`.

    `accuracy` and `kl` are functions of (step, domain, prompt); nothing is recorded after step
    `last`. Each step cost 10 RL and 5 other rollouts, and 0.5 s and 0.25 s.
    """

    def make(
        stages: Stages,
        accuracy: Cell,
        every: int = 10,
        kl: Cell = lambda step, _domain, _prompt: step / 1000,
        last: int = 10**9,
        status: str = "done",
    ) -> RunDirectory:
        directory = RunDirectory.create(tmp_path / "run", _manifest(stages, status))
        rows = _evaluations(stages, accuracy, every, kl, last)
        steps = sorted({int(str(row["step"])) for row in rows})
        ledger = [row for step in steps for row in _ledger(step)]
        timing = [
            {"step": step, "phase": phase, "seconds": seconds}
            for step in steps
            for phase, seconds in (("learn", 6.0), ("checkpoint", 0.5), ("evaluate", 3.5))
        ]
        directory.commit(0, {"evaluations": rows, "ledger": ledger, "timing": timing})
        return directory

    return make


def _manifest(stages: Stages, status: str) -> Row:
    described = [
        {"domain": domain, "setting": "default", "steps": steps} for domain, steps in stages
    ]
    name = "-to-".join(domain for domain, _ in stages)
    return {
        "stream": {"name": name, "version": "1", "stages": described},
        "learner": "fst",
        "seed": 3,
        "model": "embedded",
        "config": {},
        "status": status,
        "provenance": {},
    }


def _evaluations(stages: Stages, accuracy: Cell, every: int, kl: Cell, last: int) -> list[Row]:
    ends = [sum(steps for _, steps in stages[: place + 1]) for place in range(len(stages))]
    return [
        {
            "step": step,
            "stage": 0 if step == 0 else next(i for i, end in enumerate(ends, 1) if step <= end),
            "at": "start" if step == 0 else "stage-end" if step in ends else "inside",
            "domain": domain,
            "prompt": prompt,
            "accuracy": accuracy(step, domain, prompt),
            "kl_policy_base": kl(step, domain, prompt),
            "samples_slow": 10 * step,
            "rollouts": 15 * step,
            **_REST,
        }
        for step in sorted({*range(0, ends[-1] + 1, every), *ends})
        if step <= last
        for domain in dict.fromkeys(name for name, _ in stages)
        for prompt in ("seed", "learner")
    ]


def _ledger(step: int) -> list[Row]:
    slow = {"rollouts": 10, "prompt_tokens": 100, "generated_tokens": 50, "optimizer_steps": 1}
    fast = {"rollouts": 5, "prompt_tokens": 40, "generated_tokens": 20, "optimizer_steps": 0}
    unspent = ("calls", "tokens", "failures", "repeats")
    slow |= {f"reflection_{name}": 0 for name in unspent}
    fast |= {"reflection_calls": 2, "reflection_tokens": 30}
    fast |= {"reflection_failures": 0, "reflection_repeats": 1}
    spent_slow = {name: step * each for name, each in slow.items()}
    spent_fast = {name: step * each for name, each in fast.items()}
    return [
        {"step": step, "channel": "slow", "seconds": 0.5 * step, **spent_slow},
        {"step": step, "channel": "fast", "seconds": 0.25 * step, **spent_fast},
    ]


_REST: Row = {
    "test_set": "stream",
    "setting": "default",
    "weights": "trained",
    "n_items": 64,
    "n_samples": 4,
    "kl_policy_base_sequence": 0.0,
    "kl_policy_base_tokens": 640,
    "kl_base_policy": 0.0,
    "kl_base_policy_sequence": 0.0,
    "kl_base_policy_tokens": 640,
    "kl_deployed_start": None,
    "kl_deployed_start_sequence": None,
    "entropy": 0.5,
    "format_rate": None,
    "truncation_rate": None,
    "completion_tokens": 20.0,
    "temperature": 1.0,
}
