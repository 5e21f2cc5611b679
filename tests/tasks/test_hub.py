"""Data sets of the hub: every schema on a copy of ours, where rows are from, what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from cl_bench.contract.errors import UsageError
from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.stream_names import stream
from cl_bench.contract.task import SPLITS, Problem, Task
from cl_bench.tools.checks import check_task

from .hub_copies import COPIES, Copy, write_copy

SETS: Mapping[str, Any] = import_module("cl_bench.tasks.hub.table").SETS
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No copies and no connection, and a cache of the hub that is empty."""
    monkeypatch.delenv("CL_BENCH_HUB", raising=False)
    monkeypatch.setattr("cl_bench.tasks.hub.domain._loaded", {})
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def cached(cache: Path, path: str, commit: str, refs: Mapping[str, str] = {}) -> None:
    """A copy as `hf download` leaves it in the hub's cache."""
    home = cache / f"datasets--{path.replace('/', '--')}"
    write_copy(home / "snapshots", commit, COPIES[path])
    (home / "refs").mkdir(exist_ok=True)
    for name, target in refs.items():
        (home / "refs" / name).write_text(target, encoding="utf-8")


def problems_of(domain: Any) -> tuple[Task, list[Problem]]:
    task: Task = domain.task(seed=0, setting="default", feedback="full")
    found = {p.prompt: p for split in SPLITS for p in task.problems(split, 400)}
    return task, list(found.values())


FIRST = {
    "gsm8k": ("Ann has 1 pears", "1,201", ["So 1201 pears.", "#### 1,201"], ["1202", "1"]),
    "math": ("What is $1$ divided by $7$, in Algebra?", r"\frac{1}{7}",
             [r"\boxed{\frac{2}{14}}", "answer: 1/7"], ["1/6", "7"]),
    "polaris": ("root of $x^2 = 8$", r"\sqrt{8}", [r"It is \boxed{2\sqrt{2}}."], ["8", "2"]),
    "deepmath": ("limit of $5/k$", "5", ["answer: 5", r"\boxed{5.0}"], ["6"]),
    "hover": ("The river 4 flows", "B", ["(B)", "The answer is B."], ["A", "supported"]),
    "codeio": ("Given the input {'n': 4}", "[4, 8.0]",
               ['{"output": [4, 8]}', '"output": [4.0, 8]', "answer: [4, 8]"],
               ['{"output": [8, 4]}', "8", '{"output": true}']),
    "sciknoweval": ("In Physics, a body moves 4 m", "A", ["A", "a) 2.0 m/s"], ["B", "L2"]),
    "mmlu": ("beast 3 of the test set", "D", ["D", "(D) 6 bones"], ["C"]),
    "countdown": ("numbers [5, 3, 4], write an expression that comes to 12", "((5 + 3) + 4)",
                  ["answer: 3 + 4 + 5", r"\boxed{4*3}", "<answer>5+4+3 = 12</answer>"],
                  ["12", "3*4*5/5+0", "6 + 6", "4 + 4 + 4"]),
    "ifeval": ("about pond 7 ", ("Include keywords ['heron'] in the response. Wrap your entire "
               "response with double quotation marks. Answer with less than 20 words."),
               ['"A heron stands."', '  "Heron, herons!"\n'],
               ["A heron stands.", '"A duck swims."', '"heron' + " heron" * 20 + '"']),
}  # fmt: skip
"""Of a row: a part of its question, the answer, right responses and wrong ones."""


NEEDS = {"ifeval": "langdetect"}
"""Modules of extras that `test` does not bring."""


