"""From runs to the page: what is made, what is reused, what the page and the command say."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cl_bench.claims import plan, reproduce
from cl_bench.claims.archive import INDEX, Archive, joined, known_cells, write_archive
from cl_bench.claims.plan import Plan
from cl_bench.claims.rule import ClaimVerdict
from cl_bench.claims.subject import EMBEDDED
from cl_bench.cli.app import app
from cl_bench.contract.errors import UsageError
from cl_bench.store.files import write_json_atomically
from cl_bench.sweep.backends.backend import BackendConfig, CellOutcome
from cl_bench.sweep.cell import Cell
from cl_bench.sweep.display import Display, Quiet
from cl_bench.sweep.state import with_starts

MakeRun = Callable[..., Path]
SETTINGS: dict[str, dict[str, Any]] = {
    "rl": {"learning_rate": 6e-4, "problems_per_step": 8},
    "prompt": {"proposals": 5},
    "fst": {"learning_rate": 9e-4, "problems_per_step": 8},
    "fst-distill": {"learning_rate": 6e-4, "problems_per_step": 8},
}


def accuracy(cell: Cell) -> Callable[[int, str, str], float]:
    """Fast-slow training reaches 0.9 and a little more with every seed, the others 0.5."""
    top = 0.9 + EMBEDDED.seeds.index(cell.seed) / 100 if cell.learner == "fst" else 0.5
    return lambda step, *_: 0.1 + (top - 0.1) * min(1.0, 2 * step / cell.steps)


class Sweep:
    """Stands in for the pool: writes synthetic runs, and notes which."""

    def __init__(self, make_run: MakeRun) -> None:
        self._make_run = make_run
        self.made: list[Cell] = []
        self.failing: set[str] = set()
        self.diverging: set[str] = set()
        self.traceless: set[str] = set()
        """Cells that fail before they have a directory."""

    def __call__(
        self,
        cells: Sequence[Cell],
        folder: Path,
        *,
        on: BackendConfig,
        display: Display,
        known: Mapping[str, str],
    ) -> list[CellOutcome]:
        outcomes = []
        for cell in with_starts(cells):
            if cell.name in known or (folder / cell.name).exists():
                continue
            self.made.append(cell)
            failed = cell.name in self.failing | self.traceless
            status, reason = ("failed", "OSError: no room") if failed else ("done", "")
            if cell.name in self.diverging:
                status, reason = "diverged", "Step 3 diverged: its loss is nan."
            if cell.name not in self.traceless:
                self._make_run(cell, accuracy(cell), folder=folder, status=status, reason=reason)
            outcomes.append(CellOutcome(cell, status, reason, 1.0))
        display.say(f"{len(outcomes)} runs made")
        return outcomes


@pytest.fixture
def sweep(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sweep:
    """A pool of synthetic runs, and settings as if calibration had chosen them."""
    write_json_atomically(tmp_path / "settings.json", SETTINGS)
    monkeypatch.setattr(plan, "SETTINGS", tmp_path / "settings.json")
    monkeypatch.chdir(tmp_path)
    found = Sweep(make_run)
    monkeypatch.setattr(reproduce, "make_missing", found)
    return found


def call(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["reproduce", *arguments])
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


def made(claims: Sequence[int], folder: Path, **options: Any) -> reproduce.Reproduction:
    """A reproduction of the small budget."""
    out = options.pop("out", folder / "reports")
    planned = plan.plan("small", options.pop("seeds", None))
    options = {"on": BackendConfig(jobs=1), "display": Quiet(), **options}
    return reproduce.reproduce(planned, claims, folder=folder / "runs", out=out, **options)


def test_verdicts_and_page_follow_from_the_runs(sweep: Sweep, tmp_path: Path) -> None:
    done = made([10, 9], tmp_path, seeds=6)
    assert [one.claim.registered.number for one in done.judged] == [9, 10]
    assert done.judged[1].verdict is ClaimVerdict.REPRODUCED
    # 0.9 to 0.95 against 0.5, mean over seeds
    (statement,) = done.judged[1].primary
    assert statement.judgement.exact_p == 2 / 2**6
    assert "10a +42.5 points" in done.text()
    assert "(FST − FST-distill, plateau of accuracy)" in done.text()
    page = done.markdown.read_text()
    assert "10a FST − FST-distill, plateau of accuracy: +42.5 points" in page
    assert (done.markdown.parent / "claims" / "10-distillation.png").exists()
    assert "![Figure of claim 10" in page
    assert "claims/10-distillation.png" in page
    assert "c" * 12 in page
    assert len(sweep.made) == 6 * 3 * 2 + 6  # three domains × two learners, and fst-distill


def test_ablations_are_made_when_asked_for_and_shown_from_their_archive(
    sweep: Sweep, tmp_path: Path
) -> None:
    assert "Ablations" not in made([6], tmp_path).markdown.read_text()
    store = tmp_path / "archive"
    done = made([6], tmp_path, ablate=True, archive=store)
    changed = {cell.options.get("population") for cell in sweep.made}
    assert 1 in changed
    assert "| K = 1 | does a population matter?" in done.markdown.read_text()
    again = reproduce.rebuild(store, tmp_path / "again", [6])
    assert again.markdown.read_bytes() == done.markdown.read_bytes()


def test_finished_runs_are_used_again(sweep: Sweep, tmp_path: Path) -> None:
    made([10], tmp_path)
    assert len(sweep.made) == 4
    made([10], tmp_path, seeds=3)
    assert [cell.seed for cell in sweep.made[4:]] == [103, 103]


@pytest.mark.usefixtures("sweep")
def test_the_page_has_the_same_bytes_from_runs_and_from_their_archive(tmp_path: Path) -> None:
    store = tmp_path / "archive"
    done = made([10], tmp_path, archive=store)
    again = reproduce.rebuild(store, tmp_path / "again", [10])
    for kind in ("markdown", "html"):
        assert getattr(done, kind).read_bytes() == getattr(again, kind).read_bytes()
    pictures = sorted((tmp_path / "reports" / "claims").iterdir())
    assert len(pictures) == 6  # of the claim, and of all claims in two shapes
    for picture in pictures:
        assert picture.read_bytes() == (tmp_path / "again" / "claims" / picture.name).read_bytes()


def test_archived_runs_are_not_made_again_and_stay_in_the_archive(
    sweep: Sweep, tmp_path: Path
) -> None:
    store = tmp_path / "archive"
    made([10], tmp_path, archive=store)
    sweep.made.clear()
    elsewhere = tmp_path / "elsewhere"
    done = made([10, 9], elsewhere, archive=store)
    again = done.judged[1].statements[0]
    assert {cell.learner for cell in sweep.made} == {"prompt", "fst"}
    assert not any(cell.stream == "facts" and cell.learner == "fst" for cell in sweep.made)
    assert again.measured.value_by_seed == pytest.approx({100: 0.4, 102: 0.41})
    assert len(known_cells(store)) == 2 * (3 * 2 + 1)


def test_rules_and_plan_are_registered_before_the_first_run(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    packed = tmp_path / "packed"
    registered = []

    def look_and_make(*args: Any, **options: Any) -> list[CellOutcome]:
        registered.append(Archive.read(packed).registered)
        return sweep(*args, **options)

    monkeypatch.setattr(reproduce, "make_missing", look_and_make)
    made([1], tmp_path, seeds=2, archive=packed)
    assert registered == [Archive.read(packed).registered]
    assert set(registered[0]) == {"rules", "plan", "code", "seeds"}


def test_an_interrupted_reproduction_packs_what_is_finished(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(cells: Sequence[Cell], *arguments: Any, **options: Any) -> list[CellOutcome]:
        sweep(cells[:3], *arguments, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(reproduce, "make_missing", interrupted)
    store = tmp_path / "archive"
    with pytest.raises(KeyboardInterrupt):
        made([10], tmp_path, archive=store)
    assert known_cells(store) == {cell.name: "done" for cell in sweep.made}
    assert len(sweep.made) == 3


def test_a_missing_probe_has_its_archived_origin_made_again(sweep: Sweep, tmp_path: Path) -> None:
    planned = plan.plan("small", 1)
    origin = planned.single("math", "rl", 100)
    probe = planned.probe(origin, 100)
    store = tmp_path / "archive"
    sweep([origin], tmp_path / "there", on=BackendConfig(), display=Quiet(), known={})
    write_archive([origin], tmp_path / "there", store, planned)
    known = reproduce._known([origin, probe], tmp_path / "here", store)
    assert known == {}
    sweep([probe], tmp_path / "there", on=BackendConfig(), display=Quiet(), known={})
    write_archive([origin, probe], tmp_path / "there", store, planned)
    known = reproduce._known([origin, probe], tmp_path / "here", store)
    assert known == {origin.name: "done", probe.name: "done"}


def test_an_archived_origin_that_diverged_settles_its_probes(sweep: Sweep, tmp_path: Path) -> None:
    planned = plan.plan("small", 1)
    origin = planned.single("math", "rl", 100)
    probe = planned.probe(origin, 100)
    sweep.diverging.add(origin.name)
    store = tmp_path / "archive"
    sweep([origin], tmp_path / "there", on=BackendConfig(), display=Quiet(), known={})
    write_archive([origin], tmp_path / "there", store, planned)
    known = reproduce._known([origin, probe], tmp_path / "here", store)
    assert known == {origin.name: "diverged"}


@pytest.mark.usefixtures("sweep")
def test_the_page_tells_when_plan_or_seeds_changed_after_the_archive_was_begun(
    tmp_path: Path,
) -> None:
    store = tmp_path / "archive"
    first = made([10], tmp_path, archive=store).markdown.read_text()
    assert "Rules and plan are as registered when the runs' archive was begun" in first
    more = made([10], tmp_path, archive=store, seeds=3).markdown.read_text()
    added = plan.plan("small", 3).seeds[-1]
    assert f"seeds {added} were added later" in more


def test_a_failed_run_is_named_on_the_page_and_by_the_command(sweep: Sweep, tmp_path: Path) -> None:
    cell = plan.plan("small").single("facts", "fst", 102)
    sweep.failing.add(cell.name)
    code, stdout, stderr = call("--claims", "10", "--jobs", "1", "--out", "page")
    assert code == 1
    assert f"1 run failed, first {cell.name}: OSError: no room" in stderr
    assert re.search(r"^10  inconclusive ", stdout, re.MULTILINE)
    page = (tmp_path / "page" / "claims.md").read_text()
    assert f"`{cell.name}` | failed | OSError: no room" in page
    assert f"10a, seed 102: facts: run {cell.name} failed: OSError: no room" in page


def test_a_run_that_left_nothing_is_on_the_page_with_its_reason(
    sweep: Sweep, tmp_path: Path
) -> None:
    lost = plan.plan("small").single("facts", "fst", 102)
    sweep.traceless.add(lost.name)
    store = tmp_path / "archive"
    done = made([10], tmp_path, archive=store)
    again = reproduce.rebuild(store, tmp_path / "again", [10])
    assert f"`{lost.name}` | failed | OSError: no room" in done.markdown.read_text()
    assert again.markdown.read_bytes() == done.markdown.read_bytes()


def test_probes_of_a_diverged_origin_are_on_the_page_with_that_reason(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = plan.plan("small")
    origin = planned.single("math", "rl", 102)
    probe = planned.probe(origin, 102)
    sweep.diverging.add(origin.name)

    def without(cells: Sequence[Cell], *arguments: Any, **options: Any) -> list[CellOutcome]:
        made = sweep([cell for cell in cells if cell != probe], *arguments, **options)
        return [*made, CellOutcome(probe, "no start", "", 0.0)]

    monkeypatch.setattr(reproduce, "make_missing", without)
    done = made([5], tmp_path)
    assert done.failed == ()
    page = done.markdown.read_text()
    why = f"it starts from {origin.name}, which diverged"
    assert f"`{probe.name}` | no start | {why}" in page
    assert f"run {probe.name} has no start: {why}" in page
    assert "1 diverged, 1 no start." in page


def test_the_command_packs_an_archive_and_rebuilds_the_page_from_it(
    sweep: Sweep, tmp_path: Path
) -> None:
    code, stdout, stderr = call("--claims", "10", "--archive", "kept", "--seeds", "3")
    assert code == 0, stderr
    assert stderr.endswith("runs made")
    assert "The page: reports/small/claims.html and reports/small/claims.md" in stdout
    (tmp_path / "kept" / "findings.md").write_text("### Claim 10\n\nIt *holds*.\n")
    sweep.made.clear()
    code, again, stderr = call("--claims", "10", "--from", "kept", "--out", "other", "--quiet")
    assert (code, stderr) == (0, "")
    assert again.replace("other/", "reports/small/") == stdout
    assert sweep.made == []
    page = (tmp_path / "other" / "claims.html").read_text()
    assert "<h3>Claim 10</h3>\n<p>It <em>holds</em>.</p>" in page
    assert "3 seeds" in page


@pytest.mark.usefixtures("sweep")
def test_a_rebuild_may_take_fewer_seeds_than_the_archive_has(tmp_path: Path) -> None:
    made([10], tmp_path, archive=tmp_path / "archive")
    fewer = reproduce.rebuild(tmp_path / "archive", tmp_path / "page", [10], seeds=1)
    (one,) = fewer.judged
    assert set(one.statements[0].measured.value_by_seed) == {100}


@pytest.mark.usefixtures("sweep")
def test_a_rebuild_under_a_budget_that_the_archive_has_no_runs_of_is_refused(
    tmp_path: Path,
) -> None:
    made([10], tmp_path, archive=tmp_path / "archive")
    code, stdout, stderr = call("--from", "archive", "--budget", "full")
    assert (code, stdout) == (2, "")
    assert "holds runs of the budget small, and none of full. Leave --budget out." in stderr
    assert call("--from", "archive", "--budget", "small", "--claims", "10")[0] == 0


@pytest.mark.usefixtures("sweep")
def test_an_archive_keeps_its_plan_and_takes_more_seeds(tmp_path: Path) -> None:
    store = tmp_path / "archive"
    made([10], tmp_path, seeds=3, archive=store)
    one = made([7], tmp_path, seeds=1, archive=store)
    assert set(one.judged[0].statements[0].measured.value_by_seed) == {100}
    kept = Archive.read(store).plan
    assert (kept.budget.name, kept.seeds) == ("small", (100, 102, 103))
    made([10], tmp_path, seeds=4, archive=store)
    again = reproduce.rebuild(store, tmp_path / "page", [10])
    values = again.judged[0].statements[0].measured.value_by_seed
    assert sorted(values) == [100, 102, 103, 104]
    assert values[104] == pytest.approx(0.43)


def test_an_archive_of_another_plan_is_refused_before_any_run(sweep: Sweep, tmp_path: Path) -> None:
    call("--claims", "10", "--archive", "kept", "--seeds", "1")
    before = (tmp_path / "kept" / INDEX).read_bytes()
    sweep.made.clear()
    code, _, stderr = call("--claims", "7", "--budget", "full", "--archive", "kept")
    assert code == 2
    assert "kept under the budget small, and the budget given is full" in stderr
    assert "Go on with it by --budget small, or give another --archive" in stderr
    changed = SETTINGS | {"rl": {"learning_rate": 3e-4, "problems_per_step": 8}}
    write_json_atomically(tmp_path / "settings.json", changed)
    code, _, stderr = call("--claims", "7", "--archive", "kept")
    assert code == 2
    assert "under other settings than cl-bench takes now: learning_rate of rl 0.0006" in stderr
    assert "(now 0.0003). Give another --archive" in stderr
    assert sweep.made == []
    assert (tmp_path / "kept" / INDEX).read_bytes() == before


def test_an_archive_of_another_model_is_refused(tmp_path: Path) -> None:
    kept = Plan(EMBEDDED.budgets["small"], (100,), SETTINGS, "smollm2")
    write_archive([], tmp_path, tmp_path / "kept", kept)
    given = Plan(kept.budget, (101,), SETTINGS)
    with pytest.raises(
        UsageError, match="runs of the model smollm2, and the model now is embedded"
    ):
        joined(given, tmp_path / "kept")


@pytest.mark.usefixtures("sweep")
def test_the_page_that_counts_is_only_written_by_the_full_budget(tmp_path: Path) -> None:
    assert call("--claims", "10", "--seeds", "1", "--budget", "full", "--archive", "full")[0] == 0
    page = (tmp_path / "reports" / "claims.md").read_bytes()
    assert call("--claims", "10", "--seeds", "1")[0] == 0
    assert (tmp_path / "reports" / "claims.md").read_bytes() == page
    assert (tmp_path / "reports" / "small" / "claims.html").exists()
    (tmp_path / "reports" / "claims.md").unlink()
    assert call("--from", "full", "--claims", "10")[0] == 0
    assert (tmp_path / "reports" / "claims.md").read_bytes() == page


def test_a_dry_run_says_what_would_be_made_and_makes_nothing(sweep: Sweep, tmp_path: Path) -> None:
    asked = ("--claims", "10", "--seeds", "1", "--archive", "kept")
    assert call(*asked)[0] == 0
    made_before, packed = len(sweep.made), sorted(tmp_path.rglob("*.zip"))
    code, stdout, _ = call("--claims", "10", "--seeds", "2", "--archive", "kept", "--dry-run")
    assert code == 0
    said = [line.split("  ")[1] for line in stdout.splitlines()]
    assert said == ["would be kept (done)"] * made_before + ["would be made"] * made_before
    assert len(sweep.made) == made_before
    assert sorted(tmp_path.rglob("*.zip")) == packed


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (
            ("--claims", "11"),
            "Unknown claim about embedded 11. Did you mean '1'? Known: 1, 2, 3",
        ),
        (("--claims", "one"), "--claims is 'one', but must be numbers joined by commas"),
        (("--claims", "2", "--model", "smollm2"), "Unknown claim about smollm2 2. Known: 1, 3"),
        (("--model", "gpt"), "Unknown model to try the claims on 'gpt'. Known: embedded, smollm2"),
        (("--ablations", "--model", "smollm2"), "There are no ablations on smollm2"),
        (("--claims", ","), "--claims is ',', but must be a list joined by commas, such as 1,3."),
        (("--claims", ""), "such as 1,3."),
        (("--claims", "1,,3"), "--claims is '1,,3'"),
        (("--budget", "medium"), "Known: full, small"),
        (("--seeds", "0"), "seeds is 0, but must be from 1 to 20"),
        (("--seeds", "21"), "seeds is 21, but must be from 1 to 20"),
        (("--jobs", "-1"), "jobs is -1, but must be at least 0"),
        (("--from", "nowhere"), "There is no archive of runs in nowhere"),
        (("--from", "nowhere", "--archive", "kept"), "leave out --archive, --ablations, --dry-run"),
        (("--from", "nowhere", "--ablations"), "leave out --archive, --ablations, --dry-run"),
        (("--from", "nowhere", "--model", "smollm2"), "the model is the archive's"),
        (("--from", "nowhere", "--jobs", "9"), "the options of where runs are made"),
    ],
)
def test_bad_input_is_one_line(
    sweep: Sweep, tmp_path: Path, arguments: tuple[str, ...], hint: str
) -> None:
    code, stdout, stderr = call(*arguments)
    assert (code, stdout) == (2, "")
    assert hint in stderr
    assert sweep.made == []
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]


@pytest.mark.usefixtures("sweep")
def test_an_archive_of_an_unknown_plan_is_one_error(tmp_path: Path) -> None:
    write_archive(
        [], tmp_path, tmp_path / "archive", Plan(EMBEDDED.budgets["small"], (100,), SETTINGS)
    )
    index = tmp_path / "archive" / INDEX
    index.write_text(index.read_text().replace('"small"', '"huge"'))
    code, _, stderr = call("--from", "archive")
    assert code == 2
    assert "holds no plan that this cl-bench knows (KeyError('huge'))" in stderr


@pytest.mark.usefixtures("sweep")
def test_ctrl_c_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(reproduce, "make_missing", interrupted)
    code, _, stderr = call("--claims", "10")
    assert code == 130
    assert stderr == "cl-bench: interrupted. Finished runs are kept; the same command goes on."
