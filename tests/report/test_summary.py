from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cl_bench.contract.errors import RunDirectoryError
from cl_bench.metrics.attribution import ChannelAttribution
from cl_bench.metrics.quantities import NUMBER
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.summary import summarise
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.run_tables import open_run

MakeRun = Callable[..., RunDirectory]
TWO = [("math", 20), ("code", 20)]

# By step, domain: what the learner's prompt scores; the seed prompt scores half of it.
SCORES = {
    (0, "math"): 0.1,
    (0, "code"): 0.2,
    (20, "math"): 0.9,
    (20, "code"): 0.3,
    (40, "math"): 0.6,
    (40, "code"): 0.8,
}


def scores(step: int, domain: str, prompt: str) -> float:
    return SCORES.get((step, domain), 0.99) / (1 if prompt == "learner" else 2)


def test_matrix_is_built_from_the_start_and_the_ends_of_stages(make_run: MakeRun) -> None:
    summary = summarise(make_run(TWO, scores))
    expected = np.array([[0.1, 0.2], [0.9, 0.3], [0.6, 0.8]])
    np.testing.assert_allclose(summary.accuracy["learner"], expected)
    np.testing.assert_allclose(summary.accuracy["seed"], expected / 2)


def test_metrics_equal_hand_computed_values(make_run: MakeRun) -> None:
    metrics = summarise(make_run(TWO, scores)).metrics
    expected = {"average_accuracy": 0.7, "bwt_gem": -0.3, "forgetting_max": 0.3}
    assert metrics["learner"] == pytest.approx(expected)
    assert metrics["seed"] == pytest.approx({name: value / 2 for name, value in expected.items()})


def test_domain_that_comes_twice_has_two_columns(make_run: MakeRun) -> None:
    run = make_run(
        [("math", 20), ("code", 20), ("math", 20)],
        lambda step, domain, _prompt: step / 100 + (domain == "code") / 5,
    )
    summary = summarise(run)
    assert summary.stages == ("math", "code", "math")
    np.testing.assert_allclose(
        summary.accuracy["learner"],
        [[0.0, 0.2, 0.0], [0.2, 0.4, 0.2], [0.4, 0.6, 0.4], [0.6, 0.8, 0.6]],
    )
    assert summary.metrics["learner"]["bwt_gem"] == pytest.approx((0.4 + 0.2) / 2)
    assert "3 math" in summary.text()


def test_retention_has_a_column_per_domain_and_a_row_per_stage(make_run: MakeRun) -> None:
    run = make_run(TWO, scores)
    rows = run.table("evaluations").query(
        "domain == 'math' and prompt == 'seed' and at != 'inside'"
    )
    stated = rows.assign(
        domain="physics", test_set="retention", prompt="stated", accuracy=[0.9, 0.8, 0.75]
    )
    run.commit(1, {"evaluations": stated.to_dict("records")})
    summary = summarise(run)
    assert summary.retention["physics"].to_dict() == {0: 0.9, 1: 0.8, 2: 0.75}
    assert "retention" in summary.text()
    assert re.search(r"2 code +75\.0 %", summary.text())
    assert summary.accuracy["learner"].shape == (3, 2)


def test_harder_problems_and_gains_by_channel_are_shown_and_change_nothing_else(
    make_run: MakeRun,
) -> None:
    run = make_run(TWO, scores)
    alone = summarise(run)
    rows = run.table("evaluations").query("at != 'inside'")
    base = rows.assign(weights="base", accuracy=0.05, kl_policy_base=0.0)
    harder = rows.query("prompt == 'seed' and domain == 'code'")
    harder = harder.assign(test_set="harder", setting="hard", accuracy=[0.25, 0.5, 0.375])
    run.commit(1, {"evaluations": [*base.to_dict("records"), *harder.to_dict("records")]})
    summary = summarise(run)
    assert summary.harder.to_dict() == {"code": {0: 0.25, 1: 0.5, 2: 0.375}}
    math = summary.attribution["math"]
    assert isinstance(math, ChannelAttribution)
    # math at step 40: 0.6 under the learner's prompt, 0.3 under the seed prompt; the base 0.05
    assert (math.slow, math.fast, math.joint) == pytest.approx((0.25, 0.0, 0.55))
    text = summary.text()
    assert re.search(
        r"hardest setting.*\n.*code\n.*\n.*25\.0 %\n1 math +50\.0 %\n2 code +37\.5 %", text
    )
    assert re.search(r"math +\+25\.0 points +0\.0 points +\+55\.0 points +\+30\.0 points\n", text)
    for prompt in ("learner", "seed"):
        np.testing.assert_array_equal(summary.accuracy[prompt], alone.accuracy[prompt])
        assert summary.metrics[prompt] == alone.metrics[prompt]
    assert summary.kl == alone.kl


