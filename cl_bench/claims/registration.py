"""What an archive remembers of rules and plan from when it was begun, to tell later changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from cl_bench.claims import rule
from cl_bench.claims.plan import Plan
from cl_bench.claims.registered import CLAIMS
from cl_bench.provenance import config_hash

_SHOWN = 12
"""Characters shown of a hash."""
_WORDS = {"rules": "the rules (claims, statements, margins)", "plan": "budget, model or settings"}


def registration(plan: Plan) -> dict[str, Any]:
    """Hashes (SHA-256, hex) of the rules and of the plan, and the plan's seeds.

    `rules` covers all claims with their statements, nulls and margins and the words of the rule;
    `plan` the budget's numbers, the model and every learner's settings.
    """
    budget = asdict(plan.budget)
    del budget["seeds"]  # how many there are unless others are asked for
    settings = {learner: dict(options) for learner, options in plan.settings.items()}
    planned = {"budget": budget, "model": plan.model, "settings": settings}
    rules = {"rule": rule.__doc__, "claims": [asdict(claim) for claim in CLAIMS]}
    return {
        "rules": config_hash(rules),
        "plan": config_hash(planned),
        "seeds": list(plan.seeds),
    }


def said(first: Mapping[str, Any] | None, plan: Plan) -> str:
    """Whether rules and plan are those that an archive was begun with; None is no archive."""
    now = registration(plan)
    hashes = f"rules {now['rules'][:_SHOWN]}, plan {now['plan'][:_SHOWN]}"
    if first is None:
        return (
            f"Judged by the rules of this cl-bench ({hashes}). No archive keeps the rules of when "
            "the runs were made, so nothing here shows that they have not changed since."
        )
    changes = list(_changes(first, now))
    if not changes:
        return f"Rules and plan are as registered when the runs' archive was begun ({hashes})."
    return (
        "Rules or plan have changed since the runs' archive was begun, and verdicts are to be read "
        f"with that in mind: {'; '.join(changes)}."
    )


def _changes(first: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name, words in _WORDS.items():
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
