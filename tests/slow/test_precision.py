"""What responses are sampled and parameters trained in: how far the two are apart, and what is
kept in which type."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import cl_bench
from cl_bench.analysis.comparability import key_of
from cl_bench.api import resume
from cl_bench.contract.errors import UsageError
from cl_bench.contract.learner import Ledger
from cl_bench.execution.progress import Quiet
from cl_bench.execution.settings import RunConfig, configure
from cl_bench.model.adapters import Lora
from cl_bench.model.environment import precision_named
from cl_bench.model.named import EMBEDDED_FOLDER
from cl_bench.model.policy import Policy
from cl_bench.slow.slow_weights import SlowWeights
from tests.model.samplers.doubles import Recorded
from tests.model.test_identity import SHORT, KillAtTheLastStep
from tests.slow.scripted import CONFIG, ONE, TWO, scripted

FAR = {"float32": 1e-4, "bf16": 0.05, "pure-bf16": 0.05}
"""Nats a token by which the sampler's and the trainer's log-probabilities may be apart, on average;
those of the ratios of importance, which a sampler beside the model has."""
PRECISIONS = tuple(FAR)
LORA = Lora(4, 8.0, "all-linear", 0)


@pytest.mark.parametrize("lora", [None, LORA], ids=["full", "lora"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_sampler_and_trainer_are_as_close_as_their_precision(
    precision: str, lora: Lora | None
) -> None:
    policy = Policy.load(str(EMBEDDED_FOLDER), precision=precision, lora=lora)
    policy.sampler = Recorded(policy.sampler, own_model=False)  # else the ratio is 1 by definition
    torch.manual_seed(0)
    batch = [scripted(f"e{place}", [1.0, 0.0, 0.5, 0.0]) for place in range(4)]
    config = replace(CONFIG, max_new_tokens=48, learning_rate=1e-3)
    (record,) = SlowWeights(policy, config, Ledger()).steps([batch], [ONE, TWO])
    assert abs(record.sampler_ratio - 1) < FAR[precision]
    assert 1 <= record.sampler_ratio_max < 1 + 20 * FAR[precision]
    assert not policy.is_base()


@pytest.mark.parametrize("lora", [None, LORA], ids=["full", "lora"])
def test_pure_bf16_keeps_weights_moments_and_base_in_it(
    lora: Lora | None, tiny_model: Path, tmp_path: Path
) -> None:
    policy = Policy.load(str(tiny_model), precision="pure-bf16", lora=lora)
    rollouts = policy.generate([[{"role": "user", "content": "math : one"}]] * 4, max_new_tokens=6)
    assert policy.divergence(rollouts).per_token == 0.0  # the base is as the model is
    slow = SlowWeights(policy, CONFIG, Ledger())
    list(slow.steps([[scripted("e", [1.0, 0.0, 1.0, 0.0])]], [ONE]))
    slow.save(tmp_path)
    for name in ("model", "optimizer"):
        saved = load_file(tmp_path / f"{name}.safetensors")
        kept = {tensor.dtype for key, tensor in saved.items() if not key.endswith("step")}
        assert kept == {torch.bfloat16}, name
    policy.save_model(tmp_path / "model")
    again = Policy.load(str(tmp_path / "model"), precision="pure-bf16")
    assert again.divergence(rollouts).per_token == 0.0
    pairs = zip(policy.plain_model().parameters(), again.model.parameters(), strict=True)
    assert all(torch.equal(mine, other) for mine, other in pairs)


def test_a_run_in_pure_bf16_is_told_of_recorded_resumed_and_apart(
    tiny_model: Path, tmp_path: Path
) -> None:
    told: list[str] = []

    class Killing(KillAtTheLastStep):
        def note(self, line: str) -> None:
            told.append(line)

    options = {**SHORT, "model": str(tiny_model), "precision": "pure-bf16"}
    whole = cl_bench.run(out=tmp_path / "whole", keep_stage_models=True, **options)
    with pytest.raises(KeyboardInterrupt):
        cl_bench.run(out=tmp_path / "run", progress=Killing(), keep_stage_models=True, **options)
    assert any("round to nothing" in line for line in told)
    columns = ["accuracy", "entropy", "kl_policy_base", "kl_base_policy"]
    resumed = resume(tmp_path / "run")
    assert resumed.table("evaluations")[columns].equals(whole.table("evaluations")[columns])
    plain = cl_bench.run(out=tmp_path / "plain", **options | {"precision": "auto"})
    assert plain.manifest["config"]["precision"] == precision_named("auto", "cpu") == "float32"
    assert key_of(plain.manifest).differences(key_of(whole.manifest)) == [
        "precision float32 against pure-bf16"
    ]


def test_the_default_is_float32_on_a_cpu_and_bf16_beside_float32_on_a_gpu() -> None:
    assert RunConfig().precision == "auto"
    assert [precision_named("auto", on) for on in ("cpu", "cuda")] == ["float32", "bf16"]
    assert precision_named("float32", "cuda") == "float32"


@pytest.mark.parametrize("name", ["fp16", "float16", "half"])
def test_fp16_is_refused_with_its_reason(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"precision is '{name}': its range .* Give bf16"):
        configure(precision=name)
    file = tmp_path / "run.toml"
    file.write_text(f"precision = '{name}'\n")
    with pytest.raises(UsageError, match=r"run.toml: precision is .* gradients below 6e-8"):
        cl_bench.run(config=file, progress=Quiet())
