"""The global random generators: which of them somebody disturbed, and putting them back."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

States = Mapping[str, Any]


def states() -> States:
    """The state of each generator; torch's only where torch is in use."""
    found: dict[str, Any] = {"random": random.getstate(), "numpy.random": np.random.get_state()}
    if "torch" in sys.modules:
        import torch

        found["torch"] = torch.get_rng_state()
    return found


def restore(saved: States) -> None:
    """Put every generator in `saved` back."""
    random.setstate(saved["random"])
    np.random.set_state(saved["numpy.random"])
    if "torch" in saved:
        import torch

        torch.set_rng_state(saved["torch"])


def seed(number: int) -> None:
    """Seed every generator."""
    random.seed(number)
    np.random.seed(number)
    if "torch" in sys.modules:
        import torch

        torch.manual_seed(number)


def disturbed(before: States) -> list[str]:
    """The generators that are not as in `before`."""
    now = states()
    return [name for name in before if _plain(now[name]) != _plain(before[name])]


@contextmanager
def kept() -> Iterator[None]:
    """The generators are after the body as they were before it."""
    before = states()
    try:
        yield
    finally:
        restore(before)


def _plain(state: Any) -> str:
    """A state as a text that can be compared: tuples of numbers and arrays, or a tensor."""
    parts = state if isinstance(state, tuple) else (state,)
    return repr([part.tolist() if hasattr(part, "tolist") else part for part in parts])
