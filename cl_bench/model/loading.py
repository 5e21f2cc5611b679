"""Loading a causal LM and its tokenizer from a Hugging Face folder, a GGUF file or a hub name.

Of the folder of a LoRA adapter, its base model is loaded and the adapter is added into it.

A folder is inspected before anything is loaded, so that an error is one line that names its cause.
Nothing is unpickled, no code of the folder is executed, and the user is never asked to allow it.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cl_bench.contract.errors import ClBenchError, ModelError, did_you_mean
from cl_bench.contract.text import counted, one_line
from cl_bench.model import gguf_file
from cl_bench.model.identity import ADAPTER, ADAPTER_WEIGHTS, ModelFiles, hub_files
from cl_bench.model.named import MODELS, resolve

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from cl_bench.model.adapters import Lora

_ALLOWED = (
    f"Give {', '.join(f'`{name}`' for name in MODELS)}, a folder with config.json, "
    "model.safetensors and tokenizer.json, a LoRA adapter's folder, a GGUF file, or a hub name "
    "such as `owner/model`."
)
_HUB_NAME = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?", re.ASCII)
_VOCABULARIES = ("tokenizer.json", "vocab*", "*.model", "*.tiktoken", "*.spm")
_JSON = ("config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
_NOT_CAUSAL = (
    "ForMaskedLM",
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForQuestionAnswering",
)
_CONVERT = (
    "python -c \"from transformers import AutoModelForCausalLM as M; M.from_pretrained('OLD', "
    "use_safetensors=False).save_pretrained('NEW')\""
)
_MOST_ADAPTERS = 4
"""Adapters on adapters; more are a circle of folders that name each other."""
_REASON = 300
"""Characters of a library's message that are passed on."""


def locate(name_or_path: str, revision: str | None = None) -> ModelFiles:
    """Return where the files of that folder, GGUF file or hub name are.

    `revision` is the commit of a hub model, by default its newest. Raises `ModelError` if there is
    no such model, or one that cannot be used.
    """
    return _located(name_or_path, revision)[0]


def load(
    name_or_path: str, revision: str | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, ModelFiles]:
    """Return the model, in float32, and the tokenizer of that folder, GGUF file or hub name.

    And where their files are. `revision` is the commit of a hub model. Raises `ModelError` if they
    cannot be used.
    """
    from cl_bench.model.adapters import merge_folder  # brings torch

    files, offline = _located(name_or_path, revision)
    # Of an adapter, what is loaded is its base: a folder or file, or a name on the hub.
    name = name_or_path if not files.adapters else _base_name(files)
    try:
        with quiet():
            if files.place.is_file():
                model, tokenizer = gguf_file.load(files.place)
            else:
                model, tokenizer = _load(name, files.revision, offline)
            for folder in files.adapters:
                model = merge_folder(model, folder)
                tokenizer = _own_tokenizer(folder) or tokenizer
            return model, tokenizer, files
    except ModelError:
        raise
    except Exception as error:  # a folder of anybody's can break its readers in any way
        raise _explained(name_or_path, error, offline) from error


def shapes_of(
    name: str,
    precision: str = "float32",
    *,
    lora: Lora | None = None,
    gradient_checkpointing: bool = False,
) -> PreTrainedModel:
    """Return the model of that name without its weights: its tensors have shapes alone.

    Nothing but its configuration is read, and fetched from the hub. Raises `ModelError` if that
    cannot be had.
    """
    import torch
    from transformers import AutoModelForCausalLM

    from cl_bench.model.adapters import add_lora
    from cl_bench.model.gradient_path import recompute_layers

    try:
        with quiet(), torch.device("meta"):
            config = _configuration(name)
            model: PreTrainedModel = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
                config, dtype=torch.bfloat16 if precision == "pure-bf16" else torch.float32
            )
            if lora is not None:
                add_lora(model, lora)
    except ClBenchError:
        raise
    except Exception as error:
        raise _explained(name, error, offline=False) from error
    if gradient_checkpointing:
        recompute_layers(model)
    return model


def _configuration(name: str) -> PreTrainedConfig:
    """Return the configuration of the model of that name, of an adapter that of its base."""
    from transformers import AutoConfig

    if name in MODELS:
        if not MODELS[name].present():
            raise ModelError(f"{name} is not here yet: `cl-bench model get {name}` fetches it.")
        name = resolve(name)
    offline = True
    if _exists(name):
        files, _ = _located(name, None)
        if files.adapters:
            return _configuration(_base_name(files))
        if files.place.is_file():
            return gguf_file.configuration(files.place)
    else:
        _require_hub_name(name)
        offline = not _hub_answers()
    config: PreTrainedConfig = AutoConfig.from_pretrained(
        name, trust_remote_code=False, local_files_only=offline
    )
    return config


