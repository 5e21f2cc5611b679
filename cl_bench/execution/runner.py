"""Drives one run: learn up to the next evaluation point, evaluate, append rows, checkpoint.

    for every evaluation point:  learner.learn(batches) → Evaluator → tables → checkpoint

A checkpoint is written after its rows and its stage's model, so that a killed run can have rows
without a checkpoint but not the reverse. A resumed run drops rows newer than its checkpoint and
writes that model again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, replace
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import torch

from cl_bench.contract.errors import DivergedError, RankError, RunDirectoryError, UsageError
from cl_bench.contract.journal import Journal
from cl_bench.contract.learner import HearsBoundaries, Learner, Ledger, load_learner
from cl_bench.contract.records import StepRecord
from cl_bench.contract.registry import LEARNERS
from cl_bench.contract.stream import Course, Stream
from cl_bench.contract.text import config_hash
from cl_bench.execution import machine
from cl_bench.execution.collapse import CollapseWatch, EndlessWatch
from cl_bench.execution.evaluation_rows import Row
from cl_bench.execution.evaluator import Evaluation, Evaluator
from cl_bench.execution.notes import of_machine, of_model
from cl_bench.execution.preflight import (
    identity,
    require_room,
    require_same_model,
    require_same_plugins,
    require_same_software,
    require_solutions,
    require_whole,
    used_plugins,
)
from cl_bench.execution.progress import Progress
from cl_bench.execution.provenance import provenance
from cl_bench.execution.settings import RunConfig
from cl_bench.fast.reflection.journal import described, journal_again
from cl_bench.fast.settings import reflection_lm
from cl_bench.model import ranks
from cl_bench.model.environment import device_named, precision_named, settled
from cl_bench.model.named import resolve
from cl_bench.model.policy import Policy
from cl_bench.model.random_states import random_states, restore_random_states, seed_everything
from cl_bench.model.samplers.server import server_sampler
from cl_bench.model.samplers.vllm import vllm_sampler
from cl_bench.model.trial import require_saving
from cl_bench.store.files import read_json, write_json_atomically
from cl_bench.store.run_directory import RunDirectory


class Runner:
    """One run in one directory. `start` makes a new one; `resume` goes on with an old one."""

    def __init__(
        self,
        directory: RunDirectory,
        stream: Stream,
        config: RunConfig,
        policy: Policy,
        progress: Progress,
        journal: Journal | None = None,
    ) -> None:
        self._directory, self._stream, self._config = directory, stream, config
        self._progress = progress
        # Before the learner is built, which may draw.
        seed_everything(config.seed)
        self._policy = policy
        self._ledger = Ledger(journal=journal)
        factory = LEARNERS.load(config.learner)
        self._learner: Learner = factory.build(self._policy, config.learning, self._ledger)
        self._course = _course(stream, config)
        self._evaluator = _evaluator(policy, self._course, config)
        self._collapse = CollapseWatch(policy.model.config.get_text_config().vocab_size)
        self._endless = EndlessWatch(policy.stop_tokens, config.learning.max_new_tokens)
        # A learner may look at exercises of coming steps, to score prompts on them; the first of
        # these steps is the one at hand.
        steps = ceil(config.learning.exercises_ahead / config.learning.problems_per_step)
        self._look_ahead = max(steps - 1, 0)
        self._step = 0
        self._part = 0
        self._timing: list[Row] = []

    @classmethod
    @settled()
    def start(
        cls,
        path: Path,
        stream: Stream,
        config: RunConfig,
        progress: Progress,
        journal: Journal | None = None,
        notes: Sequence[str] = (),
    ) -> RunDirectory:
        """Run `stream` from the beginning into the new directory `path`.

        Names, models, device and reflection LM are checked before anything is written. `journal`
        records or answers the calls to a reflection LM outside the run; `notes` are told once all
        checks have passed. Raises `UsageError` or `ModelError` if a check fails, `DivergedError` if
        training diverges; errors of a learner, a domain or a disk pass.
        """
        LEARNERS.load(config.learner)  # an unknown or broken one fails before a model is loaded
        started = perf_counter()
        policy = load_policy(config, config.threads)
        config = replace(config.anywhere(), precision=policy.precision)
        runner = cls(RunDirectory(path), stream, config, policy, progress, journal)
        runner._require_room()
        if config.keep_stage_models:
            require_saving(policy, path)
        manifest = _manifest(stream, config) | _identity(config, policy)
        manifest |= {"journal": described(journal, path), "ranks": ranks.count()}
        directory = RunDirectory(path)
        ranks.alone(lambda: RunDirectory.create(path, manifest).path)
        own = (*of_model(policy), *of_machine(policy.device), *runner._evaluator.notes())
        for line in (*notes, *own):
            progress.note(line)
        with _owned(directory), _status_kept(directory):
            runner._time("load", started)
            runner._run()
        return directory

    @classmethod
    @settled()
    def resume(cls, path: Path, progress: Progress) -> RunDirectory:
        """Go on with the interrupted run in `path` from its last checkpoint.

        Raises `RunDirectoryError` if it is done, damaged, locked or of other software or models.
        """
        directory = RunDirectory.open(path)
        with _owned(directory):
            runner = cls._of(directory, progress)
            with _status_kept(directory):
                runner._run()
        return directory

    @classmethod
    def _of(cls, directory: RunDirectory, progress: Progress) -> Runner:
        """Return the runner of an interrupted run, restored to its last checkpoint.

        All checks come first; then the rows after the checkpoint are deleted.
        """
        path, manifest = directory.path, directory.manifest
        require_whole(manifest, path)
        if manifest["status"] == "done":
            raise RunDirectoryError(f"The run in {path} is done; there is nothing to resume.")
        started = perf_counter()
        # First, as other software may have other settings.
        require_same_software(manifest, provenance(), path)
        config = RunConfig.from_dict(manifest["config"])
        stream = Stream.from_description(manifest["stream"])
        require_same_plugins(path, manifest, used_plugins(stream, config.learner))
        policy = load_policy(config, manifest["threads"], manifest["model_revision"])
        require_same_model(manifest, _identity(config, policy), path)
        journal = journal_again(manifest.get("journal"), path)
        runner = cls(directory, stream, config, policy, progress, journal)
        runner._restore()
        runner._time("load", started)
        return runner

    def _require_room(self) -> None:
        learning = self._config.learning
        if LEARNERS.load(self._config.learner).from_solutions:
            require_solutions(self._policy, self._course, self._config.learner, learning)
        require_room(self._policy, self._course, learning)
        self._evaluator.require_room()

    def _run(self) -> None:
        self._progress.start(self._stream, self._config.learner, self._step)
        try:
            if self._part == 0:
                self._evaluate("start", [])
            while self._step < self._stream.steps:
                self._advance()
            # The time of the last checkpoint, which is known only after that checkpoint.
            self._record({"timing": self._timing})
        finally:
            self._progress.stop()
        self._progress.finish()

    def _advance(self) -> None:
        """Learn up to the next evaluation point, then evaluate and checkpoint there."""
        stage = self._course.stage_of(self._step + 1)
        end = self._course.end_of(stage)
        before = end - self._stream.stages[stage].steps
        done_in_stage = self._step - before
        # Evaluations are due at multiples of `eval_every` within the stage, and at its end.
        due = before + (done_in_stage // self._config.eval_every + 1) * self._config.eval_every
        last = min(due, end)
        announced = self._config.announced and done_in_stage == 0 and stage > 0
        if announced and isinstance(self._learner, HearsBoundaries):
            self._learner.boundary()
        records = self._learn(last, stage)
        self._evaluate("stage-end" if last == end else "inside", records)

    def _learn(self, last: int, stage: int) -> list[Row]:
        started = perf_counter()
        rows: list[Row] = []
        domain = self._stream.stages[stage].domain
        label = {"stage": stage + 1, "domain": domain}
        now = self._course.batches(self._step + 1, last)
        ahead = self._course.ahead(last, self._look_ahead)
        try:
            for record in self._learner.learn(now, ahead):
                if self._step == last:
                    raise self._miscounted("more")
                self._step += 1
                rows.append({"step": self._step, **label, **_row(record)})
                self._progress.step(self._step, stage, record)
                self._collapse.see(self._step, record)  # last, so that the tables have this row
        except DivergedError as error:
            raise self._diverged(error, rows, self._step + 1) from error
        if self._step < last:
            raise self._miscounted("fewer")
        self._time("learn", started)
        return rows

    def _miscounted(self, how: str) -> UsageError:
        return UsageError(
            f"`learn` of the learner {self._config.learner} gave {how} records than it was given "
            f"batches (at step {self._step}). It has to give one for each; "
            "`cl_bench.check_learner` tells what else a learner is held to."
        )

    def _evaluate(self, at: str, steps: list[Row]) -> None:
        started = perf_counter()
        try:
            evaluation = self._evaluator.evaluate(
                self._step, self._learner.prompt(), boundary=at != "inside"
            )
        except DivergedError as error:
            raise self._diverged(error, steps, self._step) from error
        self._time("evaluate", started)
        self._progress.evaluated(self._step, evaluation)
        self._endless.see(evaluation.evaluations)
        self._commit(at, steps, evaluation)

    def _diverged(self, error: DivergedError, rows: list[Row], step: int) -> DivergedError:
        """Write the steps since the last checkpoint and return the error with the step in it.

        A reader wants to see how training diverged; a resume drops these rows.
        """
        self._record(self._tables(rows))
        text = str(error)
        named = text if text.startswith("Step ") else f"Step {step} diverged: {text}."
        return DivergedError(named)

    def _commit(self, at: str, steps: list[Row], evaluation: Evaluation) -> None:
        """Write the rows since the last evaluation point, then a checkpoint that includes them."""
        started = perf_counter()
        ranks.require_same((self._policy.fingerprint(), self._learner.prompt()), "what was learned")
        stage = self._course.stage_of(self._step) + 1 if self._step else 0
        place = {"stage": stage, "at": at}
        spent = {"samples_slow": self._ledger.slow.rollouts, "rollouts": self._ledger.rollouts}
        if at == "stage-end" and self._config.keep_stage_models:
            with self._directory.stage_model(stage) if ranks.writes() else _nowhere() as folder:
                self._policy.save_model(folder)
        measured = {
            "evaluations": [row | place | spent for row in evaluation.evaluations],
            "items": evaluation.items,
            "transcripts": [row | place for row in evaluation.transcripts],
        }
        self._record(self._tables(steps) | measured)
        self._timing = []  # the time of this checkpoint goes into the next part
        self._part += 1
        self._checkpoint()
        self._time("checkpoint", started)

    def _record(self, tables: dict[str, list[Row]]) -> None:
        if ranks.writes():
            self._directory.commit(self._part, tables)
        self._progress.recorded(tables)

    def _tables(self, steps: list[Row]) -> dict[str, list[Row]]:
        """Return the rows since the last commit, except those of an evaluation."""
        lineage: list[Row] = [
            {"step": self._step, **asdict(record)} for record in self._learner.lineage()
        ]
        ledger: list[Row] = [
            {"step": self._step, "channel": channel, **spent}
            for channel, spent in self._ledger.state().items()
        ]
        return {"steps": steps, "prompts": lineage, "ledger": ledger, "timing": self._timing}

    def _checkpoint(self) -> None:
        # Of several ranks one keeps what is saved, but all may be needed to put it together.
        with self._directory.checkpoints.new() if ranks.writes() else _nowhere() as folder:
            self._learner.save(folder)
            write_json_atomically(folder / "random.json", random_states(self._policy.device))
            state = {
                "step": self._step,
                "part": self._part,
                "hopeless": self._collapse.hopeless,
                "ledger": self._ledger.state(),
            }
            write_json_atomically(folder / "run.json", state)

    def _restore(self) -> None:
        """Load the last checkpoint, or the beginning if there is none, and drop newer rows."""
        folder = ranks.alone(self._cleared)
        if folder is None:
            return
        state = read_json(folder / "run.json")
        self._step, self._part = state["step"], state["part"]
        load_learner(self._learner, folder, self._course.past(self._step))
        self._ledger.restore(state["ledger"])
        self._collapse.hopeless = state["hopeless"]
        # Last, so that nothing above moves the generators afterwards.
        restore_random_states(read_json(folder / "random.json"), self._policy.device)

    def _cleared(self) -> Path | None:
        """Return the last checkpoint's folder, having dropped the rows that are newer."""
        folder = self._directory.checkpoints.current()
        last = -1 if folder is None else _saved_part(folder) - 1
        self._directory.verify(last)
        self._directory.discard_after(last)
        self._directory.sweep()
        return folder

    def _time(self, phase: str, started: float) -> None:
        row = {"step": self._step, "phase": phase, "seconds": perf_counter() - started}
        self._timing.append(row)


