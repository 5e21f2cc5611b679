"""Chat templates in the forms of the field's families: what they are told, and what is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cl_bench
from cl_bench.api import resume
from cl_bench.contract.errors import UsageError
from cl_bench.contract.prompts import chat
from cl_bench.contract.task import Verdict
from cl_bench.execution.run_file import read_run_file
from cl_bench.model.chat_templates import TemplateOptions
from cl_bench.model.policy import Policy
from tests.model.chat_families import FAMILIES, GEMMA, HARMONY, QWEN_3, Family, write_model
from tests.model.samplers.doubles import Scripted
from tests.model.test_identity import SHORT, KillAtTheLastStep

SYSTEM, USER = "Answer in one word.", "What is two plus two?"
Loader = Callable[..., Policy]


@pytest.fixture
def load(tmp_path: Path) -> Loader:
    """Loads a model of a family: `load(family, thinking="off", reasoning_effort="low")`."""

    def loaded(family: Family, thinking: str = "auto", **variables: Any) -> Policy:
        folder = write_model(tmp_path / "model", family)
        return Policy.load(str(folder), template=TemplateOptions(thinking, variables))

    return loaded


def says(policy: Policy, text: str, end: str = "") -> None:
    """Let the policy say that text; without an `end` it is cut off."""
    policy.sampler = Scripted(policy.tokens([text + end])[0], ended=bool(end))


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_prompts_are_whole_begin_once_and_end_where_the_turn_does(
    family: Family, load: Loader
) -> None:
    policy = load(family)
    (prompt,) = policy.encode([chat(SYSTEM, USER)])
    text = policy.tokenizer.decode(prompt)
    assert SYSTEM in text
    assert USER in text
    assert policy.settled_template.folded == family.folded
    if family.bos:
        bos = policy.tokenizer.bos_token_id
        assert policy.tokenizer("hi")["input_ids"][0] == bos  # the tokenizer would add another
        assert (prompt[0], prompt.count(bos)) == (bos, 1)
    assert set(policy.stop_tokens) == {family.end, family.eos, *family.ends}
    for end in policy.stop_tokens:
        says(policy, "four", end)
        (said,) = policy.generate([chat(SYSTEM, USER)], max_new_tokens=64)
        assert (said.text, said.truncated) == ("four", False)


@pytest.mark.parametrize(
    ("name", "thinking"),
    [(name, thinking) for name, of in FAMILIES.items() for thinking in of.opened],
)
def test_the_switch_of_a_template_opens_the_thought_or_closes_it(
    name: str, thinking: str, load: Loader
) -> None:
    family = FAMILIES[name]
    policy = load(family, thinking)
    prompt = policy.template(chat(SYSTEM, USER))
    assert prompt.endswith("</think>\n\n") == (thinking == "off" and name == "qwen 3")
    says(policy, "four", family.end)
    (said,) = policy.generate([chat(SYSTEM, USER)], max_new_tokens=64)
    assert said.text == f"{family.opened[thinking]}four"
    variable = "enable_thinking" if "enable_thinking" in family.template else "thinking"
    told = {} if thinking == "auto" else {variable: thinking == "on"}
    assert policy.settled_template.variables == told


def test_what_a_template_is_told_is_told_whoever_renders_and_is_not_saved(
    load: Loader, tmp_path: Path
) -> None:
    family = FAMILIES["harmony"]
    policy = load(family, reasoning_effort="lo'w\n{{ 1 }} %} é")
    for text in (
        policy.template(chat(SYSTEM, USER)),
        policy.tokenizer.apply_chat_template(chat("", USER), tokenize=False),
    ):
        assert "Reasoning: lo'w\n{{ 1 }} %} é<|end|>" in text
    policy.save_model(tmp_path / "saved")
    assert (tmp_path / "saved" / "chat_template.jinja").read_text() == HARMONY


SCOPES = {
    "in a loop": "{% for m in messages %}{{ x }}{% endfor %}",
    "in a macro": "{% macro f() %}{{ x }}{% endmacro %}{% for m in [1] %}{{ f() }}{% endfor %}",
    "in a block": "{% block b %}{{ x }}{% endblock %}",
    "in a namespace": "{% set ns = namespace(own=x) %}{{ ns.own }}",
    "in a call": "{% macro f() %}{{ caller() }}{% endmacro %}{% call f() %}{{ x }}{% endcall %}",
    "in the assistant's turn": "{% generation %}{{ x }}{% endgeneration %}",
    "with a default": "{% if x is not defined %}{% set x = 'own' %}{% endif %}{{ x }}",
    "with a filter": "{% set x = x | default('own') %}{% for m in messages %}{{ x }}{% endfor %}",
    "at the beginning": "\n  {% if true %}{{ x }}{% endif %}",
    "after space": "  {% if true %}{{ x }}{% endif %}",
}


@pytest.mark.parametrize("template", SCOPES.values(), ids=SCOPES)
def test_a_variable_told_is_one_passed_wherever_a_template_reads_it(
    template: str, load: Loader
) -> None:
    rest = "{% for m in messages %}[{{ m.content }}]{% endfor %}"
    whole = template + rest
    policy = load(Family(whole, (), "<e>", "<e>"), x="told")
    own = load(Family(whole, (), "<e>", "<e>"))
    asked = chat(SYSTEM, USER)
    passed = own.tokenizer.apply_chat_template(asked, tokenize=False, x="told")
    assert policy.template(asked) == passed
    assert "told" in passed


PLAIN = Family(GEMMA, ("<start_of_turn>",), "<end_of_turn>", "<eos>", "<bos>")


@pytest.mark.parametrize(
    ("family", "options", "said"),
    [
        (PLAIN, {"thinking": "off"}, "has no variable enable_thinking or thinking: it has none."),
        (
            FAMILIES["harmony"],
            {"thinking": "on"},
            "thinking: it has reasoning_effort, for [chat_template]. Leave thinking at auto.",
        ),
        (FAMILIES["harmony"], {"reasoning_efort": "low"}, "Did you mean 'reasoning_effort'?"),
        (PLAIN, {"reasoning_effort": "low"}, "reads no variables."),
        (
            FAMILIES["qwen 3"],
            {"thinking": "on", "enable_thinking": False},
            "enable_thinking is in [chat_template], and thinking is 'on': leave one out.",
        ),
        (FAMILIES["llama 3"], {"messages": "x"}, "Known: date_string."),
    ],
)
def test_what_a_template_does_not_read_is_refused_with_what_it_does(
    family: Family, options: dict[str, Any], said: str, load: Loader
) -> None:
    with pytest.raises(UsageError) as caught:
        load(family, **options)
    assert said in str(caught.value)


def test_qwen_3_can_be_told_by_variable_too(load: Loader) -> None:
    assert "enable_thinking" in QWEN_3
    switched = load(FAMILIES["qwen 3"], "off").template(chat(SYSTEM, USER))
    assert load(FAMILIES["qwen 3"], enable_thinking=False).template(chat(SYSTEM, USER)) == switched


@pytest.mark.parametrize("name", [name for name, of in FAMILIES.items() if of.thought])
def test_a_thought_is_out_of_judgement_and_its_tokens_are_counted(name: str, load: Loader) -> None:
    """Though its tags may be special tokens, which a text does not have otherwise."""
    family = FAMILIES[name]
    policy = load(family, "on" if family.opened else "auto")
    heard: list[str] = []

    def judge(text: str) -> Verdict:
        heard.append(text)
        return Verdict(float(text == "four"), "", None)

    thought = len(policy.tokens([family.thought])[0])
    says(policy, f"{family.thought}four", family.end)
    (said,) = policy.generate([chat(SYSTEM, USER)], max_new_tokens=99)
    assert (said.judged_by(judge).score, said.thought_tokens) == (1.0, thought)
    assert not said.cut_in_thought
    cut = family.thought.partition("now?")[0]
    says(policy, cut)
    (said,) = policy.generate([chat(SYSTEM, USER)], max_new_tokens=99)
    assert said.judged_by(judge).score == 0
    assert heard == ["four", ""]
    assert (said.truncated, said.cut_in_thought) == (True, True)
    assert said.thought_tokens == len(said.completion_ids)
    says(policy, "four", family.end)
    (said,) = policy.generate([chat(SYSTEM, USER)], max_new_tokens=99)
    assert said.thought_tokens == (len(said.completion_ids) if family.opened.get("on") else 0)
    assert not said.cut_in_thought


def test_special_tokens_other_than_tags_are_no_text(load: Loader) -> None:
    policy = load(FAMILIES["mistral"])
    says(policy, "[THINK]two[/THINK][INST]fo<s>ur", "</s>")
    (said,) = policy.generate([chat(SYSTEM, USER)], max_new_tokens=99)
    assert said.text == "[THINK]two[/THINK]four"


class Killing(KillAtTheLastStep):
    """Notes what is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, line: str) -> None:
        self.told.append(line)


