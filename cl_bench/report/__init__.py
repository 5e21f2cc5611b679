"""What is shown of runs: the leaderboard, pages, figures and texts, from tables alone.

`cl_bench.report(…)` makes the leaderboard. The package of that name can therefore be called, and
calls `report` below: both have one name in `cl_bench`, whichever is imported first.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cl_bench.report.page.build import ReportFiles


class _Read(Protocol):
    """A run that has been read: `cl_bench.Run`, or its tables."""

    @property
    def path(self) -> Path: ...


def report(
    *runs: str | Path | _Read | Sequence[str | Path | _Read],
    out: str | Path = "results/report",
    figures: bool = True,
    jobs: int = 1,
    figure_style: str = "screen",
) -> ReportFiles:
    """Rank runs and write a page about them into `out`; return the files that were written.

    `runs` are runs, or paths or URLs of runs, packed runs or folders with any of them below, or
    lists of these. The
    page is `leaderboard.html`, its twin `leaderboard.md`; `figures` also draws them as files, in
    the `figure_style` screen, one-column or two-column. Many runs are read by `jobs` processes.
    Raises `RunDirectoryError` where there is no run, or none that can be read, and `UsageError` for
    an unknown style.
    """
    from cl_bench.contract.errors import UsageError
    from cl_bench.contract.validation import a_text, whole_number
    from cl_bench.report.page.build import report as written
    from cl_bench.store.remote import require_folder

    given = [one for of in runs for one in (of if isinstance(of, list | tuple) else [of])]
    if not given:
        raise UsageError('report() is given no runs; name a folder of them: report("results").')
    require_folder("out", Path(out))
    jobs = whole_number("jobs", jobs, (1, 1_024))
    paths = [one.path if hasattr(one, "path") else Path(a_text("run", one)) for one in given]
    return written(paths, Path(out), figures=figures, jobs=jobs, figure_style=figure_style)


class _Callable(ModuleType):
    __call__ = staticmethod(report)


sys.modules[__name__].__class__ = _Callable
