"""`cl-bench compare`: differences of paired runs against values worked out by hand."""

from __future__ import annotations

import json
import math
import re
from math import sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pytest
from typer.testing import CliRunner

from cl_bench.analysis.comparison import Comparison, compare
from cl_bench.cli.app import app
from cl_bench.contract.errors import RunDirectoryError, UsageError
from cl_bench.metrics.comparison import PermutationTest
from cl_bench.metrics.stats.student import Estimate, Interval
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.show_comparison import show
from cl_bench.report.terminal import plain
from tests.report.synthetic_runs import flat, value, write_run


def sides(folder: Path, **by_name: list[float]) -> tuple[Path, Path]:
    """Two folders of runs with these final accuracies by seed."""
    for name, shares in by_name.items():
        for seed, share in enumerate(shares):
            path = folder / name / str(seed)
            write_run(path, learner=name, seed=seed, accuracy=flat(share), items=10, samples=2)
    one, other = (folder / name for name in by_name)
    return one, other


def text(found: Comparison, width: int = 100) -> str:
    return plain(found, show, width=width)


def test_differences_are_second_minus_first_paired_by_seed(tmp_path: Path) -> None:
    found = compare(*sides(tmp_path, rl=[0.3, 0.5, 0.7], fst=[0.4, 0.7, 0.8]))
    assert found.seeds == (0, 1, 2)
    of = found.differences["average_accuracy"]
    assert value(of.first) == pytest.approx(0.5)
    assert value(of.second) == pytest.approx(1.9 / 3)
    assert value(of.difference) == pytest.approx(0.4 / 3)
    assert isinstance(of.difference, Estimate)
    assert isinstance(of.difference.interval, Interval)
    # deviation 1/√300, error 1/30, t of two degrees of freedom 4.30265
    assert of.difference.interval.low == pytest.approx((4 - 4.30265) / 30, abs=1e-6)
    assert of.difference.interval.high == pytest.approx((4 + 4.30265) / 30, abs=1e-6)
    # all of the 8 signs but these two give a smaller difference
    assert isinstance(of.test, PermutationTest)
    assert (of.test.p, of.test.smallest_p) == (0.25, 0.25)
    assert of.seeds_needed == 6
    assert of.per_seed[1] == (0.5, 0.7)
    assert value(found.differences["kl_policy_base"].difference) == 0
    assert "2 stages" not in str(found.differences["bwt_gem"].difference)


def test_values_that_are_equal_but_for_rounding_do_not_differ(tmp_path: Path) -> None:
    one, other = sides(tmp_path, rl=[0.5, 0.6], fst=[0.5, 0.6])
    found = compare(one, other)
    assert value(found.differences["average_accuracy"].difference) == 0
    assert isinstance(found.differences["average_accuracy"].seeds_needed, Undefined)


def test_one_run_against_another_has_no_interval_and_says_so(tmp_path: Path) -> None:
    one, other = sides(tmp_path, rl=[0.3], fst=[0.4])
    found = compare(one / "0", other / "0")
    of = found.differences["average_accuracy"].difference
    assert isinstance(of, Estimate)
    assert of.interval == Undefined("one seed shows no interval over seeds")
    assert "One seed: no interval and no test over seeds." in text(found)


def test_a_run_that_did_not_end_well_has_no_numbers(tmp_path: Path) -> None:
    one, other = sides(tmp_path, rl=[0.3, 0.5], fst=[0.4])
    write_run(other / "1", seed=1, status="diverged", reason="Step 3 diverged.", items=10)
    found = compare(one, other)
    of = found.differences["average_accuracy"].difference
    assert isinstance(of, Estimate)
    assert (of.seeds, of.of_seeds) == (1, 2)
    assert "(fst), seeds 0, 1 (diverged)" in " ".join(text(found).split())  # a path may wrap


