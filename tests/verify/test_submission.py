"""Submitting a run and packing a folder of them: verified, in their place, nothing overwritten."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cl_bench.cli.app import app
from cl_bench.contract.errors import UsageError
from cl_bench.store.packs.layout import file_name, home, place
from cl_bench.store.packs.packed import PackedRun
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.run_tables import open_run
from cl_bench.store.schema import TABLES
from cl_bench.verify.packing import pack
from cl_bench.verify.submission import pack_folder, submit

Unpack = Callable[..., Path]


def call(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


def dirty(home: Path) -> Path:
    run = RunDirectory.open(home)
    run.update_manifest(provenance={**run.manifest["provenance"], "git_dirty": True})
    return home


def spoilt(home: Path) -> Path:
    """A run whose manifest names another learner than its configuration."""
    RunDirectory.open(home).update_manifest(learner="rl")
    return home


def test_submit_writes_a_verified_pack_and_says_how_to_add_it(
    packed_run: Path, unpacked: Unpack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = unpacked(packed_run)
    monkeypatch.chdir(tmp_path)
    code, out, err = call("submit", str(home))
    assert (code, err) == (0, "")
    target = tmp_path / "math-to-code-fst-5.zip"
    assert target.read_bytes() == pack(RunDirectory.open(home)).content
    assert "fst on math-to-code, seed 5, model embedded: done" in out
    assert "verified" in out
    assert "DIRTY" not in out
    configuration = RunDirectory.open(home).manifest["config_hash"][:8]
    there = f"results/runs/math-to-code/fst-5-{configuration}.zip"
    for words in (
        "322 rows",
        "left out: checkpoint",
        "backward transfer (GEM)",
        f"cp math-to-code-fst-5.zip {there}",
        f"cl-bench results verify {there}",
        "open a pull request",
    ):
        assert words in out, words
    assert call("submit", str(home))[0] == 0  # the same file is no other one
    target.write_text("mine")
    code, _, err = call("submit", str(home))
    assert code == 2
    assert "already exists and is another file" in err
    assert target.read_text() == "mine"


def test_a_file_that_is_there_is_no_folder(
    packed_run: Path, unpacked: Unpack, tmp_path: Path
) -> None:
    home, target = unpacked(packed_run), tmp_path / "there.zip"
    for _ in range(2):
        assert call("submit", str(home), "--out", str(target))[0] == 0
    target.write_text("mine")
    code, _, err = call("submit", str(home), "--out", str(target))
    assert code == 2
    assert "already exists and is another file" in err
    code, _, err = call("submit", str(home), "--out", str(target / "inside.zip"))
    assert code == 2
    assert "there.zip is a file" in err


def test_a_dirty_tree_is_refused_unless_allowed_and_flagged_everywhere(
    packed_run: Path, unpacked: Unpack, tmp_path: Path
) -> None:
    home, target = dirty(unpacked(packed_run)), tmp_path / "a.zip"
    code, _, err = call("submit", str(home), "--out", str(target))
    assert code == 2
    assert "--allow-dirty" in err
    assert not target.exists()
    code, out, _ = call("submit", str(home), "--out", str(target), "--allow-dirty")
    assert code == 0
    assert "made from a DIRTY TREE" in out
    assert PackedRun.open(target).manifest["provenance"]["git_dirty"] is True
    code, out, _ = call("results", "verify", str(target))
    assert code == 0
    assert "made from a DIRTY TREE" in out


def test_a_run_with_findings_is_not_packed(
    packed_run: Path, unpacked: Unpack, tmp_path: Path
) -> None:
    home, target = spoilt(unpacked(packed_run)), tmp_path / "a.zip"
    code, out, _ = call("submit", str(home), "--out", str(target))
    assert code == 1
    assert not target.exists()
    assert "manifest.json: learner is 'rl', but the configuration says 'fst'" in out
    assert "Nothing was packed." in out


def ended_badly(home: Path, status: str) -> Path:
    """A run whose tables stop at step 5; of one that diverged the stretch after that is there."""
    run = RunDirectory.open(home)
    frames = {name: run.table(name) for name in TABLES}
    rows = {
        name: frame[frame["step"].le(5)].astype(object).where(frame.notna(), None)
        for name, frame in frames.items()
    }
    rows["prompts"]["score"] = frames["prompts"]["score"]
    run.update_manifest(status=status, reason="the loss is not finite")
    run.discard_after(-1)
    run.commit(
        0, {name: frame.dropna(how="all").to_dict("records") for name, frame in rows.items()}
    )
    if status == "diverged":
        ledger = rows["ledger"]
        run.commit(1, {"ledger": ledger[ledger["step"].eq(5)].to_dict("records")})
    return home


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_runs_that_ended_badly_are_packed_too(
    packed_run: Path, unpacked: Unpack, tmp_path: Path, status: str
) -> None:
    home = ended_badly(unpacked(packed_run), status)
    made = submit(home, tmp_path / "a.zip")
    assert made.pack is not None, made.text()
    assert f"the run {status}" in made.text()


def test_what_is_no_finished_run_is_refused(
    packed_run: Path, unpacked: Unpack, tmp_path: Path
) -> None:
    home = unpacked(packed_run)
    RunDirectory.open(home).update_manifest(status="running")
    code, _, err = call("submit", str(home))
    assert code == 2
    assert f"cl-bench run --resume {home}" in " ".join(err.split())
    code, _, err = call("submit", str(packed_run))
    assert code == 2
    assert "is a file" in err
    code, _, err = call("submit", str(tmp_path / "nowhere"))
    assert code == 2
    assert "There is no run directory" in err


@pytest.mark.parametrize(
    ("stream", "learner", "model", "expected"),
    [
        ("math", "rl", "embedded", "math/rl-7.zip"),
        ("acme/colours", "acme/warm-up", "embedded", "acme_colours/acme_warm-up-7.zip"),
        ("math", "rl", "owner/model", "math/rl-7-model.zip"),
        ("..", "../../rl", "embedded", "_/_.._rl-7.zip"),
        ("math", "rl", "/home/ada/m 1", "math/rl-7-m_1.zip"),
    ],
)
def test_a_place_is_two_harmless_names(
    stream: str, learner: str, model: str, expected: str
) -> None:
    manifest = {"stream": {"name": stream}, "learner": learner, "model": model, "seed": 7}
    assert place(manifest).as_posix() == expected
    assert file_name(manifest) == expected.replace("/", "-")
    named = home({**manifest, "config_hash": "0123456789abcdef"}).as_posix()
    assert named == expected.replace(".zip", "-01234567.zip")


def test_a_folder_of_runs_is_packed_each_into_its_place(
    packed_run: Path, unpacked: Unpack, tmp_path: Path
) -> None:
    homes = tmp_path / "homes"
    unpacked(packed_run, "homes/good")
    RunDirectory.open(unpacked(packed_run, "homes/begun")).update_manifest(status="running")
    out = tmp_path / "results" / "runs"
    first = {outcome.path.name: outcome for outcome in pack_folder(homes, out)}
    assert {name: outcome.fate for name, outcome in first.items()} == {
        "good": "packed",
        "begun": "unfinished",
    }
    target = first["good"].target
    assert target is not None
    assert target == out / home(RunDirectory.open(homes / "good").manifest)
    assert open_run(target).manifest["seed"] == 5
    assert "--resume" in first["begun"].reason
    (again,) = [o for o in pack_folder(homes, out) if o.path.name == "good"]
    assert (again.fate, again.target) == ("unchanged", target)
    target.write_bytes(packed_run.read_bytes() + b"\n")
    (other,) = [o for o in pack_folder(homes, out) if o.path.name == "good"]
    assert other.fate == "refused"
    assert "--replace" in other.reason
    (replaced,) = [o for o in pack_folder(homes, out, replace=True) if o.path.name == "good"]
    assert replaced.fate == "replaced"
    assert target.read_bytes() == pack(RunDirectory.open(homes / "good")).content


def test_what_cannot_be_packed_is_refused_by_name_and_the_rest_is_packed(
    packed_run: Path, unpacked: Unpack, tmp_path: Path
) -> None:
    homes, out = tmp_path / "homes", tmp_path / "out"
    for name in ("one", "two"):
        unpacked(packed_run, f"homes/{name}")
    for name, seed in (("dirty", 6), ("spoilt", 7)):
        home = unpacked(packed_run, f"homes/{name}")
        RunDirectory.open(home).update_manifest(seed=seed)
        dirty(home) if name == "dirty" else spoilt(home)
    (homes / "broken").mkdir()
    (homes / "broken" / "manifest.json").write_text("{")
    code, text, _ = call("results", "pack", str(homes), "--out", str(out))
    assert code == 1
    lines = text.splitlines()
    assert lines[-1] == "5 refused."
    for words in ("one", "two", "--allow-dirty", "is damaged", "seed is 7"):
        assert any(words in line for line in lines), words
    assert any("same place as" in line and "homes/two" in line for line in lines)
    assert not out.exists()


def test_a_folder_without_runs_says_so(tmp_path: Path) -> None:
    code, _, err = call("results", "pack", str(tmp_path))
    assert code == 2
    assert "There is no run at or below" in err


def test_packing_and_verifying_import_no_torch(packed_run: Path, unpacked: Unpack) -> None:
    home = unpacked(packed_run)
    script = (
        "import sys; from typer.testing import CliRunner; from cl_bench.cli.app import app\n"
        "call = lambda *words: CliRunner().invoke(app, list(words)).exit_code\n"
        "assert call('submit', '--help') == call('results', 'verify', '--help') == 0\n"
        "assert 'pandas' not in sys.modules\n"
        f"assert call('submit', {str(home)!r}, '--out', {str(home.parent / 'a.zip')!r}) == 0\n"
        f"assert call('results', 'verify', {str(home.parent)!r}) == 0\n"
        "print([m for m in ('torch', 'transformers', 'trl', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


def test_an_existing_other_file_is_an_error_in_python_too(
    packed_run: Path, unpacked: Unpack, tmp_path: Path
) -> None:
    (tmp_path / "a.zip").write_text("mine")
    with pytest.raises(UsageError, match="already exists"):
        submit(unpacked(packed_run), tmp_path / "a.zip")


def test_a_folder_of_packs_has_nothing_to_pack(packed_run: Path, tmp_path: Path) -> None:
    code, out, err = call("results", "pack", str(packed_run.parent), "--out", str(tmp_path))
    assert (code, out) == (2, "")
    assert "There is no run directory at or below" in " ".join(err.split())
