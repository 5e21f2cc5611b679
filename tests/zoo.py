"""Tiny models of the field's architectures, and a run of two steps that each is tried with.

transformers' own classes make them, with random weights: two layers of width 64 with heads of 32
(what vLLM's attention wants on a CPU), a tokenizer of one of two kinds made here, and a chat
template in the family's form. Sliding windows are shorter than any prompt.

The table in docs/models.md is made by

    python -m tests.zoo [PYTHON] > table.md

where PYTHON is the interpreter of an environment with vLLM. Models, adapters and samplers are tried
in processes of their own, so that a crash is a row and not the end.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.torch import load_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

import cl_bench
from cl_bench.analysis.differences import differences
from cl_bench.api import resume
from cl_bench.contract.errors import ClBenchError
from cl_bench.contract.text import one_line
from cl_bench.execution.progress import Quiet
from cl_bench.export.exporting import export
from cl_bench.model.policy import Policy
from tests.options import fitting

TEXTS = ("Say something . ", "the answer is one of many", "Help the user", "wrong right response")
WINDOW = 8
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + "
    "message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TURNS = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else 'user') + '\n' + "
    "message['content'] + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)


def byte_level() -> Any:
    """Byte-level BPE (GPT-2's, Qwen's): bytes, and pairs of letters that occur in `TEXTS`."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = sorted({(a, b) for text in TEXTS for a, b in pairwise(text)})
    merges = [pair for pair in merges if " " not in pair]
    tokens = [*special, *letters, *dict.fromkeys(a + b for a, b in merges)]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return _wrapped(tokenizer, special, CHATML, pad=special[0], end=special[2])


def sentencepiece() -> Any:
    """As sentencepiece has it (Llama's, Gemma's): a unigram model, spaces as `▁`, rare letters as
    bytes, and a token for the beginning."""
    special = ["<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"]
    words = sorted({f"▁{word}" for text in TEXTS for word in text.split()})
    letters = ["▁", "\n", *"abcdefghijklmnopqrstuvwxyz.", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"]
    scored = [(token, 0.0) for token in (*special, "<unk>")]
    scored += [(f"<0x{byte:02X}>", -20.0) for byte in range(256)]
    scored += [(letter, -9.0) for letter in letters] + [(word, -5.0) for word in words]
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=len(special), byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    more = {"bos_token": special[2], "unk_token": "<unk>"}
    return _wrapped(tokenizer, special, TURNS, pad=special[0], end=special[1], **more)


def _wrapped(
    tokenizer: Tokenizer, special: list[str], template: str, *, pad: str, end: str, **more: str
) -> Any:
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    return transformers.PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token=pad,
        eos_token=end,
        chat_template=template,
        clean_up_tokenization_spaces=False,
        **more,
    )


@dataclass(frozen=True)
class Animal:
    """One architecture: its configuration's class, what it is given, and its tokenizer."""

    config: str
    options: Mapping[str, Any] = field(default_factory=dict)
    tokenizer: Callable[[], Any] = byte_level
    tied: bool = False
    spare: int = 0
    """Tokens that the model knows and the tokenizer does not."""

    def make(self, folder: Path) -> Path:
        """Write the model into `folder`; the same on every call."""
        tokenizer = self.tokenizer()
        config = getattr(transformers, self.config)(
            **_SIZES
            | dict(self.options)
            | {
                "vocab_size": len(tokenizer) + self.spare,
                "tie_word_embeddings": self.tied,
                "pad_token_id": tokenizer.pad_token_id,
                "bos_token_id": tokenizer.bos_token_id,
                "eos_token_id": tokenizer.eos_token_id,
            }
        )
        torch.manual_seed(0)
        model = transformers.AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder


_SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "max_position_embeddings": 1024,
    "initializer_range": 0.1,
}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
_SSM = {
    "mamba_d_ssm": 64,
    "mamba_n_heads": 2,
    "mamba_d_head": 32,
    "mamba_d_state": 16,
    "mamba_n_groups": 1,
    "mamba_chunk_size": 16,
}
ZOO: dict[str, Animal] = {
    "Llama": Animal("LlamaConfig", tokenizer=sentencepiece),
    "Qwen3": Animal("Qwen3Config", tied=True, spare=29),
    "Gemma 3": Animal(
        "Gemma3TextConfig",
        {"sliding_window": WINDOW, "layer_types": ["sliding_attention", "full_attention"]},
        sentencepiece,
        tied=True,
        spare=7,
    ),
    "GPT-2": Animal("GPT2Config", tied=True),
    "Mistral": Animal("MistralConfig", {"sliding_window": WINDOW}, sentencepiece),
    "Mixtral": Animal("MixtralConfig", {"num_local_experts": 4}, sentencepiece),
    "Qwen3-MoE": Animal("Qwen3MoeConfig", _EXPERTS, tied=True),
    "LFM2": Animal(
        "Lfm2Config",
        {
            "layer_types": ["conv", "full_attention"],
            "block_auto_adjust_ff_dim": False,
            "conv_dim": 64,
        },
        tied=True,
    ),
    "Falcon-H1": Animal("FalconH1Config", _SSM),
    "GraniteMoeHybrid": Animal(
        "GraniteMoeHybridConfig",
        {
            "layer_types": ["mamba", "attention"],
            "mamba_n_heads": 4,
            "mamba_d_head": 32,
            "mamba_d_state": 16,
            "mamba_chunk_size": 16,
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "shared_intermediate_size": 64,
        },
    ),
    "Jamba": Animal(
        "JambaConfig",
        {
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "expert_layer_period": 2,
            "expert_layer_offset": 1,
            "num_experts": 4,
            "mamba_d_state": 8,
        },
    ),
    "Zamba2": Animal(
        "Zamba2Config",
        {
            "layers_block_type": ["mamba", "hybrid"],
            "mamba_d_state": 16,
            "mamba_headdim": 32,
            "n_mamba_heads": 4,
            "mamba_ngroups": 1,
            "head_dim": 64,
            "chunk_size": 16,
            "num_mem_blocks": 1,
        },
    ),
    "Qwen3-Next": Animal(
        "Qwen3NextConfig",
        {
            "layer_types": ["linear_attention", "full_attention"],
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 2,
            "linear_key_head_dim": 32,
            "linear_value_head_dim": 32,
            "shared_expert_intermediate_size": 32,
            **_EXPERTS,
        },
    ),
    "Mamba": Animal("MambaConfig", {"state_size": 4}),
    "RWKV": Animal("RwkvConfig", {"attention_hidden_size": 64}),
}

REFUSED = ("Mamba", "RWKV")
"""Those that cannot be used: see tests/model/test_trial.py."""
LEARNERS = ("rl", "prompt", "fst")
SMALL: dict[str, Any] = {
    "setting": "default",
    "steps": 2,
    "eval_every": 1,
    "problems_per_step": 2,
    "group_size": 4,
    "round_every": 1,
    "round_exercises": 2,
    "population": 2,
    "proposals": 1,
    "reflection_batch": 2,
    "items": 2,
    "samples": 1,
    "retention_items": 0,
    "kl_items": 0,
    "max_new_tokens": 10,
    "learning_rate": 1e-2,
    "seed_prompt": "Help the user .",
    "probes": False,
    "keep_stage_models": True,
    "threads": 1,
    "device": "cpu",
}


class StopAt(Quiet):
    """Interrupts a run at a step, as Ctrl-C would."""

    def __init__(self, step: int) -> None:
        self._step = step

    def step(self, step: int, stage: int, record: object) -> None:
        if step == self._step:
            raise KeyboardInterrupt


def judge(prompt: str, answer: str, response: str) -> float:  # noqa: ARG001 - of the contract
    """The share of the answer's letters that a response has."""
    return sum(letter in response for letter in answer) / len(answer)


