"""Several responses to a problem: chances of one right one, and answers that are all the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cl_bench.metrics.arrays import missing, real_array
from cl_bench.metrics.undefined import Undefined


def pass_at_k(right_N_S: ArrayLike, k: int) -> float | Undefined:
    """Chance that at least one of k responses to a problem is right, mean over problems.

    1/N Σ_n [1 − C(S − c_n, k) / C(S, k)], with c_n of the S responses to problem n right: unbiased
    where responses are independent (Chen et al. 2021, arXiv 2107.03374, eq. 1). `right_N_S`, shape
    (N, S), is 1 or True where a response is right; mean@k, the mean score of k responses to each
    problem, is the accuracy itself. Raises `ValueError` for k < 1; undefined where
    k > S, because nothing unbiased can be said of more responses than were sampled.
    """
    right = real_array("right_N_S", right_N_S, "NS")
    undefined = missing(right_N_S=right)
    if undefined is not None:
        return undefined
    if not np.isin(right, (0.0, 1.0)).all():
        raise ValueError("right_N_S must hold 0 and 1 only: a response is right or it is not")
    if k < 1:
        raise ValueError(f"k is {k}, but must be 1 or more")
    samples = right.shape[1]
    if k > samples:
        return Undefined(f"needs {k} responses to a problem, but {samples} were sampled")
    ways = comb(samples, k)
    wrong_N = samples - right.sum(axis=1).astype(int)
    return float(np.mean([1 - comb(int(wrong), k) / ways for wrong in wrong_N]))


class ConstantAnswer(NamedTuple):
    """The answer that was given most often."""

    answer: str
    given: float
    """The share of responses that gave it."""
    earned: float
    """The share of the whole score that those responses earned; 0 if there was no score."""
    score: float
    """Their mean score."""

    @property
    def is_telling(self) -> bool:
        """Whether it looks like learning and is none: it earns at least half of the score, at least
        a quarter of all responses give it, and it is wrong in more than a tenth of them (a model
        that knows which of two answers is right also gives one of them half of the time)."""
        return self.earned >= 0.5 and self.given >= 0.25 and self.score < 0.9


def constant_answer(answers: Sequence[str | None], scores: Sequence[float]) -> ConstantAnswer:
    """Return the most frequent answer, how often it was given, and what of the score it earned.

    A model that learned to say one word whatever is asked looks like one that learned something
    where that word is often right. `answers` and `scores` are of the same responses, None where no
    answer was found. Of equally frequent answers it is the first in the alphabet. Raises
    `ValueError` without any answer.
    """
    counts = Counter(answer for answer in answers if answer is not None)
    if not counts:
        raise ValueError("no response has an answer")
    answer = min(counts, key=lambda text: (-counts[text], text))
    total = sum(scores)
    own = sum(score for given, score in zip(answers, scores, strict=True) if given == answer)
    earned = own / total if total else 0.0
    return ConstantAnswer(answer, counts[answer] / len(answers), earned, own / counts[answer])
