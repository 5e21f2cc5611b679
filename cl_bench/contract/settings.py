"""A setting: a field of a frozen dataclass that carries its bounds and its sentence.

    @dataclass(frozen=True)
    class BanditConfig(LearnerConfig):
        epsilon: float = setting(0.1, "Chance of a random arm.", (0.0, 1.0))

The field's default, bounds and sentence stand there and nowhere else: the checks, the command line,
settings files, `cl-bench list learners NAME` and docs/settings.md are made from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from cl_bench.contract.errors import UsageError, unknown
from cl_bench.contract.validation import (
    COUNTS,
    RATES,
    Bounds,
    a_flag,
    a_text,
    least_and_most,
    real_number,
    whole_number,
)

Value = TypeVar("Value")
_RULE = "cl_bench"
_NONE: Mapping[str, str] = MappingProxyType({})
_TYPES = "of type int, float, bool or str"


@dataclass(frozen=True, slots=True)
class Rule:
    """A field's metadata: the sentence and the limits of its setting."""

    says: str
    """One sentence, or a few."""
    bounds: Bounds | None = None
    """The least and the greatest number; None leaves those of its type."""
    choices: tuple[str, ...] = ()
    """The texts that are allowed; empty allows any."""
    option: bool = True
    """Whether the command line makes an option of it."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Texts that a user might expect among the choices, with why they are none."""


def setting(
    default: Value,
    says: str,
    bounds: Bounds | None = None,
    *,
    choices: Sequence[str] = (),
    option: bool = True,
    refused: Mapping[str, str] = _NONE,
) -> Value:
    """Return a dataclass field whose number must lie within `bounds`, its text among `choices`.

    Without bounds a whole number is a count, from 1, and a number a rate, above 0. As with
    `dataclasses.field`, the type that is declared is the value's and not the field's: `int`,
    `float`, `bool`, `str` or a `Literal` of texts. Raises `TypeError` for a default of another
    type, `settings_of` for another declaration.
    """
    if not isinstance(default, int | float | str):
        raise TypeError(
            f"the default of a setting is {default!r}, but must be {_TYPES}; let a value such as "
            "0 or 'none' stand for none"
        )
    rule = Rule(says, bounds, tuple(choices), option, refused)
    made: Any = field(default=default, metadata={_RULE: rule})
    return cast(Value, made)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, for whoever shows it or makes an option of it."""

    name: str
    type: type
    """`int`, `float`, `bool` or `str`."""
    default: int | float | bool | str
    rule: Rule

    @property
    def allowed(self) -> str:
        """The allowed values in words: `a number, above 0 and at most 1`."""
        if self.type is bool:
            return "true or false"
        if self.type is str:
            return ", ".join(self.rule.choices) or "a text"
        kind = "a whole number" if self.type is int else "a number"
        return f"{kind}, {least_and_most(self.bounds, whole=self.type is int)}"

    @property
    def bounds(self) -> Bounds:
        """The least and the greatest number."""
        return self.rule.bounds or (COUNTS if self.type is int else RATES)

    def checked(self, given: object) -> object:
        """Return `given` as plain data; raise `UsageError` if the setting cannot take it."""
        if self.type is bool:
            return a_flag(self.name, given)
        if self.type is int:
            least, most = self.bounds
            return whole_number(self.name, given, (int(least), int(most)))
        if self.type is float:
            return real_number(self.name, given, self.bounds)
        if self.rule.choices:
            if not isinstance(given, str) or given not in self.rule.choices:
                if isinstance(given, str) and given in self.rule.refused:
                    raise UsageError(f"{self.name} is {given!r}: {self.rule.refused[given]}")
                raise unknown(self.name.replace("_", " "), given, self.rule.choices)
            return given
        return a_text(self.name, given)


def settings_of(config: Any) -> Iterator[Setting]:
    """Yield the settings of a dataclass or of one of its instances, in the order of fields.

    Raises `TypeError` for a setting of a type that none may have.
    """
    of = config if isinstance(config, type) else type(config)
    types = get_type_hints(of)
    for item in fields(of):
        if _RULE in item.metadata:
            default: Any = item.default
            kind = _plain(types[item.name], f"{of.__name__}.{item.name}")
            yield Setting(item.name, kind, default, item.metadata[_RULE])


def settle(config: object) -> None:
    """Check every setting of a frozen dataclass; raise `UsageError` for the first wrong one.

    Numbers of other libraries become `int` and `float`, paths become `str`, so that the
    configuration is plain data.
    """
    for item in settings_of(config):
        # The dataclass is frozen, but this is still its construction.
        object.__setattr__(config, item.name, item.checked(getattr(config, item.name)))


def those_of(config: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of `options` that are settings of a dataclass or of one of its instances."""
    return {item.name: options[item.name] for item in settings_of(config) if item.name in options}


def _plain(declared: Any, where: str) -> type:
    """Return the type of a setting; a `Literal` of texts counts as a text."""
    if declared in (int, float, bool, str):
        return cast(type, declared)
    if get_origin(declared) is Literal and all(isinstance(it, str) for it in get_args(declared)):
        return str
    raise TypeError(
        f"{where} is declared as {declared}, but a setting must be {_TYPES}, or a Literal of texts"
    )


RESERVED = frozenset(
    {
        *("name", "stream", "steps", "rollouts", "setting", "retention", "config", "out"),
        *("progress", "track", "record", "replay", "figure_style"),
        *("learner", "model", "preset", "feedback"),
        *("announced", "eval_every", "threads", "device", "precision", "keep_stage_models"),
        *("peft", "lora_rank", "lora_alpha", "lora_targets", "items", "samples"),
        *("sampler", "sampler_folder", "sampler_memory", "batch_invariant"),
        *("gradient_checkpointing", "thinking", "chat_template"),
        *("retention_items", "kl_items", "transcripts", "probes", "greedy", "validation_items"),
        "learner_options",
    }
)
"""Names of arguments of `cl_bench.run` and of settings of runs and evaluation, and `name`, a
learner's own key in a settings file. No setting of a learner may have one of them: options are told
apart by their names."""
