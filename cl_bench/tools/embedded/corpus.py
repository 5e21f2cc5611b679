"""The embedded model's pretraining documents, chats about conventions drawn anew for each one; and
the settings of its training, which say when it meets which.

A convention is random in every document and only a random part of it is stated in the system
prompt; the answer follows the whole of it. All a model can learn is to use the rules that are
stated and to sample from the prior for the others. A second kind of document rewrites instructions
from a verifier's feedback, which makes the model its own reflection LM.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cl_bench.contract.errors import UsageError
from cl_bench.contract.micro import Level, MicroDomain, Slip, micro_domain, verify
from cl_bench.contract.prompts import Message, chat, instructions, reflection
from cl_bench.contract.settings import setting, settle
from cl_bench.contract.task import FeedbackLevel, Problem, hashed_rng
from cl_bench.contract.validation import COUNTS, RATES

DOMAINS = ("math", "code", "facts", "physics", "star-graph")
DOMAIN_WEIGHTS = (21, 21, 21, 19, 18)
LENGTHS: Mapping[str, tuple[int, ...]] = {
    "math": (1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 6),
    "code": (1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 6),
    "physics": (1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 6),
    "facts": (1, 1, 1, 2, 2, 3, 3, 4),
    "star-graph": (1, 2, 2, 3, 3, 3, 4),
}
MAX_IRRELEVANT = 13
TAUGHT = re.compile(r" : wrong at step \d+ : (.+?)(?: , not .*)?$")
"""Finds the rule that a line of step-level feedback teaches."""

_LEVELS: tuple[FeedbackLevel, ...] = ("none", "answer", "step")
"""The levels that the micro domains tell apart."""


@dataclass(frozen=True, slots=True)
class Phase:
    """The look of the documents of one part of pretraining."""

    simple: bool = False
    """Only the shortest problems, with every rule stated and nothing else."""
    slips: bool = False
    """Whether the work is careless (see `MicroDomain.slip_rate`)."""
    reflections: float = 0.2
    """Share of documents that rewrite instructions."""


@dataclass(frozen=True, slots=True)
class Document:
    """A chat and the reply to learn."""

    messages: list[Message]
    reply: str


class Corpus:
    """An endless, reproducible supply of documents: document i depends on (seed, i, phase)."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._domains: dict[str, MicroDomain] = {name: micro_domain(name) for name in DOMAINS}

    def document(self, index: int, phase: Phase) -> Document:
        rng = hashed_rng("corpus", self._seed, index)
        if rng.random() < phase.reflections:
            return self._reflection(rng)
        return self._problem(rng, phase)

    def _problem(self, rng: random.Random, phase: Phase) -> Document:
        name = rng.choices(DOMAINS, DOMAIN_WEIGHTS)[0]
        domain = self._domains[name]
        stated = list(domain.meanings) if phase.simple else _some_keys(rng, domain)
        convention = {
            key: rng.choice(values) if key in stated else domain.guess(key, rng)
            for key, values in domain.meanings.items()
        }
        rules = [f"{key} {convention[key]}" for key in stated]
        if not phase.simple and rng.random() < 0.4:
            rules += self._irrelevant(rng, name)
        rng.shuffle(rules)
        question = domain.draw(rng, _level(rng, name, phase), convention)
        rate = domain.slip_rate * question.length if phase.slips else 0.0
        solution = domain.solve(question, convention, Slip(rng, rate))
        return Document(chat(instructions(rules), question.text), solution.text)

    def _irrelevant(self, rng: random.Random, name: str) -> list[str]:
        return _sample_up_to(rng, self._other_rules(rng, name), MAX_IRRELEVANT)

    def _other_rules(self, rng: random.Random, name: str) -> list[str]:
        return [
            f"{key} {rng.choice(values)}"
            for other, domain in self._domains.items()
            if other != name
            for key, values in domain.meanings.items()
        ]

    def _reflection(self, rng: random.Random) -> Document:
        """Current rules and up to three verdicts of one domain → the rules as they should be."""
        name = rng.choices(DOMAINS, DOMAIN_WEIGHTS)[0]
        domain = self._domains[name]
        true = {key: rng.choice(values) for key, values in domain.meanings.items()}
        current = [
            f"{key} {true[key] if rng.random() < 0.6 else rng.choice(domain.meanings[key])}"
            for key in _sample_up_to(rng, list(true), len(true), least=0)
        ]
        if rng.random() < 0.5:
            current += self._irrelevant(rng, name)
        rng.shuffle(current)
        lines = [_verdict(rng, domain, true, current) for _ in range(rng.choice((1, 2, 3, 3)))]
        faults = [rule for _, rule in lines if rule]
        if not faults and any(_says_nothing(line) for line, _ in lines):
            key = rng.choice(list(domain.meanings))
            faults = [f"{key} {rng.choice(domain.meanings[key])}"]
        reply = instructions(rewrite(current, faults))
        return Document(reflection(instructions(current), [line for line, _ in lines]), reply)


