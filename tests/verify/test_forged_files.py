"""Forged manifests and files: each is found, and named with the reason; nothing stops the rest."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from cl_bench.cli.app import app
from cl_bench.store.packs.container import encoded
from cl_bench.store.packs.layout import MAY_LACK, member
from cl_bench.store.packs.packed import PackedRun
from cl_bench.store.run_tables import open_run, rows_of
from cl_bench.store.schema import TABLES
from cl_bench.verify.run import verify_run

from .tampering import INSIDE, Forgeries, Forgery, Tamper, forgeries, option, require_found

EVALUATIONS, ITEMS, STEPS, LEDGER = (
    f"tables/{name}.parquet" for name in ("evaluations", "items", "steps", "ledger")
)


def other_seed(run: Forgery) -> None:
    run.manifest["seed"] = run.manifest["config"]["seed"] = 6


def cut_short(name: str) -> Tamper:
    def tamper(run: Forgery) -> None:
        table = pa.Table.from_pandas(run.tables[name], preserve_index=False)
        run.members[f"tables/{name}.parquet"] = encoded(table)[:-100]

    return tamper


def other_columns(run: Forgery) -> None:
    table = pa.table({"step": [1], "loss": [0.5]})
    run.members[STEPS] = encoded(table)


def other_types(run: Forgery) -> None:
    frame = run.tables["ledger"].astype({"rollouts": float})
    table = pa.Table.from_pandas(frame, preserve_index=False)
    run.members[LEDGER] = encoded(table)


FORGERIES: Forgeries = {
    "manifest.json": {
        "seed is 6, but the configuration says 5": option(6, "seed"),
        "config cannot be: seed is None": option(None, "config", "seed"),
        "provenance.git_commit is [1], not a text": option([1], "provenance", "git_commit"),
        "config cannot be: learning_rate is -1.0, but must be above 0": option(
            -1.0, "config", "learning", "learning_rate"
        ),
        "stage 1 of the stream is not described": option([7], "stream", "stages"),
    },
    ITEMS: {
        "seed 6 has no such test problem": other_seed,
        "cannot be read": cut_short("items"),
    },
    EVALUATIONS: {
        "n_samples is not 16, as the configuration says": option(
            16, "config", "evaluation", "samples"
        ),
        "temperature is not 0.5, as the configuration says": option(
            0.5, "config", "learning", "temperature"
        ),
        "the run is not evaluated at this step": option(3, "config", "eval_every"),
    },
    LEDGER: {
        "rollouts are not 6 for each": option(2, "config", "learning", "group_size"),
        "its columns are not those": other_types,
    },
    STEPS: {
        "its columns are not those": other_columns,
        "is missing": lambda run: run.left_out.add(STEPS),
    },
}


@pytest.mark.parametrize(("file", "words", "tamper"), forgeries(FORGERIES))
def test_a_forged_pack_is_found_out(
    file: str, words: str, tamper: Tamper, packed_run: Path, tmp_path: Path
) -> None:
    require_found(tamper, words, file, packed_run, tmp_path / "forged.zip")


def test_what_was_not_forged_is_fine(
    packed_run: Path, tmp_path: Path, unpacked: Callable[..., Path]
) -> None:
    assert verify_run(packed_run).findings == []
    again = Forgery(packed_run).write(tmp_path / "again.zip")
    assert verify_run(again).findings == []
    assert verify_run(unpacked(again)).findings == []


def test_a_setting_that_was_added_since_counts_as_at_its_default(
    packed_run: Path, tmp_path: Path
) -> None:
    older = Forgery(packed_run)
    older.manifest["config"]["learning"].pop("warmup_steps", None)
    assert older.manifest["config"]["learning"].pop("ratio_cap") == 5.0
    found = verify_run(older.write(tmp_path / "older.zip")).findings
    assert found == []


def without(column: str) -> Tamper:
    def tamper(run: Forgery) -> None:
        run.members[ITEMS] = encoded(PackedRun.open(run.pack).select("items").drop_columns(column))

    return tamper


def test_a_column_that_was_added_since_reads_as_null(
    packed_run: Path, tmp_path: Path, unpacked: Callable[..., Path]
) -> None:
    older = Forgery(packed_run)
    without("formatted")(older)
    pack = older.write(tmp_path / "older.zip")
    for place in (pack, unpacked(pack)):
        assert verify_run(place).findings == []
        items = open_run(place).table("items")
        assert list(items) == TABLES["items"].names
        assert len(items)
        assert items["formatted"].isna().all()
        assert len(rows_of(open_run(place), "items", ["formatted"])) == len(items)


def test_a_column_that_may_not_be_null_may_not_be_missing(packed_run: Path, tmp_path: Path) -> None:
    require_found(
        without("score"), "its columns are not those", ITEMS, packed_run, tmp_path / "forged.zip"
    )


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("manifest.json", "seed is 6, but the configuration says 5"),
        (EVALUATIONS, "n_samples is not 16, as the configuration says"),
        (ITEMS, "cannot be read"),
        (STEPS, "its columns are not those"),
    ],
)
def test_a_forged_directory_is_found_out(
    file: str, words: str, packed_run: Path, tmp_path: Path, unpacked: Callable[..., Path]
) -> None:
    forged = Forgery(packed_run)
    FORGERIES[file][words](forged)
    found = verify_run(unpacked(forged.write(tmp_path / "forged.zip"))).findings
    assert any(one.file.startswith(file.removesuffix(".parquet")) for one in found)


def test_hashes_and_configuration_that_do_not_fit_are_found_out(
    packed_run: Path, tmp_path: Path, unpacked: Callable[..., Path]
) -> None:
    forged = Forgery(packed_run)
    forged.rehash_configuration = False
    forged.manifest["config"]["learning"]["learning_rate"] = 1.0
    (found,) = verify_run(forged.write(tmp_path / "config.zip")).findings
    assert "manifest.json was edited" in found.reason
    home = unpacked(packed_run)
    record = home / "commits" / "000000.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"items": "0" * 64}))
    (found,) = verify_run(home).findings
    assert (found.file, found.table) == ("tables/items/000000.parquet", "items")
    assert "cut short or edited" in found.reason


def test_stated_metrics_are_computed_again(packed_run: Path, tmp_path: Path) -> None:
    forged = Forgery(packed_run)
    values = forged.contents["metrics"]["values"]
    assert values["bwt_gem"] == {"value": 0.125}
    values["bwt_gem"] = {"value": 0.25}
    values["stability_gap"] = {"undefined": "unknown"}
    del values["rollouts"]
    del values["truncation_rate"]
    report = verify_run(forged.write(tmp_path / "forged.zip"))
    texts = [found.text() for found in report.findings]
    assert texts[0] == "pack.json: bwt_gem is stated as 0.25, but its tables give 0.125"
    assert "pack.json: rollouts is stated as nothing" in texts[1]
    assert "stability_gap is stated as unknown" in texts[2]
    assert "truncation_rate is stated as nothing" in texts[3]


@pytest.mark.parametrize("version", ["0", 0, 2, None, [1]])
def test_metrics_in_a_version_that_there_never_was_are_found_out(
    version: object, packed_run: Path, tmp_path: Path
) -> None:
    forged = Forgery(packed_run)
    forged.contents["metrics"]["version"] = version
    values = forged.contents["metrics"]["values"]
    values["average_accuracy"] = {"value": 1.0}
    texts = [f.text() for f in verify_run(forged.write(tmp_path / "forged.zip")).findings]
    told = f"pack.json: its metrics are stated in version {version!r}; there is none above 1"
    assert texts[0] == told
    assert texts[1].startswith("pack.json: average_accuracy is stated as 1.0, but its tables give")


def test_metrics_in_an_earlier_version_are_noted(
    packed_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cl_bench.verify.packing.METRIC_VERSION", 2)
    report = verify_run(packed_run)
    assert report.findings == []
    assert "metrics stated in version 1" in report.notes


def test_a_run_that_did_not_measure_everything_is_fine(packed_run: Path) -> None:
    report = verify_run(packed_run.with_name("packed-run-less.zip"))
    assert report.findings == [], report.text()


def test_a_pack_may_lack_tables_and_the_responses_of_its_scores(
    packed_run: Path, tmp_path: Path
) -> None:
    run = Forgery(packed_run)
    for name in MAY_LACK:
        del run.tables[name]
    run.manifest["config"]["evaluation"]["transcripts"] = 0
    items, evaluations = run.tables["items"], run.tables["evaluations"]
    ends = evaluations["step"][evaluations["at"].ne("inside")]
    for column in ("sample", "completion_tokens", "answer"):
        items[column] = None
    run.tables["items"] = items[items["step"].isin(ends)].reset_index(drop=True)
    for column in ("thought_tokens", "thought_truncation_rate"):
        evaluations[column] = None
    run.tables["items"]["thought_tokens"] = None
    for column in ("format_rate", "truncation_rate"):
        evaluations[column] = None
        run.tables["items"][{"format_rate": "formatted"}.get(column, "truncated")] = None
    report = verify_run(run.write(tmp_path / "a.zip", restate=True))
    assert report.findings == [], report.text()
    assert report.notes[-2:] == ["scores without their answers", "without timing, transcripts"]
    run.edit("evaluations", "accuracy", lambda old: 1 - old / 2, step=6, domain="math")
    reasons = [f.reason for f in verify_run(run.write(tmp_path / "b.zip", restate=True)).findings]
    assert any("but the mean score of its items is" in reason for reason in reasons), reasons
    run.left_out = {member("ledger")}
    (found,) = verify_run(run.write(tmp_path / "c.zip")).findings
    assert (found.file, found.reason) == (member("ledger"), "is missing")


def test_bytes_beside_the_members_are_found_out(packed_run: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.zip"
    target.write_bytes(b"#!/bin/sh\n" + packed_run.read_bytes())
    (found,) = verify_run(target).findings
    assert "holds more than its members" in found.reason


def test_a_pack_in_the_place_of_another_run_is_found_out(packed_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "math-to-code"
    folder.mkdir(parents=True)
    for name in ("fst-5.zip", "fst-5-again.zip", "fst-6.zip", "rl-5.zip"):
        (folder / name).write_bytes(packed_run.read_bytes())
    found = {path.name: verify_run(path).findings for path in folder.iterdir()}
    assert found["fst-5.zip"] == found["fst-5-again.zip"] == []
    for name in ("fst-6.zip", "rl-5.zip"):
        (finding,) = found[name]
        assert re.search(r"it belongs to math-to-code/fst-5-[0-9a-f]{8}\.zip$", finding.reason)


def test_the_command_names_file_row_and_reason_and_goes_on(
    packed_run: Path, tmp_path: Path
) -> None:
    forged = Forgery(packed_run)
    forged.edit("evaluations", "accuracy", 0.75, **INSIDE)
    forged.write(tmp_path / "a.zip", restate=True)
    (tmp_path / "b.zip").write_bytes(b"broken")
    (tmp_path / "c.zip").write_bytes(packed_run.read_bytes())
    done = CliRunner().invoke(app, ["results", "verify", str(tmp_path)])
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert lines[0].startswith("1 finding")
    assert "a.zip" in lines[0]
    number = int(
        Forgery(packed_run).tables["evaluations"].index[forged.rows("evaluations", **INSIDE)][0]
    )
    assert f"{EVALUATIONS}: row {number} (step 2, math, stream, easy, learner, trained)" in lines[1]
    assert "b.zip" in lines[2]
    assert "not a zip file" in lines[3]
    assert lines[4].startswith("fine")
    assert "c.zip" in lines[4]
    assert lines[-1] == "3 verified, 2 with findings."
    done = CliRunner().invoke(app, ["results", "verify", "--json", str(tmp_path)])
    assert done.exit_code == 1
    data = json.loads(done.stdout, parse_constant=pytest.fail)
    assert [artefact["fine"] for artefact in data["artefacts"]] == [False, False, True]
    finding = data["artefacts"][0]["findings"][0]
    assert (finding["file"], finding["table"], finding["row"]) == (
        EVALUATIONS,
        "evaluations",
        number,
    )


def test_no_damage_to_the_bytes_of_a_pack_goes_unnoticed_or_raises(
    packed_run: Path, tmp_path: Path
) -> None:
    whole, rng = packed_run.read_bytes(), Random(0)
    for _ in range(60):
        content = bytearray(whole)
        start = rng.randrange(len(content))
        stop = start + rng.choice([1, 1, 100])
        content[start:stop] = rng.randbytes(rng.choice([0, 1, 30]))
        (tmp_path / "a.zip").write_bytes(content)
        assert content == whole or verify_run(tmp_path / "a.zip").findings


@pytest.mark.parametrize("junk", [None, True, 1.5, "x", [], {}, "\ud800"])
def test_no_manifest_stops_verification(junk: object, packed_run: Path, tmp_path: Path) -> None:
    paths: list[tuple[str, ...]] = [
        (name,) for name in Forgery(packed_run).manifest if name != "schema_version"
    ]
    paths += [("config", name) for name in ("evaluation", "learning", "feedback")]
    paths += [("config", "evaluation", name) for name in ("transcripts", "retention_items")]
    rng = Random(repr(junk))
    for path in rng.sample(paths, 5):
        forged = Forgery(packed_run)
        forged.rehash_configuration = path not in (("config",), ("stream",))
        option(junk, *path)(forged)
        report = verify_run(forged.write(tmp_path / "forged.zip"))
        assert report.text().encode()
