"""The gate: a candidate's runs beside a reference's, and whether they got worse.

    from cl_bench.regression import check
    report = check(["runs/candidate"], ["results/gate"])
    report.verdict        # pass, regress or inconclusive

docs/gate.md says how a verdict is reached, and what it claims.
"""

from __future__ import annotations
