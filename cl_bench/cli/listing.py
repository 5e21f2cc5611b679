"""The lines of `cl-bench list`: everything that has a name, and the settings of a learner."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib import import_module

from cl_bench.analysis.plugin_metrics import PLUGIN_METRICS
from cl_bench.contract.errors import UsageError, unknown
from cl_bench.contract.registry import DOMAINS, LEARNERS
from cl_bench.contract.settings import settings_of
from cl_bench.contract.stream_names import STREAMS
from cl_bench.contract.text import printable
from cl_bench.execution import presets
from cl_bench.fast.reflection.spec import KINDS
from cl_bench.metrics import METRICS, OTHER_METRICS, STATISTICS, Measure
from cl_bench.model.named import MODELS, OTHERS

Listing = dict[str, list[tuple[str, str]]]


def listing() -> Listing:
    """Kind of thing to its (name, summary) pairs, in the order of the registry."""
    return {
        "streams": [
            *STREAMS.summaries(),
            ("a-to-b(-to-c…)", "any stream over the tasks below"),
        ],
        "tasks": DOMAINS.summaries(),
        "learners": LEARNERS.summaries(),
        "models": [
            *((name, model.line()) for name, model in MODELS.items()),
            *OTHERS.items(),
        ],
        "presets": [(name, presets.summary(name)) for name in presets.names()],
        "reflection LMs": [*KINDS.items()],
        "metrics of one accuracy matrix": [
            *((name, metric.summary) for name, metric in METRICS.items()),
            *PLUGIN_METRICS.summaries(),
        ],
        "metrics of other inputs": _measures(OTHER_METRICS),
        "statistics": _measures(STATISTICS),
    }


def lines(kind: str = "", name: str = "", *, as_json: bool = False) -> Iterator[str]:
    """All names, those of one kind, the settings of one learner, or the sets of a source.

    Raises `UsageError` for an unknown kind or name, and for a name of a kind without more to show.
    """
    if as_json and kind != "gym":
        raise UsageError("--json belongs to `cl-bench list gym`; type that, or leave it out.")
    if name and kind != "learners":
        raise UsageError(
            f"{printable(name)} is one name too many: only learners have more to show. Type "
            f"`cl-bench list {kind}`, or `cl-bench list learners NAME`."
        )
    if name:
        yield from _settings(name)
    elif kind == "gym":
        for entry in import_module("cl_bench.tasks.gym.overview").listed():
            yield json.dumps(asdict(entry)) if as_json else str(entry)
    elif kind == "hub":
        yield from import_module("cl_bench.tasks.hub.table").listed()
    else:
        listed = listing()
        if kind and kind not in listed:
            raise unknown("kind of name", kind, [*listed, "gym", "hub"])
        for each in [kind] if kind else listed:
            yield f"{each}:"
            yield from (f"  {printable(name):<26} {printable(says)}" for name, says in listed[each])


def _settings(learner: str) -> Iterator[str]:
    """The settings of a learner: default, what is allowed, and what it is."""
    factory = LEARNERS.load(learner)
    yield f"{printable(learner)}: spends on {' and '.join(factory.channels)} weights; its settings:"
    for item in settings_of(factory.config):
        if item.rule.option:
            yield f"  {item.name} = {json.dumps(item.default)}"
            yield f"      {printable(item.rule.says)} ({item.allowed})"


def _measures(measures: Mapping[str, Measure]) -> list[tuple[str, str]]:
    return [(name, f"{of.summary}; takes {of.takes}") for name, of in measures.items()]
