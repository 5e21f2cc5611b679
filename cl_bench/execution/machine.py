"""The machine, as its operating system describes it: cores, control-group limits, the CPU."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path


def cores() -> int:
    """Return the number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cgroup_cores() -> float | None:
    """Return the cores that the control group's quota amounts to, or None without a quota."""
    words = _read("/sys/fs/cgroup/cpu.max").split()
    if len(words) != 2 or not words[0].isdigit():
        return None
    return int(words[0]) / int(words[1])


def cgroup_memory() -> int | None:
    """Return the bytes that the control group leaves, or None without a limit."""
    limit, used = (_read(f"/sys/fs/cgroup/memory.{name}").strip() for name in ("max", "current"))
    return max(0, int(limit) - int(used)) if limit.isdigit() and used.isdigit() else None


def peak_memory() -> int | None:
    """Return the most bytes that this process ever held, or None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def free_memory() -> int:
    """Return the bytes that are free, within the limit of the control group."""
    import psutil

    available, limit = int(psutil.virtual_memory().available), cgroup_memory()
    return min(available, limit) if limit else available


def gpus() -> tuple[str, ...]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    count, named = torch.cuda.device_count(), os.environ.get("CUDA_VISIBLE_DEVICES")
    known = map(str, range(count)) if named is None else named.split(",")
    return tuple(name.strip() for name in known)[:count]


def gpu_memory() -> tuple[int, int]:
    """Return the bytes of the GPU that torch would take, and those of them that are free."""
    import torch

    free, total = torch.cuda.mem_get_info()
    return total, free


def gpu_peak_memory() -> int | None:
    """Return the most bytes that this process held of its GPU, or None if it has used none."""
    import torch

    return torch.cuda.max_memory_reserved() or None if torch.cuda.is_available() else None


def cpu_model() -> str:
    """Return the processor's name as the system gives it."""
    lines = _read("/proc/cpuinfo").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
