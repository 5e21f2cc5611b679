"""What a GPU has to show: learners, precision, adapters, vLLM, memory, speed, determinism.

A model of the field's shape with random weights is made here, and a data file whose verifier is
right about half of the time, so that every step has a gradient. Each run is a process of its own;
one that fails is a row, not the end. `sh tests/gpu/check.sh` calls this.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

import pandas as pd
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from cl_bench import Run

LIMIT, MOST = 150, 570
"""Seconds that one run may take, and all of them."""
NO_VLLM = "vllm is not installed"
SIZES = {
    # 0.6 billion parameters, as of Qwen3-0.6B; and one to rehearse with on a CPU.
    "full": {"hidden_size": 1024, "layers": 28, "heads": 16, "vocabulary": 151_936},
    "small": {"hidden_size": 64, "layers": 2, "heads": 2, "vocabulary": 2_000},
}
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
VERIFIER = "def judge(prompt, answer, response):\n    return float(len(response) % 2)\n"
COMMON = {
    "steps": 3,
    "eval_every": 3,
    "items": 8,
    "samples": 1,
    "retention_items": 0,
    "kl_items": 4,
}
RATE = {"learning_rate": 1e-4}
"""Of learners that train parameters."""
LARGE = {"problems_per_step": 8, "group_size": 8, "max_new_tokens": 512}
SMALL = {"problems_per_step": 2, "group_size": 4, "max_new_tokens": 16}


@dataclass(frozen=True)
class Case:
    """A run: its name, and what it has beside the settings of all."""

    name: str
    learner: str
    options: dict[str, object]


CASES = (
    Case("rl, float32", "rl", {"precision": "float32"}),
    Case("rl, bf16", "rl", {"precision": "bf16"}),
    Case("rl, bf16, again", "rl", {"precision": "bf16"}),
    Case("rl, bf16, LoRA", "rl", {"precision": "bf16", "peft": "lora", "learning_rate": 1e-3}),
    Case("rl, bf16, checkpointing", "rl", {"precision": "bf16", "gradient_checkpointing": True}),
    Case("rl, pure-bf16", "rl", {"precision": "pure-bf16"}),
    Case("sft, bf16", "sft", {"precision": "bf16"}),
    Case("prompt, bf16", "prompt", {"precision": "bf16", "reflection_lm": "digest"}),
    Case("fst, bf16", "fst", {"precision": "bf16", "reflection_lm": "digest"}),
    Case("rl, bf16, vllm", "rl", {"precision": "bf16", "sampler": "vllm"}),
    Case("rl, bf16, LoRA, vllm", "rl", {"precision": "bf16", "sampler": "vllm", "peft": "lora"}),
    Case(
        "rl, bf16, vllm, batch-invariant",
        "rl",
        {"precision": "bf16", "sampler": "vllm", "batch_invariant": True},
    ),
)


def make_model(folder: Path, size: str) -> None:
    """Write a Qwen3 with random weights, and a byte-level tokenizer with as large a vocabulary."""
    shape = SIZES[size]
    vocabulary = int(shape["vocabulary"])
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [f"w{number}" for number in range(vocabulary - len(letters) - 2)]
    raw = Tokenizer(models.BPE({text: i for i, text in enumerate([*letters, *words])}, []))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens([AddedToken("<|im_start|>"), AddedToken("<|im_end|>")])
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|im_end|>"
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    config = Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=shape["hidden_size"],
        intermediate_size=3 * shape["hidden_size"],
        num_hidden_layers=shape["layers"],
        num_attention_heads=shape["heads"],
        num_key_value_heads=max(1, shape["heads"] // 2),
        head_dim=128 if size == "full" else 32,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        initializer_range=0.05,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)


def make_data(folder: Path) -> str:
    """Write 64 problems and the verifier beside them; return the stream's name."""
    rows = [{"prompt": f"Say {n}.", "answer": str(n), "solution": "one"} for n in range(64)]
    (folder / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "odd_length.py").write_text(VERIFIER)
    return "data.jsonl?verifier=python:odd_length.judge"


