"""TensorBoard: event files in the run's folder, through tensorboard's own writer (no torch)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from cl_bench.trackers import Key, Started, TrackedRun

_FLUSH = 10
"""Seconds after which what was logged is on the disk."""
_STATUSES = {"interrupted": 0, "done": 1}
"""Unknown and success in `tensorboard.hparams.Status`; 2 is failure."""


class TensorBoard:
    """Scalars (as 32-bit numbers), texts as Markdown, the configuration as hyperparameters."""

    def start(self, run: TrackedRun, key: Key | None) -> Started:
        self._writer = _part("summary.writer.event_file_writer").EventFileWriter(
            run.folder, flush_secs=_FLUSH
        )
        if key is None:
            self._add(0, _part("plugins.hparams.summary_v2").hparams_pb(dict(run.config)))
        return Started({"folder": run.folder}, run.folder)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        summary = _part("compat.proto.summary_pb2").Summary
        scalars = [summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._add(step, summary(value=scalars))

    def text(self, step: int, name: str, text: str) -> None:
        self._add(step, _part("plugins.text.summary_v2").text_pb(name, text))

    def finish(self, status: str) -> None:
        self._add(0, _session_end(status))
        self._writer.close()

    def _add(self, step: int, summary: Any) -> None:
        event = _part("compat.proto.event_pb2").Event
        self._writer.add_event(event(wall_time=time.time(), step=step, summary=summary))


def _part(name: str) -> Any:
    return import_module(f"tensorboard.{name}")


def _session_end(status: str) -> Any:
    """How the run ended, for the page of hyperparameters; tensorboard's own needs tensorflow."""
    content, tags = _part("plugins.hparams.plugin_data_pb2"), _part("plugins.hparams.metadata")
    ended = content.SessionEndInfo(status=_STATUSES.get(status, 2), end_time_secs=time.time())
    about = tags.create_summary_metadata(content.HParamsPluginData(session_end_info=ended))
    summary = _part("compat.proto.summary_pb2").Summary()
    summary.value.add(tag=tags.SESSION_END_INFO_TAG, metadata=about, tensor=tags.NULL_TENSOR)
    return summary
