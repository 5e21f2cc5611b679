"""A vLLM server as the engine of a sampler: requests by HTTP, weights through a shared folder.

The server has its OpenAI-compatible interface, of which one request asks for one row, and the one
that vLLM calls its development mode, which reads new weights from a folder. It has a card, or a
machine, of its own, so that it does not sleep while the model trains.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any
from weakref import finalize

import httpx
import torch
from torch import Tensor

from cl_bench.contract.errors import SamplerError, UsageError
from cl_bench.contract.text import reason_of
from cl_bench.model.samplers.engine import EngineSampler, Reply, Request
from cl_bench.model.samplers.protocol import TEMPORARY

if TYPE_CHECKING:
    from cl_bench.model.policy import Policy

_AT_ONCE = 256
"""Requests that are under way at the same time; the server queues what it cannot take."""
_SECONDS = 3600.0
"""For one request: a queue may be long, and a push of many gigabytes takes its time."""
_CONNECT = 10.0
_REASON = 300
KEY = "VLLM_API_KEY"
"""The environment variable with the server's key, where it asks for one."""
_PROBE = Request((1, 2), 0, 8, 1.0, frozenset())
"""What is asked before and after the first push."""
_SAME = 1e-4
"""Nats within which a token's log-probability is the same: the request is alone in its batch."""
_TYPES = {"float32": "float32", "bf16": "bfloat16", "pure-bf16": "bfloat16"}


def server_sampler(policy: Policy, url: str, folder: str) -> EngineSampler:
    """Return a sampler on the vLLM server at `url`, which sees `folder` under the same path.

    Raises `UsageError` if there is no such folder, and `SamplerError` if no such server answers or
    it cannot serve this run.
    """
    return EngineSampler(policy, ServerEngine(policy, url, folder))


class ServerEngine:
    """An `Engine` on a server. The server is this run's alone: a push changes what it serves."""

    shared = True

    def __init__(self, policy: Policy, url: str, folder: str) -> None:
        self._url, key = url, os.environ.get(KEY)
        self._shared = Path(mkdtemp(prefix="cl-bench-weights-", dir=_existing(folder)))
        self._numbers = count(1)
        self._proved = False
        self._client = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(_SECONDS, connect=_CONNECT),
            limits=httpx.Limits(max_connections=_AT_ONCE),
        )
        finalize(self, _end, self._client, self._shared)
        try:
            self.name, self._model = self._introduced(policy)
        except httpx.HTTPError as error:
            raise self._unfit(policy, reason_of(error, _REASON)) from error
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            reason = f"what answers there is no vLLM server: {reason_of(error, _REASON)}"
            raise self._unfit(policy, reason) from error

    def load(self, weights: Iterator[tuple[str, Tensor]]) -> None:
        """Have the server read `weights` from a file in the shared folder, which goes again."""
        named = list(weights)
        if not self._proved:
            self._require_pushes(named)
        # Tied weights share memory, which a file of tensors cannot say.
        self._push({name: weight.contiguous().cpu().clone() for name, weight in named})

    def _require_pushes(self, named: Sequence[tuple[str, Tensor]]) -> None:
        """Raise `RuntimeError` if a push of nobody's weights, zeros, changes no answer.

        A server starts with the very weights that a run starts from: one that took none would
        agree with the trainer until steps had moved it far.
        """
        before = self.answer([_PROBE])[0].log_probs
        self._push({name: torch.zeros(weight.shape, dtype=weight.dtype) for name, weight in named})
        after = self.answer([_PROBE])[0].log_probs
        if all(abs(one - other) < _SAME for one, other in zip(before, after, strict=True)):
            raise RuntimeError("it said that it read weights, and answers as it did before")
        self._proved = True

    def _push(self, tensors: dict[str, Tensor]) -> None:
        from safetensors.torch import save_file

        place = self._shared / str(next(self._numbers))
        place.mkdir()
        save_file(tensors, place / "model.safetensors", metadata={"format": "pt"})
        pushed = {"method": "reload_weights", "kwargs": {"weights_path": str(place)}}
        self._post("/collective_rpc", pushed)
        shutil.rmtree(place)

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Return the server's replies, each to a request of its own, all under way together."""
        self._post("/reset_prefix_cache", {})
        with ThreadPoolExecutor(min(_AT_ONCE, len(requests))) as pool:
            return list(pool.map(self._reply, requests))

    def wake(self) -> None:
        """Do nothing: the server has memory of its own."""

    def sleep(self) -> None:
        """Do nothing: nobody waits for the server's memory."""

    def _introduced(self, policy: Policy) -> tuple[str, str]:
        """Return the engine's name with version and mode, and that of the model it serves."""
        version = self._get("/version")["version"]
        served = self._get("/v1/models")["data"][0]
        info = self._get("/server_info?config_format=json")
        model = info["vllm_config"]["model_config"]
        kind = f"torch.{_TYPES[policy.precision]}"
        wanted = {"dtype": kind, "logprobs_mode": "processed_logprobs"}
        for name, value in wanted.items():
            if model.get(name) != value:
                raise self._unfit(policy, f"its {name} is {model.get(name)}, not {value}")
        longest = int(served["max_model_len"])
        if policy.context is not None and longest < policy.context:
            reason = f"it takes {longest} tokens, but the model's context is {policy.context}"
            raise self._unfit(policy, reason)
        invariant = info["vllm_env"].get("VLLM_BATCH_INVARIANT")
        return f"vllm {version}, server{', batch-invariant' if invariant else ''}", served["id"]

    def _reply(self, request: Request) -> Reply:
        asked = {
            "model": self._model,
            "prompt": list(request.prompt),
            "seed": request.seed,
            "max_tokens": request.max_new_tokens,
            "temperature": request.temperature,
            "top_p": 1.0,
            "top_k": 0,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "logprobs": 0,  # the sampled token's alone
            "ignore_eos": True,  # the ends are those of the policy
            "stop_token_ids": sorted(request.ends),
            "return_token_ids": True,
        }
        (choice,) = self._post("/v1/completions", asked)["choices"]
        log_probs = [float(value) for value in choice["logprobs"]["token_logprobs"]]
        return Reply([int(token) for token in choice["token_ids"]], log_probs)

    def _get(self, path: str) -> Any:
        return self._client.get(path).raise_for_status().json()

    def _post(self, path: str, content: Mapping[str, Any]) -> Any:
        answer = self._client.post(path, json=content)
        if answer.is_error:
            raise RuntimeError(f"{path} was answered with {answer.status_code}: {answer.text}")
        return answer.json() if answer.content else None

    def _unfit(self, policy: Policy, reason: str) -> SamplerError:
        kind = _TYPES[policy.precision]
        return SamplerError(
            f"The server at {self._url} cannot sample for this run ({reason}). Start one with "
            f"`VLLM_SERVER_DEV_MODE=1 vllm serve MODEL --dtype {kind} --logprobs-mode "
            "processed_logprobs --generation-config vllm`, without another --max-model-len, or "
            "give --sampler vllm."
        )


def _end(client: httpx.Client, shared: Path) -> None:
    client.close()
    shutil.rmtree(shared, ignore_errors=True)


def _existing(folder: str) -> Path | None:
    """Return the folder, None for the temporary one; raise `UsageError` if there is none."""
    if folder == TEMPORARY:
        return None
    path = Path(folder).resolve()
    if not path.is_dir():
        raise UsageError(
            f"sampler_folder is {folder!r}, but must be a folder that exists, and that the vLLM "
            "server sees under the same path."
        )
    return path
