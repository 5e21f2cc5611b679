"""Finding domains and learners by name, once at the start of a run.

The built-in ones stand in literal tables; other packages add to them (see
cl_bench.contract.plugins), under names that begin with their own: `acme/bandit`, which `bandit`
finds where it is the only one. Nothing is imported before it is asked for, and nothing here is used
inside a learning loop. The registry of streams is `cl_bench.contract.stream_names.STREAMS`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Generic, TypeVar, cast

from cl_bench.contract.errors import UsageError, unknown
from cl_bench.contract.learner import LearnerFactory
from cl_bench.contract.plugins import Check, Plugin, discovered
from cl_bench.contract.task import Domain

Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Registry(Generic[Entry]):
    """Entries of one kind by name: built in, of plug-ins, or made by a source.

    A source makes an entry from any name that it knows: `gym/gcd`, `data/my.jsonl`.
    """

    kind: str
    """The kind in words, for messages."""
    table: Mapping[str, tuple[str, str]] = field(repr=False)
    """By name, the `module:attribute` of each built-in entry, and a summary."""
    group: str
    """The entry-point group of the plug-ins."""
    check: str = field(repr=False)
    """The `module:function` that returns what is wrong with a plug-in's object (see `Check`)."""
    sources: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)
    """By the form of a source's names, the module that makes their entries, and a summary.

    The module has `known(name)`, which looks at the text alone, `load(name)`, and in `NAMES` the
    names that it can list."""

    def __iter__(self) -> Iterator[str]:
        yield from self.table
        yield from discovered(self.group)

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        return name in self.table or bool(self._named(name)) or self._source(name) is not None

    def load(self, name: str) -> Entry:
        """Import and return the entry called `name`.

        Raises `UsageError` with a suggestion for an unknown name, and `PluginError` for a plug-in
        that cannot be used.
        """
        if name in self.table:
            return cast(Entry, _at(self.table[name][0]))
        plugin = self.plugin(self.full(name))
        if plugin is not None:
            return cast(Entry, plugin.load(self.kind, self._check()))
        source = self._source(name)
        if source is not None:
            return cast(Entry, source.load(name))
        shorts = [plugin.entry for plugin in discovered(self.group).values()]
        raise unknown(self.kind, name, [*self, *self.sources], [*shorts, *self.sourced()])

    def full(self, name: str) -> str:
        """Return the name that tables and manifests have for what is found by `name`.

        A plug-in is also found without its package, where no other has that name. Raises
        `UsageError` if several do.
        """
        found = [] if name in self.table else self._named(name)
        if len(found) > 1:
            raise UsageError(
                f"Several packages have a {self.kind} called {name!r}: {', '.join(found)}. Give "
                "one of these names."
            )
        return found[0] if found else name

    def _named(self, name: str) -> list[str]:
        """Return the full names of the plug-ins that `name` may stand for."""
        known = discovered(self.group)
        if name in known:
            return [name]
        return [full for full, plugin in known.items() if plugin.entry == name]

    def plugin(self, name: str) -> Plugin | None:
        """Return the plug-in of that full name, broken or not, or None if there is none."""
        return discovered(self.group).get(name) if "/" in name else None

    def is_sourced(self, name: str) -> bool:
        """Tell whether that name is a source's, hence neither built in nor a plug-in's."""
        return name not in self.table and self.plugin(name) is None and bool(self._source(name))

    def sourced(self) -> list[str]:
        """Return the names that sources can list."""
        return [name for module in self._modules() for name in module.NAMES]

    def _source(self, name: str) -> Any:
        """Return the module of the source that knows `name`, or None."""
        return next((module for module in self._modules() if module.known(name)), None)

    def _check(self) -> Check:
        return cast(Check, _at(self.check))

    def _modules(self) -> Iterator[Any]:
        return (import_module(module) for module, _ in self.sources.values())

    def summaries(self) -> list[tuple[str, str]]:
        """Return each name with its line. Plug-ins are imported for that, built-in entries not."""
        return [
            *((name, summary) for name, (_, summary) in self.table.items()),
            *(
                (name, plugin.summary(self.kind, self._check()))
                for name, plugin in discovered(self.group).items()
            ),
            *((form, summary) for form, (_, summary) in self.sources.items()),
        ]


def _at(place: str) -> object:
    """Import the object that lives at `module:attribute`."""
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)


