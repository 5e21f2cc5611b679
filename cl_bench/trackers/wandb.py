"""Weights & Biases: `wandb.init` with the settings of the environment (WANDB_MODE and others).

Only what docs/trackers.md names is sent: no console output, no code, no machine statistics.
"""

from __future__ import annotations

import html
import os
import secrets
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from cl_bench.trackers import PROJECT, Key, Started, TrackedRun

_SETTINGS = {
    "console": "off",
    "disable_git": True,
    "save_code": False,
    "silent": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}


class Wandb:
    """A run of wandb; its charts have the metric `step` as their axis."""

    def start(self, run: TrackedRun, key: Key | None) -> Started:
        self._wandb: Any = import_module("wandb")
        named = {
            "id": secrets.token_hex(8),
            "project": os.environ.get("WANDB_PROJECT") or PROJECT,
            **(key or {}),
        }
        self._run = self._wandb.init(
            **named,
            name=run.name,
            group=run.stream,
            job_type=run.learner,
            tags=["cl-bench"],
            config=dict(run.config),
            resume="allow",
            settings=self._wandb.Settings(**_SETTINGS),
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
