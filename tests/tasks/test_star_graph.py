"""star-graph: worked examples by hand, and the shape of the graphs read back from their texts."""

from __future__ import annotations

import re

import pytest

from cl_bench.contract.micro import Question, Slip, micro_domain

STAR = micro_domain("star-graph")
EDGES = (("A", "B"), ("A", "D"), ("D", "E"), ("B", "C"), ("B", "F"))
QUESTION = Question("", (("A", "B", "C"), EDGES, 7), 2)
SHAPES = {"easy": (2, 6), "default": (3, 4), "hard": (4, 3)}


def graph(prompt: str) -> tuple[dict[str, str], str, str]:
    """Parent of every node, the start and the goal, read from a problem's text."""
    name, listing, ends = prompt.split(" : ")
    assert name == "star"
    edges = re.findall(r"(\S+) < (\S+)", listing)
    assert " ".join(f"{child} < {parent}" for child, parent in edges) == listing
    start, goal = ends.split(" to ")
    parents = dict(edges)
    assert len(parents) == len(edges)
    return parents, start, goal


def path_back(parents: dict[str, str], node: str) -> list[str]:
    """From `node` to the root, both included."""
    path = [node]
    while path[-1] in parents:
        path.append(parents[path[-1]])
    return path


def test_the_search_back_writes_the_path_both_ways() -> None:
    solution = STAR.solve(QUESTION, {"search": "back"}, Slip.never)
    assert solution.text == "search back : C < B < A ; answer A B C"


def test_the_search_ahead_walks_edges_to_a_dead_end() -> None:
    answers = set()
    for coin in range(30):
        question = Question("", (("A", "B", "C"), EDGES, coin), 2)
        answers.add(STAR.solve(question, {"search": "ahead"}, Slip.never).text)
    assert answers == {
        "search ahead : A > B > C ; answer A B C",
        "search ahead : A > B > F ; answer A B F",
        "search ahead : A > D > E ; answer A D E",
    }


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("setting", SHAPES)
def test_the_answer_is_the_only_path_from_start_to_goal(seed: int, setting: str) -> None:
    task = STAR.task(seed=seed, setting=setting, feedback="step")
    for problem in task.problems("test", 40):
        parents, start, goal = graph(problem.prompt)
        back = path_back(parents, goal)
        assert back[-1] == start
        assert problem.answer == " ".join(reversed(back))


@pytest.mark.parametrize("setting", SHAPES)
def test_nothing_but_the_goal_marks_the_right_branch(setting: str) -> None:
    length, degree = SHAPES[setting]
    for problem in STAR.task(seed=0, setting=setting, feedback="step").problems("train", 40):
        parents, start, goal = graph(problem.prompt)
        children = {node: [c for c, p in parents.items() if p == node] for node in parents.values()}
        leaves = set(parents) - set(children)
        assert goal in leaves
        assert {len(path_back(parents, leaf)) for leaf in leaves} == {length + 1}
        for node in path_back(parents, goal)[1:]:
            assert len(children[node]) == degree
        assert len({start, *parents}) == len(parents) + 1


def test_only_the_search_back_ever_works() -> None:
    for seed in range(20):
        for setting in SHAPES:
            assert STAR.task(seed=seed, setting=setting, feedback="step").rules() == ["search back"]
