"""Fast weights: a population of system prompts, evolved by light rounds of GEPA.

After GEPA (arXiv 2507.19457, algorithm 1) as the fast channel of fast-slow training. It differs in
this: the optimiser is not run to convergence but for a few proposals at a time, and between rounds
the policy may change; so a round starts from the last population and scores all of it anew.

What the scores of prompts are worth, and how many rewrites there are:

- GEPA scores on a Pareto set apart from the feedback's. Here, by default, the exercises that score
  prompts are those that feedback comes from, so that a score also counts what a prompt took over
  from just these exercises; `feedback_exercises` sets the two apart.
- Each is answered once (`round_samples`): the standard error of a score on 16 exercises is up to
  12.5 points. What is kept and what is best is decided by such scores.
- `proposals` are minibatches drawn, not rewrites: one whose responses are all right has no mistake
  to learn from and is skipped, as in GEPA. The better a prompt, the fewer rewrites: the embedded
  model's prompts asked for 23 to 43 of 135. A run's summary counts both.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from cl_bench.contract.errors import RunDirectoryError, UsageError, at_least
from cl_bench.contract.learner import Exercise, Ledger
from cl_bench.contract.records import Fate, PromptRecord
from cl_bench.contract.task import hashed_rng
from cl_bench.fast.gepa_round import Evolution, evolve
from cl_bench.fast.reflection.factory import build_reflector
from cl_bench.fast.reflection.reflector import Reflector
from cl_bench.fast.rewriter import Rewriter
from cl_bench.fast.rollouts import PromptTester
from cl_bench.fast.settings import FastConfig
from cl_bench.store.files import read_json, write_json_atomically

if TYPE_CHECKING:
    from cl_bench.model.policy import Policy

_FILE = "fast.json"


@dataclass(frozen=True, slots=True)
class _Member:
    """A prompt; `score` is its mean on the last round's validation set, NaN before any round."""

    prompt_id: int
    parent_id: int
    text: str
    score: float


