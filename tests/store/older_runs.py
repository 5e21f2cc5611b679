"""Runs that earlier schema versions wrote."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parents[1] / "fixtures"


def older_run(version: int, folder: Path) -> Path:
    """The run of a schema version, unpacked into `folder`; what its own code said of it is beside
    it."""
    # Python 3.11.3 and older have no filters
    safely: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(FIXTURES / f"schema-{version}.tar.xz") as archive:
        archive.extractall(folder, **safely)
    return folder / "run"
