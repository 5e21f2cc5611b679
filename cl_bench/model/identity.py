"""The identity of a model: the SHA-256 of every file that is read when it is loaded.

It comes from the files alone, for a hub model from those in the hub's cache, because what a library
says of its own loading can be renamed, and then two models without an identity would be equal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cl_bench.contract.errors import ModelError
from cl_bench.store.files import file_hash

ADAPTER, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_READ = (
    *("config.json", "generation_config.json", "chat_template.*", "tokenizer*.json"),
    *("special_tokens_map.json", "added_tokens.json", "vocab*", "merges.txt"),
    *("*.model", "*.tiktoken", "*.spm", "tekken.json", "additional_chat_templates/*.jinja"),
)
"""Files of a folder, besides its weights, that are read if they are there."""
_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_COMMIT = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Where a model's files are."""

    place: Path
    """Its folder, or its GGUF file."""
    revision: str | None = None
    """The commit, of a hub model."""
    adapters: tuple[Path, ...] = ()
    """The folders of adapters that are added into it, in order."""

    def hashes(self) -> dict[str, str]:
        """Return the SHA-256 (hex) of each file that loading reads, by its name, in order.

        Files of adapters stand under `adapter/`, those of a second one under `adapter-2/`.

        Raises `ModelError` if there are no weights, so that two models never agree for want of an
        identity.
        """
        found = self._of_the_base()
        for number, folder in enumerate(self.adapters, 1):
            home = "adapter" if number == 1 else f"adapter-{number}"
            names = {ADAPTER, ADAPTER_WEIGHTS, *_others(folder)}
            found |= {f"{home}/{n}": file_hash(folder / n) for n in sorted(names)}
        return found

    def _of_the_base(self) -> dict[str, str]:
        if self.place.is_file():
            return {self.place.name: file_hash(self.place)}
        weights = list(_weights(self.place))
        missing = [name for name in weights or [_WEIGHTS] if not (self.place / name).is_file()]
        if missing:
            raise ModelError(
                f"The model in {self.place} has no identity: there is no {missing[0]}, which would "
                "be read. Restore it from where the model came from."
            )
        names = sorted({*weights, *_others(self.place)})
        return {n: file_hash(self.place / n) for n in names if (self.place / n).is_file()}


def _others(folder: Path) -> set[str]:
    """The files of a folder, besides its weights, that are read."""
    files = (file for pattern in _READ for file in folder.glob(pattern) if file.is_file())
    return {file.relative_to(folder).as_posix() for file in files}


def _weights(folder: Path) -> Iterator[str]:
    """Yield the names of the files that the weights are read from.

    As transformers finds them: the file that config.json names, else the whole one, else shards.
    """
    config = folder / "config.json"
    said = json.loads(config.read_text("utf-8")) if config.is_file() else {}
    named = said.get("transformers_weights") if isinstance(said, dict) else None
    if named is None:
        named = _WEIGHTS if (folder / _WEIGHTS).is_file() else _INDEX
    if (folder / named).is_file() or named not in (_WEIGHTS, _INDEX):
        yield named
    if named.endswith(".index.json") and (folder / named).is_file():
        yield from set(json.loads((folder / named).read_text("utf-8"))["weight_map"].values())


def hub_files(name: str, revision: str | None, *, offline: bool) -> ModelFiles:
    """Return where the files of a hub model are in the hub's cache, or will be once it is loaded.

    `revision` None is the newest one, or offline the newest that is cached. Errors of the hub pass;
    raises `ModelError` if the cache does not say which commit a file is of.
    """
    from transformers.utils.hub import cached_file

    found = cached_file(name, "config.json", revision=revision, local_files_only=offline)
    folder = Path(str(found)).parent
    if not _COMMIT.fullmatch(folder.name):
        raise ModelError(
            f"The model {name!r} has no identity: the hub's cache ({folder}) does not say which "
            "commit it is. Download it into a folder and give that one."
        )
    return ModelFiles(folder, folder.name)
