"""The tools themselves, one class each, whose library is imported when a tracker starts.

Only what docs/trackers.md names is sent: no console output, no code, no machine statistics.
"""

from __future__ import annotations

import html
import os
import re
import secrets
import time
import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from cl_bench.contract.errors import TrackerError
from cl_bench.trackers import PROJECT, Key, Started, TrackedRun

_WANDB = {
    "console": "off",
    "disable_git": True,
    "save_code": False,
    "silent": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}
_LOST = re.compile(r"\Atrackio(\.\w+\(\))? (failed|skipped)|could not be persisted")
"""What trackio warns of where other libraries raise."""
_PARAMETERS = 100
"""Parameters that an MLflow server takes at once; metrics may be more."""
_VALUE = 500
"""Characters of a parameter's value that every version of MLflow takes."""


class TensorBoard:
    """Event files in the run's folder, by tensorboard's own writer (no torch): scalars (as 32-bit
    numbers), texts as Markdown, the configuration as hyperparameters."""

    def start(self, run: TrackedRun, key: Key | None) -> Started:
        files = _tensorboard("summary.writer.event_file_writer")
        self._writer = files.EventFileWriter(run.folder)
        if key is None:
            self._add(0, _tensorboard("plugins.hparams.summary_v2").hparams_pb(dict(run.config)))
        return Started({"folder": run.folder}, run.folder)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        summary = _tensorboard("compat.proto.summary_pb2").Summary
        scalars = [summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._add(step, summary(value=scalars))

    def text(self, step: int, name: str, text: str) -> None:
        self._add(step, _tensorboard("plugins.text.summary_v2").text_pb(name, text))

    def finish(self, status: str) -> None:
        # For the page of hyperparameters; tensorboard's own function for it needs tensorflow.
        content = _tensorboard("plugins.hparams.plugin_data_pb2")
        tags = _tensorboard("plugins.hparams.metadata")
        number = {"interrupted": 0, "done": 1}.get(status, 2)  # unknown, success, failure
        ended = content.SessionEndInfo(status=number, end_time_secs=time.time())
        about = tags.create_summary_metadata(content.HParamsPluginData(session_end_info=ended))
        summary = _tensorboard("compat.proto.summary_pb2").Summary()
        summary.value.add(tag=tags.SESSION_END_INFO_TAG, metadata=about, tensor=tags.NULL_TENSOR)
        self._add(0, summary)
        self._writer.close()

    def _add(self, step: int, summary: Any) -> None:
        event = _tensorboard("compat.proto.event_pb2").Event
        self._writer.add_event(event(wall_time=time.time(), step=step, summary=summary))
        self._writer.flush()


def _tensorboard(part: str) -> Any:
    return import_module(f"tensorboard.{part}")


class Wandb:
    """A run of Weights & Biases with the settings of the environment (WANDB_MODE and others); its
    charts have the metric `step` as their axis."""

    def start(self, run: TrackedRun, key: Key | None) -> Started:
        self._wandb: Any = import_module("wandb")
        project = os.environ.get("WANDB_PROJECT") or PROJECT
        named = {"id": secrets.token_hex(8), "project": project, **(key or {})}
        self._run = self._wandb.init(
            **named,
            name=run.name,
            group=run.stream,
            job_type=run.learner,
            tags=["cl-bench"],
            config=dict(run.config),
            resume="allow",
            settings=self._wandb.Settings(**_WANDB),
        )
        # Steps of wandb's own only count up, and a resumed run may go back a little.
        self._run.define_metric("step", hidden=True)
        self._run.define_metric("*", step_metric="step")
        return Started(named, self._run.url or f"offline in {self._run.dir}")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log({"step": step, **values})

    def text(self, step: int, name: str, text: str) -> None:
        shown = self._wandb.Html(f"<pre>{html.escape(text)}</pre>", inject=False)
        self._run.log({"step": step, name: shown})

    def finish(self, status: str) -> None:
        self._run.summary["status"] = status
        self._run.finish(exit_code=0 if status == "done" else 1)


class Trackio:
    """A run of trackio: local, or in a Space or server that its own environment variables name. It
    knows runs by their names, so the name ends in random digits."""

    def start(self, run: TrackedRun, key: Key | None) -> Started:
        self._lost: list[str] = []
        self._show: Any = warnings.showwarning
        warnings.showwarning = self._hear
        self._trackio: Any = import_module("trackio")
        named = {"project": PROJECT, "name": f"{run.name}-{secrets.token_hex(4)}", **(key or {})}
        self._run = self._trackio.init(
            **named,
            group=run.stream,
            config=dict(run.config),
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        return Started(named, f"{named['name']} in the project {named['project']}")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)
        self._require_kept()

    def text(self, step: int, name: str, text: str) -> None:
        self._run.log({name: self._trackio.Markdown(text)}, step=step)

    def finish(self, status: str) -> None:
        self._run.finish()
        warnings.showwarning = self._show
        self._require_kept()

    def _hear(self, message: Warning | str, *about: Any, **more: Any) -> None:
        if _LOST.search(str(message)):
            self._lost.append(str(message))
        self._show(message, *about, **more)

    def _require_kept(self) -> None:
        if self._lost:
            raise TrackerError(self._lost[0])


class MLflow:
    """A run of an MLflow experiment, wherever MLFLOW_TRACKING_URI points, else mlflow's own default
    (mlflow.db here); texts are its artifacts."""

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
        now, metric = int(time.time() * 1000), self._entities.Metric
        metrics = [metric(_mlflow_name(name), value, now, step) for name, value in values.items()]
        self._client.log_batch(self._run, metrics=metrics)

    def text(self, step: int, name: str, text: str) -> None:
        self._client.log_text(self._run, text, f"{_mlflow_name(name)}/step-{step:06d}.md")

    def finish(self, status: str) -> None:
        told = {"done": "FINISHED", "interrupted": "KILLED"}.get(status, "FAILED")
        self._client.set_terminated(self._run, told)

    def _begin(self, run: TrackedRun) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT
        found = self._client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self._client.create_experiment(name)
        tags = {"stream": run.stream, "learner": run.learner}
        number = str(self._client.create_run(experiment, tags=tags, run_name=run.name).info.run_id)
        parameters = [
            self._entities.Param(_mlflow_name(name), str(value)[:_VALUE])
            for name, value in run.config.items()
            if str(value)
        ]
        for first in range(0, len(parameters), _PARAMETERS):
            self._client.log_batch(number, params=parameters[first : first + _PARAMETERS])
        return number


def _mlflow_name(name: str) -> str:
    """A name as every version of mlflow takes it."""
    return re.sub(r"[^\w./ -]", "_", name)