def test_a_run_without_probes_says_nothing_of_them(make_run: MakeRun) -> None:
    text = summarise(make_run(TWO, scores)).text()
    assert "hardest" not in text
    assert "Gains" not in text


def test_kl_is_the_mean_over_domains_at_the_last_evaluation(make_run: MakeRun) -> None:
    def kl(step: int, domain: str, prompt: str) -> float:
        return step * (0.001 if domain == "math" else 0.003) * (1 if prompt == "learner" else 2)

    assert summarise(make_run(TWO, scores, kl=kl)).kl == pytest.approx(
        {"learner": 0.08, "seed": 0.16}
    )


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_divergence_that_is_no_number_names_its_domain(make_run: MakeRun, wrong: float) -> None:
    run = make_run(TWO, scores, kl=lambda _step, domain, _: wrong if domain == "code" else 0.1)
    assert summarise(run).kl["learner"] == Undefined("KL is not a number on code")


def test_spending_is_the_last_row_of_each_channel(make_run: MakeRun) -> None:
    summary = summarise(make_run(TWO, scores))
    assert summary.spent["slow"]["rollouts"] == 400
    assert summary.spent["fast"]["rollouts"] == 200
    assert summary.spent["fast"]["reflection_calls"] == 80
    assert summary.spent["slow"]["seconds"] == 20
    assert list(summary.seconds.items()) == [("learn", 30), ("evaluate", 17.5), ("checkpoint", 2.5)]


def test_text_holds_every_headline_number(make_run: MakeRun) -> None:
    text = summarise(make_run(TWO, scores)).text()
    for shown in (
        "fst on math-to-code, seed 3, model embedded: done\n",
        "90.0 % (45.0 %)",
        "80.0 % (40.0 %)",
        "70.0 %",
        "−30.0 points",
        "600",
        "6,000",
        "Time: 50.0 s, of it learn 60 %, evaluate 35 %, checkpoint 5 %.",
    ):
        assert shown in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize(("cut", "told"), [(0.75, True), (0.25, False)])
def test_a_run_whose_responses_are_mostly_cut_off_ends_with_what_to_do(
    cut: float, told: bool, make_run: MakeRun
) -> None:
    text = summarise(make_run(TWO, scores, cut=cut, manifest={"stop_tokens": {"<eos>": 2}})).text()
    assert "cut off at the limit" in text
    assert ("Most responses on math, code do not end by themselves" in text) == told
    assert ("<eos>" in text) == ("--max-new-tokens" in text) == told


def test_what_became_of_the_proposals_of_rewrites_is_counted(packed_run: Path) -> None:
    """Two rounds of two proposals, in each stage one round; see the fixture's README."""
    run = open_run(packed_run)
    found = summarise(run).rewrites
    assert found is not None
    ledger = run.table("ledger").query("channel == 'fast'")
    rounds = run.table("prompts")["round"].max()
    assert (found.rounds, found.proposed) == (rounds, 2 * rounds)
    assert found.asked == ledger["reflection_calls"].max()
    assert found.proposed == found.skipped + found.asked
    assert found.asked >= found.rejected >= 0
    assert "skipped: no mistake" in summarise(run).text()


def test_a_run_without_rounds_tells_of_no_rewrites(make_run: MakeRun) -> None:
    summary = summarise(make_run(TWO, scores))
    assert summary.rewrites is None
    assert "Rewrites" not in summary.text()


def test_unfinished_run_says_how_far_it_came_and_what_is_undefined(make_run: MakeRun) -> None:
    summary = summarise(make_run(TWO, scores, last=30, status="running"))
    assert isinstance(summary.metrics["learner"]["average_accuracy"], Undefined)
    assert np.isnan(summary.accuracy["learner"][2]).all()
    assert summary.evaluated_step == 30
    text = summary.text()
    assert "running (evaluated up to step 30 of 40)" in text
    assert "missing cell" in text
    assert "nan" not in text


def test_run_before_its_first_evaluation_has_a_summary(make_run: MakeRun) -> None:
    summary = summarise(make_run(TWO, scores, last=-1, status="failed"))
    assert summary.evaluated_step is None
    assert summary.kl["seed"] == Undefined("no evaluation yet")
    assert "failed (no evaluation yet)" in summary.text()


