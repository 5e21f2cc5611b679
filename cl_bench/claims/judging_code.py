"""The code that judges: which files decide a verdict, and one hash of their sources."""

from __future__ import annotations

from pathlib import Path

from cl_bench.contract.text import config_hash

CLAIMS = (
    "rule",
    "judged",
    "plan",
    "data",
    "measure",
    "measures",
    "measures_asymptote",
    "measures_attribution",
    "measures_continual",
    "measures_efficiency",
    "measures_kl",
    "measures_ood",
    "measures_plasticity",
    "measures_plateau",
    "measures_zero_reward",
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
