"""What an archive remembers of rules, plan and code from when it was begun, to tell later changes.

The code that judges is every claim's module in the table of claims, what these import of
`cl_bench.claims`, and what all of them import, directly or not, of `cl_bench.metrics`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from cl_bench.claims import rule
from cl_bench.claims.plan import Plan
from cl_bench.claims.registered import CLAIMS, MODULES
from cl_bench.contract.text import config_hash


class RecordedCode(NamedTuple):
    """The code that judges as it was at some date."""

    date: str
    code: str
    """Its hash."""
    reason: str
    """Why it is another than before."""


RECORD = (
    RecordedCode(
        "2026-11-24",
        "1820f4385e9961d95892c4bc6db83d1be6f48dcb9c63864c549700a03cf16e76",
        "the first that the page named",
    ),
    RecordedCode(
        "2026-11-29",
        "3b1a4097c4d1c36a6c68e689440e3342d63e4a863bb8cf6e861201acdb940a0c",
        "moved into one file a claim; every number unchanged",
    ),
)
"""The hashes of the code that judged the committed page, the oldest first. Whoever changes that
code adds a line and makes the page again; until then the page says that it is not recorded."""

_SHOWN = 12
"""Characters shown of a hash."""
_WORDS = {
    "rules": "the rules (claims, statements, margins)",
    "plan": "budget, model or settings",
    "code": "the code that judges (a comment counts)",
}


def registration(plan: Plan) -> dict[str, Any]:
    """Hashes (SHA-256, hex) of the rules, the plan and the code that judges, and the plan's seeds.

    `rules` covers all claims with their statements, nulls and margins and the words of the rule;
    `plan` the budget's numbers, the model and every learner's settings; `code` the sources of the
    claims and of what they import (`judging_files`).
    """
    budget = asdict(plan.budget)
    del budget["seeds"]  # how many there are unless others are asked for
    settings = {learner: dict(options) for learner, options in plan.settings.items()}
    planned = {"budget": budget, "model": plan.model, "settings": settings}
    rules = {"rule": rule.__doc__, "claims": [asdict(claim.registered) for claim in CLAIMS]}
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
    recorded = "" if "code" in first else f" {_since(now['code'])}"
    if changes:
        return (
            "Rules, plan or code have changed since the runs' archive was begun, and verdicts are "
            f"to be read with that in mind: {'; '.join(changes)}.{recorded}"
        )
    same = f"Rules and plan are as registered when the runs' archive was begun ({hashes})."
    return f"{same}{recorded or f' So is the code that judges ({code}).'}"


def _since(now: str) -> str:
    """What is known of the code that judges where an archive does not remember it."""
    known = "; ".join(f"{one.code[:_SHOWN]} on {one.date} ({one.reason})" for one in RECORD)
    said = (
        "The code that judges was not recorded when the archive was begun. Its hashes on this page "
        f"since then: {known}."
    )
    if now == RECORD[-1].code:
        return said
    return f"{said} Now it has the hash {now[:_SHOWN]}, which is not recorded."


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


def code_hash() -> str:
    """The SHA-256, hex, of all sources by their names; comments count, line endings do not."""
    sources = {
        f"{file.parent.name}/{file.name}": file.read_text(encoding="utf-8")
        for file in judging_files()
    }
    return config_hash(sources)


def judging_files() -> list[Path]:
    """The sources of the code that judges, by their modules' names."""
    claims = {module.__name__ for module in MODULES}
    found = new = claims | _imported(claims, "cl_bench.claims")
    while new := (_imported(new, "cl_bench.metrics") | _imported(new, "cl_bench.analysis")) - found:
        found |= new
    return [_source(module) for module in sorted(found)]


def _imported(modules: Iterable[str], package: str) -> set[str]:
    """The modules of a package that these modules name in an import, wherever it stands."""
    found: set[str] = set()
    for module in modules:
        for node in ast.walk(ast.parse(_source(module).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == package:
                found |= {_home(package, alias.name) for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{package}."):
                found.add(str(node.module))
    return found


def _home(package: str, name: str) -> str:
    """The module that a name of a package comes from; the name may be a module itself."""
    value = getattr(import_module(package), name, None)
    return getattr(value, "__module__", None) or f"{package}.{name}"


def _source(module: str) -> Path:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no source of {module}, which decides verdicts")
    return Path(spec.origin)
