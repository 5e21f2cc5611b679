"""Presets: the settings that a model takes unless the user gives others.

The defaults of the configuration are those of the embedded model. Any other model starts from
`pretrained.toml`; the settings of a file of its own, such as `smollm2.toml`, replace those. An
explicit option wins over both.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cl_bench.model.named import EMBEDDED, short_name

_HERE = Path(__file__).parent
_PRETRAINED = "pretrained"


@dataclass(frozen=True)
class Preset:
    """The options of `cl_bench.run` that a model takes."""

    name: str
    """`embedded`, or the file's name without its ending."""
    options: Mapping[str, Any]
    """The options that differ from the configuration's own defaults."""

    def words(self, given: Mapping[str, Any], known: Container[str]) -> str:
        """Return the settings of a run in one line: the preset's, of those that are `known`.

        Options that were `given` replace the preset's and are marked.
        """
        taken = {n: given.get(n, value) for n, value in self.options.items() if n in known}
        shown = ", ".join(
            f"{name} {json.dumps(value, ensure_ascii=False)}{' (given)' if name in given else ''}"
            for name, value in taken.items()
        )
        return f"settings of {self.name}: {shown}"


def preset_of(model: str) -> Preset:
    """Return the preset of a model by its short name, path or hub name; nothing is fetched.

    A copy of the file of a model with a short name is that model.
    """
    if model == EMBEDDED or _is_embeddeds_kin(Path(model)):
        return Preset(EMBEDDED, {})
    options = _read(_PRETRAINED)
    own = short_name(model)
    if own and (_HERE / f"{own}.toml").is_file():
        return Preset(own, {**options, **_read(own)})
    return Preset(_PRETRAINED, options)


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((_HERE / f"{name}.toml").read_text(encoding="utf-8"))


def _is_embeddeds_kin(folder: Path) -> bool:
    """Tell whether a folder holds a model that was trained from the embedded one.

    It has the same tokenizer, whose config names the style of reflection.
    """
    try:
        said = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(said, dict) and said.get("reflection_style") == "rules"
