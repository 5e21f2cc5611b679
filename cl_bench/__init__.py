"""cl-bench: a continual-learning benchmark suite for language models.

    import cl_bench
    rl = cl_bench.run(stream="math-to-code", learner="rl", seed=0)
    fst = cl_bench.run(stream="math-to-code", learner="fst", seed=0)
    fst.table("evaluations")          # a pandas frame
    cl_bench.compare(rl, fst)         # differences, tests, problems won and lost
    cl_bench.report("results")        # the leaderboard, as a page

`Run` reads a run that was made before, `resume` goes on with one that was interrupted, `metrics`
are functions of arrays. Importing the package is cheap: torch and pandas load when a run does.
"""

import importlib as _importlib
import importlib.metadata as _metadata
import pathlib as _pathlib
import typing as _typing

if _typing.TYPE_CHECKING:
    from cl_bench import metrics
    from cl_bench.api import Run, compare, resume, run
    from cl_bench.report import report
    from cl_bench.tools.checks import check_learner, check_task

__all__ = [
    "Run",
    "__version__",
    "check_learner",
    "check_task",
    "compare",
    "metrics",
    "report",
    "resume",
    "run",
]
__version__ = _metadata.version("cl-bench")

_here = _pathlib.Path(__file__).parent
if not (_here / "fst").is_dir():  # a checkout, where tasks, baselines and fst lie beside cl_bench
    __path__.append(str(_here.parent))

_PLACES = {
    **dict.fromkeys(("Run", "compare", "resume", "run"), "cl_bench.api"),
    **dict.fromkeys(("check_learner", "check_task"), "cl_bench.tools.checks"),
}
_ROOMS = ("metrics", "report")
"""Packages below this one that are public; the second is also a function (see its docstring)."""


def __getattr__(name: str) -> _typing.Any:
    if name in _PLACES:
        return getattr(_importlib.import_module(_PLACES[name]), name)
    if name in _ROOMS:
        return _importlib.import_module(f"cl_bench.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
