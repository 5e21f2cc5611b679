"""Measures an embedded model on fresh conventions: the figures of its card.

Every sample has a convention and a problem of its own, drawn from generators that pretraining never
used, and is sampled at temperature 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from tempfile import TemporaryDirectory

import torch

from cl_bench.api import Run, run
from cl_bench.contract.micro import MicroDomain, Slip, micro_domain, verify
from cl_bench.contract.prompts import REFLECTION_PROMPT, chat, instructions
from cl_bench.contract.registry import COMPARED_LEARNERS, LEARNERS
from cl_bench.contract.task import Problem, hashed_rng
from cl_bench.contract.validation import COUNTS, SEEDS, whole_number
from cl_bench.metrics.quantities import COUNT, SHARE
from cl_bench.metrics.stats.proportions import wilson
from cl_bench.metrics.stats.student import Interval
from cl_bench.model.named import resolve
from cl_bench.model.policy import Policy
from cl_bench.store.views import stream_rows
from cl_bench.tools.embedded.corpus import DOMAINS, Corpus, Document, Phase

SETTINGS = ("easy", "default", "hard")
IRRELEVANT = 4
MAX_NEW_TOKENS = 128


@dataclass(frozen=True, slots=True)
class CardCell:
    """One measured share: `share` of `n` samples."""

    domain: str
    setting: str
    prompt: str
    share: float
    n: int

    @property
    def interval(self) -> Interval:
        """The Wilson 95 % interval of the share."""
        low, high = wilson(self.share, self.n)
        return Interval(float(low), float(high), 0.95)


@dataclass(frozen=True)
class ModelCard:
    """All measured cells."""

    cells: tuple[CardCell, ...]

    def text(self) -> str:
        """A Markdown table, one row a cell."""
        lines = [
            "| domain | setting | prompt | share | 95 % interval | n |",
            "|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {cell.domain} | {cell.setting} | {cell.prompt} | {SHARE.text(cell.share)} "
            f"| {SHARE.interval(cell.interval)} | {COUNT.text(cell.n)} |"
            for cell in self.cells
        ]
        return "\n".join(lines)


def evaluate_model(model: str, *, n: int = 512, seed: int = 1) -> ModelCard:
    """Sample `n` responses in every cell of the card."""
    n = whole_number("n", n, COUNTS)
    seed = whole_number("seed", seed, SEEDS)
    policy = Policy.load(resolve(model))
    torch.manual_seed(seed)
    cells = [cell for name in DOMAINS for cell in _domain_cells(policy, name, n, seed)]
    return ModelCard((*cells, _reflection_cell(policy, n, seed)))


def evaluate_learners(model: str, *, seed: int = 1) -> ModelCard:
    """Return the card of what learners of one channel reach in one default stage of each domain.

    One run each, at the suite's default budget; n counts responses to the stage's test problems.
    """
    compared = {name: LEARNERS.load(name).channels for name in COMPARED_LEARNERS}
    cells = []
    with TemporaryDirectory() as folder:
        for domain in DOMAINS:
            for learner in (name for name, channels in compared.items() if len(channels) == 1):
                finished = run(
                    domain, learner, model=model, seed=seed, out=f"{folder}/{domain}-{learner}"
                )
                cells.append(_stage_cell(finished, domain, learner))
    return ModelCard(tuple(cells))


def _stage_cell(finished: Run, domain: str, learner: str) -> CardCell:
    frame = stream_rows(finished.table("evaluations"))
    last = frame[(frame["at"] == "stage-end") & (frame["prompt"] == "learner")].iloc[-1]
    count = int(last["n_items"] * last["n_samples"])
    label = f"{learner} after {last['step']} steps"
    return CardCell(domain, "default", label, float(last["accuracy"]), count)


def _domain_cells(policy: Policy, name: str, n: int, seed: int) -> Iterator[CardCell]:
    domain = micro_domain(name)
    count = len(domain.meanings)
    for stated in range(count + 1):
        yield _cell(policy, domain, "easy", stated, 0, n, seed)
    yield _cell(policy, domain, "easy", count, IRRELEVANT, n, seed)
    for setting in SETTINGS[1:]:
        for stated in (0, count):
            yield _cell(policy, domain, setting, stated, 0, n, seed)


def _cell(
    policy: Policy,
    domain: MicroDomain,
    setting: str,
    stated: int,
    irrelevant: int,
    n: int,
    seed: int,
) -> CardCell:
    label = f"{stated} of {len(domain.meanings)} rules"
    if irrelevant:
        label += f" + {irrelevant} irrelevant"
    chats, problems = [], []
    for i in range(n):
        rng = hashed_rng("model eval", seed, domain.name, setting, stated, irrelevant, i)
        level = domain.levels[setting]
        convention = domain.draw_convention(rng, level.meanings)
        rules = [f"{key} {convention[key]}" for key in rng.sample(list(convention), stated)]
        others = [rule for other in DOMAINS if other != domain.name for rule in _rules(rng, other)]
        rules += rng.sample(others, irrelevant)
        rng.shuffle(rules)
        question = domain.draw(rng, level, convention)
        solution = domain.solve(question, convention, Slip.never)
        chats.append(chat(instructions(rules), question.text))
        problems.append(Problem("", domain.name, question.text, solution.answer, solution.text))
    rollouts = policy.generate(chats, max_new_tokens=MAX_NEW_TOKENS)
    right = sum(
        verify(domain, problem, rollout.text, "none").score
        for problem, rollout in zip(problems, rollouts, strict=True)
    )
    return CardCell(domain.name, setting, label, right / n, n)


def _rules(rng: Random, name: str) -> list[str]:
    convention = micro_domain(name).draw_convention(rng, 8)
    return [f"{key} {meaning}" for key, meaning in convention.items()]


def _reflection_cell(policy: Policy, n: int, seed: int) -> CardCell:
    """Share of rewrites with the taught rules added and every other rule kept, word for word.

    Counted over requests whose feedback teaches a rule; the order of rules does not matter.
    """
    corpus, phase = Corpus(seed=2**40 + seed), Phase(reflections=1.0)
    documents: list[Document] = []
    index = 0
    while len(documents) < n:
        document = corpus.document(index, phase)
        index += 1
        if document.messages[0]["content"] == REFLECTION_PROMPT and _teaches(document.messages):
            documents.append(document)
    rollouts = policy.generate([d.messages for d in documents], max_new_tokens=MAX_NEW_TOKENS)
    right = sum(
        _same_rules(rollout.text, document.reply)
        for rollout, document in zip(rollouts, documents, strict=True)
    )
    return CardCell("reflection", "-", "feedback names a rule", right / n, n)


def _teaches(messages: Sequence[dict[str, str]]) -> bool:
    return "wrong at step" in messages[-1]["content"]


def _same_rules(given: str, wanted: str) -> bool:
    return sorted(given.split(" ; ")) == sorted(wanted.split(" ; "))
