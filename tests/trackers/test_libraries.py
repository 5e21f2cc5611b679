"""The libraries themselves, each where it is installed: what was sent is read back from its files.

Each sends in a process of its own, without a network, as `cl-bench track` does.
"""

from __future__ import annotations

import json
import os
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from cl_bench.store.run_directory import RunDirectory
from cl_bench.trackers import installed

REWARDS = {1: 0.5, 2: 1.0}
TRACK = "from cl_bench.cli.app import main; main()"
READ_EVENTS = """
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={"tensors": 0, "scalars": 0})
events.Reload()
tags = events.Tags()
print(json.dumps({
    "scalars": {t: [[e.step, e.value] for e in events.Scalars(t)] for t in tags["scalars"]},
    "texts": {t: [e.tensor_proto.string_val[0].decode() for e in events.Tensors(t)]
              for t in tags["tensors"] if not t.startswith("_")},
    "others": [t for t in tags["tensors"] if t.startswith("_")],
}))
"""
READ_MLFLOW = """
import json, sys
from mlflow import MlflowClient
client = MlflowClient()
(experiment,) = client.search_experiments(filter_string="name = 'cl-bench'")
(run,) = client.search_runs([experiment.experiment_id])
history = client.get_metric_history(run.info.run_id, "train/reward")
folder = client.list_artifacts(run.info.run_id, "prompts/population")
print(json.dumps({
    "status": run.info.status, "name": run.info.run_name, "parameters": run.data.params,
    "rewards": [[metric.step, metric.value] for metric in history],
    "metrics": run.data.metrics, "files": [file.path for file in folder],
}))
"""


def needs(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not installed(name), reason=f"{name} is not installed")


def python(code: str, *arguments: str, cwd: Path, **environment: str) -> str:
    """The last line that the code prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


@needs("tensorboard")
def test_tensorboard_reads_its_event_files(recorded: RunDirectory, tmp_path: Path) -> None:
    said = python(TRACK, "track", str(recorded.path), "--to", "tensorboard", cwd=tmp_path)
    folder = tmp_path / "tensorboard" / "recorded"
    assert said == f"{recorded.path} → tensorboard: {folder}"
    found = json.loads(python(READ_EVENTS, str(folder), cwd=tmp_path))
    assert dict(found["scalars"]["train/reward"]) == REWARDS
    assert found["scalars"]["eval/math/learner/accuracy"] == [[0, 0.25], [2, 0.75]]
    assert found["scalars"]["summary/rollouts"] == [[2, 12.0]]
    assert found["texts"]["prompts/population"][0].startswith("**Round 1**")
    assert found["others"] == ["_hparams_/session_start_info", "_hparams_/session_end_info"]


@needs("wandb")
def test_wandb_keeps_an_offline_run(recorded: RunDirectory, tmp_path: Path) -> None:
    offline = {"WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path)}
    python(TRACK, "track", str(recorded.path), "--to", "wandb", cwd=tmp_path, **offline)
    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    records = [*wandb_records(file)]
    rows = [
        {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}
        for record in records
        if (items := record.history.item)
    ]
    assert {r["step"]: r["train/reward"] for r in rows if "train/reward" in r} == REWARDS
    assert [r["summary/rollouts"] for r in rows if "summary/rollouts" in r] == [12]
    (begun,) = (record.run for record in records if record.WhichOneof("record_type") == "run")
    assert (begun.display_name, begun.project, begun.run_group) == ("recorded", "cl-bench", "math")
    (media,) = file.parent.glob("files/media/html/**/*.html")
    assert "&lt;script&gt;alert(1)" in media.read_text()


@needs("trackio")
def test_trackio_keeps_a_local_run(recorded: RunDirectory, tmp_path: Path) -> None:
    local = {"TRACKIO_DIR": str(tmp_path / "trackio")}
    python(TRACK, "track", str(recorded.path), "--to", "trackio", cwd=tmp_path, **local)
    with sqlite3.connect(tmp_path / "trackio" / "cl-bench.db") as store:
        rows = store.execute("select step, metrics from metrics").fetchall()
    store.close()
    logged = [(step, json.loads(metrics)) for step, metrics in rows]
    assert {step: m["train/reward"] for step, m in logged if "train/reward" in m} == REWARDS


@needs("mlflow")
@pytest.mark.parametrize("store", ["file", pytest.param("database", marks=pytest.mark.slow)])
def test_mlflow_keeps_a_run(recorded: RunDirectory, tmp_path: Path, store: str) -> None:
    """In files, which it takes when asked to, and in the database that it makes by itself."""
    where = {"MLFLOW_TRACKING_URI": f"file://{tmp_path}/mlruns", "MLFLOW_ALLOW_FILE_STORE": "true"}
    told = {"MLFLOW_DISABLE_TELEMETRY": "true"} | (where if store == "file" else {})
    python(TRACK, "track", str(recorded.path), "--to", "mlflow", cwd=tmp_path, **told)
    found = json.loads(python(READ_MLFLOW, cwd=tmp_path, **told))
    assert (found["status"], found["name"]) == ("FINISHED", "recorded")
    assert dict(found["rewards"]) == REWARDS
    assert found["metrics"]["summary/rollouts"] == 12
    assert found["parameters"]["config.learning.group_size"] == "4"
    assert found["files"] == ["prompts/population/step-000002.md"]
    assert (tmp_path / "mlflow.db").exists() == (store == "database")


def wandb_records(path: Path) -> Iterator[Any]:
    """The records of a .wandb file: a log in LevelDB's format, after a header of seven bytes."""
    record_type: Any = import_module("wandb.proto.wandb_internal_pb2").Record
    data, place, part = path.read_bytes(), 7, b""
    while place + 7 <= len(data):
        left = 32_768 - place % 32_768
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        part += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            record = record_type()
            record.ParseFromString(part)
            yield record
            part = b""
