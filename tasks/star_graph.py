"""star-graph: find the path from the centre of a star to a goal (search).

Every node on the way to the goal is itself the centre of a star, and every wrong branch goes on
as far as the right one, so a walk ahead from the start is a guess at each node while the walk
back from the goal is forced. Convention: which search direction works, which is always back.
Skill: following edges and writing the path out.
"""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from typing import cast

from cl_bench.contract.micro import Convention, Level, MicroDomain, Question, Slip, Solution

NODES = tuple(string.ascii_uppercase)
AHEAD_PRIOR = 0.99


class StarGraph(MicroDomain):
    name = "star-graph"
    meanings = {"search": ("ahead", "back")}
    levels = {
        "easy": Level(lengths=(2,), meanings=2, degree=6),
        "default": Level(lengths=(3,), meanings=2, degree=4),
        "hard": Level(lengths=(4,), meanings=2, degree=3),
    }
    slip_rate = 0.02

    def draw_convention(self, rng: random.Random, meanings: int) -> dict[str, str]:
        return {"search": "back"}

    def guess(self, key: str, rng: random.Random) -> str:
        return "ahead" if rng.random() < AHEAD_PRIOR else "back"

    def draw(self, rng: random.Random, level: Level, convention: Convention) -> Question:
        names = iter(rng.sample(NODES, len(NODES)))
        path, edges = _star(names, rng.choice(level.lengths), level.degree)
        rng.shuffle(edges)
        listing = " ".join(f"{child} < {parent}" for parent, child in edges)
        text = f"star : {listing} : {path[0]} to {path[-1]}"
        return Question(text, (tuple(path), tuple(edges), rng.getrandbits(64)), len(path) - 1)

    def solve(self, question: Question, convention: Convention, slip: Slip) -> Solution:
        path, edges, coin = cast(
            tuple[tuple[str, ...], tuple[tuple[str, str], ...], int], question.parts
        )
        nodes = sorted({node for edge in edges for node in edge})
        if convention["search"] == "back":
            parent = {child: node for node, child in edges}
            walk = _walk_back(path[0], path[-1], parent, slip, nodes)
            route, arrow = walk[::-1], "<"
        else:
            walk = route = _walk_ahead(path[0], edges, random.Random(coin))
            arrow = ">"
        step = f"search {convention['search']} : {f' {arrow} '.join(walk)}"
        return Solution((step,), " ".join(route))


def _star(
    names: Iterator[str], length: int, degree: int
) -> tuple[list[str], list[tuple[str, str]]]:
    """A path of `length` edges with `degree` branches at every node of it but the last."""
    path, edges = [next(names)], []
    for left in range(length, 0, -1):
        centre = path[-1]
        path.append(next(names))
        edges.append((centre, path[-1]))
        for _ in range(degree - 1):
            here = centre
            for _ in range(left):
                there = next(names)
                edges.append((here, there))
                here = there
    return path, edges


def _walk_back(
    start: str, goal: str, parent: dict[str, str], slip: Slip, nodes: list[str]
) -> list[str]:
    """From the goal to the start; a slip sets off from a wrong node and may never arrive."""
    walk = [goal]
    while walk[-1] != start and walk[-1] in parent and len(walk) <= len(nodes):
        walk.append(slip(parent[walk[-1]], nodes))
    return walk


def _walk_ahead(start: str, edges: tuple[tuple[str, str], ...], rng: random.Random) -> list[str]:
    """From the start into a random branch at every node, to a dead end."""
    walk = [start]
    while children := [child for parent, child in edges if parent == walk[-1]]:
        walk.append(rng.choice(children))
    return walk


DOMAIN = StarGraph()
