"""The suite from Python: `run`, `resume`, `compare` and what they return."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Unpack

from cl_bench.contract.errors import UsageError, require_posix, unknown
from cl_bench.contract.registry import DEFAULT_LEARNER, LEARNERS
from cl_bench.contract.settings import settings_of
from cl_bench.contract.stream_names import LENGTHS, OF_A_STREAM
from cl_bench.contract.stream_names import stream as named_stream
from cl_bench.contract.text import printable
from cl_bench.contract.validation import a_pair, a_text
from cl_bench.execution.notes import of_settings
from cl_bench.execution.progress import Progress, Quiet, Steps
from cl_bench.execution.run_file import as_run_file, read_run_file
from cl_bench.execution.settings import RunConfig, configure
from cl_bench.execution.stored_run import StoredRun, stored_manifest, stored_run
from cl_bench.fast.settings import reflection_lm
from cl_bench.model import ranks
from cl_bench.run_options import RunOptions
from cl_bench.store.remote import with_urls
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.run_tables import open_run

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from cl_bench.contract.stream import Stream
    from cl_bench.report.show_comparison import ShownComparison
    from cl_bench.report.summary import Summary

DEFAULT_STREAM = "math-to-code"
NO_FIGURES = "none"
"""The figure style of a run that draws none."""
_NONE: Mapping[str, Any] = MappingProxyType({})
_LONGEST_NAME = 90
"""Characters of a stream's or learner's name in a directory's name."""


class Run:
    """A run, read: its tables, its manifest and what follows from them.

    `path` is a run directory, a packed run (`.zip`), a folder with one of either in it, or the URL
    of any of these; a URL is read from a copy in the cache folder, brought up to date when the
    object is made. Raises `RunDirectoryError` where there is no run, or several.
    """

    def __init__(self, path: str | Path) -> None:
        self._tables = open_run(a_text("path", path))

    @property
    def path(self) -> Path:
        """Where it lies on this machine."""
        return self._tables.path

    @property
    def place(self) -> str:
        """Its path, or its URL."""
        return with_urls(str(self.path))

    @property
    def manifest(self) -> Mapping[str, Any]:
        """Configuration, provenance and status."""
        return self._tables.manifest

    @property
    def status(self) -> str:
        """running, done, diverged or failed."""
        return str(self.manifest["status"])

    def table(self, name: str) -> pd.DataFrame:
        """One of the tidy tables of docs/tables.md, as a frame."""
        return self._tables.table(name)

    def summary(self) -> Summary:
        """The headline numbers, computed from the tables."""
        from cl_bench.report.summary import summarise

        return summarise(self._tables)

    def write_figures(
        self, folder: str | Path | None = None, *, style: str = "screen"
    ) -> list[Path]:
        """Draw the run's figures as PNG, SVG and PDF and return the files' paths.

        They go into `figures` in its directory, or into `folder`, which a packed run and one at a
        URL need. `style` is screen, one-column or two-column, for a column or the width of a paper.
        `UsageError` for any other, and for such a run without a folder.
        """
        from cl_bench.report.figures import write_figures

        if folder is None and not isinstance(self._tables, RunDirectory):
            raise UsageError(
                f"{self.place} is a packed run, to which nothing is added. Give a folder for its "
                'figures: write_figures("figures").'
            )
        if folder is None and self.place != str(self.path):
            raise UsageError(
                f"{self.place} is read from a copy. Give a folder of this machine for its figures: "
                'write_figures("figures").'
            )
        place = self.path / "figures" if folder is None else Path(folder)
        return write_figures(self._tables, place, figure_style=style)

    def plot(self, figure: str = "accuracy", *, style: str = "screen") -> Figure:
        """Return one of the run's figures: accuracy, reward, kl, accuracy-kl, matrices, rollouts.

        `UsageError` for one that this run does not have, such as the divergence of a run that
        trains prompts alone, and for an unknown style (see `write_figures`).
        """
        from cl_bench.report.blocks.drawings import styled
        from cl_bench.report.figures import figures_of

        found = figures_of(self._tables)
        if not found:
            raise UsageError(f"{self.place} has no figures: it was not evaluated yet.")
        if figure not in found:
            raise unknown("figure of this run", figure, found)
        with styled(style):
            return found[figure]()

    def __repr__(self) -> str:
        return f"Run({self.place!r}, status={self.status!r})"

    def _repr_html_(self) -> str:
        """For notebooks: where it is, and its summary."""
        from cl_bench.report.notebook import code

        return code(self.place) + self.summary()._repr_html_()