@pytest.mark.usefixtures("hub_copies")
@pytest.mark.parametrize("name", SETS)
def test_every_named_set_is_read_judged_and_keeps_the_contract(name: str) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    part, answer, right, wrong = FIRST[name]
    domain: Any = DOMAINS.load(f"hub/{name}")
    task, problems = problems_of(domain)
    problem = next(problem for problem in problems if part in problem.prompt)
    assert problem.answer == answer
    assert [task.verify(problem, text).score for text in right] == [1.0] * len(right)
    assert [task.verify(problem, text).score for text in wrong] == [0.0] * len(wrong)
    assert domain.licence
    assert "20" in domain.citation
    assert SETS[name].path in domain.summary
    assert check_task(f"hub/{name}") == []


@pytest.mark.parametrize("name", SETS)
def test_every_revision_is_a_commit_or_the_main_branch(name: str) -> None:
    revision = SETS[name].revision
    assert revision == "main" or (len(revision) == 40 and set(revision) <= set("0123456789abcdef"))
    assert f"hub/{name}" in DOMAINS.sourced()


@pytest.mark.usefixtures("hub_copies")
@pytest.mark.parametrize(
    ("name", "count", "said"),
    [
        ("hub/hover", 60 + 20, "problems of vincentkoc/hover-parquet"),
        ("hub/hover?hops=4", 40, ""),
        ("hub/hover?hops=2,3", 80, ""),
        ("hub/math?subject=counting_and_probability", 17, ""),
        ("hub/math?level=2,3&subject=geometry,algebra", 16, ""),
        ("hub/mmlu?subject=anatomy", 40, ""),
        ("hub/mmlu", 80, "20 train"),
        ("hub/mmlu?split=test", 40, ""),
        ("hub/sciknoweval?subject=chemistry", 60, ""),
        ("hub/polaris?difficulty=1/8,2/8", 16, ""),
        ("hub/deepmath?rows=25", 25, ""),
        ("hub/codeio", 64, ""),
    ],
)
def test_options_choose_rows(name: str, count: int, said: str) -> None:
    domain: Any = DOMAINS.load(name)
    assert len(domain.items) == count
    assert domain.name == name
    assert said in domain.summary


@pytest.mark.usefixtures("hub_copies")
def test_feedback_names_the_instructions_that_were_not_followed() -> None:
    pytest.importorskip("langdetect")
    domain: Any = DOMAINS.load("hub/ifeval")
    _, problems = problems_of(domain)
    said = {
        level: domain.task(seed=0, setting="default", feedback=level)
        .verify(problems[0], "A heron stands.")
        .feedback
        for level in ("none", "full")
    }
    quotes = "Wrap your entire response with double quotation marks."
    assert said == {"none": "Wrong.", "full": f"The response did not do this: {quotes}"}


def ifeval_of(folder: Path, **cells: Any) -> None:
    """A copy of IFEval whose rows have those cells."""
    rows = [{"prompt": f"Do it {n} times.", **cells} for n in range(60)]
    write_copy(folder, "google/IFEval", {("default", "train"): rows})


def test_instructions_that_need_data_which_are_not_there_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nltk = pytest.importorskip("nltk")
    pytest.importorskip("langdetect")
    try:
        nltk.data.find("tokenizers/punkt_tab")
    except LookupError:
        name = "length_constraints:number_sentences"
        kwargs = [{"num_sentences": 3, "relation": "at least"}]
        ifeval_of(tmp_path, instruction_id_list=[name], kwargs=kwargs)
        monkeypatch.setenv("CL_BENCH_HUB", str(tmp_path))
        with pytest.raises(UsageError, match=r"python -m nltk\.downloader punkt_tab"):
            DOMAINS.load("hub/ifeval?rows=59")
    else:
        pytest.skip("the data are there")


def test_instructions_that_nobody_can_check_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("langdetect")
    ifeval_of(tmp_path, instruction_id_list=["mood:cheerful"], kwargs=[{"x": None}])
    monkeypatch.setenv("CL_BENCH_HUB", str(tmp_path))
    with pytest.raises(UsageError, match="Most rows of hub/ifeval cannot be used"):
        DOMAINS.load("hub/ifeval?rows=58")


