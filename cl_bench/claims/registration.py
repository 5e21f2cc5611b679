"""What an archive remembers of rules and plan from when it was begun, to tell later changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from cl_bench.claims import rule
from cl_bench.claims.judging_code import code_hash
from cl_bench.claims.plan import Plan
from cl_bench.claims.registered import CLAIMS
from cl_bench.contract.text import config_hash

_SHOWN = 12
"""Characters shown of a hash."""
_WORDS = {
    "rules": "the rules (claims, statements, margins)",
    "plan": "budget, model or settings",
    "code": "the code that judges (a comment counts)",
}
_NOT_RECORDED = (
    "The code that judges was not recorded when the archive was begun; now it has the hash {}."
)


def registration(plan: Plan) -> dict[str, Any]:
    """Hashes (SHA-256, hex) of the rules, the plan and the code that judges, and the plan's seeds.

    `rules` covers all claims with their statements, nulls and margins and the words of the rule;
    `plan` the budget's numbers, the model and every learner's settings; `code` the sources of the
    rule, the measures and the metrics that they call.
    """
    budget = asdict(plan.budget)
    del budget["seeds"]  # how many there are unless others are asked for
    settings = {learner: dict(options) for learner, options in plan.settings.items()}
    planned = {"budget": budget, "model": plan.model, "settings": settings}
    rules = {"rule": rule.__doc__, "claims": [asdict(claim) for claim in CLAIMS]}
    return {
        "rules": config_hash(rules),
        "plan": config_hash(planned),
        "code": code_hash(),
        "seeds": list(plan.seeds),
    }


def said(first: Mapping[str, Any] | None, plan: Plan) -> str:
    """Whether rules and plan are those that an archive was begun with; None is no archive."""
    now = registration(plan)
    hashes = ", ".join(f"{name} {now[name][:_SHOWN]}" for name in ("rules", "plan"))
    code = now["code"][:_SHOWN]
    if first is None:
        return (
            f"Judged by the rules of this cl-bench ({hashes}, code {code}). No archive keeps the "
            "rules of when the runs were made, so nothing here shows that they have not changed "
            "since."
        )
    changes = list(_changes(first, now))
    if not changes:
        same = f"Rules and plan are as registered when the runs' archive was begun ({hashes})."
        if "code" in first:
            return f"{same} So is the code that judges ({code})."
        return f"{same} {_NOT_RECORDED.format(code)}"
    return (
        "Rules, plan or code have changed since the runs' archive was begun, and verdicts are to "
        f"be read with that in mind: {'; '.join(changes)}."
        f"{'' if 'code' in first else ' ' + _NOT_RECORDED.format(code)}"
    )


def _changes(first: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name, words in _WORDS.items():
        if name == "code" and name not in first:
            continue
        then = str(first.get(name))
        if then != now[name]:
            yield f"{words} had the hash {then[:_SHOWN]}, now {now[name][:_SHOWN]}"
    before = first.get("seeds", [])
    added = [str(seed) for seed in now["seeds"] if seed not in before]
    if added:
        yield f"seeds {', '.join(added)} were added later"
    dropped = [str(seed) for seed in before if seed not in now["seeds"]]
    if dropped:
        yield f"seeds {', '.join(dropped)} are not on this page"
