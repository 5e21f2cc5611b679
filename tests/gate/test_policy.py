"""Policies: what they say, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from cl_bench.analysis.run_values import RUN_METRICS
from cl_bench.contract.errors import UsageError
from cl_bench.gate.policy import (
    MetricRule,
    Tolerance,
    TrajectoryRule,
    default_policy,
    load_policy,
    parse_policy,
)

WHOLE = """\
version = 1
level = 0.9
missing_seeds = "error"

[metrics.bwt_gem]
tolerance = 0.02
relative_tolerance = 1
better = "neither"
interval = false

[trajectory.kl_policy_base]
mean_tolerance = 0.1
point_tolerance = 0.2
point_relative_tolerance = 0.5
"""


def test_every_entry_of_a_policy_is_read() -> None:
    policy = parse_policy(WHOLE, "mine.toml")
    assert (policy.level, policy.missing_seeds, policy.source) == (0.9, "error", "mine.toml")
    assert policy.metrics == {"bwt_gem": MetricRule(Tolerance(0.02, 1.0), "neither", False)}
    points = Tolerance(0.2, 0.5)
    assert policy.trajectories == {
        "kl_policy_base": TrajectoryRule(Tolerance(0.1), points, "lower")
    }
    assert points.at(-0.4) == pytest.approx(0.4)


def test_a_metric_says_itself_which_way_is_better() -> None:
    text = "version = 1\n" + "".join(f"[metrics.{name}]\n" for name in RUN_METRICS)
    policy = parse_policy(text, "all")
    assert {name: rule.better for name, rule in policy.metrics.items()} == {
        name: metric.better for name, metric in RUN_METRICS.items()
    }


def test_the_default_policy_follows_accuracy_and_kl() -> None:
    policy = default_policy()
    assert policy.metrics["average_accuracy"].tolerance == Tolerance(0.05)
    assert set(policy.trajectories) == {"accuracy", "kl_policy_base"}
    assert policy.level == 0.95


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "version is missing"),
        ("version = 2", "version is 2, but this cl-bench reads version 1"),
        ("version = true", "version is True"),
        ("version = 1", "asks nothing"),
        ("version = 1\n[metrics", "is not TOML"),
        ("version = 1\nlevel = 95\n[metrics.bwt_gem]", "level is 95, but must be at least 0.5"),
        ("version = 1\nlevel = nan\n[metrics.bwt_gem]", "level is nan"),
        ("version = 1\nlevle = 0.9\n[metrics.bwt_gem]", "Did you mean 'level'"),
        ("version = 1\nmetrics = 3", "metrics is 3, but must be a table"),
        ("version = 1\nmissing_seeds = 'pass'\n[metrics.bwt_gem]", "one of inconclusive, error"),
        ("version = 1\n[metrics.average_acuracy]", "Did you mean 'average_accuracy'"),
        ("version = 1\n[metrics]\nbwt_gem = 0.1", "metrics.bwt_gem is 0.1, but must be a table"),
        ("version = 1\n[metrics.bwt_gem]\ntolerance = -0.1", "tolerance is -0.1, but must be at"),
        ("version = 1\n[metrics.bwt_gem]\ntolerance = true", "tolerance is True"),
        ("version = 1\n[metrics.bwt_gem]\ntolerance = 'a'", "tolerance is 'a'"),
        ("version = 1\n[metrics.bwt_gem]\ntolerance = inf", "tolerance is inf"),
        ("version = 1\n[metrics.bwt_gem]\npoint_tolerance = 1", "Unknown entry 'point_tolerance'"),
        ("version = 1\n[metrics.bwt_gem]\nbetter = 'up'", "one of higher, lower, neither"),
        ("version = 1\n[metrics.bwt_gem]\ninterval = 1", "interval is 1, but must be true or"),
        ("version = 1\n[trajectory.entropy]", "Unknown entry of [trajectory] 'entropy'"),
        ("version = 1\n[trajectory.accuracy]\nmean_tolerance = -1", "mean_tolerance is -1"),
    ],
)
def test_what_is_wrong_is_named_with_its_file(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_policy(file)
    message = str(caught.value)
    assert said in message
    assert str(file) in message
    assert "\n" not in message


def test_a_policy_that_is_no_file_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"Cannot read the policy .*--print-policy"):
        load_policy(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"version = 1 # \xff")
    with pytest.raises(UsageError, match="no UTF-8"):
        load_policy(tmp_path / "binary.toml")