@pytest.mark.skipif(find_spec("langdetect") is not None, reason="the extra is installed")
@pytest.mark.usefixtures("hub_copies")
def test_without_the_checkers_the_line_says_what_to_install() -> None:
    with pytest.raises(UsageError, match=r"pip install 'cl-bench\[lm-eval\]'"):
        DOMAINS.load("hub/ifeval")


@pytest.mark.usefixtures("hub_copies")
def test_a_sets_own_splits_are_kept_and_those_it_lacks_are_taken_from_train() -> None:
    splits = DOMAINS.load("hub/gsm8k").splits  # type: ignore[attr-defined]
    assert {int(item.answer.replace(",", "")) for item in splits["test"]} == {*range(1300, 1320)}
    assert splits["validation"]
    assert len(splits["train"]) + len(splits["validation"]) == 60
    hashed = DOMAINS.load("hub/gsm8k?split=").splits  # type: ignore[attr-defined]
    assert sum(map(len, hashed.values())) == 80
    assert len(hashed["test"]) != 20


@pytest.mark.usefixtures("hub_copies")
def test_any_other_set_is_read_by_the_names_of_its_columns() -> None:
    name = "hub/acme/questions?answer=gold&prompt=text"
    domain: Any = DOMAINS.load("hub/acme/questions?prompt=text&answer=gold&licence=CC0-1.0")
    assert domain.name == name
    assert domain.licence == "CC0-1.0"
    assert "verifier number: all answers are numbers" in domain.summary
    assert len(domain.splits["test"]) == 10
    assert check_task(name) == []
    only = DOMAINS.load(f"{name}&split=test&config=default")
    assert len(only.items) == 10  # type: ignore[attr-defined]


def test_rows_that_cannot_be_judged_or_contradict_are_left_out_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy: dict[tuple[str, str], list[dict[str, Any]]] = {
        key: [dict(row) for row in rows] for key, rows in COPIES["openai/gsm8k"].items()
    }
    train, test = copy["main", "train"], copy["main", "test"]
    train[0]["answer"] = "Nobody knows.\n#### unknown"
    train[2]["question"] = train[1]["question"]
    train[3] = dict(test[0])
    write_copy(tmp_path, "openai/gsm8k", copy)
    monkeypatch.setenv("CL_BENCH_HUB", str(tmp_path))
    domain: Any = DOMAINS.load("hub/gsm8k?rows=1000")
    assert "1 rows were left out, whose answer the verifier cannot judge by" in domain.summary
    assert "2 rows were left out, which contradict others" in domain.summary
    assert "1 rows were left out, which repeat others" in domain.summary
    assert len(domain.splits["test"]) == 20
    assert domain.version != DOMAINS.load("hub/gsm8k?rows=10").version


