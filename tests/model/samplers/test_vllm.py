"""The real vLLM, on a CPU: `tox -e vllm` runs these."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
import torch

import cl_bench
from cl_bench.api import resume
from cl_bench.contract.errors import ModelError, SamplerError
from cl_bench.contract.learner import Ledger
from cl_bench.contract.prompts import chat
from cl_bench.model.adapters import ALL_LINEAR, Lora, adapter_weights
from cl_bench.model.named import resolve
from cl_bench.model.policy import Policy
from cl_bench.model.samplers.server import server_sampler
from cl_bench.model.samplers.transformers import TransformersSampler
from cl_bench.model.samplers.vllm import vllm_sampler
from cl_bench.model.scoring import next_tokens, own_tokens
from cl_bench.slow.slow_weights import SlowWeights
from cl_bench.store.run_directory import RunDirectory
from tests.slow.scripted import CONFIG, ONE, TWO, by_length

pytestmark = [
    pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed: tox -e vllm"),
    pytest.mark.filterwarnings("ignore"),  # those of vLLM's libraries
]
SMALL: dict[str, Any] = {
    "sampler": "vllm",
    "steps": 2,
    "eval_every": 1,
    "problems_per_step": 2,
    "group_size": 2,
    "items": 2,
    "samples": 2,
    "retention_items": 0,
    "kl_items": 1,
    "max_new_tokens": 8,
    "threads": 1,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Llama with random weights: vLLM's attention wants heads of 32 on a CPU."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from cl_bench.tools.embedded.tokenizer import build_tokenizer

    folder, tokenizer = tmp_path_factory.mktemp("llama") / "model", build_tokenizer()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=0.2,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["made here", "smollm2"])
def policy(request: pytest.FixtureRequest, llama: Path) -> Policy:
    """A policy whose sampler is vLLM."""
    try:
        model = str(llama) if request.param == "made here" else resolve("smollm2")
    except ModelError as error:
        pytest.skip(f"smollm2 cannot be had here: {error}")
    torch.set_num_threads(1)
    policy = Policy.load(model)
    policy.sampler = vllm_sampler(policy, memory=0.3, batch_invariant=False)
    return policy


@torch.no_grad()
def apart(policy: Policy, prompts: list[list[int]], temperature: float) -> float:
    """The greatest difference of a sampled token's log-probability by engine and by trainer."""
    torch.manual_seed(1)
    rows = policy.continue_tokens(prompts, max_new_tokens=12, temperature=temperature)
    found = 0.0
    for prompt, row in zip(prompts, rows, strict=True):
        tokens = list(row.completion_ids)
        read = next_tokens(policy.model, [(prompt, tokens)], policy.pad_id, temperature)
        own, _ = own_tokens(read)
        pairs = zip(own[0].tolist(), row.log_probs, strict=True)
        found = max(found, *(abs(one - other) for one, other in pairs))
    return found


@torch.no_grad()
def change(policy: Policy) -> None:
    torch.manual_seed(2)
    for weight in policy.model.parameters():
        weight.mul_(1 + 0.05 * torch.randn_like(weight))


def prompts_of(policy: Policy) -> list[list[int]]:
    """Unequal ones, each twice."""
    systems, problems = (ONE, TWO), ("math : one f : 4", "math : 1 two g : 7 7")
    mixed = [chat(system, problem) for system in systems for problem in problems]
    return policy.encode([asked for asked in mixed for _ in range(2)])


def test_engine_and_trainer_agree_before_and_after_a_push(policy: Policy) -> None:
    prompts = prompts_of(policy)
    assert apart(policy, prompts, 0.8) < 1e-3
    change(policy)
    assert apart(policy, prompts, 0.8) > 1e-2  # nobody told the sampler
    policy.sampler.weights_changed()
    assert apart(policy, prompts, 0.8) < 1e-3


def test_an_adapter_is_pushed_added_into_its_model(llama: Path) -> None:
    policy = Policy.load(str(llama), lora=Lora(rank=4, alpha=8.0, targets=ALL_LINEAR, seed=0))
    policy.sampler = vllm_sampler(policy, memory=0.3, batch_invariant=False)
    prompts = prompts_of(policy)
    assert apart(policy, prompts, 0.8) < 1e-3
    with torch.no_grad():
        for weight in adapter_weights(policy.model).values():
            weight.add_(0.1 * torch.randn_like(weight))
    assert apart(policy, prompts, 0.8) > 1e-2
    policy.sampler.weights_changed()
    assert apart(policy, prompts, 0.8) < 1e-3