def run(  # noqa: PLR0913 - the options that nearly every call has, by name
    stream: str | None = None,
    learner: str | None = None,
    *,
    model: str | None = None,
    steps: int | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    rollouts: int | None = None,
    setting: str | None = None,
    retention: str | None = None,
    config: str | Path | None = None,
    progress: bool | Progress = True,
    track: str | Iterable[str] = (),
    record: str | Path | None = None,
    replay: str | Path | None = None,
    figure_style: str = "screen",
    **settings: Unpack[RunOptions],
) -> Run:
    """Run `learner` on `stream` and return the finished run.

    Args:
        stream: A stream (`cl-bench list`), domains joined as in `math-to-code`, or a stream file.
        learner: `rl`, `prompt`, `fst`, … (`cl-bench list learners`).
        model: `embedded`, `smollm2`, a Hugging Face folder or name, or a GGUF file.
        steps: Training steps of every stage.
        seed: Seed of the conventions, the problems and every random choice.
        out: New directory or URL of the run; by default one below `results`.
        rollouts: Training rollouts of every stage, in place of `steps`.
        setting: Difficulty of every stage: `easy`, `default` or `hard`.
        retention: Domains to evaluate outside the stream, as in `gym/gcd,lm_eval:ifeval`; `none`.
        config: TOML file of settings; arguments win over it.
        progress: Whether to show a bar, a widget in notebooks; or an object that is told.
        track: Trackers that are sent the rows as they come (docs/trackers.md).
        record: File to record calls to a reflection LM in, in place of the run's own.
        replay: File or run directory to answer such calls from, asking nobody.
        figure_style: How figures are drawn at the end: screen, one-column, two-column, or none.
        settings: Any settings of the run, its evaluation or the learner (docs/settings.md).

    What is not given comes from the file `config`, then from the preset asked for, then from the
    model's, and else is the default.

    Raises:
        UsageError: A name or a setting is unknown or impossible; the message has the nearest name.
        RunDirectoryError: `out` exists.
    """
    own = {"stream": stream, "learner": learner, "seed": seed, "model": model, "steps": steps}
    own |= {"rollouts": rollouts, "setting": setting, "retention": retention}
    given: dict[str, Any] = {name: value for name, value in own.items() if value is not None}
    asked = resolve(config, **given, **settings)
    return start(
        asked,
        out=out,
        progress=_progress(progress),
        track=track,
        record=record,
        replay=replay,
        figure_style=figure_style,
    )


def _signature() -> inspect.Signature:
    """The signature of `run` with all settings by name, as shells complete and show them."""
    found = inspect.signature(run)
    shared = [of for of in found.parameters.values() if of.kind is not of.VAR_KEYWORD]
    named = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=..., annotation=kind)
        for name, kind in RunOptions.__annotations__.items()
    ]
    return found.replace(parameters=[*shared, *named])


run.__signature__ = _signature()  # type: ignore[attr-defined]


def _progress(asked: bool | Progress) -> Progress:
    if isinstance(asked, bool):
        return Steps() if asked else Quiet()
    if not isinstance(asked, Progress):
        raise UsageError(
            f"progress is {printable(repr(asked), 100)}, but must be True, False or an object with "
            "the methods of cl_bench.execution.progress.Progress."
        )
    return asked


