"""The part of mlflow that cl-bench uses, recorded."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

record: Any = import_module("tracker_calls").record


@dataclass
class _Info:
    run_id: str


@dataclass
class _Run:
    info: _Info


def get_tracking_uri() -> str:
    return "http://tracking.example"


class MlflowClient:
    def __init__(self, tracking_uri: str) -> None:
        record("client", uri=tracking_uri)

    def get_experiment_by_name(self, name: str) -> None:
        record("get_experiment_by_name", name=name)

    def create_experiment(self, name: str) -> str:
        record("create_experiment", name=name)
        return "7"

    def create_run(self, experiment_id: str, **about: object) -> _Run:
        record("create_run", experiment=experiment_id, **about)
        return _Run(_Info("run-1"))

    def update_run(self, run_id: str, **about: object) -> None:
        record("update_run", run=run_id, **about)

    def log_batch(self, run_id: str, metrics: Any = (), params: Any = ()) -> None:
        step = metrics[0].step if metrics else None
        record(
            "log_batch",
            step=step,
            run=run_id,
            metrics={metric.key: metric.value for metric in metrics},
            params={param.key: param.value for param in params},
        )

    def log_text(self, run_id: str, text: str, artifact_file: str) -> None:
        record("log_text", run=run_id, text=text, file=artifact_file)

    def set_terminated(self, run_id: str, status: str) -> None:
        record("set_terminated", run=run_id, status=status)
