"""vLLM as the engine of a sampler, within this process.

The engine starts from the model's configuration alone, with weights that are nobody's, and gets
the policy's by `reload_weights`: that serves any model that transformers has loaded, a GGUF file
too. Linear weights are repacked after loading, so that no other way of pushing works on a CPU.

What vLLM does on a GPU is read in its code, not run: sleeping and batch-invariant mode need one.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from torch import Tensor

from cl_bench.contract.errors import SamplerError, UsageError
from cl_bench.contract.text import one_line, reason_of
from cl_bench.model.random_states import random_states_kept
from cl_bench.model.samplers.engine import EngineSampler, Reply, Request

if TYPE_CHECKING:
    from cl_bench.model.policy import Policy

_INVARIANT = "VLLM_BATCH_INVARIANT"
_SET = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # weights are pushed within this process
    "VLLM_NO_USAGE_STATS": "1",  # else it would report its use over the network
}
_UNLESS_SET = {
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # the threads are the run's
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_LOGGING_LEVEL": "ERROR",
}
_REASON = 300
_started: WeakSet[Any] = WeakSet()
"""What is left of this process's engines."""


def vllm_sampler(policy: Policy, *, memory: float, batch_invariant: bool) -> EngineSampler:
    """Return a sampler on a new engine for the policy's model, on its device.

    `memory` is the share of a GPU's memory that the engine may take while it samples. Raises
    `UsageError` without vLLM or where it cannot do what is asked, `SamplerError` if it cannot run
    this model.
    """
    return EngineSampler(policy, VllmEngine(policy, memory=memory, batch_invariant=batch_invariant))


class VllmEngine:
    """An `Engine` of vLLM. A process has one: a new one ends the one before."""

    shared = False

    def __init__(self, policy: Policy, *, memory: float, batch_invariant: bool) -> None:
        vllm = _imported(policy.device.type, batch_invariant=batch_invariant)
        self.name = f"vllm {vllm.__version__}{', batch-invariant' if batch_invariant else ''}"
        self._parameters = vllm.SamplingParams
        self._on_gpu = policy.device.type == "cuda"
        on_gpu = {"enable_sleep_mode": True, "gpu_memory_utilization": memory}
        kind = type(policy.model).__name__
        _end_started()
        try:
            with random_states_kept(policy.device), _quiet(), TemporaryDirectory() as folder:
                config = policy.model.config
                config.architectures = [kind]
                config.save_pretrained(folder)
                self._llm: Any = vllm.LLM(
                    folder,
                    dtype="float32" if policy.precision == "float32" else "bfloat16",
                    max_model_len=policy.context,
                    load_format="dummy",
                    skip_tokenizer_init=True,
                    generation_config="vllm",  # nothing of the model's own, such as its top_k
                    logprobs_mode="processed_logprobs",  # of the distribution drawn from
                    enforce_eager=True,
                    disable_log_stats=True,
                    **(on_gpu if self._on_gpu else {}),
                )
        except Exception as error:
            reason = reason_of(error, _REASON)
            raise SamplerError(
                f"{self.name} cannot run {kind} here ({reason}). Take another model, or "
                "--sampler transformers."
            ) from error
        _started.add(self._llm)
        self.sleep()

    def load(self, weights: Iterator[tuple[str, Tensor]]) -> None:
        """Push `weights` into the running engine."""
        # vLLM's loader frees what it has read; a list keeps the tensors until it has read them all.
        with _quiet():
            self._llm.collective_rpc(
                "reload_weights", kwargs={"weights_iterator": iter(list(weights))}
            )

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Return vLLM's replies; equal prompts of one call are read once."""
        # What earlier calls left would give other roundings than in a resumed run, and after a
        # push other weights.
        self._llm.reset_prefix_cache()
        with _quiet():
            outputs = self._llm.generate(
                [{"prompt_token_ids": list(request.prompt)} for request in requests],
                [self._asked(request) for request in requests],
                use_tqdm=False,
            )
        return [_reply(output.outputs[0]) for output in outputs]

    def wake(self) -> None:
        """Take back the memory that `sleep` gave away."""
        if self._on_gpu:
            self._llm.wake_up()

    def sleep(self) -> None:
        """Free the cache and move the weights off the card; a CPU's memory is kept."""
        if self._on_gpu:
            self._llm.sleep(level=1)

    def _asked(self, request: Request) -> Any:
        return self._parameters(
            temperature=request.temperature,
            top_p=1.0,
            top_k=0,
            seed=request.seed,
            max_tokens=request.max_new_tokens,
            logprobs=0,  # the sampled token's alone
            ignore_eos=True,  # the ends are those of the policy
            stop_token_ids=sorted(request.ends),
            detokenize=False,
        )


def _end_started() -> None:
    """End the engines that were started here.

    An engine that is collected later takes the process's distributed groups with it, and they are
    the new engine's then.
    """
    for llm in list(_started):
        llm.llm_engine.engine_core.shutdown()
    _started.clear()


def _reply(output: Any) -> Reply:
    tokens = list(output.token_ids)
    pairs = zip(tokens, output.logprobs, strict=True)
    return Reply(tokens, [float(found[token].logprob) for token, found in pairs])


def _imported(device: str, *, batch_invariant: bool) -> Any:
    """Return the module, for such a device and in that mode."""
    if batch_invariant and device != "cuda":
        raise UsageError(
            "batch_invariant was asked for without a GPU, but vLLM has that mode on CUDA alone. "
            "Leave it out, or give --device cuda."
        )
    wanted = "1" if batch_invariant else "0"
    if "vllm" in sys.modules and os.environ.get(_INVARIANT, "0") != wanted:
        raise UsageError(
            "vLLM was imported in this process with another batch_invariant, which it reads once. "
            "Start the run in a process of its own."
        )
    os.environ.update({**_SET, _INVARIANT: wanted})
    for name, value in _UNLESS_SET.items():
        os.environ.setdefault(name, value)
    try:
        with _quiet():
            import vllm
            from vllm.platforms import current_platform
    except ImportError as error:
        reason = one_line(str(error), _REASON).rstrip(".")
        raise UsageError(
            f"sampler is 'vllm', which cannot be imported ({reason}). `pip install "
            "'cl-bench[vllm]'`, or give --sampler transformers."
        ) from error
    if current_platform.device_type != device:
        raise UsageError(
            f"The vLLM that is installed runs on {current_platform.device_type!r}, but device is "
            f"{device!r}. Install the one for {device}, or give --sampler transformers."
        )
    return vllm


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress warnings about vLLM's own use of torch and transformers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
