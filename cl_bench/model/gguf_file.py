"""A causal LM and its tokenizer from a GGUF file, as a float32 model that can be trained and saved.

Everything comes from the one file, so that its SHA-256 names the model. Quantised weights are
unpacked: the rounded values are the base model, and training starts from them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from cl_bench.contract.errors import ModelError
from cl_bench.contract.text import one_line

if TYPE_CHECKING:
    from gguf import GGUFReader
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

SUFFIX = ".gguf"
_PLAIN = {"F64", "F32", "F16", "BF16"}
"""The types of tensors that are not quantised."""
_DIGITS_APART = {
    *("smollm", "starcoder", "refact", "command-r"),
    *("codeshell", "exaone", "minerva-7b"),
}
"""Values of tokenizer.ggml.pre for which llama.cpp first cuts a text at every digit."""
_REASON = 200
"""Characters of a library's message that are passed on."""
_ORIGINAL = "Give the folder of the original model, with config.json and model.safetensors."
_log = logging.getLogger(__name__)


def is_gguf(name: str | Path) -> bool:
    """Tell whether the name is that of a GGUF file."""
    return Path(name).suffix.lower() == SUFFIX


def find(path: Path) -> Path | None:
    """Return the GGUF file at `path`, or the one in the folder `path`, or None.

    A folder with a config.json is a Hugging Face folder, even if it holds GGUF files too. Raises
    `ModelError` if a folder holds several.
    """
    if not path.is_dir():
        return path if is_gguf(path) else None
    files = sorted(file for file in path.iterdir() if is_gguf(file))
    if not files or any((path / f"{kind}config.json").exists() for kind in ("", "adapter_")):
        return None
    if len(files) > 1:
        raise ModelError(
            f"{path} holds {len(files)} GGUF files, and a model is one of them. Name it, such as "
            f"{files[0]}."
        )
    return files[0]


def load(file: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Return the model, in float32, and the tokenizer of a GGUF file.

    Raises `ModelError` for a damaged file and for an architecture that transformers does not read.
    Other errors of transformers are not caught.
    """
    with TemporaryDirectory(prefix="cl-bench-gguf-") as home, _read_once():
        # transformers would also read the other files of the folder, which the hash does not name.
        alone = Path(home) / "model.gguf"
        alone.symlink_to(file.resolve())
        reader = _reader(file, alone)
        architecture = _text(reader, "general.architecture")
        _require_known(file, architecture)
        model, tokenizer = _load(file, alone)
        _mend(tokenizer, _text(reader, "tokenizer.ggml.pre"))
        types = sorted({tensor.tensor_type.name for tensor in reader.tensors} - _PLAIN)
    model.name_or_path = model.config.name_or_path = tokenizer.name_or_path = str(file)
    if types:
        _note(file, ", ".join(types))
    return model, tokenizer


def configuration(file: Path) -> PreTrainedConfig:
    """Return the configuration of the model in a GGUF file; its weights are not read."""
    from transformers import AutoConfig

    with _read_once():
        config: PreTrainedConfig = AutoConfig.from_pretrained(
            str(file.parent), gguf_file=file.name, trust_remote_code=False, local_files_only=True
        )
    return config


def _load(file: Path, alone: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    import torch
    import transformers
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    where: dict[str, Any] = {
        "pretrained_model_name_or_path": str(alone.parent),
        "gguf_file": alone.name,
        "trust_remote_code": False,
        "local_files_only": True,
    }
    options: dict[str, Any] = {"dtype": torch.float32, "output_loading_info": True}
    # Otherwise transformers from 5.24 on marks the model as quantised: it cannot be saved, and on
    # some machines its weights stay packed and cannot be trained. Older ones never do that.
    if hasattr(transformers, "GgufConfig"):
        options["quantization_config"] = transformers.GgufConfig(dequantize=True)
    config = AutoConfig.from_pretrained(**where)
    tokenizer = AutoTokenizer.from_pretrained(**where)
    loaded: Any = AutoModelForCausalLM.from_pretrained(**where, config=config, **options)
    model, report = loaded
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(
            f"{file} is not a whole model: {len(missing)} of its tensors are missing, such as "
            f"{missing[0]}. It may be one part of several; join them, or fetch it again."
        )
    return model, tokenizer


def _reader(file: Path, alone: Path) -> GGUFReader:
    """Return the file's fields and tensors, still packed."""
    import gguf

    try:
        return gguf.GGUFReader(str(alone))
    except OSError:
        raise
    except Exception as error:  # a damaged file can break its reader in any way
        reason = one_line(str(error), _REASON) or type(error).__name__
        raise ModelError(
            f"{file} is not a GGUF file, or it is damaged ({reason}). Fetch it again."
        ) from error


def _text(reader: GGUFReader, name: str) -> str:
    """Return a field's text, empty if there is no such field."""
    field = reader.fields.get(name)
    if field is None or not field.data:
        return ""
    return bytes(field.parts[field.data[0]]).decode("utf-8", "replace")


def _require_known(file: Path, architecture: str) -> None:
    from transformers import modeling_gguf_pytorch_utils as reading

    # transformers' list contains two names that are sections of itself, and spells some
    # architectures with an underscore where GGUF files have none.
    known = set(reading.GGUF_SUPPORTED_ARCHITECTURES) - {"general", "tokenizer"}
    plain = {name.replace("_", "").replace("-", "") for name in known}
    if architecture.replace("_", "").replace("-", "") not in plain:
        given = one_line(architecture, 40) or "none"
        raise ModelError(
            f"{file} holds a model of the architecture {given!r}, which transformers does not "
            f"read from GGUF files. It reads: {', '.join(sorted(known))}. {_ORIGINAL}"
        )


def _mend(tokenizer: PreTrainedTokenizerBase, split: str) -> None:
    """Cut texts at every digit if the model's merges were learned so.

    transformers 5.24 does not know these ways of cutting, and would read the two line breaks
    before a digit as two tokens instead of one.
    """
    from tokenizers import pre_tokenizers

    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    if split not in _DIGITS_APART or backend is None:
        return
    if isinstance(backend.pre_tokenizer, pre_tokenizers.ByteLevel):
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False),
            ]
        )


@cache
def _note(file: Path, types: str) -> None:
    _log.warning(
        "The weights of %s were stored as %s. They are unpacked and trained as float32; the "
        "rounded values are the base model.",
        file.name,
        types,
    )


@contextmanager
def _read_once() -> Iterator[None]:
    """Let transformers read the file once, and without a bar.

    5.24 parses a file's fields four times, and makes the table of all tensors' names once for each
    module of the model: 12 of 18 seconds for a model of 30 layers. Its bar obeys no setting.
    """
    import gguf
    from transformers import modeling_gguf_pytorch_utils as reading

    replaced: list[tuple[Any, str, Any]] = [
        (gguf, "GGUFReader", cache(gguf.GGUFReader)),
        (gguf, "get_tensor_name_map", cache(gguf.get_tensor_name_map)),
        (reading, "tqdm", lambda items, **_: items),
    ]
    kept = [(module, name, getattr(module, name)) for module, name, _ in replaced]
    _set(replaced)
    try:
        yield
    finally:
        _set(kept)


def _set(values: list[tuple[Any, str, Any]]) -> None:
    for module, name, value in values:
        setattr(module, name, value)