DOMAINS: Registry[Domain] = Registry(
    "domain",
    {
        "math": (
            "cl_bench.tasks.math:DOMAIN",
            "chains of house operators on a digit; hidden: what each does, and the order",
        ),
        "code": (
            "cl_bench.tasks.code:DOMAIN",
            "programs on two registers; hidden: what each house instruction does",
        ),
        "facts": (
            "cl_bench.tasks.facts:DOMAIN",
            "multi-hop claims over links; hidden: what relations span, the verdict words",
        ),
        "physics": (
            "cl_bench.tasks.physics:DOMAIN",
            "displacements on a dial; hidden: the unit factors and the sign convention",
        ),
        "star-graph": (
            "cl_bench.tasks.star_graph:DOMAIN",
            "paths in nested star graphs; hidden: only the search back from the goal works",
        ),
    },
    "cl_bench.tasks",
    "cl_bench.contract.plugin_checks:domain_fault",
    {
        "gym/NAME": (
            "cl_bench.tasks.gym.domain",
            "a data set of reasoning-gym (`cl-bench list gym`), as in gym/gcd?max_value=20",
        ),
        "hub/NAME": (
            "cl_bench.tasks.hub.domain",
            "a data set of the Hugging Face hub (`cl-bench list hub`), or hub/ORG/NAME?prompt=…",
        ),
        "verifiers/NAME": (
            "cl_bench.tasks.environments",
            "an installed environment of `verifiers` whose tasks take one response (its extra)",
        ),
        "lm_eval:TASK": (
            "cl_bench.tasks.harness.domain",
            "for --retention: a task of lm-evaluation-harness, or your own FILE.yaml (extra)",
        ),
        "FILE.jsonl": (
            "cl_bench.tasks.data.file",
            "problems of your own, also .csv and .parquet: my.jsonl?verifier=number",
        ),
    },
)

LEARNERS: Registry[LearnerFactory] = Registry(
    "learner",
    {
        "rl": (
            "cl_bench.baselines.rl_only:RL",
            "slow weights only: REINFORCE with GRPO advantages, the fixed seed prompt",
        ),
        "prompt": (
            "cl_bench.baselines.prompt_only:PROMPT",
            "fast weights only: GEPA rounds on frozen parameters",
        ),
        "fst": (
            "cl_bench.fst.fast_slow:FST",
            "fast-slow training: GEPA rounds and RL steps interleaved",
        ),
        "fst-distill": (
            "cl_bench.fst.distill:FST_DISTILL",
            "GEPA rounds interleaved with distilling the prompted policy into the unprompted",
        ),
        "rl-then-prompt": (
            "cl_bench.baselines.rl_then_prompt:RL_THEN_PROMPT",
            "RL as in rl; at every evaluation, GEPA rounds on its checkpoint",
        ),
        "prompt-then-rl": (
            "cl_bench.baselines.prompt_then_rl:PROMPT_THEN_RL",
            "GEPA rounds at the beginning, then RL under the best prompt, frozen",
        ),
        "rl-kl": (
            "cl_bench.baselines.rl_kl:RL_KL",
            "RL with a KL penalty to the base (GRPO's, weight kl_beta)",
        ),
        "rl-replay": (
            "cl_bench.baselines.rl_replay:RL_REPLAY",
            "RL with a share of past exercises in each step (replay_share)",
        ),
        "sft": (
            "cl_bench.baselines.sft:SFT_FACTORY",
            "supervised fine-tuning on the gold solutions",
        ),
        "sdft": (
            "cl_bench.baselines.sdft:SDFT_FACTORY",
            "distilling the policy that has read the gold solution into the one that has not",
        ),
        "sdpo": (
            "cl_bench.baselines.sdpo:SDPO_FACTORY",
            "distilling the policy that has read feedback and successes into the one that has not",
        ),
    },
    "cl_bench.learners",
    "cl_bench.contract.plugin_checks:learner_fault",
)

DEFAULT_LEARNER = "fst"
"""The learner of a run that names none."""
REFERENCE_LEARNER = "rl"
"""The learner whose accuracy others are timed to reach, and that probes plasticity."""
COMPARED_LEARNERS = (REFERENCE_LEARNER, "prompt", DEFAULT_LEARNER)
"""The learners of a sweep that names none: parameters alone, prompts alone, and both."""
