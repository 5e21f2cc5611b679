from __future__ import annotations

from collections.abc import Sequence
from math import log2, nan

import numpy as np
import pytest

from cl_bench.claims.claim_07_zero_reward import CLAIM
from cl_bench.claims.plan import Plan
from cl_bench.metrics import Undefined
from tests.claims.synthetic import additions, line, measures, texts
from tests.claims.synthetic_stages import Runs, make_plan, means, row, training

MEASURES = measures(CLAIM)

# A step of RL is 64 training samples, one of fast-slow training 128 (see SETTINGS): the window of
# 640 samples has ten steps there and five here.
RL = [0.0] * 29 + [0.5] * 11  # the mean of ten is 0.1 with the second 0.5: step 31
FST = [0.0] * 9 + [0.5] * 11  # the mean of steps 6 to 10 is 0.1: step 10


def make_runs(plan: Plan, rl: Sequence[float] = RL, fst: Sequence[float] = FST) -> Runs:
    runs = Runs()
    for seed in plan.seeds:
        for learner, reward in (("rl", rl), ("fst", fst)):
            cell = plan.single("star-graph", learner, seed)
            runs.add(cell, **training(cell, reward))
    return runs


@pytest.mark.parametrize("budget", ["small", "full"])
def test_onset_is_where_640_samples_first_have_a_mean_of_a_tenth(budget: str) -> None:
    plan = make_plan(budget)

    measured = MEASURES["7a"](make_runs(plan), plan)

    ratio = log2((31 * 64) / (10 * 128))
    assert measured.value_by_seed == pytest.approx(dict.fromkeys(plan.seeds, ratio))
    assert means(measured.details[0]) == {"rl": 31 * 64, "fst": 10 * 128}
    assert measured.details[0].scale == "samples"
    assert not any("never" in note for note in measured.notes)


def test_reward_of_the_whole_run() -> None:
    plan = make_plan()

    measured = MEASURES["7b"](make_runs(plan, rl=[0.0] * 30 + [0.4] * 10), plan)

    fst = 11 * 0.5 / 20
    assert measured.value_by_seed == pytest.approx(dict.fromkeys(plan.seeds, fst - 0.1))
    assert means(measured.details[0]) == pytest.approx(
        {"rl": 0.1, "fst": fst, "difference": fst - 0.1}
    )


def test_ten_times_a_tenth_is_a_tenth_whatever_rounding_says() -> None:
    plan = make_plan(seeds=[100])

    onset = MEASURES["7a"](make_runs(plan, rl=[0.1] * 40), plan).details[0]

    assert means(onset)["rl"] == 10 * 64


def test_a_run_that_never_gets_there_counts_with_all_its_samples_and_is_told() -> None:
    plan = make_plan()
    runs = make_runs(plan)
    cell = plan.single("star-graph", "rl", 101)
    runs.add(cell, **training(cell, [0.0] * 39 + [0.99]))

    measured = MEASURES["7a"](runs, plan)

    assert measured.value_by_seed[101] == pytest.approx(log2((40 * 64) / (10 * 128)))
    assert measured.notes[0] == (
        "1 of 2 runs of rl never reached a mean reward of 0.1 and count with all their samples"
    )


def test_runs_that_both_never_get_there_show_no_effect() -> None:
    plan = make_plan(seeds=[100])

    measured = MEASURES["7a"](make_runs(plan, rl=[0.0] * 40, fst=[0.0] * 20), plan)

    assert measured.value_by_seed == {100: 0.0}
    assert len([note for note in measured.notes if "never" in note]) == 2


def test_first_signal_and_gradient_norm_are_shown() -> None:
    plan = make_plan(seeds=[100, 101])
    runs = make_runs(plan)
    for seed, norm in ((100, 1.0), (101, 0.25)):
        cell = plan.single("star-graph", "fst", seed)
        signal = [0.0, 0.0, 0.125] + [0.5] * 17
        runs.add(cell, **training(cell, FST, signal=signal, grad_norm=[norm, 2 * norm] * 10))
    silent = plan.single("star-graph", "rl", 101)
    runs.add(silent, **training(silent, RL, signal=[0.0] * 40))

    measured = MEASURES["7a"](runs, plan)

    _, signal_line, gradient_line = measured.details
    assert means(signal_line) == {"rl": 64, "fst": 3 * 128}
    assert "1 of 2 seeds" in str(signal_line.values["rl"])
    # 1.5 / 0.5 and 0.375 / 0.5, averaged as logarithms
    assert means(gradient_line) == pytest.approx({"ratio": (3 * 0.75) ** 0.5})
    assert gradient_line.scale == "ratio"
    assert "gradient norm of fst, mean over the run: 1 [−6, 8]" in measured.notes[-1]