def test_a_run_tells_records_and_resumes_with_what_it_told_its_template(tmp_path: Path) -> None:
    model, path = write_model(tmp_path / "model", FAMILIES["qwen 3"]), tmp_path / "run"
    told = Killing()
    options = {**SHORT, "model": str(model), "thinking": "off", "keep_stage_models": True}
    with pytest.raises(KeyboardInterrupt):
        cl_bench.run(out=path, progress=told, **options)
    assert "The model's chat template is told: enable_thinking false." in told.told
    run = resume(path)
    assert run.manifest["template_variables"] == {"enable_thinking": False}
    assert (run.path / "models" / "stage-1" / "chat_template.jinja").read_text() == QWEN_3
    asked = cl_bench.api.resolve(model=str(model), chat_template={"enable_thinking": False})
    (tmp_path / "run.toml").write_text(asked.toml())
    assert read_run_file(tmp_path / "run.toml")["chat_template"] == {"enable_thinking": False}
    assert run.table("items")["thought_tokens"].eq(0).all()


def test_a_run_tells_that_a_system_prompt_is_put_into_the_users_message(tmp_path: Path) -> None:
    told = Killing()
    model = write_model(tmp_path / "model", FAMILIES["gemma"])
    with pytest.raises(KeyboardInterrupt):
        cl_bench.run(out=tmp_path / "run", model=str(model), progress=told, **SHORT)
    assert any("has no system role: the system prompt is put before" in line for line in told.told)
