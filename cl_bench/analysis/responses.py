"""What single responses say beyond their mean: pass@k, and a constant answer that earns the score.

All of it follows from the rows of `items` at one evaluation, nothing is run. mean@k, the mean score
of k responses to each problem, is `accuracy` of `evaluations`, where k is `n_samples`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cl_bench.contract.text import one_line
from cl_bench.metrics.quantities import SHARE
from cl_bench.metrics.samples import ConstantAnswer, constant_answer, pass_at_k
from cl_bench.metrics.undefined import Undefined

RIGHT = 1.0
"""The score from which on a response counts as right, where scores may be partial."""
_LONGEST = 40
"""Characters of an answer that a sentence repeats."""


@dataclass(frozen=True)
class Responses:
    """The responses to one domain's problems at one evaluation, under one prompt."""

    scores: Mapping[str, list[float]]
    """By problem, one for each response."""
    constant: ConstantAnswer | None
    """The answer that was given most often; None where no answer was kept."""

    @property
    def samples(self) -> int:
        """Responses to the problem that has fewest."""
        return min(map(len, self.scores.values()))

    @property
    def mean(self) -> float:
        """mean@k, of all responses."""
        every = [score for scores in self.scores.values() for score in scores]
        return sum(every) / len(every)

    def pass_at(self, k: int) -> float | Undefined:
        """pass@k, right being a score of `RIGHT`; undefined where problems have more responses than
        others, which no run does."""
        if len({len(scores) for scores in self.scores.values()}) > 1:
            return Undefined("problems have different numbers of responses")
        return pass_at_k([[s >= RIGHT for s in scores] for scores in self.scores.values()], k)


def responses_of(rows: Iterable[tuple[str, str, float, str | None]]) -> dict[str, Responses]:
    """By domain, from domain, problem, score and answer of every response."""
    scores: dict[str, dict[str, list[float]]] = {}
    answers: dict[str, list[tuple[str | None, float]]] = {}
    for domain, uid, score, answer in rows:
        scores.setdefault(domain, {}).setdefault(uid, []).append(score)
        answers.setdefault(domain, []).append((answer, score))
    return {domain: Responses(of, _constant(answers[domain])) for domain, of in scores.items()}


def _constant(answers: list[tuple[str | None, float]]) -> ConstantAnswer | None:
    if all(answer is None for answer, _ in answers):
        return None
    return constant_answer(*zip(*answers, strict=True))


def constant_answers(found: Mapping[str, Responses]) -> dict[str, ConstantAnswer]:
    """By domain, the answers that earn most of the score and are no knowledge."""
    each = {domain: of.constant for domain, of in found.items()}
    return {domain: of for domain, of in each.items() if of is not None and of.is_telling}


def said_of(domain: str, of: ConstantAnswer) -> str:
    """`facts: 71.0 % of responses say "yes", which earns 58.0 % of the score`."""
    given, earned = map(SHARE.text, (of.given, of.earned))
    answer = one_line(of.answer, _LONGEST)
    return f'{domain}: {given} of responses say "{answer}", which earns {earned} of the score'
