"""The code that judges: which files decide a verdict, and one hash of their sources."""

from __future__ import annotations

from pathlib import Path

from cl_bench.execution.provenance import config_hash

CLAIMS = (
    "rule",
    "claim",
    "plan",
    "data",
    "measure",
    "measures",
    "claim_02_asymptote",
    "claim_08_both_channels",
    "claim_06_continual",
    "claim_01_sample_efficiency",
    "claim_03_kl",
    "claim_04_out_of_distribution",
    "claim_05_plasticity",
    "plateau",
    "claim_07_zero_reward",
)
"""Modules of `cl_bench.claims`."""
METRICS = (
    "arrays",
    "attribution",
    "comparison",
    "continual",
    "divergence",
    "efficiency",
    "plasticity",
    "scaling",
    "sigmoid",
    "undefined",
    "stats/bootstrap",
)
"""Modules of `cl_bench.metrics` that those call."""


def files() -> list[Path]:
    """The sources, in the order in which they are hashed."""
    here = Path(__file__).parent
    claims = [here / f"{name}.py" for name in CLAIMS]
    return claims + [here.parent / "metrics" / f"{name}.py" for name in METRICS]


def code_hash() -> str:
    """The SHA-256, hex, of all sources by their names; comments count, line endings do not."""
    return config_hash(
        {f"{file.parent.name}/{file.name}": file.read_text(encoding="utf-8") for file in files()}
    )
