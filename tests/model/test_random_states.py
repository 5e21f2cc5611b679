"""The global generators go on exactly where their saved states say, through JSON."""

from __future__ import annotations

import json
import random
from contextlib import suppress

import numpy as np
import torch

from cl_bench.model.random_states import (
    random_states,
    random_states_kept,
    restore_random_states,
    seed_everything,
)

CPU = torch.device("cpu")


def draws() -> tuple[object, ...]:
    # gauss and standard_normal keep a second value back, which the states must hold.
    numbers = (random.gauss(0, 1), random.random(), np.random.standard_normal(), np.random.rand())
    return (*numbers, torch.rand(3).tolist(), torch.randn(17).tolist())


def test_states_survive_json() -> None:
    seed_everything(2**40 + 7)
    draws()
    saved = json.loads(json.dumps(random_states(CPU)))
    expected = [draws(), draws()]
    seed_everything(1)
    # a machine with GPUs may have saved it, this one need not have them
    restore_random_states(saved | {"cuda": ["00", "01"]}, CPU)
    assert [draws(), draws()] == expected


def test_seeds_differ() -> None:
    seed_everything(1)
    first = draws()
    seed_everything(2)
    assert draws() != first
    seed_everything(1)
    assert draws() == first


def test_what_happens_inside_leaves_no_trace_even_if_it_fails() -> None:
    seed_everything(3)
    expected = draws()
    seed_everything(3)
    with suppress(ValueError), random_states_kept(CPU):
        seed_everything(9)
        draws()
        raise ValueError
    assert draws() == expected
