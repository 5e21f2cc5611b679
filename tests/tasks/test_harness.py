"""lm_eval:TASK: local tasks of lm-evaluation-harness, asked through the policy and our sampler."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cl_bench import api
from cl_bench.contract.benchmark import Benchmark, Reply, is_benchmark
from cl_bench.contract.errors import UsageError
from cl_bench.contract.records import StepRecord
from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.stream import Stream
from cl_bench.contract.stream_names import stream
from cl_bench.execution.progress import Quiet
from cl_bench.verify.run import verify_run

pytest.importorskip("lm_eval", reason="needs `pip install 'cl-bench[lm-eval]'`")

SMALL: dict[str, Any] = {
    "learner": "rl",
    "steps": 2,
    "eval_every": 2,
    "items": 2,
    "samples": 1,
    "retention_items": 4,
    "group_size": 2,
    "problems_per_step": 2,
    "max_new_tokens": 8,
}
SUMS = [{"q": f"add {n} 1", "a": str(n + 1), "options": [str(n + 1), "9"]} for n in range(6)]
GENERATED = """\
output_type: generate_until
doc_to_text: "{{q}}"
doc_to_target: "{{a}}"
generation_kwargs: {until: [";"], do_sample: false, max_gen_toks: 8}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
"""
CHOSEN = """\
output_type: multiple_choice
doc_to_text: "{{q}}"
doc_to_choice: "{{options}}"
doc_to_target: 0
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
"""
ROLLING = "output_type: loglikelihood_rolling\ndoc_to_text: ''\ndoc_to_target: '{{q}}'\n"


def write_task(folder: Path, name: str, asks: str, rows: Sequence[Mapping[str, Any]] = SUMS) -> str:
    """Write a task and its documents; return the benchmark's name."""
    data = folder / f"{name}.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    head = f"task: {name}\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {data}}}}}\n"
    split = "test_split: test\nfewshot_split: test\nmetadata: {version: 3.0}\n"
    (folder / f"{name}.yaml").write_text(head + split + asks, encoding="utf-8")
    return f"lm_eval:{folder / name}.yaml"


def loaded(name: str) -> Benchmark:
    found = DOMAINS.load(name)
    assert isinstance(found, Benchmark)
    return found


