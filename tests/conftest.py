"""Fixtures shared by the tests: a tiny model with random weights, and its policy."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder: the embedded model's tokenizer, a random two-layer Llama of width 32."""
    import torch

    from cl_bench.models.tokenizer import build_tokenizer
    from cl_bench.models.training import TrainingConfig, build_model

    folder = tmp_path_factory.mktemp("tiny") / "model"
    tokenizer = build_tokenizer()
    torch.manual_seed(0)
    model = build_model(TrainingConfig(width=32, layers=2, heads=2), tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
