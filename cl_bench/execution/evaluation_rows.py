"""Responses to one set of test problems as rows of the three tables of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from math import nan
from typing import NamedTuple

from cl_bench.contract.benchmark import BenchmarkItem
from cl_bench.contract.task import Verdict
from cl_bench.execution.problem_sets import Item, ProblemSet
from cl_bench.model.policy import Rollout, verdicts
from cl_bench.model.scoring import Divergence

Row = dict[str, object]
_DIVERGENCES: tuple[str, ...] = tuple(
    name + unit for name in ("kl_policy_base", "kl_base_policy") for unit in ("", "_sequence")
)


class Scored(NamedTuple):
    """The rows of one set of problems under one prompt, before `labelled` adds which these are."""

    evaluation: Row
    """The row of `evaluations`."""
    items: list[Row]
    """The rows of `items`, one per response."""
    transcripts: list[Row]
    """The rows of `transcripts`: responses that are kept in full."""

    def labelled(self, label: Mapping[str, object]) -> Scored:
        """Return the same with the columns of `label` in every row."""
        items, transcripts = (
            [{**label, **row} for row in rows] for rows in (self.items, self.transcripts)
        )
        return Scored({**label, **self.evaluation}, items, transcripts)

    def as_base(self) -> Scored:
        """Return the same as rows of the base itself, which does not diverge from itself."""
        divergences: Row = dict.fromkeys(_DIVERGENCES, 0.0)
        tokens = {"kl_base_policy_tokens": self.evaluation["kl_policy_base_tokens"]}
        return Scored(self.evaluation | divergences | tokens, self.items, [])


def repeated(asked: ProblemSet) -> list[Item]:
    """Return the problems as they are asked, each as often as it is sampled."""
    return [item for item in asked.items for _ in range(asked.samples)]


def score(
    asked: ProblemSet,
    rollouts: Sequence[Rollout],
    forward: Divergence | None,
    backward: Divergence | None,
    *,
    temperature: float,
    transcripts: int,
) -> Scored:
    """Return the rows of the responses to `repeated(asked)`, after verifying them.

    `forward` and `backward` are the divergences from policy to base and from base to policy, None
    where they are not measured;
    `transcripts` is the number of problems whose first response is kept in full; where those are
    all right or all wrong, one more is kept, the first that is not.
    """
    items = repeated(asked)
    found = verdicts(rollouts, [partial(item.verify, item.problem) for item in items])
    count = len(rollouts)
    deployed = forward if asked.name == "stream" else None
    evaluation: Row = {
        "accuracy": sum(verdict.score for verdict in found) / count,
        "n_items": len(asked.items),
        "n_samples": asked.samples,
        **_divergence("kl_policy_base", forward),
        **_divergence("kl_base_policy", backward),
        "kl_deployed_start": deployed and deployed.deployed_per_token,
        "kl_deployed_start_sequence": deployed and deployed.deployed_per_sequence,
        "entropy": forward.entropy if forward else nan,
        "format_rate": _share([verdict.formatted for verdict in found]),
        "truncation_rate": sum(rollout.truncated for rollout in rollouts) / count,
        "completion_tokens": sum(len(r.completion_ids) for r in rollouts) / count,
        "thought_tokens": sum(r.thought_tokens for r in rollouts) / count,
        "thought_truncation_rate": sum(r.cut_in_thought for r in rollouts) / count,
        "temperature": temperature,
    }
    responses = list(zip(items, rollouts, found, strict=True))
    return Scored(
        evaluation,
        [_item(*response, place % asked.samples) for place, response in enumerate(responses)],
        [_transcript(*response) for response in _kept(responses[:: asked.samples], transcripts)],
    )


def _divergence(name: str, of: Divergence | None) -> Row:
    """Return the three columns of a divergence; NaN, of no tokens, where it was not measured."""
    found = (of.per_token, of.per_sequence, int(of.tokens_N.sum())) if of else (nan, nan, 0)
    return dict(zip((name, f"{name}_sequence", f"{name}_tokens"), found, strict=True))


def of_benchmark(items: Sequence[BenchmarkItem], temperature: float) -> Scored:
    """Return the rows of a benchmark's items.

    Its requests are not problems under a system prompt, so that divergences and entropy are NaN.
    """
    replies = [item.reply for item in items if item.reply is not None]
    count = len(replies)
    evaluation: Row = {
        "accuracy": sum(item.score for item in items) / len(items),
        "n_items": len(items),
        "n_samples": 1,
        **_divergence("kl_policy_base", None),
        **_divergence("kl_base_policy", None),
        "kl_deployed_start": None,
        "kl_deployed_start_sequence": None,
        "entropy": nan,
        "format_rate": None,
        "truncation_rate": sum(r.truncated for r in replies) / count if replies else None,
        "completion_tokens": sum(r.tokens for r in replies) / count if replies else nan,
        "thought_tokens": None,
        "thought_truncation_rate": None,
        "temperature": temperature,
    }
    return Scored(evaluation, [_benchmark_item(item) for item in items], [])


def _benchmark_item(item: BenchmarkItem) -> Row:
    reply = item.reply
    return {
        "uid": item.uid,
        "sample": 0,
        "score": item.score,
        "answer": item.answer,
        "formatted": None,
        "truncated": None if reply is None else int(reply.truncated),
        "completion_tokens": None if reply is None else reply.tokens,
        "thought_tokens": None,
    }


def _item(item: Item, rollout: Rollout, verdict: Verdict, sample: int) -> Row:
    return {
        "uid": item.problem.uid,
        "sample": sample,
        "score": verdict.score,
        "answer": verdict.answer,
        "formatted": None if verdict.formatted is None else int(verdict.formatted),
        "truncated": int(rollout.truncated),
        "completion_tokens": len(rollout.completion_ids),
        "thought_tokens": rollout.thought_tokens,
    }


def _share(flags: Sequence[bool | None]) -> float | None:
    """Return the share of true flags; None where a domain does not look for forms."""
    known = [flag for flag in flags if flag is not None]
    return sum(known) / len(known) if known else None


def _kept(
    responses: Sequence[tuple[Item, Rollout, Verdict]], count: int
) -> list[tuple[Item, Rollout, Verdict]]:
    """Return the first `count` responses, and of the others the first that is not as all those."""
    kept = list(responses[:count])
    kinds = {verdict.score >= 1 for *_, verdict in kept}
    if len(kinds) == 1:
        others = (one for one in responses[count:] if (one[-1].score >= 1) not in kinds)
        kept.extend(islice(others, 1))
    return kept


def _transcript(item: Item, rollout: Rollout, verdict: Verdict) -> Row:
    """Return the first response to a problem, in full."""
    return {
        "uid": item.problem.uid,
        "sample": 0,
        "system_prompt": item.system,
        "problem": item.problem.prompt,
        "response": rollout.text,
        "score": verdict.score,
        "answer": verdict.answer,
        "feedback": verdict.feedback,
        "reference": item.problem.answer or None,
    }
