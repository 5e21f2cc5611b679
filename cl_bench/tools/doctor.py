"""`cl-bench doctor`: whether the default run can work on this machine, and what would stop it.

It looks and tries, in seconds and without network: versions against the ranges that cl-bench's own
metadata require, device, threads, memory, disk, the embedded model. A trial runs two real steps.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement

from cl_bench.contract.errors import POSIX, ClBenchError
from cl_bench.contract.registry import DEFAULT_LEARNER
from cl_bench.contract.text import one_line, printable
from cl_bench.execution import machine
from cl_bench.metrics.quantities import BYTES, COUNT

if TYPE_CHECKING:
    from cl_bench.api import Asked

PACKAGES = (
    *("torch", "transformers", "trl", "gepa", "peft", "datasets", "numpy", "pandas", "pyarrow"),
    *("accelerate", "evaluate", "matplotlib", "rich", "typer"),
)
MEMORY_NEEDED = 10**9
"""Bytes; the trial was seen to take 0.8 GB."""
DISK_NEEDED = 250 * 10**6
"""Bytes; a run holds two checkpoints of 11 MB at a time, and its tables."""

_REINSTALL = "pip install --force-reinstall cl-bench"


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault of the machine: its remedy, and whether the default run cannot work because of it."""

    what: str
    remedy: str
    stops: bool = True


Finding = tuple[str, Any] | Trouble
"""A fact by its name, or what is wrong."""


@dataclass(frozen=True)
class Diagnosis:
    """Facts by section, then by name, and the troubles among them."""

    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: list[Trouble] = field(default_factory=list)
    subject: str = "The default run (cl-bench run)"
    """The run that can work or not."""

    @property
    def works(self) -> bool:
        """Whether the default run can work."""
        return not any(problem.stops for problem in self.problems)

    def data(self) -> dict[str, Any]:
        """Everything as plain data, for machines."""
        return {"works": self.works, "facts": self.facts, "problems": [*map(asdict, self.problems)]}

    def text(self) -> str:
        """Everything as lines, for people."""
        lines = []
        for section, facts in self.facts.items():
            lines.append(f"{section}:")
            lines += [f"  {name:<26} {_said(it)}" for name, it in facts.items()]
        for problem in self.problems:
            kind = "problem" if problem.stops else "note"
            lines.append(f"{kind}: {printable(problem.what)} → {printable(problem.remedy)}")
        verdict = "can work" if self.works else "cannot work until the problems above are mended"
        lines.append(f"{self.subject} {verdict}.")
        return "\n".join(lines)


def _said(fact: object) -> str:
    if isinstance(fact, bool):
        return "yes" if fact else "no"
    return COUNT.text(fact) if isinstance(fact, int) else printable(str(fact), 200)


def examine(
    results: Path = Path("results"), *, trial: bool = False, asked: Asked | None = None
) -> Diagnosis:
    """Look at everything; a check that itself fails is a problem, never an exception.

    `results` is where runs go. With `trial`, two steps of the default run are made and timed.
    `asked` is a run whose memory and time are estimated, with its model loaded.
    """
    found = Diagnosis() if asked is None else Diagnosis(subject="The run asked for")
    checks: dict[str, Iterator[Finding]] = {
        "versions": _versions(),
        "extras": _extras(),
        "machine": _machine(),
        "device": _device(),
        "disk": _disk(results),
        "hub": _hub(),
        "named models": _named(),
        "embedded model": _embedded(),
        "the default run": _default_run(trial),
    }
    if asked is not None:
        checks["the run asked for"] = _asked_for(asked)
    for section, findings in checks.items():
        facts = found.facts[section] = {}
        try:
            for finding in findings:
                if isinstance(finding, Trouble):
                    found.problems.append(finding)
                else:
                    facts[finding[0]] = finding[1]
        except Exception as error:  # noqa: BLE001 - a broken installation can raise anything
            said = one_line(f"{type(error).__name__}: {error}", 300)
            found.problems.append(Trouble(f"{section}: {said}", _REINSTALL))
    return found


def _versions() -> Iterator[Finding]:
    yield "python", platform.python_version()
    yield "cl-bench", version("cl-bench")
    required = {item.name: item for item in _requirements() if item.marker is None}
    for name in dict.fromkeys([*PACKAGES, *sorted(required)]):
        found, wanted = _installed(name), required.get(name)
        yield name, found or "missing"
        if wanted and (found is None or not wanted.specifier.contains(found, prereleases=True)):
            what = f"{name} is {found or 'missing'}, but cl-bench needs {wanted.specifier}"
            yield Trouble(what, f"pip install '{wanted}'")


def _extras() -> Iterator[Finding]:
    """Yield which optional groups of packages are complete; a missing one is not a problem."""
    for extra in sorted(metadata("cl-bench").get_all("Provides-Extra") or ()):
        names = [
            item.name
            for item in _requirements()
            if item.marker and item.marker.evaluate({"extra": extra})
        ]
        missing = [name for name in names if name != "cl-bench" and _installed(name) is None]
        if names:
            yield extra, f"missing {', '.join(missing)}" if missing else "present"


def _machine() -> Iterator[Finding]:
    import psutil

    available = machine.free_memory()
    yield "platform", platform.platform()
    if not POSIX:
        yield Trouble("runs are made on Linux and macOS", "use the Subsystem for Linux (WSL)")
    yield "CPU", machine.cpu_model()
    yield "cores usable", machine.cores()
    yield "cores by cgroup limit", machine.cgroup_cores() or "no limit"
    yield "memory", BYTES.text(psutil.virtual_memory().total)
    yield "memory available", BYTES.text(available)
    yield "OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "not set")
    if available < MEMORY_NEEDED:
        needed = BYTES.text(MEMORY_NEEDED)
        what = f"{BYTES.text(available)} of memory are free, a run needs {needed}"
        yield Trouble(what, "close other programs, or take a larger machine")


