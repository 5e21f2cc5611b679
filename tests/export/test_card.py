"""Model cards hold hostile prompts and names as text, and parse back."""

from __future__ import annotations

import ast
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from cl_bench.export.card import card, licence
from cl_bench.export.subject import CardSubject, DomainFigures, Figures, Prompts
from cl_bench.model.named import MODELS, NamedModel

HOSTILE = (
    "```\n---\nlicense: mit\n---\n# owned\n</details><script>alert(1)</script>\n"
    "![x](javascript:alert(1)) \x1b[31m \u202e"
)
NAME = 'x`|<img src=x onerror="alert(1)">\n---\n{{ template }}'


def subject(**changes: Any) -> CardSubject:
    manifest: dict[str, Any] = {
        "stream": {
            "name": NAME,
            "version": "1",
            "stages": [{"domain": NAME, "setting": "easy", "steps": 2}],
        },
        "config": {"model": "/home/ada/models/base", "feedback": "step"},
        "learner": NAME,
        "seed": 3,
        "status": "done",
        "config_hash": "00ff",
        "provenance": {"cl_bench": "0.1.0", "git_commit": "abc", "git_dirty": True},
    } | changes
    row = {"prompt_id": 1, "parent_id": 0, "round": 1, "step": 2, "text": HOSTILE, "score": None}
    seed = row | {"prompt_id": 0, "parent_id": -1, "text": "seed", "score": 0.25}
    figures = Figures(
        step=2,
        domains=[DomainFigures(NAME, 4, "learner", None, 0.5, 0.25)],
        metrics={},
        samples=2,
        temperature=1.0,
        max_new_tokens=9,
        problem=HOSTILE,
    )
    prompts = Prompts(HOSTILE, "seed", [row, seed], [seed, row])
    return CardSubject(NAME, None, manifest, 1, prompts, figures)


def test_nothing_of_a_hostile_text_is_obeyed() -> None:
    made = card(subject())
    tokens = MarkdownIt("commonmark").enable("table").parse(made.text)
    inline = [child for token in tokens for child in token.children or ()]
    kinds = {token.type for token in (*tokens, *inline)}
    assert kinds.isdisjoint({"html_block", "html_inline", "image", "link_open", "hr"})
    headings = [after.content for token, after in pairwise(tokens)
                if token.type == "heading_open"]  # fmt: skip
    assert len(headings) == 6
    assert "owned" not in headings
    fences = [token.content for token in tokens if token.type == "fence"]
    assert sum("<script>alert(1)</script>" in content for content in fences) == 3
    assert "\x1b" not in made.content
    assert "\u202e" not in made.content


def test_the_metadata_parse_back(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    card(subject()).save(file)
    found = ModelCard.load(file)
    assert found.data.license == "unknown"
    assert found.data.get("base_model") is None
    results = found.data.eval_results or []
    assert [(r.metric_type, r.metric_value) for r in results] == [
        ("accuracy", 0.5),
        ("kl_policy_base", 0.25),
    ]
    assert results[0].dataset_args == {"setting": "easy", "seed": 3, "after_stage": 1}


def test_the_card_names_the_base_but_no_folder_of_the_machine() -> None:
    text = card(subject()).content
    assert "`base`" in text
    assert "/home/ada" not in text
    assert "abc, with uncommitted changes" in text
    hub = card(subject(config={"model": "owner/model"}, model_revision="r1"))
    assert hub.data.get("base_model") == "owner/model"
    assert "`r1`" in hub.content


@pytest.mark.parametrize("model", MODELS)
def test_a_model_with_a_short_name_is_none_of_the_hub_and_is_not_fetched(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NamedModel, "obtain", lambda *_, **__: pytest.fail("it is fetched"))
    made = card(subject(config={"model": model}))
    assert made.data.get("base_model") is None
    assert made.data.get("license") == MODELS[model].licence.lower() == "apache-2.0"
    assert "that of the base model" in made.text
    assert ("the embedded model of cl-bench" if model == "embedded" else f"`{model}`") in made.text


def test_every_domain_has_its_own_number_of_problems() -> None:
    rows = [DomainFigures(name, items, "learner", 0.25, 0.5, 0.1)
            for name, items in (("math", 1_024), ("facts", 23))]  # fmt: skip
    stages = [{"domain": row.domain, "setting": "easy", "steps": 2} for row in rows]
    made = subject(stream={"name": "two", "version": "1", "stages": stages})
    text = card(replace(made, figures=replace(made.figures, domains=rows))).text
    assert "| math | 1,024 | learner | 25.0 % |" in text
    assert "| facts | 23 | learner | 25.0 % |" in text
    assert "on the test problems of each domain with 2 responses to each" in text


def test_an_example_for_a_repository_downloads_it() -> None:
    made = subject()
    pushed = card(CardSubject(made.name, "ada/model", *list(vars(made).values())[2:]))
    assert 'folder = snapshot_download("ada/model")' in pushed.text
    assert "snapshot_download" not in card(made).text


@pytest.mark.parametrize("problem", ["What is \U0001f642 + \U0001d465?", HOSTILE, "\ud800 \\u0041"])
def test_the_example_asks_the_problem_letter_for_letter(problem: str) -> None:
    made = subject()
    name = "\U0001f642 model"
    asked = replace(made, name=name, figures=replace(made.figures, problem=problem))
    tokens = MarkdownIt("commonmark").parse(card(asked).text)
    (code,) = [token.content for token in tokens if token.info == "python"]
    values = [node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)]
    assert problem in values
    assert name in values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("---\nlicense: mit\n---\n", "mit"),
        ("---\nlicense: [mit]\n---\n", None),
        ("no front matter", None),
        ("---\n: [\n---\n", None),
    ],
)
def test_a_licence_is_that_of_the_base_model_s_card(
    tmp_path: Path, text: str, expected: str | None
) -> None:
    (tmp_path / "README.md").write_text(text)
    assert licence(str(tmp_path)) == expected


def test_without_a_card_there_is_no_licence(tmp_path: Path) -> None:
    assert licence("embedded") == "apache-2.0"
    assert licence(str(tmp_path)) is None
    assert licence("nobody/nothing-like-this") is None
