"""Models with a short name, and the embedded one: tokenizer, pretraining, evaluation, weights."""

from __future__ import annotations

from pathlib import Path

EMBEDDED = "embedded"
EMBEDDED_FOLDER = Path(__file__).parent / "embedded"


def resolve(name_or_path: str) -> str:
    """What `Policy.load` takes for a model's name: where the files of a short name lie.

    A model that is not on this machine yet is fetched; what cannot be had is a `ModelError`. Any
    other name is returned as it is.
    """
    from cl_bench.model.named import MODELS

    model = MODELS.get(name_or_path)
    return str(model.obtain()) if model else name_or_path
