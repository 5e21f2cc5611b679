"""facts: does a claim follow from a handful of links between people (multi-hop verification)?

Convention: how many links the house relations `lib` and `mok` span, and which words the verdicts
true and false are given in. Skill: following the links and comparing.

Guessing rate: 1/2 in every setting. Of any even number of problems exactly half are true, so that a
constant word earns 1/2 and no more. In version 1 that held on average only, and of 64 test problems
a word could earn 0.67.
"""

from __future__ import annotations

import random
from typing import cast

from cl_bench.contract.micro import (
    INDEX_WORDS,
    Convention,
    Level,
    MicroDomain,
    Question,
    Slip,
    Solution,
)

RELATIONS = ("lib", "mok")
PEOPLE = ("ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal")
RING = 6
HOPS = ("goes 1", "goes 2", "goes 3", "goes 4")


class Facts(MicroDomain):
    name = "facts"
    version = "2"
    meanings = dict.fromkeys(RELATIONS, HOPS) | {
        "true": ("says yes", "says valid", "says holds", "says agreed"),
        "false": ("says no", "says void", "says fails", "says denied"),
    }
    levels = {
        "easy": Level(lengths=(1,), meanings=2),
        "default": Level(lengths=(1, 2, 3), meanings=4),
        "hard": Level(lengths=(2, 3, 4), meanings=4),
    }
    slip_rate = 0.05
    sides = 2

    def draw(self, rng: random.Random, level: Level, convention: Convention) -> Question:
        ring = rng.sample(PEOPLE, RING)
        path = [rng.choice(RELATIONS) for _ in range(rng.choice(level.lengths))]
        start = rng.choice(ring)
        span = sum(int(convention[key].split()[1]) for key in path)
        reached = ring[(ring.index(start) + span) % RING]
        end = rng.choice([reached] * (RING - 1) + [name for name in ring if name != reached])
        links = [f"{ring[i]} {ring[(i + 1) % RING]}" for i in range(RING)]
        rng.shuffle(links)
        relations = " ".join(f"{INDEX_WORDS[i]} {key}" for i, key in enumerate(path))
        text = f"facts : {' , '.join(links)} : claim {start} {relations} is {end}"
        return Question(text, (tuple(ring), tuple(path), start, end), len(path))

    def solve(self, question: Question, convention: Convention, slip: Slip) -> Solution:
        ring, path, here, end = cast(
            tuple[tuple[str, ...], tuple[str, ...], str, str], question.parts
        )
        steps = []
        for i, key in enumerate(path):
            walk = [here]
            for _ in range(int(convention[key].split()[1])):
                walk.append(slip(ring[(ring.index(walk[-1]) + 1) % RING], ring))
            rule = f"{INDEX_WORDS[i]} {key} {convention[key]}"
            steps.append(f"{rule} : {' -> '.join(walk)}")
            here = walk[-1]
        verdict = slip("true" if here == end else "false", ("true", "false"))
        steps.append(f"check {here} {end} : {verdict} {convention[verdict]}")
        return Solution(tuple(steps), convention[verdict].removeprefix("says "))

    def side(self, question: Question, convention: Convention) -> int:
        return int(
            f"says {self.solve(question, convention, Slip.never).answer}" == convention["true"]
        )

    def at(self, version: str) -> MicroDomain | None:
        return FirstFacts() if version == FirstFacts.version else super().at(version)


class FirstFacts(Facts):
    """Version 1, to make the problems of its runs again."""

    version = "1"
    sides = 1

    def side(self, question: Question, convention: Convention) -> int:
        return 0


DOMAIN = Facts()
