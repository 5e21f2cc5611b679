"""Answers found in responses as models give them, and what is said of them."""

from __future__ import annotations

from fractions import Fraction

import pytest

from cl_bench.contract.answers import CUT_OFF, Kind, extract, judge, number
from cl_bench.contract.task import FeedbackLevel, Verdict


@pytest.mark.parametrize(
    ("response", "kind", "answer", "formatted"),
    [
        (r"So it is \boxed{12}.", "number", "12", True),
        (r"\boxed{\frac{1}{2}}", "text", r"\frac{1}{2}", True),
        ("<answer> 7 </answer>", "number", "7", True),
        ("<answer>\nA B\nC D\n</answer>", "text", "A B\nC D", True),
        ("First 3, then 4.\nAnswer: 7 apples", "number", "7", True),
        ("**Final answer:** 7", "number", "7", True),
        ("3 + 4 = 7", "number", "7", False),
        ("The answer is **1,234**.", "number", "1,234", False),
        ("It is -5.", "number", "-5", False),
        ("It is −5.", "number", "-5", False),
        ("10-3", "number", "3", False),
        ("about 2.50 dollars", "number", "2.50", False),
        ("3/4", "number", "3/4", False),
        ("no idea", "number", None, False),
        ("9**9**9**9", "number", None, False),
        ("I think (B)", "choice", "B", False),
        ("The answer is B. I am sure.", "choice", "B", False),
        ("B. A good choice", "choice", "B", False),
        ("(b)", "choice", "B", False),
        ("b", "choice", "B", False),
        ("Answer: b", "choice", "B", True),
        ("The answer is A.", "choice", "A", False),
        ("I am not sure", "choice", None, False),
        ("The final answer is: 42", "number", "42", True),
        (r"\boxed{\frac{1}{2}}", "number", "1/2", True),
        ("Answer: 7 or 8", "number", None, True),
        ("Answer: 7 or 7.0", "number", "7", True),
        ("answer: C", "choice", "C", True),
        ("Because of that\n\n'left'.\n", "line", "left", False),
        ("", "line", None, False),
        ("", "text", None, False),
        ("answer: ", "number", None, False),
        ("1" * 30_000, "number", None, False),
    ],
)
def test_the_answer_is_found_where_models_put_it(
    response: str, kind: Kind, answer: str | None, formatted: bool
) -> None:
    found = extract(response, kind)
    assert (found.text, found.formatted) == (answer, formatted)


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("answer: .5", "0.5"),
        ("answer: - 5", "-5"),
        ("5 - 17 = - 12", "-12"),
        ("answer: -$5", "-5"),
        ("answer: –5", "-5"),
        (r"\boxed{1\frac{1}{2}}", "3/2"),
        (r"\boxed{-\frac12}", "-1/2"),
        ("answer: 1 1/2", "3/2"),
        ("answer: 1 / 2", "1/2"),
        (r"\boxed{1{,}234}", "1234"),
        (r"\boxed{1\,234}", "1234"),
        ("answer: 5 m^2", "5"),
        (r"\boxed{12\text{ cm}^2}", "12"),
        (r"answer: 3\times10^2", "300"),
        ("answer: 3 x 10^2", "300"),
        ("Answer: 12 apples (3 boxes)", "12"),
        ("The answer is: 12. I used 3 steps.", "12"),
        ("Answer: The sum of 3 and 4 is 7.", "7"),
        ("Answer: 3 + 4 = 7 apples in 2 boxes", "7"),
        ("**Answer: 12**", "12"),
        ("Answer: 12\nAnswer: 12 apples in 3 boxes", "12"),
    ],
)
def test_numbers_are_read_as_people_write_them(response: str, answer: str) -> None:
    found = extract(response, "number").text
    assert found is not None
    assert number(found) == Fraction(answer)


