"""Data sets of reasoning-gym: names and parameters, items, and which answers earn what."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from cl_bench import check_task
from cl_bench.contract.errors import UsageError
from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.task import SPLITS, Domain, Problem, Split, split_of

GYM: Any = import_module("cl_bench.tasks.gym.domain")
TABLE: Any = import_module("cl_bench.tasks.gym.table")
FEW = ("gcd", "basic_arithmetic", "syllogism", "dice", "ransom_note", "list_functions")
"""Of each kind, two that are kept apart, and one with few different questions."""


def problem(name: str, found: Callable[[Problem], bool] = bool, setting: str = "default") -> Any:
    """The domain's task, and its first training problem of a certain kind."""
    task = DOMAINS.load(name).task(seed=0, setting=setting, feedback="full")
    items = (task.problems("train", 1, index)[0] for index in range(40))
    return task, next(filter(found, items))


def score(name: str, response: str, found: Callable[[Problem], bool] = bool) -> float:
    task, item = problem(name, found)
    verdict: float = task.verify(item, response).score
    return verdict


def test_a_name_is_known_by_its_text_alone_and_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from cl_bench.contract.registry import DOMAINS; "
        "assert 'gym/gcd' in DOMAINS and 'gym/none?x=1&y=2' in DOMAINS; "
        "assert not [*filter(DOMAINS.__contains__, ['gym/', 'gym/../x', 'gcd'])]; "
        "assert not {'reasoning_gym', 'numpy', 'sympy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_domain_has_one_name_however_its_parameters_are_written() -> None:
    one = DOMAINS.load("gym/gcd?min_value=1&max_value=020")
    assert one is DOMAINS.load("gym/gcd?max_value=20&min_value=1&partial=False")
    assert one.name == "gym/gcd?max_value=20&min_value=1"
    assert DOMAINS.load("gym/gcd") is DOMAINS.load("gym/gcd")


