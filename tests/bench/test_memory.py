"""Peak memory against vocabulary and length: logits a few positions at a time, and all at once.

The model is one layer of width 64, so that nothing but logits counts. Each pair is measured in a
process of its own, by the most that the process ever held beyond what it held before.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from cl_bench.execution.machine import free_memory
from cl_bench.model.memory import MOST_LOGITS

MOST = 7 * 4 * MOST_LOGITS
"""Bytes that any of the passes may take: what the budget allows of logits that stand at once."""
MEASURE = """
import sys, torch
from transformers import LlamaConfig, LlamaForCausalLM
from cl_bench.execution.machine import peak_memory
from cl_bench.model import memory
from cl_bench.model.scoring import compared, next_tokens, response_log_probs

vocabulary, length, learns, whole = map(int, sys.argv[1:])
config = LlamaConfig(
    vocab_size=vocabulary, hidden_size=64, intermediate_size=128, num_hidden_layers=1,
    num_attention_heads=2, max_position_embeddings=8192,
)
torch.manual_seed(0)
torch.set_num_threads(1)
model = LlamaForCausalLM(config).train(False)

def read(length):
    ids = torch.randint(vocabulary, (1, 8 + length))
    if learns:
        response_log_probs(model, ids, torch.ones_like(ids), length, 1.0)[0].sum().backward()
    else:
        rows = [(ids[0, :8].tolist(), ids[0, 8:].tolist())]
        p, q = (next_tokens(model, rows, 0, 1.0) for _ in range(2))
        compared(p, q)

read(2)  # gradients are there, and libraries loaded
before = peak_memory()
read(length)
print(peak_memory() - before)
if whole:  # takes at least as much, so that its own peak is seen
    memory.LOGITS = memory.MOST_LOGITS = 2**60
    read(length)
    print(peak_memory() - before)
"""


@pytest.mark.parametrize("learns", [True, False], ids=["learning", "divergence"])
@pytest.mark.parametrize("length", [256, 1024, 4096])
@pytest.mark.parametrize("vocabulary", [8_192, 49_152, 151_936])
def test_peak_of_one_response(
    benchmark: BenchmarkFixture, vocabulary: int, length: int, learns: bool
) -> None:
    """`extra_info` has both peaks; all at once is left out where it would not fit here."""
    naive = 8 * 4 * vocabulary * length < free_memory() / 2

    def measure() -> list[int]:
        command = [sys.executable, "-c", MEASURE, *map(str, (vocabulary, length, int(learns)))]
        done = subprocess.run(
            [*command, str(int(naive))], check=True, capture_output=True, text=True
        )
        return [int(line) for line in done.stdout.split()]

    pieces, *rest = benchmark.pedantic(measure, rounds=1)  # type: ignore[no-untyped-call]
    benchmark.extra_info["MB"] = round(pieces / 1e6)
    for whole in rest:
        benchmark.extra_info["MB all at once"] = round(whole / 1e6)
    assert pieces < MOST
