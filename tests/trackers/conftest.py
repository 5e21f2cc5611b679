"""Fake libraries that record what they are called with, and a run to send to them."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cl_bench.store.run_directory import RunDirectory
from tests.tables import row

FAKES = Path(__file__).parent / "fakes"
FAKED = ("wandb", "trackio", "mlflow")
ENVIRONMENT = (
    *("DO_NOT_TRACK", "GRADIO_ANALYTICS_ENABLED", "MLFLOW_DISABLE_TELEMETRY"),
    *("MLFLOW_EXPERIMENT_NAME", "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "WANDB_ERROR_REPORTING"),
    "WANDB_PROJECT",
)
"""What is set where trackers start; a test leaves it as it was."""
Call = dict[str, Any]


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[Call]]]:
    """Puts the fakes in place of the libraries, in processes too; gives the calls so far."""
    file = tmp_path / "calls.jsonl"
    monkeypatch.setenv("TRACKER_CALLS", str(file))
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.syspath_prepend(str(FAKES))
    taken = {name: sys.modules.pop(name) for name in _loaded()}

    def read() -> list[Call]:
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    yield read
    for name in _loaded():
        del sys.modules[name]
    sys.modules.update(taken)


def _loaded() -> list[str]:
    return [name for name in sys.modules if name.split(".")[0] in (*FAKED, "tracker_calls")]


@pytest.fixture
def recorded(tmp_path: Path) -> RunDirectory:
    """A finished run of two steps on math, with one round of prompts and hostile text in it."""
    directory = RunDirectory.create(tmp_path / "recorded", MANIFEST)
    parts = {
        "evaluations": [evaluation(0, "start", 0.25), evaluation(2, "stage-end", 0.75)],
        "steps": [training(1), training(2)],
        "prompts": [
            prompt(0, -1, "solve step by step .", 0.25, "dropped"),
            prompt(1, 0, HOSTILE, 0.5, "kept"),
        ],
        "ledger": [spent(2, "slow"), spent(2, "fast")],
        "timing": [{"step": 2, "phase": "learn", "seconds": 3.0}],
    }
    directory.commit(0, parts)
    return directory


HOSTILE = "be ```right``` </pre><script>alert(1)</script> \x1b[31m"
MANIFEST: dict[str, Any] = {
    "stream": {
        "name": "math",
        "version": "1",
        "stages": [{"domain": "math", "setting": "easy", "steps": 2}],
    },
    "config": {"model": "embedded", "learning": {"group_size": 4, "reflection_lm": "base"}},
    "learner": "fst",
    "model": "embedded",
    "seed": 5,
    "status": "done",
    "provenance": {"git_commit": "abc", "git_dirty": True, "packages": {"torch": None}},
}


def evaluation(step: int, at: str, accuracy: float) -> Call:
    about = {"stage": min(step, 1), "at": at, "domain": "math", "setting": "easy"}
    measured = {"accuracy": accuracy, "kl_policy_base": 0.125 * step, "kl_base_policy": 0.5}
    return row(
        "evaluations",
        step=step,
        prompt="learner",
        entropy=2.0,
        completion_tokens=10.0,
        samples_slow=8,
        rollouts=12,
        **about,
        **measured,
    )


def training(step: int) -> Call:
    numbers = {"reward": 0.5 * step, "signal": 1.0, "loss": float("nan"), "grad_norm": 0.25}
    spent = {"entropy": 2.0, "completion_tokens": 9.0, "seconds": 1.5}
    return row("steps", step=step, stage=1, domain="math", **numbers, **spent)


def prompt(number: int, parent: int, text: str, score: float, fate: str) -> Call:
    about = {"step": 2, "round": 1, "prompt_id": number, "parent_id": parent}
    return {**about, "text": text, "score": score, "fate": fate}


def spent(step: int, channel: str) -> Call:
    tokens = {"prompt_tokens": 100, "generated_tokens": 20, "reflection_tokens": 3}
    return row("ledger", step=step, channel=channel, rollouts=6, seconds=2.0, **tokens)


def until(true: Callable[[], bool], seconds: float = 30) -> bool:
    """Wait for something to be true."""
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    return true()
