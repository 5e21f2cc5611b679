"""What the words of a leaderboard mean: learners, streams and models, and every column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata

from cl_bench.analysis.run_values import Column
from cl_bench.contract.registry import LEARNERS
from cl_bench.report.blocks.look import learner_label
from cl_bench.report.blocks.write_html import escaped

_PAPER = ("Paper: arXiv 2605.12484", "https://arxiv.org/abs/2605.12484")
_FRONT = """
A learner teaches a language model, by training its weights, as reinforcement learning (RL) does,
by rewriting its prompt, or by both; a stream is a series of tasks that come one after the other;
the model is what all learners of a table start from.

Fast-Slow Training (FST) learns in weights and prompt at once, and claims to need fewer samples, to
solve more, to stay nearer to the base model and to forget less.

Here learners are ordered by the share of right answers to the test problems of all tasks when the
stream has ended; beside it stand drift from the base model (KL), what was forgotten, and the cost.
"""
FRONT = tuple(" ".join(text.split()) for text in _FRONT.strip().split("\n\n"))
"""What a learner, a stream and a model are; what FST claims; what is ranked."""
DEFINITIONS: Mapping[str, str] = {
    "rank": "The places that a learner may have by the column that the table is sorted by: 2–4 "
    "of 8 says that one learner is significantly better and four are significantly worse.",
    "learner": "What teaches the model. Marks below the name are warnings.",
    "seeds": "Finished runs of all that the board has seeds for. A number leads to that run.",
    "average_accuracy": "Share of right answers to the test problems after the last stage, mean "
    "over the stream’s tasks, under the learner’s own prompt; an answer that is partly right "
    "counts as a part.",
    "average_accuracy_seed_prompt": "The same under the prompt that the stream began with: what "
    "the weights alone have learned.",
    "anytime_average_accuracy": "Accuracy on the tasks met so far, mean over the ends of all "
    "stages.",
    "bwt_gem": "Backward transfer: accuracy on earlier tasks after the last stage, minus what it "
    "was when each task’s own stage ended. Below zero: forgotten.",
    "forgetting_max": "How far accuracy on earlier tasks has fallen from the best that it ever "
    "was at a stage’s end. Below zero: it still rose.",
    "min_accuracy": "The worst accuracy that a finished task had at any later evaluation, mean "
    "over tasks.",
    "stability_gap": "How far accuracy on finished tasks dips inside a later stage and recovers by "
    "its end, mean over stages and tasks.",
    "retention_delta": "Change of accuracy on domains that the stream does not have.",
    "harder_accuracy": "Accuracy on problems of the tasks’ hardest setting, under the prompt that "
    "the stream began with.",
    "pass_at_k": "Chance that one of the k responses to a test problem is right.",
    "greedy_accuracy": "Accuracy of responses at temperature 0.",
    "kl_policy_base": "Drift: KL divergence of the trained model from the base model, both under "
    "the learner’s prompt, per token of the trained model’s responses after the last stage.",
    "kl_policy_base_seed_prompt": "The same drift under the prompt that the stream began with.",
    "kl_deployed_start": "Drift of all that is deployed, prompt included: from the trained model "
    "with its prompt to the base model with the first one.",
    "format_rate": "Responses whose answer stands in a form of its own, such as a box.",
    "truncation_rate": "Responses that met the length limit before they ended.",
    "completion_tokens": "Mean length of a response after the last stage.",
    "plasticity_ratio": "What fresh RL still reaches from the trained model, as a ratio to what "
    "it reaches from the base model. 1: as able to learn as before.",
    "sample_efficiency": "How many times fewer training samples than RL the learner needs until "
    "it is as accurate as RL at its best.",
    "sample_efficiency_rollouts": "The same of all responses sampled for learning, those of the "
    "prompt optimiser too.",
    "rollouts": "Responses sampled for learning, on the whole stream.",
    "tokens": "Tokens read and written for learning, on the whole stream.",
    "seconds": "Wall time of the run. It depends on the machine, and ranks nobody.",
}
"""By column."""
TERMS: Mapping[str, str] = {
    "GRPO": "Reinforcement learning by groups: the advantage of a response is its score against "
    "the mean of all responses to the same problem in a step.",
    "GEPA": "Prompt optimisation: a language model reads mistakes and writes another prompt, which "
    "is kept if it scores better.",
    "nat": "Unit of divergence, of natural logarithms. At 1 nat per token the trained model gives "
    "its own tokens e = 2.7 times the probability that the base model gives them, in the geometric "
    "mean.",
}
"""Words that the others use."""


WORDS, SETTINGS = "What the names mean", "Settings of the learners"
"""Headings that page and twin share."""


@cache
def links() -> list[tuple[str, str]]:
    """Where to read on, by title: the paper, and what the installed package names as its
    repository and documentation."""
    try:
        given = metadata("cl-bench").get_all("Project-URL") or []
    except PackageNotFoundError:
        given = []
    own = [tuple(part.strip() for part in url.split(",", 1)) for url in given]
    return [_PAPER, *((title, address) for title, address in own)]


def definition(name: str, column: Column) -> str:
    """The definition of a column, which is its title where it comes from a plug-in."""
    return DEFINITIONS.get(name, column.title)


def learners_said(learners: Iterable[str]) -> list[tuple[str, str]]:
    """Labels of learners and what each does, as `cl-bench list learners` says it; those that are
    not to be had here are left out."""
    asked = {*learners}
    return [(learner_label(name), said) for name, said in LEARNERS.summaries() if name in asked]


def glossary_section(columns: Mapping[str, tuple[str, Column]], learners: Iterable[str]) -> str:
    """The definitions as a part of the page; `columns` are short titles and columns by name."""
    fixed = [(name, DEFINITIONS[name]) for name in ("rank", "learner", "seeds")]
    known = [(title, definition(name, column)) for name, (title, column) in columns.items()]
    inner = "".join(
        f"<div><dt>{escaped(title)}</dt><dd>{escaped(said)}</dd></div>\n"
        for title, said in [*learners_said(learners), *fixed, *known, *TERMS.items()]
    )
    return (
        f'<section id="glossary">\n<h2>{WORDS}</h2>\n'
        f'<dl class="glossary">\n{inner}</dl>\n</section>\n'
    )
