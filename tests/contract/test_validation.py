"""Every field of every configuration: what is no such number, name or flag is a `UsageError`."""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cl_bench
from cl_bench.contract.errors import UsageError
from cl_bench.contract.registry import LEARNERS
from cl_bench.contract.validation import a_text, real_number, whole_number
from cl_bench.execution.settings import EvaluationConfig, RunConfig
from cl_bench.slow.settings import RLConfig
from cl_bench.tools.embedded.corpus import TrainingConfig

LEARNING = tuple(LEARNERS.load(name).config for name in LEARNERS.table)
CONFIGS: tuple[Any, ...] = (RunConfig, *dict.fromkeys(LEARNING), EvaluationConfig, TrainingConfig)
FIELDS = [
    (config, item.name, item.type)
    for config in CONFIGS
    for item in fields(config)
    if item.name not in ("learning", "evaluation")
]
NEVER: tuple[object, ...] = (None, [1], {}, object(), math.nan, math.inf, -math.inf, b"x", 1j)
WRONG: dict[str, tuple[Any, ...]] = {
    "int": (*NEVER, -1, 2**64, 10**400, 1.5, 3.0, "8", True),
    "float": (*NEVER, -1, -1e-9, 1e300, 10**400, "0.1", True),
    "bool": (*NEVER, 0, 1, "yes"),
    "str": (*NEVER, 0, 1.5, True, "", "a\0b"),
    "FeedbackLevel": (*NEVER, 0, True, "", "steps"),
    "LossAverage": (*NEVER, 0, True, "", "tokens"),
    "TeacherWeights": (*NEVER, 0, True, "", "students"),
    "Mapping[str, str | int | float | bool]": (
        *(value for value in NEVER if value != {}),
        *("low", {1: "low"}, {"effort": None}, {"effort": math.nan}),
    ),
}


@pytest.mark.parametrize(("config", "name", "kind"), FIELDS)
def test_an_impossible_value_of_any_field_is_refused_by_name(
    config: Any, name: str, kind: str
) -> None:
    for value in WRONG[kind]:
        with pytest.raises(UsageError) as refusal:
            config(**{name: value})
        message = str(refusal.value)
        assert name in message or "Unknown" in message
        assert len(message) < 400
        assert "\n" not in message


@pytest.mark.parametrize("config", CONFIGS)
def test_the_defaults_are_allowed(config: Any) -> None:
    config()


def test_numbers_of_other_libraries_and_paths_become_plain_data() -> None:
    config = RunConfig(seed=np.int64(5), model=Path("some/model"))  # type: ignore[arg-type]
    plain = asdict(config)
    assert (plain["seed"], type(plain["seed"])) == (5, int)
    assert plain["model"] == "some/model"
    learning = RLConfig(learning_rate=np.float32(0.5), ratio_cap=5)  # type: ignore[arg-type]
    assert (learning.learning_rate, type(learning.learning_rate)) == (0.5, float)
    assert type(learning.ratio_cap) is float


def test_the_bounds_themselves_are_allowed_and_the_message_names_them() -> None:
    assert [whole_number("n", n, (2, 4)) for n in (2, 4)] == [2, 4]
    assert [real_number("x", x, (0.5, 1.0)) for x in (0.5, 1)] == [0.5, 1.0]
    assert a_text("t", Path("a") / "b") == "a/b"
    with pytest.raises(UsageError, match=r"n is 5, but must be at least 2 and at most 4\."):
        whole_number("n", 5, (2, 4))
    with pytest.raises(UsageError, match=r"x is nan, but must be at least 0.5 and at most 1\."):
        real_number("x", math.nan, (0.5, 1.0))


@pytest.mark.parametrize(
    "given",
    [
        {"stream": 5},
        {"stream": ["math"]},
        {"learner": 5},
        {"setting": ["easy"]},
        {"setting": 5},
        {"steps": "2"},
        {"steps": 0},
        {"steps": 10**12},
        {"out": 5},
        {"out": ""},
        {"items": 10**9},
        {"temperature": 0},
        {"nonsense": 1},
    ],
)
def test_the_python_door_refuses_wrong_types_and_writes_nothing(
    given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError):
        cl_bench.run(**given)
    assert list(tmp_path.iterdir()) == []
