"""An ablation: reflection without a language model.

GEPA's reflection LM (arXiv 2507.19457, section 3.2) has to find the rules in the feedback and to
write them down. This reflector does so without error: it copies the rules that the feedback of the
micro domains names. That does not help with the choice of the prompt to rewrite: on a stream it
scored below the embedded model's own reflection (reports/claims.md, the ablations).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from cl_bench.contract.prompts import SEED_PROMPT
from cl_bench.fast.reflection.reflector import JudgedRollout, Reflection, feedback_lines

_NAMED = re.compile(r" : wrong at step \d+ : (?P<rule>[^,:;]+?)(?: , not [^,:;]+)?\s*\Z")


class OracleReflector:
    """Puts the rules named by the feedback into the instructions; spends no tokens.

    A rule's key is its first word. A named rule replaces the one with the same key; all other rules
    stay, and new ones follow in the order of the feedback. Where two lines of feedback disagree,
    the first one counts.
    """

    def __init__(self, seed_prompt: str = SEED_PROMPT) -> None:
        self._seed_prompt = seed_prompt

    def __call__(self, current: str, rollouts: Sequence[JudgedRollout]) -> Reflection:
        head, rules = _parts(current, self._seed_prompt)
        by_key = {_key(rule): rule for rule in rules}
        named: dict[str, str] = {}
        for line in feedback_lines(rollouts):
            if found := _NAMED.search(line):
                named.setdefault(_key(found["rule"]), found["rule"])
        by_key |= named
        return Reflection(" ".join([head, *(f"{rule} ;" for rule in by_key.values())]).strip(), 0)


def _parts(current: str, seed_prompt: str) -> tuple[str, list[str]]:
    """Return the instructions' head, up to the last full stop, and the rules after it."""
    if current.startswith(seed_prompt):
        head, rest = seed_prompt, current.removeprefix(seed_prompt)
    else:
        head, stop, rest = current.rpartition(".")
        head += stop
    return head.strip(), [rule.strip() for rule in rest.split(";") if rule.strip()]


def _key(rule: str) -> str:
    return rule.split(maxsplit=1)[0]
