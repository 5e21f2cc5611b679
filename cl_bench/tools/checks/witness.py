"""A second process that draws a domain's problems: `python -m cl_bench.tools.checks.witness`.

It gets the place of the domain as JSON on standard input, with other hashes of strings than the
first process, and prints the problems as JSON on its last line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from cl_bench.contract.errors import ClBenchError
from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.task import SPLITS, Domain, Referenced

Drawn = dict[str, list[dict[str, str]]]
_SECONDS = 300
SEEDS = (0, 1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a domain can be found again: the variable of a module, or a name of the registry."""

    module: str = ""
    file: str = ""
    attribute: str = ""
    name: str = ""


class WitnessError(Exception):
    """The second process did not get as far as drawing problems."""


def place_of(domain: Domain) -> Place | None:
    """Return the place at which another process finds `domain`, or None if it cannot.

    That is the module variable that holds it, its class's own module first, or the name by which
    the registry makes it.
    """
    return _variable(domain) or _registered(domain)


def _variable(domain: Domain) -> Place | None:
    home = sys.modules.get(type(domain).__module__)
    for module in (home, *list(sys.modules.values())):
        file = getattr(module, "__file__", None) if isinstance(module, ModuleType) else None
        if module is None or file is None:
            continue
        for attribute, value in list(vars(module).items()):
            if value is domain:
                return Place(module.__name__, str(Path(file).resolve()), attribute)
    return None


def _registered(domain: Domain) -> Place | None:
    name = domain.reference if isinstance(domain, Referenced) else domain.name
    try:
        return Place(name=name) if DOMAINS.load(name) is domain else None
    except ClBenchError:
        return None


def drawn(domain: Domain, count: int) -> Drawn:
    """The first `count` problems of every seed, setting and split, as plain data."""
    return {
        f"{split} problems of setting {setting!r}, seed {seed}": [
            asdict(problem)
            for problem in domain.task(seed=seed, setting=setting, feedback="step").problems(
                split, count
            )
        ]
        for seed in SEEDS
        for setting in domain.settings
        for split in SPLITS
    }


def drawn_elsewhere(place: Place, count: int) -> Drawn:
    """The result of `drawn` in another process; `WitnessError` if that process fails."""
    own = os.environ.get("PYTHONHASHSEED")
    environment = os.environ | {
        "PYTHONHASHSEED": "2" if own == "1" else "1",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    done = subprocess.run(
        [sys.executable, "-P", "-m", "cl_bench.tools.checks.witness"],
        input=json.dumps({**asdict(place), "count": count}),
        capture_output=True,
        text=True,
        env=environment,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode:
        raise WitnessError(_last_line(done.stderr) or f"exit code {done.returncode}")
    result: Drawn = json.loads(_last_line(done.stdout))
    return result


def _last_line(text: str) -> str:
    return next(iter(reversed(text.strip().splitlines())), "")


def _load(place: Place) -> Domain:
    if place.name:
        return DOMAINS.load(place.name)
    domain: Domain = getattr(_module(place), place.attribute)
    return domain


def _module(place: Place) -> ModuleType:
    """The module by its name if that leads to the same file, else by the file."""
    if place.module != "__main__" and _origin(place.module) == place.file:
        return import_module(place.module)
    name = "__witnessed__" if place.module == "__main__" else place.module
    spec = spec_from_file_location(name, place.file)
    if spec is None or spec.loader is None:
        raise WitnessError(f"{place.file} cannot be imported")
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _origin(name: str) -> str | None:
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return None
    return str(Path(spec.origin).resolve()) if spec and spec.origin else None


def main() -> None:
    """Read a place, print its domain's problems."""
    asked = json.loads(sys.stdin.read())
    count = asked.pop("count")
    problems = drawn(_load(Place(**asked)), count)
    print("\n" + json.dumps(problems), flush=True)


if __name__ == "__main__":
    main()
    os._exit(0)  # threads of a data set's libraries may abort the process while it shuts down