class Scripted:
    """A model that answers each text with what follows its last `add`, and notes what it is asked.

    It finds the first continuation of a text the more probable, the shorter it is.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.limits: set[tuple[int, float]] = set()

    def templated(self, chat: Sequence[Mapping[str, str]], *, begun: bool = False) -> str:
        said = " ".join(f"<{message['role']}> {message['content']}" for message in chat)
        return said if begun else f"{said} <assistant>"

    def respond(
        self, texts: Sequence[str], *, max_new_tokens: int, temperature: float
    ) -> list[Reply]:
        self.texts += texts
        self.limits.add((max_new_tokens, temperature))
        numbers = [int(text.rpartition("add ")[2].split()[0]) for text in texts]
        return [Reply(f"{n + 1 if n % 2 else 'odd'}; and more", 7, truncated=True) for n in numbers]

    def log_likelihoods(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, bool]]:
        self.texts += [text for text, _ in pairs]
        return [(-float(continuation == "9"), False) for _, continuation in pairs]


def test_responses_are_asked_for_in_the_template_cut_and_scored(tmp_path: Path) -> None:
    model = Scripted()
    benchmark = loaded(write_task(tmp_path, "sums", GENERATED))
    items = benchmark.measure(model, 4)
    assert model.texts == [f"<user> add {n} 1 <assistant>" for n in range(4)]
    assert model.limits == {(8, 0.0)}
    assert [item.score for item in items] == [0, 1, 0, 1]
    assert [item.answer for item in items] == ["odd", "2", "odd", "4"]
    assert items[0].reply == Reply("odd", 7, truncated=False)
    assert len({item.uid for item in items}) == 4
    assert benchmark.measure(model, 100)[:4] == items
    assert len(benchmark.measure(model, 100)) == len(SUMS)


def test_choices_are_compared_by_their_probabilities(tmp_path: Path) -> None:
    model = Scripted()
    rows = [*SUMS[:2], {"q": "add 8 1", "a": "9", "options": ["9", "8"]}]
    items = loaded(write_task(tmp_path, "picks", CHOSEN, rows)).measure(model, 3)
    assert [(item.score, item.answer, item.reply) for item in items] == [
        (1, "1", None),
        (1, "2", None),
        (0, "8", None),
    ]


def test_examples_are_shown_as_turns_and_are_the_same_at_every_evaluation(tmp_path: Path) -> None:
    model = Scripted()
    benchmark = loaded(write_task(tmp_path, "shown", GENERATED) + "?fewshot=2")
    benchmark.measure(model, 3)
    first, model.texts = model.texts, []
    benchmark.measure(model, 3)
    assert model.texts == first
    assert all(text.count("<user>") == 3 for text in first)


def test_a_group_is_asked_from_each_of_its_tasks_in_turn(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_task(tmp_path, name, GENERATED)
    (tmp_path / "both.yaml").write_text(
        "group: both\ntask: [one, two]\naggregate_metric_list: [{metric: exact_match}]\n"
    )
    model = Scripted()
    both = loaded(f"lm_eval:{tmp_path / 'both.yaml'}")
    items = both.measure(model, 3)
    assert both.name == "lm_eval:both"
    assert [item.uid.split("/")[1:3] for item in items] == [
        ["one", "0"],
        ["one", "1"],
        ["two", "0"],
    ]


def test_name_and_version_say_the_task_its_options_and_its_documents(tmp_path: Path) -> None:
    name = write_task(tmp_path, "named", CHOSEN)
    plain, normed = loaded(name), loaded(f"{name}?metric=acc_norm")
    assert (plain.name, normed.name) == ("lm_eval:named", "lm_eval:named?metric=acc_norm")
    assert plain.version.startswith("1+3.0+lm_eval-")
    (tmp_path / "elsewhere").mkdir()
    moved = loaded(write_task(tmp_path / "elsewhere", "named", CHOSEN))
    shorter = loaded(write_task(tmp_path / "elsewhere", "shorter", CHOSEN, SUMS[:5]))
    assert moved.version == plain.version
    assert len({plain.version, normed.version, shorter.version}) == 3
    assert is_benchmark(plain.name)


@pytest.mark.parametrize(
    ("asks", "option", "said"),
    [
        (GENERATED.replace("mean", "median"), "", "no metric of bad is a mean over items"),
        (GENERATED.replace("false", "true, top_p: 0.9"), "", "samples with top_p=0.9"),
        (GENERATED, "?fewshot=many", "fewshot is 'many', but must be a number"),
        (GENERATED, "?metric=acc", "Unknown metric of bad 'acc'"),
        (GENERATED, "?shots=1", "Unknown option of lm_eval:"),
        (ROLLING, "", "gives no accuracy"),
        ("unsafe_code: true\n" + GENERATED, "", "runs code that the model wrote"),
    ],
)
def test_what_cannot_be_measured_is_said_when_the_task_is_named(
    asks: str, option: str, said: str, tmp_path: Path
) -> None:
    name = write_task(tmp_path, "bad", asks)
    with pytest.raises(UsageError, match=said.replace("(", r"\(")):
        loaded(name + option)


def test_a_task_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing\.yaml is no file"):
        loaded(f"lm_eval:{tmp_path}/nothing.yaml")
    (tmp_path / "gone.yaml").write_text(
        "task: gone\ndataset_path: json\ntest_split: test\n"
        f"dataset_kwargs: {{data_files: {{test: {tmp_path}/gone.jsonl}}}}\n{GENERATED}"
    )
    with pytest.raises(UsageError, match=r"cannot be used: .*gone\.jsonl"):
        loaded(f"lm_eval:{tmp_path}/gone.yaml")


def test_no_stream_trains_on_a_benchmark(tmp_path: Path) -> None:
    name = write_task(tmp_path, "stage", GENERATED)
    with pytest.raises(UsageError, match="lm_eval:stage is a benchmark"):
        stream(name)


def test_a_run_measures_benchmarks_at_the_start_and_at_stage_ends(tmp_path: Path) -> None:
    names = write_task(tmp_path, "sums", GENERATED), write_task(tmp_path, "picks", CHOSEN)
    asked = {**SMALL, "retention": ",".join((*names, "facts"))}
    run = api.run("math-to-code", out=tmp_path / "run", **asked)
    rows = run.table("evaluations").query("test_set == 'retention'")
    found = rows[rows["domain"].str.startswith("lm_eval:")]
    assert [*found["step"]] == [0, 0, 2, 2, 4, 4]
    assert set(found["domain"]) == {"lm_eval:sums", "lm_eval:picks"}
    assert set(rows["domain"]) == {*found["domain"], "facts"}
    assert set(found["n_items"]) == {4}
    assert found["kl_policy_base"].isna().all()
    described = run.manifest["stream"]["retention"]
    assert [one["domain"] for one in described] == ["lm_eval:sums", "lm_eval:picks", "facts"]
    assert described[0]["domain_version"].startswith("1+3.0+lm_eval-")
    assert Stream.from_description(run.manifest["stream"]).outside[:2] == names
    assert "lm_eval:sums" in run.summary().text()
    assert [finding.text() for finding in verify_run(run.path).findings] == []
    alone = api.run("math-to-code", out=tmp_path / "alone", **{**SMALL, "retention": "none"})
    kept = ["step", "loss", "reward", "entropy"]
    assert run.table("steps")[kept].equals(alone.table("steps")[kept])


class Interrupting(Quiet):
    """Interrupts a run in its second stage."""

    def step(self, step: int, stage: int, record: StepRecord) -> None:
        if stage:
            raise KeyboardInterrupt


def test_an_interrupted_run_goes_on_with_its_benchmark(tmp_path: Path) -> None:
    asked = {**SMALL, "retention": write_task(tmp_path, "again", GENERATED)}
    whole = api.run("math-to-code", out=tmp_path / "whole", **asked)
    with pytest.raises(KeyboardInterrupt):
        api.run("math-to-code", out=tmp_path / "cut", progress=Interrupting(), **asked)
    resumed = api.resume(tmp_path / "cut")
    assert resumed.status == "done"
    assert resumed.table("items").equals(whole.table("items"))


def test_what_does_not_fit_into_the_context_is_said_before_a_directory_is_made(
    tmp_path: Path,
) -> None:
    asks = GENERATED.replace("max_gen_toks: 8", "max_gen_toks: 5000")
    name = write_task(tmp_path, "long", asks)
    with pytest.raises(UsageError, match=r"In lm_eval:long: .*do not fit into"):
        api.run("math", out=tmp_path / "run", **{**SMALL, "retention": name})
    assert not (tmp_path / "run").exists()