def test_every_row_of_a_mixed_group_is_answered_for_its_own_prompt(policy: Policy) -> None:
    policy.sampler.weights_changed()
    prompts = prompts_of(policy)
    wanted = TransformersSampler(policy).sample(prompts, max_new_tokens=6, temperature=0)
    given = policy.sampler.sample(prompts, max_new_tokens=6, temperature=0)
    assert [row.tokens for row in given] == [row.tokens for row in wanted]
    assert len({tuple(row.tokens) for row in wanted}) > 1


@pytest.mark.parametrize(
    ("precision", "mean", "most"),
    [("float32", 1e-3, 1.01), ("bf16", 0.05, 1.5), ("pure-bf16", 0.05, 1.5)],
)
def test_a_step_has_its_ratio_and_an_entropy(
    precision: str, mean: float, most: float, llama: Path
) -> None:
    policy = Policy.load(str(llama), precision=precision)
    policy.sampler = vllm_sampler(policy, memory=0.3, batch_invariant=False)
    slow = SlowWeights(policy, CONFIG, Ledger())
    for record in slow.steps([[by_length("a"), by_length("b")]] * 3, [ONE, TWO]):
        assert record.sampler_ratio == pytest.approx(1.0, abs=mean)
        assert record.sampler_ratio_max < most
        assert record.sampler_ratio_cut == 0
        assert 0 < record.entropy < math.log(policy.model.config.vocab_size)


def test_a_killed_engine_is_told_and_its_run_goes_on_as_if_nothing_had_been(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vllm import LLM
    from vllm.v1.engine.exceptions import EngineDeadError

    whole = cl_bench.run("math-to-code", "rl", model=str(llama), out=tmp_path / "whole", **SMALL)
    assert str(whole.manifest["engine"]).startswith("vllm ")

    real, calls = LLM.generate, 0

    def dies(self: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 12:
            raise EngineDeadError
        return real(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(LLM, "generate", dies)
        with pytest.raises(SamplerError, match="EngineDeadError"):
            cl_bench.run("math-to-code", "rl", model=str(llama), out=tmp_path / "cut", **SMALL)
    failed = RunDirectory.open(tmp_path / "cut")
    assert failed.manifest["status"] == "failed"
    assert 0 < len(failed.table("steps")) < 4
    resumed = resume(tmp_path / "cut")
    assert resumed.status == "done"
    for name in ("steps", "items", "evaluations"):
        mine, theirs = (
            run.table(name).drop(columns="seconds", errors="ignore") for run in (resumed, whole)
        )
        pd.testing.assert_frame_equal(mine, theirs)


@pytest.fixture
def serving(llama: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address of a vLLM server that has read the model's folder, and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kinds = ["--dtype", "float32", "--logprobs-mode", "processed_logprobs"]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(llama)]
    command += [*kinds, "--generation-config", "vllm", "--enforce-eager", "--port", str(port)]
    cpu = {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_CPU_KVCACHE_SPACE": "1"}
    environment = {**os.environ, **cpu, "VLLM_SERVER_DEV_MODE": "1", "VLLM_NO_USAGE_STATS": "1"}
    environment.pop("VLLM_ENABLE_V1_MULTIPROCESSING", None)
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        for _ in range(240):
            time.sleep(1)
            with contextlib.suppress(httpx.HTTPError):
                httpx.get(f"http://127.0.0.1:{port}/version")
                break
        yield f"http://127.0.0.1:{port}", process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_server_agrees_before_and_after_a_push_and_its_end_is_told(
    llama: Path, serving: tuple[str, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    url, process = serving
    policy = Policy.load(str(llama))
    policy.sampler = server_sampler(policy, url, str(tmp_path))
    prompts = prompts_of(policy)
    assert apart(policy, prompts, 0.8) < 1e-3
    change(policy)
    assert apart(policy, prompts, 0.8) > 1e-2
    policy.sampler.weights_changed()
    assert apart(policy, prompts, 0.8) < 1e-3

    made = {**SMALL, "sampler": f"vllm:{url}"}
    run = cl_bench.run("math", "rl", model=str(llama), out=tmp_path / "run", **made)
    assert run.status == "done"
    assert str(run.manifest["engine"]).endswith(", server")
    os.killpg(process.pid, signal.SIGKILL)
    policy.sampler.weights_changed()
    with pytest.raises(SamplerError, match="failed while taking over the policy's weights"):
        policy.sampler.sample(prompts, max_new_tokens=4, temperature=1.0)
