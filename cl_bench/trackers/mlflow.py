"""MLflow: wherever MLFLOW_TRACKING_URI points, else mlflow's own default (mlflow.db here)."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from cl_bench.trackers import PROJECT, Key, Started, TrackedRun

_BATCH = 100
"""Parameters that a server takes at once; metrics may be more."""
_VALUE = 500
"""Characters of a parameter's value that every version takes."""
_NOT_A_NAME = re.compile(r"[^\w./ -]")
_STATUSES = {"done": "FINISHED", "interrupted": "KILLED"}


class MLflow:
    """A run of an MLflow experiment; texts are its artifacts."""

    def start(self, run: TrackedRun, key: Key | None) -> Started:
        # A server that is not there is found out in seconds then, not in minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
        mlflow: Any = import_module("mlflow")
        self._entities: Any = import_module("mlflow.entities")
        uri = key["uri"] if key else str(mlflow.get_tracking_uri())
        if "://" not in uri or uri.startswith("file:"):
            # Whoever asks for files gets them, though mlflow prefers a database by now.
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        self._client = mlflow.MlflowClient(tracking_uri=uri)
        if key:
            self._run = key["run"]
            self._client.update_run(self._run, status="RUNNING")
        else:
            self._run = self._begin(run)
        return Started({"uri": uri, "run": self._run}, f"run {self._run} at {uri}")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        metrics = [
            self._entities.Metric(_name(name), value, now, step) for name, value in values.items()
        ]
        self._client.log_batch(self._run, metrics=metrics)

    def text(self, step: int, name: str, text: str) -> None:
        self._client.log_text(self._run, text, f"{_name(name)}/step-{step:06d}.md")

    def finish(self, status: str) -> None:
        self._client.set_terminated(self._run, _STATUSES.get(status, "FAILED"))

    def _begin(self, run: TrackedRun) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT
        found = self._client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self._client.create_experiment(name)
        tags = {"stream": run.stream, "learner": run.learner}
        begun = self._client.create_run(experiment, tags=tags, run_name=run.name)
        parameters = [
            self._entities.Param(_name(key), str(value)[:_VALUE])
            for key, value in run.config.items()
            if str(value)
        ]
        for batch in _batches(parameters):
            self._client.log_batch(begun.info.run_id, params=batch)
        return str(begun.info.run_id)


def _name(name: str) -> str:
    """A name as every version of mlflow takes it."""
    return _NOT_A_NAME.sub("_", name)


def _batches(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for first in range(0, len(items), _BATCH):
        yield items[first : first + _BATCH]
