"""Tasks of lm-evaluation-harness as benchmarks: `lm_eval:ifeval`, `lm_eval:my_task.yaml`.

They measure what a model keeps, and no stream trains on them. The harness draws examples, writes
the requests with the model's chat template, filters responses and scores them, all as its task
says; the policy answers. Options follow a question mark: `fewshot=5`, `metric=acc_norm`.

The accuracy is the mean of the task's first metric that is a mean over items and better when
higher, after its first filter. A group's items are taken from its tasks in turn.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from cl_bench.contract.benchmark import BENCHMARK_MARK, BenchmarkItem, TextModel
from cl_bench.contract.errors import ClBenchError, UsageError, did_you_mean, unknown
from cl_bench.contract.task import FeedbackLevel
from cl_bench.contract.text import one_line, printable

__all__ = ["NAMES", "HarnessBenchmark", "known", "load"]

NAMES = ()
"""The harness has some fifteen thousand; they are not listed."""
_PREFIX = f"lm_eval{BENCHMARK_MARK}"
_VERSION = "1"
"""Of what is done here: the choice of items and of the metric, the requests' template."""
_OPTIONS = ("fewshot", "metric")
_SUPPORTED = ("generate_until", "multiple_choice", "loglikelihood")
_PLACES = ("dataset_path", "dataset_kwargs", "metadata")
"""Parts of a task's configuration that say where things lie, not what is asked."""


def known(name: str) -> bool:
    """Tell whether a name looks like one of these."""
    return name.startswith(_PREFIX) and len(name) > len(_PREFIX)


@cache
def load(name: str) -> HarnessBenchmark:
    """Return the benchmark of that name; whatever is wrong with it is a `UsageError`."""
    place, options = _parsed(name)
    path = Path(place)
    file = path.resolve() if path.suffix in (".yaml", ".yml") else None
    with quietly(name):
        title, leaves = _tasks(place, file)
        for leaf in leaves.values():
            _prepare(name, leaf, options)
    if not leaves:
        raise UsageError(f"{printable(name, 100)} holds no task. Name another.")
    given = "&".join(f"{key}={options[key]}" for key in sorted(options))
    ending = f"?{given}" if given else ""
    metrics = {leaf: _metric(name, task, options) for leaf, task in leaves.items()}
    return HarnessBenchmark(
        name=f"{_PREFIX}{title}{ending}",
        version=_version(leaves, metrics),
        reference=f"{_PREFIX}{file or title}{ending}",
        temperature=max(_temperature(name, task) for task in leaves.values()),
        summary=_summary(leaves, metrics),
        tasks=leaves,
        metrics=metrics,
    )


@dataclass(frozen=True, eq=False)
class HarnessBenchmark:
    """One task of the harness, or the tasks of a group."""

    settings: ClassVar[Collection[str]] = ("default",)

    name: str
    version: str
    reference: str
    temperature: float
    summary: str
    tasks: Mapping[str, Any] = field(repr=False)
    """The harness's tasks by name."""
    metrics: Mapping[str, str] = field(repr=False)
    """By task, the metric that is its score."""

    def task(self, *, seed: int, setting: str, feedback: FeedbackLevel) -> NoReturn:
        raise UsageError(
            f"{self.name} can be evaluated and not trained on: name it in --retention, and another "
            "domain in the stream."
        )

    def measure(self, model: TextModel, count: int) -> list[BenchmarkItem]:
        from .answering import measured

        with quietly(self.name):
            return measured(self.tasks, self.metrics, _turns(self.tasks, count), model)


@contextlib.contextmanager
def quietly(name: str) -> Iterator[None]:
    """Keep what the harness prints and logs from the user, and make its errors `UsageError`."""
    logs = [logging.getLogger(each) for each in ("lm_eval", "datasets")]
    before = [log.level for log in logs]
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stderr(io.StringIO()),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            for log in logs:
                log.setLevel(logging.CRITICAL)
            yield
    except ClBenchError:
        raise
    except Exception as error:
        said = one_line(str(error), 200).rstrip(".") or type(error).__name__
        raise UsageError(
            f"{printable(name, 100)} cannot be used: {said} ({type(error).__name__}). Its data set "
            "has to be in the cache or within reach, and what it imports installed."
        ) from error
    finally:
        for log, level in zip(logs, before, strict=True):
            log.setLevel(level)


def _parsed(name: str) -> tuple[str, dict[str, str]]:
    """Return the task or file that a name gives, and its options."""
    place, _, text = name.removeprefix(_PREFIX).partition("?")
    options = dict(part.partition("=")[::2] for part in text.split("&") if part)
    for key in options:
        if key not in _OPTIONS:
            raise unknown(f"option of {_PREFIX}{place}", key, _OPTIONS)
    fewshot = options.get("fewshot", "0")
    if not (fewshot.isascii() and fewshot.isdecimal() and len(fewshot) < 4):
        raise UsageError(
            f"fewshot is {printable(repr(fewshot), 60)}, but must be a number of examples, such as "
            "fewshot=5."
        )
    return place, options


def _tasks(place: str, file: Path | None) -> tuple[str, dict[str, Any]]:
    """Return the name of what `place` names or a file holds, and its tasks by their names."""
    manager = _all_tasks() if file is None else _index(include_defaults=False, folder=file.parent)
    title = place if file is None else _declared(manager, file)
    if title not in manager.task_index:
        hint = did_you_mean(title, manager.all_tasks, prefix=_PREFIX, cutoff=0.7)
        raise UsageError(
            f"lm-evaluation-harness {_installed()} has no task {printable(title, 60)!r}.{hint} "
            "`lm-eval ls tasks` lists them; a task of your own is named by its file, as in "
            "lm_eval:my_task.yaml."
        )
    return title, dict(manager.load([title])["tasks"])