@pytest.mark.parametrize("response", ["answer: 10, 12", "answer: 10 and 12", "Answer: 7 or 8"])
def test_several_numbers_in_a_form_are_several_answers(response: str) -> None:
    assert extract(response, "number").text is None


@pytest.mark.parametrize(
    ("response", "letter"),
    [
        ("b) Paris", "B"),
        ("answer: b. Paris", "B"),
        ("The answer is b.", "B"),
        ("answer: (B) Vitamin C", "B"),
        ("answer: B: Vitamin C", "B"),
        ("answer: B (vitamin C)", "B"),
        ("answer: B. U.S.", "B"),
        ("A) Rome\nB) Paris\nSo it is A", "A"),
        ("The answer is a dog.", None),
        ("A) is wrong, so the answer is B.", "B"),
        ("B. Option A is too small.", "B"),
    ],
)
def test_a_letter_counts_before_the_words_of_its_choice(response: str, letter: str | None) -> None:
    assert extract(response, "choice").text == letter


@pytest.mark.parametrize(
    ("response", "line"),
    [
        ("```\nParis\n```", "Paris"),
        ("```\n```", None),
        (r"\boxed{\text{Paris}}", "Paris"),
        ("**Paris**.", "Paris"),
        ("answer: *", "*"),
        ("answer: U'", "U'"),
        ("“left.”", "left"),
    ],
)
def test_a_line_loses_what_surrounds_it_and_nothing_else(response: str, line: str | None) -> None:
    assert extract(response, "line").text == line


def test_a_prime_is_part_of_a_move() -> None:
    assert judge("answer: U", "U'", asked="", kind="line", level="full").score == 0


@pytest.mark.parametrize(
    ("asked", "answer"), [("6", "36"), ("cat", "cats"), ("the cat", "the cats")]
)
def test_a_problem_is_not_cut_out_of_the_answer(asked: str, answer: str) -> None:
    verdict = judge(f"answer: {answer}", answer, asked=asked, kind="line", level="full")
    assert verdict.score == 1


TRUTH = ("False", "True")
WORDS = ("No", "Yes")


@pytest.mark.parametrize(
    ("response", "choices", "choice"),
    [
        ("Answer: A, because B is wrong.", (), "A"),
        ("Answer: A because B is wrong.", (), "A"),
        ("Answer: A, not B", (), "A"),
        ("Answer: a, not b", (), "A"),
        ("Answer: C is right, B is not", (), "C"),
        ("<answer>(C) Carbon, not (B) Boron</answer>", (), "C"),
        ("Answer: the right choice is B, and A is wrong", (), "B"),
        ("Answer: Option B, since either A or C is too small", (), "B"),
        ("Answer: I think (B)", (), "B"),
        ("Answer: A cat sat on (B)", (), "B"),
        ("Answer: Yes, because no exception to the premises exists.", WORDS, "Yes"),
        ("Answer: **No**, yes would need more", WORDS, "No"),
        ("Answer: It is not valid: no", WORDS, "No"),
        ("Answer: off, based on the trials.", ("off", "on", "undetermined"), "off"),
        ("Answer: True, since assuming False gives a contradiction.", TRUTH, "True"),
        ("Answer: true", TRUTH, "True"),
        ("Answer: B, B", (), "B"),
    ],
)
def test_a_form_gives_the_choice_that_it_begins_with(
    response: str, choices: tuple[str, ...], choice: str
) -> None:
    found = extract(response, "choice", choices)
    assert (found.text, found.formatted) == (choice, True)


@pytest.mark.parametrize(
    ("response", "choices", "rival"),
    [
        (r"\boxed{A, B, C, D}", (), "A and D"),
        ("Answer: A or B", (), "A and B"),
        ("Answer: A or rather B, since C is wrong", (), "A and B"),
        ("Answer: A/B", (), "A and B"),
        ("Answer: either (A) or (B)", (), "A and B"),
        ("Answer: Yes and no", WORDS, "Yes and No"),
        ("Answer: It may be yes, it may be no", WORDS, "Yes and No"),
    ],
)
def test_several_choices_in_a_form_that_begins_with_none_of_them_are_several_answers(
    response: str, choices: tuple[str, ...], rival: str
) -> None:
    found = extract(response, "choice", choices)
    assert (found.text, found.rival) == (None, rival)


