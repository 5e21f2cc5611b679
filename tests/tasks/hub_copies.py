"""Small copies of data sets of the hub: their schemas, with rows of our own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Rows = Sequence[Mapping[str, Any]]
Copy = Mapping[tuple[str, str], Rows]
"""By configuration and split."""

_CODE = "Tip: Here is a reference code snippet for this question.\n\ndef main(n): return [n, 2 * n]"


def _gsm8k(n: int) -> dict[str, Any]:
    return {
        "question": f"Ann has {n} pears and picks 1,200 more. How many has she?",
        "answer": f"{n} and 1,200 are <<{n}+1200={n + 1200}>>{n + 1200:,}.\n#### {n + 1200:,}",
    }


def _math(n: int, subject: str) -> dict[str, Any]:
    return {
        "problem": f"What is ${n}$ divided by $7$, in {subject}?",
        "level": f"Level {n % 5 + 1}",
        "type": subject,
        "solution": rf"It is \boxed{{x}}, that is, $\boxed{{\frac{{{n}}}{{7}}}}$.",
    }


def _hover(n: int, hops: int, label: int) -> dict[str, Any]:
    return {
        "id": n,
        "uid": f"u{n}",
        "claim": f"The river {n} flows through {hops} towns.",
        "supporting_facts": [{"key": f"Town {n + i}", "value": i} for i in range(hops)],
        "label": label,
        "num_hops": hops,
        "hpqa_id": f"h{n}",
    }


def _codeio(n: int) -> dict[str, Any]:
    asked = "predict the output" if n % 3 else "predict a feasible input"
    right = n % 5 > 0
    return {
        "prompt": f"Given the input {{'n': {n}}}, can you {asked} without any code?\n{_CODE}",
        "turn_1": f'I double it.\n```json\n{{"output": [{n}, {2 * n}.0]}}\n```',
        "feedback_1": "Correct output!" if right else "[Mismatch] Your output is not correct!",
        "turn_2": None if right else "Again.",
        "feedback_2": None if right else "Correct output!",
    }


def _sciknoweval(n: int, domain: str, kind: str = "mcq-4-choices") -> dict[str, Any]:
    return {
        "prompt": {"default": "Given a question and four options, please select the right answer."},
        "question": f"In {domain}, a body moves {n} m in 2 s. How fast is it?",
        "choices": {
            "text": [f"{n / 2} m/s", f"{n} m/s", "0 m/s", f"{2 * n} m/s"],
            "label": ["A", "B", "C", "D"],
        },
        "answerKey": "A",
        "type": kind,
        "domain": domain,
        "details": {"level": f"L{n % 3 + 1}", "task": "t", "subtask": "s", "source": "ours"},
        "answer": "",
    }


def _mmlu(n: int, split: str) -> dict[str, Any]:
    subject = "anatomy" if n % 2 else "world_religions"
    choices = [f"{n + i} bones" for i in range(4)]
    question = f"How many bones has beast {n} of the {split} set?"
    return {"question": question, "subject": subject, "choices": choices, "answer": n % 4}


def _ifeval(n: int) -> dict[str, Any]:
    """Every object of arguments has all of the set's keys, most of them empty."""
    none = {"keywords": None, "num_words": None, "relation": None}
    return {
        "key": 1000 + n,
        "prompt": f"Write about pond {n} with the word heron, in quotes, in less than 20 words.",
        "instruction_id_list": [
            "keywords:existence",
            "startend:quotation",
            "length_constraints:number_words",
        ],
        "kwargs": [
            none | {"keywords": ["heron"]},
            none,
            none | {"num_words": 20, "relation": "less than"},
        ],
    }


def _many(make: Callable[[int], Mapping[str, Any]], count: int = 60, first: int = 1) -> Rows:
    return [make(n) for n in range(first, first + count)]


_SUBJECTS = {
    "algebra": "Algebra",
    "counting_and_probability": "Counting & Probability",
    "geometry": "Geometry",
    "intermediate_algebra": "Intermediate Algebra",
    "number_theory": "Number Theory",
    "prealgebra": "Prealgebra",
    "precalculus": "Precalculus",
}

