"""What the fake libraries share: every call becomes a line in the file TRACKER_CALLS.

TRACKER_FAULT makes a call misbehave: `<call>:raise`, `<call>:exit` or `<call>:hang`, or with a
step, `log@3:raise`. Each call also draws from the global generators, as libraries do.
"""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path


def record(call: str, step: int | None = None, **about: object) -> None:
    random.random()
    line = json.dumps({"call": call, "step": step, **about}, default=repr)
    with Path(os.environ["TRACKER_CALLS"]).open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    where, _, fault = os.environ.get("TRACKER_FAULT", "").partition(":")
    if where in (call, f"{call}@{step}"):
        _misbehave(fault)


def _misbehave(fault: str) -> None:
    if fault == "raise":
        raise OSError("No space left on device; key sekrit-token-1")
    if fault == "exit":
        os._exit(7)
    time.sleep(600)
