"""What a resumed run must find as it was: model, versions, device, threads.

A run's numbers depend on all of them. A resume takes the recorded number of threads by itself and
refuses any other difference, because rows made under two of them belong to no single run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from cl_bench.contract.errors import OtherSoftwareError, RunDirectoryError
from cl_bench.contract.registry import DOMAINS
from cl_bench.execution.provenance import file_hashes
from cl_bench.fast.reflection.spec import ReflectionLM
from cl_bench.model import resolve
from cl_bench.model.policy import Policy


def identity(model: str, lm: ReflectionLM, policy: Policy) -> dict[str, Any]:
    """What names the models for good (hashes of a folder's files or of a GGUF file, a hub model's
    revision), and where the run takes place."""
    return {
        "model_files": file_hashes(Path(resolve(model))),
        "reflection_files": file_hashes(Path(resolve(lm.name))) if lm.kind == "local" else {},
        "model_revision": getattr(policy.model.config, "_commit_hash", None),
        "device": policy.device.type,
        "engine": policy.sampler.engine,
        "threads": torch.get_num_threads(),
    }


def require_same_model(manifest: Mapping[str, Any], found: Mapping[str, Any], path: Path) -> None:
    """Raise `RunDirectoryError` if the model or the device is not the one the run began with."""
    for name in ("model_files", "model_revision", "reflection_files"):
        if manifest[name] != found[name]:
            raise RunDirectoryError(
                f"A model of the run in {path} has changed since it began ({name} differ). "
                "Give it back its files, or start a new run with another --out."
            )
    for name in ("device", "engine"):
        if manifest[name] != found[name]:
            raise RunDirectoryError(
                f"The run in {path} began with {name} {manifest[name]!r}, and here it would go on "
                f"with {found[name]!r}, which gives other numbers. Resume it where it began, or "
                "start a new run with another --out."
            )


def require_same_software(manifest: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> None:
    """Raise `OtherSoftwareError` if versions differ: of packages, Python, cl-bench or a domain.

    `now` is what `provenance()` says.
    """
    began = manifest["provenance"]
    pairs = {name: (began["packages"].get(name), v) for name, v in now["packages"].items()}
    others = {"cl_bench": "cl-bench", "python": "Python", "source_hash": "code"}
    for name, label in others.items():
        pairs[label] = (began[name], now[name])
    stream = manifest["stream"]
    for one in (*stream["stages"], *stream["retention"]):
        domain = DOMAINS.load(one.get("source") or one["domain"])
        pairs[f"domain {one['domain']}"] = (one["domain_version"], domain.version)
    differing = [f"{n} {old} (now {new})" for n, (old, new) in pairs.items() if old != new]
    if differing:
        raise OtherSoftwareError(
            f"The run in {path} began with other versions: {', '.join(differing)}. Install those "
            "to go on with it, or start a new run with another --out."
        )
