"""The data sets of the hub that have a name here: where they are, and a row as a question.

Columns, configurations and commits are those of the hub's pages and of public code that pins them.
The questions are put together here, so that a choice is a letter and no template of a trainer's
stands in them; a row that asks or answers nothing that can be judged is left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import Any

from cl_bench.contract.answers import boxed
from cl_bench.contract.task import Split

from ..data.json_values import answered

Row = Mapping[str, Any]
Asked = tuple[str, str]
"""A question and its right answer."""
_LETTER = "Answer with the letter of the right choice."


@dataclass(frozen=True, slots=True)
class Filter:
    """An option that chooses rows by the text of one of their cells."""

    of: Callable[[Row], str]
    default: str = ""
    """The values that are chosen, with commas between them; empty: all."""


@dataclass(frozen=True, slots=True)
class HubSet:
    """A data set of the hub."""

    path: str
    """Its owner and name on the hub."""
    revision: str
    """A commit; `main` where no commit is known that can be relied on."""
    says: str
    licence: str
    citation: str
    columns: Sequence[str]
    """Columns that its rows have."""
    splits: Mapping[str, Split | None]
    """From its splits to ours; a hash of the question decides where there is None."""
    asked: Callable[[Row], Asked | None]
    verifier: str
    configs: Sequence[str | None] = (None,)
    filters: Mapping[str, Filter] = field(default_factory=dict)
    most: int = 0
    """Rows of each split that are read, streamed from the hub; 0: all of them."""


def _line(text: object) -> str:
    """An answer as one line."""
    return " ".join(str(text or "").split())


def _plain(prompt: str, answer: str) -> Callable[[Row], Asked]:
    return lambda row: (row[prompt] or "", _line(row[answer]))


def _gsm8k(row: Row) -> Asked:
    return row["question"], row["answer"].rpartition("####")[2].strip()


def _math(row: Row) -> Asked | None:
    answers = boxed(row["solution"])
    return (row["problem"], _line(answers[-1])) if answers else None


def _choices(question: str, choices: Mapping[str, str], right: str) -> Asked:
    listed = "\n".join(f"{letter}. {text}" for letter, text in choices.items())
    return f"{question}\n\n{listed}\n\n{_LETTER}", right


def _mmlu(row: Row) -> Asked:
    letters = dict(zip(ascii_uppercase, row["choices"], strict=False))
    return _choices(row["question"], letters, ascii_uppercase[row["answer"]])


def _sciknoweval(row: Row) -> Asked | None:
    """A multiple choice; true or false, gaps and essays are left out."""
    letters = dict(zip(row["choices"]["label"], row["choices"]["text"], strict=False))
    if not row["type"].startswith("mcq") or row["answerKey"] not in letters:
        return None
    return _choices(row["question"], letters, row["answerKey"])


def _hover(row: Row) -> Asked | None:
    """The set has the titles of the articles that the evidence stands in, not their texts."""
    if row["label"] not in _HOVER:
        return None
    titles = "; ".join(dict.fromkeys(fact["key"] for fact in row["supporting_facts"]))
    question = f"Claim: {row['claim']}\n\nArticles of Wikipedia on what it says: {titles}\n\n"
    letters = {"A": "The claim is supported.", "B": "The claim is not supported."}
    return _choices(f"{question}Is the claim supported?", letters, _HOVER[row["label"]])


_HOVER: Mapping[object, str] = {1: "A", 0: "B", "SUPPORTED": "A", "NOT_SUPPORTED": "B"}
"""Claims of the test split have the label -1."""


def _codeio(row: Row) -> Asked | None:
    """What a function gives: of the set's own solutions, those it marks as right hold the answer.

    Rows that ask for an input have many right answers, which only running the code would tell.
    """
    right = row["feedback_1"].strip() == "Correct output!"
    if not right or "predict the output" not in row["prompt"]:
        return None
    found = answered(row["turn_1"])
    return None if found is None else (row["prompt"], found)


def _countdown(row: Row) -> Asked:
    numbers = json.dumps(list(row["nums"]))
    question = (
        f"Using the numbers {numbers}, write an expression that comes to {row['target']}. You may "
        "use + - * / and brackets, and each number at most once."
    )
    return question, f"{row['target']} from {' '.join(map(str, row['nums']))}"


def _ifeval(row: Row) -> Asked:
    """The instructions as JSON, each with those of its arguments that are given."""
    given = [{k: v for k, v in (each or {}).items() if v is not None} for each in row["kwargs"]]
    listed = [*zip(row["instruction_id_list"], given, strict=True)]
    return row["prompt"], json.dumps(listed, ensure_ascii=False)


_HASHED: Mapping[str, Split | None] = {"train": None}
_HENDRYCKS = (
    *("algebra", "counting_and_probability", "geometry", "intermediate_algebra"),
    *("number_theory", "prealgebra", "precalculus"),
)

SETS: Mapping[str, HubSet] = {
    "gsm8k": HubSet(
        path="openai/gsm8k",
        revision="e53f048856ff4f594e959d75785d2c2d37b678ee",
        says="grade-school word problems",
        licence="MIT",
        citation="Cobbe et al., Training Verifiers to Solve Math Word Problems, 2021, "
        "arXiv 2110.14168",
        columns=("question", "answer"),
        splits={"train": "train", "test": "test"},
        asked=_gsm8k,
        verifier="number",
        configs=("main",),
    ),
    "math": HubSet(
        path="EleutherAI/hendrycks_math",
        revision="21a5633873b6a120296cce3e2df9d5550074f4a3",
        says="competition problems of Hendrycks' MATH",
        licence="MIT",
        citation="Hendrycks et al., Measuring Mathematical Problem Solving With the MATH Dataset, "
        "2021, arXiv 2103.03874",
        columns=("problem", "level", "type", "solution"),
        splits={"train": "train", "test": "test"},
        asked=_math,
        verifier="math",
        configs=_HENDRYCKS,
        filters={
            "subject": Filter(lambda row: row["type"]),
            "level": Filter(lambda row: row["level"].removeprefix("Level ")),
        },
    ),
    "polaris": HubSet(
        path="POLARIS-Project/Polaris-Dataset-53K",
        revision="296f8e34132e63f4a1d70e0dcc8bddebb43f03e4",
        says="hard mathematics; difficulty: right of 8 answers of a 7B model",
        licence="Apache-2.0",
        citation="An et al., POLARIS: A Post-Training Recipe for Scaling Reinforcement Learning on "
        "Advanced Reasoning Models, 2025",
        columns=("problem", "answer", "difficulty"),
        splits=_HASHED,
        asked=_plain("problem", "answer"),
        verifier="math",
        filters={"difficulty": Filter(lambda row: row["difficulty"])},
    ),
    "deepmath": HubSet(
        path="zwhe99/DeepMath-103K",
        revision="5cf055d1fe3d7a2eb19719ac020211469736ae44",
        says="mathematics from algebra to topology, decontaminated",
        licence="MIT",
        citation="He et al., DeepMath-103K, 2025, arXiv 2504.11456",
        columns=("question", "final_answer", "difficulty", "topic"),
        splits=_HASHED,
        asked=_plain("question", "final_answer"),
        verifier="math",
        most=10_000,
    ),
    "hover": HubSet(
        path="vincentkoc/hover-parquet",
        revision="main",
        says="claims over 3 and 4 articles of Wikipedia: supported or not",
        licence="MIT",
        citation="Jiang et al., HoVer: A Dataset for Many-Hop Fact Extraction and Claim "
        "Verification, 2020, arXiv 2011.03088",
        columns=("claim", "supporting_facts", "label", "num_hops"),
        splits={"train": "train", "validation": "test"},
        asked=_hover,
        verifier="choice",
        filters={"hops": Filter(lambda row: str(row["num_hops"]), "3,4")},
    ),
    "codeio": HubSet(
        path="hkust-nlp/CodeIO-PyEdu-Reasoning",
        revision="6f45f6f4091ecd089054574ab46936994f420b24",
        says="what a Python function gives for an input",
        licence="not stated where we looked",
        citation="Li et al., CodeI/O: Condensing Reasoning Patterns via Code Input-Output "
        "Prediction, 2025, arXiv 2502.07316",
        columns=("prompt", "turn_1", "feedback_1"),
        splits=_HASHED,
        asked=_codeio,
        verifier="json",
        most=10_000,
    ),
    "sciknoweval": HubSet(
        path="hicai-zju/SciKnowEval",
        revision="92ef969ad0a8bd6e195e0ac18af2c46e307e0cc2",
        says="multiple choices in physics; subject=Chemistry, Biology, Material",
        licence="MIT",
        citation="Feng et al., SciKnowEval: Evaluating Multi-level Scientific Knowledge of Large "
        "Language Models, 2024, arXiv 2406.09098",
        columns=("question", "choices", "answerKey", "type", "domain", "details"),
        splits={"test": None},
        asked=_sciknoweval,
        verifier="choice",
        configs=("v2",),
        filters={
            "subject": Filter(lambda row: row["domain"], "Physics"),
            "level": Filter(lambda row: row["details"]["level"]),
        },
    ),
    "mmlu": HubSet(
        path="cais/mmlu",
        revision="c30699e8356da336a370243923dbaf21066bb9fe",
        says="multiple choices in 57 subjects",
        licence="MIT",
        citation="Hendrycks et al., Measuring Massive Multitask Language Understanding, 2021, "
        "arXiv 2009.03300",
        columns=("question", "subject", "choices", "answer"),
        splits={"dev": "train", "validation": "validation", "test": "test"},
        asked=_mmlu,
        verifier="choice",
        configs=("all",),
        filters={"subject": Filter(lambda row: row["subject"])},
    ),
    "countdown": HubSet(
        path="Jiayi-Pan/Countdown-Tasks-3to4",
        revision="408f70d177020686d34a56bba5952feb45aaaee4",
        says="expressions of 3 or 4 given numbers that come to a target",
        licence="none stated",
        citation="Pan et al., TinyZero, 2025, github.com/Jiayi-Pan/TinyZero",
        columns=("target", "nums"),
        splits=_HASHED,
        asked=_countdown,
        verifier="countdown",
        most=5_000,
    ),
    "ifeval": HubSet(
        path="google/IFEval",
        revision="966cd89545d6b6acfd7638bc708b98261ca58e84",
        says="instructions that a program can check; right if all are followed (strict)",
        licence="Apache-2.0",
        citation="Zhou et al., Instruction-Following Evaluation for Large Language Models, 2023, "
        "arXiv 2311.07911",
        columns=("prompt", "instruction_id_list", "kwargs"),
        splits=_HASHED,
        asked=_ifeval,
        verifier="instructions",
    ),
}


def summaries() -> list[tuple[str, str]]:
    """Name and summary of each data set, as `cl-bench list hub` prints them."""
    return [(f"hub/{name}", f"{entry.says}; {_options(entry)}") for name, entry in SETS.items()]


def _options(entry: HubSet) -> str:
    given = [
        f"{name}={each.default}" if each.default else name for name, each in entry.filters.items()
    ]
    return f"{entry.path}@{entry.revision[:9]}{'; options: ' * bool(given)}{', '.join(given)}"
