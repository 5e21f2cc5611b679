"""Options of the command line: those made from settings, and those that commands share."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Annotated, Any, TypeVar, cast, get_type_hints

import typer

from cl_bench.cli.console import Errors
from cl_bench.contract.errors import UsageError, at_least
from cl_bench.contract.registry import LEARNERS
from cl_bench.contract.settings import Setting, settings_of
from cl_bench.contract.text import printable
from cl_bench.execution.settings import EvaluationConfig, RunConfig

Command = TypeVar("Command", bound=Callable[..., None])

Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print the outcome only.")]
Rollouts = Annotated[
    int | None, typer.Option(help="Training rollouts per stage, in place of steps.")
]
Difficulty = Annotated[str | None, typer.Option(help="easy, default or hard.")]
Retention = Annotated[
    str | None,
    typer.Option(
        help="Domains to evaluate outside the stream, in place of its own, as in "
        "gym/gcd,lm_eval:ifeval; none for none."
    ),
]
Readers = Annotated[
    int | None, typer.Option("--jobs", help="Processes that read runs, if they are many (cores).")
]
FigureStyle = Annotated[
    str | None,
    typer.Option("--figure-style", help="screen, one-column or two-column, for papers (screen)."),
]


def readers(jobs: int | None) -> int:
    """The processes that were asked for, or one for each core; a `UsageError` for none."""
    from cl_bench.execution.machine import cores

    if jobs is None:
        return cores()
    at_least(jobs=(jobs, 1))
    return jobs


def ending(interrupted: str = "", *, bug: int = 1) -> Callable[[Command], Command]:
    """Give a command the option --debug, and let it end as `Errors` says."""

    def decorate(command: Command) -> Command:
        @wraps(command)
        def ended(*, debug: bool, **given: Any) -> None:
            with Errors(debug, interrupted, bug=bug):
                command(**given)

        debug = inspect.Parameter(
            "debug", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Debug
        )
        return _with_parameters(cast(Command, ended), [*_own(command), debug])

    return decorate


def with_settings(made: Iterable[inspect.Parameter]) -> Callable[[Command], Command]:
    """Give a command options made from settings.

    They take the place of its `**given`, in which it finds them all, given or not.
    """
    return lambda command: _with_parameters(command, [*_own(command), *made])


def _own(command: Callable[..., None]) -> list[inspect.Parameter]:
    """A command's parameters but for `**given`, with their annotations resolved."""
    hints = get_type_hints(command, include_extras=True)
    return [
        parameter.replace(annotation=hints.get(parameter.name, parameter.annotation))
        for parameter in inspect.signature(command).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]


def _with_parameters(command: Command, parameters: Sequence[inspect.Parameter]) -> Command:
    # typer reads both attributes.
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {item.name: item.annotation for item in parameters}
    return command


def of_settings(config: Any, *names: str) -> Iterator[inspect.Parameter]:
    """Options for the settings of those names; for all of them without names."""
    known = {item.name: item for item in settings_of(config)}
    return (_parameter(known[name], None) for name in names or known)


def of_runs() -> Iterator[inspect.Parameter]:
    """An option for every setting of runs, of built-in learners and of evaluation, each once."""
    yield from (_parameter(item, None) for item in settings_of(RunConfig) if item.rule.option)
    seen: set[str] = set()
    for config in dict.fromkeys(_ancestry()):
        for item in settings_of(config):
            if item.rule.option and item.name not in seen:
                seen.add(item.name)
                yield _parameter(item, inspect.getdoc(config))
    for item in settings_of(EvaluationConfig):
        yield _parameter(item, EvaluationConfig.__doc__)


def _ancestry() -> Iterable[type]:
    """The settings' classes of the built-in learners, the most general first."""
    for name in LEARNERS.table:
        yield from (c for c in reversed(LEARNERS.load(name).config.__mro__) if c is not object)


def _parameter(item: Setting, title: str | None) -> inspect.Parameter:
    panel = title.partition("\n")[0].rstrip(".") if title else None
    return inspect.Parameter(
        item.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=item.default,
        annotation=Annotated[item.type, typer.Option(help=item.rule.says, rich_help_panel=panel)],
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
        whose, dot, setting = name.strip().rpartition(".")
        name = f"{whose}{dot}{setting.replace('-', '_')}"
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found
