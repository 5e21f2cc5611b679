"""One look for each learner, wherever it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

from cl_bench.contract.registry import LEARNERS
from cl_bench.report.blocks.look import (
    MARKERS,
    PALETTE,
    Look,
    domain_look,
    learner_look,
    looks_apart,
)


def differs(one: Look, other: Look) -> bool:
    return (one.place, one.marker, one.dashed) != (other.place, other.marker, other.dashed)


def test_no_two_learners_of_the_suite_look_alike() -> None:
    names = ["base", *(name for name in LEARNERS if "/" not in name)]
    assert len(names) > 8
    for one, other in combinations(names, 2):
        assert differs(learner_look(one), learner_look(other)), (one, other)
        assert learner_look(one).label != learner_look(other).label


def test_a_learner_of_a_plug_in_looks_the_same_every_time() -> None:
    look = learner_look("acme/bandit")
    assert look == learner_look("acme/bandit")
    assert look.label == "acme/bandit"
    assert look.colour in PALETTE
    assert look.marker in MARKERS
    assert differs(look, learner_look("acme/other"))


def test_a_learner_of_a_plug_in_has_its_label(install: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "acme_learners.py").write_text(
        "from cl_bench.contract.learner import LearnerFactory\n"
        "BANDIT = LearnerFactory(dict, label='Bandit')\n"
        "PLAIN = LearnerFactory(dict)\n"
    )
    install(
        "acme",
        "[cl_bench.learners]\nbandit = acme_learners:BANDIT\nplain = acme_learners:PLAIN\n"
        "broken = acme_learners:ABSENT\n",
    )
    labels = [learner_look(f"acme/{name}").label for name in ("bandit", "plain", "broken")]
    assert labels == ["Bandit", "acme/plain", "acme/broken"]


def test_learners_that_stand_together_never_look_alike() -> None:
    own = [*LEARNERS.table]
    settings = [name for name in own for _ in range(3)]
    looks = looks_apart([*settings, *(f"acme/{number}" for number in range(50))])
    assert all(differs(one, other) for one, other in combinations(looks, 2))
    firsts = [learner_look(name) for name in own]
    assert looks[: len(settings) : 3] == firsts
    assert [look.place for look in looks_apart(["fst"] * 4)] == [learner_look("fst").place] * 4


def test_domains_look_different_in_one_stream() -> None:
    looks = [domain_look(f"d{place}", place) for place in range(5)]
    assert all(one.colour != other.colour for one, other in combinations(looks, 2))
    assert all(one.marker != other.marker for one, other in combinations(looks, 2))