def _declared(manager: Any, file: Path) -> str:
    """Return the name of the task or group that a file declares."""
    for title, entry in manager.task_index.items():
        if entry.yaml_path is not None and entry.yaml_path.resolve() == file:
            return str(title)
    found = "declares no task of lm-evaluation-harness" if file.is_file() else "is no file"
    raise UsageError(f"{printable(str(file), 200)} {found}. Give another path.")


@cache
def _all_tasks() -> Any:
    """Return the harness's index of its own tasks, which takes seconds to make."""
    return _index(include_defaults=True)


def _index(*, include_defaults: bool, folder: Path | None = None) -> Any:
    try:
        from lm_eval.tasks import TaskManager
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        raise UsageError(
            f"Benchmarks called lm_eval:TASK need lm-evaluation-harness, and {missing!r} is not "
            "installed: `pip install 'cl-bench[lm-eval]'`."
        ) from error
    return TaskManager(include_path=folder, include_defaults=include_defaults)


def _installed() -> str:
    return metadata.version("lm_eval")


def _prepare(name: str, task: Any, options: Mapping[str, str]) -> None:
    """Set the number of examples; raise `UsageError` for a task that cannot be asked."""
    title = printable(str(task.task_name), 60)
    if task.OUTPUT_TYPE not in _SUPPORTED:
        raise UsageError(
            f"{name}: {title} measures by {task.OUTPUT_TYPE}, which gives no accuracy. Name a task "
            f"of another kind: {', '.join(_SUPPORTED)}."
        )
    if getattr(task, "UNSAFE_CODE", False):
        raise UsageError(f"{name}: {title} runs code that the model wrote. Name another task.")
    if getattr(task, "MULTIMODAL", False):
        raise UsageError(f"{name}: {title} shows pictures or sound. Name another task.")
    examples = options.get("fewshot")
    if examples is not None or task.get_config("num_fewshot") is None:
        task.set_config(key="num_fewshot", value=int(examples or 0))


def _temperature(name: str, task: Any) -> float:
    """Return the temperature that a task's responses are sampled at; 0 where it is greedy."""
    asked = task.get_config("generation_kwargs") or {}
    if task.OUTPUT_TYPE != "generate_until" or not asked.get("do_sample"):
        return 0.0
    for key, off in {"top_p": 1.0, "top_k": 0, "min_p": 0.0}.items():
        if asked.get(key, off) != off:
            raise UsageError(
                f"{name} samples with {key}={asked[key]}, but samplers here draw from the whole "
                "distribution. Name another task, or a file of your own with others."
            )
    return float(asked.get("temperature", 1.0))


def _metric(name: str, task: Any, options: Mapping[str, str]) -> str:
    """Return the metric that is a task's score: the one asked for, or its first that can be."""
    averaged = {
        metric
        for metric, how in task.aggregation().items()
        if getattr(how, "__name__", "") == "mean" and task.higher_is_better().get(metric)
    }
    usable = [metric for metric in task.aggregation() if metric in averaged]
    if not usable:
        raise UsageError(
            f"{name}: no metric of {task.task_name} is a mean over items that is better when "
            f"higher; it has {', '.join(task.aggregation())}. Name another task."
        )
    asked = options.get("metric", usable[0])
    if asked not in usable:
        raise unknown(f"metric of {task.task_name}", asked, usable)
    return str(asked)


def _version(tasks: Mapping[str, Any], metrics: Mapping[str, str]) -> str:
    """Changes with the harness, with what its tasks are told to do, and with their documents."""
    digest = hashlib.sha256()
    for name, task in tasks.items():
        told = {key: at for key, at in task.dump_config().items() if key not in _PLACES}
        digest.update(json.dumps([name, metrics[name], told], default=str).encode())
        for document in task.eval_docs:
            digest.update(json.dumps(document, default=str, sort_keys=True).encode())
    own = {str(task.VERSION) for task in tasks.values()}
    version = own.pop() if len(own) == 1 else "several"
    return f"{_VERSION}+{version}+lm_eval-{_installed()}+{digest.hexdigest()[:12]}"


def _summary(tasks: Mapping[str, Any], metrics: Mapping[str, str]) -> str:
    measured = ", ".join(sorted(set(metrics.values())))
    examples = sorted({int(task.get_config("num_fewshot") or 0) for task in tasks.values()})
    shown = " or ".join(map(str, examples))
    items = sum(len(task.eval_docs) for task in tasks.values())
    of = f"{len(tasks)} tasks, " if len(tasks) > 1 else ""
    return f"{of}{items} items, {shown} examples shown, scored by {measured} (lm_eval)"


def _turns(tasks: Mapping[str, Any], count: int) -> dict[str, list[int]]:
    """Return which documents of each task are asked: the first ones, from each task in turn."""
    left = {name: len(task.eval_docs) for name, task in tasks.items()}
    taken = dict.fromkeys(tasks, 0)
    while count > 0 and any(taken[name] < left[name] for name in tasks):
        for name in tasks:
            if count > 0 and taken[name] < left[name]:
                taken[name] += 1
                count -= 1
    return {name: list(range(number)) for name, number in taken.items() if number}
