"""Installed environments of the `verifiers` package as domains: `verifiers/my-env?difficulty=hard`.

An environment is a package with a taskset (verifiers 0.4): its tasks ask, and the rewards of a task
judge the one response. What needs more than a response is refused: tools, several turns or agents,
a container, a judging LM. The rewards may be coroutines; they run here, with the user's rights. A
score is the reward as a share of that of the right answer. Options are the taskset's settings, and
`answer=FIELD`, `form=TEXT with {answer}`.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module, metadata
from itertools import islice
from pathlib import Path
from typing import Any

from cl_bench.contract.errors import UsageError, unknown
from cl_bench.contract.plugins import STREAM_SEPARATOR
from cl_bench.contract.task import FeedbackLevel, Verdict
from cl_bench.contract.text import one_line, printable

from .data.columns import DataItem, Reading
from .data.domain import DataDomain, Origin, data_domain
from .data.name import read_options, spelled_options
from .data.reading import DataTable
from .data.usable import digest, usable
from .data.verifiers import scored

__all__ = ["NAMES", "known", "load"]

NAMES = ()
"""Environments are packages under any name, and are not listed."""
_MEANT = re.compile(r"verifiers/[\w.-]+(?:\?.*)?", re.DOTALL)
_OURS = ("answer", "form")
_ANSWERS = ("answer", "ground_truth", "target", "solution", "gold", "label")
"""Fields of a task that may hold its right answer, the surest name first."""
_FORMS = ("{answer}", r"\boxed{{{answer}}}", "<answer>{answer}</answer>", "answer: {answer}")
"""Responses with the right answer, of which the one that earns most is the solution."""
_MOST = 5_000
"""Tasks that are taken of a taskset, which may be endless."""
_TRIED = 8
"""Tasks whose rewards choose the form of a right answer."""
_loaded: dict[str, DataDomain] = {}


def known(name: str) -> bool:
    """Whether `name` means an environment, which need not be installed."""
    return bool(_MEANT.fullmatch(name)) and STREAM_SEPARATOR not in name


def load(name: str) -> DataDomain:
    """The domain of an environment; what cannot be one is a `UsageError`."""
    if name not in _loaded:
        bare, _, text = name.partition("?")
        options = read_options(text)
        own = f"{bare}{spelled_options(options)}"
        _loaded[name] = _loaded[own] = _loaded.get(own) or _domain(own, bare, options)
    return _loaded[name]


def _domain(name: str, bare: str, options: Mapping[str, str]) -> DataDomain:
    tasks = _tasks(bare, {k: v for k, v in options.items() if k not in _OURS})
    for task in tasks:
        if why := _refused(task):
            raise UsageError(f"{bare} cannot be a domain: {why}. {_SINGLE}")
    field = _field(bare, tasks[0], options)
    verifier = _rewarded(bare, tasks, field, options.get("form", ""))
    items = [DataItem(n, _prompt(task), verifier.of(task)) for n, task in enumerate(tasks, 1)]
    table = DataTable(bare, "task", [], ())
    kept, notes = usable(Reading(table, items, {"answer": field}, ()), verifier)
    package, code = _origin(bare)
    return data_domain(
        Origin(
            name,
            name,
            f"tasks of the environment {package}",
            "see its package",
            f"{package}; verifiers, github.com/PrimeIntellect-ai/verifiers",
            hashlib.sha256(digest(kept.items) + code + package.encode()).digest(),
        ),
        kept,
        verifier,
        f"the environment's rewards, for an answer written {verifier.form}",
        notes,
    )


_SINGLE = (
    "A response is all that a domain judges, without tools, turns, containers or a judging LM."
)


def _api() -> Any:
    """`verifiers.v1`, imported for the first time here."""
    try:
        return import_module("verifiers.v1")
    except ImportError as error:
        raise UsageError(
            f"Domains called verifiers/NAME need verifiers 0.4 or later ({error}): "
            "`pip install 'cl-bench[verifiers]'`."
        ) from error


def _tasks(bare: str, settings: Mapping[str, str]) -> list[Any]:
    """The tasks of an installed environment under its settings."""
    vf, ident = _api(), bare.removeprefix("verifiers/")
    try:
        config = vf.taskset_config_type(ident)
    except Exception as error:
        raise UsageError(_unusable(bare, error)) from error
    for key in settings:
        if key not in config.model_fields or key == "id":
            raise unknown(f"option of {bare}", key, {*config.model_fields, *_OURS} - {"id"})
    try:
        taskset = vf.load_taskset(config.model_validate({**settings, "id": ident}))
        if vf.environment_class(ident) is not vf.SingleAgentEnv:
            raise UsageError(f"{bare} cannot be a domain: it plays its tasks itself. {_SINGLE}")
        if taskset.toolsets(taskset.config):
            raise UsageError(f"{bare} cannot be a domain: it has tools. {_SINGLE}")
        tasks = list(islice(taskset, _MOST))
    except UsageError:
        raise
    except Exception as error:
        said = one_line(str(error), 300)
        raise UsageError(
            f"{bare} cannot load its tasks: {type(error).__name__}: {said}. Give other options, or "
            "mend the environment."
        ) from error
    if not tasks:
        raise UsageError(f"{bare} has no tasks. Give other options, or another environment.")
    return tasks


def _unusable(bare: str, error: Exception) -> str:
    module = bare.removeprefix("verifiers/").replace("-", "_").lower()
    try:
        older = hasattr(import_module(module), "load_environment")
    except Exception:  # noqa: BLE001 - foreign code; what it said first is said
        older = False
    if older:
        return (
            f"{bare} has load_environment, as verifiers before 0.4 asked for, and no taskset. "
            "Install a version of it that exports its Taskset in `__all__`."
        )
    return (
        f"{bare} is no environment that can be loaded: {type(error).__name__}: "
        f"{one_line(str(error), 200)} Install its package, which exports a Taskset in `__all__`."
    )


def _refused(task: Any) -> str:
    """Why a task cannot be judged by one response; empty if it can."""
    vf = _api()
    data, kind = task.data, type(task)
    messages = [] if isinstance(data.prompt, str) else list(data.prompt or [])
    roles = [message.role for message in messages]
    needs_box = task.NEEDS_CONTAINER or data.image or data.skills or data.artifacts
    prepares = any(getattr(kind, n) is not getattr(vf.Task, n) for n in ("setup", "finalize"))
    checks = (
        (task.toolsets(task.config), "it has tools"),
        (data.prompt is None, "the model has to be spoken to by a user that it plays"),
        (messages and (roles[-1] != "user" or roles.count("user") > 1), "it has several turns"),
        (any(not isinstance(m.content, str) for m in messages), "it shows more than text"),
        (needs_box or prepares, "it needs a container or prepares one"),
        (task.plugged_judges(), "a judging LM scores it"),
        (any(map(_needs_runtime, task.hooks("reward"))), "its rewards look into a container"),
        (not task.hooks("reward"), "it has no rewards"),
    )
    return next((why for holds, why in checks if holds), "")


def _needs_runtime(reward: Any) -> bool:
    parameter = inspect.signature(reward).parameters.get("runtime")
    return parameter is not None and parameter.default is inspect.Parameter.empty


def _prompt(task: Any) -> str:
    """The question, under what the environment says as a system."""
    return "\n\n".join(filter(None, (task.data.system_prompt, task.data.prompt_text)))


def _field(bare: str, task: Any, options: Mapping[str, str]) -> str:
    """The field of the right answer."""
    fields = {*type(task.data).model_fields, *(task.data.model_extra or {})}
    given = options.get("answer")
    if given is not None and given not in fields:
        raise unknown(f"field of the tasks of {bare}", given, fields)
    found = given or next((name for name in _ANSWERS if name in fields), "")
    if not found:
        raise UsageError(
            f"{bare} does not say which field of its tasks holds the right answer. Give "
            f"{bare}?answer=FIELD; there are {', '.join(sorted(fields))}."
        )
    return found


@dataclass(frozen=True, slots=True)
class Rewarded:
    """The rewards of an environment's tasks, as a verifier of rows."""

    name: str
    tasks: Mapping[str, Any]
    """By prompt."""
    field: str
    form: str
    code: str = ""
    """Its environment has a version of its own."""

    def of(self, task: Any) -> str:
        """The right answer of a task, empty if it has none."""
        return str(getattr(task.data, self.field, None) or "")

    def answer(self, item: DataItem) -> str:
        if not item.answer:
            raise ValueError("is empty")
        return item.answer

    def solution(self, item: DataItem) -> str:
        return self.form.format(answer=self.answer(item))

    def judge(self, item: DataItem, response: str, level: FeedbackLevel) -> Verdict:
        """The share of the solution's reward; rewards that raise give none."""
        task = self.tasks.get(item.prompt)
        most = reward_of(task, self.solution(item)) if task is not None else 0.0
        found = reward_of(task, response) if most > 0 else 0.0
        score = min(1.0, max(0.0, found / most)) if most > 0 else 0.0
        return scored(score, item.answer, level)


