"""A tiny GGUF file, made here: a llama of two layers with a byte-level tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFWriter, TokenType, quantize

TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + "
    "message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
WIDTH, HIDDEN, LAYERS, HEADS, KEYS = 32, 64, 2, 4, 2
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MERGES = ["Ċ Ċ", "Ġ Ġ", "h i"]


def vocabulary() -> list[str]:
    """Three special tokens, the 256 bytes as byte-level tokenizers spell them, and merges."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    bytes_ = [chr(byte) for byte in shown] + [chr(256 + place) for place in range(len(hidden))]
    return [*SPECIAL, *bytes_, *(merge.replace(" ", "") for merge in MERGES)]


def shapes(tokens: int) -> dict[str, tuple[int, ...]]:
    """The tensors of a llama in llama.cpp's names, with tied embeddings."""
    found: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (tokens, WIDTH),
        "output_norm.weight": (WIDTH,),
    }
    for layer in range(LAYERS):
        for name, shape in {
            "attn_norm": (WIDTH,),
            "ffn_norm": (WIDTH,),
            "attn_q": (WIDTH, WIDTH),
            "attn_k": (WIDTH * KEYS // HEADS, WIDTH),
            "attn_v": (WIDTH * KEYS // HEADS, WIDTH),
            "attn_output": (WIDTH, WIDTH),
            "ffn_gate": (HIDDEN, WIDTH),
            "ffn_up": (HIDDEN, WIDTH),
            "ffn_down": (WIDTH, HIDDEN),
        }.items():
            found[f"blk.{layer}.{name}.weight"] = shape
    return found


def write_gguf(
    path: Path,
    *,
    architecture: str = "llama",
    seed: int = 0,
    left_out: str = "",
    plain: bool = False,
) -> Path:
    """Write the file; matrices are quantised to eight bits unless `plain`."""
    tokens, random = vocabulary(), np.random.default_rng(seed)
    writer: Any = GGUFWriter(path, architecture)
    writer.add_context_length(256)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEYS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    kinds = [TokenType.CONTROL] * len(SPECIAL) + [TokenType.NORMAL] * (len(tokens) - len(SPECIAL))
    writer.add_token_types(kinds)
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    for name, shape in shapes(len(tokens)).items():
        values = random.normal(size=shape).astype(np.float32) * 0.1 + (len(shape) == 1)
        if name == left_out:
            continue
        if len(shape) == 1 or plain:
            writer.add_tensor(name, values)
        else:
            kind = GGMLQuantizationType.Q8_0
            writer.add_tensor(name, quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def gguf(tmp_path: Path) -> Callable[..., Path]:
    """Writes tiny GGUF files: `gguf("name.gguf", seed=1)`; the name may have a folder."""

    def write(name: str = "tiny.gguf", **options: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_gguf(path, **options)

    return write
