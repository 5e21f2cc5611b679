"""Presets: settings that belong to a model and a learner, used where the user gives none.

A preset is a TOML file here: keys for every learner, a table `[learner.NAME]` of one learner's own,
and a table `[lora]` of what an adapter takes in their place. They lie over the defaults of the
settings' dataclasses, each over the one before: that of the model (`embedded.toml`, or
`pretrained.toml` and the model's own, such as `smollm2.toml`), then one asked for by name
(`--preset paper`), which may name the model that it is made for: it is taken where none is given. A
file given with `--config` and options win over all.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cl_bench.contract.errors import unknown
from cl_bench.model.named import EMBEDDED, short_name

_HERE = Path(__file__).parent
_PRETRAINED = "pretrained"
_LEARNER, _LORA = "learner", "lora"
"""The tables of the learners' own settings, and of an adapter's."""
_NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Preset:
    """The settings that a run takes unless its user gives others: presets, one over another."""

    name: str
    """Their names, joined by " + "."""
    layers: tuple[Mapping[str, Any], ...]
    """Their files' contents, each over the one before."""

    @property
    def model(self) -> str | None:
        """The model that the last of them is made for, where it names one."""
        return self.layers[-1].get("model")

    def options(self, learner: str, given: Mapping[str, Any] = _NONE) -> dict[str, Any]:
        """Return the settings for that learner, where those `given` win over them."""
        peft = [layer["peft"] for layer in (*self.layers, given) if "peft" in layer]
        adapts = peft[-1:] == ["lora"]
        found: dict[str, Any] = {}
        for layer in self.layers:
            found |= {n: value for n, value in layer.items() if n not in (_LEARNER, _LORA)}
            found |= layer.get(_LEARNER, {}).get(learner, {})
            found |= layer.get(_LORA, {}) if adapts else {}
        # Without the adapter that a preset is made for, its size is nothing to refuse.
        return {n: value for n, value in found.items() if adapts or not n.startswith("lora_")}

    def words(self, learner: str, given: Mapping[str, Any], known: Container[str]) -> str:
        """Return the settings in one line: the preset's, of those that are `known`.

        Options that were `given` replace the preset's and are marked.
        """
        own = self.options(learner, given)
        taken = {n: given.get(n, value) for n, value in own.items() if n in known}
        shown = ", ".join(
            f"{name} {json.dumps(value, ensure_ascii=False)}{' (given)' if name in given else ''}"
            for name, value in taken.items()
        )
        return f"settings of {self.name}: {shown}" if shown else ""


def names() -> list[str]:
    """Return the names of all presets."""
    return sorted(file.stem for file in _HERE.glob("*.toml"))


def summary(name: str) -> str:
    """Return a preset's own description, the first comment of its file."""
    first = _file(name).read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix("# ")


def preset_of(model: str | None, asked: str | None = None) -> Preset:
    """Return the preset of a model by its short name, path or hub name; nothing is fetched.

    A copy of the file of a model with a short name is that model. The preset `asked` for lies over
    the model's; without a model that is the one it is made for, else the embedded one. Raises
    `UsageError` if there is no preset of that name.
    """
    if asked is not None and asked not in names():
        raise unknown("preset", asked, names())
    if model is None:
        model = str(_read(asked).get("model", EMBEDDED)) if asked else EMBEDDED
    if model == EMBEDDED or _is_embeddeds_kin(Path(model)):
        chain = [EMBEDDED]
    else:
        own = short_name(model)
        chain = [_PRETRAINED, own] if own and _file(own).is_file() else [_PRETRAINED]
    shown = [chain[-1]]
    if asked is not None and asked != shown[0]:
        shown.append(asked)
        chain.append(asked)
    return Preset(" + ".join(shown), tuple(_read(name) for name in chain))


def _file(name: str) -> Path:
    return _HERE / f"{name}.toml"


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(_file(name).read_text(encoding="utf-8"))


def _is_embeddeds_kin(folder: Path) -> bool:
    """Tell whether a folder holds a model that was trained from the embedded one.

    It has the same tokenizer, whose config names the style of reflection.
    """
    try:
        said = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(said, dict) and said.get("reflection_style") == "rules"
