"""`check_task`: does a domain keep the contract of cl_bench/contract/task.py?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cl_bench.contract import plugin_checks as contracts
from cl_bench.contract.errors import UsageError
from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.task import SPLITS, Domain, Problem, Split, Task
from cl_bench.tools.checks import randomness, verdicts
from cl_bench.tools.checks.fault import Fault, Rule, apply, describe, shortened
from cl_bench.tools.checks.witness import WitnessError, drawn, drawn_elsewhere, place_of

MANY = 100
"""Problems of a split that are looked at together."""
FEW = 8


@dataclass
class DomainUnderTest:
    """The domain under test, and the problems it has drawn so far."""

    domain: Domain
    name: Any
    """The name that it has to have: a text, if the domain is sound."""
    _drawn: dict[tuple[str, int, str], list[Problem]] = field(default_factory=dict)

    @property
    def settings(self) -> list[str]:
        return list(self.domain.settings)

    def task(self, setting: str, seed: int = 0) -> Task:
        return self.domain.task(seed=seed, setting=setting, feedback="step")

    def problems(self, split: Split, setting: str, seed: int = 0) -> list[Problem]:
        """The first `MANY` problems."""
        key = (split, seed, setting)
        if key not in self._drawn:
            self._drawn[key] = self.task(setting, seed).problems(split, MANY)
        return self._drawn[key]

    def lists(self) -> Iterator[tuple[str, Split, list[Problem]]]:
        """Setting, split and problems, for every pair of the former under seed 0."""
        for setting in self.settings:
            for split in SPLITS:
                yield setting, split, self.problems(split, setting)

    def drawn(self, most: int = MANY) -> Iterator[tuple[str, list[Problem]]]:
        """Setting and the first problems, for every setting and split under seed 0."""
        return ((setting, problems[:most]) for setting, _, problems in self.lists())


def check_task(domain: Domain | str) -> list[Fault]:
    """Every rule of a domain that `domain` (an object or a registry name) breaks, explained.

    An empty list means that nothing was found. Takes about a second: the domain is also drawn from
    in a second process, for which it has to be a module's variable, as an entry point asks, or
    what the registry makes of its name, such as gym/gcd or the path of a data file.
    Unknown names raise `UsageError`. The global random state is left as it was.
    """
    if isinstance(domain, str):
        domain = DOMAINS.full(domain)
    found: Any = DOMAINS.load(domain) if isinstance(domain, str) else domain
    with randomness.kept():
        # What a source makes of a reference, such as the path of a file, has a name of its own.
        listed = isinstance(domain, str) and domain in {*DOMAINS}
        subject = DomainUnderTest(found, domain if listed else getattr(found, "name", ""))
        # Without these the others have nothing to stand on.
        return apply(_FOUNDATIONS, subject) or apply(_RULES, subject)


def _domain(subject: DomainUnderTest) -> Iterator[str]:
    if fault := contracts.domain_fault(subject.domain, subject.name):
        yield f"{fault[0].upper()}{fault[1:]}."
    if not isinstance(subject.name, str) or not subject.name.strip():
        yield f"Its name is {subject.name!r}; give it the text that tables shall show."
    for setting in subject.settings:
        task = subject.task(setting)
        if task.name != subject.domain.name:
            yield (
                f"Its task is called {task.name!r} and the domain {subject.domain.name!r}; "
                "both are the name that tables show, so give them the same."
            )


def _problems(subject: DomainUnderTest) -> Iterator[str]:
    for setting, split, problems in subject.lists():
        where = f"problems({split!r}, {MANY}) of setting {setting!r}"
        found: Any = problems
        given = len(found) if isinstance(found, list) else f"a {type(found).__name__}"
        if given != MANY:
            yield f"{where} gave {given}; it has to return a list of exactly n problems."
        for problem in problems:
            yield from _wrong_fields(problem, where, subject.domain.name)
        if subject.task(setting).problems(split, 0) != []:
            yield f"problems({split!r}, 0) must be an empty list."


def _wrong_fields(problem: Any, where: str, name: str) -> Iterator[str]:
    if not isinstance(problem, Problem):
        yield (
            f"{where} holds a {type(problem).__name__}; it has to hold "
            "cl_bench.contract.task.Problem."
        )
        return
    for part in ("uid", "prompt", "answer", "solution"):
        value = getattr(problem, part)
        if not isinstance(value, str) or not value:
            yield f"In {where} a problem's {part} is {value!r}; it has to be a text."
    if problem.domain != name:
        yield f"In {where} a problem's domain is {problem.domain!r}; it has to be {name!r}."


def _settings(subject: DomainUnderTest) -> Iterator[str]:
    try:
        subject.task("no such setting")
    except UsageError:
        return
    except Exception as error:  # noqa: BLE001 - foreign code
        yield (
            f"For an unknown setting, {describe(error)}; raise UsageError instead "
            "(cl_bench.contract.errors.unknown writes its message), so that a typing error is one "
            "line."
        )
        return
    yield "task(setting='no such setting') was accepted; raise UsageError for unknown settings."


def _repeatable(subject: DomainUnderTest) -> Iterator[str]:
    for setting, split, problems in subject.lists():
        if subject.task(setting).problems(split, MANY) != problems:
            yield (
                f"Two tasks of seed 0 and setting {setting!r} have different {split} problems. "
                "Draw problem i from hashed_rng(name, setting, split, seed, i) and nothing else."
            )


def _prefix(subject: DomainUnderTest) -> Iterator[str]:
    for setting, split, problems in subject.lists():
        task = subject.task(setting)
        if task.problems(split, FEW) != problems[:FEW]:
            yield (
                f"problems({split!r}, {FEW}) are not the first {FEW} of problems({split!r}, "
                f"{MANY}); asking for more must not change the first ones."
            )
        if task.problems(split, FEW, FEW) != problems[FEW : 2 * FEW]:
            yield (
                f"problems({split!r}, {FEW}, start={FEW}) are not items {FEW} to {2 * FEW - 1} of "
                f"problems({split!r}, {MANY}); a resumed run would go on with other problems."
            )


def _other_process(subject: DomainUnderTest) -> Iterator[str]:
    place = place_of(subject.domain)
    if place is None:
        yield (
            "It is not a variable of a module, so that another process cannot find it. Write "
            "DOMAIN = … at the top level of its file, as an entry point needs it."
        )
        return
    try:
        there = drawn_elsewhere(place, FEW)
    except WitnessError as error:
        yield f"A second process cannot draw its problems: {error}."
        return
    here = drawn(subject.domain, FEW)
    for where, problems in here.items():
        if problems != there.get(where):
            yield (
                f"The {where} are others in a second process. Python's hash() and the order of a "
                "set differ between processes: use hashed_rng and sorted() instead."
            )


def _random_state(subject: DomainUnderTest) -> Iterator[str]:
    for setting in subject.settings:
        randomness.seed(1)
        before = randomness.states()
        problems = subject.task(setting).problems("train", FEW)
        subject.task(setting).verify(problems[0], problems[0].solution)
        if names := randomness.disturbed(before):
            yield (
                f"It draws from or seeds the global generator of {' and '.join(names)}, which "
                "belongs to the learner's sampling. Use a random.Random of its own (hashed_rng)."
            )


def _splits(subject: DomainUnderTest) -> Iterator[str]:
    for setting in subject.settings:
        first: dict[str, Split] = {}
        for split in SPLITS:
            for problem in subject.problems(split, setting):
                if first.setdefault(problem.prompt, split) != split:
                    yield (
                        f"The prompt {shortened(problem.prompt)} is in the splits "
                        f"{first[problem.prompt]!r} and {split!r} of setting {setting!r}: what was "
                        "trained on would be tested. Draw until split_of(prompt) == split."
                    )


def _uids(subject: DomainUnderTest) -> Iterator[str]:
    prompts: dict[str, str] = {}
    for setting in subject.settings:
        for seed in (0, 1):
            seen: set[str] = set()
            for split in SPLITS:
                for problem in subject.problems(split, setting, seed):
                    if problem.uid in seen:
                        yield (
                            f"Two items of one task have the uid {problem.uid!r}. Make it of the "
                            "domain, the split, the index and content_hash(prompt)."
                        )
                    seen.add(problem.uid)
                    if prompts.setdefault(problem.uid, problem.prompt) != problem.prompt:
                        yield (
                            f"The uid {problem.uid!r} names different problems under another seed "
                            "or setting, so that tables of two runs cannot be compared item by "
                            "item. Put content_hash(prompt) into it."
                        )


def _seeds(subject: DomainUnderTest) -> Iterator[str]:
    for setting, split, problems in subject.lists():
        one = [problem.prompt for problem in problems]
        two = [problem.prompt for problem in subject.problems(split, setting, seed=1)]
        if one == two or one[1:] == two[:-1] or one[:-1] == two[1:]:
            yield (
                f"Seeds 0 and 1 have the same {split} problems of setting {setting!r}"
                f"{'' if one == two else ', moved by one place'}; several seeds would then "
                "measure one draw. Hash the seed together with the index (hashed_rng)."
            )


def _convention(subject: DomainUnderTest) -> Iterator[str]:
    for setting, _, problems in subject.lists():
        rules: Any = subject.task(setting).rules()
        if isinstance(rules, str) or not isinstance(rules, Sequence):
            yield f"rules() gave a {type(rules).__name__}; it has to be a list of texts."
            return
        for rule in rules:
            if not isinstance(rule, str) or not rule.strip():
                yield f"rules() holds {rule!r}; every rule is a sentence."
                return
            for problem in problems:
                if rule in problem.prompt:
                    yield (
                        f"The prompt {shortened(problem.prompt)} states the hidden rule "
                        f"{rule!r}: nothing is left to learn. Keep rules out of prompts."
                    )


_FOUNDATIONS: Mapping[str, Rule[DomainUnderTest]] = {"domain": _domain, "problems": _problems}
_RULES: Mapping[str, Rule[DomainUnderTest]] = {
    "settings": _settings,
    "repeatable": _repeatable,
    "prefix": _prefix,
    "other process": _other_process,
    "random state": _random_state,
    "splits": _splits,
    "uids": _uids,
    "seeds": _seeds,
    "convention": _convention,
    "gold": lambda subject: verdicts.gold(subject.domain, subject.drawn()),
    "verdicts": lambda subject: verdicts.well_formed(subject.domain, subject.drawn(2)),
    "hostile text": lambda subject: verdicts.hostile(subject.domain, subject.drawn(2)),
}
