"""What all micro domains share: the verifier and its feedback."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_bench.contract.micro import INDEX_WORDS, MicroDomain, Slip, micro_domain, verify
from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.task import SPLITS, FeedbackLevel, Problem, hashed_rng

NAMES = list(DOMAINS)
SETTINGS = ("easy", "default", "hard")
MATH = Problem(
    uid="math/test/0",
    domain="math",
    prompt="math : one f two g : 4",
    answer="8",
    solution="order left ; one f adds 5 : 4 -> 9 ; two g doubles : 9 -> 8 ; answer 8",
)
PHYSICS = Problem(
    uid="physics/test/0",
    domain="physics",
    prompt="physics : one up lok two down mip : 4",
    answer="0",
    solution="one up adds : lok is 3 : 4 -> 7 ; two down takes : mip is 7 : 7 -> 0 ; answer 0",
)
FACTS = Problem(
    uid="facts/test/0",
    domain="facts",
    prompt="facts : … : claim ann one lib is cat",
    answer="yes",
    solution="one lib goes 2 : ann -> bob -> cat ; check cat cat : true says yes ; answer yes",
)


def feedback(problem: Problem, response: str, level: FeedbackLevel = "step") -> str:
    return verify(micro_domain(problem.domain), problem, response, level).feedback


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("setting", SETTINGS)
def test_the_gold_solution_scores_one(name: str, setting: str) -> None:
    for seed in range(4):
        task = micro_domain(name).task(seed=seed, setting=setting, feedback="step")
        for split in SPLITS:
            for problem in task.problems(split, 15):
                verdict = task.verify(problem, problem.solution)
                assert (verdict.score, verdict.answer) == (1.0, problem.answer)
                assert verdict.feedback == f"{name.partition('-')[0]} : correct"


@pytest.mark.parametrize(
    "response",
    [
        "answer 8",
        "order left ; answer 8",
        "order right ; one f flips : 4 -> 1 ; answer 8",
        "  ORDER ; answer\n 8 . ",
        "answer 3 ; answer 8 ;",
    ],
)
def test_the_last_step_alone_decides_the_score(response: str) -> None:
    assert verify(micro_domain("math"), MATH, response, "step").score == 1.0


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("", None),
        (";;;", None),
        ("8", None),
        ("the answer is 8", None),
        ("Answer 8", None),
        ("answer", None),
        ("answer8", None),
        ("answer 8 ; answer 3", "3"),
        ("answer 8 8", "8 8"),
        ("answer 08", "08"),
        ("answer 8.0", "8.0"),
        ("answer 1 2 3 4 5 6 7 8 9 0", "1 2 3 4 5 6 7 8 9 0"),
        ("answer \uff18", "\uff18"),
        ("answer 8\x00", "8\x00"),
        ("answer answer 8", "answer 8"),
        ("answer 4 + 4", "4 + 4"),
        ("answer __import__('os').abort()", "__import__('os').abort()"),
        ("answer 8 : 8", "8 : 8"),
        ("(" * 3_000, None),
        ("\ud800", None),
        ("answer 8 " * 120_000, None),
        (" " * 1_000_000 + "; answer 8", None),
        ("a" * 1_000_000, None),
    ],
)
@pytest.mark.parametrize("level", ["none", "answer", "step"])
def test_garbage_and_tricks_score_zero(
    response: str, answer: str | None, level: FeedbackLevel
) -> None:
    verdict = verify(micro_domain("math"), MATH, response, level)
    assert (verdict.score, verdict.answer) == (0.0, answer)


@given(st.text(), st.sampled_from(NAMES))
def test_any_text_scores_zero_and_says_something(text: str, name: str) -> None:
    task = micro_domain(name).task(seed=0, setting="default", feedback="step")
    (problem,) = task.problems("test", 1)
    for response in (text, problem.solution + text + "x", text * 50):
        verdict = task.verify(problem, response)
        assert verdict.score == 0.0
        assert verdict.feedback.startswith(f"{name.partition('-')[0]} : ")


@given(st.lists(st.sampled_from([*MATH.solution.split(), "", "\n", ";", ":", "not", "9"])))
def test_shuffled_words_of_the_solution_score_by_their_last_step(words: list[str]) -> None:
    response = " ".join(words)
    last = [step.split() for step in response.split(";") if step.split()][-1:]
    assert verify(micro_domain("math"), MATH, response, "step").score == (last == [["answer", "8"]])


def test_feedback_levels_tell_as_much_as_they_promise() -> None:
    wrong = "order right ; answer 3"
    assert feedback(MATH, wrong, "none") == "math : wrong"
    assert feedback(MATH, wrong, "answer") == "math : wrong : answer is 8"
    assert feedback(MATH, wrong, "step") == "math : wrong at step 1 : order left , not order right"


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (
            "order left ; one f adds 3 : 4 -> 7 ; two g flips : 7 -> 2 ; answer 2",
            "wrong at step 2 : f adds 5 , not f adds 3",
        ),
        (
            "order left ; one f adds 5 : 4 -> 9 ; two g flips : 9 -> 0 ; answer 0",
            "wrong at step 3 : g doubles , not g flips",
        ),
        ("order left ; one g adds 5 : 4 -> 9 ; answer 9", "slip at step 2 : one f adds 5"),
        ("order left ; two f adds 5 : 4 -> 9 ; answer 9", "slip at step 2 : one f adds 5"),
        ("order left ; answer 9", "wrong at step 2 : f adds 5"),
        ("order left", "wrong at step 2 : f adds 5"),
        ("", "wrong at step 1 : order left"),
        ("hello ; answer 9", "wrong at step 1 : order left"),
    ],
)
def test_a_wrong_rule_is_named_with_its_rival_at_the_first_wrong_step(
    response: str, said: str
) -> None:
    assert feedback(MATH, response) == f"math : {said}"


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (
            "order left ; one f adds 5 : 4 -> 8 ; two g doubles : 8 -> 6 ; answer 6",
            "slip at step 2 : 4 -> 9",
        ),
        (
            "order left ; one f adds 5 : 4 -> 9 ; two g doubles : 9 -> 6 ; answer 6",
            "slip at step 3 : 9 -> 8",
        ),
        (
            "order left ; one f adds 5 : 4 -> 9 ; two g doubles : 9 -> 8 ; answer 6",
            "slip at step 4 : answer 8",
        ),
        ("order left ; one f adds 5", "slip at step 2 : 4 -> 9"),
    ],
)
def test_a_wrong_result_under_the_right_rule_is_named_a_slip(response: str, said: str) -> None:
    assert feedback(MATH, response) == f"math : {said}"


def test_what_follows_a_right_answer_is_named() -> None:
    said = "math : wrong : answer is 8"
    assert feedback(MATH, MATH.solution + " ; answer 3") == said


@pytest.mark.parametrize(
    ("problem", "old", "new", "said"),
    [
        (PHYSICS, "lok is 3", "lok is 5", "physics : wrong at step 1 : lok is 3 , not lok is 5"),
        (
            PHYSICS,
            "down takes",
            "down skips",
            "physics : wrong at step 2 : down takes , not down skips",
        ),
        (
            FACTS,
            "lib goes 2",
            "lib goes 3",
            "facts : wrong at step 1 : lib goes 2 , not lib goes 3",
        ),
        (FACTS, "bob -> cat", "bob -> dan", "facts : slip at step 1 : ann -> bob -> cat"),
        (FACTS, "cat cat", "cat dan", "facts : slip at step 2 : check cat cat"),
        (
            FACTS,
            "true says yes",
            "true says valid",
            "facts : wrong at step 2 : true says yes , not true says valid",
        ),
    ],
)
def test_steps_of_several_segments_are_read_segment_by_segment(
    problem: Problem, old: str, new: str, said: str
) -> None:
    response = problem.solution.replace(old, new).replace(f"answer {problem.answer}", "answer x")
    assert feedback(problem, response) == said


@pytest.mark.parametrize("name", NAMES)
def test_work_under_one_wrong_rule_is_taught_the_true_one(name: str) -> None:
    domain = micro_domain(name)
    taught = set()
    for index in range(300):
        rng = hashed_rng("test_micro", name, index)
        level = domain.levels["default"]
        true = domain.draw_convention(rng, level.meanings)
        key = rng.choice(list(true))
        rival = rng.choice([value for value in domain.meanings[key] if value != true[key]])
        question = domain.draw(rng, level, true)
        gold = domain.solve(question, true, Slip.never)
        tried = domain.solve(question, true | {key: rival}, Slip.never)
        problem = Problem("", name, question.text, gold.answer, gold.text)
        verdict = verify(domain, problem, tried.text, "step")
        if verdict.score == 0.0:
            lesson = verdict.feedback.split(" : ")[-1]
            assert lesson == f"{key} {true[key]} , not {key} {rival}"
            taught.add(key)
    assert taught == set(domain.meanings)


@pytest.mark.parametrize("name", NAMES)
def test_careless_work_under_the_true_rules_is_never_taught_a_rival(name: str) -> None:
    domain = micro_domain(name)
    task = domain.task(seed=1, setting="default", feedback="step")
    true = dict(rule.split(" ", 1) for rule in task.rules())
    slips = 0
    for index in range(100):
        rng = hashed_rng("careless", name, index)
        question = domain.draw(rng, domain.levels["default"], true)
        gold = domain.solve(question, true, Slip.never)
        tried = domain.solve(question, true, Slip(rng, 0.4))
        problem = Problem("", name, question.text, gold.answer, gold.text)
        verdict = task.verify(problem, tried.text)
        slips += " : slip at step " in verdict.feedback
        assert ", not" not in verdict.feedback
    assert slips > 10


def test_what_holds_under_every_convention_is_not_taught_as_a_rule() -> None:
    gold = PHYSICS.solution
    assert feedback(PHYSICS, "") == "physics : wrong at step 1 : lok is 3"
    wrong = "one up takes : lok is 3 : 4 -> 1 ; answer 1"
    assert feedback(PHYSICS, wrong) == "physics : slip at step 1 : 4 -> 7"
    other = gold.replace("one up adds", "two up adds").replace("answer 0", "answer 5")
    assert feedback(PHYSICS, other) == "physics : slip at step 3 : answer 0"


@given(st.sampled_from(NAMES), st.sampled_from(SETTINGS), st.integers(0, 20), st.randoms())
def test_feedback_names_only_rules_of_the_convention_and_no_rival_among_them(
    name: str, setting: str, seed: int, random: Random
) -> None:
    task = micro_domain(name).task(seed=seed, setting=setting, feedback="step")
    (problem,) = task.problems("train", 1, random.randrange(50))
    verdict = task.verify(problem, falsified(micro_domain(name), problem.solution, random))
    if verdict.score == 1:
        return
    _, what, *said = verdict.feedback.split(" : ")
    kind, _, step = what.partition(" at step ")
    gold = [*problem.solution.split(" ; "), f"answer is {problem.answer}"]
    if kind == "wrong":
        rule, _, rival = said[0].partition(" , not ")
        assert rule in task.rules() or said == gold[-1:]
        assert rival not in task.rules()
    else:
        assert kind == "slip"
        assert said[0] in gold[int(step) - 1].split(" : ")
        bare = said[0].partition(" ")[2] if said[0].split()[0] in INDEX_WORDS else said[0]
        work = ("->", "<", ">", "check ", "answer ")
        assert bare in task.rules() or any(sign in bare for sign in work)


def falsified(domain: MicroDomain, solution: str, random: Random) -> str:
    """A solution in which some words are others: of rules, indices, results, or none at all."""
    rules = [f"{key} {value}" for key, values in domain.meanings.items() for value in values]
    words = [*" ".join(rules).split(), *INDEX_WORDS, "up", "7", "", ";", ":"]
    changed = [random.choice(words) if random.random() < 0.1 else w for w in solution.split()]
    return " ".join([*changed[: random.randrange(1, len(changed) + 1)], "; answer none"])