def data(folder: Path) -> str:
    """A stream of problems that random responses solve in part, and hardly any two as well."""
    rows = [{"prompt": f"Say something . {n}", "answer": "abcdefghijklmnopqrst"} for n in range(30)]
    (folder / "zoo.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return f"{folder / 'zoo.jsonl'}?verifier=python:tests.zoo.judge"


def tried(folder: Path, name: str, *, learner: str, peft: str, sampler: str) -> None:
    """Raise unless a run with that model works, is resumed as if nothing had been, and leaves a
    model that is read again."""
    options = fitting(learner, SMALL | {"peft": peft, "sampler": sampler})
    options |= {"model": str(ZOO[name].make(folder / "model")), "stream": data(folder)}
    whole = cl_bench.run(**options | {"out": folder / "whole"})
    require_sound(whole, learner, sampler)
    try:
        cl_bench.run(**options | {"out": folder / "cut", "progress": StopAt(2)})
    except KeyboardInterrupt:
        resumed = resume(folder / "cut")
    assert differences(resumed, whole) == [], "a resumed run differs"
    require_kept(whole, resumed, trained=learner != "prompt")


def require_sound(run: cl_bench.Run, learner: str, sampler: str) -> None:
    evaluations = run.table("evaluations")
    kl = evaluations["kl_policy_base"]
    assert (kl[evaluations["step"] == 0] == 0).all(), "KL is not 0 at the start"
    later = kl[evaluations["step"] > 0]
    assert np.isfinite(later).all(), "KL is not finite"
    assert np.isfinite(evaluations["accuracy"]).all()
    if learner == "prompt":
        assert (later == 0).all()
        return
    steps = run.table("steps")
    assert (later > 0).all(), f"KL is 0 after a step: rewards {steps['reward'].tolist()}"
    for column in ("reward", "loss", "grad_norm", *(["entropy"] if sampler != "vllm" else [])):
        assert np.isfinite(steps[column]).all(), f"{column} is not finite"


def require_kept(run: cl_bench.Run, other: cl_bench.Run, *, trained: bool) -> None:
    """The models of both runs' ends are the same, not the start, and read again as they were."""
    folders = [one.path / "models" / "stage-1" for one in (run, other)]
    mine, theirs = (load_file(folder / "model.safetensors") for folder in folders)
    start = load_file(Path(run.manifest["config"]["model"]) / "model.safetensors")
    assert mine.keys() == theirs.keys() == start.keys()
    assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    assert any(not torch.equal(mine[key], start[key]) for key in mine) == trained
    again = Policy.load(str(folders[0]), frozen=True)
    export(run.path, run.path / "exported")
    exported = Policy.load(str(run.path / "exported"), frozen=True)
    require_close(again, exported, 0.0)
    if trained and run.manifest["config"]["peft"] == "lora":
        export(run.path, run.path / "adapter", adapter=True)
        require_close(again, Policy.load(str(run.path / "adapter"), frozen=True), 1e-6)


def require_close(one: Policy, other: Policy, most: float) -> None:
    for mine, theirs in zip(one.model.parameters(), other.model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=most)


def try_learners(name: str, peft: str, sampler: str) -> None:
    """Print, for each learner as a line of JSON, its name, and what went wrong if anything did.

    What is refused before a run begins is not tried again with another learner.
    """
    warnings.simplefilter("ignore")
    refused = ""
    for learner in LEARNERS:
        with tempfile.TemporaryDirectory() as folder:
            said = refused
            try:
                if not refused:
                    tried(Path(folder), name, learner=learner, peft=peft, sampler=sampler)
            except Exception as error:  # noqa: BLE001 - a row of the table
                said = str(error) if isinstance(error, ClBenchError) else repr(error)
                refused = "" if (Path(folder) / "whole").exists() else said
            print(json.dumps([learner, one_line(said, 220)]), flush=True)


def cell(python: str, name: str, peft: str, sampler: str) -> str:
    """Try that combination in a process of its own; return what the table says of it."""
    command = [python, "-m", "tests.zoo", name, peft, sampler]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stderr[-2000:], file=sys.stderr)
    lines = [line for line in done.stdout.splitlines() if line.startswith('["')]
    found = dict(json.loads(line) for line in lines)
    found |= {one: f"the process ended ({done.returncode})" for one in LEARNERS if one not in found}
    said = {reason or "passes" for reason in found.values()}
    if len(said) == 1:
        return said.pop()
    return "; ".join(f"`{one}`: {found[one] or 'passes'}" for one in LEARNERS)


def print_table(with_vllm: str | None) -> None:
    """Print the table as Markdown, the column `vllm` where there is an interpreter that has it."""
    pythons = {"transformers": sys.executable} | ({"vllm": with_vllm} if with_vllm else {})
    print(f"| model | trained | {' | '.join(pythons)} |")
    print("|---" * (len(pythons) + 2) + "|")
    for name in ZOO:
        for peft, shown in (("none", "full"), ("lora", "LoRA")):
            cells = [cell(python, name, peft, sampler) for sampler, python in pythons.items()]
            print(f"| {name} | {shown} | {' | '.join(cells)} |", flush=True)
    print(
        "\nTried with "
        + ", ".join(f"{p} {version(p)}" for p in ("torch", "transformers", "trl", "peft"))
    )


if __name__ == "__main__":
    if len(sys.argv) == 4:
        try_learners(*sys.argv[1:])
    else:
        print_table(sys.argv[1] if len(sys.argv) > 1 else None)
