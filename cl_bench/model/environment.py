"""What a process inherits from its environment and would change a run's numbers without a trace.

A run is one process in the precision of its settings: the variables of launchers are hidden from
the libraries while it lasts, and torch's own precision is set. What takes effect before a run could
settle it is refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from cl_bench.contract.errors import UsageError
from cl_bench.contract.text import printable

_LAUNCHERS = (
    *("ACCELERATE_", "FSDP_", "DEEPSPEED_", "MEGATRON_LM_", "PARALLELISM_CONFIG_"),
    *("TORCHELASTIC_", "TORCHRUN_", "PMI_", "PMIX_", "OMPI_COMM_", "MV2_COMM_", "MPI_LOCAL"),
    *("LOCAL_RANK", "LOCAL_WORLD_SIZE", "RANK", "WORLD_SIZE", "GROUP_RANK", "GROUP_WORLD_SIZE"),
    *("ROLE_RANK", "ROLE_WORLD_SIZE", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT", "FORK_LAUNCHED"),
    *("XLA_USE_BF16", "XLA_DOWNCAST_BF16"),
)
"""How the names begin of the variables by which accelerate, transformers and torch are told of
other processes, of another precision or of another device."""
_LOWER = {
    "NVIDIA_TF32_OVERRIDE": ("", "0"),
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": ("", "0"),
    "ONEDNN_DEFAULT_FPMATH_MODE": ("", "STRICT"),
    "DNNL_DEFAULT_FPMATH_MODE": ("", "STRICT"),
}
"""Variables that make float32 matrices less precise, with the values that do not. Libraries read
them once, at their first use, which may be over."""


def device_named(name: str) -> str:
    """Return cpu or cuda for a device as settings name it; `UsageError` for a GPU that is not."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("device is 'cuda', but torch finds no GPU: give auto or cpu.")
    return name


def precision_named(name: str, device: str) -> str:
    """Return the precision that settings name, on a device of `device_named`."""
    if name != "auto":
        return name
    return "bf16" if device == "cuda" else "float32"


@contextmanager
def settled() -> Iterator[None]:
    """Within this context no launcher's variable is set and float32 matrices have full precision.

    Variables are put back at the end. Raises `UsageError` for one that cannot be settled.
    """
    for name, harmless in _LOWER.items():
        value = os.environ.get(name, "")
        if value.upper() not in harmless:
            raise UsageError(
                f"{name}={printable(value, 40)} multiplies float32 matrices in a lower precision. "
                f"Unset it (unset {name}); --precision bf16 is recorded with a run."
            )
    hidden = {name: os.environ.pop(name) for name in [*os.environ] if name.startswith(_LAUNCHERS)}
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
        for name in [*os.environ]:  # transformers sets some of them itself
            if name.startswith(_LAUNCHERS):
                del os.environ[name]
        os.environ.update(hidden)
