"""The part of wandb that cl-bench uses, recorded."""

from __future__ import annotations

from importlib import import_module
from typing import Any

record: Any = import_module("tracker_calls").record


class Html:
    def __init__(self, data: str, inject: bool = True) -> None:
        self.data, self.inject = data, inject

    def __repr__(self) -> str:
        return f"Html({self.data!r}, inject={self.inject})"


class Settings:
    def __init__(self, **given: object) -> None:
        self.given = given

    def __repr__(self) -> str:
        return f"Settings({self.given})"


class Run:
    url: str | None = None
    dir = "/wandb/offline-run"

    def __init__(self) -> None:
        self.summary: dict[str, object] = {}

    def define_metric(self, name: str, **about: object) -> None:
        record("define_metric", name=name, **about)

    def log(self, data: dict[str, object]) -> None:
        record("log", step=int(str(data["step"])), data=data)

    def finish(self, exit_code: int) -> None:
        record("finish", exit_code=exit_code, summary=self.summary)


def init(**given: object) -> Run:
    record("init", **given)
    return Run()