def _course(stream: Stream, config: RunConfig) -> Course:
    return Course(
        stream,
        seed=config.seed,
        feedback=config.feedback,
        problems_per_step=config.learning.problems_per_step,
        solutions=LEARNERS.load(config.learner).from_solutions,
    )


def _evaluator(policy: Policy, course: Course, config: RunConfig) -> Evaluator:
    outside = course.stream.outside
    return Evaluator(policy, course, config.evaluation, outside, learning=config.learning)


def _manifest(stream: Stream, config: RunConfig) -> dict[str, Any]:
    described = {"stream": stream.describe(), "config": asdict(config)}
    return {
        **described,
        "learner": config.learner,
        "model": config.model,
        "seed": config.seed,
        "config_hash": config_hash(described),
        "status": "running",
        **used_plugins(stream, config.learner),
        "provenance": provenance(),
    }


@contextmanager
def _nowhere() -> Iterator[Path]:
    """A folder that goes again."""
    with TemporaryDirectory(prefix="cl-bench-") as folder:
        yield Path(folder)


@contextmanager
def _owned(directory: RunDirectory) -> Iterator[None]:
    """Own the directory inside, as the one rank that writes; the others go along with it."""
    with directory.locked() if ranks.writes() else nullcontext():
        ranks.gathered(None)  # nobody goes on where it is another process's
        yield