@dataclass(frozen=True)
class Asked:
    """A request for a run, resolved and checked; nothing was written or loaded yet."""

    stream: Stream
    config: RunConfig
    given: Mapping[str, Any]
    """The options that were given, by a file or a caller."""

    @property
    def texts(self) -> dict[str, Any]:
        """The options that asked for the stream: its name, and those that replace parts of it."""
        parts = {name: self.given.get(name) for name in OF_A_STREAM}
        return {"stream": self.given.get("stream", DEFAULT_STREAM), **parts}

    def default_out(self) -> Path:
        """Return the path where the run would be written."""
        return default_out(self.texts["stream"], self.config.learner, self.config.seed)

    def toml(self) -> str:
        """All settings, as a file that `cl-bench run --config` reads."""
        return as_run_file(self.stream, self.config, self.texts)


def resolve(
    config: str | Path | None = None,
    *,
    learner_options: Mapping[str, Any] = _NONE,
    **options: Any,
) -> Asked:
    """Return the settings of `run(config=config, **options)`, without running anything.

    `learner_options` are options that have to be settings of the learner; the others win over them.
    Raises `UsageError` for names and values that `run` would refuse.
    """
    if not isinstance(learner_options, Mapping):
        raise UsageError(
            f"learner_options is {printable(repr(learner_options), 100)}, but must be a mapping of "
            "the learner's settings, such as {'problems_per_step': 16}."
        )
    asked = options.get("learner")
    named = None if asked is None else a_text("learner", asked)
    found = {} if config is None else read_run_file(Path(a_text("config", config)), named)
    if not LENGTHS.isdisjoint(options):  # one of them replaces the other in the file
        found = {name: value for name, value in found.items() if name not in LENGTHS}
    given = {**found, **learner_options, **options}
    learner = a_text("learner", {**found, **options}.get("learner", DEFAULT_LEARNER))
    own = [item.name for item in settings_of(LEARNERS.load(learner).config) if item.rule.option]
    for name in learner_options:
        if name not in own:
            raise unknown(f"setting of {learner}", name, own)
    parts = {name: given[name] for name in OF_A_STREAM if name in given}
    known = {name: value for name, value in given.items() if name not in ("stream", *parts)}
    resolved = configure(**known)
    name = a_text("stream", given.get("stream", DEFAULT_STREAM))
    course = named_stream(name, **parts, step_rollouts=resolved.learning.step_rollouts)
    return Asked(course, resolved, given)


def start(
    asked: Asked,
    *,
    out: str | Path | None = None,
    progress: Progress | None = None,
    track: str | Iterable[str] = (),
    record: str | Path | None = None,
    replay: str | Path | None = None,
    figure_style: str = "screen",
) -> Run:
    """Make the run that `resolve` settled; the arguments are those of `run`."""
    require_posix()
    from cl_bench.execution.runner import Runner
    from cl_bench.fast.reflection.journal import journal_for
    from cl_bench.trackers import chosen
    from cl_bench.trackers.live import tracked

    trackers = chosen(track)
    _require_drawable(figure_style)
    with ranks.joined(asked.config.device):
        given = a_text("out", out) if out is not None else str(asked.default_out())
        place = ranks.alone(lambda: given)
        outside = reflection_lm(asked.config.learning).outside
        with stored_run(place, progress or Quiet(), new=True) as stored:
            path = stored.path
            journal = journal_for(path, outside=outside, record=record, replay=replay)
            notes = of_settings(asked.stream, asked.config, asked.given)
            with tracked(path, *_told(trackers, stored.progress)) as told:
                Runner.start(path, asked.stream, asked.config, told, journal, notes)
            ranks.alone(lambda: _finish(path, figure_style))
    return Run(place)


def _told(trackers: Iterable[str], progress: Progress) -> tuple[Sequence[str], Progress]:
    """Return the trackers and the progress of this process: of several ranks, one tells."""
    return (tuple(trackers), progress) if ranks.writes() else ((), Quiet())