def test_both_means_are_of_the_seeds_whose_difference_is_shown(tmp_path: Path) -> None:
    """The fifth seed of B diverged: what A did with it is in no number beside B's."""
    one, other = sides(tmp_path, rl=[0.3, 0.3, 0.5, 0.5, 0.9], fst=[0.4, 0.4, 0.6, 0.6])
    write_run(other / "4", seed=4, learner="fst", status="diverged", last=10, items=10)
    found = compare(one, other)
    of = found.differences["average_accuracy"]
    assert isinstance(of.first, Estimate)
    assert isinstance(of.second, Estimate)
    assert of.first.value == pytest.approx(0.4)
    assert of.second.value == pytest.approx(0.5)
    assert (of.first.seeds, of.first.of_seeds) == (of.second.seeds, of.second.of_seeds) == (4, 5)
    assert of.per_seed[4][0] == 0.9
    shown = text(found, 120)
    (line,) = (line for line in shown.splitlines() if line.startswith("average accuracy   "))
    assert line.split()[2:9] == ["40.0", "%", "50.0", "%", "+10.0", "points", "4"]
    assert "The smallest exact p is 0.125 with 4 seeds" in shown


def test_without_any_difference_there_is_no_table(tmp_path: Path) -> None:
    one, other = sides(tmp_path, rl=[0.3], fst=[])
    write_run(other / "0", learner="fst", status="running", last=10, items=10)
    shown = text(compare(one, other))
    assert "B − A" not in shown.partition("Problems solved")[0]
    assert "Not compared, " in shown


def test_problems_won_and_lost_are_counted_by_domain(tmp_path: Path) -> None:
    # of 10 problems × 2 samples, the first 2 × share × 10 responses are right
    one, other = sides(tmp_path, rl=[0.3, 0.5], fst=[0.75, 0.2])
    found = compare(one, other).items["math"]
    # seed 0: 3 solved, then 7 whole and a half; seed 1: 5, then 2
    assert (found.items, found.both, found.neither) == (20, 3 + 2, 2 + 5)
    assert found.wins == tuple(f"math/stream/{item}/0" for item in (3, 4, 5, 6, 7))
    assert found.losses == tuple(f"math/stream/{item}/1" for item in (2, 3, 4))
    assert found.difference == pytest.approx((0.45 - 0.3) / 2)
    # only the half solved problem has spread: m (1 − m) / (samples − 1) = 0.25 of one scoring
    z = NormalDist().inv_cdf(0.975)
    assert found.noise_floor == pytest.approx(z * sqrt(0.25) / 10 / 2)


def test_problems_of_an_unfinished_run_are_not_compared(tmp_path: Path) -> None:
    one, other = sides(tmp_path, rl=[0.3], fst=[])
    write_run(other / "0", last=20, status="running", items=10)
    found = compare(one, other)
    assert found.items == {}
    assert "No problem was asked of both" in text(found)


def test_efficiency_is_against_the_first(tmp_path: Path) -> None:
    one = write_run(tmp_path / "rl", learner="rl", fast=0)  # 0.75 after 40 steps of 10
    other = write_run(tmp_path / "fst", accuracy=flat(0.75))  # after 10 steps of 10 + 5
    found = compare(one, other)
    assert value(found.efficiency["sample_efficiency"]) == pytest.approx(400 / 100)
    assert value(found.efficiency["sample_efficiency_rollouts"]) == pytest.approx(400 / 150)
    assert "training samples: 4.00×" in text(found)


def test_incomparable_runs_are_refused_with_every_difference(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one")
    stream, warm = {"version": "2"}, {"learning.temperature": 0.5}
    other = write_run(tmp_path / "other", stream=stream, config=warm)
    said = "do not compare: stream version 1 against 2; temperature 1.0 against 0.5. Run one"
    with pytest.raises(UsageError, match=said):
        compare(one, other)
    found = compare(one, other, anyway=True)
    assert found.apart == ("stream version 1 against 2", "temperature 1.0 against 0.5")
    assert text(found).startswith("These runs do not compare: stream version 1 against 2\n")


def test_other_problems_for_one_seed_are_refused(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one")
    other = write_run(tmp_path / "other", uid="{domain}/{item}/new")
    with pytest.raises(UsageError, match="test problems of code with seed 0"):
        compare(one, other)
    assert compare(one, other, anyway=True).items == {}


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"learner": "rl"}, r"runs of 2 learners \(fst, rl\)"),
        (
            {"config": {"learning.learning_rate": 0.5}},
            r"fst with 2 settings: learning_rate=0.0006 \(seeds 0\); learning_rate=0.5 \(seeds 1\)",
        ),
        ({"stream": {"version": "2"}}, "stream version 1 against 2"),
    ],
)
def test_a_side_is_one_learner_with_one_setting_on_one_stream(
    second: dict[str, Any], said: str, tmp_path: Path
) -> None:
    write_run(tmp_path / "side" / "a", seed=0)
    write_run(tmp_path / "side" / "b", seed=1, **second)
    alone = write_run(tmp_path / "alone")
    for pair in ((tmp_path / "side", alone), (alone, tmp_path / "side")):
        with pytest.raises(UsageError, match=said):
            compare(*pair)