@contextmanager
def _status_kept(directory: RunDirectory) -> Iterator[None]:
    """Record in the manifest how the run ended. An interrupted run stays `running`."""
    if not ranks.writes():
        yield
        return
    directory.update_manifest(status="running", reason=None, ranks=ranks.count())
    try:
        try:
            yield
        finally:
            with suppress(RunDirectoryError):
                directory.update_manifest(peak_memory=_peaks(directory.manifest))
    except Exception as error:
        if ranks.tells_of_a_loss(error):  # the run was interrupted, and did not fail itself
            raise error if isinstance(error, RankError) else ranks.lost() from error
        diverged = isinstance(error, DivergedError)
        reason = str(error) if diverged else f"{type(error).__name__}: {error}"
        with suppress(RunDirectoryError):  # on a full disk the error itself is what counts
            directory.update_manifest(status="diverged" if diverged else "failed", reason=reason)
        raise
    directory.update_manifest(status="done")


def load_policy(config: RunConfig, threads: int, revision: str | None = None) -> Policy:
    """Return the policy that a run trains, with its sampler, in so many threads."""
    if threads:
        torch.set_num_threads(threads)
    if ranks.shares_layers() and config.sampler != "transformers":
        raise UsageError(
            f"--sampler {config.sampler} does not go with layers that are shared out (FSDP). Leave "
            "it out, or launch without FSDP."
        )
    on = device_named(config.device)
    policy = Policy.load(
        resolve(config.model),
        on,
        precision_named(config.precision, on),
        revision=revision,
        lora=config.lora,
        template=config.template,
        gradient_checkpointing=config.gradient_checkpointing,
    )
    if config.sampler_url:
        policy.sampler = server_sampler(policy, config.sampler_url, config.sampler_folder)
    elif config.sampler == "vllm":
        policy.sampler = vllm_sampler(
            policy, memory=config.sampler_memory, batch_invariant=config.batch_invariant
        )
    return policy


def _identity(config: RunConfig, policy: Policy) -> dict[str, Any]:
    return identity(reflection_lm(config.learning), policy)


def _row(record: StepRecord) -> Row:
    return dict(asdict(record))


def _saved_part(folder: Path) -> int:
    return int(read_json(folder / "run.json")["part"])


def _peaks(manifest: Mapping[str, Any]) -> dict[str, int | None]:
    """Return the most bytes that the run's processes held, of the machine and of the GPU."""
    before = manifest.get("peak_memory") or {}
    now = {"machine": machine.peak_memory(), "gpu": machine.gpu_peak_memory()}
    return {
        name: max(filter(None, (count, before.get(name))), default=None)
        for name, count in now.items()
    }
