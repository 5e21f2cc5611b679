"""Endpoints on a network, through the built reflector, against a server that misbehaves."""

from __future__ import annotations

import json
import socket
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cl_bench.contract.errors import ReflectionError, UsageError
from cl_bench.contract.learner import Ledger
from cl_bench.contract.task import Verdict
from cl_bench.fast.reflection.factory import build_reflector
from cl_bench.fast.reflection.journal import Record
from cl_bench.fast.reflection.reflector import JudgedRollout, Reflection, Reflector
from cl_bench.fast.settings import FastConfig

if TYPE_CHECKING:
    from cl_bench.model.policy import Policy
    from tests.fast.reflection.conftest import Server

pytestmark = pytest.mark.skipif(
    find_spec("litellm") is None, reason="the extra `litellm` is not installed"
)

ROLLOUTS = [
    JudgedRollout(
        "math : one f : 4", "answer 4", Verdict(0.0, "math : wrong at step 1 : f adds 3", None)
    )
]
RULES = Reflection("f adds 3 ;", 30)
NAMES = ["openai:scripted", "litellm:openai/scripted"]


@pytest.fixture(params=NAMES)
def spec(request: pytest.FixtureRequest, server: Server) -> str:
    """The server by either name."""
    return f"{request.param}@{server.url}"