def _located(name: str, revision: str | None, depth: int = 0) -> tuple[ModelFiles, bool]:
    """Return where the model is, and whether it is read without asking the hub."""
    if _exists(name) and (Path(name) / ADAPTER).is_file():
        return _located_adapter(Path(name), revision, depth)
    if _exists(name):
        gguf = gguf_file.find(Path(name))
        if gguf is None:
            _look_over(Path(name))
        return ModelFiles(gguf or Path(name)), True
    _require_hub_name(name)
    offline = not _hub_answers()
    try:
        with quiet():
            files = hub_files(name, revision, offline=offline)
    except ModelError:
        raise
    except Exception as error:
        raise _explained(name, error, offline) from error
    if (files.place / ADAPTER).exists():
        raise ModelError(
            f"{name} is a LoRA adapter on the hub, and adapters are read from folders. Fetch it "
            f"(hf download {name} --local-dir FOLDER) and give that folder."
        )
    return files, offline


def _located_adapter(folder: Path, revision: str | None, depth: int) -> tuple[ModelFiles, bool]:
    """Return where the base model of an adapter's folder is, with the adapter as its last one."""
    if any(folder.glob("model*.safetensors")) or gguf_file.find(folder):
        raise ModelError(
            f"{folder} holds a LoRA adapter and a model beside it, so which of them is meant is "
            f"not clear. To leave the adapter out, remove {ADAPTER} from a copy of the folder; to "
            "start from it, give a folder with its two adapter_… files alone."
        )
    config = _read_object(folder / ADAPTER)
    base = _base_of(folder, config)
    if depth == _MOST_ADAPTERS:
        raise ModelError(f"{folder / ADAPTER} names a base model that leads back to itself.")
    try:
        files, offline = _located(resolve(base), revision or config.get("revision"), depth + 1)
    except ModelError as error:
        raise ModelError(f"The base model of the adapter in {folder}: {error}") from error
    return replace(files, adapters=(*files.adapters, folder)), offline


def _base_of(folder: Path, config: Mapping[str, Any]) -> str:
    """Return the name of the base model of an adapter folder, whose `config` was read.

    Raises `ModelError` for what is not a LoRA adapter, or one without base or weights.
    """
    kind, base = config.get("peft_type"), config.get("base_model_name_or_path")
    if kind != "LORA":
        raise ModelError(
            f"{folder / ADAPTER} is of the kind {one_line(str(kind), 40)}, not LORA. Give a LoRA "
            "adapter, or merge it into its base model and give the merged folder."
        )
    if not isinstance(base, str) or not base:
        raise ModelError(
            f"{folder / ADAPTER} does not name the adapter's base model: write its folder or hub "
            "name there as base_model_name_or_path."
        )
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise ModelError(
            f"The adapter folder {folder} holds no {ADAPTER_WEIGHTS} (pickles are never read). "
            "Restore it from where the adapter came from."
        )
    return base


def _base_name(files: ModelFiles) -> str:
    """Return the name by which the base model below all adapters is loaded."""
    said = _read_object(files.adapters[0] / ADAPTER)["base_model_name_or_path"]
    return resolve(str(said))


def _own_tokenizer(folder: Path) -> PreTrainedTokenizerBase | None:
    """Return the tokenizer, with its chat template, that an adapter's folder may hold."""
    from transformers import AutoTokenizer

    if not any(file for pattern in _VOCABULARIES for file in folder.glob(pattern)):
        return None
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        folder, trust_remote_code=False, local_files_only=True
    )
    return tokenizer


def _load(
    name: str, revision: str | None, offline: bool
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    # Without an explicit no, transformers asks on the terminal whether to run a model's own code.
    safe: dict[str, Any] = {"trust_remote_code": False, "local_files_only": offline}
    if revision:  # one commit for all files, though the hub may get a new one meanwhile
        safe["revision"] = revision
    config = AutoConfig.from_pretrained(name, **safe)
    _require_causal(name, config.to_dict())
    tokenizer = AutoTokenizer.from_pretrained(name, **safe)
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        name,
        use_safetensors=True,
        output_loading_info=True,
        # Otherwise parameters have the type of the file: in float16 the smallest number is larger
        # than AdamW's eps, and in bfloat16 small steps round to nothing.
        dtype=torch.float32,
        **safe,
    )
    model, report = loaded
    _require_all_weights(name, report)
    return model, tokenizer


def _look_over(path: Path) -> None:
    """Raise `ModelError` for everything that can be seen without reading the weights."""
    if not path.is_dir():
        raise ModelError(
            f"{path} is a single file; give the folder that holds the model. {_ALLOWED}"
        )
    if not (path / "config.json").is_file():
        raise ModelError(
            f"The folder {path} holds no config.json, so it is not a model. {_ALLOWED}"
        )
    read = {name: _read_object(path / name) for name in _JSON if (path / name).exists()}
    _require_causal(str(path), read["config.json"])
    if not any(file for pattern in _VOCABULARIES for file in path.glob(pattern)):
        raise ModelError(
            f"The model folder {path} holds no tokenizer (tokenizer.json). Save it there: "
            "AutoTokenizer.from_pretrained(ORIGINAL).save_pretrained(FOLDER)."
        )
    if not any(path.glob("*.safetensors")):
        _refuse_without_weights(path)


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except OSError:  # too long for the file system, or in a folder that may not be read
        return False


