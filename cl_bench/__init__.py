"""cl-bench: a continual-learning benchmark suite for language models.

    import cl_bench
    run = cl_bench.run(stream="math-to-code", learner="fst", seed=0)
    run.table("evaluations")          # a pandas frame

Importing the package is cheap: torch and pandas load when a run does.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cl_bench.api import Run, run
    from cl_bench.tools.checks import check_learner, check_task

__all__ = ["Run", "__version__", "check_learner", "check_task", "run"]
__version__ = version("cl-bench")

_here = Path(__file__).parent
if not (_here / "fst").is_dir():  # a checkout, where tasks, baselines and fst lie beside cl_bench
    __path__.append(str(_here.parent))


def __getattr__(name: str) -> Any:
    if name in ("Run", "run"):
        from cl_bench import api

        return getattr(api, name)
    if name in ("check_learner", "check_task"):
        from cl_bench.tools import checks

        return getattr(checks, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
