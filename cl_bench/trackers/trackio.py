"""Trackio: local by default, or a Space or server that its own environment variables name."""

from __future__ import annotations

import re
import secrets
import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from cl_bench.contract.errors import TrackerError
from cl_bench.trackers import PROJECT, Key, Started, TrackedRun

_LOST = re.compile(r"\Atrackio(\.\w+\(\))? (failed|skipped)|could not be persisted")
"""What trackio warns of where other libraries raise."""


class Trackio:
    """A run of trackio. It knows runs by their names, so the name ends in random digits."""

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
