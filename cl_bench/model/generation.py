"""A model's generation config: what it asks of sampling, which no request here goes by."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_SAMPLING: dict[str, float | None] = {
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0.0,
    "typical_p": 1.0,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "min_new_tokens": 0,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
    "bad_words_ids": None,
}
"""What may change a model's distribution, with the values that do not."""


def ignored_sampling(model: PreTrainedModel) -> dict[str, object]:
    """Return what the config asks of sampling, and runs ignore, by the names of its fields."""
    asked = model.generation_config.to_dict()
    return {
        name: asked[name]
        for name, neutral in _SAMPLING.items()
        if asked.get(name) is not None and asked[name] != neutral
    }


@contextmanager
def generation_that_can_be_saved(model: PreTrainedModel) -> Iterator[None]:
    """Within this context, have the special tokens only of a generation config that transformers
    reads but not saves, because its flags contradict each other."""
    from transformers import GenerationConfig

    own = model.generation_config
    try:
        own.validate(strict=True)
    except ValueError:
        tokens = ("bos_token_id", "eos_token_id", "pad_token_id")
        kept = {name: getattr(own, name) for name in tokens}
        model.generation_config = GenerationConfig(**kept)  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        model.generation_config = own
