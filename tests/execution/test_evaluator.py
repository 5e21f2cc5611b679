"""The evaluator: what a row means, and that measuring changes nothing."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cl_bench.contract.benchmark import BenchmarkItem, TextModel
from cl_bench.contract.errors import UsageError
from cl_bench.contract.learner import LearnerConfig
from cl_bench.contract.prompts import SEED_PROMPT, chat
from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.stream import Course
from cl_bench.contract.stream_names import stream
from cl_bench.contract.task import Problem, Split
from cl_bench.execution.evaluator import Evaluation, Evaluator
from cl_bench.execution.problem_sets import distinct_problems
from cl_bench.execution.settings import EvaluationConfig
from cl_bench.model.policy import Chat, Policy, Rollout
from cl_bench.model.random_states import random_states
from cl_bench.model.scoring import Divergence

CONFIG = EvaluationConfig(items=6, samples=4, retention_items=10)
LEARNING = LearnerConfig(max_new_tokens=12)
OUTSIDE = ("facts", "star-graph")
MEASURED = {
    "entropy",
    *(
        name + unit
        for name in ("kl_policy_base", "kl_base_policy")
        for unit in ("", "_sequence", "_tokens")
    ),
    *("kl_deployed_start", "kl_deployed_start_sequence"),
}
"""Columns that are measured on `kl_items` problems."""


@pytest.fixture
def policy(tiny_model: Path) -> Policy:
    return Policy.load(str(tiny_model))


def evaluator(
    policy: Policy,
    setting: str = "default",
    config: EvaluationConfig = CONFIG,
    learning: LearnerConfig = LEARNING,
) -> Evaluator:
    named = stream("math-to-code", setting=setting)
    course = Course(named, seed=0, feedback="step", problems_per_step=4)
    return Evaluator(policy, course, config, OUTSIDE, learning=learning)


def test_domains_with_fewer_problems_than_are_asked_for_are_named(policy: Policy) -> None:
    asked = EvaluationConfig(items=60, validation_items=6, probes=False)
    (line,) = (said for said in evaluator(policy, "easy", asked).notes() if "math" in said)
    assert line.startswith("math: only ")
    assert line.endswith(
        "test problems were found in the setting easy, of the 60 that items asks for."
    )
    assert evaluator(policy).notes() == []


def perturb(policy: Policy) -> None:
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))


def rows(
    evaluation: Evaluation, test_set: str = "stream", weights: str = "trained"
) -> dict[tuple[object, object], dict[str, object]]:
    return {
        (row["domain"], row["prompt"]): row
        for row in evaluation.evaluations
        if (row["test_set"], row["weights"]) == (test_set, weights)
    }


def scores(evaluation: Evaluation, domain: str, prompt: str, weights: str) -> list[object]:
    """Of every response to the stream's problems: which it is to, and what it scored."""
    wanted = {"domain": domain, "prompt": prompt, "weights": weights, "test_set": "stream"}
    return [
        (item["uid"], item["sample"], item["score"], item["answer"], item["completion_tokens"])
        for item in evaluation.items
        if wanted.items() <= item.items()
    ]


def without(row: dict[str, object], *columns: str) -> dict[str, object]:
    return {name: value for name, value in row.items() if name not in columns}


def test_every_domain_is_scored_under_both_prompts(policy: Policy) -> None:
    evaluation = evaluator(policy).evaluate(3, "solve step by step . f adds 5 ;")
    cells = rows(evaluation)
    assert set(cells) == {(d, p) for d in ("math", "code") for p in ("seed", "learner")}
    assert len(evaluation.items) == 4 * CONFIG.items * CONFIG.samples
    assert {row["step"] for row in evaluation.evaluations} == {3}


def test_accuracy_is_the_mean_of_the_item_rows(policy: Policy) -> None:
    policy.generate = _gold_for_even_items(policy)  # type: ignore[method-assign]
    evaluation = evaluator(policy).evaluate(0, SEED_PROMPT)
    for row in evaluation.evaluations:
        scores = [
            float(str(item["score"]))
            for item in evaluation.items
            if (item["domain"], item["prompt"]) == (row["domain"], row["prompt"])
        ]
        assert row["accuracy"] == sum(scores) / len(scores) == 0.5


