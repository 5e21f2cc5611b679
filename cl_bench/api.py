"""The suite from Python: `run`, `resume` and what they return."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cl_bench.contract.errors import unknown
from cl_bench.contract.validation import a_text
from cl_bench.execution.presets import preset_of
from cl_bench.execution.progress import Progress, Quiet
from cl_bench.store.run_directory import RunDirectory

if TYPE_CHECKING:
    import pandas as pd

    from cl_bench.contract.stream import Stream
    from cl_bench.execution.settings import RunConfig
    from cl_bench.report.summary import Summary

_LONGEST_NAME = 90
"""Characters of a stream's or learner's name in a directory's name."""


class Run:
    """A run directory, read: its tables, its manifest and what follows from them."""

    def __init__(self, path: str | Path) -> None:
        self._directory = RunDirectory.open(Path(path))

    @property
    def path(self) -> Path:
        return self._directory.path

    @property
    def manifest(self) -> Mapping[str, Any]:
        """Configuration, provenance and status."""
        return self._directory.manifest

    @property
    def status(self) -> str:
        """running, done, diverged or failed."""
        return str(self.manifest["status"])

    def table(self, name: str) -> pd.DataFrame:
        """One of the tidy tables of docs/tables.md, as a frame."""
        return self._directory.table(name)

    def summary(self) -> Summary:
        """The headline numbers, computed from the tables."""
        from cl_bench.report.summary import summarise

        return summarise(self._directory)

    def write_figures(self) -> list[Path]:
        """Draw the run's figures into its directory."""
        from cl_bench.report.figures import write_figures

        return write_figures(self._directory)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, status={self.status!r})"


def run(
    stream: str = "math-to-code",
    learner: str = "fst",
    *,
    seed: int = 0,
    model: str = "embedded",
    out: str | Path | None = None,
    steps: int | None = None,
    setting: str | None = None,
    progress: Progress | None = None,
    track: str | Iterable[str] = (),
    **options: Any,
) -> Run:
    """Run `learner` on `stream` and return the finished run.

    `steps` and `setting` replace those of every stage. `options` are any fields of `RunConfig`,
    `LearnerConfig` or `EvaluationConfig` (`eval_every=60`, `population=8`, `items=128`, …), whose
    defaults belong to the model (`cl_bench.execution.presets`), and
    `record` and `replay`: the file to record calls to a reflection LM in (by default the run's own
    reflections.jsonl), and the file or run directory to answer them from, asking nobody. `track`
    names trackers that are sent the rows as they come (docs/trackers.md).
    Raises `UsageError` for unknown names and `RunDirectoryError` if `out` exists.
    """
    from cl_bench.contract import stream as streams
    from cl_bench.contract.registry import LEARNERS
    from cl_bench.execution.runner import Runner
    from cl_bench.fast.reflection.journal import journal_for
    from cl_bench.fast.reflection.spec import ReflectionLM
    from cl_bench.trackers import chosen
    from cl_bench.trackers.live import tracked

    trackers = chosen(track)
    LEARNERS.load(a_text("learner", learner))
    calls = {name: options.pop(name, None) for name in ("record", "replay")}
    config = configure(learner=learner, model=model, seed=seed, **options)
    course = streams.stream(a_text("stream", stream), steps=steps, setting=setting)
    path = Path(a_text("out", out)) if out is not None else default_out(stream, learner, seed)
    outside = ReflectionLM.parse(config.learning.reflection_lm).outside
    journal = journal_for(path, outside=outside, **calls)
    notes = _notes(course, config, options)
    with tracked(path, trackers, progress or Quiet()) as told:
        Runner.start(path, course, config, told, journal, notes)
    return _finished(path)


def _notes(course: Stream, config: RunConfig, given: Mapping[str, Any]) -> list[str]:
    """What a user should know of the settings when a run begins, a line each."""
    lines = []
    if config.learning.reflection_lm == "digest" and config.feedback in ("none", "answer"):
        lines.append(
            f"feedback {config.feedback} names no kind of mistake, so digest has nothing to advise "
            "and every rewrite fails; give --feedback full."
        )
    from cl_bench.contract.registry import DOMAINS
    from cl_bench.contract.task import Referenced

    lines += [
        f"{domain.name}: {domain.summary}"
        for domain in map(DOMAINS.load, dict.fromkeys(stage.reference for stage in course.stages))
        if isinstance(domain, Referenced)
    ]
    private = [name for name in course.domains if name in DOMAINS.table]
    if config.preset == "embedded":
        foreign = [name for name in course.domains if DOMAINS.is_sourced(name)]
        if foreign:
            lines.append(
                f"{', '.join(foreign)}: the embedded model knows the built-in domains alone and "
                "scores 0 here; try --model smollm2."
            )
        return lines
    lines.insert(0, preset_of(config.model).words(given))
    if private:
        lines.append(
            f"{', '.join(private)}: these domains speak the grammar of the embedded model, and a "
            "pretrained model scores 0 on them; try --stream gym-arithmetic."
        )
    return lines


def resume(
    path: str | Path, *, progress: Progress | None = None, track: str | Iterable[str] = ()
) -> Run:
    """Go on with an interrupted run from its last checkpoint, and with its trackers.

    Those of `track` that it had not are sent what it recorded so far.
    """
    from cl_bench.execution.runner import Runner
    from cl_bench.trackers import chosen
    from cl_bench.trackers.live import noted, tracked

    trackers = chosen(track)
    path = Path(a_text("path", path))
    RunDirectory.open(path)
    unwritten = not (path / "summary.txt").exists()
    if not (unwritten and Run(path).manifest.get("status") == "done"):
        names = tuple(dict.fromkeys((*noted(path), *trackers)))
        with tracked(path, names, progress or Quiet()) as told:
            Runner.resume(path, told)
    return _finished(path)


def default_out(stream: str, learner: str, seed: int) -> Path:
    """`results/<stream>-<learner>-<seed>`, numbered on if that exists.

    Whatever could lead out of `results` or is too long for a file's name is replaced or cut.
    """
    names = "-".join(re.sub(r"[^\w.+-]", "_", name)[:_LONGEST_NAME] for name in (stream, learner))
    first = Path("results") / f"{names}-{seed}"
    path, number = first, 2
    while path.exists():
        path, number = first.with_name(f"{first.name}.{number}"), number + 1
    return path


def configure(*, model: str = "embedded", **options: Any) -> RunConfig:
    """A `RunConfig` from flat options, each given to the part that has a field of its name.

    What is not among `options` comes from the model's preset.
    """
    from cl_bench.execution.settings import RunConfig

    config = RunConfig()
    preset = preset_of(a_text("model", model))
    options = {**preset.options, **options, "model": model, "preset": preset.name}
    parts: dict[str, Any] = {
        "": config,
        "learning": config.learning,
        "evaluation": config.evaluation,
    }
    known = {part: {item.name for item in fields(owner)} for part, owner in parts.items()}
    known[""] -= {"learning", "evaluation"}
    for name in options:
        if not any(name in names for names in known.values()):
            raise unknown("option", name, set().union(*known.values()))
    given = {
        part: {name: value for name, value in options.items() if name in names}
        for part, names in known.items()
    }
    return replace(
        config,
        learning=replace(config.learning, **given["learning"]),
        evaluation=replace(config.evaluation, **given["evaluation"]),
        **given[""],
    )


def _finished(path: Path) -> Run:
    from cl_bench.store.files import write_text_atomically

    finished = Run(path)
    with RunDirectory.open(path).locked():
        finished.write_figures()
        write_text_atomically(path / "summary.txt", finished.summary().text() + "\n")
    return finished