def test_a_domain_says_what_it_is() -> None:
    domain: Any = DOMAINS.load("gym/gcd")
    assert domain.version.startswith("1+reasoning-gym-0.1.")
    assert DOMAINS.load("gym/syllogism").version.startswith("2+reasoning-gym-0.1.")
    assert domain.licence == "Apache-2.0"
    assert "2505.24760" in domain.citation
    assert "gcd" in domain.summary
    assert domain.task(seed=0, setting="easy", feedback="none").rules() == []
    assert isinstance(domain, Domain)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gym/gcd?max_value", "'max_value' has no value. Write gym/gcd?max_value=VALUE"),
        ("gym/gdc", "no data set 'gdc'. Did you mean 'gym/gcd'? `cl-bench list gym`"),
        ("gym/GCD", "Did you mean 'gym/gcd'?"),
        ("gym/gcd?max=3", "Unknown parameter of gym/gcd 'max'"),
        ("gym/gcd?max=3", "Defaults: partial=false, min_numbers=2, max_numbers=2, min_value=1"),
        ("gym/gcd?seed=3", "Unknown parameter of gym/gcd 'seed'"),
        ("gym/gcd?max_value=x", "max_value is a whole number, such as its default 1000"),
        ("gym/gcd?partial=1", "partial is true or false"),
        ("gym/simple_equations?operators_weights=a,b", "a list with commas, each a number"),
        ("gym/word_sorting?transformation=x", "one of lowercase, uppercase, original, randomcase"),
        ("gym/gcd?max_value=3&max_value=4", "sets 'max_value' twice"),
        ("gym/gcd?min_value=-1", "reasoning-gym refuses the parameters of gym/gcd?min_value=-1:"),
        ("gym/boxnet", "gym/boxnet is not adapted: no right answer comes with an item"),
        ("gym/puzzle24?partial=true", "has no partial credit"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(name: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        DOMAINS.load(name)
    assert said in str(error.value)


def test_without_reasoning_gym_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    monkeypatch.setitem(sys.modules, "reasoning_gym.factory", None)
    with pytest.raises(UsageError, match=r"pip install 'cl-bench\[gym\]'"):
        GYM.load("gym/lcm?max_value=7")


def test_what_reasoning_gym_itself_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> None:
        raise ModuleNotFoundError("No module named 'zss'", name="zss")

    monkeypatch.setattr(GYM, "import_module", missing)
    with pytest.raises(UsageError, match="because 'zss' is not installed"):
        GYM.load("gym/lcm?max_value=8")


def test_parameters_hold_in_every_setting_and_impossible_settings_are_gone() -> None:
    domain = DOMAINS.load("gym/chain_sum?max_terms=3")
    assert domain.settings == ["easy", "default"]
    for setting in domain.settings:
        task = domain.task(seed=0, setting=setting, feedback="none")
        assert all(item.prompt.count(" + ") < 3 for item in task.problems("train", 50))
    with pytest.raises(UsageError, match="Unknown setting of gym/chain_sum"):
        domain.task(seed=0, setting="hard", feedback="none")


def test_easy_is_easier() -> None:
    lengths = {
        setting: sum(len(item.prompt) for item in task.problems("train", 50))
        for setting in ("easy", "default", "hard")
        for task in [DOMAINS.load("gym/chain_sum").task(seed=0, setting=setting, feedback="none")]
    }
    assert lengths["easy"] < lengths["default"] < lengths["hard"]


def test_neighbouring_seeds_share_no_item() -> None:
    """reasoning-gym's own seeding makes item i of seed s item i - 1 of seed s + 1."""
    domain = DOMAINS.load("gym/letter_counting")
    prompts = [
        {item.prompt for split in SPLITS for item in task.problems(split, 60)}
        for seed in range(4)
        for task in [domain.task(seed=seed, setting="default", feedback="none")]
    ]
    assert len(set.union(*prompts)) == sum(map(len, prompts)) == 4 * 180


@pytest.mark.parametrize("name", ["gym/gcd", "gym/dice", "gym/string_splitting"])
def test_no_text_is_in_two_splits_of_any_setting_or_seed(name: str) -> None:
    """Also where there are few different texts, so that seeds and settings share many."""
    domain = DOMAINS.load(name)
    places: dict[str, set[Split]] = {}
    for setting in domain.settings:
        for seed in range(3):
            task = domain.task(seed=seed, setting=setting, feedback="none")
            for split in SPLITS:
                for item in task.problems(split, 60):
                    places.setdefault(item.prompt, set()).add(split)
    assert {len(splits) for splits in places.values()} == {1}
    assert all(splits == {split_of(text)} for text, splits in places.items())


def test_a_split_that_stays_empty_is_told() -> None:
    domain = DOMAINS.load("gym/prime_factorization?max_value=2&min_value=2")
    task = domain.task(seed=0, setting="default", feedback="none")
    said = []
    for split in SPLITS:
        try:
            task.problems(split, 1)
        except UsageError as error:
            said.append(str(error))
    assert len(said) == 2
    assert "has no question of its setting 'default' for the split" in said[0]
    assert "it has too few different ones" in said[0]


def test_a_problem_can_be_judged_by_a_task_that_never_drew_it() -> None:
    code = (
        "import json, sys;"
        "from cl_bench.contract.registry import DOMAINS;"
        "from cl_bench.contract.task import Problem;"
        "task = DOMAINS.load('gym/n_queens').task(seed=5, setting='default', feedback='none');"
        "item = Problem(**json.load(sys.stdin));"
        "print(task.verify(item, item.solution).score, task.verify(item, 'answer: 42').score)"
    )
    _, item = problem("gym/n_queens")
    given = json.dumps({key: getattr(item, key) for key in Problem.__slots__})
    done = subprocess.run(
        [sys.executable, "-c", code], input=given, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1.0", "0.0"]


@pytest.mark.parametrize("data", TABLE.SETS)
def test_the_right_answer_scores_1_and_what_suits_any_question_0(data: str) -> None:
    name = f"gym/{data}"
    setting = next(iter(DOMAINS.load(name).settings))
    task, item = problem(name, lambda item: item.answer != "42", setting)
    assert task.verify(item, item.solution).score == 1
    assert task.verify(item, f"I think so.\n{item.solution}").score == 1
    for junk in ("42", "answer: 42", "<answer>nan</answer>", "answer: 1e999", "answer: []", "x"):
        assert task.verify(item, junk).score == 0, junk


def test_containing_the_right_answer_earns_nothing_unless_asked_for() -> None:
    contained = "answer: 42"
    assert score("gym/spell_backward", "answer: x") == 0
    two = {"gym/gcd": 0.0, "gym/gcd?partial=true": 0.5}
    for name, points in two.items():
        assert score(name, contained, lambda item: item.answer in "42") == points


@pytest.mark.parametrize(
    ("name", "response"),
    [
        ("gym/game_of_life_halting", "answer: maybe"),
        ("gym/puzzle24", "answer: 6*4*1*1"),
        ("gym/puzzle24", "answer: 24"),
        ("gym/complex_arithmetic", "answer: nan"),
        ("gym/polynomial_equations", "answer: none, 0.5"),
        ("gym/rubiks_cube", "answer: R999999999"),
        ("gym/calendar_arithmetic", "answer: Someday"),
        ("gym/coin_flip", "answer: 0"),
    ],
)
def test_answers_that_a_scorer_of_reasoning_gym_would_reward_earn_nothing(
    name: str, response: str
) -> None:
    assert score(name, response) == 0


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        ("letter_jumble", ["{} not at all", "{} {}"]),
        ("word_sorting", ["{}, zebra"]),
        ("knights_knaves", ["{} Not at all.", "not {}"]),
        ("survo", ["{} or not", "perhaps {}"]),
        ("kakurasu", ["{} or not", "perhaps {}"]),
    ],
)
def test_more_than_the_right_answer_is_wrong(data: str, wrong: list[str]) -> None:
    task, item = problem(f"gym/{data}")
    assert task.verify(item, item.solution).score == 1
    for text in wrong:
        answer = text.replace("{}", item.answer)
        assert task.verify(item, item.solution.replace(item.answer, answer)).score == 0


def test_lists_of_words_and_statements_may_be_written_otherwise() -> None:
    task, item = problem("gym/word_sorting")
    assert task.verify(item, f"answer: {item.answer.replace(', ', ',')}").score == 1
    task, item = problem("gym/knights_knaves")
    one, two = item.answer.rstrip(".").split(", and ")
    assert task.verify(item, f"answer: {two} and {one}").score == 1


def test_small_letters_are_other_moves_of_a_cube() -> None:
    task, item = problem("gym/rubiks_cube", lambda item: len(set(item.answer.split())) > 2)
    assert task.verify(item, f"answer: {item.answer}").score == 1
    assert task.verify(item, f"answer: {item.answer.lower()}").score == 0


def test_numbers_that_are_nearly_sorted_ones_are_wrong() -> None:
    """reasoning-gym's scorer lets every number be off by one."""
    task, item = problem("gym/number_sorting")
    numbers = [float(text.strip(" '")) for text in item.answer.strip("[]").split(",")]
    assert task.verify(item, f"answer: {numbers}").score == 1
    assert task.verify(item, f"answer: {', '.join(map(str, numbers))}").score == 1
    assert task.verify(item, f"answer: {[value + 0.5 for value in numbers]}").score == 0


def test_other_spellings_and_other_right_answers_are_right() -> None:
    for respelled in ("The result is {}.0.", "\\boxed{{{}}}", "<answer>\n{}\n</answer>"):
        task, item = problem("gym/chain_sum")
        assert task.verify(item, respelled.format(item.answer)).score == 1
    task, item = problem("gym/countdown")
    assert task.verify(item, f"answer: (({item.answer}))").score == 1
    assert task.verify(item, f"answer: {item.answer} + 0").score == 0
    task, item = problem("gym/coin_flip")
    assert task.verify(item, f"answer: {float(item.answer):.4f}").score == 1
    assert task.verify(item, f"answer: {float(item.answer) * 1.01}").score == 0
    task, item = problem("gym/simple_integration")
    assert task.verify(item, f"answer: {item.answer} + 7").score == 1
    assert task.verify(item, f"answer: {item.answer} + 7*x*X").score == 0
    task, item = problem("gym/binary_matrix")
    assert task.verify(item, f"<answer>{item.answer.replace(' ', '  ')}</answer>").score == 1


def test_sums_whose_answer_reasoning_gym_gets_wrong_are_not_drawn() -> None:
    name = "gym/basic_arithmetic?allow_parentheses=false"
    task = DOMAINS.load(name).task(seed=0, setting="easy", feedback="none")
    for item in task.problems("train", 50):
        text = item.prompt.removeprefix("Calculate ").removesuffix(".")
        assert set(text) <= set("0123456789+-*/ ")
        assert eval(text) == int(item.answer)


def test_feedback_says_as_much_as_its_level() -> None:
    domain = DOMAINS.load("gym/gcd")
    said = {
        level: domain.task(seed=0, setting="default", feedback=level).verify(item, "It is 7919.")
        for level in ("none", "answer", "full")
        for item in [problem("gym/gcd")[1]]
    }
    assert said["none"].feedback == "Wrong."
    assert said["answer"].feedback.startswith("Wrong. The right answer is ")
    assert said["full"].feedback.startswith("The answer given is 7919. The right answer is ")


@pytest.mark.parametrize("data", TABLE.SETS if os.environ.get("CL_BENCH_GYM") == "all" else FEW)
def test_a_data_set_keeps_the_contract_of_a_domain(data: str) -> None:
    """A few of them, or all with CL_BENCH_GYM=all (hours)."""
    assert check_task(f"gym/{data}") == []
