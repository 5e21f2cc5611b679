"""The rows of runs that were never made (see `synthetic_runs`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

Row = dict[str, Any]
Cell = Callable[[int, str, str], float]
"""A number by step, domain and prompt (seed, learner or stated)."""
TWO = (("math", 20), ("code", 20))
TEXTS = ("solve step by step .", "solve step by step . add one .", "add one , then solve .")


def rising(step: int, _domain: str, prompt: str) -> float:
    """From 0.25 to 0.75 in 40 steps; the seed prompt stays at a half of that."""
    learned = 0.25 + 0.5 * min(step, 40) / 40
    return learned if prompt == "learner" or step == 0 else learned / 2


def drifting(step: int, _domain: str, prompt: str) -> float:
    """A thousandth of a nat every step, twice that under the seed prompt."""
    return step / 1000 * (2 if prompt == "seed" else 1)


@dataclass(frozen=True)
class Synthetic:
    """What a run did. An accuracy is rounded to what `items` × `samples` verdicts can have, and
    the first verdicts of its items are the right ones; without items it stays as it is."""

    learner: str = "fst"
    stages: Sequence[tuple[str, int]] = TWO
    """Domain and steps of every stage."""
    seed: int = 0
    accuracy: Cell = rising
    kl: Cell = drifting
    every: int = 10
    """Steps between evaluations."""
    items: int = 8
    """Test problems of a domain; 0 leaves the table `items` empty and says 64."""
    samples: int = 2
    last: int = 10**9
    """Nothing is recorded after this step."""
    status: str = "done"
    reason: str | None = None
    texts: Sequence[str] = TEXTS
    """The prompt of every round, one a stretch between evaluations; the first is the seed's."""
    slow: int = 10
    """RL rollouts of a step."""
    fast: int = 5
    """Other rollouts of a step."""
    probes: bool = True
    """Whether the base model and a retention domain were asked at boundaries."""
    harder: bool = False
    """Whether the hardest setting was asked there; `accuracy` gets it as the prompt `harder`."""
    greedy: bool = False
    """Whether greedy responses were asked for there; `accuracy` gets them as the prompt `greedy`,
    whichever it is."""
    validation: Cell | None = None
    """Accuracy on validation problems, if any were asked."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the configuration; those of its parts as `learning.learning_rate`."""
    manifest: Mapping[str, Any] = field(default_factory=dict)
    """Entries of the manifest that replace the usual ones."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    stream: Mapping[str, Any] = field(default_factory=dict)
    """Entries of the stream's description, such as its `version` or `name`."""
    uid: str = "{domain}/{test_set}/{item}/{seed}"
    answer: str | None = "4"
    formed: float | None = None
    """Share of responses whose answer has a form of its own; None where nobody asks for one."""
    cut: float = 0.0
    """Share of responses that were cut off."""
    thought: int = 0
    """Tokens of the thought of each response, which has 20."""
    parts: int = 1
    """Commits that the rows are spread over."""
    transcripts: int = 0
    """Problems of each domain whose first response is kept in full; one more if those are alike."""
    words: Mapping[str, str] = field(default_factory=dict)
    """Texts of the table `transcripts` that replace the usual ones."""

    @cached_property
    def steps(self) -> list[int]:
        """The steps of all evaluations."""
        ends = self.ends
        inside: set[int] = set()
        for start, end in zip([0, *ends], ends, strict=False):
            inside |= set(range(start, end, self.every))
        return [step for step in sorted({*inside, *ends}) if step <= self.last]

    @cached_property
    def ends(self) -> list[int]:
        return [int(end) for end in np.cumsum([steps for _, steps in self.stages])]

    @property
    def domains(self) -> list[str]:
        return list(dict.fromkeys(domain for domain, _ in self.stages))

    def place(self, step: int) -> tuple[int, str]:
        """Stage and kind of the evaluation at a step."""
        if step == 0:
            return 0, "start"
        stage = next(i for i, end in enumerate(self.ends, 1) if step <= end)
        return stage, "stage-end" if step in self.ends else "inside"

    def share(self, value: float) -> float:
        """The accuracy that can be."""
        verdicts = self.items * self.samples
        return round(value * verdicts) / verdicts if verdicts else value


