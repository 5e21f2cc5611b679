"""What a model cannot do is told before a run, and what only looks unusual works."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoTokenizer,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3TextConfig,
    MambaConfig,
    MambaForCausalLM,
    RwkvConfig,
    RwkvForCausalLM,
    SiglipVisionConfig,
)

import cl_bench
from cl_bench.contract.errors import ModelError, UsageError
from cl_bench.contract.prompts import chat
from cl_bench.execution.progress import Quiet
from cl_bench.model.generation import ignored_sampling
from cl_bench.model.loading import load
from cl_bench.model.policy import Policy
from cl_bench.store.files import read_json, write_json_atomically
from tests.model.test_identity import SHORT

ASKED = [chat("count .", "one two"), chat("", "a longer message than the other one")]


@pytest.fixture
def copy(tiny_model: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_model, tmp_path / "model")


def configure(file: Path, **changes: object) -> None:
    write_json_atomically(file, (read_json(file) if file.exists() else {}) | changes)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_folders_are_trained_in_float32(copy: Path, dtype: torch.dtype) -> None:
    model, _, _ = load(str(copy))
    model.to(dtype).save_pretrained(copy)  # type: ignore[arg-type]
    policy = Policy.load(str(copy))
    assert {weight.dtype for weight in policy.model.parameters()} == {torch.float32}
    for mine, stored in zip(policy.model.parameters(), model.parameters(), strict=True):
        assert torch.equal(mine, stored.float())


def test_weights_that_are_not_finite_are_no_divergence_of_a_learner(copy: Path) -> None:
    model, _, _ = load(str(copy))
    with torch.no_grad():
        next(model.parameters())[:] = math.inf
    model.save_pretrained(copy)
    with pytest.raises(ModelError, match="no finite distribution before anything was trained"):
        Policy.load(str(copy))


def test_models_whose_rows_depend_on_each_other_are_refused(copy: Path) -> None:
    tokens = len(AutoTokenizer.from_pretrained(copy))
    common: dict[str, Any] = {
        "vocab_size": tokens,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "eos_token_id": 2,
    }
    mamba = MambaForCausalLM(MambaConfig(state_size=4, **common))
    rwkv = RwkvForCausalLM(RwkvConfig(attention_hidden_size=32, **common))
    for model in (mamba, rwkv):
        model.save_pretrained(copy)
        with pytest.raises(ModelError, match=f"{type(model).__name__}.*Use another architecture"):
            Policy.load(str(copy))


def test_the_trial_leaves_the_random_state_as_it_was(tiny_model: Path) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    Policy.load(str(tiny_model))
    assert torch.equal(before, torch.get_rng_state())


def test_padding_beyond_the_embedding_is_replaced(copy: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(copy)
    whole = Policy.load(str(copy))
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(copy)
    policy = Policy.load(str(copy))
    assert policy.pad_id == policy.tokenizer.eos_token_id
    assert policy.encode(ASKED) == whole.encode(ASKED)
    torch.manual_seed(0)
    mine = policy.generate(ASKED, max_new_tokens=5)
    torch.manual_seed(0)
    assert mine == whole.generate(ASKED, max_new_tokens=5)
    run = cl_bench.run(model=str(copy), out=copy.parent / "run", **SHORT)
    assert run.status == "done"
    with pytest.raises(UsageError, match=r"holds the token '\[PAD\]'"):
        policy.generate([chat("", "a [PAD] b")], max_new_tokens=5)


def test_a_tokenizer_without_end_token_takes_the_one_of_the_generation_config(copy: Path) -> None:
    end = Policy.load(str(copy)).tokenizer.eos_token_id
    configure(copy / "tokenizer_config.json", eos_token=None, pad_token=None)
    configure(copy / "generation_config.json", eos_token_id=end)
    policy = Policy.load(str(copy))
    assert (policy.tokenizer.eos_token_id, policy.pad_id) == (end, end)
    run = cl_bench.run(model=str(copy), out=copy.parent / "run", **SHORT)
    assert run.status == "done"


def test_without_a_declared_end_the_templates_end_of_a_turn_serves(copy: Path) -> None:
    end = Policy.load(str(copy)).tokenizer.eos_token_id
    configure(copy / "tokenizer_config.json", eos_token=None, pad_token=None)
    configure(copy / "config.json", eos_token_id=None)
    configure(copy / "generation_config.json", eos_token_id=None)
    policy = Policy.load(str(copy))
    assert (policy.tokenizer.eos_token_id, policy.end_ids) == (end, {end})


def test_no_end_token_anywhere_is_refused(copy: Path) -> None:
    configure(copy / "tokenizer_config.json", eos_token=None, pad_token=None)
    configure(copy / "config.json", eos_token_id=None)
    configure(copy / "generation_config.json", eos_token_id=None)
    template = copy / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|end|>", " . "))
    with pytest.raises(ModelError, match="no end token, nor have its generation_config"):
        Policy.load(str(copy))


def test_an_adapter_beside_weights_is_refused(copy: Path) -> None:
    (copy / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    with pytest.raises(ModelError, match=r"holds a LoRA adapter and a model beside it"):
        Policy.load(str(copy))


def test_a_multimodal_model_is_trained_and_measured_as_a_model_of_text(copy: Path) -> None:
    tokens = len(AutoTokenizer.from_pretrained(copy))
    ends: dict[str, Any] = {"eos_token_id": 2, "pad_token_id": 0, "bos_token_id": 1}
    text = Gemma3TextConfig(
        vocab_size=tokens,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        sliding_window=16,
        max_position_embeddings=512,
        layer_types=["sliding_attention", "full_attention"],
        **ends,
    )
    vision = SiglipVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=16,
        patch_size=8,
    )
    config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4, **ends)
    torch.manual_seed(0)
    Gemma3ForConditionalGeneration(config).save_pretrained(copy)
    policy = Policy.load(str(copy))
    with torch.no_grad():
        policy.model.lm_head.weight[3] += 1.0
    rollouts = policy.generate(ASKED, max_new_tokens=5)
    divergence = policy.divergence(rollouts)
    assert (divergence.kl_N > 0).all()
    run = cl_bench.run(
        model=str(copy), out=copy.parent / "run", keep_stage_models=True, learner="rl-kl", **SHORT
    )
    assert run.status == "done"
    assert Policy.load(str(run.path / "models" / "stage-1")).encode(ASKED) == policy.encode(ASKED)


class Notes(Quiet):
    """The lines that a run tells."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


