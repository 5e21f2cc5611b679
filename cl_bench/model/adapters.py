"""LoRA adapters: trained beside a model that stays frozen, merged into it, and saved.

PEFT puts its layers into the model in place, so that it stays the class of transformers that it
was: whatever reads its embeddings, its configuration or its `forward` finds them. Low-rank updates
are those of arXiv 2106.09685: W x + (alpha / rank) B A x, with B = 0 at the start.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from cl_bench.contract.errors import ModelError, unknown
from cl_bench.contract.text import one_line
from cl_bench.model.identity import ADAPTER, ADAPTER_WEIGHTS
from cl_bench.model.random_states import random_states_kept
from cl_bench.model.sharding import own_part, shared_as, whole, wholes

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ALL_LINEAR = "all-linear"
_NAME = "default"
"""PEFT's name of an adapter that has no other."""
_WITHIN = ".base_layer"
"""PEFT's name of what an adapter's layer is put around."""
_REASON = 200


@dataclass(frozen=True, slots=True)
class Lora:
    """A fresh adapter: its size, its layers, and the seed of its random half (A)."""

    rank: int
    alpha: float
    targets: str
    """`ALL_LINEAR`, or the last parts of layers' names, joined by commas."""
    seed: int


def add_lora(model: PreTrainedModel, lora: Lora) -> None:
    """Put an adapter into `model`, which is frozen but for it; it changes no output yet.

    Raises `UsageError` for a target that is no linear layer of the model. Global random states
    stay as they are.
    """
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]  # PEFT divides it, and says int
        lora_dropout=0.0,
        target_modules=_targets(model, lora.targets),
        task_type="CAUSAL_LM",
    )
    with random_states_kept(model.device), warnings.catch_warnings():
        # Of choices that PEFT makes by itself, for GPT-2's layers and for experts.
        for kind in (UserWarning, RuntimeWarning):
            warnings.simplefilter("ignore", kind)
        torch.manual_seed(lora.seed)
        inject_adapter_in_model(config, model, adapter_name=_NAME)


def _targets(model: PreTrainedModel, asked: str) -> str | list[str]:
    layers, left_out = _linear_layers(model)
    if asked.strip() == ALL_LINEAR:
        return layers if left_out else ALL_LINEAR
    known = sorted({_last(path) for path in layers})
    names = [name.strip() for name in asked.split(",")]
    for name in names:
        if name not in known:
            raise unknown("LoRA target", name, [ALL_LINEAR, *known])
    return [path for path in layers if _last(path) in names] if left_out else names


def _linear_layers(model: PreTrainedModel) -> tuple[list[str], bool]:
    """Return the names of the linear layers that may have an update, and whether any other is not.

    A head often shares its weight with the embeddings, which an update of its own would break.
    Mamba's fast kernels read the weight of `out_proj` past an adapter, and PEFT 0.21 refuses it.
    """
    from transformers.pytorch_utils import Conv1D

    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    past = {
        f"{name}.out_proj"
        for name, module in model.named_modules()
        if hasattr(module, "A_log") and hasattr(module, "D")
    }
    found = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D) and module is not head
    ]
    return [name for name in found if name not in past], not past.isdisjoint(found)


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _layers(model: torch.nn.Module) -> dict[str, Any]:
    from peft.tuners.lora import LoraLayer

    return {name: part for name, part in model.named_modules() if isinstance(part, LoraLayer)}


def has_adapter(model: torch.nn.Module) -> bool:
    """Tell whether `add_lora` was called with `model`."""
    return hasattr(model, "peft_config")


@contextmanager
def switched_off(model: torch.nn.Module) -> Iterator[None]:
    """Within this context, `model` computes what it did before `add_lora`, to the last bit.

    Not by PEFT's `enable_adapters`, which also sets whether parameters need a gradient.
    """
    layers = _layers(model).values()
    before = [layer._disable_adapters for layer in layers]
    for layer in layers:
        layer._disable_adapters = True
    try:
        yield
    finally:
        for layer, state in zip(layers, before, strict=True):
            layer._disable_adapters = state


def changes_nothing(model: torch.nn.Module) -> bool:
    """Tell whether every update of the adapter is 0, because its half B is."""
    halves = (layer.lora_B[_NAME].weight for layer in _layers(model).values())
    return not any(own_part(half).any() for half in halves)


