"""A sweep's forecast, as lines for people and as JSON for machines."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from cl_bench.contract.text import counted, printable
from cl_bench.metrics.quantities import BYTES, SECONDS
from cl_bench.report.terminal import PLAIN_WIDTH, plain_text, table
from cl_bench.sweep.estimate import PHASES, Measured, Range
from cl_bench.sweep.forecast import Forecast, Planned


def as_json(found: Forecast) -> str:
    """Return a forecast as JSON, in seconds, hours and bytes."""
    runs = [
        {
            "name": one.cell.name,
            "learner": one.cell.learner,
            "stream": one.cell.stream,
            "share_left": one.share,
            "seconds": one.seconds._asdict(),
            "phases": {name: one.takes.seconds[name].middle for name in PHASES},
            "disk": one.takes.disk,
            "doubts": one.takes.doubts,
        }
        for one in found.planned
    ]
    data = {
        "finished": found.finished,
        "to_resume": found.resumed,
        "to_make": len(found.planned) - found.resumed,
        "without_start": found.without_start,
        "measured": [one.name for one in found.measures],
        "places": asdict(found.places),
        "runs": runs,
        "process_seconds": found.process_seconds._asdict(),
        "device": found.places.device,
        "device_hours": found.device_hours._asdict(),
        "wall_seconds": found.wall_seconds._asdict(),
        "disk": found.disk,
        "disk_peak": found.disk_peak,
        "memory": found.memory,
        "gpu_memory": found.gpu_memory,
        "memory_free": found.free,
    }
    return json.dumps(data, indent=2, allow_nan=False)


def text(found: Forecast, width: int = PLAIN_WIDTH) -> str:
    """Return a forecast as lines, its table at most `width` columns wide."""
    return "\n".join(map(printable, _lines(found, width)))


def _lines(found: Forecast, width: int) -> Iterator[str]:
    left_out = f", {found.without_start} without a start" if found.without_start else ""
    yield (
        f"runs        {found.finished} finished, {found.resumed} to resume, "
        f"{len(found.planned) - found.resumed} to make{left_out}"
    )
    yield from _measured(found.measures)
    if found.planned:
        yield from ("", *_table(found.planned, width), "", *_sums(found))


def _measured(measures: Sequence[Measured]) -> Iterator[str]:
    """Yield a line for the measured runs of each learner on each stream."""
    groups = defaultdict[tuple[str, str], list[Measured]](list)
    for one in measures:
        groups[one.learner, one.stream].append(one)
    for (learner, stream), members in groups.items():
        took = sorted(sum(one.seconds.values()) for one in members)
        ends = " to ".join(map(SECONDS.text, dict.fromkeys((took[0], took[-1]))))
        name = members[0].name if len(members) == 1 else counted(len(members), "run")
        yield f"measured    {name}: {learner} on {stream}, {ends}"


def _table(planned: Sequence[Planned], width: int) -> Iterator[str]:
    """Yield a line for the runs of each learner on each stream: what a whole one takes."""
    groups = defaultdict[tuple[str, str], list[Planned]](list)
    for one in planned:
        groups[one.cell.learner, one.cell.stream].append(one)
    phases = [phase for phase in PHASES if any(one.takes.seconds[phase].middle for one in planned)]
    shown, notes = table("learner", "stream", "runs", "each", *phases, collapse_padding=True), []
    shown.columns[1].justify = "left"
    for (learner, stream), members in groups.items():
        takes = members[0].takes
        each = SECONDS.text(takes.total.middle) + ("*" if takes.doubts else "")
        each_phase = [SECONDS.text(takes.seconds[phase].middle) for phase in phases]
        shown.add_row(*map(printable, (learner, stream, str(len(members)), each, *each_phase)))
        if takes.doubts:
            notes.append(f"* {learner} on {stream} is less certain: {'; '.join(takes.doubts)}")
    yield from plain_text(shown, width).splitlines()
    yield from notes


def _sums(found: Forecast) -> Iterator[str]:
    places, hours = found.places, found.device_hours
    yield (
        f"{f'{places.device}-hours':<11} {hours.middle:.3g} ({hours.low:.3g} to {hours.high:.3g}); "
        f"processes run {_about(found.process_seconds)}"
    )
    yield (
        f"wall time   {_about(found.wall_seconds)} on {counted(places.machines, 'machine')} with "
        f"{counted(places.jobs, 'run')} at a time each"
    )
    yield (
        f"disk        {BYTES.text(found.disk)}, at most {BYTES.text(found.disk_peak)} while "
        "checkpoints are replaced"
    )
    if found.memory is not None:
        need = found.memory * min(places.jobs, len(found.planned))
        fits = "fits" if need <= found.free else "does not fit: give fewer --jobs"
        yield (
            f"memory      {BYTES.text(found.memory)} a run, {BYTES.text(need)} on a machine; here "
            f"{BYTES.text(found.free)} are free, which {fits}"
        )
    if found.gpu_memory is not None:
        yield f"GPU memory  {BYTES.text(found.gpu_memory)} a run"


def _about(seconds: Range) -> str:
    low, middle, high = map(SECONDS.text, seconds)
    return f"{middle} ({low} to {high})"