def test_choices_may_be_words_in_any_case() -> None:
    assert extract("Yes, or rather NO!", "choice", ("Yes", "No")).text == "No"
    assert extract("nobody knows", "choice", ("yes", "no")).text is None


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("answer: 5\nanswer: 6", None),
        (r"\boxed{5} <answer>6</answer>", None),
        ("answer: 5\nanswer: 5.0", "5"),
        (r"answer: \boxed{5}", "5"),
    ],
)
def test_two_different_answers_in_forms_are_none(response: str, answer: str | None) -> None:
    assert extract(response, "number").text == answer


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("12.0", 12),
        ("1,200", 1200),
        ("-3/4", Fraction(-3, 4)),
        ("1e3", 1000),
        ("1/0", None),
        ("12 apples", None),
        ("9" * 100, int("9" * 100)),
        ("9" * 2_000, None),
        (".5", Fraction(1, 2)),
        ("+5", 5),
        ("–5", -5),
    ],
)
def test_numbers_are_read_exactly(text: str, value: object) -> None:
    assert number(text) == value


@pytest.mark.parametrize(
    ("response", "level", "feedback", "fault"),
    [
        ("It is 12.", "full", "Correct.", ""),
        ("It is 7.", "none", "Wrong.", ""),
        ("It is 7.", "answer", "Wrong. The right answer is 12.", ""),
        ("It is 7.", "full", "The answer given is 7. The right answer is 12.", "wrong"),
        ("-12", "full", "The answer given is -12. The right answer is 12.", "sign"),
        ("11.9", "full", "The answer given is 11.9. The right answer is 12.", "rounding"),
        (
            "Hm.",
            "step",
            "No answer was found; a number is expected. The right answer is 12.",
            "no answer",
        ),
        (
            "answer: 1\nanswer: 2",
            "full",
            "Two different answers are given, 1 and 2. Only one may be. The right answer is 12.",
            "two answers",
        ),
    ],
)  # fmt: skip
def test_feedback_says_what_a_teacher_would(
    response: str, level: FeedbackLevel, feedback: str, fault: str
) -> None:
    verdict = judge(response, "12", asked="What is 5 + 7?", kind="number", level=level)
    assert (verdict.feedback, verdict.fault) == (feedback, fault)
    assert verdict.score == float(feedback == "Correct.")


def test_a_repetition_of_the_problem_is_no_answer() -> None:
    for asked in ("What is 12 times 1?\nIt ends in 12", "12"):
        assert judge(asked, "12", asked=asked, kind="number", level="full").answer is None


def test_a_response_that_was_cut_off_is_told_so_at_the_levels_that_say_more() -> None:
    for level, said in (("none", False), ("answer", False), ("full", True)):
        verdict = judge("First,", "12", asked="", kind="number", level=level)  # type: ignore[arg-type]
        told = verdict.of_response(truncated=True)
        assert told.feedback.startswith(CUT_OFF) == said
        assert told.fault == ("cut off" if said else "")
        assert verdict.of_response(truncated=False) == verdict


def test_a_right_answer_that_was_cut_off_stays_right() -> None:
    verdict = judge("12", "12", asked="", kind="number", level="full")
    assert verdict.of_response(truncated=True) == verdict == Verdict(1.0, "Correct.", "12", False)


def test_partial_credit_is_the_scorers_own() -> None:
    verdict = judge("8", "12", asked="", kind="number", level="full", score=lambda _: 0.25)
    assert verdict.score == 0.25
    assert "earns 0.25 of 1" in verdict.feedback
