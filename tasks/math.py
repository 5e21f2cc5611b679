"""math: chains of house operators on a digit, modulo ten.

Convention: what `f`, `g` and `h` do, and whether a chain is read from the left or the right.
Skill: carrying the value through the chain.
"""

from __future__ import annotations

import random
from typing import cast

from cl_bench.contract.micro import (
    DIGITS,
    INDEX_WORDS,
    Convention,
    Level,
    MicroDomain,
    Question,
    Slip,
    Solution,
)

OPERATORS = ("f", "g", "h")
MEANINGS = {
    "adds 3": lambda x: x + 3,
    "doubles": lambda x: 2 * x,
    "takes 2": lambda x: x - 2,
    "flips": lambda x: 9 - x,
    "adds 1": lambda x: x + 1,
    "triples": lambda x: 3 * x,
    "adds 5": lambda x: x + 5,
    "takes 4": lambda x: x - 4,
}


class Math(MicroDomain):
    name = "math"
    meanings = {key: tuple(MEANINGS) for key in OPERATORS} | {"order": ("left", "right")}
    levels = {
        "easy": Level(lengths=(1, 2), meanings=4),
        "default": Level(lengths=(1, 2, 3, 4, 5), meanings=8),
        "hard": Level(lengths=(3, 4, 5, 6), meanings=8),
    }
    slip_rate = 0.035

    def draw(self, rng: random.Random, level: Level, convention: Convention) -> Question:
        chain = [rng.choice(OPERATORS) for _ in range(rng.choice(level.lengths))]
        start = rng.choice(DIGITS)
        listing = " ".join(f"{INDEX_WORDS[i]} {key}" for i, key in enumerate(chain))
        return Question(f"math : {listing} : {start}", (tuple(chain), start), len(chain))

    def solve(self, question: Question, convention: Convention, slip: Slip) -> Solution:
        chain, value = cast(tuple[tuple[str, ...], str], question.parts)
        places = list(enumerate(chain))
        if convention["order"] == "right":
            places.reverse()
        steps = [f"order {convention['order']}"]
        for i, key in places:
            result = slip(str(MEANINGS[convention[key]](int(value)) % 10), DIGITS)
            steps.append(f"{INDEX_WORDS[i]} {key} {convention[key]} : {value} -> {result}")
            value = result
        return Solution(tuple(steps), value)


DOMAIN = Math()
