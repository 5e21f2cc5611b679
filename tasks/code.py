"""code: what does a short program leave in its two registers?

Convention: what the house instructions `foo`, `bar`, `baz` and `qux` do to the registers (x, y).
Skill: running the program, modulo ten.
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

INSTRUCTIONS = ("foo", "bar", "baz", "qux")
MEANINGS = {
    "swaps": lambda x, y: (y, x),
    "sums": lambda x, y: (x + y, y),
    "bumps": lambda x, y: (x + 1, y),
    "copies": lambda x, y: (x, x),
    "subtracts": lambda x, y: (x - y, y),
    "halves": lambda x, y: (x // 2, y),
}


class Code(MicroDomain):
    name = "code"
    meanings = {key: tuple(MEANINGS) for key in INSTRUCTIONS}
    levels = {
        "easy": Level(lengths=(1, 2), meanings=4),
        "default": Level(lengths=(1, 2, 3, 4, 5), meanings=6),
        "hard": Level(lengths=(3, 4, 5, 6), meanings=6),
    }
    slip_rate = 0.022

    def draw(self, rng: random.Random, level: Level, convention: Convention) -> Question:
        program = [rng.choice(INSTRUCTIONS) for _ in range(rng.choice(level.lengths))]
        x, y = rng.sample(DIGITS, 2)
        listing = " ".join(f"{INDEX_WORDS[i]} {key}" for i, key in enumerate(program))
        return Question(f"code : {listing} : {x} {y}", (tuple(program), x, y), len(program))

    def solve(self, question: Question, convention: Convention, slip: Slip) -> Solution:
        program, x, y = cast(tuple[tuple[str, ...], str, str], question.parts)
        steps = []
        for i, key in enumerate(program):
            left, right = MEANINGS[convention[key]](int(x), int(y))
            new_x, new_y = slip(str(left % 10), DIGITS), slip(str(right % 10), DIGITS)
            rule = f"{INDEX_WORDS[i]} {key} {convention[key]}"
            steps.append(f"{rule} : {x} {y} -> {new_x} {new_y}")
            x, y = new_x, new_y
        return Solution(tuple(steps), f"{x} {y}")


DOMAIN = Code()
