"""The client of a vLLM server, against a double that speaks the part of its interface in use."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
import torch
from safetensors.torch import load_file
from transformers import PreTrainedModel

from cl_bench.contract.errors import SamplerError, UsageError
from cl_bench.execution.settings import configure
from cl_bench.model.policy import Policy
from cl_bench.model.samplers.server import KEY, server_sampler
from cl_bench.model.samplers.transformers import TransformersSampler, respond

PROMPTS = [[5, 6, 7], [8, 9], [5, 6, 7]]


@dataclass
class Server:
    """A server with a model of its own; `asked` has the paths and contents of its requests."""

    model: PreTrainedModel
    dtype: str = "torch.float32"
    longest: int = 10_000
    broken: bool = False
    deaf: bool = False
    """Whether it takes no weights, and says nothing of it."""
    invariant: bool = False
    asked: list[tuple[str, Any]] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)
    url: str = ""
    lock: Lock = field(default_factory=Lock)  # one model, and torch's one generator

    def about(self) -> dict[str, Any]:
        model = {"dtype": self.dtype, "logprobs_mode": "processed_logprobs"}
        return {
            "/version": {"version": "0.31.0"},
            "/v1/models": {"data": [{"id": "served", "max_model_len": self.longest}]},
            "/server_info": {
                "vllm_config": {"model_config": model},
                "vllm_env": {"VLLM_BATCH_INVARIANT": self.invariant},
            },
        }

    def done(self, path: str, content: Any) -> Any:
        self.asked.append((path, content))
        if path == "/collective_rpc":
            assert content["method"] == "reload_weights"
            if self.deaf:
                return {"results": [None]}
            folder = Path(content["kwargs"]["weights_path"])
            self.model.load_state_dict(load_file(folder / "model.safetensors"))
            return {"results": [None]}
        return self._completion(content) if path == "/v1/completions" else {"success": True}

    def _completion(self, content: Any) -> Any:
        torch.manual_seed(content["seed"])
        (row,) = respond(
            self.model,
            [content["prompt"]],
            pad=0,
            ends=content["stop_token_ids"],
            max_new_tokens=content["max_tokens"],
            temperature=content["temperature"],
        )
        found = {"token_ids": row.tokens, "logprobs": {"token_logprobs": row.log_probs}}
        return {"choices": [found]}


@pytest.fixture
def server(tiny_policy: Policy) -> Iterator[Server]:
    """A server whose model has other weights than the policy, until some are pushed."""
    model = copy.deepcopy(tiny_policy.model)
    for weight in model.parameters():
        weight.data.mul_(1.5)
    double = Server(model)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            double.keys.add(self.headers.get("Authorization"))
            self._answer(double.about()[urlsplit(self.path).path])

        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if double.broken:
                self._answer({"message": "EngineDeadError"}, 500)
                return
            with double.lock:
                found = double.done(self.path, content)
            self._answer(found)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def _answer(self, content: Any, status: int = 200) -> None:
            written = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(written)))
            self.end_headers()
            self.wfile.write(written)

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    double.url = f"http://127.0.0.1:{served.server_port}"
    thread = Thread(target=served.serve_forever)
    thread.start()
    yield double
    served.shutdown()
    served.server_close()
    thread.join()


def test_rows_are_those_of_the_policys_weights_and_each_a_request(
    tiny_policy: Policy, server: Server, tmp_path: Path
) -> None:
    own = TransformersSampler(tiny_policy).sample(PROMPTS, max_new_tokens=6, temperature=0)
    tiny_policy.sampler = server_sampler(tiny_policy, server.url, str(tmp_path))
    assert tiny_policy.sampler.engine == "vllm 0.31.0, server"
    found = tiny_policy.sampler.sample(PROMPTS, max_new_tokens=6, temperature=0)
    assert [row.tokens for row in found] == [row.tokens for row in own]

    torch.manual_seed(0)
    drawn = tiny_policy.sampler.sample(PROMPTS, max_new_tokens=6, temperature=0.8)  # proved, too
    assert all(len(row.log_probs) == len(row.tokens) for row in drawn)
    with torch.no_grad():
        for weight in tiny_policy.model.parameters():
            weight.mul_(0.7)
    tiny_policy.sampler.weights_changed()
    tiny_policy.sampler.sample(PROMPTS, max_new_tokens=6, temperature=0.8)
    kinds = [path for path, _ in server.asked]
    assert kinds.count("/collective_rpc") == 3  # the first with nobody's weights
    assert kinds.count("/v1/completions") == 2 + 3 * len(PROMPTS)
    completions = [content for path, content in server.asked if path == "/v1/completions"]
    assert len({content["seed"] for content in completions}) == 1 + 2 * len(PROMPTS)
    assert not list(tmp_path.glob("*/*"))  # what was pushed is gone


def test_a_server_that_cannot_serve_the_run_is_refused_with_what_to_type(
    tiny_policy: Policy, server: Server
) -> None:
    def refused(match: str, url: str = server.url) -> None:
        with pytest.raises(SamplerError, match=match) as told:
            server_sampler(tiny_policy, url, "temporary")
        assert "VLLM_SERVER_DEV_MODE=1 vllm serve MODEL --dtype float32" in str(told.value)

    server.dtype = "torch.bfloat16"
    refused(r"its dtype is torch.bfloat16, not torch.float32")
    server.dtype, server.longest = "torch.float32", 16
    refused(r"it takes 16 tokens, but the model's context is \d+")
    refused("ConnectError", "http://127.0.0.1:9")
    with pytest.raises(UsageError, match="sampler_folder is 'nowhere'"):
        server_sampler(tiny_policy, server.url, "nowhere")


@pytest.mark.parametrize("answer", [b"<html>hello</html>", b"{}", b"[]"])
def test_what_is_no_vllm_server_is_no_bug_of_ours(tiny_policy: Policy, answer: bytes) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        Thread(target=served.serve_forever, daemon=True).start()
        with pytest.raises(SamplerError, match="what answers there is no vLLM server"):
            server_sampler(tiny_policy, f"http://127.0.0.1:{served.server_port}", "temporary")
        served.shutdown()


def test_a_server_that_dies_is_told_with_what_it_said(tiny_policy: Policy, server: Server) -> None:
    tiny_policy.sampler = server_sampler(tiny_policy, server.url, "temporary")
    server.broken = True
    with pytest.raises(SamplerError, match=r"taking over the policy's weights .*EngineDeadError"):
        tiny_policy.continue_tokens(PROMPTS, max_new_tokens=6)


def test_a_server_that_starts_from_the_runs_weights_and_takes_none_is_told(
    tiny_policy: Policy, server: Server
) -> None:
    server.model.load_state_dict(tiny_policy.model.state_dict())
    server.deaf = True
    tiny_policy.sampler = server_sampler(tiny_policy, server.url, "temporary")
    with pytest.raises(SamplerError, match="answers as it did before"):
        tiny_policy.continue_tokens(PROMPTS, max_new_tokens=6)


def test_mode_and_key_are_the_servers(
    tiny_policy: Policy, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.invariant = True
    monkeypatch.setenv(KEY, "secret")
    found = server_sampler(tiny_policy, server.url, "temporary")
    assert found.engine == "vllm 0.31.0, server, batch-invariant"
    assert server.keys == {"Bearer secret"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"sampler": "vlm"}, "Unknown sampler 'vlm'. Did you mean 'vllm'"),
        ({"sampler": "vllm:localhost:8000"}, "must be the address of a server"),
        ({"sampler": "vllm:http://localhost:abc"}, "must be the address of a server"),
        ({"sampler": "vllm:http://"}, "must be the address of a server"),
        ({"sampler": "vllm:http://me:secret@host"}, "VLLM_API_KEY"),
        ({"sampler": "vllm", "sampler_folder": "here"}, "give --sampler vllm:URL"),
        ({"sampler": "vllm:http://h:1", "batch_invariant": True}, "VLLM_BATCH_INVARIANT=1"),
    ],
)
def test_settings_that_cannot_be_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told) as refused:
        configure(learner="rl", **options)
    assert "secret" not in str(refused.value)
