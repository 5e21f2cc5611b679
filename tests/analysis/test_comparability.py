"""What may be ranked together, and the words that say why not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cl_bench.analysis.comparability import differences, items_of, key_of
from cl_bench.contract.errors import RunDirectoryError
from cl_bench.store.run_tables import RunTables, open_run
from tests.report.synthetic_runs import write_run


def run(path: Path, **fields: Any) -> RunTables:
    return open_run(write_run(path, **fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"seed": 7},
        {"learner": "rl"},
        {"config": {"learning.learning_rate": 0.1, "learning.kl_beta": 0.5}},
        {"config": {"threads": 4, "device": "cuda"}},
        {"config": {"evaluation.probes": False}},
        {"config": {"evaluation.greedy": True, "evaluation.validation_items": 0}},
        # half as many steps, each twice as large, are as many training samples
        {
            "stages": (("math", 10), ("code", 10)),
            "every": 5,
            "config": {"learning.problems_per_step": 4},
        },
        # the same files elsewhere
        {"config": {"model": "/a/model"}, "manifest": {"model": "/a/model"}},
        {"status": "failed", "last": -1},
    ],
)
def test_what_a_learner_does_and_where_it_ran_changes_no_key(
    fields: dict[str, Any], tmp_path: Path
) -> None:
    one, other = run(tmp_path / "one"), run(tmp_path / "other", **fields)
    assert key_of(one.manifest) == key_of(other.manifest)
    assert hash(key_of(one.manifest)) == hash(key_of(other.manifest))
    assert differences([one], [other]) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"config": {"evaluation.validation_items": 8}},
            ["validation problems of a domain none against 8"],
        ),
        ({"stream": {"version": "2"}}, ["stream version 1 against 2"]),
        ({"stream": {"name": "mine"}}, ["stream math-to-code against mine"]),
        (
            {"stages": (("math", 20), ("facts", 20)), "stream": {"name": "math-to-code"}},
            ["domain of stage 2 (code) code against facts"],
        ),
        (
            {"stages": (("math", 20),), "stream": {"name": "math-to-code"}},
            ["number of stages 2 against 1", "training samples 200 + 200 against 200"],
        ),
        (
            {"stages": (("math", 30), ("code", 20))},
            ["training samples 200 + 200 against 300 + 200"],
        ),
        (
            {"config": {"learning.temperature": 0.5, "evaluation.items": 16}},
            ["temperature 1.0 against 0.5", "test problems of a domain 8 against 16"],
        ),
        ({"config": {"feedback": "answer"}}, ["feedback step against answer"]),
        ({"config": {"announced": True}}, ["announced boundaries no against yes"]),
        ({"every": 5}, ["training samples between evaluations 100 against 50"]),
        ({"manifest": {"engine": "vllm"}}, ["engine transformers against vllm"]),
        (
            {"manifest": {"template_variables": {"enable_thinking": False, "effort": "low"}}},
            ['told to the chat template nothing against effort "low", enable_thinking false'],
        ),
        ({"manifest": {"template_variables": {}}}, []),
        (
            {"stream": {"retention": [{"domain": "star-graph", "domain_version": "2"}]}},
            ["domains outside the stream star-graph (version 1) against star-graph (version 2)"],
        ),
    ],
)
def test_differences_are_said_in_words(
    fields: dict[str, Any], said: list[str], tmp_path: Path
) -> None:
    assert differences([run(tmp_path / "one")], [run(tmp_path / "other", **fields)]) == said


def test_a_version_of_a_domain_and_its_setting_are_of_the_stage(tmp_path: Path) -> None:
    stages = [
        {"domain": "math", "domain_version": "1", "setting": "default", "steps": 20},
        {"domain": "code", "domain_version": "2", "setting": "hard", "steps": 20},
    ]
    other = run(tmp_path / "other", stream={"stages": stages})
    assert differences([run(tmp_path / "one")], [other]) == [
        "domain version of stage 2 (code) 1 against 2",
        "setting of stage 2 (code) default against hard",
    ]


def test_other_files_of_a_model_are_another_model_whatever_its_name(tmp_path: Path) -> None:
    files = {"model.safetensors": "f" * 64}
    one = run(tmp_path / "one")
    other = run(tmp_path / "other", manifest={"model": "/x/mine", "model_files": files})
    (line,) = differences([one], [other])
    assert line.startswith("model embedded (")
    assert " against mine (" in line


def test_a_run_that_does_not_say_its_model_s_files_is_compared_with_none(tmp_path: Path) -> None:
    nameless = run(tmp_path / "one", manifest={"model_files": {}, "model_revision": None})
    with pytest.raises(RunDirectoryError, match="does not say which files it had"):
        differences([nameless], [nameless])


def test_numbers_of_another_metric_version_do_not_compare(tmp_path: Path) -> None:
    key = key_of(run(tmp_path / "one").manifest)
    other = replace(key, metric_version=key.metric_version + 1)
    assert key.differences(other) == [
        f"metric version {key.metric_version} against {key.metric_version + 1}"
    ]
    assert key.differing(other) == ("metric version",)


def test_runs_of_one_seed_must_have_been_asked_the_same(tmp_path: Path) -> None:
    one = run(tmp_path / "one", seed=3)
    other = run(tmp_path / "other", seed=3, uid="{domain}-new/{item}")
    lines = differences([one], [other])
    assert len(lines) == 2
    assert lines[0].startswith("test problems of code with seed 3 ")
    assert lines[1].startswith("test problems of math with seed 3 ")
    elsewhere = run(tmp_path / "elsewhere", seed=4, uid="{domain}-new/{item}")
    assert differences([one], [elsewhere]) == []
    assert differences([one, elsewhere], [other]) == lines


def test_items_are_those_of_the_stream_in_any_order_and_number_of_parts(tmp_path: Path) -> None:
    whole, parted = run(tmp_path / "a"), run(tmp_path / "b", parts=4, samples=1)
    assert items_of(whole) == items_of(parted)
    assert items_of(whole).keys() == {"math", "code"}
    assert items_of(run(tmp_path / "c", last=-1, status="failed")) == {}
    fewer = run(tmp_path / "d", items=4)
    assert items_of(fewer)["math"] != items_of(whole)["math"]


def test_the_words_of_a_key_name_every_fact(tmp_path: Path) -> None:
    words = key_of(run(tmp_path / "one").manifest).words()
    assert words[:3] == (
        "stream math-to-code, version 1",
        "stages: math (version 1, default), code (version 1, default)",
        "training samples 200 + 200",
    )
    assert "announced boundaries no" in words
    assert "samples of a problem 2" in words


def test_domains_of_which_no_problem_is_asked_do_not_count(tmp_path: Path) -> None:
    none = {"evaluation.retention_items": 0}
    more = [{"domain": name, "domain_version": "1"} for name in ("star-graph", "physics")]
    one = run(tmp_path / "one", config=none)
    other = run(tmp_path / "other", config=none, stream={"retention": more})
    assert key_of(one.manifest) == key_of(other.manifest)
