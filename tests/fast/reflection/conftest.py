"""A local OpenAI-compatible server that answers by script and counts what it is asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass(frozen=True)
class Reply:
    """What the server sends, and how long it thinks first (seconds)."""

    body: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    content_type: str = "application/json"
    trickle: float = 0.0
    """Seconds for which the body is preceded by a space every tenth."""


def completion(text: str | None, *, tokens: int | None = 30, finish: str = "stop") -> str:
    """The body of a chat completion; without `tokens` the server reports no usage."""
    body: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "scripted",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": text},
            }
        ],
    }
    if tokens is not None:
        body["usage"] = {
            "prompt_tokens": tokens - 10,
            "completion_tokens": 10,
            "total_tokens": tokens,
        }
    return json.dumps(body)


Script = Callable[[int], Reply]
"""The n-th request, from 0, to its reply."""


@dataclass
class Server:
    """A running server; `script` may be replaced at any time."""

    url: str
    script: Script
    requests: list[dict[str, Any]] = field(default_factory=list)
    """The JSON body of every request."""
    keys: list[str] = field(default_factory=list)
    """The Authorization header of every request."""
    times: list[float] = field(default_factory=list)
    """When they came, in seconds."""

    @staticmethod
    def completion(
        text: str | None, *, tokens: int | None = 30, finish: str = "stop", delay: float = 0.0
    ) -> Reply:
        """A good answer with that text."""
        return Reply(completion(text, tokens=tokens, finish=finish), delay=delay)

    @staticmethod
    def error(status: int, message: str = "sorry", **headers: str) -> Reply:
        """An error as OpenAI sends it; headers with underscores for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Reply(json.dumps({"error": {"message": message}}), status, named)

    @staticmethod
    def other(body: str, content_type: str = "application/json") -> Reply:
        """Anything else with status 200."""
        return Reply(body, content_type=content_type)

    def says(self, *replies: Reply) -> None:
        """Send these in turn, the last one for ever."""
        start = len(self.requests)
        self.script = lambda number: replies[min(number - start, len(replies) - 1)]

    def pauses(self) -> list[float]:
        """Seconds between requests."""
        return [later - earlier for earlier, later in zip(self.times, self.times[1:], strict=False)]


class _Handler(BaseHTTPRequestHandler):
    state: Server

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.state.times.append(time.monotonic())
        self.state.keys.append(self.headers.get("Authorization", ""))
        self.state.requests.append(json.loads(self.rfile.read(length)))
        reply = self.state.script(len(self.state.requests) - 1)
        time.sleep(reply.delay)
        content = reply.body.encode()
        try:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(content) + round(10 * reply.trickle)))
            self.end_headers()
            for _ in range(round(10 * reply.trickle)):
                self.wfile.write(b" ")
                time.sleep(0.1)
            self.wfile.write(content)
        except OSError:
            pass  # the client did not wait

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, endpoint or proxy of this machine's environment."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "ALL_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def server(bare_environment: None) -> Iterator[Server]:  # noqa: ARG001 - asked for its effect
    """A server that answers well."""
    handler = type("Handler", (_Handler,), {})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    http.daemon_threads = True
    state = Server(
        f"http://127.0.0.1:{http.server_port}/v1",
        lambda _: Reply(completion("```\nf adds 3 ;\n```")),
    )
    handler.state = state  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    http.shutdown()
    http.server_close()
    thread.join()
