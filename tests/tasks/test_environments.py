"""Environments of the `verifiers` package: a small one is a domain, and what is refused.

Needs the extra `verifiers`: `tox -e verifiers`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from cl_bench.contract.errors import UsageError
from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.stream_names import stream
from cl_bench.contract.task import SPLITS, Problem, Task
from cl_bench.tools.checks import check_task

INSTALLED = importlib.util.find_spec("verifiers") is not None
needed = pytest.mark.skipif(not INSTALLED, reason="needs the extra verifiers")

SUMS = """
import asyncio

import verifiers.v1 as vf


def vf_metric(weight):
    return vf.metric


class SumData(vf.TaskData):
    answer: str
    hint: str = ""


class SumTask(vf.Task[SumData]):
    @vf.reward(weight=2.0)
    async def right(self, trace) -> float:
        await asyncio.sleep(0)
        return float(f"boxed{{{self.data.answer}}}" in trace.last_reply)

    @vf.reward(weight=0.5)
    async def brief(self, task, trace) -> float:
        if trace.last_reply == "raise":
            raise RuntimeError("a rubric that fails")
        return float(trace.last_reply.strip("\\\\boxed{}") == task.answer)


class SumsConfig(vf.TasksetConfig):
    most: int = 60


class Sums(vf.Taskset[SumTask, SumsConfig]):
    def load(self):
        for n in range(self.config.most):
            yield SumTask(
                SumData(prompt=f"What is {n} + 5?", system_prompt="Be brief.", answer=str(n + 5)),
                self.config.task,
            )


__all__ = ["Sums"]
"""

ASKED = 'prompt=f"What is {n} + 5?"'
TURNS = f"""prompt=[
    vf.UserMessage(content="Hello."), vf.AssistantMessage(content="Yes?"),
    vf.UserMessage(content={ASKED.removeprefix("prompt=")}),
]"""
REWARD = "    @vf.reward(weight=2.0)"
SETUP = f"    async def setup(self, trace, runtime):\n        pass\n\n{REWARD}"
TOOLS = "SumTask.toolsets = classmethod(lambda cls, config: [object()])\n\n\nclass SumsConfig"
FAILS = "raise OSError('disk')\n        for n in range"

CHANGED = {
    "tools": ("class SumsConfig", TOOLS, "it has tools"),
    "several turns": (ASKED, TURNS, "it has several turns"),
    "a user that is played": (ASKED, "prompt=None", "by a user"),
    "a container": (REWARD, f"    NEEDS_CONTAINER = True\n\n{REWARD}", "a container"),
    "a runtime": ("right(self, trace)", "right(self, trace, runtime)", "look into a container"),
    "a setup": (REWARD, SETUP, "prepares one"),
    "no rewards": ("@vf.reward", "@vf_metric", "it has no rewards"),
    "no field of answers": ("answer", "result", "which field of its tasks holds the right answer"),
    "no tasks": ("most: int = 60", "most: int = 0", "has no tasks"),
    "tasks that fail": ("for n in range", FAILS, "cannot load its tasks: OSError: disk"),
    "an older form": ('__all__ = ["Sums"]', "def load_environment(): pass", "before 0.4 asked for"),
    "no reward for an answer": ("float(", "0.0 * float(", "give nothing for the answers"),
}
"""What is replaced in the environment, by what, and what is said of it."""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a module that can be imported, as an installed environment can."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("cl_bench.tasks.environments._loaded", {})
    names = []

    def write(name: str, text: str = SUMS) -> str:
        module = name.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(text, encoding="utf-8")
        importlib.invalidate_caches()
        names.append(module)
        return f"verifiers/{name}"

    yield write
    for module in names:
        sys.modules.pop(module, None)


def first(domain: Any) -> tuple[Task, Problem]:
    task: Task = domain.task(seed=0, setting="default", feedback="full")
    problems = [problem for split in SPLITS for problem in task.problems(split, 60)]
    return task, next(problem for problem in problems if problem.answer == "12")


@needed
def test_a_single_turn_environment_is_a_domain_and_its_rewards_are_the_score(
    installed: Any,
) -> None:
    domain: Any = DOMAINS.load(installed("small-sums"))
    task, problem = first(domain)
    assert problem.prompt == "Be brief.\n\nWhat is 7 + 5?"
    assert problem.solution == r"\boxed{12}"
    assert task.verify(problem, r"\boxed{12}").score == 1
    assert task.verify(problem, rf"\boxed{{12}}{' and so on' * 9}").score == pytest.approx(0.8)
    assert task.verify(problem, "12").score == pytest.approx(0.2)
    assert task.verify(problem, "raise").score == 0
    assert task.verify(problem, "13").feedback == "Wrong. The right answer is 12."
    assert len(domain.items) == 60
    assert domain.name == "verifiers/small-sums"
    assert check_task("verifiers/small-sums") == []


@needed
def test_it_judges_inside_a_running_loop_as_in_a_notebook(installed: Any) -> None:
    task, problem = first(DOMAINS.load(installed("small-sums")))

    async def judged() -> float:
        return task.verify(problem, r"\boxed{12}").score

    assert asyncio.run(judged()) == 1


@needed
def test_its_settings_are_options_and_part_of_its_identity(installed: Any) -> None:
    name = installed("small-sums")
    domain: Any = DOMAINS.load(f"{name}?most=20")
    assert len(domain.items) == 20
    assert domain.name == f"{name}?most=20"
    assert domain.version != DOMAINS.load(name).version
    assert stream(f"{name}?most=20-to-math").domains == (domain.name, "math")
    with pytest.raises(UsageError, match=r"Unknown option of .*'mots'. Did you mean 'most'\?"):
        DOMAINS.load(f"{name}?mots=20")
    with pytest.raises(UsageError, match="The option 'most' is given twice"):
        DOMAINS.load(f"{name}?most=20&most=30")
    with pytest.raises(UsageError, match="cannot load its tasks: ValidationError"):
        DOMAINS.load(f"{name}?most=some")


@needed
def test_another_code_is_another_version(installed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    version = DOMAINS.load(installed("small-sums")).version
    monkeypatch.setattr("cl_bench.tasks.environments._loaded", {})
    sys.modules.pop("small_sums")
    name = installed("small-sums", SUMS.replace("weight=0.5", "weight=0.4"))
    assert DOMAINS.load(name).version != version


@needed
@pytest.mark.parametrize("what", CHANGED)
def test_what_needs_more_than_a_response_is_refused_in_one_line(what: str, installed: Any) -> None:
    old, new, said = CHANGED[what]
    name = installed(f"odd-{what.replace(' ', '-').replace('.', '')}", SUMS.replace(old, new))
    with pytest.raises(UsageError) as caught:
        DOMAINS.load(name)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@needed
def test_an_environment_that_is_not_installed_is_one_line() -> None:
    with pytest.raises(UsageError, match="no environment that can be loaded: ModuleNotFoundError"):
        DOMAINS.load("verifiers/no-such-environment")


@pytest.mark.skipif(INSTALLED, reason="verifiers is installed")
def test_without_the_extra_the_line_says_what_to_type() -> None:
    with pytest.raises(UsageError, match=r"pip install 'cl-bench\[verifiers\]'"):
        DOMAINS.load("verifiers/small-sums")
