"""Subjects: every claim can be asked of them in their own domains."""

from __future__ import annotations

from pathlib import Path

import pytest

from cl_bench.claims.archive import write_archive
from cl_bench.claims.plan import plan
from cl_bench.claims.registered import cells, claims_of
from cl_bench.claims.reproduce import rebuild
from cl_bench.claims.subject import EMBEDDED, SMOLLM2, SUBJECTS, Subject
from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.stream_names import stream
from cl_bench.sweep.grid import grid
from tests.claims.test_settings import FOUND


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)
def test_a_subjects_claims_name_its_domains_and_no_other_subjects(subject: Subject) -> None:
    foreign = {name for one in SUBJECTS.values() for name in one.domains} - {*subject.domains}
    for claim in claims_of(subject):
        one = claim.registered
        texts = " ".join((one.definition, *(statement.text for statement in one.statements)))
        assert "$" not in texts
        assert not {word.strip(".,;:") for word in texts.split()} & foreign
    assert tuple(claim.registered.number for claim in claims_of(subject)) == subject.claims


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)
def test_a_subjects_domains_and_stream_exist(subject: Subject) -> None:
    used = (*subject.kl_domains, *subject.origins, subject.probe, *subject.stages)
    assert {*used} <= {*subject.domains}
    assert all(name in DOMAINS for name in subject.domains)
    assert tuple(s.domain for s in stream(subject.stream).stages) == subject.stages


def test_a_single_run_is_told_which_domains_it_is_asked_about() -> None:
    cell = plan("full", model="smollm2").single("gym/products", "rl", 3)
    asked = "gym/chain_sum,gym/gcd,gym/letter_counting,gym/syllogism"
    assert cell.options["retention"] == asked
    assert cell.options["setting"] == "easy"
    embedded = plan("full", settings=FOUND).single("math", "rl", 3)
    assert "retention" not in embedded.options


def test_runs_on_the_stream_of_a_board_are_the_boards() -> None:
    planned = plan("full", model="smollm2")
    ours = {planned.stream(name, seed).name for name in ("rl", "fst") for seed in planned.seeds}
    options = {"precision": "bf16"}
    boards = grid(["gym-arithmetic"], ["rl", "fst"], range(6), options=options, model="smollm2")
    assert ours == {cell.name for cell in boards}


def test_the_runs_of_smollm2_are_its_own_and_all_told_which_precision() -> None:
    planned = plan("full", model="smollm2")
    wanted = cells(planned, SMOLLM2.claims)
    assert {cell.model for cell in wanted} == {"smollm2"}
    assert {cell.options["precision"] for cell in wanted} == {"bf16"}
    assert len({cell.name for cell in wanted}) == len(wanted)
    assert EMBEDDED.model not in {cell.model for cell in wanted}


def test_a_page_about_another_model_names_its_preset_and_nothing_of_the_embedded(
    tmp_path: Path,
) -> None:
    write_archive([], tmp_path, tmp_path / "kept", plan("full", model="smollm2"))
    done = rebuild(tmp_path / "kept", tmp_path / "out")
    page = done.markdown.read_text(encoding="utf-8")
    assert "| chosen by | the model's preset |" in page
    assert "physics" not in page
    assert [one.claim.registered.number for one in done.judged] == list(SMOLLM2.claims)