def rewrite(current: Sequence[str], faults: Sequence[str]) -> list[str]:
    """`current` with each rule in `faults` put in the place of its rival, or at the end."""
    rules = {rule.split()[0]: rule for rule in current}
    rules.update({rule.split()[0]: rule for rule in faults})
    return list(rules.values())


def _verdict(
    rng: random.Random, domain: MicroDomain, true: Mapping[str, str], current: Sequence[str]
) -> tuple[str, str | None]:
    """The feedback on a response that follows `current`, and the rule that it teaches.

    Most right responses are drawn again, as an optimiser of prompts asks about failures.
    """
    stated = dict(rule.split(" ", 1) for rule in current)
    while True:
        question = domain.draw(rng, domain.levels[rng.choice(("easy", "default"))], true)
        gold = domain.solve(question, true, Slip.never)
        believed = {key: stated.get(key) or domain.guess(key, rng) for key in true}
        response = domain.solve(question, believed, Slip(rng, 0.1))
        problem = Problem("", domain.name, question.text, gold.answer, gold.text)
        level = rng.choices(_LEVELS, (5, 8, 87))[0]
        verdict = verify(domain, problem, response.text, level)
        if verdict.score == 0.0 or rng.random() < 0.2:
            taught = TAUGHT.search(verdict.feedback)
            return verdict.feedback, taught.group(1) if taught else None


def _says_nothing(line: str) -> bool:
    """Whether a verdict finds fault without naming a step, so that only a guess can help."""
    return line.endswith(" : wrong") or " : wrong : answer is " in line


def _some_keys(rng: random.Random, domain: MicroDomain) -> list[str]:
    """All rules in 40 % of documents, else any number of them."""
    keys = list(domain.meanings)
    return keys if rng.random() < 0.4 else _sample_up_to(rng, keys, len(keys), least=0)


def _sample_up_to(rng: random.Random, items: list[str], most: int, least: int = 1) -> list[str]:
    return rng.sample(items, rng.randint(least, min(most, len(items))))


def _level(rng: random.Random, name: str, phase: Phase) -> Level:
    length = 1 if phase.simple else rng.choice(LENGTHS[name])
    degree = rng.choice((2, 3, 4, 5, 6) if length <= 2 else (2, 3, 4) if length == 3 else (2, 3))
    return Level(lengths=(length,), meanings=8, degree=degree)


@dataclass(frozen=True)
class TrainingConfig:
    """How the embedded model is trained; the defaults made the shipped weights."""

    steps: int = setting(5_000, "Optimizer steps in all.", COUNTS)
    tokens_per_batch: int = setting(
        8_192, "Tokens of one step, padding included.", (256, 10_000_000)
    )
    width: int = setting(128, "Hidden size.", (2, 8192))
    layers: int = setting(
        4, "Decoder layers, short convolutions and attention in turn (an even number).", (2, 256)
    )
    heads: int = setting(4, "Attention heads.", (1, 256))
    muon_lr: float = setting(0.02, "Peak learning rate of the matrices (Muon).", RATES)
    adam_lr: float = setting(3e-3, "Peak learning rate of embeddings and norms (AdamW).", RATES)
    warmup: int = setting(200, "Steps of linear warm-up.", COUNTS)
    cooldown: float = setting(
        0.4,
        "Last share of the steps, over which the learning rate falls linearly to 2 %.",
        (1e-6, 1.0),
    )
    simple: float = setting(
        0.04, "First share of the steps, with one-step problems only.", (0.0, 1.0)
    )
    slips_from: float = setting(
        0.4, "Share of the steps after which the work in the documents is careless.", (0.0, 1.0)
    )
    seed: int = setting(0, "Seed of the initial weights and of every document.", (0, 2**62))
    device: str = setting(
        "cpu", "Where to train; `cuda` is faster and gives other weights.", choices=("cpu", "cuda")
    )
    compile: bool = setting(
        True, "Whether to compile the training step (needs a C++ compiler on CPU)."
    )
    checkpoint_minutes: float = setting(5.0, "Minutes between checkpoints.", (0.0, RATES[1]))

    def __post_init__(self) -> None:
        settle(self)
        if self.layers % 2:
            raise UsageError(
                f"layers is {self.layers}, but must be an even number, as in layers=4."
            )
        if self.width % (2 * self.heads):
            raise UsageError(
                f"width is {self.width} with heads={self.heads}, but must be a multiple of twice "
                f"the heads, as in width={2 * self.heads * max(1, self.width // (2 * self.heads))}."
            )


def phase(step: int, config: TrainingConfig) -> Phase:
    """The look of the documents of this step."""
    if step < config.simple * config.steps:
        return Phase(simple=True, reflections=0.3)
    return Phase(slips=step >= config.slips_from * config.steps)
