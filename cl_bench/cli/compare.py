"""The command `cl-bench compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from cl_bench.cli.console import echo
from cl_bench.cli.options import Json, assigned, ending
from cl_bench.contract.errors import UsageError


@ending()
def compare(
    first: Annotated[Path, Argument(metavar="A", help="A run, or a folder with one a seed.")],
    second: Annotated[
        Path | None,
        Argument(metavar="B", help="What is compared with it; without it, see --learners."),
    ] = None,
    learners: Annotated[
        str,
        Option(help="Two learners, such as rl,fst: of A the first, of B, or else A, the other."),
    ] = "",
    settings: Annotated[
        list[str] | None,
        Option(
            "--set",
            help="Of several settings, the one to take, as in learning_rate=3e-4, or "
            "A.learning_rate=3e-4 of one side; repeatable.",
        ),
    ] = None,
    as_json: Json = False,
    anyway: Annotated[
        bool, Option("--anyway", help="Show numbers of runs that do not compare.")
    ] = False,
) -> None:
    """Two learners, paired by seed: differences with intervals, tests, problems won and lost."""
    from cl_bench.analysis import comparison
    from cl_bench.report import show_comparison
    from cl_bench.report.terminal import print_shown

    pair = _two(learners)
    if second is None and pair is None:
        raise UsageError(
            f"{first} is one side; give the other, too: `cl-bench compare {first} B`, or name "
            f"two learners below it: `cl-bench compare {first} --learners rl,fst`."
        )
    chosen = assigned("--set", settings)
    found = comparison.compare(
        first, second or first, learners=pair, settings=chosen, anyway=anyway
    )
    if as_json:
        echo(show_comparison.as_json(found))
    else:
        print_shown(found, show_comparison.show)


def _two(learners: str) -> tuple[str, str] | None:
    """The two names of `--learners`, if it is given."""
    if not learners:
        return None
    names = [name.strip() for name in learners.split(",")]
    if len(names) != 2 or not all(names):
        raise UsageError(f"--learners is {learners!r}, but must be two names, such as rl,fst.")
    return names[0], names[1]
