"""physics: where does a pointer on a ten-digit dial end after a few displacements?

Convention: the size of the house units `lok`, `mip` and `zet`, and what a downward displacement
does to the reading. Skill: adding the displacements up.
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

UNITS = ("lok", "mip", "zet")
FACTORS = tuple(f"is {n}" for n in (3, 7, 2, 5, 1, 4, 6, 8))
SIGNS = {"adds": 1, "takes": -1, "skips": 0}


class Physics(MicroDomain):
    name = "physics"
    meanings = dict.fromkeys(UNITS, FACTORS) | {"down": ("takes", "skips", "adds")}
    levels = {
        "easy": Level(lengths=(1, 2), meanings=4),
        "default": Level(lengths=(1, 2, 3, 4, 5), meanings=8),
        "hard": Level(lengths=(3, 4, 5, 6), meanings=8),
    }
    same = ("up adds",)
    slip_rate = 0.035

    def draw(self, rng: random.Random, level: Level, convention: Convention) -> Question:
        moves = [
            (rng.choice(("up", "down")), rng.choice(UNITS))
            for _ in range(rng.choice(level.lengths))
        ]
        start = rng.choice(DIGITS)
        listing = " ".join(f"{INDEX_WORDS[i]} {way} {unit}" for i, (way, unit) in enumerate(moves))
        return Question(f"physics : {listing} : {start}", (tuple(moves), start), len(moves))

    def solve(self, question: Question, convention: Convention, slip: Slip) -> Solution:
        moves, value = cast(tuple[tuple[tuple[str, str], ...], str], question.parts)
        steps = []
        for i, (way, unit) in enumerate(moves):
            act = convention["down"] if way == "down" else "adds"
            size = int(convention[unit].split()[1])
            result = slip(str((int(value) + SIGNS[act] * size) % 10), DIGITS)
            rules = f"{INDEX_WORDS[i]} {way} {act} : {unit} {convention[unit]}"
            steps.append(f"{rules} : {value} -> {result}")
            value = result
        return Solution(tuple(steps), value)


DOMAIN = Physics()
