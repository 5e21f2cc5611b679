"""Outside packages, really installed: one that works, and one that is broken beside it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from cl_bench.api import Run
from cl_bench.store.views import stream_rows

Outside = Callable[..., CompletedProcess[str]]

HERE = Path(__file__).parent
COMMAND = ("-c", "from cl_bench.cli.app import main; main()")
SMALL = (
    *("--eval-every", "3", "--problems-per-step", "2", "--group-size", "2", "--items", "2"),
    *("--samples", "2", "--max-new-tokens", "4", "--quiet"),
)
BROKEN = """
[cl_bench.tasks]
absent = no_such_module:DOMAIN
leaving = cl_bench_broken:missing
[cl_bench.streams]
lost = cl_bench_broken:STREAM
[cl_bench.learners]
texts = cl_bench_broken:TEXT
[cl_bench.metrics]
raising = cl_bench_broken:RAISING
"""
BROKEN_MODULE = """
'''Nothing here works.'''
from cl_bench.metrics import Metric
from cl_bench.contract.stream import Stage, Stream
STREAM = Stream("cl-bench-broken/lost", (Stage("nowhere", 3),))
TEXT = "no factory"
def fail(matrix):
    raise RuntimeError("always")
RAISING = Metric("raises", fail)
"""
CHECKS = """
import cl_bench, sys
assert cl_bench.check_task("cl-bench-example/colours") == []
assert cl_bench.check_learner("cl-bench-example/bandit") == []
run = cl_bench.run(
    "math-to-cl-bench-example/colours", "cl-bench-example/bandit", model=sys.argv[1], steps=1,
    setting="easy", items=2, samples=2, max_new_tokens=4, problems_per_step=2,
)
print(run.path)
"""


@pytest.fixture(scope="module")
def installed(outside: Outside, tmp_path_factory: pytest.TempPathFactory) -> Outside:
    """The environment with cl-bench-example and the broken package."""
    source = tmp_path_factory.mktemp("source") / "plugin"
    shutil.copytree(HERE / "plugin", source)
    done = outside(
        "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", source
    )
    assert done.returncode == 0, done.stderr
    site = Path(outside("-c", "import cl_bench_example as e; print(e.__path__[0])").stdout).parent
    (site / "cl_bench_broken.py").write_text(BROKEN_MODULE)
    metadata = site / "cl_bench_broken-0.1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: cl_bench_broken\nVersion: 0.1\n"
    )
    (metadata / "entry_points.txt").write_text(BROKEN)
    return outside


@pytest.fixture(scope="module")
def run(installed: Outside, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of the package's stream and learner by the command line."""
    out = tmp_path_factory.mktemp("runs") / "run"
    done = installed(
        *COMMAND, "run", "--stream", "cl-bench-example/warm-up", "--learner",
        "cl-bench-example/bandit", "--model", str(tiny_model), "--out", str(out), *SMALL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Run(out)


def test_list_names_what_the_package_adds_and_what_is_broken_and_why(installed: Outside) -> None:
    done = installed(*COMMAND, "list")
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in done.stdout.splitlines()}
    for name, said in {
        "cl-bench-example/colours": "colours: the sum of what colours are worth",
        "cl-bench-example/warm-up": "easy math, then colours. (cl-bench-example 1.2)",
        "cl-bench-example/bandit": "choose between three fixed system prompts",
        "cl-bench-example/weakest": "accuracy of the weakest task at the end",
        "cl-bench-broken/absent": "broken: ModuleNotFoundError: No module named 'no_such_module'",
        "cl-bench-broken/leaving": "broken: AttributeError: module 'cl_bench_broken' has no",
        "cl-bench-broken/lost": "broken: Unknown domain 'nowhere'.",
        "cl-bench-broken/texts": "broken: it is of type str; offer a LearnerFactory",
        "math": "chains of house operators",
    }.items():
        assert lines[name].startswith(said), name


def test_a_run_writes_the_full_names_into_its_tables(run: Run) -> None:
    assert run.status == "done"
    in_stream = stream_rows(run.table("evaluations"))
    assert set(in_stream["domain"]) == {"math", "cl-bench-example/colours"}
    assert set(run.table("steps")["domain"]) == {"math", "cl-bench-example/colours"}
    uids = run.table("items").query("domain == 'cl-bench-example/colours'")["uid"]
    assert uids.str.startswith("cl-bench-example/colours/test/").all()
    ledger = run.table("ledger").query("step == 6").set_index("channel")["rollouts"]
    assert dict(ledger) == {"slow": 0, "fast": 12}


def test_the_manifest_names_the_package_and_its_version_and_no_other(run: Run) -> None:
    assert run.manifest["plugins"] == {"cl-bench-example": "1.2"}
    assert run.manifest["learner"] == "cl-bench-example/bandit"
    assert run.manifest["stream"]["name"] == "cl-bench-example/warm-up"


def test_the_summary_shows_its_metric_and_why_a_failing_one_has_no_value(run: Run) -> None:
    lines = (run.path / "summary.txt").read_text().splitlines()
    (weakest,) = (line for line in lines if line.startswith("cl-bench-example/weakest"))
    rows = stream_rows(run.table("evaluations"))
    accuracy = rows.query("step == 6 and prompt == 'learner'")["accuracy"]
    assert weakest.split()[1] == f"{100 * accuracy.min():.1f}"
    (raising,) = (line for line in lines if line.startswith("cl-bench-broken/raising"))
    assert "undefined: raised RuntimeError: always" in raising


def test_it_passes_the_checks_and_joins_streams_by_name(
    installed: Outside, tiny_model: Path, tmp_path: Path
) -> None:
    done = installed("-c", CHECKS, str(tiny_model), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = "math-to-cl-bench-example_colours-cl-bench-example_bandit-0"
    assert done.stdout.splitlines()[-1] == f"results/{folder}"
    stages = Run(tmp_path / "results" / folder).manifest["stream"]["stages"]
    assert [stage["domain"] for stage in stages] == ["math", "cl-bench-example/colours"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--learner", "cl-bench-broken/texts"), "it is of type str"),
        (("--stream", "math-to-cl-bench-broken/absent"), "No module named 'no_such_module'"),
    ],
)
def test_a_broken_one_is_refused_by_name_in_one_line(
    installed: Outside, options: tuple[str, str], reason: str, tmp_path: Path
) -> None:
    done = installed(*COMMAND, "run", *options, cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "of the package cl-bench-broken 0.1 is broken" in line
    assert reason in line
    assert not list(tmp_path.iterdir())


def test_a_run_is_not_resumed_with_another_version_of_its_package(
    installed: Outside, run: Run, tmp_path: Path
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run.path, copy)
    manifest = {**run.manifest, "status": "running", "plugins": {"cl-bench-example": "1.1"}}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    done = installed(*COMMAND, "run", "--resume", str(copy))
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "begun with cl-bench-example 1.1, which is now 1.2" in line
    assert "pip install cl-bench-example==1.1" in line
