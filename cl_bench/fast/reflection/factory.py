"""Building the reflector that a run's configuration names."""

from __future__ import annotations

from cl_bench.contract.learner import Ledger
from cl_bench.fast.reflection.digest import DigestReflector
from cl_bench.fast.reflection.endpoints import ChatEndpoint, LocalModel
from cl_bench.fast.reflection.journal import Replay
from cl_bench.fast.reflection.oracle import OracleReflector
from cl_bench.fast.reflection.outside import Endpoint, OutsideReflector
from cl_bench.fast.reflection.reflector import BaseReflector, Reflector
from cl_bench.fast.reflection.spec import ReflectionLM
from cl_bench.fast.settings import FastConfig
from cl_bench.model.policy import Policy


def build_reflector(policy: Policy, config: FastConfig, ledger: Ledger) -> Reflector:
    """Return the reflector that `config.reflection_lm` names, ready to be asked.

    Calls to a model outside the run go through `ledger.journal` and are numbered by
    `ledger.fast.reflection_calls`; with a `Replay` there, nothing is loaded and nobody is called.
    Raises `UsageError` for a missing package or key, `ModelError` for a local model that cannot be
    loaded.
    """
    lm = ReflectionLM.parse(config.reflection_lm)
    if lm.kind == "oracle":
        return OracleReflector(config.seed_prompt)
    if lm.kind == "digest":
        return DigestReflector()
    if not lm.outside:
        return BaseReflector(policy, retries=config.reflection_retries)
    if isinstance(ledger.journal, Replay):
        return OutsideReflector(None, lm, ledger.journal.style, config, ledger)
    endpoint = _connect(lm, policy, config)
    return OutsideReflector(endpoint, lm, endpoint.style, config, ledger)


def _connect(lm: ReflectionLM, policy: Policy, config: FastConfig) -> Endpoint:
    def count(text: str) -> int:
        return len(policy.tokenizer(text, add_special_tokens=False)["input_ids"])

    if lm.kind == "local":
        return LocalModel(lm.name, str(policy.device), config.seed)
    return ChatEndpoint(lm, config.reflection_timeout, count)
