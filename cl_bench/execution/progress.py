"""Live progress of a run: a bar on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from cl_bench.contract.answers import MANY_CUT_OFF
from cl_bench.contract.text import abbreviated, counted, printable
from cl_bench.metrics.quantities import NATS, SECONDS, SHARE
from cl_bench.model import ranks
from cl_bench.store.rows import is_stream_row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cl_bench.contract.records import StepRecord
    from cl_bench.contract.stream import Stream
    from cl_bench.execution.evaluator import Evaluation
    from cl_bench.store.rows import Row


_KL = "kl_policy_base"


@runtime_checkable
class Progress(Protocol):
    """The runner's reports while it runs. Implementations must not raise, but for `recorded`."""

    def start(self, stream: Stream, learner: str, step: int) -> None:
        """The run begins, or goes on, after training step `step`."""

    def step(self, step: int, stage: int, record: StepRecord) -> None:
        """A training step of the stage with that index is done."""

    def evaluated(self, step: int, evaluation: Evaluation) -> None:
        """The policy was evaluated after that step."""

    def recorded(self, tables: Mapping[str, Sequence[Row]]) -> None:
        """Rows were added to the tables. A `LockedError` ends the run: others write it now."""

    def note(self, line: str) -> None:
        """There is something to tell, which may happen at any time."""

    def stop(self) -> None:
        """The run ended, in whatever way: release the terminal."""

    def finish(self) -> None:
        """The run is complete."""


class Quiet:
    """Says nothing."""

    def start(self, stream: Stream, learner: str, step: int) -> None:
        pass

    def step(self, step: int, stage: int, record: StepRecord) -> None:
        pass

    def evaluated(self, step: int, evaluation: Evaluation) -> None:
        pass

    def recorded(self, tables: Mapping[str, Sequence[Row]]) -> None:
        pass

    def note(self, line: str) -> None:
        pass

    def stop(self) -> None:
        pass

    def finish(self) -> None:
        pass


class Lines:
    """A line for each evaluation point; for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        self._first = self._total = 0
        self._records: list[StepRecord] = []
        self._names: dict[str, str] = {}
        self._stages: list[str] = []
        self._stage = 0

    def start(self, stream: Stream, learner: str, step: int) -> None:
        self._started, self._first, self._total = time.monotonic(), step, stream.steps
        self._names = abbreviated(stream.domains)
        self._stages = [self._names[stage.domain] for stage in stream.stages]
        together = f" on {ranks.count()} ranks" if ranks.count() > 1 else ""
        steps = counted(stream.steps, "step")
        self._say(f"{learner} on {stream.name}: {steps}, from step {step}{together}")

    def step(self, step: int, stage: int, record: StepRecord) -> None:
        self._stage = stage
        self._records.append(record)

    def evaluated(self, step: int, evaluation: Evaluation) -> None:
        shown = f" {learned(self._records)}" if self._records else ""
        where = f"step {step}/{self._total} [{self._stages[self._stage]}]"
        told = describe(evaluation, self._names)
        self._say(f"{where}{shown} | {told} | {self._left(step)}")
        self._records.clear()

    def recorded(self, tables: Mapping[str, Sequence[Row]]) -> None:
        pass

    def note(self, line: str) -> None:
        self._say(line)

    def stop(self) -> None:
        pass

    def finish(self) -> None:
        self._say(f"finished in {SECONDS.text(time.monotonic() - self._started)}")

    def _left(self, step: int) -> str:
        done, spent = step - self._first, time.monotonic() - self._started
        if not done:
            return SECONDS.text(spent)
        left = spent / done * (self._total - step)
        return f"{SECONDS.text(spent)}, {SECONDS.text(left)} left"

    def _say(self, text: str) -> None:
        self._console.print(printable(text), markup=False, highlight=False, soft_wrap=True)


class Live(Lines):
    """The lines, above a bar that moves with every step."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[reward]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=None, reward="")

    def start(self, stream: Stream, learner: str, step: int) -> None:
        super().start(stream, learner, step)
        self._bar.update(
            self._task, total=stream.steps, completed=step, description=printable(self._stages[0])
        )
        self._bar.start()

    def step(self, step: int, stage: int, record: StepRecord) -> None:
        super().step(step, stage, record)
        self._bar.update(
            self._task,
            completed=step,
            description=printable(self._stages[stage]),
            reward=learned([record]),
        )

    def stop(self) -> None:
        self._bar.stop()


