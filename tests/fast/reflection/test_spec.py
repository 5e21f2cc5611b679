"""What `--reflection-lm` may say."""

from __future__ import annotations

import pytest

from cl_bench.contract.errors import UsageError
from cl_bench.fast.reflection.spec import ReflectionLM
from cl_bench.fast.settings import FastConfig


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("base", ReflectionLM("base")),
        ("oracle", ReflectionLM("oracle")),
        ("local:embedded", ReflectionLM("local", "embedded")),
        ("local:../models/a:b", ReflectionLM("local", "../models/a:b")),
        ("local:odd@http://folder", ReflectionLM("local", "odd@http://folder")),
        ("openai:gpt-x", ReflectionLM("openai", "gpt-x")),
        ("openai:qwen:7b@http://h:1/v1", ReflectionLM("openai", "qwen:7b", "http://h:1/v1")),
        ("openai:m@HTTPS://h/v1", ReflectionLM("openai", "m", "HTTPS://h/v1")),
        ("litellm:vertex_ai/m@2026", ReflectionLM("litellm", "vertex_ai/m@2026")),
        ("litellm:a/m@7@https://h", ReflectionLM("litellm", "a/m@7", "https://h")),
    ],
)
def test_a_spec_names_kind_model_and_place(text: str, parsed: ReflectionLM) -> None:
    assert ReflectionLM.parse(text) == parsed


def test_only_models_outside_the_run_are_outside() -> None:
    specs = ("base", "oracle", "local:m", "openai:m", "litellm:p/m")
    assert [ReflectionLM.parse(spec).outside for spec in specs] == [False, False, True, True, True]


def test_the_label_leaves_out_the_place() -> None:
    assert ReflectionLM.parse("openai:m@http://h/v1").label == "openai:m"
    assert ReflectionLM.parse("base").label == "base"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a text of at least one character"),
        ("opnai:m", "Did you mean 'openai'"),
        ("gpt-x", "Unknown reflection LM"),
        ("local", "'local' needs a name. Write local:NAME"),
        ("openai:", r"'openai' needs a name. Write openai:MODEL\[@URL\]"),
        ("openai:@http://h/v1", "'openai' needs a name"),
        ("base:m", "'base' takes no name. Write base"),
        ("oracle:", "'oracle' takes no name"),
        ("openai:m@http://", "Write http://host:port/v1"),
        ("openai:m@http://h:port/v1", "Write http://host:port/v1"),
        ("openai:m@http://[h/v1", "Write http://host:port/v1"),
    ],
)
def test_an_impossible_spec_says_what_to_write(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        FastConfig(reflection_lm=text)


@pytest.mark.parametrize(
    "url",
    [
        "http://sk-1234@h:1/v1",
        "http://me:sk-1234@h:1/v1",
        "http://h:1/v1?key=sk-1234",
        "http://h:1/v1#sk-1234",
    ],
)
def test_a_key_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError, match=r"Write http://h:1/v1 .*OPENAI_API_KEY") as caught:
        FastConfig(reflection_lm=f"openai:m@{url}")
    assert "sk-1234" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("reflection_timeout", 0.0),
        ("reflection_timeout", float("inf")),
        ("reflection_retries", -1),
        ("reflection_token_budget", -1),
    ],
)
def test_impossible_amounts_name_the_option(name: str, value: float) -> None:
    options: dict[str, float] = {name: value}
    with pytest.raises(UsageError, match=name):
        FastConfig(**options)  # type: ignore[arg-type]
