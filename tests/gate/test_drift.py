"""Drift over trajectories: the mean of all points, and every point."""

from __future__ import annotations

from pathlib import Path

import pytest

from cl_bench.gate.outcome import Check
from cl_bench.gate.policy import parse_policy
from cl_bench.gate.regression import compare
from cl_bench.store.run_tables import find_runs

from .gate_runs import noisy_runs

TEXT = "version = 1\n[trajectory.accuracy]\nmean_tolerance = 0.05\npoint_tolerance = 0.15"
POLICY = parse_policy(TEXT, "drift")


def drift(candidate: Path, reference: Path) -> tuple[Check, Check]:
    report = compare(find_runs([candidate])[0], find_runs([reference])[0], POLICY)
    _, mean, points = report.checks
    return mean, points


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seeds; 5 evaluations × 2 domains × 2 prompts."""
    return noisy_runs(tmp_path_factory.mktemp("reference"), 6, items=100, samples=1)


def test_noise_alone_drifts_nowhere(reference: Path, tmp_path: Path) -> None:
    mean, points = drift(noisy_runs(tmp_path, 6, items=100, samples=1, noise=1), reference)
    assert (mean.verdict, points.verdict) == ("pass", "pass")
    assert "all 20 points within the tolerance" in points.reason


def test_a_dip_at_one_point_is_seen_there_and_hardly_in_the_mean(
    reference: Path, tmp_path: Path
) -> None:
    """One of 20 points loses 0.4 and gets it back."""
    mean, points = drift(
        noisy_runs(tmp_path, 6, items=100, samples=1, noise=1, dip=(20, "code", 0.4)), reference
    )
    assert mean.verdict == "pass"
    assert mean.difference == pytest.approx(-0.02, abs=0.01)
    assert points.verdict == "regress"
    assert points.difference == pytest.approx(-0.4, abs=0.05)
    assert "1 of 20 points beyond the tolerance; worst: step 20, code, learner prompt" in (
        points.reason
    )


def test_a_slow_slide_is_seen_in_the_mean_and_at_no_point(reference: Path, tmp_path: Path) -> None:
    mean, points = drift(
        noisy_runs(tmp_path, 6, items=100, samples=1, noise=1, drop=0.1), reference
    )
    assert mean.verdict == "regress"
    assert mean.difference == pytest.approx(-0.08, abs=0.02)  # none at step 0
    assert points.verdict == "pass"


def test_a_point_that_is_not_sure_is_undecided(tmp_path: Path) -> None:
    first = noisy_runs(tmp_path / "first", 2, items=4, samples=1)
    _, points = drift(noisy_runs(tmp_path / "second", 2, items=4, samples=1, noise=1), first)
    assert points.verdict == "inconclusive"
    assert isinstance(points.needed, int)


def test_evaluations_that_the_reference_lacks_are_inconclusive_unless_optional(
    reference: Path, tmp_path: Path
) -> None:
    short = noisy_runs(tmp_path, 6, items=100, samples=1, last=20)
    for pair in ((reference, short), (short, reference)):
        mean, points = drift(*pair)
        assert (mean.verdict, points.verdict) == ("inconclusive", "inconclusive")
        assert "no value at step 30, code, learner prompt" in mean.reason
        assert "and 5 more" in mean.reason
    candidate, against = (find_runs([path])[0] for path in (reference, short))
    report = compare(candidate, against, parse_policy(f"{TEXT}\noptional = true", "drift"))
    assert [check.verdict for check in report.checks] == ["pass"] * 3


def test_a_trajectory_that_no_run_has_is_inconclusive_or_skipped(tmp_path: Path) -> None:
    text = "version = 1\n[metrics.rollouts]\n[trajectory.kl_policy_base]\noptional = "
    runs = find_runs([noisy_runs(tmp_path, 2, kl=lambda *_: float("nan"))])[0]
    report = compare(runs, runs, parse_policy(text + "false", "drift"))
    assert report.verdict == "inconclusive"
    assert report.checks[-1].reason.endswith(
        "optional = true in [trajectory.kl_policy_base] lets that pass"
    )
    report = compare(runs, runs, parse_policy(text + "true", "drift"))
    assert report.verdict == "pass"
    assert [each.name for each in report.skipped] == ["kl_policy_base, every point"]
