"""Options of the command line, made from settings: one for each, with its sentence and default."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from cl_bench.contract.errors import UsageError
from cl_bench.contract.registry import LEARNERS
from cl_bench.contract.settings import Setting, settings_of
from cl_bench.contract.text import printable
from cl_bench.execution.settings import EvaluationConfig, RunConfig

Command = TypeVar("Command", bound=Callable[..., None])


def with_settings(command: Command) -> Command:
    """Give a command an option for every setting of runs, evaluation and built-in learners.

    They take the place of its `**given`, in which it finds them all, given or not.
    """
    signature = inspect.signature(command)
    hints = get_type_hints(command, include_extras=True)
    own = [
        parameter.replace(annotation=hints[parameter.name])
        for parameter in signature.parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    made = [p for p in _parameters() if p.name not in hints]
    command.__signature__ = signature.replace(parameters=[*own, *made])  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in (*own, *made)}
    return command


def _parameters() -> Iterator[inspect.Parameter]:
    """The options, each once: shared settings first, then those of single learners."""
    yield from (_parameter(item, None) for item in settings_of(RunConfig) if item.rule.option)
    seen: set[str] = set()
    for config in dict.fromkeys(_ancestry()):
        for item in settings_of(config):
            if item.rule.option and item.name not in seen:
                seen.add(item.name)
                yield _parameter(item, inspect.getdoc(config))
    yield from (
        _parameter(item, EvaluationConfig.__doc__) for item in settings_of(EvaluationConfig)
    )


def _ancestry() -> Iterable[type]:
    """The settings' classes of the built-in learners, the most general first."""
    for name in LEARNERS.table:
        yield from (c for c in reversed(LEARNERS.load(name).config.__mro__) if c is not object)


def _parameter(item: Setting, title: str | None) -> inspect.Parameter:
    says = item.rule.says.replace("[", r"\[")
    panel = title.partition("\n")[0].rstrip(".") if title else None
    return inspect.Parameter(
        item.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=item.default,
        annotation=Annotated[item.type, typer.Option(help=says, rich_help_panel=panel)],
    )


def given_in(context: typer.Context, values: Mapping[str, Any]) -> dict[str, Any]:
    """Of a command's values, those that the user gave."""
    return {name: value for name, value in values.items() if is_given(context, name)}


def is_given(context: typer.Context, name: str) -> bool:
    """Whether the user gave the option of that name."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def assigned(option: str, texts: Iterable[str] | None) -> dict[str, Any]:
    """The names and values of repeated NAME=VALUE; a value that is not JSON is a text."""
    found = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not (equals and name):
            raise UsageError(
                f"{option} is {printable(repr(text), 100)}, but must be NAME=VALUE, such as "
                "learning_rate=3e-4."
            )
        name = name.strip().replace("-", "_")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found
