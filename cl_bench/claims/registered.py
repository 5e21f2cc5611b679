"""The ten claims as they were registered before the runs that judge them: the table of all.

Every claim has the paper's figures (Tiwari et al., arXiv 2605.12484; Qwen3-8B, in percent unless
said otherwise) and the statements that a reproduction is judged by (see `cl_bench.claims.rule`).
Names of domains: facts stands in for HoVer, code for CodeIO. `python -m cl_bench.claims.registered`
prints docs/claims-rules.md. Changing what is registered of a claim after runs were made is changing
the rules: say so in the page.

Terms used in the statements: a *single run* trains on one domain; *own prompt* is the prompt a
learner would be evaluated with, the seed prompt for RL; the *end* of a run is its last evaluation,
its *plateau* the mean of its last three.

An archive remembers what was registered when it was begun (`registration`), to tell later changes.
The code that judges is every claim's module and what it imports, directly or not, of
`cl_bench.claims`, `cl_bench.metrics` and `cl_bench.analysis`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from cl_bench.claims import (
    claim_01_sample_efficiency,
    claim_02_asymptote,
    claim_03_kl,
    claim_04_out_of_distribution,
    claim_05_plasticity,
    claim_06_continual,
    claim_07_zero_reward,
    claim_08_both_channels,
    claim_09_prompt_ceiling,
    claim_10_distillation,
    rule,
)
from cl_bench.claims.claim import Claim
from cl_bench.claims.plan import Plan
from cl_bench.claims.rule import Statement
from cl_bench.claims.subject import EMBEDDED, SUBJECTS, Subject
from cl_bench.claims.wording import GLOSSARY
from cl_bench.contract.errors import unknown
from cl_bench.contract.text import config_hash
from cl_bench.sweep.cell import Cell

MODULES = (
    claim_01_sample_efficiency,
    claim_02_asymptote,
    claim_03_kl,
    claim_04_out_of_distribution,
    claim_05_plasticity,
    claim_06_continual,
    claim_07_zero_reward,
    claim_08_both_channels,
    claim_09_prompt_ceiling,
    claim_10_distillation,
)
CLAIMS: tuple[Claim, ...] = tuple(module.CLAIM for module in MODULES)
"""In the order of their numbers; their texts have `$singles` and the like for domains."""


def claims_of(subject: Subject) -> tuple[Claim, ...]:
    """The claims that can be asked of a subject, as they are registered for it."""
    return tuple(claim.on(subject) for claim in CLAIMS if claim.registered.number in subject.claims)


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
        "35a9d3351f88ce64768bce3b8d1c1c1710d49292fde737d03d58ece2e6c9d82b",
        "moved into one file a claim; every number unchanged",
    ),
    RecordedCode(
        "2026-11-30",
        "6a7890bb45dfc9d2f964b0ffd0bbe1024c8f76c0b80d9fef4ef8e0eeb2cf076c",
        "Student's t in place of the bootstrap over seeds; every mean and verdict unchanged",
    ),
    RecordedCode(
        "2026-11-30",
        "e43f0751e1059092c03131bf565eede85834f3a52f0622b3014f327b016c8fbc",
        "a calibration's runs may be made on a cluster; every number unchanged",
    ),
    RecordedCode(
        "2026-11-30",
        "dfb4003434aefae58f37e4ab4a332c5a3e04bc09e345133c2aaff75d3b8abf09",
        "the domains are those of a subject, of which there may be others; every number unchanged",
    ),
    RecordedCode(
        "2026-11-30",
        "94897f33611c5b58901cf6990c1654a063e95e84c1838a2893eb040a8d0852d1",
        "calibration has four trials of four runs for every learner; every number unchanged",
    ),
    RecordedCode(
        "2026-11-30",
        "f2fae7c383f4e766e346c08d5f90b95f03289441d9e97847224f65a1c397b129",
        "how many digits a mean shows, and what comparisons ask; no value changed before rounding",
    ),
    RecordedCode(
        "2026-12-01",
        "ed4702a9e1df9bc8c27c6626e94918958a8b1ab41c3257ec5c89eaaf2215980f",
        "a level counts as reached by an accuracy that rounding alone keeps below; every number "
        "unchanged",
    ),
    RecordedCode(
        "2026-12-01",
        "e47775ecc16442c81df6a6707528eb36367c0422c47afa28feacac8de023669a",
        "words (null value), p in two digits; every number unchanged",
    ),
)
"""The hashes of the code that judged the committed page, the oldest first. Whoever changes that
code adds a line and makes the page again; until then the page says that it is not recorded."""

_JUDGING = ("cl_bench.claims", "cl_bench.metrics", "cl_bench.analysis")
_WORDS_OF_A_SUBJECT = {
    "singles": "single runs on",
    "kl_domains": "single runs of claim 3 on",
    "outside": "asked besides, claim 4",
    "origins": "trained before the probe, claim 5: on",
    "probe": "the probe",
    "stream": "the stream",
}
_SHOWN = 12
"""Characters shown of a hash."""
_WORDS = {
    "rules": "the rules (claims, statements, margins)",
    "plan": "budget, model or settings",
    "code": "the code that judges (a comment counts)",
}


def cells(plan: Plan, claims: Sequence[int]) -> list[Cell]:
    """The different runs that the claims with these numbers need, seed by seed.

    `UsageError` for a number that no claim has.
    """
    known = {claim.registered.number: claim for claim in claims_of(plan.subject)}
    for number in claims:
        if number not in known:
            raise unknown(f"claim about {plan.model}", number, map(str, known))
    wanted = [c for seed in plan.seeds for number in claims for c in known[number].runs(plan, seed)]
    return list(dict.fromkeys(wanted))


def rules_page() -> str:
    """docs/claims-rules.md: the claims, their figures in the paper, their rules, the words."""
    lines = [
        "# The claims and their rules",
        "",
        "Generated by `python -m cl_bench.claims.registered`.",
        "",
    ]
    lines += (rule.__doc__ or "").strip().splitlines()
    lines += ["", "## Words", ""]
    lines += [f"- **{word}**: {meaning}" for word, meaning in GLOSSARY.items()]
    for claim in (one.registered for one in claims_of(EMBEDDED)):
        lines += ["", f"## {claim.number}. {claim.title}", "", claim.definition, ""]
        for figure in claim.paper:
            values = ", ".join(f"{name} {value}" for name, value in figure.values)
            lines.append(f"- The paper, {figure.what}: {values}")
        lines += ["", "| | statement | scale | null value | margin | decides |"]
        lines.append("|---|---|---|---|---|---|")
        lines += [_statement_row(statement) for statement in claim.statements]
    for subject in SUBJECTS.values():
        lines += [] if subject is EMBEDDED else ["", *_other_subject(subject)]
    return "\n".join(lines) + "\n"


def _other_subject(subject: Subject) -> Iterator[str]:
    """What stands in the texts above for the embedded model's domains."""
    numbers = ", ".join(map(str, subject.claims))
    yield f"## On {subject.model}"
    yield ""
    yield f"Claims {numbers} by the same rules and margins, with other domains in their texts:"
    yield ""
    yield f"| | embedded | {subject.model} |"
    yield "|---|---|---|"
    for word, said in _WORDS_OF_A_SUBJECT.items():
        yield f"| {said} | {EMBEDDED.words[word]} | {subject.words[word]} |"
    budget = subject.budgets["full"]
    yield ""
    yield (
        f"{budget.seeds} seeds, {budget.single_samples:,} training samples in a single run, "
        f"{budget.items} test problems of a domain there; its stream is {subject.stream}. Settings "
        "are those of the model's preset."
    )


