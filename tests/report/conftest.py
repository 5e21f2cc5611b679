"""A run of known numbers for the tests of reports, without items, prompts and probes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cl_bench.store.run_directory import RunDirectory
from tests.report.synthetic_runs import write_run


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., RunDirectory]:
    """Builds a run directory: `make_run(stages, accuracy, …)`, with fields of `Synthetic`."""

    def make(stages: Any, accuracy: Any, **fields: Any) -> RunDirectory:
        bare: dict[str, Any] = {"seed": 3, "items": 0, "probes": False, "texts": ()}
        spec = bare | {"stages": tuple(stages), "accuracy": accuracy} | fields
        return RunDirectory.open(write_run(tmp_path / "run", **spec))

    return make