def test_one_stage_has_an_average_but_no_forgetting(make_run: MakeRun) -> None:
    metrics = summarise(make_run([("math", 20)], scores)).metrics["learner"]
    assert metrics["average_accuracy"] == pytest.approx(0.9)
    assert isinstance(metrics["forgetting_max"], Undefined)


def test_two_evaluations_of_one_cell_are_refused(make_run: MakeRun) -> None:
    directory = make_run(TWO, scores)
    rows = directory.table("evaluations").to_dict("records")
    directory.commit(1, {"evaluations": [row for row in rows if row["step"] == 20]})
    with pytest.raises(RunDirectoryError, match="two rows for math under the learner prompt"):
        summarise(directory)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("matrix[-1].min()", "0.6"),
        ("1", "1"),
        ("Undefined('too early')", "undefined: too early"),
        ("float('nan')", "undefined: gave nan, which is not a finite number"),
        ("True", "undefined: gave True, which is not a finite number"),
        ("'high'", "undefined: gave 'high', which is not a finite number"),
        ("1 / 0", "undefined: raised ZeroDivisionError: division by zero"),
        ("matrix.fill(0)", "undefined: gave None, which is not a finite number"),
        ("absent[", "left out"),
    ],
)
def test_metric_of_a_plug_in_is_shown_and_breaks_no_summary(
    body: str, shown: str, make_run: MakeRun, tmp_path: Path, install: Callable[..., None]
) -> None:
    name = f"metric_{abs(hash(body))}"
    (tmp_path / f"{name}.py").write_text(
        "from cl_bench.metrics import Metric, Undefined\n"
        f"METRIC = Metric('a summary', lambda matrix: {body})\n"
    )
    install("acme", f"[cl_bench.metrics]\nmine = {name}:METRIC\n")
    summary = summarise(make_run(TWO, scores))
    value = summary.metrics["learner"].get("acme/mine", "left out")
    assert (NUMBER.text(value) if isinstance(value, float) else str(value)).startswith(shown)
    if shown == "left out":
        assert "acme/mine" not in summary.text()
        return
    (line,) = (line for line in summary.text().splitlines() if line.startswith("acme/mine"))
    assert line.split()[1] == ("—" if isinstance(value, Undefined) else shown)
    assert summary.metrics["learner"]["average_accuracy"] == pytest.approx(0.7)


def test_several_responses_to_a_problem_have_pass_at_k_beside_greedy_accuracy(
    make_run: MakeRun,
) -> None:
    def accuracy(_step: int, _domain: str, prompt: str) -> float:
        return {"learner": 0.625, "greedy": 0.25}.get(prompt, 0.0)

    # of 4 problems, each asked 4 times, the first 2 are right always and the third 2 times
    run = make_run(TWO, accuracy, items=4, samples=4, greedy=True)
    text = summarise(run).text()
    assert re.search(r"domain +mean@4 +pass@2 +pass@4 +greedy\n", text)
    # pass@2 is the mean of 1, 1, 5/6 and 0
    assert re.search(r"math +62\.5 % +70\.8 % +75\.0 % +25\.0 %\n", text)
    assert 'code: 100.0 % of responses say "4", which earns 100.0 % of the score.\n' in text


def test_one_response_to_each_problem_has_no_table_of_several(make_run: MakeRun) -> None:
    text = summarise(make_run(TWO, scores, items=4, samples=1, answer=None)).text()
    assert "pass@" not in text
    assert "of responses say" not in text


def test_thoughts_are_shown_where_there_are_any(make_run: MakeRun) -> None:
    text = summarise(make_run(TWO, scores, thought=20, cut=0.25)).text()
    assert re.search(r"tokens of a response +thought +cut in thought *\n", text)
    assert re.search(r"math .* 20 → 20 +20 → 20 +25\.0 % → 25\.0 % *\n", text)


def test_a_run_without_thoughts_says_nothing_of_them(make_run: MakeRun) -> None:
    assert "thought" not in summarise(make_run(TWO, scores, cut=0.25)).text()


def test_length_is_shown_where_cut_offs_are_of_every_run(make_run: MakeRun) -> None:
    text = summarise(make_run(TWO, scores)).text()
    assert re.search(r"cut off at the limit +tokens of a response\n", text)
    assert re.search(r"math +— +0\.0 % → 0\.0 % +20 → 20\n", text)
