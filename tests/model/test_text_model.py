"""A policy asked with whole texts: responses and probabilities are those of its model."""

from __future__ import annotations

import pytest
import torch

from cl_bench.contract.benchmark import Reply
from cl_bench.contract.errors import UsageError
from cl_bench.model.policy import Policy
from cl_bench.model.text_model import PolicyTexts, Rehearsal


def test_log_likelihoods_are_those_of_the_whole_texts(tiny_policy: Policy) -> None:
    pairs = [("one two ", "three"), ("four", " five six"), ("", "seven")]
    found = PolicyTexts(tiny_policy).log_likelihoods(pairs)
    for (text, continuation), (total, greedy) in zip(pairs, found, strict=True):
        head = tiny_policy.tokens([text.rstrip()])[0] or [min(tiny_policy.end_ids)]
        body = tiny_policy.tokens([text + continuation])[0]
        ids = body if text else [*head, *body]
        with torch.no_grad():
            logits = tiny_policy.model(input_ids=torch.tensor([ids])).logits[0]
        scores = torch.log_softmax(logits.float(), -1)[len(head) - 1 : -1]
        own = torch.tensor(ids[len(head) :])
        assert total == pytest.approx(float(scores.gather(-1, own[:, None]).sum()), rel=1e-4)
        assert greedy == bool((scores.argmax(-1) == own).all())


def test_a_chat_is_a_text_in_the_template_and_its_response_that_of_the_chat(
    tiny_policy: Policy,
) -> None:
    texts, chat = PolicyTexts(tiny_policy), [{"role": "user", "content": "math : 4 f g"}]
    text = texts.templated(chat)
    assert tiny_policy.tokens([text]) == tiny_policy.encode([chat])
    begun = texts.templated([*chat, {"role": "assistant", "content": "answer"}], begun=True)
    assert begun.startswith(text)
    assert begun.rstrip().endswith("answer")
    (reply,) = texts.respond([text], max_new_tokens=6, temperature=0.0)
    (rollout,) = tiny_policy.generate([chat], max_new_tokens=6, temperature=0.0)
    assert reply == Reply(rollout.text, len(rollout.completion_ids), rollout.truncated)


def test_a_rehearsal_reads_every_request_and_answers_none(tiny_policy: Policy) -> None:
    rehearsal = Rehearsal(tiny_policy)
    assert rehearsal.respond(["one"], max_new_tokens=4, temperature=0.0) == [
        Reply("", 0, truncated=False)
    ]
    assert rehearsal.log_likelihoods([("one", " two")]) == [(0.0, False)]
    context = tiny_policy.context or 0
    with pytest.raises(UsageError, match="do not fit into"):
        rehearsal.respond(["one"], max_new_tokens=context, temperature=0.0)
    with pytest.raises(UsageError, match="do not fit into"):
        rehearsal.log_likelihoods([("one", " two" * context)])
