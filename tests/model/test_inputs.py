"""Rows as a model takes them, and its cache, whichever name its transformers gives it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from transformers import DynamicCache

from cl_bench.contract.errors import ModelError
from cl_bench.model.inputs import cache_argument, cache_of, left_pad

CACHE = DynamicCache()


class Old:
    def forward(self, input_ids: Any, past_key_values: Any = None) -> None: ...


class New:
    def forward(self, input_ids: Any, cache: Any = None) -> None: ...


@pytest.mark.parametrize(("model", "name"), [(Old(), "past_key_values"), (New(), "cache")])
def test_a_cache_goes_in_and_comes_out_by_one_name(model: Any, name: str) -> None:
    assert cache_argument(model) == name
    assert cache_of(SimpleNamespace(**{name: CACHE}), model) is CACHE


def test_what_is_no_cache_is_refused() -> None:
    with pytest.raises(ModelError, match="Old keeps its state in tuple"):
        cache_of(SimpleNamespace(past_key_values=("state",)), Old())  # type: ignore[arg-type]


def test_padding_is_on_the_left() -> None:
    ids, mask = left_pad([(7,), (8, 9, 10)], 0)
    assert ids.tolist() == [[0, 0, 7], [8, 9, 10]]
    assert mask.tolist() == [[0, 0, 1], [1, 1, 1]]