def test_the_untrained_policy_has_no_divergence_in_any_cell(policy: Policy) -> None:
    for row in evaluator(policy).evaluate(0, "other instructions").evaluations:
        assert row["kl_policy_base"] == row["kl_base_policy"] == 0.0
        assert float(str(row["entropy"])) > 0.0


def test_a_trained_policy_diverges_in_both_directions_under_both_prompts(policy: Policy) -> None:
    perturb(policy)
    for row in evaluator(policy).evaluate(1, "other instructions").evaluations:
        assert float(str(row["kl_policy_base"])) > 0.0
        assert float(str(row["kl_base_policy"])) > 0.0


def test_what_is_deployed_lies_from_the_start_as_the_policy_from_the_base_under_the_seed_prompt(
    policy: Policy,
) -> None:
    perturb(policy)
    evaluation = evaluator(policy).evaluate(1, "other instructions", boundary=True)
    names = ("kl_deployed_start", "kl_deployed_start_sequence")
    for weights in ("trained", "base"):
        for (_, prompt), row in rows(evaluation, weights=weights).items():
            deployed, same = (
                [row[f"{name}{unit}"] for unit in ("", "_sequence")]
                for name in ("kl_deployed_start", "kl_policy_base")
            )
            if prompt == "seed":
                assert deployed == same
            else:
                assert all(float(str(value)) > 0.0 for value in deployed)
                assert deployed != same
    for test_set in ("retention", "harder"):
        elsewhere = rows(evaluation, test_set).values()
        assert elsewhere
        assert all(row[name] is None for row in elsewhere for name in names)


def test_an_untrained_policy_under_another_prompt_is_as_far_from_the_start_as_the_prompt_takes_it(
    policy: Policy,
) -> None:
    perturb(policy)
    with policy.base() as start:
        start.load_state_dict(policy.model.state_dict())
    evaluation = evaluator(policy).evaluate(0, "other instructions", boundary=True)
    trained, base = rows(evaluation), rows(evaluation, weights="base")
    for (domain, prompt), row in trained.items():
        assert row["kl_policy_base"] == 0.0
        assert (float(str(row["kl_deployed_start"])) > 0.0) == (prompt == "learner")
        assert base[domain, prompt]["kl_deployed_start"] == row["kl_deployed_start"]


