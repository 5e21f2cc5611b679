"""The problems, made again from the seed: are these the problems, and are the scores right?

Built-in tasks are procedural: seed, setting and number give a problem with its right answer. So an
item can be held against the problem that it is of, without any model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from cl_bench.contract.benchmark import is_benchmark
from cl_bench.contract.micro import MicroDomain
from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.task import Problem, Split
from cl_bench.contract.text import counted
from cl_bench.execution.problem_sets import distinct_problems, retention_set
from cl_bench.verify.checked_run import CheckedRun, known

if TYPE_CHECKING:
    import pandas as pd

Set = tuple[str, str, str]
"""Domain, test set and setting."""
_MOST = 5_000
"""Problems of one set that are made again; making more takes minutes."""


def problems(run: CheckedRun) -> None:
    """The identifiers in `items` are those of the seed's problems: of all that the configuration
    asks, since every set is asked whole."""
    for key, rows, right in remade(run, "items"):
        label = ", ".join(key)
        reason = f"seed {run.config.seed} has no such test problem: {label}"
        run.rows("items", ~rows["uid"].isin(right), reason)
        if left_out := sorted(right.keys() - set(rows["uid"])):
            most = counted(run.most_items(key[1]), "problem")
            reason = f"the configuration asks {most}, and {left_out[0]} is one that was left out"
            run.of_table("items", reason, label)


def scores(run: CheckedRun) -> None:
    """The score of an item is 1 exactly where its answer is the right one, if that was kept."""
    for _, every, right in remade(run, "items"):
        rows = every[every["sample"].notna()]
        gold = rows["uid"].map({uid: problem.answer for uid, problem in right.items()})
        deserved = rows["answer"].eq(gold)
        wrong = gold.notna() & rows["score"].ne(deserved.astype(float))
        verdict = deserved.map({True: "right", False: "wrong"})
        run.rows("items", wrong, "score is {}, but its answer is {}", rows["score"], verdict)


def versions(run: CheckedRun) -> None:
    """Domains are those of this installation, in a version that it has or had, a source's or a
    plug-in's."""
    places = [(f"stage {number} of the stream", one) for number, one in enumerate(run.stages, 1)]
    places += [("retention", one) for one in run.manifest["stream"]["retention"]]
    for where, described in places:
        domain, version = described["domain"], described["domain_version"]
        if "/" in domain or is_benchmark(domain):
            if run.own and not DOMAINS.is_sourced(domain):
                run.of_manifest(f"{where} is on {domain}, but no plug-in is named")
        elif not known(domain):
            run.of_manifest(f"{where} is on {domain!r}, no domain of this installation")
        elif version not in map(str, range(1, int(newest := DOMAINS.load(domain).version) + 1)):
            reason = f"is on {domain} in version {version!r}; there is none above {newest}"
            run.of_manifest(f"{where} {reason}")


def not_remade(run: CheckedRun) -> list[str]:
    """Domains of which problems are not made again here: those of the stream that cannot be made,
    and those with a set that is too large."""
    large = {domain for (domain, *_), asked in run.largest.items() if asked > _MOST}
    named = dict.fromkeys((*run.domains, *sorted(large)))
    return [domain for domain in named if domain in large or _remaking(run, domain) is None]


def remade(
    run: CheckedRun, table: str
) -> Iterator[tuple[Set, pd.DataFrame, Mapping[str, Problem]]]:
    """Of a table with responses each set that can be made again from the run's seed: its rows, and
    by identifier its problems."""
    for key, rows in run.tables[table].groupby(["domain", "test_set", "setting"], sort=False):
        domain, test_set, setting = map(str, key)
        made = (domain, test_set, setting)
        most, asked = run.most_items(test_set), run.largest.get(made, 0)
        if asked <= _MOST and (version := _remaking(run, domain)) is not None:
            # Where more may be asked than are made again, one more shows that some were left out.
            count = most if most <= _MOST else min(most, asked + 1)
            again = _few if count <= _FEW else _many
            yield made, rows, again(made, version, run.config.seed, count, most)


def _remaking(run: CheckedRun, domain: str) -> str | None:
    """The version in which a domain's problems are made again; None if they cannot be."""
    version = run.versions.get(domain)
    return None if version is None or _at(domain, version) is None else version


def _at(domain: str, version: str) -> MicroDomain | None:
    found = DOMAINS.load(domain) if known(domain) else None
    return found.at(version) if isinstance(found, MicroDomain) else None


def _made(key: Set, version: str, seed: int, count: int, most: int) -> Mapping[str, Problem]:
    domain, test_set, setting = key
    found = _at(domain, version)
    if found is None or setting not in found.settings:
        return {}
    if test_set == "retention":
        made = [item.problem for item in retention_set(found, seed, count).items]
    else:
        task = found.task(seed=seed, setting=setting, feedback="none")
        split: Split = "validation" if test_set == "validation" else "test"
        made = distinct_problems(task, count, split, as_of=most)
    return MappingProxyType({problem.uid: problem for problem in made})


_FEW = 200
# Runs of one seed are of the same problems; what is kept of them has a bound in problems.
_few, _many = lru_cache(maxsize=512)(_made), lru_cache(maxsize=16)(_made)