def tables(spec: Synthetic, steps: Sequence[int], *, items: bool = True) -> dict[str, list[Row]]:
    """The rows of all tables, or of all but `items`, which has most."""
    asked = [(step, *asking) for step in steps for asking in _askings(spec, step)]
    return {
        "evaluations": [_evaluation(spec, *asking) for asking in asked],
        "items": [row for asking in asked for row in _items(spec, *asking)] if items else [],
        "steps": [row for step in steps for row in _learned(spec, step)],
        "prompts": [row for step in steps for row in _round(spec, step)],
        "ledger": [row for step in steps for row in _ledger(spec, step)],
        "timing": [
            {"step": step, "phase": phase, "seconds": seconds}
            for step in steps
            for phase, seconds in (("learn", 6.0), ("checkpoint", 0.5), ("evaluate", 3.5))
        ],
        "transcripts": [row for step in steps for row in _transcripts(spec, step)],
    }


def _askings(spec: Synthetic, step: int) -> Iterator[tuple[str, str, str, str]]:
    """Domain, test set, prompt and weights of everything asked at a step."""
    boundary = spec.probes and spec.place(step)[1] != "inside"
    for domain in spec.domains:
        for prompt in ("seed", "learner"):
            yield domain, "stream", prompt, "trained"
            if boundary:
                yield domain, "stream", prompt, "base"
            if spec.validation:
                yield domain, "validation", prompt, "trained"
            if spec.greedy and spec.place(step)[1] != "inside":
                yield domain, "greedy", prompt, "trained"
        if boundary and spec.harder:
            yield domain, "harder", "seed", "trained"
    if boundary:
        yield "star-graph", "retention", "stated", "trained"


def _scored(
    spec: Synthetic, step: int, domain: str, test_set: str, prompt: str, weights: str
) -> float:
    asked = test_set if test_set in ("harder", "greedy") else prompt
    if test_set == "validation" and spec.validation:
        return spec.share(spec.validation(step, domain, prompt))
    return spec.share(spec.accuracy(0 if weights == "base" else step, domain, asked))


def _evaluation(
    spec: Synthetic, step: int, domain: str, test_set: str, prompt: str, weights: str
) -> Row:
    stage, at = spec.place(step)
    divergence = 0.0 if weights == "base" else spec.kl(step, domain, prompt)
    if test_set in ("greedy", "validation"):
        divergence = np.nan
    deployed = None if test_set != "stream" else divergence * (1 if prompt == "seed" else 2)
    return {
        "step": step,
        "stage": stage,
        "at": at,
        "domain": domain,
        "test_set": test_set,
        "setting": "default",
        "prompt": prompt,
        "weights": weights,
        "accuracy": _scored(spec, step, domain, test_set, prompt, weights),
        "n_items": spec.items or 64,
        "n_samples": spec.samples,
        "kl_policy_base": divergence,
        "kl_policy_base_sequence": 20 * divergence,
        "kl_policy_base_tokens": 640,
        "kl_base_policy": divergence,
        "kl_base_policy_sequence": 20 * divergence,
        "kl_base_policy_tokens": 640,
        "kl_deployed_start": deployed,
        "kl_deployed_start_sequence": None if deployed is None else 20 * deployed,
        "entropy": 0.5,
        "format_rate": None if spec.formed is None else spec.share(spec.formed),
        "truncation_rate": spec.share(spec.cut),
        "completion_tokens": 20.0,
        "thought_tokens": float(spec.thought),
        "thought_truncation_rate": spec.share(spec.cut) if spec.thought == 20 else 0.0,
        "temperature": 1.0,
        "samples_slow": spec.slow * step,
        "rollouts": (spec.slow + spec.fast) * step,
    }