def _device() -> Iterator[Finding]:
    import torch

    yield "torch threads", torch.get_num_threads()
    yield "CUDA build", torch.version.cuda or "none (CPU build)"
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    yield "GPUs", gpus
    for number in range(gpus):
        gpu = torch.cuda.get_device_properties(number)
        yield f"GPU {number}", f"{gpu.name}, {BYTES.text(gpu.total_memory)}"
    cores = min(machine.cores(), int(machine.cgroup_cores() or machine.cores()) or 1)
    if torch.get_num_threads() > cores:
        what = f"torch would use {torch.get_num_threads()} threads on {cores} cores and be slow"
        yield Trouble(what, f"export OMP_NUM_THREADS={cores}", stops=False)


def _disk(results: Path) -> Iterator[Finding]:
    home = results if results.exists() else Path.cwd()
    free = shutil.disk_usage(home).free
    yield "runs go to", str(results.absolute())
    yield "free", BYTES.text(free)
    if not home.is_dir() or not os.access(home, os.W_OK | os.X_OK):
        what = f"{home} is not a folder that you may write to"
        yield Trouble(what, "cl-bench run --out FOLDER_OF_YOURS/NAME")
    elif free < DISK_NEEDED:
        what = f"{BYTES.text(free)} of disk are free, a run needs {BYTES.text(DISK_NEEDED)}"
        yield Trouble(what, "free some space, or give another --out")


def _hub() -> Iterator[Finding]:
    from huggingface_hub import constants

    yield "HF_HOME", constants.HF_HOME
    yield "offline", bool(constants.HF_HUB_OFFLINE)


def _named() -> Iterator[Finding]:
    """Yield which models with a short name are here, and whether the others can be fetched."""
    from cl_bench.model.named import MODELS
    from cl_bench.store.files import cache_folder

    yield "fetched ones go to", str(cache_folder())
    yield "pip", _installed("pip") or "missing"
    for name, model in MODELS.items():
        yield name, "present" if model.present() else f"not here: cl-bench model get {name}"


def _embedded() -> Iterator[Finding]:
    """Load the shipped model and try it: a damaged one does not load, or answers nothing."""
    from cl_bench.contract.prompts import SEED_PROMPT, chat
    from cl_bench.model.named import EMBEDDED_FOLDER
    from cl_bench.model.policy import Policy
    from cl_bench.store.files import file_hash

    weights = EMBEDDED_FOLDER / "model.safetensors"
    if not weights.exists():
        yield "weights", "missing"
        yield Trouble(f"{weights} is missing", _REINSTALL)
        return
    policy = Policy.load(str(EMBEDDED_FOLDER))
    reply = policy.generate([chat(SEED_PROMPT, "math : one f : 4")], max_new_tokens=4)[0]
    yield "weights", str(weights)
    yield "SHA-256", file_hash(weights)
    yield "parameters", sum(parameter.numel() for parameter in policy.model.parameters())
    yield "context", policy.context
    yield "generates", bool(reply.completion_ids)


def _default_run(trial: bool) -> Iterator[Finding]:
    import torch

    learner = f"--learner {DEFAULT_LEARNER}"
    yield "command", f"cl-bench run --stream math-to-code {learner} --model embedded"
    yield "device", "cuda" if torch.cuda.is_available() else "cpu"
    yield "threads", torch.get_num_threads()
    if trial:
        yield from _trial()


def _asked_for(asked: Asked) -> Iterator[Finding]:
    """Yield what a run needs and how long it takes, or why it cannot be made as asked."""
    try:
        yield from _needs(asked)
    except ClBenchError as error:
        yield Trouble(one_line(str(error), 500), "give the run other options")


def _needs(asked: Asked) -> Iterator[Finding]:
    from cl_bench.execution.requirements import calibrate, memory_before, times_of
    from cl_bench.execution.runner import load_policy

    config, stream = asked.config, asked.stream
    yield "learner and model", f"{config.learner}, {config.model}"
    found, advice = memory_before(config, stream)
    yield from found.table()
    if not found.fits:
        what = f"the run needs about {BYTES.text(found.peak)}, of which {BYTES.text(found.free)} "
        yield Trouble(f"{what}are there", f"it would fit with {'; or '.join(advice)}")
        return
    policy = load_policy(config, config.threads)
    times = times_of(config, stream, calibrate(policy, config, stream))
    yield from times.table()
    peak = machine.peak_memory()
    yield "peak of this calibration", "not known here" if peak is None else BYTES.text(peak)


def _trial() -> Iterator[Finding]:
    """Time and memory of two steps of the default run, made in a temporary folder."""
    from tempfile import TemporaryDirectory

    from cl_bench.api import run

    with TemporaryDirectory() as folder:
        out = Path(folder) / "trial"
        done = run(
            "math", steps=2, eval_every=2, items=4, retention_items=0, out=out, progress=False
        )
        steps, timing = done.table("steps"), done.table("timing")
    seconds = timing.groupby("phase")["seconds"].sum()
    yield "trial", "two steps, with one round of the prompt optimiser"
    yield "seconds to load", round(float(seconds["load"]), 1)
    yield "seconds of RL per step", round(float(steps["seconds"].iloc[-1]), 2)
    yield "seconds of both steps", round(float(seconds["learn"]), 2)
    peak = machine.peak_memory()
    yield "peak memory", "not known here" if peak is None else BYTES.text(peak)


def _requirements() -> list[Requirement]:
    return [Requirement(line) for line in requires("cl-bench") or ()]


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
