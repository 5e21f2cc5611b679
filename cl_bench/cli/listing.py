"""What `cl-bench list` shows: everything that has a name, with one line each."""

from __future__ import annotations

from collections.abc import Mapping

from cl_bench.contract.registry import DOMAINS, LEARNERS, PLUGIN_METRICS, STREAMS
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
        "reflection LMs": [*KINDS.items()],
        "metrics of one accuracy matrix": [
            *((name, metric.summary) for name, metric in METRICS.items()),
            *PLUGIN_METRICS.summaries(),
        ],
        "metrics of other inputs": _measures(OTHER_METRICS),
        "statistics": _measures(STATISTICS),
    }


def _measures(measures: Mapping[str, Measure]) -> list[tuple[str, str]]:
    return [(name, f"{of.summary}; takes {of.takes}") for name, of in measures.items()]
