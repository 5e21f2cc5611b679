"""Endpoints on a network: OpenAI-compatible ones, and those that LiteLLM knows.

Both clients make one attempt a call here and `OutsideReflector` repeats it: LiteLLM's own retries
ignore Retry-After, and a useless text has to come out of the same allowance as an HTTP error.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib import import_module
from typing import Any

from cl_bench.contract.errors import UsageError
from cl_bench.contract.journal import Style
from cl_bench.contract.prompts import Message
from cl_bench.fast.reflection.outside import Answer, AttemptError, patience
from cl_bench.fast.reflection.spec import ReflectionLM, check_url

MAX_REPLY_TOKENS = 4_096
"""Length at which an endpoint's reply is cut, hidden reasoning included."""
_NO_KEY = "none"
_AGAIN = (408, 409, 425, 429)

Count = Callable[[str], int]
"""Tokens of a text by the run's own tokenizer, for endpoints that report no usage."""


class OpenAIEndpoint:
    """An OpenAI-compatible chat endpoint.

    The key is OPENAI_API_KEY; an endpoint elsewhere than OpenAI may do without one. `timeout` is
    in seconds.
    """

    style: Style = "transcript"

    def __init__(self, lm: ReflectionLM, timeout: float, count: Count) -> None:
        self._openai, self._name, self._count = _extra("openai"), lm.name, count
        self._timeout = timeout
        url = lm.url or os.environ.get("OPENAI_BASE_URL", "")
        if url:
            check_url(url, "--reflection-lm" if lm.url else "OPENAI_BASE_URL")
        key = os.environ.get("OPENAI_API_KEY", "").strip()
        if not key and not url:
            raise _missing_key(lm, "OPENAI_API_KEY")
        client = self._openai.OpenAI(
            api_key=key or _NO_KEY, base_url=url or None, timeout=timeout, max_retries=0
        )
        # Imports what it needs now, not in the first attempt, which has a deadline.
        self._chat = client.chat.completions.with_raw_response

    def ask(
        self, messages: Sequence[Message], current: str, *, number: int, attempt: int
    ) -> Answer:
        try:
            reply = self._chat.create(
                model=self._name,
                messages=list(messages),
                max_completion_tokens=MAX_REPLY_TOKENS,
            )
            body = json.loads(reply.http_response.content)
        except self._openai.OpenAIError as error:
            raise failure(self._openai, error, self._timeout) from None
        except ValueError:
            raise AttemptError("an answer that is not JSON") from None
        return _answer(body, messages, self._count)


class LiteLLMEndpoint:
    """A model under its LiteLLM name; LiteLLM finds the key in the environment itself."""

    style: Style = "transcript"

    def __init__(self, lm: ReflectionLM, timeout: float, count: Count) -> None:
        # Without this the import fetches a table of prices from the network.
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        self._litellm, self._openai = _extra("litellm"), _extra("openai", "litellm")
        self._litellm.suppress_debug_info = True
        self._litellm.telemetry = False
        self._name, self._count, self._timeout = lm.name, count, timeout
        self._place: dict[str, str] = {"api_base": lm.url} if lm.url else {}
        try:
            self._litellm.get_llm_provider(lm.name)
        except Exception:  # noqa: BLE001 - foreign code
            raise UsageError(
                f"LiteLLM knows no provider for {lm.name!r}. Write the provider first, such as "
                "litellm:openai/MODEL or litellm:anthropic/MODEL."
            ) from None
        missing = self._litellm.validate_environment(lm.name)["missing_keys"]
        if missing and not lm.url:
            raise _missing_key(lm, *missing)
        if missing:
            self._place["api_key"] = _NO_KEY

    def ask(
        self, messages: Sequence[Message], current: str, *, number: int, attempt: int
    ) -> Answer:
        try:
            reply = self._litellm.completion(
                model=self._name,
                messages=list(messages),
                max_tokens=MAX_REPLY_TOKENS,
                timeout=self._timeout,
                max_retries=0,
                num_retries=0,
                drop_params=True,
                **self._place,
            )
            body = reply.model_dump()
        except self._openai.OpenAIError as error:
            raise failure(self._openai, error, self._timeout) from None
        except Exception as error:  # noqa: BLE001 - foreign code
            raise AttemptError(
                f"an error of LiteLLM ({type(error).__name__})", str(error)
            ) from None
        return _answer(body, messages, self._count)


def failure(openai: Any, error: Any, timeout: float) -> AttemptError:
    """What an error of either client means; LiteLLM's are kinds of the openai package's."""
    if isinstance(error, openai.APITimeoutError):
        return AttemptError(f"no answer within {timeout:g} s")
    causes = [*_causes(error)]
    if any(isinstance(cause, OSError | openai.APIConnectionError) for cause in causes):
        return AttemptError("no connection to the endpoint", str(causes[-1]))
    if not isinstance(error, openai.APIStatusError):
        return AttemptError(f"an error of the client ({type(error).__name__})", str(error))
    status = error.status_code
    headers = getattr(error, "litellm_response_headers", None) or error.response.headers
    patient, wait = patience(_retry_after(headers))
    again = patient and (status in _AGAIN or status >= 500)
    return AttemptError(f"HTTP status {status}", str(error.message), again=again, wait=wait)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what led to it: LiteLLM calls a refused connection an HTTP status 500."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the Retry-After header asks for, as a number or as a date."""
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
    """The reply in a chat completion; anything else is an attempt that failed."""
    try:
        text = body["choices"][0]["message"]["content"] or ""
        if not isinstance(text, str):
            raise TypeError
    except (KeyError, IndexError, TypeError):
        raise AttemptError("an answer that is no chat completion") from None
    usage = body.get("usage")
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    if isinstance(total, bool) or not isinstance(total, int) or total < 1:
        total = count(text) + sum(count(message["content"]) for message in messages)
    return Answer(text, total)


def _extra(module: str, extra: str = "") -> Any:
    """A module of an optional extra, imported when it is needed."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise UsageError(
            f"The package {module!r} is not installed, and the reflection LM needs it. "
            f"Type pip install 'cl-bench[{extra or module}]'."
        ) from None


def _missing_key(lm: ReflectionLM, *names: str) -> UsageError:
    return UsageError(
        f"The reflection LM {lm.label!r} needs a key: set {' and '.join(names)} in the "
        f"environment, or name an endpoint that needs none: {lm.label}@http://host:port/v1."
    )
