"""The plan: equal samples for all learners, shared runs, fresh seeds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cl_bench.claims import plan as planning
from cl_bench.claims.calibration import COURSES, GROUP_SIZE
from cl_bench.claims.plan import Plan
from cl_bench.claims.registered import cells
from cl_bench.claims.settings import untried
from cl_bench.claims.subject import EMBEDDED
from cl_bench.contract.errors import RunDirectoryError, UsageError
from cl_bench.contract.micro import micro_domain
from cl_bench.metrics import permutation_test
from cl_bench.metrics.comparison import PermutationTest
from cl_bench.sweep.cell import Cell

SETTINGS: dict[str, dict[str, Any]] = {
    "rl": {"learning_rate": 6e-4, "problems_per_step": 8},
    "prompt": {"proposals": 5},
    "fst": {"learning_rate": 9e-4, "problems_per_step": 16},
    "fst-distill": {"learning_rate": 3e-4, "problems_per_step": 16},
}
EVERY = [*range(1, 11)]


def planned(budget: str = "small", seeds: int = 2) -> Plan:
    return Plan(EMBEDDED.budgets[budget], EMBEDDED.seeds[:seeds], SETTINGS)


def samples(cell: Cell) -> int:
    """RL rollouts of a stage."""
    return cell.steps * GROUP_SIZE * int(cell.options.get("problems_per_step", 8))


@pytest.mark.parametrize("budget", EMBEDDED.budgets)
def test_learners_spend_equal_samples_whatever_the_problems_in_a_step(budget: str) -> None:
    chosen = planned(budget)
    for cell in cells(chosen, EVERY):
        probe_or_stream = "-to-" in cell.stream or cell.options.get("probes") is False
        expected = chosen.budget.stage_samples if probe_or_stream else chosen.budget.single_samples
        assert samples(cell) == expected, cell.name
    rl, fst = (chosen.single("code", name, 100) for name in ("rl", "fst"))
    assert rl.steps == 2 * fst.steps


def test_every_learner_has_settings_of_its_own_or_those_of_the_reference() -> None:
    rates = {
        learner: planned().stream(learner, 100).options["learning_rate"]
        for learner in ("rl", "fst", "fst-distill", *untried())
    }
    assert rates == {"rl": 6e-4, "fst": 9e-4, "fst-distill": 3e-4} | dict.fromkeys(untried(), 6e-4)
    with pytest.raises(RunDirectoryError, match="no settings for the learner sgd; there are for"):
        planned().single("facts", "sgd", 100)


def test_claims_share_runs() -> None:
    chosen = planned()
    singles = cells(chosen, [1])
    assert len(singles) == 2 * 3 * 2
    assert cells(chosen, [1, 2]) == singles
    assert len(cells(chosen, [1, 3])) == 2 * 4 * 2
    assert set(cells(chosen, [8])) < set(singles)
    together = cells(chosen, EVERY)
    assert len({cell.name for cell in together}) == len(together)
    # Per seed: 4 domains + star-graph by rl and fst, prompt on 3, distill, 3 streams, 5 probes.
    assert len(together) == 2 * (10 + 3 + 1 + 3 + 5)


def test_probes_start_from_runs_that_keep_their_models() -> None:
    probes = [cell for cell in cells(planned(), [5]) if cell.options.get("probes") is False]
    origins = [probe.start for probe in probes]
    assert origins.count(None) == 2
    assert {(o.stream, o.learner) for o in origins if o} == {
        (domain, learner) for domain in ("math", "physics") for learner in ("rl", "fst")
    }
    assert all(origin.options["keep_stage_models"] for origin in origins if origin)


def test_runs_are_evaluated_inside_and_at_their_end() -> None:
    for cell in cells(planned("full"), EVERY):
        assert cell.steps % cell.options["eval_every"] == 0, cell.name
        assert cell.steps // cell.options["eval_every"] >= 4


def test_seeds_are_fresh_and_counted_from_the_first() -> None:
    seeds = {cell.seed for cell in cells(planned("full", 6), EVERY)}
    assert seeds == set(EMBEDDED.seeds[:6])
    assert not seeds & {seed for _, seed in COURSES}


def test_seeds_of_claims_calibration_and_development_share_no_convention() -> None:
    others = [*range(8), 77, *(seed for _, seed in COURSES)]
    for name in EMBEDDED.kl_domains:
        domain = micro_domain(name)
        rules = {
            seed: tuple(domain.task(seed=seed, setting="default", feedback="none").rules())
            for seed in (*EMBEDDED.seeds, *others)
        }
        mine = [rules[seed] for seed in EMBEDDED.seeds]
        assert len(set(mine)) == len(EMBEDDED.seeds), name
        assert not set(mine) & {rules[seed] for seed in others}, name


def test_all_learners_are_evaluated_after_the_same_samples() -> None:
    for budget in EMBEDDED.budgets:
        chosen = planned(budget)
        for make in (chosen.stream, lambda name, seed, p=chosen: p.single("code", name, seed)):
            grids = {
                tuple(samples(cell) * done // cell.steps for done in evaluated(cell))
                for cell in (make("rl", 100), make("fst", 100))
            }
            assert len(grids) == 1, budget


def evaluated(cell: Cell) -> list[int]:
    """The steps of a stage after which there is an evaluation."""
    every = int(cell.options["eval_every"])
    return sorted({*range(every, cell.steps, every), cell.steps})


def test_the_plan_reads_what_calibration_chose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings.json").write_text(json.dumps(SETTINGS))
    monkeypatch.setattr(planning, "SETTINGS", tmp_path / "settings.json")
    assert planning.plan("small", 2) == planned()
    assert planning.plan("full").seeds == EMBEDDED.seeds[:6]
    assert planning.plan("small", settings={"rl": {}}).settings == {"rl": {}}


@pytest.mark.parametrize("claims", [[11], [1, 0]])
def test_an_unknown_claim_is_an_error(claims: list[int]) -> None:
    with pytest.raises(
        UsageError, match=f"Unknown claim about embedded {max(claims, key=lambda c: c != 1)}"
    ):
        cells(planned(), claims)


@pytest.mark.parametrize(
    ("budget", "seeds", "hint"),
    [
        ("medium", 2, "Known: full, small"),
        ("small", 0, "seeds is 0, but must be from 1 to 20"),
        ("small", 21, "seeds is 21"),
    ],
)
def test_an_unknown_budget_and_no_seeds_are_errors(budget: str, seeds: int, hint: str) -> None:
    with pytest.raises(UsageError, match=hint):
        planning.plan(budget, seeds, settings=SETTINGS)


def test_there_are_as_many_seeds_as_the_exact_test_can_take() -> None:
    most = len(EMBEDDED.seeds)
    assert planning.plan("small", most, settings=SETTINGS).seeds == EMBEDDED.seeds
    found = permutation_test(np.arange(most) + 1.0, np.zeros(most))
    assert isinstance(found, PermutationTest)
    assert found.p == 2 / 2**most
    with pytest.raises(ValueError, match="too many"):
        permutation_test(np.ones(most + 1), np.zeros(most + 1))
