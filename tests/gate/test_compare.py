"""What the gate says of runs: equal ones, worse ones, few ones, others."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import finalize

import pytest

from cl_bench.contract.errors import UsageError
from cl_bench.gate.outcome import Check, GateReport
from cl_bench.gate.policy import default_policy, parse_policy
from cl_bench.gate.regression import compare
from cl_bench.metrics.undefined import Undefined
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.run_tables import find_runs
from tests.verify.tampering import Forgery

from .gate_runs import noisy_run, noisy_runs

ACCURACY = parse_policy("version = 1\n[metrics.average_accuracy]\ntolerance = 0.05", "accuracy")
NEVER = "version = 1\nmissing_seeds = 'error'\n[metrics.average_accuracy]"
Judge = Callable[..., GateReport]


def judge(candidate: Path, reference: Path, policy: Any = ACCURACY) -> GateReport:
    return compare(find_runs([candidate])[0], find_runs([reference])[0], policy)


def only(report: GateReport, name: str) -> Check:
    (check,) = (check for check in report.checks if check.name == name)
    return check


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five seeds of 64 items × 2."""
    return noisy_runs(tmp_path_factory.mktemp("five"), 5, items=64)


@pytest.fixture(scope="module")
def dropped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five seeds with other noise, 10 points lower."""
    return noisy_runs(tmp_path_factory.mktemp("dropped"), 5, items=64, noise=1, drop=0.1)


def test_identical_runs_pass_with_any_number_of_seeds(five: Path, tmp_path: Path) -> None:
    report = judge(five, five, default_policy())
    assert (report.verdict, report.exit_code) == ("pass", 0)
    assert report.coverage[0].identical
    one = noisy_run(tmp_path / "one", items=2)
    report = judge(one, one, default_policy())
    assert report.verdict == "pass"
    assert all(check.difference in (0.0, Undefined("not a number")) for check in report.checks)


def test_runs_that_differ_in_wall_time_alone_are_identical(tmp_path: Path) -> None:
    first = noisy_run(tmp_path / "first")
    second = tmp_path / "second"
    shutil.copytree(first, second)
    directory = RunDirectory.open(second)
    rows = {name: directory.select(name).to_pylist() for name in ("evaluations", "items")}
    directory.discard_after(-1)
    directory.commit(0, rows)
    assert not judge(second, first).coverage[0].identical  # the ledger is gone
    slower = noisy_run(tmp_path / "slower", parts=3)
    assert judge(slower, first).coverage[0].identical


def test_what_one_run_did_not_measure_makes_it_no_other(packed_run: Path, tmp_path: Path) -> None:
    less = packed_run.with_name("packed-run-less.zip")
    run = Forgery(less)
    for column in ("kl_deployed_start", "kl_deployed_start_sequence", "truncation_rate"):
        run.tables["evaluations"][column] = 0.25
    run.tables["items"]["truncated"] = 0
    more = run.write(tmp_path / "more.zip")
    assert judge(more, less).coverage[0].identical
    assert judge(less, more).coverage[0].identical
    run.edit("evaluations", "truncation_rate", 0.5, step=2)
    assert not judge(run.write(tmp_path / "other.zip"), more).coverage[0].identical
    run.edit("evaluations", "entropy", 0.5, step=2)
    assert not judge(run.write(tmp_path / "another.zip"), less).coverage[0].identical


def test_a_drop_of_ten_points_is_a_regression(five: Path, dropped: Path) -> None:
    report = judge(dropped, five, default_policy())
    assert (report.verdict, report.exit_code) == ("regress", 1)
    check = only(report, "average_accuracy")
    assert check.verdict == "regress"
    assert check.difference == pytest.approx(-0.1, abs=0.05)
    assert only(report, "accuracy, mean drift").verdict == "regress"
    assert only(report, "kl_policy_base").verdict == "pass"


def test_the_same_gain_passes(five: Path, dropped: Path) -> None:
    assert judge(five, dropped).verdict == "pass"


def test_one_seed_with_few_items_is_inconclusive_and_says_how_many_decide(tmp_path: Path) -> None:
    reference = noisy_run(tmp_path / "reference", items=8)
    report = judge(noisy_run(tmp_path / "candidate", items=8, noise=1), reference)
    assert (report.verdict, report.exit_code) == ("inconclusive", 3)
    check = only(report, "average_accuracy")
    assert (check.verdict, check.needed_unit) == ("inconclusive", "items")
    assert isinstance(check.needed, int)
    assert check.needed > 8
    assert f"undecided with 8 items: about {check.needed} are needed" in check.reason
    assert any("this checkpoint only" in note for note in report.notes)


def test_one_seed_with_many_items_decides_by_them(tmp_path: Path) -> None:
    many: dict[str, Any] = {"items": 1500, "samples": 1, "stages": (("math", 10),)}
    reference = noisy_run(tmp_path / "reference", **many)
    same = noisy_run(tmp_path / "same", noise=1, **many)
    worse = noisy_run(tmp_path / "worse", noise=2, drop=0.1, **many)
    assert judge(same, reference).verdict == "pass"
    assert judge(worse, reference).verdict == "regress"


def test_what_has_no_items_needs_a_second_seed(tmp_path: Path) -> None:
    policy = parse_policy("version = 1\n[metrics.kl_policy_base]\ntolerance = 1.0", "kl")
    reference = noisy_run(tmp_path / "reference")
    check = only(judge(noisy_run(tmp_path / "new", noise=1), reference, policy), "kl_policy_base")
    assert (check.verdict, check.needed, check.needed_unit) == ("inconclusive", 2, "seeds")
    assert "at least 2 seeds are needed" in check.reason


def without_items(runs: Path, to: Path, after: int) -> Path:
    """The runs, with no item asked after that step."""
    shutil.copytree(runs, to)
    for path in sorted(to.iterdir()):
        directory = RunDirectory.open(path)
        rows = {
            name: directory.select(name).to_pylist() for name in ("evaluations", "items", "ledger")
        }
        directory.discard_after(-1)
        kept = [row for row in rows["items"] if row["step"] <= after]
        directory.commit(0, rows | {"items": kept})
    return to


def test_runs_without_items_are_not_compared(five: Path, tmp_path: Path) -> None:
    """However many seeds there are: equal means of no items are no agreement."""
    blind = without_items(five, tmp_path / "blind", -1)
    for candidate, reference, side in ((blind, five, "candidate"), (five, blind, "reference")):
        with pytest.raises(UsageError, match=f"the {side} has no test problems of math with seed"):
            judge(candidate, reference, default_policy())


def test_accuracies_whose_items_are_gone_are_inconclusive(five: Path, tmp_path: Path) -> None:
    report = judge(without_items(five, tmp_path / "early", 0), five, default_policy())
    assert report.verdict == "inconclusive"
    said = "not all items of math were scored at every evaluation"
    for name in ("average_accuracy", "bwt_gem", "accuracy, mean drift"):
        check = only(report, name)
        assert (check.verdict, check.reason) == ("inconclusive", said), name
        assert check.interval == Undefined(said)
    assert only(report, "kl_policy_base").verdict == "pass"


def test_lower_is_better_for_divergence(tmp_path: Path) -> None:
    policy = parse_policy("version = 1\n[metrics.kl_policy_base]\nrelative_tolerance = 0.5", "kl")
    low = noisy_runs(tmp_path / "low", 4)
    high = noisy_runs(tmp_path / "high", 4, noise=1, kl=lambda step, *_: step / 100)
    assert judge(high, low, policy).verdict == "regress"
    assert judge(low, high, policy).verdict == "pass"
    both = parse_policy("version = 1\n[metrics.kl_policy_base]\nbetter = 'neither'", "kl")
    assert judge(low, high, both).verdict == judge(high, low, both).verdict == "regress"


def test_a_count_without_interval_is_decided_by_every_seed(tmp_path: Path) -> None:
    text = "version = 1\n[metrics.rollouts]\ninterval = false\nrelative_tolerance = "
    reference = noisy_run(tmp_path / "reference")
    dearer = noisy_run(tmp_path / "dearer", noise=1, fast=6)  # 16 rollouts a step instead of 15
    assert judge(dearer, reference, parse_policy(text + "0.07", "p")).verdict == "pass"
    assert judge(dearer, reference, parse_policy(text + "0.06", "p")).verdict == "regress"


@pytest.mark.parametrize("status", ["failed", "diverged"])
def test_a_broken_run_is_a_regression_with_its_reason(status: str, tmp_path: Path) -> None:
    reference = noisy_runs(tmp_path / "reference", 3)
    candidate = noisy_runs(tmp_path / "candidate", 2)
    noisy_run(candidate / "2", seed=2, status=status, reason="loss is\nnan", last=10)
    report = judge(candidate, reference)
    check = only(report, "finished")
    assert (report.verdict, check.verdict) == ("regress", "regress")
    assert check.reason == f"seed 2 {status} (loss is nan)"
    assert report.coverage[0].compared == (0, 1)
    assert report.coverage[0].of_seeds == 3


def test_missing_seeds_are_inconclusive_or_an_error(five: Path, tmp_path: Path) -> None:
    candidate = noisy_runs(tmp_path, 3, items=64)
    report = judge(candidate, five)
    check = only(report, "finished")
    assert (report.verdict, check.needed) == ("inconclusive", 5)
    assert check.reason == "the candidate lacks seeds 3, 4 of the reference"
    assert only(report, "average_accuracy").verdict == "pass"
    with pytest.raises(UsageError, match=r"lacks seeds 3, 4 .* missing_seeds"):
        judge(candidate, five, parse_policy(NEVER, "strict.toml"))


def test_what_is_left_out_is_said(five: Path, tmp_path: Path) -> None:
    noisy_runs(tmp_path, 6, items=64)
    noisy_run(tmp_path / "other", learner="rl")
    report = judge(tmp_path, five)
    assert report.verdict == "pass"
    assert "fst on math-to-code: the reference lacks seeds 5, so not checked" in report.notes
    assert "rl on math-to-code: not in the reference, so not checked" in report.notes


def test_a_broken_run_of_the_reference_is_not_compared(tmp_path: Path) -> None:
    reference = noisy_runs(tmp_path / "reference", 1)
    noisy_run(reference / "1", seed=1, status="diverged", last=10)
    report = judge(noisy_runs(tmp_path / "candidate", 2), reference)
    assert report.verdict == "pass"
    assert "fst on math-to-code, seed 1: diverged in the reference, so not checked" in report.notes


def test_a_metric_that_no_run_has_is_inconclusive_unless_it_is_optional(tmp_path: Path) -> None:
    text = "version = 1\n[metrics.average_accuracy]\n[metrics.bwt_gem]"
    run = noisy_run(tmp_path / "run", stages=(("math", 20),))
    report = judge(run, run, parse_policy(text, "p"))
    check = only(report, "bwt_gem")
    assert (report.verdict, check.verdict, report.skipped) == ("inconclusive", "inconclusive", ())
    assert "it is undefined in all runs (candidate, seed 0: " in check.reason
    assert check.reason.endswith("optional = true in [metrics.bwt_gem] lets that pass")
    report = judge(run, run, parse_policy(f"{text}\noptional = true", "p"))
    assert [check.name for check in report.checks] == ["finished", "average_accuracy"]
    assert (report.verdict, report.skipped[0].name) == ("pass", "bwt_gem")
    assert "bwt_gem is undefined in all runs (" in report.remarks[0]
    with pytest.raises(UsageError, match="asks for nothing that these runs have"):
        judge(run, run, parse_policy("version = 1\n[metrics.bwt_gem]\noptional = true", "p"))


def test_a_failed_seed_is_a_regression_even_where_a_policy_finds_nothing_to_ask(
    tmp_path: Path,
) -> None:
    policy = parse_policy("version = 1\n[metrics.bwt_gem]\noptional = true", "p")
    one_stage = (("math", 20),)
    reference = noisy_runs(tmp_path / "reference", 2, stages=one_stage)
    candidate = noisy_runs(tmp_path / "candidate", 1, stages=one_stage)
    noisy_run(candidate / "1", seed=1, stages=one_stage, status="failed", reason="no", last=10)
    report = judge(candidate, reference, policy)
    assert (report.verdict, only(report, "finished").verdict) == ("regress", "regress")


def test_the_default_policy_holds_for_a_stream_of_one_stage(tmp_path: Path) -> None:
    run = noisy_run(tmp_path / "run", stages=(("math", 20),))
    report = judge(run, run, default_policy())
    assert (report.verdict, [each.name for each in report.skipped]) == ("pass", ["bwt_gem"])


@pytest.mark.parametrize("lost", [float("nan"), float("inf")])
def test_a_metric_that_only_the_candidate_lacks_is_inconclusive(
    lost: float, tmp_path: Path
) -> None:
    policy = parse_policy("version = 1\n[metrics.kl_policy_base]\n[trajectory.kl_policy_base]", "p")
    reference = noisy_runs(tmp_path / "reference", 2)
    broken = noisy_runs(tmp_path / "broken", 2, kl=lambda step, *_: lost if step else 0.0)
    report = judge(broken, reference, policy)
    assert report.verdict == "inconclusive"
    assert "candidate, seed 0: kl_policy_base is not a number" in report.checks[1].reason
    assert "no value at step 10, code, learner prompt" in report.checks[2].reason


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stream": {"version": "2"}}, "stream version 2 against 1"),
        ({"stages": (("math", 20), ("code", 10))}, "training samples 200 + 100 against 200 + 200"),
        ({"uid": "other/{domain}/{item}"}, "test problems of math"),
    ],
)
def test_runs_of_another_kind_are_not_compared(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    reference = noisy_runs(tmp_path / "reference", 2)
    with pytest.raises(UsageError, match="cannot be compared") as caught:
        judge(noisy_runs(tmp_path / "candidate", 2, **changes), reference)
    assert said in str(caught.value)
    assert getattr(caught.value, "differences", ())


def test_nothing_in_common_two_runs_of_a_seed_and_unfinished_runs_are_refused(
    tmp_path: Path,
) -> None:
    reference = noisy_runs(tmp_path / "reference", 1)
    with pytest.raises(UsageError, match="has rl on math-to-code, the reference has fst"):
        judge(noisy_run(tmp_path / "rl", learner="rl"), reference)
    noisy_run(tmp_path / "twice" / "a")
    noisy_run(tmp_path / "twice" / "b")
    with pytest.raises(UsageError, match=r"two runs of fst on math-to-code, seed 0: .*a and .*b"):
        judge(tmp_path / "twice", reference)
    with pytest.raises(UsageError, match=r"not finished. Go on with `cl-bench run --resume"):
        judge(noisy_run(tmp_path / "half", status="running", last=10), reference)


@pytest.mark.parametrize(
    ("seeds", "fields"),
    [((10, 11), {}), ((0, 1), {"status": "failed", "reason": "no memory"})],
    ids=["seeds that the reference lacks", "failed runs"],
)
def test_another_stream_version_is_told_though_no_seed_is_paired(
    seeds: tuple[int, ...], fields: dict[str, Any], five: Path, tmp_path: Path
) -> None:
    for seed in seeds:
        noisy_run(tmp_path / str(seed), seed=seed, items=64, stream={"version": "99"}, **fields)
    with pytest.raises(UsageError, match="stream version 99 against 1"):
        judge(tmp_path, five)


def test_tables_of_one_pair_at_a_time_are_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many runs are compared: tables of items are the largest part of them."""
    for learner in ("fst", "rl"):
        for side in (0, 1):
            noisy_runs(tmp_path / str(side) / learner, 4, learner=learner, noise=side)
    held: list[str] = []
    most: list[int] = []
    read = RunDirectory.table

    def table(self: RunDirectory, name: str) -> Any:
        found = read(self, name)
        if name == "items":
            held.append(name)
            finalize(found, held.pop)
            most.append(len(held))
        return found

    monkeypatch.setattr(RunDirectory, "table", table)
    report = judge(tmp_path / "0", tmp_path / "1", default_policy())
    assert len(report.coverage) == 2
    assert len(most) == 2 * 8
    assert max(most) <= 2
    assert not held