@pytest.fixture(autouse=True)
def short_pauses(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses are as long as users meet them only where a test measures them."""
    if "waited" not in request.node.name:
        monkeypatch.setattr("cl_bench.fast.reflection.outside.FIRST_PAUSE", 0.01)


def reflector(
    policy: Policy, spec: str, *, ledger: Ledger | None = None, **options: Any
) -> Reflector:
    options = {"reflection_retries": 1, "reflection_timeout": 60.0} | options
    return build_reflector(policy, FastConfig(reflection_lm=spec, **options), ledger or Ledger())


def fails(asked: Reflector) -> ReflectionError:
    with pytest.raises(ReflectionError) as caught:
        asked("solve .", ROLLOUTS)
    return caught.value


def test_a_good_answer_is_read_from_between_the_fences_and_its_tokens_counted(
    spec: str, server: Server, tiny_policy: Policy
) -> None:
    assert reflector(tiny_policy, spec)("solve .", ROLLOUTS) == RULES
    (request,) = server.requests
    assert request["model"] == "scripted"
    (message,) = request["messages"]
    for part in ("solve .", "math : one f : 4", "answer 4", "f adds 3"):
        assert part in message["content"]


def test_without_a_report_of_usage_the_runs_own_tokenizer_counts(
    spec: str, server: Server, tiny_policy: Policy
) -> None:
    server.says(server.completion("f adds 3 ;", tokens=None))
    tokens = reflector(tiny_policy, spec)("solve .", ROLLOUTS).tokens
    texts = [server.requests[0]["messages"][0]["content"], "f adds 3 ;"]
    assert tokens == sum(map(len, tiny_policy.tokenizer(texts)["input_ids"]))


def test_a_silent_endpoint_is_given_up_after_the_timeout(
    spec: str, server: Server, tiny_policy: Policy
) -> None:
    server.says(server.completion("late", delay=1.0))
    asked = reflector(tiny_policy, spec, reflection_timeout=0.2, reflection_retries=1)
    assert fails(asked).reason == "no answer within 0.2 s"
    assert len(server.requests) == 2


def test_an_endpoint_that_trickles_is_given_up_after_the_timeout(
    spec: str, server: Server, tiny_policy: Policy
) -> None:
    server.says(replace(server.completion("late"), trickle=3.0))
    asked = reflector(tiny_policy, spec, reflection_timeout=0.5, reflection_retries=0)
    assert fails(asked).reason == "no answer within 0.5 s"


@pytest.mark.parametrize(
    "text", ["", None, "``````", "long " * 1000], ids=["empty", "null", "bare fences", "overlong"]
)
def test_a_useless_text_is_asked_for_again_and_its_tokens_are_counted(
    text: str | None, spec: str, server: Server, tiny_policy: Policy
) -> None:
    server.says(server.completion(text), server.completion("```f adds 3 ;```"))
    assert reflector(tiny_policy, spec)("solve .", ROLLOUTS) == Reflection("f adds 3 ;", 60)
    server.says(server.completion(text))
    failed = fails(reflector(tiny_policy, spec))
    assert "text" in failed.reason
    assert failed.tokens == 60
    assert len(server.requests) == 4


@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_an_answer_that_was_cut_off_is_asked_for_again_and_its_tokens_are_counted(
    finish: str, spec: str, server: Server, tiny_policy: Policy
) -> None:
    cut = server.completion("```\nf adds", finish=finish)
    server.says(cut, server.completion("```f adds 3 ;```"))
    assert reflector(tiny_policy, spec)("solve .", ROLLOUTS) == Reflection("f adds 3 ;", 60)
    server.says(cut)
    failed = fails(reflector(tiny_policy, spec))
    assert "cut off" in failed.reason
    assert failed.tokens == 60


def test_a_thought_of_an_answer_is_not_read(spec: str, server: Server, tiny_policy: Policy) -> None:
    server.says(server.completion("<think>\n```\nold\n```\n</think>\n```\nf adds 3 ;\n```"))
    assert reflector(tiny_policy, spec)("solve .", ROLLOUTS) == RULES
    server.says(server.completion("<think>\nWhat went wrong here?"))
    assert "thought" in fails(reflector(tiny_policy, spec)).reason


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("<html>busy</html>", "text/html"),
        ('{"choices": [', "application/json"),
        ("[]", "application/json"),
        ('{"choices": []}', "application/json"),
        ('{"choices": [{"message": {"content": 7}}]}', "application/json"),
    ],
)
def test_garbage_is_asked_for_again_a_bounded_number_of_times(
    body: str, content_type: str, spec: str, server: Server, tiny_policy: Policy
) -> None:
    server.says(server.other(body, content_type))
    assert fails(reflector(tiny_policy, spec)).tokens == 0
    assert len(server.requests) == 2
    server.says(server.other(body, content_type), server.completion("```f adds 3 ;```"))
    assert reflector(tiny_policy, spec)("solve .", ROLLOUTS) == RULES


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_passing_trouble_is_waited_out(
    status: int, spec: str, server: Server, tiny_policy: Policy
) -> None:
    server.says(server.error(status), server.completion("```f adds 3 ;```"))
    assert reflector(tiny_policy, spec)("solve .", ROLLOUTS) == RULES
    assert 0.4 < server.pauses()[0] < 4


def test_retry_after_is_honoured_as_seconds_and_as_a_date(
    spec: str, server: Server, tiny_policy: Policy
) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=3), usegmt=True)
    busy = [server.error(429, Retry_After="1.2"), server.error(503, Retry_After=date)]
    server.says(*busy, server.completion("```f adds 3 ;```"))
    assert reflector(tiny_policy, spec, reflection_retries=2)("solve .", ROLLOUTS) == RULES
    first, second = server.pauses()
    assert 1.2 <= first < 2.2
    assert 0.6 < second < 4


def test_an_endpoint_that_wants_to_be_left_alone_for_long_has_failed(
    spec: str, server: Server, tiny_policy: Policy
) -> None:
    server.says(server.error(429, "quota", Retry_After="86400"))
    failed = fails(reflector(tiny_policy, spec, reflection_retries=5))
    assert failed.reason == "HTTP status 429"
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_lasting_refusal_is_not_repeated_and_says_what_the_server_said(
    status: int, spec: str, server: Server, tiny_policy: Policy
) -> None:
    server.says(server.error(status, "no such model"))
    failed = fails(reflector(tiny_policy, spec, reflection_retries=5))
    assert failed.reason == f"HTTP status {status}"
    assert "no such model" in failed.detail
    assert len(server.requests) == 1


def test_retries_end_and_zero_retries_ask_once(
    spec: str, server: Server, tiny_policy: Policy
) -> None:
    server.says(server.error(500))
    fails(reflector(tiny_policy, spec, reflection_retries=0))
    assert len(server.requests) == 1
    fails(reflector(tiny_policy, spec, reflection_retries=2))
    assert len(server.requests) == 4


@pytest.mark.usefixtures("bare_environment")
@pytest.mark.parametrize("name", NAMES)
def test_a_closed_port_is_a_failed_reflection(name: str, tiny_policy: Policy) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    assert fails(reflector(tiny_policy, f"{name}@{url}")).reason == "no connection to the endpoint"


def test_half_a_surrogate_pair_becomes_a_text_that_can_be_stored(
    spec: str, server: Server, tiny_policy: Policy
) -> None:
    server.says(server.completion("f adds \ud800"))
    assert reflector(tiny_policy, spec)("solve .", ROLLOUTS).text == "f adds ?"


def test_the_base_url_may_come_from_the_environment(
    server: Server, tiny_policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-user")
    assert reflector(tiny_policy, "openai:scripted")("solve .", ROLLOUTS) == RULES
    assert server.keys == ["Bearer sk-of-the-user"]


@pytest.mark.parametrize("echo", ["answer", "error"])
def test_a_key_that_the_server_repeats_is_hidden_in_text_error_and_record(
    echo: str,
    spec: str,
    server: Server,
    tiny_policy: Policy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = "sk-very-secret-0123"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    if echo == "answer":
        server.says(server.completion(f"use {key} ;"))
    else:
        server.says(server.error(401, f"bad key {key} for http://me:pass@host/v1?key=1"))
    journal = Record(tmp_path / "record.jsonl")
    asked = reflector(tiny_policy, spec, ledger=Ledger(journal=journal))
    if echo == "answer":
        said = asked("solve .", ROLLOUTS).text
        assert said == "use [hidden] ;"
    else:
        said = str(fails(asked))
        assert "http://host/v1" in said
    assert server.keys == [f"Bearer {key}"]
    written = journal.path.read_text()
    assert "[hidden]" in written
    for secret in (key, "pass@", "key=1"):
        assert secret not in said + written


def test_the_record_tells_attempts_tokens_and_outcome(
    spec: str, server: Server, tiny_policy: Policy, tmp_path: Path
) -> None:
    journal = Record(tmp_path / "record.jsonl")
    ledger = Ledger(journal=journal)
    server.says(server.completion(""), server.completion("ok"), server.error(400, "too dear"))
    asked = reflector(tiny_policy, spec, ledger=ledger)
    ledger.add("fast", reflection_calls=1)
    asked("solve .", ROLLOUTS)
    ledger.add("fast", reflection_calls=1)
    fails(asked)
    first, second = map(json.loads, journal.path.read_text().splitlines())
    assert (first["call"], first["attempts"], first["tokens"]) == (1, 2, 60)
    assert (first["outcome"], first["text"], first["reason"]) == ("answered", "ok", "")
    assert first["messages"] == server.requests[0]["messages"]
    assert first["seconds"] > 0.01
    assert (second["call"], second["attempts"], second["tokens"]) == (2, 1, 0)
    assert (second["outcome"], second["reason"]) == ("failed", "HTTP status 400")
    assert first["request"] == second["request"]


@pytest.mark.usefixtures("bare_environment")
def test_openai_itself_needs_a_key(tiny_policy: Policy) -> None:
    with pytest.raises(UsageError, match=r"set OPENAI_API_KEY.*openai:scripted@http://host"):
        reflector(tiny_policy, "openai:scripted")


@pytest.mark.usefixtures("bare_environment")
def test_a_litellm_name_needs_its_key_and_a_known_provider(
    tiny_policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(UsageError, match="set ANTHROPIC_API_KEY"):
        reflector(tiny_policy, "litellm:anthropic/some-model")
    with pytest.raises(UsageError, match=r"no provider for 'scripted'.*litellm:openai/MODEL"):
        reflector(tiny_policy, "litellm:scripted")


def test_a_missing_extra_says_what_to_install(
    spec: str, tiny_policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "litellm", None)
    with pytest.raises(UsageError, match=r"pip install 'cl-bench\[litellm\]'"):
        reflector(tiny_policy, spec)
