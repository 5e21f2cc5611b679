"""`cl-bench doctor`: whether the default run can work on this machine, and what would stop it.

It looks and tries, in seconds and without network: versions against the ranges that cl-bench's own
metadata require, device, threads, memory, disk, the embedded model. A trial runs two real steps.
"""

from __future__ import annotations

import os
import platform
import resource
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from cl_bench.contract.text import one_line, printable
from cl_bench.execution import machine

PACKAGES = (
    *("torch", "transformers", "trl", "gepa", "peft", "datasets", "numpy", "pandas", "pyarrow"),
    *("accelerate", "evaluate", "matplotlib", "rich", "typer"),
)
MEMORY_NEEDED = 2**30
"""Bytes; the trial was seen to take 0.7 GiB."""
DISK_NEEDED = 2**28
"""Bytes; a run holds two checkpoints of 11 MB at a time, and its tables."""

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, what to type, and whether the default run cannot work because of it."""

    what: str
    remedy: str
    stops: bool = True


@dataclass(frozen=True)
class Report:
    """Facts by section, then by name, and the problems among them."""

    facts: dict[str, Facts] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def works(self) -> bool:
        """Whether the default run can work."""
        return not any(problem.stops for problem in self.problems)

    def data(self) -> dict[str, Any]:
        """Everything as plain data, for machines."""
        return {
            "works": self.works,
            "facts": self.facts,
            "problems": [asdict(problem) for problem in self.problems],
        }

    def text(self) -> str:
        """Everything as lines, for people."""
        lines = []
        for section, facts in self.facts.items():
            lines.append(f"{section}:")
            lines += [f"  {name:<26} {_shown(value)}" for name, value in facts.items()]
        for problem in self.problems:
            kind = "problem" if problem.stops else "note"
            lines.append(f"{kind}: {printable(problem.what)} → {printable(problem.remedy)}")
        verdict = "can work" if self.works else "cannot work until the problems above are mended"
        lines.append(f"The default run (cl-bench run) {verdict}.")
        return "\n".join(lines)


def examine(results: Path = Path("results"), *, trial: bool = False) -> Report:
    """Look at everything; a check that itself fails is a problem, never an exception.

    `results` is where runs go. With `trial`, two steps of the default run are made and timed.
    """
    report = Report()
    checks: Mapping[str, Callable[[], tuple[Facts, list[Problem]]]] = {
        "versions": _versions,
        "extras": _extras,
        "machine": _machine,
        "device": _device,
        "disk": lambda: _disk(results),
        "hub": _hub,
        "named models": _named,
        "embedded model": _embedded,
        "the default run": lambda: _default_run(trial),
    }
    for section, check in checks.items():
        try:
            facts, problems = check()
        except Exception as error:  # noqa: BLE001 - a broken installation can raise anything
            said = one_line(f"{type(error).__name__}: {error}", 300)
            facts, problems = {}, [Problem(f"{section}: {said}", _REINSTALL)]
        report.facts[section] = facts
        report.problems.extend(problems)
    return report


_REINSTALL = "pip install --force-reinstall cl-bench"


def _versions() -> tuple[Facts, list[Problem]]:
    facts: Facts = {"python": platform.python_version(), "cl-bench": version("cl-bench")}
    problems = []
    required = {item.name: item for item in _requirements() if item.marker is None}
    for name in sorted({*PACKAGES, *required}, key=[*PACKAGES, *sorted(required)].index):
        found = _installed(name)
        facts[name] = found or "missing"
        wanted = required.get(name)
        if wanted and (found is None or not wanted.specifier.contains(found, prereleases=True)):
            what = f"{name} is {found or 'missing'}, but cl-bench needs {wanted.specifier}"
            problems.append(Problem(what, f"pip install '{wanted}'"))
    return facts, problems


def _extras() -> tuple[Facts, list[Problem]]:
    """Which optional groups of packages are complete; those that are not are no problem."""
    groups: dict[str, list[str]] = {}
    for item in _requirements():
        for extra in _extras_of(item):
            groups.setdefault(extra, []).append(item.name)
    facts: Facts = {}
    for extra, names in sorted(groups.items()):
        missing = [name for name in names if name != "cl-bench" and _installed(name) is None]
        facts[extra] = f"missing {', '.join(missing)}" if missing else "present"
    return facts, []


def _extras_of(item: Requirement) -> Iterator[str]:
    from importlib.metadata import metadata

    for extra in metadata("cl-bench").get_all("Provides-Extra") or ():
        if item.marker and item.marker.evaluate({"extra": extra}):
            yield extra


def _machine() -> tuple[Facts, list[Problem]]:
    import psutil

    memory = psutil.virtual_memory()
    limit = machine.cgroup_memory()
    available = min(memory.available, limit) if limit else memory.available
    facts: Facts = {
        "platform": platform.platform(),
        "CPU": machine.cpu_model(),
        "cores usable": machine.cores(),
        "cores by cgroup limit": machine.cgroup_cores() or "no limit",
        "memory": _gigabytes(memory.total),
        "memory available": _gigabytes(available),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "not set"),
    }
    if available < MEMORY_NEEDED:
        what = (
            f"{_gigabytes(available)} of memory are free, a run needs {_gigabytes(MEMORY_NEEDED)}"
        )
        return facts, [Problem(what, "close other programs, or take a larger machine")]
    return facts, []


def _device() -> tuple[Facts, list[Problem]]:
    import torch

    facts: Facts = {
        "torch threads": torch.get_num_threads(),
        "CUDA build": torch.version.cuda or "none (CPU build)",
    }
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    facts["GPUs"] = gpus
    for number in range(gpus):
        gpu = torch.cuda.get_device_properties(number)
        facts[f"GPU {number}"] = f"{gpu.name}, {_gigabytes(gpu.total_memory)}"
    cores = min(machine.cores(), int(machine.cgroup_cores() or machine.cores()) or 1)
    if torch.get_num_threads() > cores:
        what = f"torch would use {torch.get_num_threads()} threads on {cores} cores and be slow"
        return facts, [Problem(what, f"export OMP_NUM_THREADS={cores}", stops=False)]
    return facts, []


def _disk(results: Path) -> tuple[Facts, list[Problem]]:
    home = results if results.exists() else Path.cwd()
    free = shutil.disk_usage(home).free
    facts: Facts = {"runs go to": str(results.absolute()), "free": _gigabytes(free)}
    if not home.is_dir() or not os.access(home, os.W_OK | os.X_OK):
        what = f"{home} is no folder that you may write to"
        return facts, [Problem(what, "cl-bench run --out FOLDER_OF_YOURS/NAME")]
    if free < DISK_NEEDED:
        what = f"{_gigabytes(free)} of disk are free, a run needs {_gigabytes(DISK_NEEDED)}"
        return facts, [Problem(what, "free some space, or give another --out")]
    return facts, []


def _hub() -> tuple[Facts, list[Problem]]:
    from huggingface_hub import constants

    return {
        "HF_HOME": constants.HF_HOME,
        "offline": bool(constants.HF_HUB_OFFLINE),
    }, []


def _named() -> tuple[Facts, list[Problem]]:
    """Which models with a short name are here, and whether the others can be fetched."""
    from cl_bench.model.fetching import cache_folder
    from cl_bench.model.named import MODELS

    facts: Facts = {
        "fetched ones go to": str(cache_folder()),
        "pip": _installed("pip") or "missing",
    }
    for name, model in MODELS.items():
        facts[name] = "present" if model.present() else f"not here: cl-bench model get {name}"
    return facts, []


def _embedded() -> tuple[Facts, list[Problem]]:
    """Load the shipped model and try it: a damaged one does not load, or answers nothing."""
    from cl_bench.contract.prompts import SEED_PROMPT, chat
    from cl_bench.model.named import EMBEDDED_FOLDER
    from cl_bench.model.policy import Policy
    from cl_bench.store.files import file_hash

    weights = EMBEDDED_FOLDER / "model.safetensors"
    if not weights.exists():
        return {"weights": "missing"}, [Problem(f"{weights} is missing", _REINSTALL)]
    policy = Policy.load(str(EMBEDDED_FOLDER))
    reply = policy.generate([chat(SEED_PROMPT, "math : one f : 4")], max_new_tokens=4)[0]
    return {
        "weights": str(weights),
        "SHA-256": file_hash(weights),
        "parameters": sum(parameter.numel() for parameter in policy.model.parameters()),
        "context": policy.context,
        "generates": bool(reply.completion_ids),
    }, []


def _default_run(trial: bool) -> tuple[Facts, list[Problem]]:
    import torch

    facts: Facts = {
        "command": "cl-bench run --stream math-to-code --learner fst --model embedded",
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
    }
    return facts | (_trial() if trial else {}), []


def _trial() -> Facts:
    """Two steps of the default run in a temporary folder: what they took."""
    from tempfile import TemporaryDirectory

    from cl_bench.api import run

    with TemporaryDirectory() as folder:
        done = run(
            "math",
            steps=2,
            eval_every=2,
            items=4,
            retention_items=0,
            out=Path(folder) / "trial",
        )
        steps, timing = done.table("steps"), done.table("timing")
    seconds = timing.groupby("phase")["seconds"].sum()
    return {
        "trial": "two steps, with one round of the prompt optimiser",
        "seconds to load": round(float(seconds["load"]), 1),
        "seconds of RL per step": round(float(steps["seconds"].iloc[-1]), 2),
        "seconds of both steps": round(float(seconds["learn"]), 2),
        "peak memory": _gigabytes(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss),
    }


def _requirements() -> list[Requirement]:
    return [Requirement(line) for line in requires("cl-bench") or ()]


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _gigabytes(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"


def _shown(value: object) -> str:
    return printable(str(value), 200)