def test_what_a_generation_config_asks_of_sampling_is_told(copy: Path) -> None:
    assert ignored_sampling(Policy.load(str(copy)).model) == {}
    asked = {"do_sample": True, "temperature": 0.6, "top_k": 20, "top_p": 0.95}
    configure(copy / "generation_config.json", **asked, repetition_penalty=1.1, min_p=0.0)
    assert ignored_sampling(Policy.load(str(copy)).model) == {
        "temperature": 0.6,
        "top_k": 20,
        "top_p": 0.95,
        "repetition_penalty": 1.1,
    }
    configure(copy / "generation_config.json", temperature=1.0, top_k=0, top_p=1.0)
    assert ignored_sampling(Policy.load(str(copy)).model) == {"repetition_penalty": 1.1}


def test_sampling_flags_that_contradict_each_other_do_not_keep_a_model_from_being_saved(
    copy: Path,
) -> None:
    configure(copy / "generation_config.json", temperature=0.9, top_p=0.6, do_sample=False)
    ends = Policy.load(str(copy)).end_ids
    told = Notes()
    run = cl_bench.run(
        model=str(copy), out=copy.parent / "run", keep_stage_models=True, progress=told, **SHORT
    )
    (line,) = (line for line in told.lines if "generation_config" in line)
    assert "asks for temperature 0.9, top_p 0.6, which runs ignore" in line
    assert Policy.load(str(run.path / "models" / "stage-1")).end_ids == ends


@pytest.mark.parametrize("fault", ["refuses", "loses"])
def test_a_model_that_cannot_be_kept_is_told_before_the_run(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    whole = Policy.save_model

    def saved(policy: Policy, folder: Path) -> None:
        if fault == "refuses":
            raise ValueError("not serializable")
        with torch.no_grad():
            next(policy.model.parameters()).add_(1.0)
        whole(policy, folder)
        with torch.no_grad():
            next(policy.model.parameters()).sub_(2.0)

    monkeypatch.setattr(Policy, "save_model", saved)
    out = tmp_path / "run"
    with pytest.raises(ModelError, match=r"could not be kept: .*--keep-stage-models"):
        cl_bench.run(model=str(tiny_model), out=out, keep_stage_models=True, **SHORT)
    assert list(tmp_path.iterdir()) == []
