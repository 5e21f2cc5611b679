"""Checks of the object that a plug-in offers: its type, and that it knows its name.

Each function returns one line with what is wrong and what to do about it, or an empty text. They
find what would break a run or falsify its tables; `cl_bench.check_task` and `check_learner` look
further.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from cl_bench.contract.errors import UsageError
from cl_bench.contract.learner import LearnerConfig, LearnerFactory
from cl_bench.contract.records import CHANNELS
from cl_bench.contract.settings import RESERVED, settings_of
from cl_bench.contract.stream import Stream, require_stages
from cl_bench.contract.task import Domain


def domain_fault(found: Any, name: str) -> str:
    """Check for a `Domain` under its registry name, which problems and tables carry."""
    if isinstance(found, type):
        return f"it is the class {found.__name__}; offer an instance of it"
    if not isinstance(found, Domain):
        return _wrong_type(
            found, "Domain", "name, version, settings and task (cl_bench/contract/task.py)"
        )
    version: object = found.version
    if not isinstance(version, str) or not version:
        return f"its version is {version!r}, but must be a text such as '1'"
    if not list(found.settings):
        return "it has no settings; name at least one, such as 'default'"
    return _name_fault(found.name, name)


def stream_fault(found: Any, name: str) -> str:
    """Check for a `Stream` under its registry name, over domains and settings that exist."""
    if not isinstance(found, Stream):
        return _wrong_type(found, "Stream", "stages (cl_bench/contract/stream.py)")
    if not found.stages:
        return "it has no stages; a stream needs at least one"
    try:
        require_stages(found.stages)
    except UsageError as error:
        return str(error)
    return _name_fault(found.name, name)


def learner_fault(found: Any, _name: str) -> str:
    """Check for a `LearnerFactory`; the learner itself is built only when a run begins."""
    if not isinstance(found, LearnerFactory):
        return _wrong_type(found, "LearnerFactory", "build (cl_bench/contract/learner.py)")
    build: object = found.build
    if not callable(build):
        return f"its build is {build!r}, which cannot be called"
    channels: object = found.channels
    if not isinstance(channels, tuple) or not channels or not set(channels) <= set(CHANNELS):
        return f"its channels are {found.channels!r}, but must be among {', '.join(CHANNELS)}"
    label: object = found.label
    if not isinstance(label, str):
        return f"its label is {label!r}, but must be a text"
    shown: object = found.from_solutions
    if not isinstance(shown, bool):
        return f"its from_solutions is {shown!r}, but must be True or False"
    return _config_fault(found.config)


def _config_fault(config: Any) -> str:
    """Check for a frozen dataclass over `LearnerConfig`, every field of which is a setting."""
    if not (isinstance(config, type) and issubclass(config, LearnerConfig)):
        return f"its config is {config!r}, but must be a class that inherits from LearnerConfig"
    if "__dataclass_fields__" not in vars(config) and vars(config).get("__annotations__"):
        return f"{config.__name__} is not a dataclass: put @dataclass(frozen=True) above it"
    names = {item.name for item in settings_of(config)}
    if taken := names & RESERVED:
        return (
            f"{config.__name__}.{min(taken)} has the name of a setting of every run or of an "
            "argument of cl_bench.run; call it something else"
        )
    plain = {item.name for item in fields(config)} - names
    if plain:
        return (
            f"{config.__name__}.{min(plain)} is not a setting: write it as "
            "`name: int = setting(default, 'what it is', bounds)` (cl_bench/contract/settings.py)"
        )
    try:
        config()
    except Exception as error:  # noqa: BLE001 - foreign code
        return f"the defaults of {config.__name__} are refused: {error}"
    return ""


def _wrong_type(found: object, wanted: str, parts: str) -> str:
    return f"it is of type {type(found).__name__}; offer a {wanted}, with {parts}"


def _name_fault(given: object, name: str) -> str:
    if given == name:
        return ""
    return f"it calls itself {given!r}, but tables and commands name it {name!r}; set name to that"
