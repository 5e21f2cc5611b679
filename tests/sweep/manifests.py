"""Manifests of runs that were never made."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from cl_bench.api import resolve
from cl_bench.model import named
from cl_bench.model.loading import locate
from cl_bench.sweep.cell import Cell


def manifest_of(cell: Cell, folder: Path, status: str) -> dict[str, Any]:
    """Return what the run of a cell that starts from no other would record now."""
    arguments = cell.arguments(folder)
    del arguments["out"]
    asked = resolve(**arguments)
    return {
        "status": status,
        "stream": asked.stream.describe(),
        "config": asdict(asked.config),
        "model_files": locate(named.resolve(cell.model)).hashes(),
    }