def _items(
    spec: Synthetic, step: int, domain: str, test_set: str, prompt: str, weights: str
) -> Iterator[Row]:
    right = round(
        _scored(spec, step, domain, test_set, prompt, weights) * spec.items * spec.samples
    )
    label = {
        "step": step,
        "domain": domain,
        "test_set": test_set,
        "setting": "default",
        "prompt": prompt,
        "weights": weights,
        "answer": spec.answer,
        "completion_tokens": 20,
        "thought_tokens": spec.thought,
    }
    count = spec.items * spec.samples
    for item in range(spec.items):
        uid = spec.uid.format(domain=domain, test_set=test_set, item=item, seed=spec.seed)
        for sample in range(spec.samples):
            place = item * spec.samples + sample
            score = float(place < right)
            ended = {
                "formatted": None if spec.formed is None else int(place < spec.formed * count),
                "truncated": int(place < spec.cut * count),
            }
            yield label | {"uid": uid, "sample": sample, "score": score} | ended


def _transcripts(spec: Synthetic, step: int) -> Iterator[Row]:
    """At boundaries, the first responses under both prompts; their scores are those of items."""
    stage, at = spec.place(step)
    for domain in spec.domains if at != "inside" else ():
        for prompt in ("seed", "learner"):
            asked = list(_items(spec, step, domain, "stream", prompt, "trained"))
            first = [item for item in asked if item["sample"] == 0]
            kept = first[: spec.transcripts]
            if len(scores := {row["score"] for row in kept}) == 1:
                kept += [row for row in first if row["score"] not in scores][:1]
            for row in kept:
                texts = {
                    "system_prompt": f"{spec.texts[-1] if spec.texts else 'solve .'} ({prompt})",
                    "problem": f"what is two plus two ? {row['uid']}",
                    "response": f"two and two is four . answer : {row['answer']}",
                    "feedback": "" if row["score"] == 1 else "the sum is wrong",
                    "reference": "4",
                }
                for column in ("completion_tokens", "thought_tokens", "formatted", "truncated"):
                    del row[column]
                yield row | {"stage": stage, "at": at} | texts | dict(spec.words)


def _learned(spec: Synthetic, step: int) -> Iterator[Row]:
    """A row for every step since the evaluation before."""
    before = max((other for other in spec.steps if other < step), default=step)
    for done in range(before + 1, step + 1):
        stage = spec.place(done)[0]
        domain = spec.stages[stage - 1][0]
        yield {
            "step": done,
            "stage": stage,
            "domain": domain,
            "reward": spec.accuracy(step, domain, "learner"),
            "signal": 0.5,
            "loss": 0.1,
            "grad_norm": 1.0,
            "entropy": 0.5,
            "completion_tokens": 20.0,
            "seconds": 0.6,
            "sampler_ratio": None,
            "sampler_ratio_max": None,
            "sampler_ratio_cut": None,
            "epoch_ratio": None,
            "epoch_ratio_max": None,
            "epoch_ratio_cut": None,
        }


def _round(spec: Synthetic, step: int) -> Iterator[Row]:
    """The round that ended at an evaluation: the last two prompts are kept."""
    number = spec.steps.index(step)
    if not 0 < number < max(len(spec.texts), 1):
        return
    for prompt in range(number + 1):
        if prompt >= number - 2:
            yield {
                "step": step,
                "round": number,
                "prompt_id": prompt,
                "parent_id": prompt - 1,
                "text": spec.texts[prompt],
                "score": spec.accuracy(step, spec.domains[0], "learner") / (number - prompt + 1),
                "fate": "kept" if prompt > number - 2 else "dropped",
            }


def _ledger(spec: Synthetic, step: int) -> Iterator[Row]:
    """What a step costs: 10 tokens are read and 20 sampled for every rollout; the fast channel
    asks for two rewrites of 15 tokens."""
    for channel, rollouts in (("slow", spec.slow), ("fast", spec.fast)):
        fast = channel == "fast" and spec.fast > 0
        each = {
            "rollouts": rollouts,
            "prompt_tokens": 10 * rollouts,
            "generated_tokens": 20 * rollouts,
            "solution_tokens": 0,
            "proposals": 3 * fast,
            "reflection_calls": 2 * fast,
            "reflection_tokens": 30 * fast,
            "reflection_failures": 0,
            "reflection_repeats": int(fast),
            "optimizer_steps": int(channel == "slow" and rollouts > 0),
        }
        spent = {name: step * value for name, value in each.items()}
        yield {"step": step, "channel": channel, **spent, "seconds": step * 0.5}
