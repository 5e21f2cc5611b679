"""The list of reasoning-gym's data sets: the lines of `cl-bench list gym`, and docs/gym.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median

from cl_bench.contract.text import one_line

from .domain import factory, load
from .table import LEFT_OUT, MADE_FOR, SETS, Adapted

_SAMPLE = 15
"""Questions whose length is measured."""
_LONG = 1_600
"""Characters of a question that is called long: about 400 tokens."""

_PAGE = """# Data sets of reasoning-gym

`gym/NAME` is a task made of a data set of
[reasoning-gym](https://github.com/open-thought/reasoning-gym) (Apache-2.0, arXiv 2505.24760),
which `pip install 'cl-bench[gym]'` installs. `cl-bench list gym` shows an example of each. This
page is made by `python -m cl_bench.tasks.gym.overview > docs/gym.md`, for reasoning-gym {version}.

- **Parameters.** `gym/gcd?max_value=20&min_value=1` sets reasoning-gym's own parameters, in every
  setting. `default` is what reasoning-gym has; `easy` suits a small model. A setting whose
  parameters contradict the ones given is left out.
- **Items.** The seed of every item is a hash of the task, setting, split, seed and index, so that
  no two seeds share them; a question belongs to the one split that its text says. An item
  whose right answer is empty, wrong, or not what its scorer accepts, is drawn again.
- **Scores.** An answer is taken from a box, a tag, a line "answer: …", or the end of the response.
  It scores 1 if it is right and 0 if not; `?partial=true` gives reasoning-gym's partial credit.
  Where the column *judged by* says "comparison", reasoning-gym's scorer is not asked, because it
  evaluates the answer as code or accepts wrong ones, and there is no partial credit.
- **A process of its own.** Where the column *apart* gives a reason, items are drawn and scored in a
  process without files, environment or further processes, with limits of memory and time. What is
  evaluated as code or by sympy has to be made of the characters and names that answers consist of.
- **Time.** A question of `futoshiki` (default) and `knight_swap` takes about half a second to draw,
  and has to be drawn one to five times until one falls into the split; most others take less than
  a millisecond. Questions marked with * are longer than about 400 tokens.

| name | answer | settings | characters of a question (median) | judged by | apart |
|---|---|---|---:|---|---|
{rows}

## Not adapted

| name | why |
|---|---|
{left_out}
"""


@dataclass(frozen=True, slots=True)
class Listed:
    """A data set with an example; or, if it is not adapted, why not."""

    name: str
    category: str
    settings: tuple[str, ...] = ()
    kind: str = ""
    question: str = ""
    answer: str = ""
    left_out: str = ""

    def __str__(self) -> str:
        if self.left_out:
            return f"{self.name:<30} not adapted: {self.left_out}"
        return (
            f"{self.name:<30} {self.category}; {self.kind}; {', '.join(self.settings)}\n"
            f"    {self.question}\n    -> {self.answer}"
        )


def listed() -> Iterator[Listed]:
    """Every data set, the adapted ones first, each with the first question of its first setting."""
    names = factory().DATASETS
    for data in SETS:
        domain = load(f"gym/{data}")
        setting = next(iter(domain.settings))
        (problem,) = domain.task(seed=0, setting=setting, feedback="none").problems("train", 1)
        yield Listed(
            domain.name,
            _category(names[data][0]),
            tuple(domain.settings),
            domain.kind,
            one_line(problem.prompt, 160),
            one_line(problem.answer, 80),
        )
    for data, reason in LEFT_OUT.items():
        yield Listed(f"gym/{data}", _category(names[data][0]), left_out=reason)


def page(lengths: Mapping[str, int]) -> str:
    """docs/gym.md, given the median length of each data set's questions."""
    rows = "\n".join(_row(data, entry, lengths[data]) for data, entry in SETS.items())
    reasons = "\n".join(f"| `gym/{data}` | {reason} |" for data, reason in LEFT_OUT.items())
    return _PAGE.format(version=MADE_FOR, rows=rows, left_out=reasons)


def lengths(*names: str) -> dict[str, int]:
    """The median number of characters of the questions of these data sets, or of all."""
    return {data: _length(data) for data in names or SETS}


def _length(data: str) -> int:
    task = load(f"gym/{data}").task(seed=0, setting="default", feedback="none")
    return int(median(len(problem.prompt) for problem in task.problems("train", _SAMPLE)))


def _row(data: str, entry: Adapted, length: int) -> str:
    settings = ", ".join([*["easy"] * bool(entry.easy), "default", *["hard"] * bool(entry.hard)])
    shown = f"{length:,}{' *' * (length > _LONG)}"
    judge = "comparison" if entry.judge else "reasoning-gym"
    return f"| `gym/{data}` | {entry.kind} | {settings} | {shown} | {judge} | {entry.apart} |"


def _category(dataset: type) -> str:
    parts = dataset.__module__.split(".")
    return parts[1] if len(parts) > 2 else "other"


if __name__ == "__main__":
    print(page(lengths()), end="")