def test_of_several_settings_one_is_chosen(tmp_path: Path) -> None:
    for name, rates in {"rl": (0.1, 0.2), "fst": (0.3,)}.items():
        for rate in rates:
            for seed in (0, 1):
                config = {"learning.learning_rate": rate}
                place = tmp_path / f"{name}-{rate}-{seed}"
                write_run(place, learner=name, seed=seed, config=config, accuracy=flat(rate))

    def chosen(learners: tuple[str, str], **settings: object) -> tuple[object, object]:
        named = {name.replace("__", "."): value for name, value in settings.items()}
        found = compare(tmp_path, tmp_path, learners=learners, settings=named)
        return found.first.settings["learning_rate"], found.second.settings["learning_rate"]

    assert chosen(("rl", "fst"), learning_rate=2e-1) == (0.2, 0.3)
    assert chosen(("rl", "rl"), A__learning_rate=0.1, B__learning_rate=0.2) == (0.1, 0.2)
    for settings, said in (
        ({}, "rl with 2 settings: learning_rate=0.1 .seeds 0, 1.; learning_rate=0.2 "),
        ({}, "Choose by `--set A.learning_rate=0.1`, or several of these"),
        ({"learning_rat": 0.1}, "Unknown setting of these runs 'learning_rat'. Did you mean"),
        ({"learning_rate": 0.5}, "no run with learning_rate=0.5. It has: 0.1, 0.2, 0.3"),
        ({"learning_rate": 0.3}, "side A, has no run with learning_rate=0.3. It has: 0.1, 0.2"),
        ({"C__learning_rate": 0.1}, "Unknown setting of these runs 'C.learning_rate'"),
    ):
        with pytest.raises(UsageError, match=said):
            chosen(("rl", "fst"), **settings)


def test_settings_that_no_run_has_at_once_are_refused_in_any_order(tmp_path: Path) -> None:
    """Each exists, on runs of its own; none may be passed over because another came first."""
    for number, varied in enumerate(({"population": 1}, {"round_every": 20}, {})):
        config = {f"learning.{name}": value for name, value in varied.items()}
        write_run(tmp_path / "fst" / str(number), config=config)
    alone = write_run(tmp_path / "alone", learner="rl")
    both = [("A.population", 1), ("A.round_every", 20)]
    for wanted in (both, both[::-1]):
        with pytest.raises(UsageError, match=r"side A, has no run with .* at once"):
            compare(tmp_path / "fst", alone, settings=dict(wanted))
    with pytest.raises(UsageError, match=r"as most, that is population=\d+, round_every=\d+ .seed"):
        compare(tmp_path / "fst", alone)
    found = compare(tmp_path / "fst", alone, settings={"A.population": 1, "A.round_every": 6})
    assert found.first.settings["population"] == 1
    assert "(fst, population=1, round_every=6)" in text(found, 120)


def test_a_condition_of_the_runs_chooses_among_them(tmp_path: Path) -> None:
    for feedback in ("step", "outcome"):
        write_run(tmp_path / "fst" / feedback, config={"feedback": feedback})
    alone = write_run(tmp_path / "alone", learner="rl")
    with pytest.raises(UsageError, match=r"runs of several kinds.*choose by `--set NAME=VALUE`"):
        compare(tmp_path / "fst", alone)
    found = compare(tmp_path / "fst", alone, settings={"feedback": "step"})
    assert [entry.path.name for entry in found.first.entries.values()] == ["step"]


def test_two_runs_of_one_seed_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_run(tmp_path / "side" / name)
    with pytest.raises(UsageError, match="two runs of seed 0"):
        compare(tmp_path / "side", tmp_path / "side" / "a")