def test_divergences_of_the_first_items_are_those_of_the_first_items(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    perturb(policy)
    found: list[list[tuple[bool, Divergence]]] = []
    asked: list[list[int]] = []
    evaluations = []
    divergence, sample = policy.divergence, policy.generate
    for kl_items in (0, 2):
        measured: list[tuple[bool, Divergence]] = []
        sampled: list[int] = []

        def measure(rollouts: Any, *, from_base: bool, _to: Any = measured, **rest: Any) -> Any:
            result = divergence(rollouts, from_base=from_base, **rest)
            _to.append((from_base, result))
            return result

        def generate(
            chats: Any, *, from_base: bool = False, _to: Any = sampled, **rest: Any
        ) -> Any:
            if from_base:
                _to.append(len(chats))
            return sample(chats, from_base=from_base, **rest)

        monkeypatch.setattr(policy, "divergence", measure)
        monkeypatch.setattr(policy, "generate", generate)
        config = replace(CONFIG, kl_items=kl_items)
        evaluations.append(evaluator(policy, config=config).evaluate(3, "other instructions"))
        found.append(measured)
        asked.append(sampled)
    whole, first = found
    assert [from_base for from_base, _ in whole] == [from_base for from_base, _ in first]
    for (from_base, of_all), (_, of_first) in zip(whole, first, strict=True):
        assert len(of_first.kl_N) == 2
        if from_base:
            continue  # its responses are sampled together, and are others
        for name in ("kl_N", "entropy_N", "tokens_N", "deployed_N"):
            torch.testing.assert_close(getattr(of_first, name), getattr(of_all, name)[:2])
    assert asked == [[CONFIG.items] * 4, [2] * 4]
    for every, few, divergences in zip(
        *(evaluation.evaluations for evaluation in evaluations),
        [result for from_base, result in first if not from_base],
        strict=True,
    ):
        assert {name for name in every if every[name] != few[name]} <= MEASURED
        assert few["kl_policy_base"] == divergences.per_token
        assert few["kl_policy_base_sequence"] == divergences.per_sequence
        assert few["kl_policy_base_tokens"] == int(divergences.tokens_N.sum())
    assert evaluations[0].items == evaluations[1].items


def test_evaluating_leaves_the_random_state_of_training_alone(policy: Policy) -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    evaluator(policy).evaluate(0, "other instructions")
    assert torch.equal(torch.get_rng_state(), before)


def test_a_point_gives_the_same_rows_whatever_was_evaluated_before(policy: Policy) -> None:
    perturb(policy)
    alone = evaluator(policy).evaluate(7, "other instructions")
    used = evaluator(policy)
    used.evaluate(5, "earlier instructions")
    used.evaluate(6, "other instructions")
    assert used.evaluate(7, "other instructions") == alone


def test_an_unchanged_prompt_is_sampled_once_for_both_kinds(policy: Policy) -> None:
    cells = rows(evaluator(policy).evaluate(2, SEED_PROMPT))
    for domain in ("math", "code"):
        seed, learner = dict(cells[domain, "seed"]), dict(cells[domain, "learner"])
        assert seed.pop("prompt") != learner.pop("prompt")
        assert seed == learner


def test_retention_items_state_a_convention_of_their_own(policy: Policy) -> None:
    asked: list[Chat] = []
    sample = policy.generate

    def generate(chats: Sequence[Chat], **options: Any) -> list[Rollout]:
        asked.extend(chats)
        return sample(chats, **options)

    policy.generate = generate  # type: ignore[method-assign]
    evaluation = evaluator(policy).evaluate(0, SEED_PROMPT, boundary=True)
    stated = [row for row in evaluation.evaluations if row["prompt"] == "stated"]
    assert [row["domain"] for row in stated] == list(OUTSIDE)
    assert {(row["n_items"], row["n_samples"]) for row in stated} == {(10, 1)}
    labels = {(row["test_set"], row["setting"], row["weights"]) for row in stated}
    assert labels == {("retention", "easy", "trained")}
    systems = [chat[0]["content"] for chat in asked if chat[1]["content"].startswith("facts :")]
    rules = DOMAINS.load("facts").task(seed=0, setting="easy", feedback="none").rules()
    keys = {rule.split()[0] for rule in rules}
    for system in systems:
        assert system.startswith(SEED_PROMPT)
        assert {rule.split()[0] for rule in system.removeprefix(SEED_PROMPT).split(" ; ")} == keys
    assert len(set(systems)) > 1
    uids = [item["uid"] for item in evaluation.items if item["domain"] == "facts"]
    assert len(set(uids)) == 10


class Quiz:
    """A benchmark that asks for one response and one comparison, and draws from every generator."""

    name, version, temperature, settings = "acme:quiz", "1", 0.0, ("default",)

    def task(self, **_: object) -> None:
        raise UsageError("not to be trained on")

    def measure(self, model: TextModel, count: int) -> list[BenchmarkItem]:
        (reply,) = model.respond(["math : 4 f g"], max_new_tokens=5, temperature=1.0)
        model.log_likelihoods([("math : 4", " f g")])
        drawn = f"{random.random()} {np.random.random()} {torch.rand(1).item()}"
        return [BenchmarkItem("1", 1.0, drawn, reply), BenchmarkItem("2", 0.0, None, None)][:count]


QUIZ = Quiz()


def test_a_benchmark_is_measured_where_retention_is_and_moves_no_random_state(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DOMAINS.table, QUIZ.name, (f"{__name__}:QUIZ", ""))
    course = Course(stream("math"), seed=0, feedback="step", problems_per_step=4)
    asked = (QUIZ.name, "facts")
    before = random_states(torch.device("cpu"))
    evaluations = []
    for _ in range(2):
        made = Evaluator(policy, course, CONFIG, asked, learning=LEARNING)
        made.require_room()
        evaluations.append(made.evaluate(3, SEED_PROMPT, boundary=True))
    assert random_states(torch.device("cpu")) == before
    first, second = evaluations
    assert first.items == second.items
    row = rows(first, "retention")["acme:quiz", "stated"]
    assert (row["accuracy"], row["n_items"], row["setting"]) == (0.5, 2, "default")
    assert math.isnan(float(str(row["kl_policy_base"])))
    found = [item for item in first.items if item["domain"] == "acme:quiz"]
    assert [(item["uid"], item["score"]) for item in found] == [("1", 1.0), ("2", 0.0)]
    assert found[1]["completion_tokens"] is None
    inside = made.evaluate(3, SEED_PROMPT).evaluations
    assert "acme:quiz" not in {row["domain"] for row in inside}


def test_a_point_inside_a_stage_has_the_stream_s_rows_alone(policy: Policy) -> None:
    evaluation = evaluator(policy).evaluate(0, SEED_PROMPT)
    for row in (*evaluation.evaluations, *evaluation.items):
        assert row["prompt"] in ("seed", "learner")
        assert (row["test_set"], row["weights"]) == ("stream", "trained")
        assert row["setting"] == "default"


def test_a_stage_end_has_every_cell_of_weights_and_prompts(policy: Policy) -> None:
    evaluation = evaluator(policy).evaluate(3, "other instructions", boundary=True)
    cells = {(d, p) for d in ("math", "code") for p in ("seed", "learner")}
    asked = CONFIG.items * CONFIG.samples
    for weights in ("trained", "base"):
        assert set(rows(evaluation, weights=weights)) == cells
        for domain, prompt in cells:
            assert len(scores(evaluation, domain, prompt, weights)) == asked
    entropies = {row["entropy"] for row in rows(evaluation, weights="base").values()}
    assert len(entropies) == len(cells)


@pytest.mark.parametrize("prompt", [SEED_PROMPT, "other instructions"])
def test_at_the_start_the_base_scores_what_the_policy_scores(policy: Policy, prompt: str) -> None:
    evaluation = evaluator(policy).evaluate(0, prompt, boundary=True)
    trained, base = rows(evaluation), rows(evaluation, weights="base")
    assert trained.keys() == base.keys()
    for cell, row in trained.items():
        other = ("weights", "kl_base_policy_tokens")
        assert without(row, *other) == without(base[cell], *other)
        domain, kind = map(str, cell)
        assert scores(evaluation, domain, kind, "trained") == scores(
            evaluation, domain, kind, "base"
        )


def test_the_base_s_rows_do_not_depend_on_the_policy_the_step_or_what_came_before(
    policy: Policy,
) -> None:
    whole, resumed = evaluator(policy), evaluator(policy)
    start = whole.evaluate(0, "other instructions", boundary=True)
    perturb(policy)
    for evaluation in (
        whole.evaluate(4, "other instructions", boundary=True),
        resumed.evaluate(4, "other instructions", boundary=True),
    ):
        for cell, row in rows(start, weights="base").items():
            domain, kind = map(str, cell)
            again = rows(evaluation, weights="base")[cell]
            assert without(row, "step") == without(again, "step")
            assert again["kl_policy_base"] == again["kl_base_policy"] == 0.0
            assert again["kl_policy_base_tokens"] == again["kl_base_policy_tokens"]
            assert scores(evaluation, domain, kind, "base") == scores(start, domain, kind, "base")
        for cell, row in rows(evaluation).items():
            assert row["entropy"] != rows(start)[cell]["entropy"]


def test_the_base_is_scored_on_what_the_base_answers(policy: Policy) -> None:
    asked: list[tuple[int, bool]] = []
    sample = policy.generate

    def generate(chats: Sequence[Chat], **options: Any) -> list[Rollout]:
        asked.append((len(chats), options["from_base"]))
        return sample(chats, **options)

    policy.generate = generate  # type: ignore[method-assign]
    used = evaluator(policy)
    used.evaluate(0, SEED_PROMPT, boundary=True)
    scored = (CONFIG.items * CONFIG.samples, True)
    assert scored not in asked  # the policy's are the base's
    used.evaluate(4, "other instructions", boundary=True)
    assert asked.count(scored) == 2  # each domain under the learner's prompt
    used.evaluate(8, "other instructions", boundary=True)
    assert asked.count(scored) == 2
    resumed = evaluator(policy)
    resumed.evaluate(8, SEED_PROMPT, boundary=True)
    assert asked.count(scored) == 4


def test_the_hardest_setting_is_asked_of_the_policy_under_the_seed_prompt(policy: Policy) -> None:
    asked: list[tuple[Chat, bool]] = []
    sample = policy.generate

    def generate(chats: Sequence[Chat], **options: Any) -> list[Rollout]:
        asked.extend((chat, options["from_base"]) for chat in chats)
        return sample(chats, **options)

    policy.generate = generate  # type: ignore[method-assign]
    evaluation = evaluator(policy).evaluate(2, "other instructions", boundary=True)
    harder = [row for row in evaluation.evaluations if row["test_set"] == "harder"]
    assert [row["domain"] for row in harder] == ["math", "code"]
    for row in harder:
        assert (row["setting"], row["prompt"], row["weights"]) == ("hard", "seed", "trained")
        assert (row["n_items"], row["n_samples"]) == (CONFIG.items, CONFIG.samples)
    task = DOMAINS.load("math").task(seed=0, setting="hard", feedback="none")
    texts = {problem.prompt: problem.uid for problem in distinct_problems(task, CONFIG.items)}
    systems = {chat[0]["content"] for chat, _ in asked if chat[-1]["content"] in texts}
    assert systems == {SEED_PROMPT}
    items = [i for i in evaluation.items if (i["test_set"], i["domain"]) == ("harder", "math")]
    assert {item["uid"] for item in items} == set(texts.values())
    assert len(items) == CONFIG.items * CONFIG.samples


def test_transcripts_are_the_first_answers_to_the_same_problems_each_time(policy: Policy) -> None:
    used = evaluator(policy)
    start = used.evaluate(0, SEED_PROMPT, boundary=True)
    perturb(policy)
    end = used.evaluate(4, "other instructions", boundary=True)
    key = ("domain", "prompt", "uid", "sample")
    assert [[row[name] for name in key] for row in start.transcripts] == [
        [row[name] for name in key] for row in end.transcripts
    ]
    assert len(start.transcripts) == 2 * 2 * CONFIG.transcripts
    systems = {row["prompt"]: row["system_prompt"] for row in end.transcripts}
    assert systems == {"seed": SEED_PROMPT, "learner": "other instructions"}
    assert [row["problem"] for row in start.transcripts] == [r["problem"] for r in end.transcripts]
    assert start.transcripts != end.transcripts
    course = Course(stream("math-to-code"), seed=0, feedback="step", problems_per_step=4)
    task = course.evaluation_task("math")
    asked = distinct_problems(task, CONFIG.items)[: CONFIG.transcripts]
    told = [r for r in end.transcripts if (r["domain"], r["prompt"]) == ("math", "learner")]
    for row, problem in zip(told, asked, strict=True):
        assert (row["uid"], row["problem"]) == (problem.uid, problem.prompt)
        verdict = task.verify(problem, str(row["response"]))
        assert (row["score"], row["answer"]) == (verdict.score, verdict.answer)
        assert (row["feedback"], row["reference"]) == (verdict.feedback, problem.answer)
        assert verdict.feedback


def test_every_transcript_has_its_row_of_items(policy: Policy) -> None:
    policy.generate = _gold_for_even_items(policy)  # type: ignore[method-assign]
    evaluation = evaluator(policy).evaluate(3, "other instructions", boundary=True)
    assert [row["score"] for row in evaluation.transcripts] == [1.0, 0.0, 1.0] * 4
    for row in evaluation.transcripts:
        shared = {name: row[name] for name in evaluation.items[0] if name in row}
        assert len([item for item in evaluation.items if shared.items() <= item.items()]) == 1


@pytest.mark.parametrize(
    ("asked", "kept"), [(0, []), (1, [1.0, 0.0]), (2, [1.0, 0.0]), (3, [1.0, 0.0, 1.0])]
)
def test_where_the_first_transcripts_are_alike_one_that_is_not_is_kept_too(
    policy: Policy, asked: int, kept: list[float]
) -> None:
    policy.generate = _gold_for_even_items(policy)  # type: ignore[method-assign]
    made = evaluator(policy, config=replace(CONFIG, transcripts=asked))
    evaluation = made.evaluate(3, "other instructions", boundary=True)
    assert [row["score"] for row in evaluation.transcripts] == kept * 4


@pytest.mark.parametrize(("asked", "kept"), [(0, 0), (2, 2), (100, CONFIG.items)])
def test_transcripts_cost_no_response_and_change_no_number(
    policy: Policy, asked: int, kept: int
) -> None:
    calls: list[tuple[int, bool]] = []
    sample = policy.generate

    def generate(chats: Sequence[Chat], **options: Any) -> list[Rollout]:
        calls.append((len(chats), options["from_base"]))
        return sample(chats, **options)

    policy.generate = generate  # type: ignore[method-assign]
    usual = evaluator(policy).evaluate(4, "other instructions", boundary=True)
    made = calls.copy()
    calls.clear()
    config = replace(CONFIG, transcripts=asked)
    other = evaluator(policy, config=config).evaluate(4, "other instructions", boundary=True)
    assert calls == made
    assert (other.evaluations, other.items) == (usual.evaluations, usual.items)
    assert len(other.transcripts) == 2 * 2 * kept


def test_a_point_inside_a_stage_has_no_transcripts(policy: Policy) -> None:
    assert evaluator(policy).evaluate(3, SEED_PROMPT).transcripts == []


def test_a_stream_in_the_hardest_setting_has_no_harder_problems(policy: Policy) -> None:
    evaluation = evaluator(policy, setting="hard").evaluate(2, SEED_PROMPT, boundary=True)
    assert {row["test_set"] for row in evaluation.evaluations} == {"stream", "retention"}
    settings = {row["domain"]: row["setting"] for row in evaluation.evaluations}
    assert settings == {"math": "hard", "code": "hard", "facts": "easy", "star-graph": "easy"}


def test_without_probes_retention_is_left(policy: Policy) -> None:
    config = replace(CONFIG, probes=False)
    evaluation = evaluator(policy, config=config).evaluate(2, SEED_PROMPT, boundary=True)
    assert {row["test_set"] for row in evaluation.evaluations} == {"stream", "retention"}
    assert {row["weights"] for row in evaluation.evaluations} == {"trained"}


def test_accuracy_is_that_of_the_policy_on_the_stream(policy: Policy) -> None:
    policy.generate = _gold_for_even_items(policy)  # type: ignore[method-assign]
    found = evaluator(policy).evaluate(2, "other instructions", boundary=True)
    assert rows(found, "harder")["math", "seed"]["accuracy"] == 0.0
    assert found.accuracy("math") == found.accuracy("math", "seed") == 0.5
    for row in found.evaluations:
        if (row["test_set"], row["weights"]) != ("stream", "trained"):
            row["accuracy"] = 0.25
    reordered = replace(found, evaluations=found.evaluations[::-1])
    assert reordered.accuracy("math") == reordered.accuracy("math", "seed") == 0.5
    with pytest.raises(KeyError, match="facts"):
        found.accuracy("facts", "stated")


def test_greedy_responses_are_those_of_temperature_0_in_rows_of_their_own(policy: Policy) -> None:
    perturb(policy)
    config = replace(CONFIG, greedy=True, validation_items=3)
    evaluation = evaluator(policy, config=config).evaluate(2, "other", boundary=True)
    plain = evaluator(policy).evaluate(2, "other", boundary=True)
    own = {"greedy", "validation"}
    for now, before in (
        (evaluation.evaluations, plain.evaluations),
        (evaluation.items, plain.items),
        (evaluation.transcripts, plain.transcripts),
    ):
        assert [row for row in now if row["test_set"] not in own] == before
    found = rows(evaluation, "greedy")
    assert set(found) == {(d, p) for d in ("math", "code") for p in ("seed", "learner")}
    problems = asked_problems("math", "test", CONFIG.items)
    chats = [chat("other", problem.prompt) for problem in problems]
    answers = policy.generate(chats, max_new_tokens=12, temperature=0.0)
    wanted = {"test_set": "greedy", "domain": "math", "prompt": "learner"}
    items = [item for item in evaluation.items if wanted.items() <= item.items()]
    assert [item["uid"] for item in items] == [problem.uid for problem in problems]
    lengths = [len(answer.completion_ids) for answer in answers]
    assert [item["completion_tokens"] for item in items] == lengths
    for row in found.values():
        assert (row["n_samples"], row["n_items"], row["temperature"]) == (1, CONFIG.items, 0.0)
        assert all(isnan(float(str(row[name]))) for name in ("kl_policy_base", "entropy"))
        assert row["kl_policy_base_tokens"] == row["kl_base_policy_tokens"] == 0
        assert row["kl_deployed_start"] is None
    assert rows(evaluator(policy, config=config).evaluate(2, "other"), "greedy") == {}


def test_validation_problems_are_asked_at_every_evaluation_and_are_no_test_problems(
    policy: Policy,
) -> None:
    config = replace(CONFIG, validation_items=5)
    evaluation = evaluator(policy, config=config).evaluate(3, "other")
    found = rows(evaluation, "validation")
    assert set(found) == {(d, p) for d in ("math", "code") for p in ("seed", "learner")}
    for row in found.values():
        assert (row["n_items"], row["n_samples"], row["temperature"]) == (5, CONFIG.samples, 1.0)
        assert isnan(float(str(row["kl_policy_base"])))
    uids = {
        name: {item["uid"] for item in evaluation.items if item["test_set"] == name}
        for name in ("stream", "validation")
    }
    assert not uids["stream"] & uids["validation"]
    expected = {p.uid for name in ("math", "code") for p in asked_problems(name, "validation", 5)}
    assert uids["validation"] == expected
    assert evaluation.accuracy("math") == rows(evaluation)["math", "learner"]["accuracy"]


def test_hard_problems_without_room_say_how_to_leave_them_out(policy: Policy) -> None:
    task = DOMAINS.load("math").task(seed=0, setting="hard", feedback="none")
    chats = [chat(SEED_PROMPT, p.prompt) for p in distinct_problems(task, CONFIG.items)]
    hardest = max(map(len, policy.encode(chats)))
    limit = policy.context or 0
    config = replace(CONFIG, retention_items=0)
    longest = LearnerConfig(max_new_tokens=limit - hardest + 1)
    with pytest.raises(UsageError, match=r"do not fit .* --no-probes"):
        evaluator(policy, "easy", config, longest).require_room()
    evaluator(policy, "easy", replace(config, probes=False), longest).require_room()


def asked_problems(domain: str, split: Split, count: int) -> list[Problem]:
    """The first problems of a domain of the evaluator's stream."""
    course = Course(stream("math-to-code"), seed=0, feedback="step", problems_per_step=4)
    return distinct_problems(course.evaluation_task(domain), count, split)


def _gold_for_even_items(policy: Policy) -> Callable[..., list[Rollout]]:
    """A `generate` that answers test problems 0, 2, 4 … with their gold solutions."""
    course = Course(stream("math-to-code"), seed=0, feedback="step", problems_per_step=4)
    solutions = {
        problem.prompt: problem.solution if i % 2 == 0 else "answer nothing"
        for domain in ("math", "code")
        for i, problem in enumerate(course.evaluation_task(domain).problems("test", CONFIG.items))
    }
    sample = policy.generate

    def generate(chats: Sequence[Chat], **options: Any) -> list[Rollout]:
        return [
            replace(rollout, text=solutions.get(chat[-1]["content"], "answer nothing"))
            for rollout, chat in zip(sample(chats, **options), chats, strict=True)
        ]

    return generate
