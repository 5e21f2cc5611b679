"""Asks the harness's tasks: our policy answers its requests, its filters and metrics score them.

Imports the harness.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from lm_eval.api.model import LM
from lm_eval.evaluator import evaluate

from cl_bench.contract.benchmark import BenchmarkItem, Reply, TextModel
from cl_bench.contract.errors import UsageError

_EXAMPLES_SEED = 1234
"""The harness's own seed for drawing examples."""
_NEW_TOKENS = 256
"""The harness's own limit of a response, where a task sets none."""


def measured(
    tasks: Mapping[str, Any],
    metrics: Mapping[str, str],
    asked: Mapping[str, Sequence[int]],
    model: TextModel,
) -> list[BenchmarkItem]:
    """Return the items of `asked`, which has the numbers of each task's documents."""
    chosen = {name: tasks[name] for name in asked}
    for task in chosen.values():
        task.set_fewshot_seed(seed=_EXAMPLES_SEED)  # the same examples at every evaluation
    answering = _Answering(model)
    found = evaluate(
        answering,
        {"tasks": chosen, "groups": {}},
        samples={name: list(numbers) for name, numbers in asked.items()},
        bootstrap_iters=0,
        apply_chat_template=True,
        fewshot_as_multiturn=True,
    )
    return [
        _item(name, sample, metrics[name], tasks[name], answering.replies)
        for name in asked
        for sample in _first_filter(found["samples"][name])
    ]


def _first_filter(samples: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the samples of a task's first filter; each filter has one of every document."""
    own = [sample for sample in samples if sample["filter"] == samples[0]["filter"]]
    return sorted(own, key=lambda sample: int(sample["doc_id"]))


def _item(
    name: str,
    sample: Mapping[str, Any],
    metric: str,
    task: Any,
    replies: Mapping[tuple[str, int], list[Reply]],
) -> BenchmarkItem:
    number = int(sample["doc_id"])
    score = float(sample[metric])
    if not 0 <= score <= 1:
        raise UsageError(
            f"{metric} of {name} is {score:g} for an item, but a score must be from 0 to 1. Name "
            "another metric, as in ?metric=acc."
        )
    given = replies.get((name, number))
    return BenchmarkItem(
        f"lm_eval/{name}/{number}/{sample['doc_hash'][:16]}",
        score,
        _answer(sample, task),
        given[0] if given else None,
    )


def _answer(sample: Mapping[str, Any], task: Any) -> str | None:
    """Return the filtered response, or the choice of highest probability."""
    first = sample["filtered_resps"][0]
    if task.OUTPUT_TYPE == "generate_until":
        return str(first[0] if isinstance(first, list) and first else first)
    if task.OUTPUT_TYPE == "loglikelihood":
        return None
    likelihoods = [float(likelihood) for likelihood, _ in sample["filtered_resps"]]
    choices = task.doc_to_choice(sample["doc"])
    return str(choices[max(range(len(choices)), key=likelihoods.__getitem__)])


class _Answering(LM):  # type: ignore[misc]
    """The harness's model: it hands every request on to a `TextModel`."""

    tokenizer_name = "cl-bench"
    """Names caches of requests, which are not used."""

    def __init__(self, model: TextModel) -> None:
        super().__init__()
        self._model = model
        self.replies: dict[tuple[str, int], list[Reply]] = defaultdict(list)
        """By task and document."""

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        return self._model.templated(chat_history, begun=not add_generation_prompt)

    def generate_until(self, requests: list[Any]) -> list[str]:
        alike: dict[tuple[int, float], list[int]] = defaultdict(list)
        for place, request in enumerate(requests):
            alike[_limits(request.args[1])].append(place)
        texts = [""] * len(requests)
        for (most, temperature), places in alike.items():
            prompts = [requests[place].args[0] for place in places]
            found = self._model.respond(prompts, max_new_tokens=most, temperature=temperature)
            for place, reply in zip(places, found, strict=True):
                request = requests[place]
                texts[place] = _until(reply.text, request.args[1])
                ended = reply.truncated and texts[place] == reply.text
                kept = Reply(texts[place], reply.tokens, truncated=ended)
                self.replies[request.task_name, request.doc_id].append(kept)
        return texts

    def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
        return self._model.log_likelihoods([request.args for request in requests])

    def loglikelihood_rolling(self, requests: list[Any]) -> list[float]:
        raise UsageError("Tasks that measure perplexity have no accuracy. Name another task.")


def _limits(asked: Mapping[str, Any]) -> tuple[int, float]:
    """Return the most new tokens and the temperature that a request asks for."""
    limits = (asked.get(name) for name in ("max_gen_toks", "max_new_tokens", "max_tokens"))
    most = next((int(limit) for limit in limits if limit), _NEW_TOKENS)
    return most, float(asked.get("temperature", 1.0)) if asked.get("do_sample") else 0.0


def _until(text: str, asked: Mapping[str, Any]) -> str:
    """Return the text up to the first of the strings that a request stops at."""
    stops = asked.get("until") or []
    for stop in [stops] if isinstance(stops, str) else stops:
        text = text.partition(stop)[0] if stop else text
    return text