class Steps:
    """A bar of tqdm, with the last reward and accuracies: a widget in a notebook, else text."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._names: dict[str, str] = {}
        self._accuracies = ""

    def start(self, stream: Stream, learner: str, step: int) -> None:
        from tqdm.auto import tqdm

        self._names = abbreviated(stream.domains)
        told = printable(f"{learner} on {stream.name}")
        how = {"dynamic_ncols": True} if _is_watched() else {"mininterval": _RARELY, "ascii": True}
        self._bar = tqdm(total=stream.steps, initial=step, desc=told, unit="step", **how)

    def step(self, step: int, stage: int, record: StepRecord) -> None:
        self._tell(learned([record]), self._accuracies)
        self._bar.update(step - self._bar.n)

    def evaluated(self, step: int, evaluation: Evaluation) -> None:
        self._accuracies = describe(evaluation, self._names, divergence=False)
        self._tell(self._accuracies)
        self._bar.refresh()

    def recorded(self, tables: Mapping[str, Sequence[Row]]) -> None:
        pass

    def note(self, line: str) -> None:
        from tqdm.auto import tqdm

        # What a notebook's kernel writes to its standard error looks like an error.
        tqdm.write(printable(line), file=sys.stdout if _in_notebook() else sys.stderr)

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def finish(self) -> None:
        pass

    def _tell(self, *parts: str) -> None:
        self._bar.set_postfix_str(printable(", ".join(filter(None, parts))), refresh=False)


_RARELY = 30.0
"""Seconds between the states of a bar that go to a file, where each is a line of its own."""


def _in_notebook() -> bool:
    """Whether this process is a notebook's kernel; others may have its package loaded, too."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def _is_watched() -> bool:
    return _in_notebook() or sys.stderr.isatty()


class Both:
    """Two progresses as one."""

    def __init__(self, first: Progress, second: Progress) -> None:
        self._each = (first, second)

    def start(self, stream: Stream, learner: str, step: int) -> None:
        for each in self._each:
            each.start(stream, learner, step)

    def step(self, step: int, stage: int, record: StepRecord) -> None:
        for each in self._each:
            each.step(step, stage, record)

    def evaluated(self, step: int, evaluation: Evaluation) -> None:
        for each in self._each:
            each.evaluated(step, evaluation)

    def recorded(self, tables: Mapping[str, Sequence[Row]]) -> None:
        for each in self._each:
            each.recorded(tables)

    def note(self, line: str) -> None:
        for each in self._each:
            each.note(line)

    def stop(self) -> None:
        for each in self._each:
            each.stop()

    def finish(self) -> None:
        for each in self._each:
            each.finish()


def learned(records: Sequence[StepRecord]) -> str:
    """Return the mean reward of steps in words; the loss of a learner that has no rewards."""
    reward = sum(record.reward for record in records) / len(records)
    if reward == reward:
        return f"reward {SHARE.text(reward)}"
    return f"loss {sum(record.loss for record in records) / len(records):.3g}"


def describe(evaluation: Evaluation, names: Mapping[str, str], *, divergence: bool = True) -> str:
    """Return accuracy of every domain under the learner's prompt, in one line.

    With `divergence` its KL stands beside it, and the share of responses that were cut off where
    they are many. `names` are the short names of the domains.
    """
    return ", ".join(
        f"{names[str(row['domain'])]} {SHARE.text(_number(row, 'accuracy'))}"
        f"{f' (KL {NATS.text(_number(row, _KL))}{_cut_off(row)})' if divergence else ''}"
        for row in evaluation.evaluations
        if is_stream_row(row) and row["prompt"] == "learner"
    )


def _cut_off(row: Row) -> str:
    share = _number(row, "truncation_rate")
    return f", {SHARE.text(share)} cut off" if share > MANY_CUT_OFF else ""


def _number(row: Row, column: str) -> float:
    return float(str(row[column]))


def progress_for(console: Console, *, quiet: bool) -> Progress:
    """Return the progress that suits the console: none, a bar on a terminal, or plain lines."""
    if quiet:
        return Quiet()
    return Live(console) if console.is_terminal else Lines(console)
