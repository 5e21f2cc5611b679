"""Runs that are held against themselves before they are held against others."""

from __future__ import annotations

from collections.abc import Iterable

from cl_bench.contract.errors import RunDirectoryError
from cl_bench.store.run_tables import RunTables
from cl_bench.verify.run import verify_run


def require_verified(runs: Iterable[RunTables]) -> None:
    """Raise `RunDirectoryError` for the first run whose tables or manifest have findings."""
    for run in runs:
        report = verify_run(run.path)
        if not report.findings:
            continue
        first, more = report.findings[0].text(), len(report.findings) - 1
        counted = f" and {more} more findings" if more else ""
        raise RunDirectoryError(
            f"{run.path} is not what it says of itself: {first}{counted}. `cl-bench results verify "
            f"{run.path}` lists all; restore it from a copy, or make the run again."
        )
