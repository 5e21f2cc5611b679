"""Runs on domains of a source: what is outside of their stream, and what is not made again."""

from __future__ import annotations

from math import nan
from pathlib import Path

import pytest

from cl_bench.contract.stream import Stage, Stream
from cl_bench.verify.divergence import MEASURED
from cl_bench.verify.run import verify_run

from .tampering import Forgery

SOURCED = "gym/chain_sum"


@pytest.fixture
def sourced(packed_run: Path) -> Forgery:
    """The run with another domain in the place of math, and none outside of its stream."""
    run = Forgery(packed_run)
    for frame in run.tables.values():
        if "domain" in frame:
            frame["domain"] = frame["domain"].replace("math", SOURCED)
    run.manifest["stream"]["stages"][0] |= {"domain": SOURCED, "domain_version": "1"}
    run.manifest["stream"]["retention"] = []
    for table in ("evaluations", "items"):
        run.drop(table, test_set="retention")
    return run


def outside(*names: str) -> list[dict[str, str]]:
    return [{"domain": name, "domain_version": "1"} for name in names]


def found(run: Forgery, target: Path) -> list[str]:
    return [finding.text() for finding in verify_run(run.write(target, restate=True)).findings]


def test_a_run_on_a_domain_of_a_source_is_fine_without_others_outside(
    sourced: Forgery, tmp_path: Path
) -> None:
    assert found(sourced, tmp_path / "a.zip") == []
    notes = verify_run(tmp_path / "a.zip").notes
    assert f"problems of {SOURCED} not made again" in notes


def test_domains_outside_that_a_stream_names_have_to_be_there(
    sourced: Forgery, tmp_path: Path
) -> None:
    sourced.manifest["stream"]["retention"] = outside("facts", "gym/gcd")
    words = found(sourced, tmp_path / "a.zip")
    for domain, setting in (("facts", "easy"), ("gym/gcd", "easiest")):
        label = f"step 0, {domain}, retention, {setting}, stated, trained: the row is missing"
        assert any(label in text for text in words)


def test_a_data_file_outside_is_known_by_its_name(
    sourced: Forgery, packed_run: Path, tmp_path: Path
) -> None:
    whole = Forgery(packed_run)
    for table in ("evaluations", "items"):
        rows = whole.tables[table]
        rows["domain"] = rows["domain"].replace({"math": SOURCED, "facts": "file/my.jsonl"})
        others = rows["test_set"].eq("retention") & rows["domain"].ne("file/my.jsonl")
        sourced.tables[table] = rows[~others].reset_index(drop=True)
    sourced.manifest["stream"]["retention"] = outside("file/my.jsonl")
    assert found(sourced, tmp_path / "a.zip") == []
    sourced.manifest["stream"]["retention"] = outside("file/another.jsonl")
    words = found(sourced, tmp_path / "b.zip")
    assert any("file/another.jsonl, retention, easiest" in text for text in words)


def benchmarked(packed_run: Path) -> Forgery:
    """The run with a benchmark in the place of facts: fewer items, nothing but their scores."""
    run = Forgery(packed_run)
    run.manifest["stream"]["retention"] = outside("lm_eval:quiz", "physics", "star-graph")
    for table in ("evaluations", "items"):
        rows = run.tables[table]
        rows["domain"] = rows["domain"].replace("facts", "lm_eval:quiz")
        rows["setting"] = rows["setting"].mask(rows["domain"].eq("lm_eval:quiz"), "default")
    for name in (*MEASURED, "completion_tokens"):
        run.edit("evaluations", name, nan, domain="lm_eval:quiz")
    for name in ("kl_policy_base_tokens", "kl_base_policy_tokens"):
        run.edit("evaluations", name, 0, domain="lm_eval:quiz")
    run.edit("evaluations", "temperature", 0.0, domain="lm_eval:quiz")
    for name in ("truncation_rate", "thought_tokens", "thought_truncation_rate"):
        run.edit("evaluations", name, nan, domain="lm_eval:quiz")
    for name in ("truncated", "completion_tokens", "thought_tokens"):
        run.edit("items", name, None, domain="lm_eval:quiz")
    return run


def test_a_benchmark_outside_says_nothing_but_its_scores(packed_run: Path, tmp_path: Path) -> None:
    run = benchmarked(packed_run)
    assert found(run, tmp_path / "a.zip") == []
    run.edit("evaluations", "accuracy", 0.123, domain="lm_eval:quiz", step=0)
    assert any("accuracy is 0.123" in text for text in found(run, tmp_path / "b.zip"))
    other = benchmarked(packed_run)
    other.edit("evaluations", "entropy", nan, domain="math", step=0)
    assert any("entropy is not a number" in text for text in found(other, tmp_path / "c.zip"))


def test_domains_outside_that_no_stream_asks_for_are_found_out(
    sourced: Forgery, packed_run: Path, tmp_path: Path
) -> None:
    whole = Forgery(packed_run)
    for table in ("evaluations", "items"):
        kept = whole.tables[table]
        kept["domain"] = kept["domain"].replace("math", SOURCED)
        sourced.tables[table] = kept
    words = found(sourced, tmp_path / "a.zip")
    assert any("the configuration asks for no such row" in text for text in words)


def test_a_stream_of_sources_has_no_others_outside_and_one_of_a_plug_in_has() -> None:
    outside = {"code", "facts", "physics", "star-graph"}
    assert {*Stream("a", (Stage("math", 4),)).outside} == outside
    assert {*Stream("a", (Stage("math", 4), Stage("acme/colours", 4))).outside} == outside
    for name in (SOURCED, "gym/gcd?max_value=9", "file/my.jsonl"):
        assert Stream("a", (Stage("math", 4), Stage(name, 4))).outside == ()


@pytest.mark.parametrize(("stages", "refused"), [(1_000, False), (1_001, True)])
def test_a_stream_as_long_as_a_file_may_give_it_is_no_finding(
    stages: int, refused: bool, packed_run: Path, tmp_path: Path
) -> None:
    run = Forgery(packed_run)
    run.manifest["stream"]["stages"] = run.manifest["stream"]["stages"][:1] * stages
    words = [finding.text() for finding in verify_run(run.write(tmp_path / "a.zip")).findings]
    assert (f"manifest.json: stream.stages has {stages:,} stages" in words) is refused
