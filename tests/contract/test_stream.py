"""Streams and the courses learners follow."""

from __future__ import annotations

from pathlib import Path

import pytest

from cl_bench.contract.errors import RunDirectoryError, UsageError
from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.stream import Course, Stream
from cl_bench.contract.stream_names import stream


def course(name: str, steps: int, seed: int = 0) -> Course:
    return Course(stream(name, steps=steps), seed=seed, feedback="step", problems_per_step=4)


def texts(course: Course, first: int, last: int) -> list[list[str]]:
    return [[exercise.prompt for exercise in batch] for batch in course.batches(first, last)]


def test_the_papers_stream_has_its_order_and_its_200_steps() -> None:
    stages = stream("paper").stages
    assert [(stage.domain, stage.steps) for stage in stages] == [
        ("facts", 200),
        ("code", 200),
        ("physics", 200),
    ]


def test_any_chain_of_known_domains_is_a_stream() -> None:
    made = stream("star-graph-to-math-to-star-graph", steps=7, setting="easy")
    assert [stage.domain for stage in made.stages] == ["star-graph", "math", "star-graph"]
    assert {(stage.steps, stage.setting) for stage in made.stages} == {(7, "easy")}
    assert made.domains == ("star-graph", "math")


def test_a_single_domain_is_a_stream_of_one_stage() -> None:
    assert [stage.domain for stage in stream("star-graph").stages] == ["star-graph"]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("maht-to-code", {}, "Did you mean 'math'"),
        ("gcd", {}, "Did you mean 'gym/gcd'"),
        ("gym/gcd?max_value", {}, "Write gym/gcd.max_value=VALUE"),
        ("gcd-to-math", {}, "Did you mean 'gym/gcd'"),
        ("papr", {}, "Did you mean 'paper'"),
        ("math-to-code", {"steps": 0}, "steps is 0, but must be at least 1"),
        ("math-to-code", {"setting": "eazy"}, "Did you mean 'easy'"),
        ("math-to-code", {"retention": "fatcs"}, "Did you mean 'facts'"),
        ("math-to-code", {"retention": "facts,,gym/gcd"}, "must be domains joined by commas"),
        ("math-to-code", {"retention": "facts,code"}, "names code, which a stage trains on"),
        ("math-to-code", {"retention": 3}, "retention is 3, but must be a text"),
    ],
)
def test_impossible_streams_are_refused_with_a_suggestion(
    name: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        stream(name, **options)  # type: ignore[arg-type]


def test_retention_replaces_what_the_stream_evaluates_outside(tmp_path: Path) -> None:
    file = tmp_path / "my.jsonl"
    file.write_text("".join(f'{{"prompt": "{n} + 1", "answer": {n + 1}}}\n' for n in range(60)))
    operators = "gym/basic_arithmetic?operators=%2B%2C-"
    asked = f"star-graph, gym/gcd,{file},{operators},star-graph"
    made = stream("math-to-code", retention=asked)
    named = ["star-graph", "gym/gcd", "file/my.jsonl", "gym/basic_arithmetic?operators=+,-"]
    described = made.describe()["retention"]
    assert [one["domain"] for one in described] == named
    assert [one["domain_version"] for one in described] == [
        DOMAINS.load(reference).version for reference in made.outside
    ]
    assert Stream.from_description(made.describe()).outside == made.outside
    assert stream("math-to-code", retention="none").outside == ()
    assert stream("math-to-code", retention="").outside == stream("math-to-code").outside


def test_two_files_of_one_name_cannot_both_be_outside(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        rows = (f'{{"prompt": "{n} + {folder}", "answer": {n}}}\n' for n in range(60))
        (tmp_path / folder / "my.jsonl").write_text("".join(rows))
    both = f"{tmp_path}/a/my.jsonl,{tmp_path}/b/my.jsonl"
    with pytest.raises(UsageError, match=r"names two domains called 'file/my\.jsonl'"):
        stream("math", retention=both)


def test_a_description_gives_the_same_stream_back_whatever_domains_there_are_by_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = stream("paper", steps=3)
    described = made.describe()
    assert described["retention"] == [
        {"domain": name, "domain_version": "1"} for name in ("math", "star-graph")
    ]
    monkeypatch.setitem(DOMAINS.table, "sixth", DOMAINS.table["math"])
    assert "sixth" in made.outside
    again = Stream.from_description(described)
    assert again.outside == ("math", "star-graph")
    assert (again.name, again.stages, again.version) == (made.name, made.stages, made.version)
    assert again.describe() == described


def test_batches_do_not_depend_on_how_they_are_asked_for() -> None:
    whole = texts(course("math-to-code", 3), 1, 6)
    assert [texts(course("math-to-code", 3), step, step)[0] for step in range(1, 7)] == whole


def test_stages_follow_each_other_at_the_boundary() -> None:
    made = course("math-to-code", 3)
    first_words = [batch[0].split()[0] for batch in texts(made, 1, 6)]
    assert first_words == ["math"] * 3 + ["code"] * 3
    assert [made.stage_of(step) for step in range(1, 7)] == [0, 0, 0, 1, 1, 1]


def test_what_lies_ahead_ends_with_the_stage() -> None:
    made = course("math-to-code", 4)
    keys = {last: [batch[0].key for batch in made.ahead(last, 2)] for last in (1, 3, 4, 5, 8)}
    assert keys == {1: ["2.0", "3.0"], 3: ["4.0"], 4: [], 5: ["6.0", "7.0"], 8: []}


def test_a_domain_that_comes_back_keeps_its_convention_and_goes_on_in_its_problems() -> None:
    back, once = course("math-to-code-to-math", 2), course("math", 4)
    assert texts(back, 5, 6) == texts(once, 3, 4)
    assert back.evaluation_task("math").rules() == once.evaluation_task("math").rules()


def test_exercises_tell_nothing_of_the_task_but_their_text() -> None:
    exercise = course("math-to-code", 2).batches(1, 1)[0][0]
    assert set(type(exercise).__slots__) == {"key", "prompt", "judge", "solution"}
    assert "math" not in exercise.key


def test_an_exercise_is_judged_by_its_own_task() -> None:
    made = course("math-to-code", 2)
    task = made.evaluation_task("code")
    problem = task.problems("train", 4)[1]
    exercise = made.batches(3, 3)[0][1]
    assert exercise.prompt == problem.prompt
    assert exercise.judge(problem.solution).score == 1.0
    assert exercise.judge("nonsense").score == 0.0


def test_an_exercise_of_a_step_taken_is_found_by_its_key_and_no_other() -> None:
    made = course("math-to-code", 3)
    find = made.past(4)
    for batch in made.batches(1, 4):
        for exercise in batch:
            assert find(exercise.key).prompt == exercise.prompt
    later = made.batches(5, 5)[0][0].key
    for key in (later, "0.0", "1.9", "x", "", "-1.0"):
        with pytest.raises(RunDirectoryError, match=r"steps 1 to 4 has the key .*--out"):
            find(key)


def test_solutions_are_shown_only_where_a_learner_learns_from_them() -> None:
    given = stream("math-to-code", steps=2)
    hidden, shown = (
        Course(given, seed=0, feedback="none", problems_per_step=2, solutions=asked)
        for asked in (False, True)
    )
    assert {e.solution for batch in hidden.batches(1, 4) for e in batch} == {None}
    for exercise in (*shown.batches(1, 1)[0], shown.past(4)("4.1")):
        assert exercise.solution is not None
        assert exercise.judge(exercise.solution).score == 1
    assert texts(hidden, 1, 4) == texts(shown, 1, 4)
