"""One round of the `gepa` package, over system prompts and a policy.

gepa (arXiv 2507.19457) starts from one candidate and evaluates small batches one after another.
Here it starts from a population that was scored in one generation, and makes its proposals in waves
that are rolled out and reflected on together. It has no run directory and writes nothing.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import ceil
from statistics import fmean
from typing import Any, cast

from gepa.api import optimize
from gepa.core.adapter import EvaluationBatch, GEPAAdapter
from gepa.core.callbacks import GEPACallback, IterationStartEvent
from gepa.core.data_loader import DataLoader
from gepa.core.result import GEPAResult
from gepa.core.state import ValsetEvaluation
from gepa.gepa_utils import find_dominator_programs
from gepa.logging.logger import LoggerProtocol
from gepa.proposer.reflective_mutation.base import CandidateSelector
from gepa.strategies.batch_sampler import BatchSampler
from gepa.strategies.proposal_sampling import ProposalTask
from gepa.utils import MaxCandidateProposalsStopper, StopperProtocol

from cl_bench.contract.learner import Exercise
from cl_bench.fast.reflection.reflector import JudgedRollout
from cl_bench.fast.rewriter import COMPONENT, Acceptance, Rewriter, RoundLog, State, faults_escape
from cl_bench.fast.rollouts import PromptTester
from cl_bench.fast.settings import FastConfig

Evaluation = EvaluationBatch[JudgedRollout, str]


@dataclass(frozen=True, slots=True)
class _Asked:
    """An exercise as a candidate is asked it: so many times, and scored by the mean."""

    exercise: Exercise
    times: int = 1


@dataclass(frozen=True)
class Evolution:
    """The pool after a round: the old population in its order, then the accepted rewrites.

    The lists have one entry for each candidate.
    """

    texts: list[str]
    scores: list[list[float]]
    """A candidate's scores on the validation set, in its order."""
    means: list[float]
    """Their means."""
    frontier: list[int]
    """Places of the candidates on the per-instance Pareto frontier, without redundant ones.

    Of two that make each other redundant the one with the better mean stays, or the earlier."""
    log: RoundLog


def evolve(
    population: Sequence[str],
    exercises: Sequence[Exercise],
    tester: PromptTester,
    rewriter: Rewriter,
    config: FastConfig,
    *,
    seed: int,
    wave: int,
) -> Evolution:
    """Score `population` anew, let gepa make `config.proposals` proposals, and return the pool.

    With `config.round_rollouts` it makes fewer of them, if that many rollouts were spent before.

    `population` holds distinct texts, the oldest first. The first `config.round_exercises` of
    `exercises` are the validation set. Minibatches come from all of them or, with
    `config.feedback_exercises`, from the others, as far as there are any. `wave` proposals share
    their generations: 1 is classic GEPA, where each may build on the one before. Errors of the
    policy, a judge or a reflector pass; failed reflections are counted in the ledger.
    """
    scoring, others = exercises[: config.round_exercises], exercises[config.round_exercises :]
    feedback = others if config.feedback_exercises and others else exercises
    validation = [_Asked(exercise, config.round_samples) for exercise in scoring]
    # One generation for the whole population, instead of gepa's one for each candidate.
    scored = _evaluate(tester, [(text, validation) for text in population])
    log = rewriter.log = RoundLog(pool=set(population))
    rewriter.fits = lambda text: tester.fits(text, exercises)
    warm_start = _WarmStart([*zip(population[1:], scored[1:], strict=True)])
    with faults_escape():
        result: GEPAResult[str, int] = optimize(
            seed_candidate={COMPONENT: population[0]},
            trainset=[_Asked(exercise) for exercise in feedback],
            valset=validation,
            adapter=_Adapter(tester, scored[0]),
            reflection_strategy=rewriter,
            acceptance_criterion=Acceptance(log),
            sampling_strategy=_Waves(config, wave, seed, tester),
            stop_callbacks=[
                # It counts iterations, and an iteration is a wave.
                MaxCandidateProposalsStopper(ceil(config.proposals / wave)),
                _Spent(tester, config.round_rollouts),
            ],
            # gepa calls those methods of a callback that exist; its type wants all of them.
            callbacks=[cast(GEPACallback, warm_start)],
            logger=_Silence(),
            track_best_outputs=False,
            seed=seed,
        )
    return _evolution(result, population, log)


def _evolution(result: GEPAResult[str, int], population: Sequence[str], log: RoundLog) -> Evolution:
    """Return gepa's result; raise `RuntimeError` if the population is not its beginning."""
    means = result.val_aggregate_scores
    texts = [candidate[COMPONENT] for candidate in result.candidates]
    if texts[: len(population)] != list(population):
        # gepa only logs an error in `_WarmStart` and goes on without the rest of the population.
        raise RuntimeError("gepa did not take over the population: its callbacks have changed.")
    # Higher means are worth more and, of equals, earlier candidates.
    worth = [(mean, -age) for age, mean in enumerate(means)]
    frontier: list[int] = find_dominator_programs(  # type: ignore[no-untyped-call]
        result.per_val_instance_best_candidates, worth
    )
    scores = [[found[place] for place in sorted(found)] for found in result.val_subscores]
    return Evolution(texts, scores, means, sorted(frontier), log)


