"""The register: its page is up to date, its statements can be told apart and judged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cl_bench.claims.registered import CLAIMS, rules_page

RULES = Path(__file__).parents[2] / "docs" / "claims-rules.md"


@pytest.mark.skipif(not RULES.exists(), reason="only in a checkout")
def test_the_page_of_rules_is_up_to_date() -> None:
    assert RULES.read_text(encoding="utf-8") == rules_page()


def test_claims_are_numbered_and_named_once() -> None:
    assert [claim.number for claim in CLAIMS] == list(range(1, 11))
    assert len({claim.registered.name for claim in CLAIMS}) == len(CLAIMS)


def test_every_statement_has_an_id_of_its_own_after_its_claim() -> None:
    ids = [statement.id for claim in CLAIMS for statement in claim.registered.statements]
    assert len(set(ids)) == len(ids)
    for claim in CLAIMS:
        letters = [one.id.removeprefix(str(claim.number)) for one in claim.registered.statements]
        assert letters == list("abc"[: len(letters)])


def test_every_claim_can_be_decided_and_shows_the_papers_figures() -> None:
    for claim in CLAIMS:
        assert any(statement.primary for statement in claim.registered.statements), claim.number
        assert all(figure.values for figure in claim.registered.paper), claim.number
        assert claim.registered.paper, claim.number


def test_a_margin_is_never_easier_than_the_value_without_an_effect() -> None:
    for claim in CLAIMS:
        for statement in claim.registered.statements:
            assert statement.margin >= statement.null, statement.id
            assert statement.scale != "ratio" or statement.null > 0, statement.id


def test_every_statement_has_a_measure_with_a_short_name() -> None:
    for claim in CLAIMS:
        assert [*claim.measurements] == [one.id for one in claim.registered.statements]
        assert all(how.short for how in claim.measurements.values())


def test_the_table_of_claims_loads_nothing_heavy() -> None:
    script = (
        "import sys, cl_bench.claims.registered; "
        "print({'torch', 'matplotlib', 'pandas', 'scipy'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
