"""What is shown beside the judged values and was added after the runs."""

from __future__ import annotations

import pytest

from cl_bench.claims.added import Added
from cl_bench.claims.additions import ADDITIONS
from cl_bench.claims.measure import Detail
from cl_bench.claims.measures import MEASURES
from cl_bench.claims.plan import KL_DOMAINS, SINGLE_DOMAINS
from cl_bench.claims.registered import CLAIMS
from cl_bench.metrics import Undefined

from .synthetic import Synthetic, filled, plan_of
from .synthetic_stages import Runs, make_plan, means, row, training


def line(added: Added, what: str) -> Detail:
    return next(detail for detail in added.details if detail.what.startswith(what))


def test_additions_stand_beside_registered_statements() -> None:
    assert {*ADDITIONS} <= {statement.id for claim in CLAIMS for statement in claim.statements}


def test_only_runs_that_got_there_are_averaged_and_rl_over_the_same_seeds() -> None:
    data = Synthetic(plan_of(seeds=3))
    for seed, peak in ((100, 2), (101, 4)):
        data.add("facts", "rl", seed, [0.1] * peak + [0.5] * (5 - peak))
    data.add("facts", "fst", 100, [0.1, 0.5, 0.5, 0.5, 0.5])
    data.add("facts", "fst", 101, [0.1, 0.2, 0.2, 0.2, 0.2])
    found = next(
        d for d in MEASURES["1a"](data, data.plan).details if d.what.startswith("facts, until")
    )
    assert found.what == "facts, until RL's peak: FST is there in 1 of 2 runs"
    assert means(found) == {"rl": 200, "fst": 100}


def test_most_of_rls_peak_is_reached_earlier_than_the_peak() -> None:
    data = Synthetic(plan_of())
    for domain in SINGLE_DOMAINS:
        for seed in data.plan.seeds:
            data.add(domain, "rl", seed, [0.1, 0.2, 0.93, 1.0])
            data.add(domain, "fst", seed, [0.1, 0.92, 0.92, 0.96])
    added = ADDITIONS["1a"](data, data.plan)
    assert means(line(added, "code, 90%")) == pytest.approx({"ratio": 2})
    assert means(line(added, "code, 95%")) == pytest.approx({"ratio": 1})
    assert means(line(added, "code, until 90% of RL's peak")) == {"rl": 200, "fst": 100}
    assert means(line(ADDITIONS["2b"](data, data.plan), "code"))["headroom"] == pytest.approx(
        1 - (0.2 + 0.93 + 1.0) / 3
    )


def test_accuracy_that_the_prompt_gives_the_base_is_left_out_of_the_levels() -> None:
    plan = plan_of(seeds=2)
    data = filled(plan, KL_DOMAINS, ("rl", "fst"), lambda _d, _l, _s, share: 0.1 + 0.8 * share)
    assert "costs no KL by construction" in ADDITIONS["3a"](data, plan).notes[0]
    unknown = line(ADDITIONS["3a"](data, plan), "facts, at accuracies above").values["ratio"]
    assert isinstance(unknown, Undefined)


def test_narrow_common_ranges_are_counted_and_left_out() -> None:
    plan = plan_of(seeds=2)
    data = filled(
        plan,
        KL_DOMAINS,
        ("rl", "fst"),
        lambda _d, _l, _s, share: 0.1 + 0.8 * share,
        lambda _d, learner, _s, share: share * (0.4 if learner == "rl" else 0.1),
    )
    flat = [0.1, 0.12, 0.12]
    data.add("facts", "fst", 100, flat, kl=[0.0, 1.0, 2.0], prompts=("seed",))
    data.add("code", "fst", 100, [0.1, 0.1, 0.1], prompts=("seed",))
    added = ADDITIONS["3b"](data, plan)
    assert added.notes[0] == "1 of 8 pairs of runs have a common range under 5 points"
    assert means(line(added, "mean over domains")) == pytest.approx({"ratio": 4})
    assert added.notes[1].endswith("never above the base: code (1 of 2 runs)")


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
    added = ADDITIONS["7a"](runs, plan)
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
    added = ADDITIONS["7b"](runs, plan)
    assert means(line(added, "accuracy, own prompt, first")) == {"rl": 0.3, "fst": 0.3}
    assert means(line(added, "accuracy, own prompt, last")) == {"rl": 0.8, "fst": 0.8}
    assert means(line(added, "effective K")) == {"fst": 1.5}
    assert means(line(added, "rounds that kept")) == {"fst": 0.5}


def test_unequal_costs_of_the_ceiling_are_said() -> None:
    plan = plan_of()
    data = filled(plan, SINGLE_DOMAINS, ("prompt", "fst"), lambda _d, _l, _s, share: share)
    spent = plan.budget.single_samples
    (note,) = ADDITIONS["9a"](data, plan).notes
    assert f"{spent // 2:,} rollouts of prompt-only with {spent * 3 // 2:,}" in note
