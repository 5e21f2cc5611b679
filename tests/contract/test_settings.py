"""Settings: one field says everything, and what is made from it agrees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from cl_bench import api
from cl_bench.contract.errors import UsageError
from cl_bench.contract.learner import LearnerConfig, LearnerFactory
from cl_bench.contract.plugin_checks import learner_fault
from cl_bench.contract.settings import RESERVED, setting, settings_of, settle, those_of
from cl_bench.execution.settings import EvaluationConfig, RunConfig


@dataclass(frozen=True)
class Own(LearnerConfig):
    """Settings of a learner of somebody's."""

    epsilon: float = setting(0.1, "Chance of a random arm.", (0.0, 1.0))
    arms: int = setting(3, "Arms.", (2, 10))
    kind: str = setting("first", "Which.", choices=("first", "last"))


def test_a_learners_settings_are_those_that_all_have_and_its_own() -> None:
    names = [item.name for item in settings_of(Own)]
    assert names[-3:] == ["epsilon", "arms", "kind"]
    assert {"group_size", "seed_prompt", "max_new_tokens"} < set(names)
    by_name = {item.name: item for item in settings_of(Own)}
    assert (by_name["epsilon"].default, by_name["epsilon"].type) == (0.1, float)
    assert by_name["epsilon"].allowed == "a number, at least 0 and at most 1"
    assert by_name["arms"].allowed == "a whole number, at least 2 and at most 10"
    assert by_name["kind"].allowed == "first, last"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"epsilon": 2}, r"epsilon is 2, but must be at least 0 and at most 1"),
        ({"arms": 1}, r"arms is 1, but must be at least 2 and at most 10"),
        ({"kind": "lost"}, r"Unknown kind 'lost'\. Did you mean 'last'\?"),
    ],
)
def test_a_value_out_of_its_bounds_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Own(**given)


def test_a_class_takes_of_many_options_its_own() -> None:
    assert those_of(Own, {"epsilon": 0.5, "kl_beta": 1.0}) == {"epsilon": 0.5}


@dataclass(frozen=True)
class Plain(LearnerConfig):
    """One field is not a setting."""

    epsilon: float = 0.1


@dataclass(frozen=True)
class Impossible(LearnerConfig):
    """The default is out of its own bounds."""

    arms: int = setting(1, "Arms.", (2, 10))


class Bare(LearnerConfig):
    """Somebody forgot the decorator."""

    arms: int = 3


@dataclass(frozen=True)
class Taken(LearnerConfig):
    """Its name is that of a setting of evaluation."""

    items: int = setting(3, "Items.")


@dataclass(frozen=True)
class Named(LearnerConfig):
    """Its setting is called as the learner's own key in a settings file."""

    name: str = setting("mine", "A name.")


@dataclass(frozen=True)
class Optional(LearnerConfig):
    """One setting may be None."""

    epsilon: float | None = setting(0.1, "Chance of a random arm.")


built: Any = dict


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (LearnerFactory(built, Own), ""),
        (LearnerFactory(built, Plain), "Plain.epsilon is not a setting"),
        (LearnerFactory(built, Impossible), "the defaults of Impossible are refused: arms is 1"),
        (LearnerFactory(built, dict), "must be a class that inherits from LearnerConfig"),  # type: ignore[arg-type]
        (LearnerFactory(built, Bare), "Bare is not a dataclass"),
        (LearnerFactory(built, Taken), "Taken.items has the name of a setting of every run"),
        (LearnerFactory(built, Named), "Named.name has the name of a setting of every run"),
        (LearnerFactory(built, Own, label=3), "its label is 3, but must be a text"),  # type: ignore[arg-type]
        (LearnerFactory(built, Own, 3), "its channels are 3"),  # type: ignore[arg-type]
        (LearnerFactory(built, Own, ("slow", "quick")), "its channels are"),  # type: ignore[arg-type]
    ],
)
def test_a_plug_ins_factory_is_held_to_the_contract(factory: LearnerFactory, said: str) -> None:
    fault = learner_fault(factory, "acme/own")
    assert said in fault
    assert bool(said) == bool(fault)


def test_reserved_names_are_those_of_runs_evaluation_and_the_call() -> None:
    call = api.run.__annotations__.keys() - {"settings", "return", "seed"}
    runs = {item.name for part in (RunConfig, EvaluationConfig) for item in settings_of(part)}
    assert (call | runs | {"learner_options", "name", "chat_template"}) - {"seed"} == RESERVED


def test_numbers_without_bounds_are_counts_and_rates() -> None:
    by_name = {item.name: item.allowed for item in settings_of(Taken)}
    assert by_name["items"] == "a whole number, at least 1 and at most 1,000,000"


@pytest.mark.parametrize("default", [None, (1, 2), ["a"]])
def test_a_default_of_another_type_is_refused_where_it_is_written(default: Any) -> None:
    with pytest.raises(TypeError, match="but must be of type int, float, bool or str"):
        setting(default, "What it is.")


def test_a_declaration_of_another_type_is_refused_with_its_place() -> None:
    with pytest.raises(TypeError, match=r"Optional\.epsilon is declared as float \| None, but"):
        list(settings_of(Optional))


def test_settling_makes_plain_data() -> None:
    @dataclass(frozen=True)
    class Small:
        share: float = setting(1, "A share.", (0.0, 1.0))

        def __post_init__(self) -> None:
            settle(self)

    assert type(Small().share) is float
