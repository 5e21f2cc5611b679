"""The runs of a reference made again, by the code that is installed now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cl_bench.contract.errors import UsageError
from cl_bench.gate.reference import open_reference
from cl_bench.store.packs.layout import place
from cl_bench.store.run_tables import RunTables


def rerun(
    reference: Path, out: Path, *, seeds: Sequence[int] = (), say: Callable[[str], None]
) -> list[Path]:
    """Make every run of the reference, or those of some seeds, anew below the folder `out`.

    Each has the configuration of its counterpart, and as many threads; the streams and domains are
    those of today, so that a new version of one shows as what cannot be compared.
    """
    runs = _chosen(open_reference(reference).runs, seeds)
    made = []
    for number, run in enumerate(runs, 1):
        path = out / place(run.manifest).with_suffix("")
        say(f"{number}/{len(runs)} {path}")
        _make(run.manifest, path)
        made.append(path)
    return made


def _chosen(runs: Sequence[RunTables], seeds: Sequence[int]) -> list[RunTables]:
    there = {run.manifest["seed"] for run in runs}
    for seed in seeds:
        if seed not in there:
            known = ", ".join(map(str, sorted(there)))
            raise UsageError(f"The reference has no run of seed {seed}, but of {known}.")
    return [run for run in runs if not seeds or run.manifest["seed"] in seeds]


def _make(manifest: Mapping[str, Any], path: Path) -> None:
    from cl_bench.contract.stream import Stream
    from cl_bench.contract.stream_names import STREAMS
    from cl_bench.execution.progress import Quiet
    from cl_bench.execution.runner import Runner
    from cl_bench.execution.settings import RunConfig
    from cl_bench.fast.reflection.journal import journal_for
    from cl_bench.fast.settings import reflection_lm

    config = replace(RunConfig.from_dict(manifest["config"]), threads=manifest["threads"])
    course = Stream.from_description(manifest["stream"])
    if course.name in STREAMS:
        course = replace(course, version=STREAMS.load(course.name).version)
    outside = reflection_lm(config.learning).outside
    journal = journal_for(path, outside=outside, record=None, replay=None)
    Runner.start(path, course, config, Quiet(), journal)
