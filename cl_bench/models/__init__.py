"""The embedded base model: tokenizer, pretraining, evaluation and the shipped weights."""

from __future__ import annotations

from pathlib import Path

EMBEDDED = "embedded"
EMBEDDED_FOLDER = Path(__file__).parent / "embedded"


def resolve(name_or_path: str) -> str:
    """What `Policy.load` takes for a model's name: `embedded` means the shipped folder."""
    return str(EMBEDDED_FOLDER) if name_or_path == EMBEDDED else name_or_path
