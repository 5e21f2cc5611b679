"""What many runs of a page have alike, kept once."""

from __future__ import annotations

import json
from typing import Any


class Shared:
    """Values without doubles, in the order in which they came."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self.values: list[Any] = []

    def place(self, value: Any) -> int:
        """Where the value stands in `values`."""
        key = json.dumps(value, sort_keys=True)
        if key not in self._places:
            self._places[key] = len(self.values)
            self.values.append(value)
        return self._places[key]
