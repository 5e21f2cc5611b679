"""What trackers are sent: names and numbers by hand, and the documentation of the names."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

from cl_bench.analysis.run_values import run_metrics
from cl_bench.metrics.undefined import Undefined
from cl_bench.store.run_directory import RunDirectory
from cl_bench.trackers.values import config_of, history, of_step, summary_of, updates
from tests.trackers.conftest import HOSTILE, MANIFEST, evaluation, prompt, spent, training

DOCUMENT = Path(__file__).parents[2] / "docs" / "trackers.md"
EVAL = ("accuracy", "kl_policy_base", "kl_base_policy", "entropy", "completion_tokens")


def test_updates_come_by_step_and_a_step_before_what_was_recorded_at_it(
    recorded: RunDirectory,
) -> None:
    found = list(history(recorded))
    assert [(e.kind, e.step) for e in found] == [
        ("rows", 0),
        ("steps", 1),
        ("steps", 2),
        ("rows", 2),
    ]
    assert found[0].values == dict(
        zip(
            (f"eval/math/learner/{name}" for name in EVAL), (0.25, 0.0, 0.5, 2.0, 10.0), strict=True
        )
    )


def test_a_step_has_all_quantities_that_are_finite() -> None:
    update = of_step({**training(3), "loss": math.nan, "grad_norm": math.inf})
    assert update.step == 3
    assert update.values == {
        "train/stage": 1.0,
        "train/reward": 1.5,
        "train/signal": 1.0,
        "train/entropy": 2.0,
        "train/completion_tokens": 9.0,
        "train/seconds": 1.5,
    }


def test_the_ledger_has_both_channels_and_their_sums() -> None:
    rows = [spent(4, "slow"), spent(4, "fast") | {"rollouts": 10, "reflection_failures": None}]
    (update,) = updates({"ledger": rows})
    assert update.values["ledger/slow/rollouts"] == 6
    assert update.values["ledger/fast/rollouts"] == 10
    assert update.values["ledger/rollouts"] == 16
    assert update.values["ledger/tokens"] == 2 * 123
    assert "ledger/fast/reflection_failures" not in update.values  # an old run did not count them


@pytest.mark.parametrize(
    ("test_set", "weights", "names"),
    [
        ("stream", "trained", [f"eval/math/learner/{name}" for name in EVAL]),
        ("stream", "base", ["eval-base/math/learner/accuracy"]),
        ("harder", "trained", [f"harder/math/learner/{name}" for name in EVAL]),
        ("greedy", "trained", [f"greedy/math/learner/{name}" for name in EVAL]),
        ("validation", "trained", [f"validation/math/learner/{name}" for name in EVAL]),
        ("retention", "trained", [f"retention/math/learner/{name}" for name in EVAL]),
    ],
)
def test_probes_have_names_of_their_own(test_set: str, weights: str, names: list[str]) -> None:
    row = evaluation(2, "stage-end", 0.5) | {"test_set": test_set, "weights": weights}
    (update,) = updates({"evaluations": [row]})
    assert list(update.values) == names


def test_prompts_are_the_population_of_every_round_as_fenced_text() -> None:
    rows: list[dict[str, Any]] = [
        prompt(0, -1, "seed", 0.25, "dropped"),
        prompt(1, 0, HOSTILE, 0.5, "kept"),
        prompt(2, 0, "rejected one", math.nan, "rejected"),
        {**prompt(3, 1, "second round", 0.75, "kept"), "round": 2},
    ]
    (update,) = updates({"prompts": rows})
    assert update.values == {"prompts/round": 2, "prompts/kept": 1, "prompts/best_score": 0.75}
    assert update.texts["prompts/population"].split("\n\n") == [
        "**Round 1**: 1 of 3 prompts kept",
        "Prompt 1, from 0, score 50.0 %",
        "````text\nbe ```right``` </pre><script>alert(1)</script> \\x1b[31m\n````",
        "**Round 2**: 1 of 1 prompts kept",
        "Prompt 3, from 1, score 75.0 %",
        "```text\nsecond round\n```",
    ]


def test_a_summary_leaves_out_what_is_undefined(recorded: RunDirectory) -> None:
    update = summary_of(recorded)
    assert (update.kind, update.step, update.values["summary/rollouts"]) == ("summary", 2, 12)
    metrics = run_metrics(recorded)
    defined = {name for name, value in metrics.items() if not isinstance(value, Undefined)}
    assert len(defined) < len(metrics)
    assert update.values.keys() == {f"summary/{name}" for name in defined}


def test_the_configuration_is_flat_and_without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sekrit-token-1")
    manifest = MANIFEST | {"model": "sekrit-token-1", "reason": "no", "journal": {"a": 1}}
    assert config_of(manifest) == {
        "stream.name": "math",
        "stream.version": "1",
        "stream.stages": "math (easy, 2 steps)",
        "config.model": "embedded",
        "config.learning.group_size": 4,
        "config.learning.reflection_lm": "base",
        "learner": "fst",
        "model": "[hidden]",
        "seed": 5,
        "provenance.git_commit": "abc",
        "provenance.git_dirty": True,
    }


def test_every_name_is_documented(recorded: RunDirectory) -> None:
    documented = [
        re.compile(re.sub(r"<[a-z ]+>", "[^/]+", name.replace("(-base)", "(-base)?")) + r"\Z")
        for name in re.findall(r"^\| `([^`]+)`", DOCUMENT.read_text(), flags=re.MULTILINE)
    ]
    sent = [*history(recorded), summary_of(recorded)]
    for name in {name for each in sent for name in (*each.values, *each.texts)}:
        assert any(pattern.match(name) for pattern in documented), name
