"""The suite from Python: where a run goes when nobody says, and what a call refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

import cl_bench
from cl_bench.api import default_out
from cl_bench.contract.errors import UsageError


@pytest.mark.parametrize(
    ("stream", "learner", "name"),
    [
        ("math-to-code", "fst", "math-to-code-fst-3"),
        ("math-to-acme/toy", "acme/bandit", "math-to-acme_toy-acme_bandit-3"),
        ("../../etc", "a b\x00", ".._.._etc-a_b_-3"),
        ("x" * 500, "rl", f"{'x' * 90}-rl-3"),
    ],
)
def test_a_runs_folder_is_one_safe_name_below_results(
    stream: str, learner: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = default_out(stream, learner, 3)
    assert out == Path("results") / name
    out.mkdir(parents=True)
    assert default_out(stream, learner, 3) == Path("results") / f"{name}.2"


@pytest.mark.parametrize("given", [3, "population=8", None])
def test_a_learners_options_have_to_be_a_mapping(given: object) -> None:
    with pytest.raises(UsageError, match=r"learner_options is .*, but must be a mapping"):
        cl_bench.run(learner_options=given)  # type: ignore[arg-type]