def resume(
    path: str | Path,
    *,
    progress: bool | Progress = True,
    track: str | Iterable[str] = (),
    figure_style: str = "screen",
) -> Run:
    """Go on with the interrupted run at `path` from its last checkpoint, and with its trackers.

    `progress` shows a bar, or is an object that is told. Those of `track` that the run had not are
    sent what it recorded so far. `figure_style` is that of `run`. Raises `RunDirectoryError` for a
    run that is done or damaged, and for one that another process writes.
    """
    require_posix()
    from cl_bench.execution.runner import Runner
    from cl_bench.trackers import chosen
    from cl_bench.trackers.live import noted, tracked

    trackers = chosen(track)
    _require_drawable(figure_style)
    place = a_text("path", path)
    config = stored_manifest(place).get("config") or {}
    with (
        ranks.joined(str(config.get("device", "auto"))),
        stored_run(place, _progress(progress), new=False) as stored,
    ):
        path = stored.path
        if not ranks.alone(lambda: _only_unfinished(stored)):
            names = tuple(dict.fromkeys((*noted(path), *trackers)))
            with tracked(path, *_told(names, stored.progress)) as told:
                Runner.resume(path, told)
        ranks.alone(lambda: _finish(stored.path, figure_style))
    return Run(place)


def compare(
    first: Run | str | Path,
    second: Run | str | Path | None = None,
    *,
    learners: tuple[str, str] | None = None,
    settings: Mapping[str, Any] = _NONE,
    anyway: bool = False,
) -> ShownComparison:
    """Compare two learners: differences with intervals, tests, problems won and lost.

    Both sides are a run, or a path or URL of a run, a packed run or a folder with one a seed; runs
    are paired by seed. `learners` names one of each side, and both of `first` without a `second`.
    Of several settings of a learner those with the values of `settings` are taken, as in
    {"learning_rate": 3e-4}, or {"A.learning_rate": 3e-4} of the first side alone.

    Raises `UsageError` for runs that do not compare, with the reasons, unless `anyway`; and for
    runs without a seed in common.
    """
    from cl_bench.analysis.comparison import compare as compared
    from cl_bench.report.show_comparison import ShownComparison

    if second is None and learners is None:
        raise UsageError(
            f"{first!r} is one side of a comparison; give the other, too: compare(first, second); "
            'or two learners of a folder: compare("results", learners=("rl", "fst")).'
        )
    pair = None if learners is None else a_pair("learners", learners)
    if not isinstance(settings, Mapping):
        raise UsageError(
            f"settings is {printable(repr(settings), 100)}, but must be a mapping, such as "
            '{"learning_rate": 3e-4}.'
        )
    one, other = (
        run.path if isinstance(run, Run) else Path(a_text("run", run))
        for run in (first, second or first)
    )
    found = compared(one, other, learners=pair, settings=settings, anyway=anyway)
    return ShownComparison.of(found)


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


def _only_unfinished(stored: StoredRun) -> bool:
    """Tell whether a run is done but for its summary, or but for its upload."""
    done = RunDirectory.open(stored.path).manifest.get("status") == "done"
    return done and (stored.unsent or not (stored.path / "summary.txt").exists())


def _require_drawable(figure_style: str) -> None:
    """Raise `UsageError` for a style that figures do not have, before a run begins."""
    from cl_bench.report.blocks.drawings import require_style

    if figure_style != NO_FIGURES:
        require_style(figure_style)


def _finish(path: Path, figure_style: str) -> None:
    """Draw the figures of a finished run and write its summary."""
    from cl_bench.store.files import write_text_atomically

    finished = Run(path)
    with RunDirectory.open(path).locked():
        if figure_style != NO_FIGURES:
            finished.write_figures(path / "figures", style=figure_style)
        write_text_atomically(path / "summary.txt", finished.summary().text() + "\n")
