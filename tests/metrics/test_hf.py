"""The metrics as `evaluate.Metric` objects, without a network."""

from __future__ import annotations

import ast
import json
import socket
from pathlib import Path

import evaluate
import numpy as np
import pytest

from cl_bench.metrics import METRICS, hf
from cl_bench.metrics.hf import load

ACC_I_J = [[0.10, 0.20, 0.30], [0.80, 0.25, 0.35], [0.60, 0.90, 0.50], [0.40, 0.70, 1.00]]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a metric asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize("name", METRICS)
def test_a_value_is_bit_for_bit_that_of_the_function(name: str) -> None:
    metric = load(name)
    assert isinstance(metric, evaluate.Metric)
    third = np.array(ACC_I_J) / 3  # no float32 holds these
    assert metric.compute(accuracies=third) == {name: METRICS[name].function(third)}


def test_rows_can_come_one_by_one_and_all_metrics_together() -> None:
    metric = load()
    for row in ACC_I_J:
        metric.add(accuracies=row)
    found = metric.compute()
    assert found == {name: metric.function(ACC_I_J) for name, metric in METRICS.items()}


@pytest.mark.parametrize("gap", [None, np.nan])
def test_a_missing_cell_keeps_its_reason(gap: float | None) -> None:
    rows: list[list[float | None]] = [[0.1], [gap]]
    assert load("average_accuracy").compute(accuracies=rows) == {
        "average_accuracy": None,
        "average_accuracy_undefined": "missing cell R[1, 1]",
    }


def test_results_are_json_whatever_is_undefined() -> None:
    found = load().compute(accuracies=[[0.1], [0.5]])
    assert json.loads(json.dumps(found)) == found
    assert found["bwt_gem"] is None
    assert found["bwt_gem_undefined"] == "needs at least 2 stages, got 1"
    assert "average_accuracy_undefined" not in found


def test_metrics_import_nothing_of_the_suite() -> None:
    for file in Path(hf.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cl_bench"):
                assert (node.module or "").startswith("cl_bench.metrics"), file


def test_an_unknown_metric_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="Did you mean 'bwt_gem'"):
        load("bwt_gen")