def test_a_gradient_that_is_nothing_or_missing_has_no_ratio() -> None:
    plan = make_plan(seeds=[100])
    runs = make_runs(plan)
    cell = plan.single("star-graph", "fst", 100)
    for norms, reason in (([0.0] * 20, "0 has no ratio"), ([nan] + [1.0] * 19, "missing")):
        runs.add(cell, **training(cell, FST, grad_norm=norms))

        measured = MEASURES["7a"](runs, plan)

        ratio = measured.details[2].values["ratio"]
        assert isinstance(ratio, Undefined)
        assert reason in ratio.reason
        assert measured.value_by_seed[100] == pytest.approx(log2(1984 / 1280))


def test_samples_of_a_step_are_what_the_run_spent_and_not_what_was_planned() -> None:
    plan = make_plan(seeds=[100])
    runs = make_runs(plan)
    cell = plan.single("star-graph", "fst", 100)
    tables = training(cell, FST)
    tables["evaluations"] = [row(0, "star-graph", 0.0), row(20, "star-graph", 0.5, samples=2_000)]
    runs.add(cell, **tables)

    # Of steps of 100 samples six make a window; steps 6 to 11 are the first with a mean of 0.1.
    assert means(MEASURES["7a"](runs, plan).details[0])["fst"] == 1_100


@pytest.mark.parametrize("statement", ["7a", "7b"])
def test_why_a_seed_has_no_value(statement: str) -> None:
    plan = make_plan(seeds=[100, 101, 102, 103, 104])
    runs = make_runs(plan)
    lost, diverged, short, unpaid, holed = (
        plan.single("star-graph", "fst", seed) for seed in plan.seeds
    )
    runs.lose(lost)
    runs.diverge(diverged)
    runs.add(short, **training(short, [0.5] * 4))
    runs.add(unpaid, evaluations=[row(20, "star-graph", 0.5)])
    runs.add(holed, **training(holed, [0.5] * 19 + [nan]))

    measured = MEASURES[statement](runs, plan)

    assert measured.value_by_seed == {
        100: Undefined(f"run {lost.name} is missing"),
        101: Undefined(f"run {diverged.name} diverged at step 7"),
        102: Undefined(f"run {short.name} spent 512 training samples, fewer than 640"),
        103: Undefined(f"run {unpaid.name} spent 0 training samples, fewer than 640"),
        104: Undefined("missing reward_T[19]"),
    }
    assert isinstance(measured.estimate, Undefined)


def test_a_window_cannot_show_an_onset_before_its_end_and_single_steps_can() -> None:
    plan = make_plan(seeds=[100, 101])
    runs = Runs()
    for seed in plan.seeds:
        for learner, reward in (("rl", [0.0] * 30 + [0.5] * 10), ("fst", [0.4] * 20)):
            cell = plan.single("star-graph", learner, seed)
            tables = training(cell, reward)
            start = row(0, "star-graph", 0.25, at="start", prompt="seed")
            last = {**tables["evaluations"][1], "rollouts": 2 * 64 * 40}
            tables["evaluations"] = [tables["evaluations"][0], start, last]
            runs.add(cell, **tables)
    added = additions(CLAIM)["7a"](runs, plan)
    assert means(line(added, "first single step with a mean reward of 0.1, training")) == {
        "rl": 31 * 64,
        "fst": 128,
    }
    assert means(line(added, "first single step with a mean reward of 0.1, all")) == {
        "rl": 2 * 31 * 64,
        "fst": 2 * 128,
    }
    assert means(line(added, "onset, all rollouts"))["fst"] == 2 * 640
    assert means(line(added, "base accuracy")) == {"base": 0.25}
    assert means(line(added, "expected successes")) == {"rl": 16, "fst": 32}
    assert added.notes[0].startswith("2 of 4 onsets are at the earliest value")


def test_prompts_and_accuracies_beside_the_reward() -> None:
    plan = make_plan(seeds=[100])
    runs = Runs()
    for learner in ("rl", "fst"):
        cell = plan.single("star-graph", learner, 100)
        points = [
            row(s, "star-graph", a, samples=64 * s) for s, a in ((0, 0.0), (5, 0.3), (9, 0.8))
        ]
        fates = [(1, 0, "kept"), (1, 1, "kept"), (2, 0, "dropped"), (2, 1, "kept")]
        prompts = [{"round": r, "prompt_id": p, "fate": fate} for r, p, fate in fates]
        runs.add(cell, evaluations=points, prompts=prompts)
    added = additions(CLAIM)["7b"](runs, plan)
    assert means(line(added, "accuracy, own prompt, first")) == {"rl": 0.3, "fst": 0.3}
    assert means(line(added, "accuracy, own prompt, last")) == {"rl": 0.8, "fst": 0.8}
    assert means(line(added, "effective K")) == {"fst": 1.5}
    assert means(line(added, "rounds that kept")) == {"fst": 0.5}


def test_the_figure_draws_the_windows_that_are_measured_and_marks_onsets() -> None:
    plan = make_plan()

    reward, _ = CLAIM.figure(make_runs(plan), plan).axes

    curves = [np.asarray(line.get_xdata(), float) for line in reward.lines]
    assert min(across[0] for across in curves if len(across) > 2) == 640
    assert "onsets at\n1,280: 2 FST\n1,984: 2 RL" in texts(reward)
