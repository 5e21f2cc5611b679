"""Pretrain the embedded base model: the loop behind `cl-bench model train`.

Four phases: one-step problems with every rule stated; everything; the same with careless work; and
a cool-down. Documents are sorted into length buckets so that every batch has the same number
of tokens and a compiled step sees few shapes.

Two choices decide whether the model learns to look a rule up within an hour on two cores (both
measured in paired trials): the architecture is LFM2 (Liquid AI 2025), whose short convolutions
give every token its predecessors, where a Llama of the same size spent more than 12 million
tokens without forming the lookup; and the matrices are updated by Muon (Jordan et al. 2024),
which after 400 steps stood at a loss of 0.45 where AdamW alone stood at 0.68.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import Lfm2Config, Lfm2ForCausalLM, PreTrainedTokenizerFast

from cl_bench.contract.errors import UsageError
from cl_bench.metrics.quantities import COUNT, NUMBER, TOKENS
from cl_bench.tools.embedded.corpus import Corpus, Document, TrainingConfig, phase
from cl_bench.tools.embedded.tokenizer import build_tokenizer

BUCKETS = (64, 96, 128, 192, 256)
IGNORE = -100
_FREE = ("steps", "device", "compile", "checkpoint_minutes")
"""Settings that a training may go on with in another way than it began."""


@dataclass
class _State:
    step: int = 0
    documents: int = 0
    tokens: int = 0
    seconds: float = 0.0


def train(
    config: TrainingConfig, out: Path, report: Callable[[str], None] = print
) -> PreTrainedTokenizerFast:
    """Train into the Hugging Face folder `out`; an interrupted call goes on from its checkpoint.

    Raises `UsageError` if that is of another training.
    """
    _require_place(out, config.device)
    checkpoint = _checkpoint(out / "checkpoint.pt", config)
    torch.manual_seed(config.seed)
    tokenizer = build_tokenizer()
    model = build_model(config, tokenizer)
    model.to(torch.device(config.device))  # type: ignore[arg-type]
    optimizers = _optimizers(model, config)
    state = _restore(checkpoint, model, optimizers)
    forward = torch.compile(model, dynamic=False) if config.compile else model
    batches = _batches(Corpus(config.seed), tokenizer, config, state)
    started, saved = time.monotonic() - state.seconds, time.monotonic()
    running = 0.0
    while state.step < config.steps:
        inputs, labels = next(batches)
        loss = _step(forward, optimizers, inputs, labels, _rate(state.step, config))
        state.step += 1
        state.tokens += inputs.numel()
        state.seconds = time.monotonic() - started
        running += (loss - running) * max(0.02, 1 / state.step)
        if state.step % 100 == 0:
            speed = state.tokens / state.seconds
            report(
                f"step {COUNT.text(state.step)}: loss {NUMBER.text(running)}, "
                f"{TOKENS.text(state.tokens)} tokens, {COUNT.text(speed)} a second"
            )
        if time.monotonic() - saved > 60 * config.checkpoint_minutes or state.step == config.steps:
            _save(out, config, model, tokenizer, optimizers, state)
            saved = time.monotonic()
    return tokenizer


def _require_place(out: Path, device: str) -> None:
    """Fail now and not after an hour, when the first checkpoint is written."""
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("device is 'cuda', but torch finds no GPU: give cpu.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"Cannot create {out}: {error.strerror}. Give another --out.") from error


def build_model(config: TrainingConfig, tokenizer: PreTrainedTokenizerFast) -> Lfm2ForCausalLM:
    """An LFM2 of the configured size with fresh weights."""
    return Lfm2ForCausalLM(
        Lfm2Config(
            vocab_size=len(tokenizer),
            hidden_size=config.width,
            intermediate_size=3 * config.width,
            block_auto_adjust_ff_dim=False,
            num_hidden_layers=config.layers,
            layer_types=["conv", "full_attention"] * (config.layers // 2),
            conv_L_cache=3,
            num_attention_heads=config.heads,
            num_key_value_heads=config.heads,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
        )
    )


def _rate(step: int, config: TrainingConfig) -> float:
    """The learning rate's share of its peak: warm-up, plateau, linear cool-down to 2 %."""
    left = (config.steps - step) / (config.cooldown * config.steps)
    return min((step + 1) / config.warmup, 1.0, max(left, 0.02))