class FastWeights:
    """A population of at most K distinct system prompts.

    A round keeps the Pareto frontier over the exercises that score prompts, without redundant ones
    (hence a single prompt, if that is best on all exercises). Unless `config.refill` is off, the
    next-best prompts by mean fill it up to K, except those that did worse than the seed prompt or
    their parent on the same exercises, by more than a standard error.

    `wave` proposals of a round share their generations: more of them make a round faster, fewer let
    later proposals build on earlier ones; 1 is classic GEPA.
    """

    def __init__(
        self,
        policy: Policy,
        config: FastConfig,
        ledger: Ledger,
        *,
        reflector: Reflector | None = None,
        wave: int = 2,
    ) -> None:
        self._config, self._ledger, self._wave = config, ledger, wave
        reflector = reflector or build_reflector(policy, config, ledger)
        self._rewriter = Rewriter(reflector, ledger, token_budget=config.reflection_token_budget)
        at_least(wave=(wave, 1))
        self._tester = PromptTester(policy, config, ledger)
        self._round = 0
        self._seed = _Member(0, -1, config.seed_prompt, math.nan)
        self._population = [self._seed]
        self._next_id = 1
        self._lineage: list[PromptRecord] = []

    @property
    def prompts(self) -> list[str]:
        """The population, best mean score of the last round first; at the start, the seed alone."""
        return [member.text for member in self._population]

    @property
    def best(self) -> str:
        """The prompt with the highest mean score in the last round, the oldest of equals."""
        return self._population[0].text

    @property
    def score(self) -> float:
        """The mean score of `best` in the last round; NaN before the first."""
        return self._population[0].score

    def round(self, exercises: Sequence[Exercise]) -> None:
        """Evolve the population once, under the policy's current weights.

        The first `config.round_exercises` of `exercises` score every prompt; minibatches for
        reflection are drawn from all of them, or with `config.feedback_exercises` from the others.
        Raises `UsageError` without exercises; an error of
        the policy or a judge passes and leaves the population as it was.
        """
        if not exercises:
            raise UsageError("A round of the prompt optimiser needs at least 1 exercise; got none.")
        started = time.perf_counter()
        number = self._round + 1
        # The oldest first, so that of prompts with equal scores the older one stays.
        by_age = sorted(self._population, key=lambda member: member.prompt_id)
        evolution = evolve(
            [member.text for member in by_age],
            exercises,
            self._tester,
            self._rewriter,
            self._config,
            # From run and round alone, so that a resumed run makes the same choices.
            seed=hashed_rng("gepa", self._config.seed, number).getrandbits(32),
            wave=self._wave,
        )
        self._round = number
        self._settle(evolution)
        self._ledger.add("fast", seconds=time.perf_counter() - started)

    def restart(self) -> None:
        """Go back to the seed prompt alone; rounds and new prompts are numbered on."""
        self._population = [self._seed]

    def lineage(self) -> list[PromptRecord]:
        """Return the candidates of all rounds since the last call: of each round the old, then the
        new."""
        records, self._lineage = self._lineage, []
        return records

    def save(self, folder: Path) -> None:
        """Write the whole state to `folder`; the policy's sampling generator is not part of it."""
        state = {
            "round": self._round,
            "next_id": self._next_id,
            "population": [_row(member) for member in self._population],
            "lineage": [_row(record) for record in self._lineage],
        }
        folder.mkdir(parents=True, exist_ok=True)
        write_json_atomically(folder / _FILE, state)

    def load(self, folder: Path) -> None:
        """Take over what `save` wrote; raise `RunDirectoryError` if it is missing or damaged."""
        path = folder / _FILE
        state = read_json(path)
        try:
            population = [_Member(**_fields(row)) for row in state["population"]]
            lineage = [PromptRecord(**_fields(row)) for row in state["lineage"]]
            numbers = [int(state[name]) for name in ("round", "next_id")]
        except (ValueError, KeyError, TypeError) as error:
            raise RunDirectoryError(
                f"{path} holds no saved prompts ({error!r}). Give a folder that "
                "`FastWeights.save` wrote, or start the run again without `--resume`."
            ) from error
        self._population, self._lineage = population, lineage
        self._round, self._next_id = numbers

    def _settle(self, evolution: Evolution) -> None:
        """Number the round's new prompts, choose the population, and record all candidates."""
        scores = dict(zip(evolution.texts, evolution.means, strict=True))
        members = {old.text: replace(old, score=scores[old.text]) for old in self._population}
        rejected = []
        for trial in evolution.log.trials:
            # A rejected rewrite was scored on its minibatch only.
            score = scores[trial.text] if trial.accepted else math.nan
            parent = members[trial.parent].prompt_id
            member = _Member(self._next_id, parent, trial.text, score)
            self._next_id += 1
            if trial.accepted:
                members[trial.text] = member
            else:
                rejected.append(member)
        # The frontier comes as places in the pool, members are found by text.
        frontier = {evolution.texts[candidate] for candidate in evolution.frontier}
        others = _not_worse(members, dict(zip(evolution.texts, evolution.scores, strict=True)))
        self._population = _survivors(
            list(members.values()),
            frontier,
            others if self._config.refill else set(),
            self._config.population,
        )
        self._record([*members.values(), *rejected])

    def _record(self, members: Sequence[_Member]) -> None:
        kept = {member.prompt_id for member in self._population}
        for member in members:
            fate: Fate = "kept" if member.prompt_id in kept else "dropped"
            self._lineage.append(
                PromptRecord(
                    round=self._round,
                    prompt_id=member.prompt_id,
                    parent_id=member.parent_id,
                    text=member.text,
                    score=member.score,
                    fate="rejected" if math.isnan(member.score) else fate,
                )
            )


def _survivors(
    members: Sequence[_Member], frontier: set[str], others: set[str], size: int
) -> list[_Member]:
    """Return at most `size` members, best mean first; `others` only after the frontier."""
    ranked = sorted(members, key=lambda member: (-member.score, member.prompt_id))
    kept = [member for member in ranked if member.text in frontier | others]
    # The sort is stable: frontier first, and by rank within both parts. What is returned is in the
    # order of rank alone, because the first prompt is the best one.
    chosen = sorted(kept, key=lambda member: member.text not in frontier)[:size]
    return [member for member in kept if member in chosen]


def _not_worse(members: Mapping[str, _Member], scores: Mapping[str, Sequence[float]]) -> set[str]:
    """Return the texts that did no worse than seed and parent, where those were scored too."""
    by_id = {member.prompt_id: scores[text] for text, member in members.items()}
    return {
        text
        for text, member in members.items()
        if not any(
            _is_worse(scores[text], by_id[rival])
            for rival in (0, member.parent_id)
            if rival in by_id
        )
    }


def _is_worse(mine: Sequence[float], theirs: Sequence[float]) -> bool:
    """Tell whether my scores are lower on average by more than a standard error.

    Both are on the same exercises. One exercise has no standard error, and decides nothing.
    """
    differences = [own - other for own, other in zip(mine, theirs, strict=True)]
    mean = fmean(differences)
    error = stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else math.inf
    return mean < 0 and -mean > error


def _row(item: _Member | PromptRecord) -> dict[str, Any]:
    """Return `item` as plain data; JSON has no NaN, so that becomes None."""
    row = asdict(item)
    return row | {"score": None if math.isnan(item.score) else item.score}


def _fields(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "score": math.nan if row["score"] is None else row["score"]}
