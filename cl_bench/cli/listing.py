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

_WIDEST_NAME = 26
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
    """All names, those of one kind, the settings of one learner, or the sets of a source; or the
    same as JSON, an object a line.

    Raises `UsageError` for an unknown kind or name, and for a name of a kind without more to show.
    """
    if name and kind != "learners":
        raise UsageError(
            f"{printable(name)} is one name too many: only learners have more to show. Type "
            f"`cl-bench list {kind}`, or `cl-bench list learners NAME`."
        )
    if name:
        return _settings(name, as_json=as_json)
    if kind == "gym":
        sets = import_module("cl_bench.tasks.gym.overview").listed()
        return (json.dumps(asdict(entry)) if as_json else str(entry) for entry in sets)
    if kind == "hub":
        return _rows({"hub": import_module("cl_bench.tasks.hub.table").summaries()}, as_json)
    listed = listing()
    chosen = {title: rows for title, rows in listed.items() if kind in ("", _kind(title))}
    if not chosen:
        raise unknown("kind of name", kind, [*dict.fromkeys(map(_kind, listed)), "gym", "hub"])
    return _rows(chosen, as_json)


def _kind(title: str) -> str:
    """What is typed to list the names under a title."""
    return title.partition(" of ")[0].lower().replace(" ", "-")


def _rows(listed: Listing, as_json: bool) -> Iterator[str]:
    for title, rows in listed.items():
        wide = min(_WIDEST_NAME, max(len(printable(name)) for name, _ in rows))
        if not as_json:
            yield f"{title}:"
        for name, says in rows:
            if as_json:
                yield json.dumps({"kind": _kind(title), "name": name, "summary": says})
            else:
                yield f"  {printable(name):<{wide}}  {printable(says)}"


def _settings(learner: str, *, as_json: bool) -> Iterator[str]:
    """The settings of a learner: default, what is allowed, and what it is."""
    factory = LEARNERS.load(learner)
    if not as_json:
        channels = " and ".join(factory.channels)
        yield f"{printable(learner)}: spends on {channels} weights; its settings:"
    for item in settings_of(factory.config):
        if not item.rule.option:
            continue
        if as_json:
            found = {"name": item.name, "default": item.default, "summary": item.rule.says}
            yield json.dumps({**found, "allowed": item.allowed})
            continue
        yield f"  {item.name} = {json.dumps(item.default)}"
        yield f"      {printable(item.rule.says)} ({item.allowed})"


def _measures(measures: Mapping[str, Measure]) -> list[tuple[str, str]]:
    return [(name, f"{of.summary}; takes {of.takes}") for name, of in measures.items()]
