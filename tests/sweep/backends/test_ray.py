"""The real Ray, as a cluster of nodes on this machine: `tox -e ray` runs these."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest

from cl_bench.api import Run
from cl_bench.contract.errors import UsageError
from cl_bench.store.schema import TABLES
from cl_bench.sweep.backends.backend import BackendConfig, open_backend
from cl_bench.sweep.cell import Cell
from cl_bench.sweep.display import RUNNING, Quiet, SweepView
from cl_bench.sweep.pool import make_missing
from cl_bench.verify.run import verify_run

pytestmark = [
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: tox -e ray"),
    pytest.mark.filterwarnings("ignore"),  # those of Ray's libraries
]
SMALL: dict[str, Any] = {
    "eval_every": 5,
    "problems_per_step": 2,
    "group_size": 2,
    "items": 2,
    "samples": 1,
    "setting": "easy",
    "retention_items": 0,
    "threads": 1,
}
MEASURED = ("seconds", "memory")
"""What a column's name has in it that is not the same in equal runs."""


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A cluster whose first node makes no runs."""
    # its nodes import what this process does
    monkeypatch.setenv("PYTHONPATH", ":".join(str(Path(entry).absolute()) for entry in sys.path))
    with TemporaryDirectory(prefix="r", dir="/tmp") as short:  # as a socket's name has to be
        monkeypatch.setenv("RAY_TMPDIR", short)
        started = import_module("ray.cluster_utils").Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
        )
        yield started
        started.shutdown()


def small(seed: int, start: Cell | None = None, **options: Any) -> Cell:
    return Cell("math", "rl", seed, 40, {**SMALL, **options}, start)


class Watch(Quiet):
    """Calls `act` once, as soon as `when` holds for a row of a cell that runs."""

    def __init__(self, when: Callable[[Any], bool], act: Callable[[Any], None]) -> None:
        super().__init__()
        self._when, self._act = when, act
        self.row: Any = None

    def show(self, view: SweepView) -> None:
        for row in view.rows():
            if self.row is None and row.state == RUNNING and self._when(row):
                self.row = row
                self._act(row)


@pytest.mark.slow
def test_a_node_that_is_lost_loses_and_doubles_no_row(cluster: Any, tmp_path: Path) -> None:
    nodes = {node.node_id[:6]: node for node in (cluster.add_node(num_cpus=1) for _ in range(2))}
    origin = small(1, keep_stage_models=True)
    broken = small(2, items=0)
    cells = [origin, broken, small(3), small(4, origin)]

    def lose(row: Any) -> None:
        number = row.where.partition("(")[2].rstrip(")")
        cluster.remove_node(nodes[number], allow_graceful=False)

    watch = Watch(lambda row: row.reached is not None and row.reached.step >= 12, lose)
    on = BackendConfig(backend="ray", ray_address=cluster.address)
    outcomes = make_missing(cells, tmp_path / "ray", on=on, display=watch)
    assert watch.row is not None
    found = {outcome.cell: outcome for outcome in outcomes}
    assert len(found) == len(outcomes)
    assert {cell: found[cell].status for cell in cells} == {
        cell: "failed" if cell == broken else "done" for cell in cells
    }, outcomes
    assert found[broken].reason.startswith("UsageError: items is 0, but must be at least 1")
    assert [one.cell.name for one in outcomes if "submitted 2 times" in one.note] == [
        watch.row.name
    ]
    assert not list((tmp_path / "ray").glob(".shared*"))

    local = BackendConfig(jobs=2)
    make_missing(cells, tmp_path / "local", on=local, display=Quiet())
    for cell in cells:
        if cell != broken:
            same_rows(tmp_path / "ray" / cell.name, tmp_path / "local" / cell.name)
    assert make_missing(cells[2:], tmp_path / "ray", on=on, display=Quiet()) == []


@pytest.mark.slow
def test_a_sweep_that_is_interrupted_ends_its_runs_and_goes_on(
    cluster: Any, tmp_path: Path
) -> None:
    cluster.add_node(num_cpus=1)
    on = BackendConfig(backend="ray", ray_address=cluster.address)
    cell = small(1)

    def interrupt(_: Any) -> None:
        raise KeyboardInterrupt

    watch = Watch(lambda row: row.reached is not None and row.reached.step >= 12, interrupt)
    with pytest.raises(KeyboardInterrupt):
        make_missing([cell], tmp_path, on=on, display=watch)
    assert Run(tmp_path / cell.name).status == "running"
    assert [one.status for one in make_missing([cell], tmp_path, on=on, display=Quiet())] == [
        "done"
    ]
    assert verify_run(tmp_path / cell.name).findings == []


def test_what_a_cluster_lacks_is_told_before_a_run_begins(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on: dict[str, Any] = {"backend": "ray", "ray_address": cluster.address}
    with pytest.raises(UsageError, match="No node of the cluster has a CPU"):
        open_backend(tmp_path, BackendConfig(**on))
    cluster.add_node(num_cpus=1, num_gpus=2)
    with pytest.raises(UsageError, match=r"gpus_per_run is 3, but no node .* more than 2 GPUs"):
        open_backend(tmp_path, BackendConfig(**on, gpus_per_run=3))
    assert list(tmp_path.iterdir()) == []
    # a path that is another folder in each process, as on machines that share nothing
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="/proc/self/cwd/runs is not one folder for all nodes"):
        open_backend(Path("/proc/self/cwd/runs"), BackendConfig(**on))


def test_an_address_where_nobody_answers_is_told(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(UsageError, match=f"Nobody answers at ray_address '{address}'"):
            open_backend(tmp_path, BackendConfig(backend="ray", ray_address=address))
    for wrong in ("there", "there:²", "ray://there:10001"):
        with pytest.raises(UsageError, match="must be HOST:PORT"):
            open_backend(tmp_path, BackendConfig(backend="ray", ray_address=wrong))


def same_rows(path: Path, other: Path) -> None:
    """Both runs are whole, and their tables equal but for what was measured of the machine."""
    assert verify_run(path).findings == []
    for name in TABLES.keys() - {"timing"}:  # which part of the time a process took for what
        one, two = (Run(place).table(name) for place in (path, other))
        kept = [column for column in one if not any(word in column for word in MEASURED)]
        pd.testing.assert_frame_equal(one[kept], two[kept])
