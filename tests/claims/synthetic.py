"""Runs that were never made, of single domains: tables whose every number a test has written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cl_bench.claims.claim import Claim
from cl_bench.claims.data import Data
from cl_bench.claims.measure import Added, Detail, MeasuredStatement
from cl_bench.claims.plan import Plan
from cl_bench.claims.styles import colour, marker
from cl_bench.claims.subject import EMBEDDED
from cl_bench.metrics.stats.student import Estimate
from cl_bench.metrics.undefined import Undefined
from cl_bench.sweep.cell import Cell

Rule = Callable[[str, str, int, float], float]
"""A value from domain, learner, seed and the share of the run that is done."""


LEVELS = {"rl": 0.3, "prompt": 0.2, "fst": 0.5, "fst-distill": 0.4}
_SHIFT = {"facts": 0.0, "code": 0.1, "math": -0.05}
_TOPS = {"rl": 0.4, "prompt": 0.25, "fst": 0.6, "fst-distill": 0.3}
_MIDDLES = {"rl": 0.3, "prompt": 0.05, "fst": 0.15, "fst-distill": 0.1}


def measures(*claims: Claim) -> Mapping[str, Callable[[Data, Plan], MeasuredStatement]]:
    """How these claims' statements are measured, by id."""
    return {name: how.measure for claim in claims for name, how in claim.measurements.items()}


def additions(*claims: Claim) -> Mapping[str, Callable[[Data, Plan], Added]]:
    """The additions to these claims' statements, by id."""
    return {name: how.added for claim in claims for name, how in claim.measurements.items()}


class Synthetic(Data):
    """Curves of single runs; rows in no order."""

    def __init__(self, plan: Plan) -> None:
        super().__init__([])
        self.plan = plan
        self._curves: dict[tuple[str, str, str], pd.DataFrame | Undefined] = {}

    def add(
        self,
        domain: str,
        learner: str,
        seed: int,
        accuracy: Sequence[float],
        *,
        prompts: Sequence[str] = ("learner", "seed"),
        **given: object,
    ) -> None:
        """A run; by default 100 samples and 150 rollouts from one evaluation to the next.

        `given` are other columns: step, samples, rollouts, kl, entropy.
        """
        points = np.arange(len(accuracy))
        columns: dict[str, object] = {
            "step": points * 10,
            "samples": points * 100,
            "rollouts": points * 150,
        }
        columns |= {"kl": points * 0.01, "entropy": points * 0.0}
        assert given.keys() <= columns.keys(), given
        names = {"samples": "samples_slow", "kl": "kl_policy_base"}
        columns |= {**given, "test_set": "stream", "accuracy": accuracy}
        frame = pd.DataFrame(columns).rename(columns=names)
        cell = self.plan.single(domain, learner, seed)
        for prompt in prompts:
            self._curves[cell.name, domain, prompt] = frame.sample(frac=1, random_state=seed)

    def lose(self, domain: str, learner: str, seed: int, reason: str) -> None:
        """A run that failed or diverged."""
        cell = self.plan.single(domain, learner, seed)
        for prompt in ("learner", "seed"):
            self._curves[cell.name, domain, prompt] = Undefined(f"run {cell.name} {reason}")

    def curve(
        self, cell: Cell, domain: str, *, prompt: str = "learner", peaks: bool = False
    ) -> pd.DataFrame | Undefined:
        missing = Undefined(f"run {cell.name} is missing")
        return self._curves.get((cell.name, domain, prompt), missing)


def plan_of(budget: str = "small", seeds: int = 2) -> Plan:
    """A plan in which fast-slow training has half as many steps as the others."""
    same = {name: {"problems_per_step": 8} for name in ("rl", "prompt", "fst-distill")}
    settings = {**same, "fst": {"problems_per_step": 16}}
    return Plan(EMBEDDED.budgets[budget], tuple(range(100, 100 + seeds)), settings)


def filled(
    plan: Plan,
    domains: Sequence[str],
    learners: Sequence[str],
    accuracy: Rule,
    kl: Rule = lambda _domain, _learner, _seed, share: share / 10,
) -> Synthetic:
    """Whole runs, evaluated when the plan's would be; prompt-only spends no training samples."""
    data = Synthetic(plan)
    for domain in domains:
        for learner in learners:
            for seed in plan.seeds:
                cell = plan.single(domain, learner, seed)
                step = [*range(0, cell.steps, cell.options["eval_every"]), cell.steps]
                share = np.array(step) / cell.steps
                spent = share * plan.budget.single_samples
                fast = {"prompt": 0.5, "fst": 1.5, "fst-distill": 1.5}.get(learner, 1.0)
                data.add(
                    domain,
                    learner,
                    seed,
                    [accuracy(domain, learner, seed, done) for done in share],
                    samples=spent * (learner != "prompt"),
                    rollouts=spent * fast,
                    kl=[kl(domain, learner, seed, done) for done in share],
                    entropy=0.6 - 0.2 * share,
                    step=step,
                )
    return data


def value(estimate: Estimate | Undefined) -> float:
    """The value of an estimate that has one."""
    assert isinstance(estimate, Estimate), estimate
    return estimate.value


def shown(measured: MeasuredStatement, what: str, name: str) -> float:
    """The value of a detail's column."""
    return value(next(d for d in measured.details if d.what == what).values[name])


def reason(found: object) -> str:
    """Why a value is undefined."""
    assert isinstance(found, Undefined), found
    return found.reason


def levelled(budget: str = "small") -> Synthetic:
    """Learners at `LEVELS` from half of the run on; only fast-slow training differs by domain."""

    def accuracy(domain: str, learner: str, seed: int, share: float) -> float:
        shift = _SHIFT[domain] if learner == "fst" else 0.0
        return (LEVELS[learner] + shift + (seed - 100) / 100) * min(1.0, 2 * share)

    return filled(plan_of(budget, seeds=2), EMBEDDED.singles, tuple(LEVELS), accuracy)


def sigmoid(_domain: str, learner: str, seed: int, share: float) -> float:
    """A sigmoid from 0.1; every seed lies 0.02 above the last."""
    gained = 1 / (1 + (_MIDDLES[learner] / share) ** 2) if share else 0.0
    return 0.1 + (_TOPS[learner] - 0.1) * gained + 0.02 * (seed - 100)


def sigmoids(domains: Sequence[str] = ("facts", "code", "math", "physics")) -> Synthetic:
    """Runs of two seeds on these domains whose accuracies are sigmoids."""
    return filled(plan_of(), domains, tuple(_TOPS), sigmoid)


def line(added: Added, what: str) -> Detail:
    """The first line of additions that begins so."""
    return next(detail for detail in added.details if detail.what.startswith(what))


def texts(axes: Axes) -> list[str]:
    """The texts in a panel."""
    return [text.get_text() for text in axes.texts if text.get_text()]


def heights(axes: Axes, learner: str) -> list[float]:
    """The heights of the thick line of a learner in a panel."""
    (mean,) = [drawn for drawn in axes.lines if drawn.get_marker() == marker(learner)]
    assert mean.get_color() == colour(learner)
    return [float(height) for height in np.asarray(mean.get_ydata())]