def _read_object(file: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"{file} is damaged: it is not whole JSON ({one_line(str(error), _REASON)}). Restore "
            "it from where the model came from."
        ) from error
    if not isinstance(content, dict):
        raise ModelError(
            f"{file} is damaged: it holds no JSON object. Restore it from where the model came "
            "from."
        )
    return content


def _refuse_without_weights(path: Path) -> None:
    pickles = sorted(file.name for pattern in _PICKLES for file in path.glob(pattern))
    if pickles:
        raise ModelError(
            f"{path} has its weights in {pickles[0]}, a pickle, which may run any code when it is "
            "read; cl-bench reads safetensors only. If you trust where it comes from, convert it: "
            f"{_CONVERT}"
        )
    raise ModelError(f"The model folder {path} holds no weights (model.safetensors). {_ALLOWED}")


def _require_causal(name: str, config: Mapping[str, Any]) -> None:
    wrong = [a for a in config.get("architectures") or () if str(a).endswith(_NOT_CAUSAL)]
    if wrong or config.get("is_encoder_decoder"):
        kind = wrong[0] if wrong else "an encoder-decoder"
        raise ModelError(
            f"The model {name!r} is not a causal language model (it is {kind}). Give one that "
            "generates text from left to right, such as `embedded`."
        )


def _require_all_weights(name: str, report: Mapping[str, Any]) -> None:
    missing: Sequence[str] = sorted(report["missing_keys"])
    if missing:
        raise ModelError(
            f"The weights of {name!r} do not fit its config.json: "
            f"{counted(len(missing), 'tensor')} missing, such as {missing[0]}, which would be "
            "random. Restore both files from where the model came from."
        )


def _require_hub_name(name: str) -> None:
    if hint := did_you_mean(name.lower(), MODELS, cutoff=0.8):
        raise ModelError(f"Unknown model {name!r}.{hint} {_ALLOWED}")
    path_like = name.startswith((".", "/", "~")) or name.count("/") > 1
    if gguf_file.is_gguf(name):
        raise ModelError(f"There is no GGUF file {name!r}. {_ALLOWED}")
    if path_like or not _HUB_NAME.fullmatch(name):
        what = "There is no model folder" if path_like else "No model is called"
        raise ModelError(f"{what} {name!r}. {_ALLOWED}")


def _hub_answers() -> bool:
    """Tell whether the hub can be asked; one short try here saves a minute of retries."""
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=10)
    except Exception:  # noqa: BLE001 - whatever the HTTP library raises, there is no connection
        return False
    return True


def _explained(name: str, error: Exception, offline: bool) -> ModelError:
    """Return the error that explains one of transformers, which has no classes for most causes."""
    text = str(error)
    reason = one_line(text.strip().partition("\n")[0], _REASON) or type(error).__name__
    if "trust_remote_code" in text:
        return ModelError(
            f"The model {name!r} needs Python code of its own (auto_map in its config.json), which "
            "cl-bench never runs. Give a model whose architecture transformers knows."
        )
    if "ignore_mismatched_sizes" in text:
        return ModelError(
            f"The weights of {name!r} do not fit its config.json: their shapes differ. Restore "
            "both files from where the model came from."
        )
    if "Unrecognized configuration class" in text:
        return ModelError(
            f"The model {name!r} is not a causal language model, or transformers does not know its "
            "kind. Give one that generates text from left to right, such as `embedded`."
        )
    if offline and not _exists(name):
        return ModelError(
            f"There is no folder {name!r}, and the hub cannot be asked for a model of that name: "
            "there is no connection (or HF_HUB_OFFLINE is set) and it is not in the cache. "
            f"{_ALLOWED}"
        )
    if type(error).__name__ == "SafetensorError":
        return ModelError(
            f"The weights of {name!r} are damaged ({reason}). Fetch the safetensors file again."
        )
    return ModelError(f"Cannot load the model {name!r}: {reason} {_ALLOWED}")


@contextmanager
def quiet() -> Iterator[None]:
    """Within this context, libraries print no bars, reports or notes of retries."""
    from transformers.utils import logging as library

    hub = logging.getLogger("huggingface_hub")
    bar, verbosity, level = library.is_progress_bar_enabled(), library.get_verbosity(), hub.level
    library.disable_progress_bar()  # type: ignore[no-untyped-call]
    library.set_verbosity(logging.CRITICAL)
    hub.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        hub.setLevel(level)
        library.set_verbosity(verbosity)
        if bar:
            library.enable_progress_bar()  # type: ignore[no-untyped-call]