COPIES: Mapping[str, Copy] = {
    "openai/gsm8k": {
        ("main", "train"): _many(_gsm8k),
        ("main", "test"): _many(_gsm8k, 20, 100),
        ("socratic", "train"): [{"question": "Another configuration?", "answer": "#### 1"}],
    },
    "EleutherAI/hendrycks_math": {
        (config, split): [_math(n, subject) for n in numbers]
        for config, subject in _SUBJECTS.items()
        for split, numbers in (("train", range(1, 13)), ("test", range(15, 20)))
    },
    "POLARIS-Project/Polaris-Dataset-53K": {
        ("default", "train"): _many(
            lambda n: {
                "problem": f"Find the positive root of $x^2 = {n}$.",
                "answer": rf"\sqrt{{{n}}}" if n != 49 else r"\text{seven}",
                "difficulty": f"{n % 8}/8",
            }
        ),
    },
    "zwhe99/DeepMath-103K": {
        ("default", "train"): _many(
            lambda n: {
                "question": f"Evaluate the limit of ${n}/k$ as $k$ grows from ${n}$.",
                "final_answer": f"{n}",
                "difficulty": 4.5,
                "topic": "Mathematics -> Calculus",
                "r1_solution_1": "…",
                "r1_solution_2": "…",
                "r1_solution_3": "…",
            }
        ),
    },
    "vincentkoc/hover-parquet": {
        ("default", "train"): [_hover(n, 2 + n % 3, n % 2) for n in range(90)],
        ("default", "validation"): [_hover(n, 2 + n % 3, n % 2) for n in range(100, 130)],
        ("default", "test"): [_hover(n, 3, -1) for n in range(200, 210)],
    },
    "hkust-nlp/CodeIO-PyEdu-Reasoning": {("default", "train"): _many(_codeio, 120)},
    "hicai-zju/SciKnowEval": {
        ("v2", "test"): [
            *(_sciknoweval(n, "Physics") for n in range(1, 61)),
            *(_sciknoweval(n, "Chemistry") for n in range(1, 61)),
            *(_sciknoweval(n, "Physics", "open-ended-qa") for n in range(100, 110)),
        ],
    },
    "cais/mmlu": {
        ("all", split): [_mmlu(n, split) for n in range(count)]
        for split, count in (("dev", 20), ("validation", 20), ("test", 40), ("auxiliary_train", 9))
    },
    "Jiayi-Pan/Countdown-Tasks-3to4": {
        ("default", "train"): _many(
            lambda n: {"target": n + 7, "nums": [n, 3, 4] if n % 2 else [n, 3, 4, 50]}
        ),
    },
    "google/IFEval": {("default", "train"): _many(_ifeval)},
    "acme/questions": {
        ("default", "train"): _many(lambda n: {"text": f"Double {n}.", "gold": 2 * n, "note": "x"}),
        ("default", "test"): _many(
            lambda n: {"text": f"Double {n}.", "gold": 2 * n, "note": "x"}, 10, 100
        ),
    },
}


def write_copy(folder: Path, path: str, copy: Copy | None = None) -> Path:
    """The copy as a clone of the hub's repository is laid out: a card, and a file a split."""
    place = folder / path
    place.mkdir(parents=True, exist_ok=True)
    card = ["---", "configs:"]
    for config in dict.fromkeys(config for config, _ in copy or COPIES[path]):
        card += [f"- config_name: {config}", "  data_files:"]
        for (owner, split), rows in (copy or COPIES[path]).items():
            if owner == config:
                file = f"{config}/{split}-00000-of-00001"
                card += [f"  - split: {split}", f"    path: {_written(place / file, rows)}"]
    (place / "README.md").write_text("\n".join([*card, "---", ""]), encoding="utf-8")
    return place


def all_copies(folder: Path) -> Path:
    """The folder with a copy of each, written when it is asked for the first time."""
    if not folder.is_dir():
        for path in COPIES:
            write_copy(folder, path)
    return folder


def _written(file: Path, rows: Rows) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file.parent.mkdir(exist_ok=True)
    if file.parent.name == "v2":  # that of SciKnowEval is JSON lines
        target = file.with_name(f"{file.name}.jsonl")
        target.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        target = file.with_name(f"{file.name}.parquet")
        pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), target)
    return f"{file.parent.name}/{target.name}"