def test_the_same_rows_are_the_same_version_and_others_are_not(
    alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached(alone, "openai/gsm8k", SETS["gsm8k"].revision)
    of_cache: Any = DOMAINS.load("hub/gsm8k")
    write_copy(tmp_path, "openai/gsm8k")
    monkeypatch.setenv("CL_BENCH_HUB", str(tmp_path))
    of_mirror: Any = DOMAINS.load("hub/gsm8k")
    assert of_cache is not of_mirror
    assert of_cache.version == of_mirror.version
    assert of_cache.reference == of_cache.name == "hub/gsm8k"
    assert SETS["gsm8k"].revision[:12] in of_cache.summary
    assert DOMAINS.load("hub/gsm8k?verifier=exact").version != of_mirror.version


def test_a_branch_is_a_commit_from_then_on(alone: Path) -> None:
    cached(alone, "vincentkoc/hover-parquet", COMMIT, {"main": COMMIT})
    domain: Any = DOMAINS.load("hub/hover")
    assert domain.name == "hub/hover"
    assert domain.reference == f"hub/hover?revision={COMMIT}"
    found: Any = DOMAINS.load(domain.reference)
    assert found is domain
    assert stream("hub/hover").describe()["stages"][0]["source"] == found.reference
    with pytest.raises(UsageError, match="not whole in the hub's cache"):
        DOMAINS.load("hub/hover?revision=" + COMMIT[::-1])


REFUSED = {
    "a set that does not exist": ("hub/gsm8", "Did you mean 'gsm8k'?"),
    "an option that does not exist": ("hub/gsm8k?subject=x", "Unknown option of hub/gsm8k"),
    "a value that no row has": ("hub/mmlu?subject=anatmy", "Did you mean 'anatomy'?"),
    "hops that no claim has": ("hub/hover?hops=7", "Known: 2, 3, 4"),
    "no number of rows": ("hub/gsm8k?rows=many", "rows of hub/gsm8k"),
    "an option that is given twice": ("hub/gsm8k?rows=20&rows=30", "'rows' is given twice"),
    "a raised digit": ("hub/gsm8k?rows=²", "rows of hub/gsm8k is '²', but must be a whole number"),
    "more digits than Python reads": (f"hub/gsm8k?rows={'9' * 5000}", "must be a whole number"),
    "a split that it has not": ("hub/gsm8k?split=dev", "Known: test, train"),
    "a column that it has not": ("hub/acme/questions?prompt=txt", "Did you mean 'text'?"),
    "no column of prompts": ("hub/acme/questions", "has no column of prompts. It has: text, gold"),
    "a configuration that it has not": ("hub/acme/questions?config=x", "BuilderConfig 'x'"),
    "a verifier that fits few rows": ("hub/hover?verifier=number", "Most rows of hub/hover"),
    "a verifier that does not exist": ("hub/hover?verifier=numbr", "Did you mean 'number'?"),
}


@pytest.mark.usefixtures("hub_copies")
@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_used_is_refused_in_one_line(what: str) -> None:
    name, said = REFUSED[what]
    with pytest.raises(UsageError) as caught:
        DOMAINS.load(name)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("alone")
def test_a_number_of_rows_is_read_before_the_hub_is_asked() -> None:
    with pytest.raises(UsageError, match="rows of hub/gsm8k is 'many'"):
        DOMAINS.load("hub/gsm8k?rows=many")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"question": "1 + 1?", "target": "2"}], "expects the column 'answer' in openai/gsm8k"),
        ([{"question": "1 + 1?", "answer": 2}], "is not as hub/gsm8k expects it"),
    ],
)
def test_another_schema_is_named(
    rows: Any, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy: Copy = {("main", split): rows * 20 for split in ("train", "test")}
    write_copy(tmp_path, "openai/gsm8k", copy)
    monkeypatch.setenv("CL_BENCH_HUB", str(tmp_path))
    with pytest.raises(UsageError, match=said):
        DOMAINS.load("hub/gsm8k")


@pytest.mark.usefixtures("alone")
def test_without_a_connection_the_line_says_what_to_type() -> None:
    with pytest.raises(UsageError) as caught:
        DOMAINS.load("hub/gsm8k")
    revision = SETS["gsm8k"].revision
    said = str(caught.value)
    assert "HF_HUB_OFFLINE is set" in said
    assert f"hf download --repo-type dataset openai/gsm8k --revision {revision}" in said
    assert "CL_BENCH_HUB" in said


@pytest.mark.usefixtures("hub_copies")
def test_names_join_streams_and_files_keep_theirs() -> None:
    found = stream("hub/gsm8k-to-hub/hover?hops=3-to-math")
    assert found.domains == ("hub/gsm8k", "hub/hover?hops=3", "math")
    assert DOMAINS.is_sourced("hub/gsm8k")
    assert "hub/mine.jsonl" in DOMAINS
    with pytest.raises(UsageError, match=r"There is no f[io]l"):
        DOMAINS.load("hub/mine.jsonl")
