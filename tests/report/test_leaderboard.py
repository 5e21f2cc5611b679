"""Boards, rows and overall views against values worked out by hand."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from cl_bench.execution.presets import preset_of
from cl_bench.metrics.stats.ranks import Ranks
from cl_bench.metrics.stats.student import Estimate, Interval
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.board import Board, BoardRow, unranked
from cl_bench.report.leaderboard import leaderboard
from cl_bench.store.run_tables import find_runs
from tests.report.synthetic_runs import flat, leaderboard_of, reason, value, write_run, write_runs


def rows(board: Board) -> dict[str, BoardRow]:
    return {row.label: row for row in board.rows}


def test_a_row_is_the_mean_over_its_seeds(tmp_path: Path) -> None:
    for seed, share in enumerate((0.5, 0.75, 1.0)):
        write_run(tmp_path / f"fst-{seed}", seed=seed, accuracy=flat(share))
        write_run(tmp_path / f"rl-{seed}", learner="rl", seed=seed, accuracy=flat(share / 2))
    (board,) = leaderboard_of(tmp_path).boards
    assert [row.label for row in board.rows] == ["fst", "rl"]
    fst = board.rows[0]
    found = fst.values["average_accuracy"]
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(0.75)
    assert (found.seeds, found.of_seeds) == (3, 3)
    assert isinstance(found.interval, Interval)
    assert found.interval.low == pytest.approx(0.75 - 0.6210344)  # 4.30265 · 0.25 / √3
    assert fst.per_seed["average_accuracy"] == {0: 0.5, 1: 0.75, 2: 1.0}
    assert fst.status == {0: "done", 1: "done", 2: "done"}
    assert fst.runs[1] == tmp_path / "fst-1"
    assert fst.flags == ()
    assert (fst.choice, fst.folded) == ("", ())
    assert value(fst.values["tokens"]) == 600 * 30 + 40 * 30
    assert (board.stream, board.model) == ("math-to-code, version 1", "embedded")
    assert board.budget == "200 + 200 training samples"
    assert set(fst.values) == set(board.columns) == set(fst.ranks) == set(fst.per_seed)


def test_wall_time_ranks_nobody(tmp_path: Path) -> None:
    for learner, seed in product(("fst", "rl"), range(3)):
        write_run(tmp_path / f"{learner}-{seed}", learner=learner, seed=seed)
    (board,) = leaderboard_of(tmp_path).boards
    unranked = Undefined("neither direction is better")
    assert [row.ranks["seconds"] for row in board.rows] == [unranked, unranked]


def test_one_seed_has_no_interval_and_no_ranks(tmp_path: Path) -> None:
    write_run(tmp_path / "fst", accuracy=flat(0.5))
    write_run(tmp_path / "rl", learner="rl", accuracy=flat(0.25))
    (board,) = leaderboard_of(tmp_path).boards
    row = rows(board)["fst"]
    found = row.values["average_accuracy"]
    assert isinstance(found, Estimate)
    assert found.interval == Undefined("one seed shows no interval over seeds")
    assert row.ranks["average_accuracy"] == Undefined("1 of 4 seeds needed to rank")
    assert row.flags == ("one seed",)


def test_seeds_that_are_missing_failed_or_diverged_are_counted_and_never_averaged(
    tmp_path: Path,
) -> None:
    for seed in range(4):
        write_run(tmp_path / f"rl-{seed}", learner="rl", seed=seed, accuracy=flat(0.5))
    write_run(tmp_path / "fst-0", seed=0, accuracy=flat(0.75))
    write_run(tmp_path / "fst-1", seed=1, status="diverged", reason="Step 7 diverged: NaN.")
    write_run(tmp_path / "fst-2", seed=2, status="running", last=20)
    board, problems = _board(tmp_path)
    row = rows(board)["fst"]
    assert row.status == {0: "done", 1: "diverged", 2: "running", 3: "missing"}
    assert row.flags == (
        "1 of 4 seeds missing",
        "1 of 4 seeds diverged",
        "1 of 4 seeds unfinished",
        "one seed",
    )
    found = row.values["average_accuracy"]
    assert isinstance(found, Estimate)
    assert (found.value, found.seeds, found.of_seeds) == (0.75, 1, 4)
    tokens = row.values["tokens"]
    assert isinstance(tokens, Estimate)
    assert tokens.seeds == 1  # what a run spent that never ended is no saving
    assert row.reasons == {1: "Step 7 diverged: NaN."}
    assert 3 not in row.runs
    assert reason(row.per_seed["bwt_gem"][1]) == "the run diverged: Step 7 diverged: NaN."
    assert problems == [
        ("fst-1", "diverged", "Step 7 diverged: NaN."),
        ("fst-2", "unfinished", "its status is running"),
    ]


def _board(folder: Path) -> tuple[Board, list[tuple[str, str, str]]]:
    found = leaderboard_of(folder)
    (board,) = found.boards
    return board, [(one.path.name, one.kind, one.reason) for one in found.problems]


def test_a_board_ranks_only_learners_that_have_seeds_enough_for_it(tmp_path: Path) -> None:
    shares = {"fst": 0.75, "rl": 0.5, "prompt": 0.25}  # three learners need five seeds
    for learner, seed in product(shares, range(5)):
        if (learner, seed) != ("prompt", 4):
            lifted = flat(shares[learner] + seed * (0.0625 if learner == "rl" else 0.03125))
            write_run(tmp_path / f"{learner}-{seed}", learner=learner, seed=seed, accuracy=lifted)
    ranked = rows(_board(tmp_path)[0])
    found = {label: row.ranks["average_accuracy"] for label, row in ranked.items()}
    assert found == {
        "fst": Ranks(1, 1, 2, 0.95),
        "rl": Ranks(2, 2, 2, 0.95),
        "prompt": Undefined("4 of 5 seeds needed to rank"),
    }
    assert unranked(list(ranked.values()), "average_accuracy") == ""


def test_a_board_without_seeds_enough_says_how_many_it_needs(tmp_path: Path) -> None:
    for learner, seed in product(("fst", "rl", "prompt"), range(2)):
        write_run(tmp_path / f"{learner}-{seed}", learner=learner, seed=seed)
    (board,) = leaderboard_of(tmp_path).boards
    assert unranked(board.rows, "average_accuracy") == "2 of 5 seeds needed to rank"
    assert unranked(board.rows, "seconds") == "neither direction is better"


def test_a_learner_that_shares_its_seeds_with_nobody_has_no_rank(tmp_path: Path) -> None:
    def why_not(folder: Path, seeds: range) -> dict[str, str]:
        """Of `fst`, which has seeds 0 to 7, and of `rl`, which has these."""
        for learner, own in (("fst", range(8)), ("rl", seeds)):
            for seed in own:
                write_run(folder / f"{learner}-{seed}", learner=learner, seed=seed)
        found = rows(_board(folder)[0])
        return {label: reason(row.ranks["bwt_gem"]) for label, row in found.items()}

    alone = "no other learner has 4 of its seeds, needed to rank"
    assert why_not(tmp_path / "few", range(3)) == {
        "fst": alone,
        "rl": "3 of 4 seeds needed to rank",
    }
    assert why_not(tmp_path / "apart", range(8, 16)) == {"fst": alone, "rl": alone}


def test_one_setting_stands_for_its_learner_and_the_others_fold_under_it(tmp_path: Path) -> None:
    for rate in (0.1, 0.2):
        config = {"learning.learning_rate": rate}
        write_run(tmp_path / f"fst-{rate}", accuracy=flat(5 * rate / 2), config=config)
    write_run(tmp_path / "rl", learner="rl", accuracy=flat(0.25))
    board, problems = _board(tmp_path)
    assert [(row.name, row.settings) for row in board.rows] == [
        ("FST", "learning_rate=0.2"),
        ("RL", ""),
    ]
    (first, second) = board.rows
    assert (first.label, first.choice) == (
        "fst (learning_rate=0.2)",
        "1 of 2 settings, with the best mean",
    )
    assert (second.choice, second.folded) == ("", ())
    (folded,) = first.folded
    assert (folded.name, folded.choice, folded.folded) == ("FST (lr=0.1)", "", ())
    assert value(folded.values["average_accuracy"]) == 0.25
    assert isinstance(folded.ranks["average_accuracy"], Undefined)
    assert [row.label for row in board.every_row] == [
        "fst (learning_rate=0.2)",
        "fst (learning_rate=0.1)",
        "rl",
    ]
    assert problems == []


def test_the_setting_with_most_seeds_stands_for_its_learner_however_it_did(tmp_path: Path) -> None:
    for seed, rate, share in ((0, 0.1, 0.5), (1, 0.1, 0.5), (7, 0.2, 0.75)):
        config = {"learning.learning_rate": rate}
        name = f"rl-{rate}-{seed}"
        write_run(tmp_path / name, learner="rl", seed=seed, accuracy=flat(share), config=config)
    (row,) = _board(tmp_path)[0].rows
    assert (row.label, row.seeds) == ("rl (learning_rate=0.1)", (0, 1))
    assert row.choice == "1 of 2 settings, with the most seeds"
    assert [one.seeds for one in row.folded] == [(7,)]  # which nobody misses elsewhere
    assert _board(tmp_path)[0].reference == "rl (learning_rate=0.1)"


def test_of_settings_with_equal_seeds_the_preset_stands_for_its_learner(tmp_path: Path) -> None:
    own = preset_of("embedded").options("fst")["learning_rate"]
    for rate, share in ((own, 0.25), (own / 2, 0.75)):
        config = {"learning.learning_rate": rate}
        write_run(tmp_path / str(rate), accuracy=flat(share), config=config)
    (row,) = _board(tmp_path)[0].rows
    assert row.settings == f"learning_rate={own}"
    assert row.choice == "1 of 2 settings, the model’s preset"


def test_runs_that_do_not_compare_are_on_boards_of_their_own_and_say_why(tmp_path: Path) -> None:
    write_run(tmp_path / "one")
    write_run(tmp_path / "two", learner="rl", stream={"version": "2"})
    write_run(tmp_path / "three", learner="rl", config={"learning.temperature": 0.5})
    found = leaderboard_of(tmp_path)
    assert [len(board.rows) for board in found.boards] == [1, 1, 1]
    assert [board.stream for board in found.boards] == [
        "math-to-code, version 1",
        "math-to-code, version 1",
        "math-to-code, version 2",
    ]
    notes = "\n".join(found.boards[2].notes)
    assert "Not ranked here: 1 run of FST (stream version 2 against 1)" in notes
    assert "Not ranked here: 1 run of RL (stream version 2 against 1; temperature 1.0 against" in (
        notes
    )


def test_runs_of_one_seed_with_other_problems_are_ranked_apart(tmp_path: Path) -> None:
    for seed in range(2):
        write_run(tmp_path / f"a-{seed}", seed=seed)
        write_run(tmp_path / f"b-{seed}", seed=seed, learner="rl", uid="{domain}/{item}/changed")
    write_run(tmp_path / "c", seed=1, learner="prompt", uid="{domain}/{item}/changed")
    write_run(tmp_path / "d", seed=1, learner="rl-kl", last=-1, status="failed")
    first, second = leaderboard_of(tmp_path).boards
    assert set(rows(first)) == {"fst", "rl-kl"}
    assert set(rows(second)) == {"rl", "prompt"}
    for board in (first, second):
        assert any("ranked apart: test problems of math with seed" in note for note in board.notes)


def test_of_two_runs_of_one_seed_the_finished_one_counts_and_the_other_is_named(
    tmp_path: Path,
) -> None:
    write_run(tmp_path / "a", status="failed", last=20, reason="disk full")
    write_run(tmp_path / "b", accuracy=flat(0.5))
    write_run(tmp_path / "c", accuracy=flat(0.75))
    board, problems = _board(tmp_path)
    assert value(board.rows[0].values["average_accuracy"]) == 0.5
    assert board.rows[0].runs == {0: tmp_path / "b"}
    said = f"the same learner, settings and seed as {tmp_path / 'b'}, which is ranked"
    assert problems == [
        ("a", "duplicate", said),
        ("a", "failed", "disk full"),
        ("c", "duplicate", said),
    ]


def test_dirty_trees_mixed_code_and_plug_ins_are_flagged(tmp_path: Path) -> None:
    write_run(tmp_path / "a", seed=0, provenance={"git_dirty": True})
    write_run(tmp_path / "b", seed=1, provenance={"source_hash": "9" * 64})
    write_run(tmp_path / "c", seed=2, manifest={"plugins": {"acme": "1.2"}})
    board, _ = _board(tmp_path)
    assert board.rows[0].flags == ("dirty tree", "mixed code", "plug-in acme 1.2")
    assert "Its runs were made by 2 versions of the code" in board.notes


def test_damaged_runs_are_problems_and_hurt_no_other(tmp_path: Path) -> None:
    write_run(tmp_path / "good")
    bad = write_run(tmp_path / "cut")
    (bad / "tables" / "evaluations" / "000000.parquet").write_bytes(b"PAR1")
    (write_run(tmp_path / "json") / "manifest.json").write_text("[]")
    write_run(tmp_path / "odd", manifest={"seed": "zero"})
    write_run(tmp_path / "empty", manifest={"learner": None, "status": "weird"})
    found = leaderboard_of(tmp_path)
    kinds = {(problem.path.name, problem.kind) for problem in found.problems}
    assert kinds == {
        ("cut", "unreadable"),
        ("json", "unreadable"),
        ("odd", "unreadable"),
        ("empty", "failed"),
    }
    assert any(problem.reason == "its status is 'weird'" for problem in found.problems)
    assert [row.label for board in found.boards for row in board.rows] == ["fst", "None"]


def test_an_infinite_number_is_undefined_and_spoils_no_other(tmp_path: Path) -> None:
    for seed in range(2):
        write_run(tmp_path / f"{seed}", seed=seed, kl=lambda *_: float("inf"))
    row = _board(tmp_path)[0].rows[0]
    assert "is not a number" in reason(row.values["kl_policy_base"])
    assert value(row.values["average_accuracy"]) > 0


def test_a_row_does_not_depend_on_the_others(tmp_path: Path) -> None:
    for seed in range(3):
        write_run(tmp_path / "a" / str(seed), seed=seed, accuracy=flat(0.25 * (seed + 1)))
        write_run(tmp_path / "b" / str(seed), seed=seed, learner="rl")
    alone, together = (rows(_board(path)[0])["fst"] for path in (tmp_path / "a", tmp_path))
    names = ("average_accuracy", "tokens", "bwt_gem")
    assert [alone.values[name] for name in names] == [together.values[name] for name in names]


def test_the_order_of_runs_changes_nothing(tmp_path: Path) -> None:
    write_runs(tmp_path, 90, items=2)
    runs, _ = find_runs([tmp_path])
    one, other = leaderboard(runs), leaderboard(runs[::-1])
    assert [board.words for board in one.boards] == [board.words for board in other.boards]
    for first, second in zip(one.boards, other.boards, strict=True):
        assert [vars(row) for row in first.rows] == [vars(row) for row in second.rows]
        assert first.notes == second.notes
    for mine, theirs in zip(one.overall, other.overall, strict=True):
        assert [vars(row) for row in mine.rows] == [vars(row) for row in theirs.rows]


def test_overall_ranks_learners_on_the_streams_that_all_of_them_have(tmp_path: Path) -> None:
    courses: list[tuple[tuple[str, int], ...]] = [
        (("math", 20),),
        (("code", 20),),
        (("facts", 20),),
    ]
    shares = {"fst": (0.5, 0.75, 1.0), "rl": (0.25, 0.5, 0.75), "prompt": (1.0, None, None)}
    for learner, by_course in shares.items():
        for stages, share in zip(courses, by_course, strict=True):
            for seed in range(4):
                if share is not None:
                    path = tmp_path / f"{learner}-{stages[0][0]}-{seed}"
                    lifted = flat(share - seed * (1 + (learner == "rl") / 4) / 16)
                    write_run(path, learner=learner, stages=stages, seed=seed, accuracy=lifted)
    found = leaderboard_of(tmp_path)
    (overall,) = found.overall
    assert [found.boards[place].stream.split(",")[0] for place in overall.boards] == [
        "code",
        "facts",
        "math",
    ]
    assert [row.label for row in overall.rows] == ["fst", "rl"]
    fst = overall.rows[0]
    assert fst.per_seed["average_accuracy"] == pytest.approx(
        {0: 0.75, 1: 0.6875, 2: 0.625, 3: 0.5625}
    )
    assert fst.ranks["average_accuracy"] == Ranks(1, 1, 2, 0.95)
    assert overall.notes == ("prompt-only is not ranked: it has no value on code; facts",)


def test_seeds_that_one_stream_lacks_are_named_where_they_do_not_count(tmp_path: Path) -> None:
    for learner in ("fst", "rl"):
        for domain, seeds in (("math", (0, 1, 2)), ("code", (0, 1))):
            for seed in seeds:
                place = tmp_path / f"{learner}-{domain}-{seed}"
                write_run(place, learner=learner, stages=((domain, 20),), seed=seed)
    (overall,) = leaderboard_of(tmp_path).overall
    assert {*overall.rows[0].per_seed["average_accuracy"]} >= {0, 1}
    assert overall.notes == (
        "A mean is over the seeds that a learner has on every stream (0, 1, without 2)",
    )


def test_a_stream_with_several_boards_counts_once_overall(tmp_path: Path) -> None:
    for learner in ("fst", "rl"):
        for items in (16, 8):
            write_run(tmp_path / f"{learner}-{items}", learner=learner, items=items)
    assert leaderboard_of(tmp_path).overall == ()
    for learner in ("fst", "rl", "prompt"):
        write_run(tmp_path / f"{learner}-facts", learner=learner, stages=(("facts", 20),))
    write_run(tmp_path / "prompt-8", learner="prompt", items=8)
    found = leaderboard_of(tmp_path)
    (overall,) = found.overall
    assert overall.title == "Mean of 2 streams"
    assert [len(found.boards[place].rows) for place in overall.boards] == [3, 3]
    (note,) = overall.notes
    assert "math-to-code" in note
    assert note.endswith("is left out: another board stands for its stream")


def test_learners_without_two_streams_in_common_are_not_ranked_overall(tmp_path: Path) -> None:
    for learner, domain in (("fst", "math"), ("rl", "math"), ("fst", "code")):
        write_run(tmp_path / f"{learner}-{domain}", learner=learner, stages=((domain, 20),))
    (overall,) = leaderboard_of(tmp_path).overall
    assert overall.rows == ()
    assert overall.notes == (
        "No learners were run on the same two streams, so none are ranked",
        "code is left out: fewer than two learners have a value on it",
    )


def test_overall_joins_learners_of_equal_settings_whatever_boards_call_them(tmp_path: Path) -> None:
    # On the first board two learning rates stand side by side, on the second only one is there.
    runs = [("rl", "math", 0.1, 1.0), ("rl", "math", 0.2, 0.5), ("rl", "code", 0.2, 0.75)]
    runs += [("fst", "math", 0.1, 0.25), ("fst", "code", 0.1, 0.25)]
    for learner, domain, rate, share in runs:
        write_run(
            tmp_path / f"{learner}-{domain}-{rate}",
            learner=learner,
            stages=((domain, 20),),
            accuracy=flat(share),
            config={"learning.learning_rate": rate},
        )
    (overall,) = leaderboard_of(tmp_path).overall
    found = {row.learner: row.per_seed["average_accuracy"][0] for row in overall.rows}
    assert found == pytest.approx({"rl": (0.5 + 0.75) / 2, "fst": 0.25})
    assert [dict(row.configured)["learning_rate"] for row in overall.rows] == [0.2, 0.1]
    assert [row.choice for row in overall.rows] == ["1 of 2 settings, run on more streams", ""]
    assert [row.told for row in overall.rows] == ["lr=0.2", ""]
    assert overall.notes == ()
    assert overall.title == "Mean of 2 streams"


def test_overall_says_where_a_learner_was_run_with_another_setting(tmp_path: Path) -> None:
    rates = {"math": 0.1, "code": 0.1, "facts": 0.2}  # of rl; fst has one setting everywhere
    for domain, rate in rates.items():
        for learner, own in (("rl", rate), ("fst", 0.1)):
            write_run(
                tmp_path / f"{learner}-{domain}",
                learner=learner,
                stages=((domain, 20),),
                config={"learning.learning_rate": own},
            )
    (overall,) = leaderboard_of(tmp_path).overall
    assert overall.title == "Mean of 3 streams"
    assert {row.learner for row in overall.rows} == {"fst"}
    assert overall.notes == ("RL is not ranked: it was run with another setting on facts",)


def test_few_of_many_learners_are_not_ranked_overall(tmp_path: Path) -> None:
    for learner, domains in {"fst": ("math", "code"), "rl": ("math",), "sft": ("code",)}.items():
        for domain in domains:
            write_run(tmp_path / f"{learner}-{domain}", learner=learner, stages=((domain, 20),))
    (overall,) = leaderboard_of(tmp_path).overall
    assert overall.rows == ()
    assert overall.notes[0] == (
        "Only 1 of 3 learners were run on the same two streams, so none are ranked"
    )


def test_overall_names_the_budget_of_a_board_that_has_a_namesake(tmp_path: Path) -> None:
    for learner, steps in (("fst", 20), ("rl", 20), ("fst", 40)):
        write_run(tmp_path / f"{learner}-{steps}", learner=learner, stages=(("facts", steps),))
    for learner in ("fst", "rl"):
        write_run(tmp_path / learner, learner=learner, stages=(("math", 20),))
    (overall,) = leaderboard_of(tmp_path).overall
    assert len(overall.boards) == 2
    assert overall.notes == (
        "facts, 400 training samples is left out: another board stands for its stream",
    )


def test_rows_over_different_seeds_are_said_to_be(tmp_path: Path) -> None:
    for learner, seed in (("fst", 0), ("fst", 1), ("rl", 0), ("prompt", 0), ("prompt", 1)):
        write_run(tmp_path / f"{learner}-{seed}", learner=learner, seed=seed)
    (board,) = leaderboard_of(tmp_path).boards
    (note,) = [note for note in board.notes if "different seeds" in note]
    assert "(FST, prompt-only: 0, 1; RL: 0)" in note
    write_run(tmp_path / "rl-1", learner="rl", seed=1)
    (whole,) = leaderboard_of(tmp_path).boards
    assert not any("different seeds" in note for note in whole.notes)


def test_variations_of_a_setting_are_called_by_what_they_vary(tmp_path: Path) -> None:
    varied: list[dict[str, object]] = [{}, {"learning.refill": False}, {"learning.population": 1}]
    for number, config in enumerate(varied):
        write_run(tmp_path / str(number), config=config)
    (board,) = leaderboard_of(tmp_path).boards
    assert sorted(row.label for row in board.every_row) == [
        "fst (as most)",
        "fst (population=1)",
        "fst (refill=False)",
    ]


def test_rows_whose_responses_are_mostly_cut_off_are_named(tmp_path: Path) -> None:
    write_run(tmp_path / "fst", cut=0.75)
    write_run(tmp_path / "rl", learner="rl", cut=0.25)
    (board,) = leaderboard_of(tmp_path).boards
    (note,) = [note for note in board.notes if "cut off" in note]
    assert note.startswith("FST: at the end 75.0 % of responses are cut off")


def test_columns_that_no_run_asked_for_are_left_out(tmp_path: Path) -> None:
    write_run(tmp_path / "one" / "fst", samples=1)
    write_run(tmp_path / "more" / "fst", samples=2, greedy=True)
    (one,), (more,) = (leaderboard_of(tmp_path / name).boards for name in ("one", "more"))
    assert not {"pass_at_k", "greedy_accuracy"} & set(one.columns)
    assert {"pass_at_k", "greedy_accuracy"} <= set(more.columns)
    assert more.rows[0].per_seed["pass_at_k"] == {0: 0.75}


def test_one_answer_that_earns_most_of_the_score_is_a_note(tmp_path: Path) -> None:
    for seed in range(2):  # every response says 4, half of them are right
        write_run(tmp_path / f"fst-{seed}", seed=seed, accuracy=flat(0.5))
    write_run(tmp_path / "rl-0", learner="rl", seed=0, accuracy=flat(1.0))
    write_run(tmp_path / "rl-1", learner="rl", seed=1, accuracy=flat(0.5), answer=None)
    (board,) = leaderboard_of(tmp_path).boards
    (said,) = [note for note in board.notes if "say" in note]
    assert said == "FST: some of it may be guessing. " + "; ".join(
        f'{domain}: 100.0 % of responses say "4", which earns 100.0 % of the score (the worst of 2 '
        "such runs of 2)"
        for domain in ("math", "code")
    )
