"""The test problems, made again from the seed: are these the problems, and are the scores right?

Built-in tasks are procedural: seed, setting and number give a problem with its right answer. So an
item can be held against the problem that it is of, without any model.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from cl_bench.contract.micro import MicroDomain
from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.task import Problem
from cl_bench.execution.problem_sets import distinct_problems, retention_set
from cl_bench.verify.case import Case, known
from cl_bench.verify.manifest import FILE

if TYPE_CHECKING:
    import pandas as pd

Set = tuple[str, str, str]
"""Domain, test set and setting."""
_MOST = 5_000
"""Problems of one set that are made again; making more takes minutes."""


def problems(case: Case) -> None:
    """The identifiers in `items` are those of the seed's problems."""
    for key, rows in _sets(case):
        right = made_again(case, key)
        if right is None:
            continue
        strange = ~rows["uid"].isin(right)
        seed = case.manifest["seed"]
        reason = f"seed {seed} has no such test problem: {key[0]}, {key[1]}, {key[2]}"
        case.findings.rows("items", rows[strange], reason, ("step", "uid", "sample"))


def scores(case: Case) -> None:
    """The score of an item is 1 exactly where its answer is the right one, if that was kept."""
    for key, every in _sets(case):
        rows = every[every["sample"].notna()]
        found = made_again(case, key)
        if found is None:
            continue
        right = {uid: problem.answer for uid, problem in found.items()}
        gold = rows["uid"].map(right)
        deserved = rows["answer"].eq(gold).astype(float)
        wrong = rows[gold.notna() & rows["score"].ne(deserved)]
        verdict = deserved.map({1.0: "right", 0.0: "wrong"})
        reasons = [
            f"score is {score:g}, but its answer is {verdict[number]}"
            for number, score in wrong["score"].head(10).items()
        ]
        case.findings.rows("items", wrong, reasons, ("step", "uid", "sample"))


def versions(case: Case) -> None:
    """Domains are those of this installation, in a version that it has or had, a source's or a
    plug-in's."""
    places = [(f"stage {number} of the stream", one) for number, one in enumerate(case.stages, 1)]
    places += [("retention", one) for one in case.manifest["stream"]["retention"]]
    for where, described in places:
        domain, version = described["domain"], described["domain_version"]
        if "/" in domain:
            if case.own and not DOMAINS.is_sourced(domain):
                reason = f"{where} is on {domain}, but no plug-in is named"
                case.findings.add(reason, file=FILE)
        elif not known(domain):
            reason = f"{where} is on {domain!r}, no domain of this installation"
            case.findings.add(reason, file=FILE)
        elif not _was(version, DOMAINS.load(domain).version):
            newest = DOMAINS.load(domain).version
            reason = f"{where} is on {domain} in version {version!r}; there is none above {newest}"
            case.findings.add(reason, file=FILE)


def _was(version: str, newest: str) -> bool:
    """Whether a domain was in that version, which counts up from 1."""
    return version.isascii() and version.isdigit() and 1 <= int(version) <= int(newest)


def not_remade(case: Case) -> list[str]:
    """Domains of the stream whose problems are not made again here."""
    return [domain for domain in case.domains if not _remade(domain, case.versions[domain])]


def _sets(case: Case) -> list[tuple[Set, pd.DataFrame]]:
    groups = case.tables["items"].groupby(["domain", "test_set", "setting"], sort=False)
    return [((str(key[0]), str(key[1]), str(key[2])), rows) for key, rows in groups]


def made_again(case: Case, key: Set) -> Mapping[str, Problem] | None:
    """By identifier the problems of a set, from the run's seed; None if they cannot be made."""
    domain, test_set, setting = key
    retention = test_set == "retention"
    count = case.option("evaluation", "retention_items" if retention else "items")
    if count > _MOST:
        return None
    if domain not in case.versions or not _remade(domain, case.versions[domain]):
        return None
    if setting not in DOMAINS.load(domain).settings:
        return {}
    return _made(key, case.manifest["seed"], count)


@lru_cache(maxsize=512)
def _made(key: Set, seed: int, count: int) -> Mapping[str, Problem]:
    domain, test_set, setting = key
    found = DOMAINS.load(domain)
    if test_set == "retention":
        made = [item.problem for item in retention_set(found, seed, count).items]
    else:
        made = distinct_problems(found.task(seed=seed, setting=setting, feedback="none"), count)
    return MappingProxyType({problem.uid: problem for problem in made})


def _remade(domain: str, version: str) -> bool:
    return known(domain, version) and isinstance(DOMAINS.load(domain), MicroDomain)