def _optimizers(model: Lfm2ForCausalLM, config: TrainingConfig) -> list[torch.optim.Optimizer]:
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers" in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "layers" not in name]
    muon = torch.optim.Muon(matrices, lr=config.muon_lr, weight_decay=0.01)
    adam = torch.optim.AdamW(others, lr=config.adam_lr, betas=(0.9, 0.98), weight_decay=0.0)
    for optimizer in (muon, adam):
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return [muon, adam]


def _step(
    forward: Callable[..., object],
    optimizers: list[torch.optim.Optimizer],
    inputs: Tensor,
    labels: Tensor,
    rate: float,
) -> float:
    """One update on `inputs` and `labels`, both (documents, tokens); the loss in nats."""
    logits: Tensor = forward(input_ids=inputs, use_cache=False).logits  # type: ignore[attr-defined]
    loss = cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORE)
    loss.backward()  # type: ignore[no-untyped-call]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * rate
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return loss.item()


def _batches(
    corpus: Corpus, tokenizer: PreTrainedTokenizerFast, config: TrainingConfig, state: _State
) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless (inputs, labels) of one bucket's width each, right-padded.

    Right padding needs no attention mask: with causal attention no real token sees a pad.
    """
    pools: dict[int, list[tuple[list[int], int]]] = {width: [] for width in BUCKETS}
    while True:
        for ids, start in _encode(corpus, tokenizer, config, state):
            width = next((width for width in BUCKETS if len(ids) <= width), None)
            if width is None:
                continue
            pools[width].append((ids, start))
            if len(pools[width]) * width >= config.tokens_per_batch:
                yield _pad(pools[width], width, tokenizer.pad_token_id, config.device)
                pools[width] = []


def _encode(
    corpus: Corpus, tokenizer: PreTrainedTokenizerFast, config: TrainingConfig, state: _State
) -> list[tuple[list[int], int]]:
    """The next 256 documents as token ids, each with the place where its reply begins."""
    first = state.documents
    documents = [corpus.document(first + i, phase(state.step, config)) for i in range(256)]
    state.documents += len(documents)
    heads = _render(tokenizer, documents, reply=False)
    wholes = _render(tokenizer, documents, reply=True)
    return [(whole, len(head)) for head, whole in zip(heads, wholes, strict=True)]


def _render(
    tokenizer: PreTrainedTokenizerFast, documents: list[Document], *, reply: bool
) -> list[list[int]]:
    texts = []
    for document in documents:
        text = tokenizer.apply_chat_template(
            document.messages, tokenize=False, add_generation_prompt=True
        )
        texts.append(f"{text} {document.reply}{tokenizer.eos_token}" if reply else text)
    ids: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return ids


def _pad(
    rows: list[tuple[list[int], int]], width: int, pad: int, device: str
) -> tuple[Tensor, Tensor]:
    inputs = torch.full((len(rows), width), pad)
    labels = torch.full((len(rows), width), IGNORE)
    for row, (ids, start) in enumerate(rows):
        inputs[row, : len(ids)] = torch.tensor(ids)
        labels[row, start : len(ids)] = inputs[row, start : len(ids)]
    return inputs.to(device), labels.to(device)


def _save(
    out: Path,
    config: TrainingConfig,
    model: Lfm2ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    optimizers: list[torch.optim.Optimizer],
    state: _State,
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    checkpoint = {
        "config": asdict(config),
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "state": asdict(state),
    }
    torch.save(checkpoint, out / "checkpoint.tmp")
    (out / "checkpoint.tmp").replace(out / "checkpoint.pt")


def _checkpoint(path: Path, config: TrainingConfig) -> dict[str, Any] | None:
    """What an earlier call left at `path`, if it did; one of another training is a `UsageError`."""
    if not path.exists():
        return None
    found: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    then, now, step = found.get("config", {}), asdict(config), found["state"]["step"]
    for name in (name for name in now if name not in _FREE):
        if then.get(name) != now[name]:
            raise UsageError(
                f"{path} is of a training with {name} {then.get(name, 'not noted')}, but {name} is "
                f"{now[name]}. Give {name} as it was, or another --out."
            )
    if step > config.steps:
        raise UsageError(
            f"{path} is of step {step:,}, but steps is {config.steps:,}. Give as many or more, or "
            "another --out."
        )
    return found


def _restore(
    checkpoint: dict[str, Any] | None,
    model: Lfm2ForCausalLM,
    optimizers: list[torch.optim.Optimizer],
) -> _State:
    if checkpoint is None:
        return _State()
    model.load_state_dict(checkpoint["model"])
    for optimizer, saved in zip(optimizers, checkpoint["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return _State(**checkpoint["state"])
