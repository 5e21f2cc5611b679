"""The gate: a candidate's runs beside a reference's, and whether they got worse.

    from cl_bench.gate.regression import check
    report = check([Path("runs/candidate")], Path("results/gate"))
    report.verdict        # pass, regress or inconclusive

docs/gate.md says how a verdict is reached, and what it claims.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cl_bench.contract.errors import RunDirectoryError
from cl_bench.gate.compare import compare
from cl_bench.gate.outcome import GateReport
from cl_bench.gate.policy import Policy
from cl_bench.gate.reference import open_reference
from cl_bench.gate.verified import require_verified
from cl_bench.store.run_tables import find_runs

__all__ = ["GateReport", "check"]


def check(
    candidate: Sequence[Path],
    reference: Path,
    policy: Policy | None = None,
    *,
    verify: bool = False,
) -> GateReport:
    """The runs at or below the paths of `candidate` beside those of `reference`.

    `reference` is a folder that `cl-bench reference record` wrote, a run, or a folder of runs. The
    policy is the one given, else the reference's own, else the default one. Runs that cannot be
    read or compared are a `ClBenchError`: nothing is left out silently. With `verify` so are runs
    of either side in which verification finds anything (`cl-bench results verify`).
    """
    found, unreadable = find_runs(candidate)
    if unreadable:
        raise RunDirectoryError(f"The candidate cannot be read: {unreadable[0].reason}")
    recorded = open_reference(reference)
    if verify:
        require_verified([*found, *recorded.runs])
    names = (", ".join(map(str, candidate)), str(reference))
    return compare(found, recorded.runs, policy or recorded.policy, names=names)