def _evaluate(
    tester: PromptTester, items: Sequence[tuple[str, Sequence[_Asked]]]
) -> list[Evaluation]:
    """Return an evaluation for each (prompt, exercises), all of one generation."""
    tried = tester.try_out(
        [(text, [one.exercise for one in asked for _ in range(one.times)]) for text, asked in items]
    )
    return [_evaluation(asked, rollouts) for (_, asked), rollouts in zip(items, tried, strict=True)]


def _evaluation(asked: Sequence[_Asked], rollouts: Sequence[JudgedRollout]) -> Evaluation:
    left = iter(rollouts)
    groups = [list(islice(left, one.times)) for one in asked]
    return EvaluationBatch(
        outputs=[group[0].response for group in groups],
        scores=[fmean(rollout.verdict.score for rollout in group) for group in groups],
        trajectories=[group[0] for group in groups],
    )


class _Adapter(GEPAAdapter[_Asked, JudgedRollout, str]):
    """gepa's door to the policy. `seed_evaluation` is the first candidate's, already measured."""

    propose_new_texts = None  # gepa's optional hook; the `Rewriter` proposes

    def __init__(self, tester: PromptTester, seed_evaluation: Evaluation) -> None:
        self._tester, self._seed_evaluation = tester, seed_evaluation

    def evaluate(  # gepa 0.1 calls this for the seed candidate only
        self,
        batch: list[_Asked],
        candidate: dict[str, str],
        capture_traces: bool = False,
    ) -> Evaluation:
        return self._seed_evaluation

    def batch_evaluate(self, items: list[tuple[dict[str, str], list[_Asked]]]) -> list[Evaluation]:
        return _evaluate(
            self._tester, [(candidate[COMPONENT], batch) for candidate, batch in items]
        )

    def make_reflective_dataset(
        self,
        candidate: dict[str, str],
        eval_batch: Evaluation,
        components_to_update: list[str],
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        # The rewriter takes the rollouts as they are; each reflector writes its own request.
        return {COMPONENT: [{"rollout": rollout} for rollout in eval_batch.trajectories or []]}


class _Spent(StopperProtocol):
    """gepa's stopper at a number of rollouts from now on; 0 never stops.

    gepa's own counts an exercise that is asked several times once.
    """

    def __init__(self, tester: PromptTester, most: int) -> None:
        self._tester, self._end, self._most = tester, tester.rollouts + most, most

    def __call__(self, gepa_state: State) -> bool:
        return self._most > 0 and self._tester.rollouts >= self._end


class _Waves:
    """gepa's sampling strategy: `wave` independent (parent, minibatch) pairs an iteration.

    It draws the minibatches itself: gepa 0.1 begins each iteration one minibatch after the last one
    began, however many that drew, and so repeats some from wave to wave.
    """

    def __init__(self, config: FastConfig, wave: int, seed: int, tester: PromptTester) -> None:
        self._config, self._wave, self._rng = config, wave, random.Random(seed)
        self._tester = tester
        self._left: list[int] = []

    def sample_tasks(
        self,
        state: State,
        candidate_selector: CandidateSelector,
        batch_sampler: BatchSampler[int, _Asked],
        trainset: DataLoader[int, _Asked],
    ) -> list[ProposalTask[int, _Asked]]:
        tasks = []
        # The last wave may be smaller.
        for _ in range(min(self._wave, self._config.proposals - state.i * self._wave)):
            parent = candidate_selector.select_candidate_idx(state)
            ids = self._minibatch(trainset)
            candidate = state.program_candidates[parent]
            tasks.append(ProposalTask(parent, candidate, ids, trainset.fetch(ids)))
        self._tester.count_proposals(len(tasks))
        return tasks

    def _minibatch(self, trainset: DataLoader[int, _Asked]) -> list[int]:
        """Return exercises not drawn since the last shuffle; shuffle if too few are left."""
        size = self._config.reflection_batch
        if len(self._left) < size:
            self._left = self._rng.sample(trainset.all_ids(), len(trainset))
        taken, self._left = self._left[:size], self._left[size:]
        return taken


class _WarmStart:
    """gepa's callback that adds the rest of the population before the first proposal.

    gepa takes one seed candidate; this puts the others into its state as if it had found them.
    """

    def __init__(self, scored: Sequence[tuple[str, Evaluation]]) -> None:
        self._scored = scored

    def on_iteration_start(self, event: IterationStartEvent) -> None:
        state: State = event["state"]
        if state.i > 0:
            return
        for text, evaluation in self._scored:
            state.update_state_with_new_program(
                [],
                {COMPONENT: text},
                ValsetEvaluation(
                    dict(enumerate(evaluation.outputs)), dict(enumerate(evaluation.scores))
                ),
                None,
                state.total_num_evals,
            )
            state.increment_evals(len(evaluation.scores))


class _Silence(LoggerProtocol):
    def log(self, message: str) -> None:
        """Log nothing."""
