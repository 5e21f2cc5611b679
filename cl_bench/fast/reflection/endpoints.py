"""The models outside a run that can be asked: another local model, or endpoints on a network.

Networks are reached through LiteLLM, which makes one attempt a call; `OutsideReflector` repeats it.
LiteLLM's own retries would ignore Retry-After, and an unusable text has to count as a failed
attempt like an HTTP error.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib import import_module
from typing import Any

import torch

from cl_bench.contract.errors import UsageError
from cl_bench.contract.journal import Style
from cl_bench.contract.prompts import Message
from cl_bench.contract.task import hashed_rng
from cl_bench.fast.reflection.outside import Answer, AttemptError, patience
from cl_bench.fast.reflection.reflector import ROOM, declared_style
from cl_bench.fast.reflection.spec import ReflectionLM, check_url
from cl_bench.model.named import resolve
from cl_bench.model.policy import Policy

MAX_REPLY_TOKENS = 4_096
"""Length at which an endpoint's reply is cut, hidden reasoning included."""
_NO_KEY = "none"
"""LiteLLM insists on a key, even for an endpoint that wants none."""
_AGAIN = (408, 409, 425, 429)
"""HTTP statuses below 500 after which another attempt may succeed."""
_CUT = ("length", "content_filter")
"""Reasons to finish (LiteLLM says them as OpenAI does) of replies that are not whole."""

Count = Callable[[str], int]
"""Counts the tokens of a text by the run's own tokenizer, for endpoints that report no usage."""


class LocalModel:
    """A model loaded by `Policy.load`, never trained, sampled at temperature 1.

    Every attempt has a generator of its own, seeded by the run's seed and the attempt's number, so
    that its draws do not move the run's random state.
    """

    def __init__(self, name: str, device: str, seed: int) -> None:
        self._lm = Policy.load(resolve(name), device, frozen=True)
        self._seed = seed
        self.style: Style = declared_style(self._lm, "transcript")

    def ask(
        self, messages: Sequence[Message], current: str, *, number: int, attempt: int
    ) -> Answer:
        room = ROOM[self.style] + len(self._lm.tokenizer(current)["input_ids"])
        if not self._lm.fits(list(messages), room):
            raise AttemptError("a request longer than the context", again=False)
        device = self._lm.device
        cards = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices=cards):
            torch.manual_seed(hashed_rng("reflect", self._seed, number, attempt).getrandbits(32))
            (reply,) = self._lm.generate([messages], max_new_tokens=room)
        return Answer(reply.text, reply.length, reply.truncated)


class ChatEndpoint:
    """A chat model: `litellm:NAME` by its LiteLLM name, `openai:MODEL` as openai/MODEL.

    Keys come from the environment; an endpoint given by its URL may need none. `timeout` is in
    seconds. Raises `UsageError` for a missing package, provider or key.
    """

    style: Style = "transcript"

    def __init__(self, lm: ReflectionLM, timeout: float, count: Count) -> None:
        self._litellm, self._timeout, self._count = _litellm(), timeout, count
        if lm.kind == "openai":
            self._name, cut = f"openai/{lm.name}", "max_completion_tokens"
            url = lm.url or os.environ.get("OPENAI_BASE_URL", "")
            key = os.environ.get("OPENAI_API_KEY", "").strip()
            missing = [] if key else ["OPENAI_API_KEY"]
        else:
            self._name, cut, url, key = lm.name, "max_tokens", lm.url, ""
            missing = self._missing_keys()
        if url:
            check_url(url, "--reflection-lm" if lm.url else "OPENAI_BASE_URL")
        elif missing:
            raise _missing_key(lm, *missing)
        self._options: dict[str, Any] = {
            "api_base": url or None,
            "api_key": _NO_KEY if missing else key or None,
            cut: MAX_REPLY_TOKENS,
        }

    def _missing_keys(self) -> list[str]:
        """Return the variables that the model's provider needs and the environment lacks."""
        try:
            self._litellm.get_llm_provider(self._name)
        except Exception:  # noqa: BLE001 - foreign code
            raise UsageError(
                f"LiteLLM knows no provider for {self._name!r}. Write the provider first, such as "
                "litellm:openai/MODEL or litellm:anthropic/MODEL."
            ) from None
        missing: list[str] = self._litellm.validate_environment(self._name)["missing_keys"]
        return missing

    def ask(
        self, messages: Sequence[Message], current: str, *, number: int, attempt: int
    ) -> Answer:
        try:
            reply = self._litellm.completion(
                model=self._name,
                messages=list(messages),
                timeout=self._timeout,
                max_retries=0,
                num_retries=0,
                drop_params=True,
                **self._options,
            )
            body = reply.model_dump()
        except Exception as error:  # noqa: BLE001 - foreign code
            raise failure(error, self._timeout) from None
        return _answer(body, messages, self._count)


def failure(error: Exception, timeout: float) -> AttemptError:
    """Return the attempt's error for one of LiteLLM, most of which inherit from openai's."""
    import openai

    if isinstance(error, openai.APITimeoutError):
        return AttemptError(f"no answer within {timeout:g} s")
    causes = [*_causes(error)]
    if any(isinstance(cause, OSError | openai.APIConnectionError) for cause in causes):
        return AttemptError("no connection to the endpoint", str(causes[-1]))
    if not isinstance(error, openai.APIStatusError):
        return AttemptError(f"an error of LiteLLM ({type(error).__name__})", str(error))
    status = error.status_code
    headers = getattr(error, "litellm_response_headers", None) or error.response.headers
    patient, wait = patience(_retry_after(headers))
    again = patient and (status in _AGAIN or status >= 500)
    return AttemptError(f"HTTP status {status}", str(error.message), again=again, wait=wait)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and its causes: LiteLLM reports a refused connection as HTTP status 500."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the Retry-After header asks for, as a number or a date, or None."""
    given = headers.get("retry-after", "").strip()
    try:
        return float(given)
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(given)
    except ValueError:
        return None
    return (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()


def _answer(body: Any, messages: Sequence[Message], count: Count) -> Answer:
    """Return the reply in a chat completion; raise `AttemptError` for anything else."""
    try:
        choice = body["choices"][0]
        text = choice["message"]["content"] or ""
        if not isinstance(text, str):
            raise TypeError
    except (KeyError, IndexError, TypeError):
        raise AttemptError("an answer that is not a chat completion") from None
    usage = body.get("usage")
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    if isinstance(total, bool) or not isinstance(total, int) or total < 1:
        total = count(text) + sum(count(message["content"]) for message in messages)
    return Answer(text, total, choice.get("finish_reason") in _CUT)


def _litellm() -> Any:
    """Import LiteLLM, which takes seconds, and make it quiet and keep it off the network."""
    # Without this the import fetches a table of prices from the network.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    try:
        litellm: Any = import_module("litellm")
    except ModuleNotFoundError as error:
        if error.name != "litellm":
            raise
        raise UsageError(
            "The package 'litellm' is not installed, and the reflection LM needs it. "
            "Type pip install 'cl-bench[litellm]'."
        ) from None
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    return litellm


def _missing_key(lm: ReflectionLM, *names: str) -> UsageError:
    return UsageError(
        f"The reflection LM {lm.label!r} needs a key: set {' and '.join(names)} in the "
        f"environment, or name an endpoint that needs none: {lm.label}@http://host:port/v1."
    )
