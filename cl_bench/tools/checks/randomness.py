"""The global random generators: which of them somebody disturbed, and putting them back."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

States = Mapping[str, Any]
Function = Callable[..., Any]


def _generators() -> Iterator[tuple[str, Function, Function, Function]]:
    """Each generator's name, and what gets, sets and seeds its state; torch's only where it is in
    use."""
    yield "random", random.getstate, random.setstate, random.seed
    yield "numpy.random", np.random.get_state, np.random.set_state, np.random.seed
    if "torch" in sys.modules:
        import torch

        yield "torch", torch.get_rng_state, torch.set_rng_state, torch.manual_seed


def states() -> States:
    """The state of each generator by its name."""
    return {name: get() for name, get, _, _ in _generators()}


def restore(saved: States) -> None:
    """Put every generator in `saved` back."""
    for name, _, put, _ in _generators():
        if name in saved:
            put(saved[name])


def seed(number: int) -> None:
    """Seed every generator."""
    for _, _, _, seed_it in _generators():
        seed_it(number)


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
