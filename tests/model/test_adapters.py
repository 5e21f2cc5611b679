"""Adapters: an exact start, no second copy of the base, and folders that are read again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from transformers import AutoModelForCausalLM

import cl_bench
from cl_bench.analysis.differences import differences
from cl_bench.api import resume
from cl_bench.contract.errors import ModelError, UsageError
from cl_bench.contract.prompts import chat
from cl_bench.export.exporting import export
from cl_bench.model.adapters import Lora, adapter_weights, save_adapter
from cl_bench.model.named import resolve
from cl_bench.model.policy import Policy
from cl_bench.model.scoring import next_tokens, own_tokens
from cl_bench.plasticity.origins import origins
from cl_bench.plasticity.probe import options_of
from cl_bench.store.run_directory import RunDirectory
from tests.options import fitting
from tests.zoo import ZOO

LORA = Lora(rank=4, alpha=8.0, targets="all-linear", seed=0)
CHATS = [chat("", "2 + 2"), chat("Answer.", "5 + 6 + 3")]
SMALL: dict[str, Any] = {
    "stream": "math",
    "setting": "easy",
    "steps": 2,
    "eval_every": 1,
    "problems_per_step": 2,
    "group_size": 8,
    "round_exercises": 2,
    "items": 2,
    "samples": 1,
    "retention_items": 0,
    "max_new_tokens": 30,
    "probes": False,
    "learning_rate": 1e-2,
    "peft": "lora",
    "lora_rank": 4,
}


@pytest.fixture
def policy(tiny_model: Path) -> Policy:
    """A policy with a fresh adapter."""
    torch.manual_seed(0)
    return Policy.load(str(tiny_model), lora=LORA)


def move(policy: Policy) -> None:
    with torch.no_grad():
        for weight in adapter_weights(policy.model).values():
            weight.add_(torch.randn_like(weight) * 0.1)


def log_probs(policy: Policy, like: Policy) -> torch.Tensor:
    torch.manual_seed(1)
    rollouts = like.generate(CHATS, max_new_tokens=6)
    rows = [(rollout.prompt_ids, rollout.completion_ids) for rollout in rollouts]
    return own_tokens(next_tokens(policy.model, rows, policy.pad_id, 1.0))[0]


def test_a_fresh_adapter_is_the_base_exactly_and_a_moved_one_is_not(policy: Policy) -> None:
    rollouts = policy.generate(CHATS, max_new_tokens=6)
    assert policy.is_base()
    assert policy.divergence(rollouts).kl_N.tolist() == [0.0, 0.0]
    move(policy)
    assert not policy.is_base()
    assert (policy.divergence(rollouts).kl_N > 0).all()


def test_the_base_is_no_second_copy_and_stays_as_it_was(policy: Policy, tiny_model: Path) -> None:
    plain = Policy.load(str(tiny_model), frozen=True)
    rollouts = policy.generate(CHATS, max_new_tokens=6)
    rows = [(rollout.prompt_ids, rollout.completion_ids) for rollout in rollouts]
    move(policy)
    with policy.base() as base:
        weights = [*policy.model.parameters(), *base.parameters()]
    count = sum({w.data_ptr(): w.numel() for w in weights}.values())
    adapter = sum(weight.numel() for weight in adapter_weights(policy.model).values())
    assert count == sum(weight.numel() for weight in plain.model.parameters()) + adapter
    with policy.base() as base:
        mine, theirs = (next_tokens(it, rows, policy.pad_id, 1.0) for it in (base, plain.model))
    assert isinstance(mine.read, torch.Tensor)
    assert isinstance(theirs.read, torch.Tensor)
    assert torch.equal(mine.read, theirs.read)


def test_a_saved_model_has_the_adapter_added_in(policy: Policy, tmp_path: Path) -> None:
    move(policy)
    policy.save_model(tmp_path / "merged")
    again = Policy.load(str(tmp_path / "merged"), frozen=True)
    assert not again.has_adapter
    torch.testing.assert_close(
        log_probs(again, policy), log_probs(policy, policy), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("learner", ["rl", "fst", "fst-distill", "prompt"])
def test_learners_train_the_adapter_alone(tmp_path: Path, learner: str) -> None:
    options = fitting(learner, SMALL)
    run = cl_bench.run(out=tmp_path / "run", **options)
    assert run.status == "done"
    kl = run.table("evaluations")
    assert (kl[kl["step"] == 0]["kl_policy_base"] == 0).all()
    kept = [*(tmp_path / "run" / "checkpoint").glob("*/model.safetensors")]
    assert all(file.stat().st_size < 1_000_000 for file in kept)
    if learner == "rl":
        assert (kl[kl["step"] == 2]["kl_policy_base"] > 0).all()


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_exports_merged_and_as_an_adapter_are_the_same_model(tmp_path: Path) -> None:
    options = fitting("rl", SMALL)
    run = cl_bench.run(out=tmp_path / "run", keep_stage_models=True, **options)
    for name, alone in (("merged", False), ("adapter", True)):
        export(run.path, tmp_path / name, adapter=alone)
    assert not (tmp_path / "adapter" / "model.safetensors").exists()
    folders = (run.path / "models" / "stage-1", tmp_path / "merged", tmp_path / "adapter")
    kept, merged, alone_ = (Policy.load(str(f)).model.state_dict() for f in folders)
    base = Policy.load(resolve("embedded")).model.state_dict()
    assert any(not torch.equal(base[name], kept[name]) for name in kept)
    for name, weight in kept.items():
        assert torch.equal(merged[name], weight)
        torch.testing.assert_close(alone_[name], weight, rtol=0, atol=1e-6)
    (found,) = origins([run.path], tmp_path / "models")
    assert options_of(found.config)["peft"] == "lora"
    with pytest.raises(UsageError, match="Leave out --adapter"):
        export(other_run(tmp_path), tmp_path / "no", adapter=True)


def other_run(tmp_path: Path) -> Path:
    """A run without an adapter."""
    options = {name: of for name, of in SMALL.items() if name not in ("peft", "lora_rank")}
    return cl_bench.run(out=tmp_path / "full", **fitting("rl", options)).path


def test_a_resumed_run_is_the_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = fitting("rl-kl", SMALL) | {"keep_stage_models": True, "kl_beta": 0.01}
    whole = cl_bench.run(out=tmp_path / "whole", **options)
    commit = RunDirectory.commit

    def killed(directory: RunDirectory, number: int, rows: Any) -> None:
        if number == 2:
            raise KeyboardInterrupt
        commit(directory, number, rows)

    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "commit", killed)
        with pytest.raises(KeyboardInterrupt):
            cl_bench.run(out=tmp_path / "run", **options)
    resumed = resume(tmp_path / "run")
    assert differences(resumed, whole) == []
    one, other = (
        (run.path / "models" / "stage-1" / "model.safetensors").read_bytes()
        for run in (whole, resumed)
    )
    assert one == other


# PEFT 0.21 asks transformers 5.24 by an old name.
old_name = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


@pytest.fixture
def adapter(tiny_model: Path, tmp_path: Path) -> Path:
    """An adapter's folder, as PEFT writes it."""
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(tiny_model)
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    model = peft.get_peft_model(base, config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight))
    model.save_pretrained(str(tmp_path / "adapter"))
    return tmp_path / "adapter"