def adapter_weights(model: torch.nn.Module) -> dict[str, Tensor]:
    """Return the adapter's parameters by their names in `model`; whole ones, of shared layers."""
    own = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    return wholes(own)


def load_adapter_weights(model: torch.nn.Module, file: Path) -> None:
    """Take over the parameters in `file`, which must be those of `adapter_weights`."""
    saved = load_file(file)
    own = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    with torch.no_grad():
        for name in own.keys() | saved.keys():
            own_part(own[name]).copy_(own_part(shared_as(own[name], saved[name])))


@torch.no_grad()
def merged_weights(model: PreTrainedModel) -> dict[str, Tensor]:
    """Return the state of `model` with its adapter added in, under the names it had before.

    Tensors that the adapter does not touch are the model's own.
    """
    updates = {
        # Of a layer, or of a matrix of experts that are one tensor; several of those are nested.
        f"{name.replace(_WITHIN, '')}.{getattr(layer, 'parameter_name', 'weight')}": layer
        for name, layer in _layers(model).items()
    }
    found = {}
    for name, value in model.state_dict().items():
        if ".lora_" in name:
            continue
        plain = name.replace(_WITHIN, "")
        update = updates.get(plain)
        changed = value if update is None else value + update.get_delta_weight(_NAME)
        found[plain] = whole(changed)
    return found


def merged(model: PreTrainedModel) -> PreTrainedModel:
    """Return a model without adapter that computes the same, to be saved and not to be run.

    What the adapter does not touch is shared with `model`.
    """
    config = deepcopy(model.config)
    with torch.device("meta"):  # so that no second copy of the weights is made
        plain: PreTrainedModel = type(model)(config)
    plain.load_state_dict(merged_weights(model), assign=True)
    plain.tie_weights()
    plain.generation_config = model.generation_config
    return plain


def save_adapter(model: PreTrainedModel, folder: Path, base: str) -> None:
    """Write the adapter into the existing `folder` as PEFT does; `base` names its base model."""
    config: Any = deepcopy(model.peft_config[_NAME])
    config.base_model_name_or_path, config.inference_mode = base, True
    config.save_pretrained(folder)
    weights = {
        f"base_model.model.{name.replace(f'.{_NAME}.', '.')}": value.detach().contiguous()
        for name, value in adapter_weights(model).items()
    }
    save_file(weights, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})


def merge_folder(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """Return `model` with the adapter in `folder` added in, as trainable as before.

    Raises `ModelError` for an adapter that is not one of this model.
    """
    from peft import LoraConfig, PeftModel, set_peft_model_state_dict

    saved: dict[str, Any] = json.loads((folder / ADAPTER).read_text(encoding="utf-8"))
    try:
        config: Any = LoraConfig.from_pretrained(str(folder))
        config.inference_mode = True
        with warnings.catch_warnings():
            # Of PEFT's use of transformers (goes when it caught up), and of its own choices.
            for kind in (FutureWarning, UserWarning, RuntimeWarning):
                warnings.simplefilter("ignore", kind)
            wrapped: Any = PeftModel(model, config)
        result: Any = set_peft_model_state_dict(wrapped, load_file(folder / ADAPTER_WEIGHTS))
    except (ValueError, RuntimeError, TypeError, KeyError) as error:
        raise _foreign(folder, saved, one_line(str(error), _REASON)) from error
    missing = [name for name in result.missing_keys if ".lora_" in name]
    if missing or result.unexpected_keys:
        what = f"it has no {missing[0]}" if missing else f"{result.unexpected_keys[0]} is foreign"
        raise _foreign(folder, saved, what)
    plain: PreTrainedModel = wrapped.merge_and_unload()
    if has_adapter(plain):
        del plain.peft_config  # left by PEFT, and a mark of a model with an adapter
    return plain.requires_grad_(True)


def _foreign(folder: Path, config: Mapping[str, Any], reason: str) -> ModelError:
    base = one_line(str(config.get("base_model_name_or_path")), _REASON)
    return ModelError(
        f"The adapter in {folder} does not fit its base model {base}: {reason}. Restore its files, "
        "or name the model that it was trained on as base_model_name_or_path."
    )