def test_runs_without_a_seed_in_common_are_refused(tmp_path: Path) -> None:
    one, other = (write_run(tmp_path / str(seed), seed=seed) for seed in (3, 4))
    with pytest.raises(UsageError, match=r"the seeds 3 and .* has 4: nothing to pair.*--seed 3"):
        compare(one, other)


def test_damaged_runs_are_refused_with_their_reason(tmp_path: Path) -> None:
    good, bad, odd = (write_run(tmp_path / name) for name in ("good", "bad", "odd"))
    (bad / "manifest.json").write_text("{")
    manifest = json.loads((odd / "manifest.json").read_text())
    (odd / "manifest.json").write_text(json.dumps(manifest | {"seed": None}))
    with pytest.raises(RunDirectoryError, match="is not whole JSON"):
        compare(good, bad)
    with pytest.raises(RunDirectoryError, match=r"odd cannot be measured \(TypeError"):
        compare(good, odd)


def test_the_text_says_what_is_better_and_where_nothing_is_compared(tmp_path: Path) -> None:
    shares = {"rl": [0.3, 0.5, 0.7] * 2, "fst": [0.4, 0.7, 0.8] * 2}
    shown = text(compare(*sides(tmp_path, **shares)), 120)
    (line,) = (line for line in shown.splitlines() if line.startswith("average accuracy   "))
    assert line.split() == [
        *("average", "accuracy", "50.0", "%", "63.3", "%"),
        *("+13.3", "points", "[+7.9,", "+18.8]", "6", "of", "6"),
        *("0.0015", "0.031", "6", "better"),
    ]
    assert "Not compared, the hardest setting was not evaluated: accuracy in the hardest" in (
        " ".join(shown.split())
    )
    assert "code A 25.0 % ▃▃▃▃▅▅▅▅▅▅▅▅│▅▅▅▅▅▅▅▅ 50.0 %" in shown
    assert "     B 25.0 % ▃▃▃▃▆▆▆▆▆▆▆▆│▆▆▆▆▆▆▆▆ 63.3 %" in shown


def test_both_tests_have_to_be_sure_of_a_difference(tmp_path: Path) -> None:
    """With three seeds t may be sure, the exact test cannot; with six t may be in doubt."""
    three = compare(*sides(tmp_path / "3", rl=[0.3, 0.3, 0.3], fst=[0.75, 0.7, 0.7]))
    shares = {"rl": [0.3] * 6, "fst": [0.35, 0.35, 0.35, 0.35, 0.35, 1.0]}
    six = compare(*sides(tmp_path / "6", **shares))
    for found, exact in ((three, 0.25), (six, 2 / 2**6)):
        of = found.differences["average_accuracy"]
        assert isinstance(of.test, PermutationTest)
        assert of.test.p == exact
        assert not of.is_sure
        assert "better" not in text(found)
        assert "worse" not in text(found)
    of = three.differences["average_accuracy"]
    assert not isinstance(of.student_p, Undefined)
    assert of.student_p < 0.05
    assert "The smallest exact p is 0.25 with 3 seeds: 6 seeds can decide." in text(three)


def test_no_number_of_a_wide_comparison_is_cut_off() -> None:
    """Real runs, whose intervals of token counts need more than 100 columns on one line."""
    runs = Path(__file__).parents[2] / "results" / "runs" / "paper"
    found = compare(runs, runs, learners=("rl", "fst"))
    needed = [
        of.seeds_needed
        for of in found.differences.values()
        if isinstance(of.difference, Estimate) and not isinstance(of.seeds_needed, Undefined)
    ]
    assert max(needed) > 99
    units = {seeds: 10 ** max(0, len(str(seeds)) - 2) for seeds in needed}
    rounded = {
        f"{math.ceil(seeds / unit) * unit:,}" if seeds <= 1_000 else "1,000"  # as in > 1,000
        for seeds, unit in units.items()
    }
    for width in range(80, 141, 4):
        shown = text(found, width)
        assert max(map(len, shown.splitlines())) <= width
        table = shown.partition("Problems solved")[0]
        assert rounded <= set(re.findall(r"[\d.,]+", table)), width