def _rewarded(bare: str, tasks: list[Any], field: str, form: str) -> Rewarded:
    """The verifier, with the form of an answer that earns most."""
    by_prompt = {_prompt(task): task for task in tasks}
    if form and "{answer}" not in form:
        raise UsageError(f"The form {printable(form, 80)!r} of {bare} has no {{answer}} in it.")
    forms = [form.replace("{answer}", "\0").replace("{", "{{").replace("}", "}}")] if form else []
    forms = [text.replace("\0", "{answer}") for text in forms] or [*_FORMS]
    ways = [Rewarded(bare, by_prompt, field, each) for each in forms]

    def earned(way: Rewarded) -> float:
        tried = [task for task in tasks if way.of(task)][:_TRIED]
        return sum(reward_of(task, way.form.format(answer=way.of(task))) for task in tried)

    best = max(ways, key=earned)
    if earned(best) <= 0:
        raise UsageError(
            f"The rewards of {bare} give nothing for the answers in the field {field!r}. Give the "
            f"form of a right response, as in {bare}?form=<final>{{answer}}</final>, or another "
            "?answer=FIELD."
        )
    return best


def reward_of(task: Any, response: str) -> float:
    """The reward that a task gives the one response to it; 0 if judging raises."""
    vf = _api()
    prompt = vf.UserMessage(content=task.data.prompt_text)
    reply = vf.AssistantMessage(content=response)
    trace = vf.Trace(
        task=vf.TraceTask(type=type(task).__name__, data=task.data),
        agent=vf.AgentInfo(config=vf.AgentConfig()),
        nodes=[
            vf.MessageNode(message=prompt),
            vf.MessageNode(message=reply, parent=0, sampled=True),
        ],
        is_completed=True,
        ok=True,
    )
    try:
        # This thread may be inside a loop, as a notebook's is, and then cannot run another.
        with ThreadPoolExecutor(1) as other:
            other.submit(asyncio.run, task.score(trace)).result()
    except Exception:  # noqa: BLE001 - foreign code, and hostile text
        return 0.0
    return float(trace.reward)


def _origin(bare: str) -> tuple[str, bytes]:
    """The package with its version, and a hash of its code."""
    module = _api().import_taskset(bare.removeprefix("verifiers/"))
    top = module.__name__.partition(".")[0]
    owners = metadata.packages_distributions().get(top, [])
    package = f"{owners[0]} {metadata.version(owners[0])}" if owners else top
    home = Path(module.__file__ or "")
    files = sorted(home.parent.rglob("*.py")) if home.name == "__init__.py" else [home]
    code = hashlib.sha256(metadata.version("verifiers").encode())
    for file in files:
        code.update(file.read_bytes())
    return package, code.digest()
