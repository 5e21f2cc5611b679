"""Verifiers of users' files: what each takes for right, what it says, and that none hangs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

import pytest

from cl_bench.contract.errors import ClBenchError, UsageError
from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.task import FEEDBACK_LEVELS, SPLITS, FeedbackLevel, Problem, Task, Verdict
from cl_bench.tools.checks import check_task

WORKERS: Any = import_module("cl_bench.tasks.workers")
Write = Callable[..., Any]
_NUMBERS = count()


@pytest.fixture
def domain(tmp_path: Path) -> Write:
    """Writes answers, each with a prompt of its own and what else is given, and loads the file."""

    def write(answers: Sequence[Any], options: str = "", **columns: Sequence[Any]) -> Any:
        rows = [
            {"prompt": f"Question {n}?", "answer": answer, **{k: v[n] for k, v in columns.items()}}
            for n, answer in enumerate(answers)
        ]
        path = tmp_path / "my.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return DOMAINS.load(f"{path}{options}")

    return write


def problem_of(domain: Any, answer: str, level: FeedbackLevel = "full") -> tuple[Task, Problem]:
    task: Task = domain.task(seed=0, setting="default", feedback=level)
    problems = [problem for split in SPLITS for problem in task.problems(split, 60)]
    return task, next(problem for problem in problems if problem.answer == answer)


def verdict(domain: Any, answer: str, response: str, level: FeedbackLevel = "full") -> Verdict:
    task, problem = problem_of(domain, answer, level)
    return task.verify(problem, response)


NUMBERS = list(range(100, 130))
LETTERS = [*"ABCD" * 5]
TEXTS = [f"town {n}" for n in range(20)]
VALUES = [f'{{"a": [{n}, 1.5]}}' for n in range(30)]
FORMULAS = [f"\\frac{{{n}}}{{7}}" for n in range(1, 21) if n % 7]


@pytest.mark.parametrize(
    ("answers", "chosen"),
    [
        (NUMBERS, "number"),
        ([f"{n}/7" for n in NUMBERS], "number"),
        (LETTERS, "choice"),
        (TEXTS, "exact"),
        ([*"XYZ" * 5], "exact"),
        ([True, False] * 8, "exact"),
    ],
)
def test_the_answers_choose_the_verifier(answers: list[Any], chosen: str, domain: Write) -> None:
    assert f"verifier {chosen}" in domain(answers).summary


@pytest.mark.parametrize(
    ("answers", "options", "answer", "right", "wrong"),
    [
        (NUMBERS, "", "107", ["107", "It is 107.0.", "<answer>107</answer>"], ["108", "", "-107"]),
        (LETTERS, "", "B", ["B", "(B)", "The answer is B.", "answer: b) B", "b"], ["C", "", "be"]),
        (TEXTS, "", "town 7", ["Town  7", '"town 7"', "so\nanswer: town 7"], ["town 71", "town"]),
        (["a\nb"] * 10 + TEXTS, "", "a\nb", ["<answer>a\nb</answer>", "a\nb"], ["a", "b"]),
        (
            FORMULAS,
            "?verifier=math",
            "\\frac{3}{7}",
            ["3/7", "\\boxed{\\frac{6}{14}}", "$\\frac37$", "so x = \\frac{3}{7}"],
            ["0.428", "7/3", "", "9**9**9**9", "9^{9^{9^{9}}}", "1e999", "99999999!", "(" * 900],
        ),
        (
            VALUES,
            "?verifier=json",
            '{"a": [3, 1.5]}',
            [
                '{"output": {"a": [3, 1.5001]}}',
                '{"a": [3.0, 1.5]}',
                'so {"x": 1}, ```json\n{"output": {"a": [3, 1.5]}}\n```',
            ],
            [
                '{"a": [1.5, 3]}',
                '{"a": [3, true]}',
                "",
                "{}",
                '{"output": {"a": [3, NaN]}}',
                '{"output": {"a": [3, 1.5]}} {"output": 1}',
                '{"a":' * 3_000,
                "{" * 19_000,
            ],
        ),
        (
            [f"{n + 12} from {n} 3 4 50" for n in range(1, 30)],
            "?verifier=countdown",
            "((50 - 3) - (7 * 4))",
            ["answer: 3*4 + 7", "\\boxed{(50-7*4)-3}", "7+3*4 = 19"],
            ["19", "7+7+5", "3*4+7+50-50", "7+12", "__import__('os')", "7+3*4+", ""],
        ),
        (
            NUMBERS,
            "?verifier=math",
            "107",
            ["107", "107.0", "x = 107", "answer: 107 kg", "$107$"],
            ["13, 107", "107, 13", "13 or 107", "(13, 107)", "[13, 107]", "$13, 107$", "108"],
        ),
        (
            NUMBERS,
            "?pattern=" + quote("^{answer}( kg)?$"),
            "107",
            ["107 kg", "answer: 107"],
            ["107 g", "1070", "107 108"],
        ),
    ],
)
def test_what_is_right_scores_1_and_what_is_wrong_0(
    answers: list[Any], options: str, answer: str, right: list[str], wrong: list[str], domain: Write
) -> None:
    found = domain(answers, options)
    assert [verdict(found, answer, text).score for text in right] == [1] * len(right)
    assert [verdict(found, answer, text).score for text in wrong] == [0] * len(wrong)


@pytest.mark.parametrize(
    ("answers", "options", "columns"),
    [
        (NUMBERS, "?verifier=number", {}),
        (LETTERS, "?verifier=choice", {}),
        (TEXTS, "?verifier=exact", {}),
        ([f"a\n{n}" for n in range(20)], "", {}),
        (FORMULAS, "?verifier=math", {}),
        ([*FORMULAS, "\\text{not a number}", "\\approx"], "?verifier=math", {}),
        (VALUES, "?verifier=json", {}),
        ([f"{n} from {n} 3 4" for n in range(1, 30)], "?verifier=countdown", {}),
        ([f"^town {n}!*$" for n in range(20)], "?verifier=regex", {"solution": TEXTS}),
    ],
)
def test_every_verifier_keeps_the_contract(
    answers: list[Any], options: str, columns: dict[str, list[str]], domain: Write
) -> None:
    assert check_task(domain(answers, options, **columns)) == []


@pytest.mark.parametrize(
    ("answer", "right", "wrong"),
    [
        ("3+4i", ["4i + 3"], ["3", "4", "3 + 4"]),
        (r"2\sqrt{3}", ["2*sqrt(3)", r"\sqrt{12}"], ["2", "3"]),
        (r"\log 2", [r"\log(2)"], ["2"]),
        ("2i", ["0 + 2i"], ["2"]),
        ("3!", ["6"], ["3"]),
        (r"x \le 3", ["x <= 3"], ["3"]),
        (r"x=3 \text{ or } x=4", ["3, 4", "x = 4 or x = 3"], ["4", "3"]),
        ("2x+3y=7", ["3y + 2x = 7"], ["7"]),
        ("y=3x+2", ["3x + 2"], ["2"]),
        (
            "5",
            [
                "so x is 5",
                "a total of 5 apples",
                "5 cm^2",
                r"5 \text{ m}^2",
                "$5",
                r"\$5",
                "2+3 = 5",
            ],
            ["5i", "5x", r"5\pi", "5+i", "5!", "5 x", "5 pi", "log 5", "minus 5", r"$2\sqrt{5}$"],
        ),
        ("5 dollars", ["5", "about 5"], ["6 dollars"]),
        ("36", ["Ann has 36 eggs"], ["36 eggs or 3 boxes", "3 eggs in 36 boxes", "36:6"]),
    ],
)
def test_a_formula_is_not_right_for_one_number_in_it(
    answer: str, right: list[str], wrong: list[str], domain: Write
) -> None:
    found = domain([answer, *FORMULAS], "?verifier=math")
    for text in right:
        assert verdict(found, answer, f"answer: {text}").score == 1, text
    for text in wrong:
        assert verdict(found, answer, f"answer: {text}").score == 0, text


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A math-verify that is installed and raises, as with a release of antlr4 it does not know."""
    code = "def parse(*a, **k): raise ImportError('Unsupported ANTLR version')\nverify = parse\n"
    (tmp_path / "stub").mkdir()
    (tmp_path / "stub" / "math_verify.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path / "stub"))
    worker = WORKERS.Worker("cl_bench.tasks.data.worker", "formulas")
    monkeypatch.setattr("cl_bench.tasks.data.verifiers._FORMULAS", worker)


@pytest.mark.usefixtures("broken")
def test_a_math_verify_that_does_not_work_is_told_before_anything_is_judged(domain: Write) -> None:
    with pytest.raises(UsageError, match="which is installed and does not work"):
        domain(FORMULAS, "?verifier=math")


def test_a_judge_that_cannot_be_started_again_is_no_score_of_0(
    domain: Write, request: pytest.FixtureRequest
) -> None:
    found = domain(FORMULAS, "?verifier=math")
    request.getfixturevalue("broken")
    with pytest.raises(ClBenchError, match=r"does not start.*tasks\.data\.worker formulas < "):
        verdict(found, "\\frac{3}{7}", "6/14")


def test_a_pattern_that_backtracks_forever_is_a_score_of_0(
    domain: Write,
) -> None:
    found = domain(["(a+)+$"] * 12, "?verifier=regex", solution=["aaa"] * 12)
    started = time.perf_counter()
    assert verdict(found, "aaa", "a" * 60 + "b").score == 0
    assert time.perf_counter() - started < 20
    assert verdict(found, "aaa", "aaaa").score == 1


def test_a_target_that_six_numbers_do_not_reach_is_told_in_seconds(domain: Write) -> None:
    started = time.perf_counter()
    with pytest.raises(UsageError, match=r"line 1 .*, because it cannot be reached from its num"):
        domain([f"{10**9 + n} from 1 2 3 4 5 6" for n in range(12)], "?verifier=countdown")
    assert time.perf_counter() - started < 10


def test_formulas_are_compared_in_any_thread(domain: Write) -> None:
    found = domain(FORMULAS, "?verifier=math")
    scores: list[float] = []
    threads = [
        Thread(target=lambda: scores.append(verdict(found, "\\frac{3}{7}", "6/14").score))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scores == [1.0] * 4


def test_a_teachers_feedback_takes_the_place_of_ours_but_says_nothing_at_level_none(
    domain: Write,
) -> None:
    said = [f"Count to {n} once more." for n in NUMBERS]
    found = domain(NUMBERS, feedback=said)
    given = {level: verdict(found, "107", "108", level).feedback for level in FEEDBACK_LEVELS}
    assert given["full"] == given["step"] == "Count to 107 once more."
    assert given["none"] == "Wrong."
    assert given["answer"] == "Wrong. The right answer is 107."
    assert verdict(found, "107", "107").feedback == "Correct."


def test_rows_without_a_teachers_words_get_ours(domain: Write) -> None:
    found = domain(NUMBERS, feedback=[None] * 30)
    assert "The right answer is 107." in verdict(found, "107", "108").feedback


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a module beside the data, called as no other, and gives the option that names it."""
    monkeypatch.chdir("/")

    def write(code: str) -> str:
        name = f"own_{next(_NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(code)
        return f"?verifier=python:{name}.judge"

    return write


def test_a_function_of_the_users_own_judges(own: Write, domain: Write, tmp_path: Path) -> None:
    code = (
        "def judge(prompt, answer, response):\n"
        "    if response == answer: return 1\n"
        "    return 0.25, f'{prompt} Not {response}.'\n"
    )
    found = domain(TEXTS, own(code))
    assert verdict(found, "town 7", "town 7") == Verdict(1.0, "Correct.", "town 7")
    wrong = verdict(found, "town 7", "town 8")
    assert (wrong.score, wrong.feedback) == (0.25, "Question 7? Not town 8.")
    assert verdict(found, "town 7", "town 8", "none").feedback == "Wrong."
    assert not list(tmp_path.glob("__pycache__"))


def test_another_function_is_another_version(own: Write, domain: Write) -> None:
    one = domain(TEXTS, own("def judge(prompt, answer, response): return answer == response\n"))
    two = domain(TEXTS, own("def judge(prompt, answer, response): return answer in response\n"))
    assert one.version != two.version


LENIENT = "def judge(prompt, answer, response): return float(answer in response)\n"
STRICT = "def judge(prompt, answer, response): return float(answer == response)\n"


def judged_in(folder: Path, code: str, place: str = "my_verifier") -> Any:
    """The domain of a folder with a data file and that code as its verifier."""
    file = folder.joinpath(*place.split(".")).with_suffix(".py")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(code)
    rows = [json.dumps({"prompt": f"{text}?", "answer": text}) + "\n" for text in TEXTS]
    (folder / "my.jsonl").write_text("".join(rows))
    return DOMAINS.load(f"{folder / 'my.jsonl'}?verifier=python:{place}.judge")


def test_each_folders_own_function_judges_its_data(tmp_path: Path) -> None:
    lenient, strict = (
        judged_in(tmp_path / name, code) for name, code in (("a", LENIENT), ("b", STRICT))
    )
    assert verdict(lenient, "town 7", "it is town 7").score == 1
    assert verdict(strict, "town 7", "it is town 7").score == 0


def test_an_edited_function_judges_anew_and_is_another_version(tmp_path: Path) -> None:
    lenient = judged_in(tmp_path, LENIENT)
    strict = judged_in(tmp_path, STRICT)
    assert verdict(lenient, "town 7", "it is town 7").score == 1
    assert verdict(strict, "town 7", "it is town 7").score == 0
    assert lenient.version != strict.version
    assert judged_in(tmp_path, LENIENT).version == lenient.version


def test_a_function_in_a_package_imports_from_it(tmp_path: Path) -> None:
    package = f"own_{next(_NUMBERS)}"
    for name in ("a", "b"):
        (tmp_path / name / package).mkdir(parents=True)
        (tmp_path / name / package / "__init__.py").touch()
        (tmp_path / name / package / "helper.py").write_text("from operator import eq as same\n")
    code = "from .helper import same\ndef judge(prompt, answer, response): return same{}\n"
    found = judged_in(tmp_path / "a", code.format("(answer, response)"), f"{package}.judges")
    assert verdict(found, "town 7", "it is town 7").score == 0
    with pytest.raises(UsageError, match=r"Another package own_.* one of the two another name"):
        judged_in(tmp_path / "b", code.format("(1, 1)"), f"{package}.judges")


def test_a_solution_may_be_given_for_a_function(own: Write, domain: Write) -> None:
    options = own("def judge(prompt, answer, response): return float(response == f'({answer})')\n")
    solutions = [f"({text})" for text in TEXTS]
    _, problem = problem_of(domain(TEXTS, options, solution=solutions), "town 7")
    assert problem.solution == "(town 7)"


@pytest.mark.parametrize("result", ["2", "float('nan')", "'yes'", "None", "(0.5, 3)", "1 / 0"])
def test_what_is_no_score_is_an_error_that_names_the_row(
    result: str, own: Write, domain: Write
) -> None:
    options = own(f"def judge(prompt, answer, response): return {result}\n")
    with pytest.raises(
        UsageError, match=r"The verifier python:own\S+ .* on line \d+ of .*my.jsonl"
    ):
        domain(TEXTS, options)
    options = own(
        "def judge(prompt, answer, response):\n"
        f"    if response != answer: return {result}\n"
        "    return True\n"
    )
    found = domain(TEXTS, options)
    with pytest.raises(ClBenchError, match="on line 8 of "):
        verdict(found, "town 7", "town 8")