def test_hostile_texts_do_nothing_to_a_terminal(tmp_path: Path) -> None:
    hostile = "\x1b[31m\u202e[bold]"
    one = write_run(
        tmp_path / "one", learner=hostile, stages=((hostile, 20),), texts=("a", hostile)
    )
    other = write_run(tmp_path / "other", stages=((hostile, 20),), texts=())
    shown = text(compare(one, other))
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert "\\x1b[31m\\u202e[bold]" in shown
    assert "the seed prompt: it rewrites none" in shown


def test_json_is_strict_and_has_a_reason_beside_every_null(tmp_path: Path) -> None:
    one, other = sides(tmp_path, rl=[0.3, 0.5], fst=[0.4, 0.7])
    result = CliRunner().invoke(app, ["compare", str(one), str(other), "--json"])
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout, parse_constant=_refuse)
    accuracy = found["metrics"]["average_accuracy"]
    assert accuracy["difference"]["value"] == pytest.approx(0.15)
    assert accuracy["better"] == "higher"
    assert accuracy["p"] == {"value": 0.5, "undefined": None}
    assert accuracy["student_p"]["value"] == pytest.approx(0.2048, abs=1e-4)
    assert accuracy["sure"] is False
    assert accuracy["per_seed"]["1"]["first"] == {"value": 0.5, "undefined": None}
    harder = found["metrics"]["harder_accuracy"]["difference"]
    assert harder["value"] is None
    assert harder["undefined"] == "the hardest setting was not evaluated"
    assert found["first"]["runs"]["0"]["status"] == "done"
    assert found["items"]["math"]["second_only"] == [
        *("math/stream/3/0", "math/stream/5/1", "math/stream/6/1"),
    ]
    assert found["incomparable"] == []


def _refuse(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def test_the_command_refuses_incomparable_runs_with_exit_code_2(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one")
    other = write_run(tmp_path / "other", stream={"version": "2"})
    refused = CliRunner().invoke(app, ["compare", str(one), str(other)])
    assert refused.exit_code == 2
    assert refused.stdout == ""
    assert "stream version 1 against 2" in " ".join(refused.stderr.split())
    shown = CliRunner().invoke(app, ["compare", str(one), str(other), "--anyway"])
    assert shown.exit_code == 0
    assert "These runs do not compare: stream version 1 against 2" in shown.stdout
    described = CliRunner().invoke(app, ["compare", str(one), str(other), "--anyway", "--json"])
    assert json.loads(described.stdout)["incomparable"] == ["stream version 1 against 2"]


def test_two_learners_are_picked_from_one_folder(tmp_path: Path) -> None:
    one, other = sides(tmp_path, rl=[0.3, 0.5], fst=[0.4, 0.7])
    write_run(tmp_path / "prompt", learner="prompt")
    picked, named = compare(tmp_path, tmp_path, learners=("rl", "fst")), compare(one, other)
    assert picked.differences == named.differences
    result = CliRunner().invoke(app, ["compare", str(tmp_path), "--learners", "rl,fst"])
    assert result.exit_code == 0
    assert "(fst), seeds 0, 1" in result.stdout


def test_runs_at_urls_go_by_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CL_BENCH_CACHE", str(tmp_path / "cache"))
    one, other = (f"file://{side}" for side in sides(tmp_path, rl=[0.3], fst=[0.4]))
    shown = CliRunner().invoke(app, ["compare", one, other])
    assert f"A: {one} (rl)" in shown.stdout
    described = CliRunner().invoke(app, ["compare", one, other, "--json"])
    assert f'"path": "{one}"' in described.stdout
    write_run(tmp_path / "longer", learner="rl", accuracy=flat(0.3), items=20, samples=2)
    refused = CliRunner().invoke(app, ["compare", one, f"file://{tmp_path}/longer"])
    assert f"{one} and file://{tmp_path}/longer do not compare" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name two learners below it"),
        (["--learners", "rl"], "must be two names"),
        (["--learners", "rl,ppo"], "holds no run of 'ppo', but of fst, rl"),
    ],
)
def test_picking_wrongly_is_said_in_one_line(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    sides(tmp_path, rl=[0.3], fst=[0.4])
    result = CliRunner().invoke(app, ["compare", str(tmp_path), *arguments])
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in " ".join(result.stderr.split())