def run(case: Case, work: Path, stream: str, options: dict[str, object]) -> dict[str, object]:
    """Run one case; return its row of the table."""
    out = work / case.name.replace(", ", "-").replace(" ", "-")
    command = [sys.executable, "-m", "cl_bench", "run", "--stream", stream, "--quiet"]
    command += ["--model", str(work / "model"), "--learner", case.learner, "--out", str(out)]
    rate = {} if case.learner == "prompt" else RATE
    for name, value in {**COMMON, **rate, **options, **case.options}.items():
        text = [] if value is True else [str(value)]
        command += [f"--{name.replace('_', '-')}", *text]
    started = time.perf_counter()
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, cwd=work, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        return {"run": case.name, "said": f"not done in {LIMIT} s"}
    row: dict[str, object] = {"run": case.name, "s in all": round(time.perf_counter() - started)}
    if done.returncode:
        return row | {"said": done.stderr.strip().splitlines()[-1] if done.stderr else "nothing"}
    return row | seen(Run(out))


def seen(found: Run) -> dict[str, object]:
    """Return what a finished run shows."""
    steps, ledger = found.table("steps"), found.table("ledger").groupby("channel").last()
    end = found.table("evaluations").query("weights == 'trained' and prompt == 'learner'").iloc[-1]
    seconds = ledger["seconds"].sum()
    peak = found.manifest["peak_memory"]
    row = {
        "peak GB": (peak["gpu"] or peak["machine"]) / 1e9,
        "learning s": seconds,
        "tokens/s": ledger[["generated_tokens", "prompt_tokens"]].sum().sum() / seconds,
        "KL at the end": end["kl_policy_base"],
        "loss": steps["loss"].iloc[-1] if len(steps) else float("nan"),
        "ratio": steps["sampler_ratio"].iloc[-1] if len(steps) else float("nan"),
    }
    return {name: float(f"{value:.3g}") for name, value in row.items()} | {"said": "passed"}


def same(work: Path, one: str, other: str) -> str:
    """Tell whether two runs of the same settings have the same numbers."""
    found = [work / name for name in (one, other)]
    if not all((folder / "manifest.json").is_file() for folder in found):
        return "not known: one of the two did not run"
    steps = [Run(folder).table("steps").drop(columns="seconds") for folder in found]
    items = [Run(folder).table("items") for folder in found]
    return "equal" if steps[0].equals(steps[1]) and items[0].equals(items[1]) else "different"


def main() -> None:
    """Make the model, run the cases, print the table and keep it in the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=None, help="a folder; by default a fresh one")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", choices=SIZES, default="full")
    given = parser.parse_args()
    # Whole, because runs are made in it.
    work = (given.out or Path(mkdtemp(prefix="cl-bench-gpu-"))).resolve()
    work.mkdir(parents=True, exist_ok=True)
    make_model(work / "model", given.size)
    stream = make_data(work)
    options = {"device": given.device, "seed": 0, **(SMALL if given.size == "small" else LARGE)}
    rows: list[dict[str, object]] = []
    started = time.perf_counter()
    for case in CASES:
        if "vllm" in case.name and find_spec("vllm") is None:
            rows.append({"run": case.name, "said": NO_VLLM})
        elif time.perf_counter() - started > MOST - LIMIT:
            rows.append({"run": case.name, "said": "not tried: the time is over"})
        else:
            rows.append(run(case, work, stream, options))
        print(json.dumps(rows[-1]), flush=True)
    table = pd.DataFrame(rows).astype(object).fillna("")
    same_numbers = same(work, "rl-bf16", "rl-bf16-again")
    text = f"{table.to_markdown(index=False)}\n\nThe same run twice: {same_numbers}.\n"
    (work / "seen.md").write_text(text)
    print(text)
    sys.exit(any(row["said"] not in ("passed", NO_VLLM) for row in rows))


if __name__ == "__main__":
    main()