@old_name
@pytest.mark.parametrize("how", ["none", "lora"])
def test_a_run_goes_on_from_a_users_adapter(
    adapter: Path, tiny_model: Path, tmp_path: Path, how: str
) -> None:
    start = Policy.load(str(adapter), frozen=True)
    reference: Any = peft.AutoPeftModelForCausalLM.from_pretrained(adapter).merge_and_unload()
    for name, weight in reference.state_dict().items():
        assert torch.equal(start.model.state_dict()[name], weight)
    assert start.files is not None
    files, base = start.files.hashes(), Policy.load(str(tiny_model)).files
    assert base is not None
    assert files.keys() - base.hashes().keys() == {
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
    }
    options = {name: of for name, of in SMALL.items() if name not in ("peft", "lora_rank")}
    options = fitting("rl", options) | {"peft": how}
    run = cl_bench.run(model=str(adapter), out=tmp_path / "run", **options)
    assert run.status == "done"
    assert run.manifest["model_files"] == files


@old_name
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"base_model_name_or_path": "./nowhere"}, "The base model of the adapter in .*nowhere"),
        ({"base_model_name_or_path": None}, "does not name the adapter's base model"),
        ({"peft_type": "IA3"}, "of the kind IA3, not LORA"),
        ({"r": 3}, "does not fit its base model"),
    ],
)
def test_what_is_wrong_with_an_adapters_folder_is_said(
    adapter: Path, fault: dict[str, Any], said: str
) -> None:
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fault))
    with pytest.raises(ModelError, match=said):
        Policy.load(str(adapter))


@old_name
def test_an_adapter_without_weights_or_in_a_circle_is_refused(adapter: Path) -> None:
    file = adapter / "adapter_config.json"
    whole = json.loads(file.read_text())
    file.write_text(json.dumps(whole | {"base_model_name_or_path": str(adapter)}))
    with pytest.raises(ModelError, match="leads back to itself"):
        Policy.load(str(adapter))
    file.write_text(json.dumps(whole))
    (adapter / "adapter_model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"holds no adapter_model\.safetensors"):
        Policy.load(str(adapter))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"peft": "lora", "lora_targets": "q_proj,v_porj"}, "v_porj"),
        ({"peft": "lora", "lora_targets": "lm_head"}, "lm_head"),
        ({"peft": "lora", "lora_rank": 0}, "lora_rank"),
        ({"peft": "lorra"}, "lorra"),
        ({"lora_rank": 8}, "give peft lora"),
    ],
)
def test_bad_settings_are_said_before_anything_is_written(
    tiny_model: Path, tmp_path: Path, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        cl_bench.run("math", model=str(tiny_model), out=tmp_path / "run", **given)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["Mixtral", "Qwen3-MoE"])
def test_an_adapter_on_experts_is_merged_and_read_again(tmp_path: Path, name: str) -> None:
    base = ZOO[name].make(tmp_path / "base")
    policy = Policy.load(str(base), lora=LORA)
    assert any("experts" in weight for weight in adapter_weights(policy.model))
    move(policy)
    policy.save_model(tmp_path / "merged")
    (tmp_path / "adapter").mkdir()
    save_adapter(policy.model, tmp_path / "adapter", str(base))
    for folder in ("merged", "adapter"):
        again = Policy.load(str(tmp_path / folder), frozen=True)
        torch.testing.assert_close(
            log_probs(again, policy), log_probs(policy, policy), rtol=0, atol=1e-4
        )


def test_mamba_s_output_layer_has_no_update_and_is_no_target(tmp_path: Path) -> None:
    model = str(ZOO["Falcon-H1"].make(tmp_path))
    updated = adapter_weights(Policy.load(model, lora=LORA).model)
    assert any(".mamba.in_proj." in name for name in updated)
    assert not any(".out_proj." in name for name in updated)
    chosen = replace(LORA, targets="in_proj,q_proj")
    layers = {
        name.split(".lora_")[0].rpartition(".")[2]
        for name in adapter_weights(Policy.load(model, lora=chosen).model)
    }
    assert layers == {"in_proj", "q_proj"}
    with pytest.raises(UsageError, match="out_proj"):
        Policy.load(model, lora=replace(LORA, targets="out_proj"))
