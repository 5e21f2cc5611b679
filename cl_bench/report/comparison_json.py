"""A comparison of two learners as JSON, for machines."""

from __future__ import annotations

import json
from typing import Any

from cl_bench.analysis.comparison import Comparison, Difference, Side
from cl_bench.analysis.item_changes import ItemChanges
from cl_bench.analysis.run_values import METRIC_VERSION
from cl_bench.metrics.stats.bootstrap import Estimate
from cl_bench.metrics.undefined import Undefined


def as_json(found: Comparison) -> str:
    """Strict JSON. Every number that may be undefined is an object: its `value`, null where there
    is none, and the reason, `undefined`, null where there is one. Differences are second minus
    first."""
    described = {
        "metric_version": METRIC_VERSION,
        "first": _side(found.first),
        "second": _side(found.second),
        "incomparable": list(found.apart),
        "seeds": list(found.seeds),
        "metrics": {
            name: {
                "title": column.title,
                "unit": column.unit,
                "better": column.better,
                **_difference(found.differences[name]),
            }
            for name, column in found.columns.items()
        },
        "efficiency": {name: _estimate(value) for name, value in found.efficiency.items()},
        "items": {domain: _items(of) for domain, of in found.items.items()},
    }
    return json.dumps(described, indent=2, allow_nan=False)


def _side(side: Side) -> dict[str, Any]:
    return {
        "path": str(side.path),
        "learner": side.learner,
        "settings": side.settings,
        "runs": {
            str(seed): {"path": str(entry.path), "status": entry.status, "reason": entry.reason}
            for seed, entry in side.entries.items()
        },
    }


def _difference(of: Difference) -> dict[str, Any]:
    test = of.test
    exact = None if isinstance(test, Undefined) else test
    return {
        "first": _estimate(of.first),
        "second": _estimate(of.second),
        "difference": _estimate(of.difference),
        "p": _value(test if isinstance(test, Undefined) else test.p),
        "smallest_p": exact.smallest_p if exact else None,
        "seeds_needed": _value(of.seeds_needed),
        "per_seed": {
            str(seed): {"first": _value(first), "second": _value(second)}
            for seed, (first, second) in of.per_seed.items()
        },
    }


def _items(of: ItemChanges) -> dict[str, Any]:
    return {
        "items": of.items,
        "both": of.both,
        "neither": of.neither,
        "second_only": list(of.wins),
        "first_only": list(of.losses),
        "difference": of.difference,
        "noise_floor": _value(of.noise_floor),
    }


def _estimate(value: Estimate | Undefined) -> dict[str, Any]:
    if isinstance(value, Undefined):
        return {**_value(value), "low": None, "high": None, "seeds": 0}
    ends = value.interval
    interval = (None, None) if isinstance(ends, Undefined) else (ends.low, ends.high)
    counts = {"seeds": value.seeds, "of_seeds": value.of_seeds}
    return {**_value(value.value), "low": interval[0], "high": interval[1], **counts}


def _value(value: float | Undefined) -> dict[str, Any]:
    if isinstance(value, Undefined):
        return {"value": None, "undefined": value.reason}
    return {"value": value, "undefined": None}
