"""What a page reads of one run, from tables whose every number is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cl_bench.metrics.attribution import ChannelAttribution
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.page.digest import Digest, digest
from cl_bench.report.page.reading import Kept
from cl_bench.report.page.record import Shared, record
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.run_tables import open_run
from tests.report.synthetic_runs import write_run

STAGES = (("math", 20), ("code", 20))


def read(folder: Path, **fields: Any) -> Digest:
    return digest(
        Kept(open_run(write_run(folder / "run", **{"stages": STAGES, **fields}))), "a/run"
    )


def by_step(values: dict[int, float]) -> Any:
    return lambda step, domain, _prompt: values.get(step, 0) if domain == "math" else 0.25


def test_lines_and_points_are_those_of_the_evaluations(tmp_path: Path) -> None:
    found = read(tmp_path, accuracy=lambda s, d, p: s / 80 + (d == "code") / 4 + (p == "seed") / 8)
    assert found.name == "a/run"
    assert found.step_E.tolist() == [0, 10, 20, 30, 40]
    assert found.stage_E.tolist() == [0, 1, 1, 2, 2]
    assert found.end_E == (True, False, True, False, True)
    assert found.samples_E.tolist() == [0, 100, 200, 300, 400]
    assert found.rollouts_E.tolist() == [0, 150, 300, 450, 600]
    line = found.line("code")
    assert line is not None
    assert line.accuracy_E.tolist() == [0.25, 0.375, 0.5, 0.625, 0.75]
    assert line.kl_E.tolist() == [0, 0.01, 0.02, 0.03, 0.04]
    seed = found.line("math", "seed")
    assert seed is not None
    assert seed.accuracy_E[-1] == 0.625
    assert found.line("physics") is None


def test_what_was_not_evaluated_is_missing_in_a_line_and_not_zero(tmp_path: Path) -> None:
    found = read(tmp_path)
    base = found.line("math", "seed", "base")  # asked at the ends of stages only
    assert base is not None
    assert np.isnan(base.accuracy_E).tolist() == [False, True, False, True, False]


def test_gains_are_those_of_the_last_stage_that_ended(tmp_path: Path) -> None:
    def accuracy(step: int, _domain: str, prompt: str) -> float:
        return 0.25 + (step >= 20) * 0.25 + (step > 20) * 0.125 + (prompt == "learner") * 0.125

    found = read(tmp_path, accuracy=accuracy, last=30)
    gains = found.attribution("math")  # base: 0.25 and, with the learner's prompt, 0.375
    assert gains == ChannelAttribution(0.25, 0.125, 0.375, 0.0)


def test_gains_without_probes_or_a_stages_end_say_so(tmp_path: Path) -> None:
    assert read(tmp_path, probes=False).attribution("math") == Undefined("the run has no probes")
    early = read(tmp_path / "early", last=10)
    assert early.attribution("math") == Undefined("no stage has ended")


def test_items_that_were_kept_gained_and_lost_are_counted(tmp_path: Path) -> None:
    # 4 problems × 2 responses; the first ones are right: 1 of 4, then 3, then 2
    found = read(
        tmp_path, items=4, samples=2, accuracy=by_step({0: 0.25, 10: 1, 20: 0.75, 30: 1, 40: 0.5})
    )
    math = found.turnover["math"]
    assert math.step_E == (0, 20, 40)
    assert math.share_E_P.tolist() == [[1, 0, 0, 0], [1, 1, 1, 0], [1, 1, 0, 0]]
    assert math.counts == [(1, 2, 0, 1), (2, 0, 1, 1)]
    assert found.turnover["code"].counts == [(1, 0, 0, 3)] * 2


def test_a_problem_counts_as_solved_from_half_of_its_responses(tmp_path: Path) -> None:
    # of 4 × 2 responses 3 are right: all of the first problem and half of the second
    found = read(tmp_path, items=4, samples=2, accuracy=lambda *_: 0.375)
    assert found.turnover["math"].share_E_P[0].tolist() == [1, 0.5, 0, 0]
    assert found.turnover["math"].counts == [(2, 0, 0, 2)] * 2
    # half is a 5, as the page counts those from 5 on
    assert record(found, {}, Shared())["core"]["turnover"]["math"]["shares"] == ["9500"] * 3


def test_a_run_without_items_has_no_turnover(tmp_path: Path) -> None:
    assert read(tmp_path, items=0).turnover == {}


def test_the_lineage_has_every_prompt_and_round(tmp_path: Path) -> None:
    lineage = read(tmp_path, texts=("first", "second", "third")).lineage
    assert lineage.prompts == {0: (-1, "first"), 1: (0, "second"), 2: (1, "third")}
    assert [(one.step, one.number) for one in lineage.rounds] == [(10, 1), (20, 2)]
    assert [(prompt, fate) for prompt, _, fate in lineage.rounds[1].candidates] == [
        (0, "dropped"),
        (1, "kept"),
        (2, "kept"),
    ]


def test_what_was_spent_is_that_of_the_last_row_of_each_channel(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert found.spent["slow"]["rollouts"] == 400
    assert found.spent["fast"]["rollouts"] == 200
    assert found.spent["fast"]["reflection_tokens"] == 1200
    assert found.phases == {"learn": 30.0, "checkpoint": 2.5, "evaluate": 17.5}


def test_a_run_that_has_only_begun_can_be_read(tmp_path: Path) -> None:
    found = read(tmp_path, last=-1, status="running")
    assert len(found.step_E) == 0
    assert found.lines == {}
    assert found.turnover == {}
    assert found.attribution("math") == Undefined("no stage has ended")


def test_small_tables_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = open_run(write_run(tmp_path / "run"))
    read_names: list[str] = []
    before = RunDirectory.select

    def select(self: Any, name: str, columns: Any = None, *, first: bool = False) -> Any:
        read_names.append(name)
        return before(self, name, columns, first=first)

    monkeypatch.setattr(RunDirectory, "select", select)
    kept = Kept(run)
    whole = kept.select("ledger")
    some = kept.select("ledger", ["rollouts", "step"])
    assert some.column_names == ["step", "rollouts"]
    assert some.num_rows == whole.num_rows > 0
    assert read_names == ["ledger"]
    first = kept.select("items", ["uid"], first=True)
    assert first.column_names == ["uid"]
    assert first.num_rows == sum(kept.select("items")["step"].to_numpy() == 0) > 0
    assert read_names == ["ledger", "items", "items"]  # the second time for other columns
    assert kept.manifest is kept.manifest
    assert kept.table("ledger").shape == whole.to_pandas().shape


def test_transcripts_are_those_of_the_table(tmp_path: Path) -> None:
    rows = read(tmp_path, items=1, transcripts=1, accuracy=lambda step, *_: step / 40).transcripts
    assert len(rows) == 2 * 2 * 3  # domains, prompts, moments
    chosen = [row for row in rows if row["domain"] == "code" and row["prompt"] == "learner"]
    assert [(row["stage"], row["score"]) for row in chosen] == [(0, 0.0), (1, 1.0), (2, 1.0)]
    assert [row["feedback"] for row in chosen] == ["the sum is wrong", "", ""]
    assert {row["uid"] for row in chosen} == {"code/stream/0/0"}


def test_an_answer_that_earns_most_of_the_score_is_told_with_the_run(tmp_path: Path) -> None:
    found = read(tmp_path, accuracy=lambda *_: 0.5)
    assert found.constants.keys() == {"math", "code"}
    core = record(found, {}, Shared())["core"]
    sentence = 'math: 100.0 % of responses say "4", which earns 100.0 % of the score'
    assert core["said"][0] == sentence
    knows = digest(open_run(write_run(tmp_path / "knows", accuracy=lambda *_: 1.0)), "knows")
    assert knows.constants == {}


def test_validation_problems_have_lines_of_their_own(tmp_path: Path) -> None:
    found = read(tmp_path, accuracy=lambda *_: 0.5, validation=lambda step, *_: step / 80)
    asked = found.line("code", test_set="validation")
    own = found.line("code")
    assert asked is not None
    assert own is not None
    assert asked.accuracy_E.tolist() == [0, 0.125, 0.25, 0.375, 0.5]
    assert own.accuracy_E.tolist() == [0.5] * 5