def _statement_row(statement: Statement) -> str:
    decides = "yes" if statement.primary else "no"
    words = (statement.id, statement.text, statement.scale, f"{statement.null:g}")
    return f"| {' | '.join(words)} | {statement.margin:g} | {decides} |"


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
    rules = {
        "rule": rule.__doc__,
        "claims": [asdict(claim.registered) for claim in claims_of(plan.subject)],
    }
    return {
        "rules": config_hash(rules),
        "plan": config_hash(planned),
        "code": code_hash(),
        "seeds": list(plan.seeds),
    }


def said(first: Mapping[str, Any] | None, plan: Plan) -> str:
    """Whether rules and plan are those that an archive was begun with; None if there is none."""
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
    """What is known of the code that judges, where an archive does not remember it."""
    said = "The code that judges was not recorded when the archive was begun, but later (below)."
    if now == RECORD[-1].code:
        return said
    return f"{said} Now it has the hash {now[:_SHOWN]}, which is not recorded."


def recorded(first: Mapping[str, Any] | None) -> list[str]:
    """The hashes that the code that judges had, of an archive that does not remember its own."""
    if first is None or "code" in first:
        return []
    return [f"{one.code[:_SHOWN]} on {one.date}: {one.reason}" for one in RECORD]


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
    found = new = {module.__name__ for module in MODULES}
    while new := {name for package in _JUDGING for name in _imported(new, package)} - found:
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


if __name__ == "__main__":
    print(rules_page(), end="")
