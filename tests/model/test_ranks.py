"""What ranks share out and agree on, in three processes that exchange by gloo."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_multi_gpu_env

from cl_bench.contract.errors import UsageError
from cl_bench.model import ranks
from cl_bench.model.samplers.transformers import _draw

PROGRAM = """
import sys
import torch
from cl_bench.contract.errors import RankError
from cl_bench.model import ranks

with ranks.joined("cpu"):
    me = ranks.rank()
    assert ranks.count() == 3
    assert ranks.writes() == (me == 0)
    assert [*ranks.part(2)] == [[], [0], [1]][me]
    assert [*ranks.part(7)] == [[0, 1], [2, 3], [4, 5, 6]][me]
    assert ranks.gathered(me) == [0, 1, 2]
    seen = []
    assert ranks.shared_out(lambda some: seen.extend(some) or [n * n for n in some], range(5)) == [
        0, 1, 4, 9, 16
    ]
    assert seen == [[0, 3], [1, 4], [2]][me]
    assert ranks.summed(0.5) == 1.5
    assert ranks.found_by_any([me] if me else [], 4) == [1, 2]

    def by_one():
        assert me == 0 and ranks.count() == 1
        return "done by one"

    assert ranks.alone(by_one) == "done by one"
    assert ranks.count() == 3

    # The first weight has a gradient on all ranks, the second on one, the third on none.
    weights = [torch.nn.Parameter(torch.zeros(2)) for _ in range(3)]
    weights[0].grad = torch.full((2,), float(me))
    if me == 1:
        weights[1].grad = torch.ones(2)
    ranks.sum_gradients(weights)
    assert weights[0].grad.tolist() == [3.0, 3.0]
    assert weights[1].grad.tolist() == [1.0, 1.0]
    assert weights[2].grad is None

    ranks.require_same("everywhere", "it")
    try:
        ranks.require_same(me, "the state")
    except RankError as error:
        assert "drifted apart: the state is not the same" in str(error)
    else:
        sys.exit("different states went unnoticed")

    def fails():
        raise ValueError("a full disk")

    try:
        ranks.alone(fails)
    except ValueError:
        assert me == 0
    except RankError as error:
        assert me > 0 and "a full disk" in str(error)
assert ranks.count() == 1
print(f"rank {me} is through")
"""


def test_three_ranks_share_out_and_agree(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=3"]
    done = subprocess.run(
        [sys.executable, *launcher, str(file)],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert all(f"rank {n} is through" in done.stdout for n in range(3))


def test_a_single_process_shares_with_nobody() -> None:
    with ranks.joined("cpu"):
        assert (ranks.rank(), ranks.count(), ranks.writes()) == (0, 1, True)
        assert [*ranks.part(3)] == [0, 1, 2]
        assert ranks.gathered("x") == ["x"]
        assert ranks.found_by_any({3, 1}, 4) == [1, 3]


@pytest.mark.parametrize("name", ["ACCELERATE_USE_DEEPSPEED", "FSDP_OFFLOAD_PARAMS"])
def test_what_a_launcher_asks_for_and_runs_do_not_have_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1"}
    for variable, value in {**launched, "MASTER_PORT": "1", name: "true"}.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError, match="DeepSpeed, or to offload"), ranks.joined("cpu"):
        pass
    assert ranks.count() == 1


def test_a_rank_without_a_gpu_of_its_own_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    launched = {"RANK": "2", "WORLD_SIZE": "3", "LOCAL_RANK": "2", "MASTER_ADDR": "127.0.0.1"}
    launched |= {"MASTER_PORT": "1", "CUDA_VISIBLE_DEVICES": "4,5"}
    for variable, value in launched.items():
        monkeypatch.setenv(variable, value)
    with (
        pytest.raises(UsageError, match="as many processes as there are GPUs"),
        ranks.joined("auto"),
    ):
        pass


@pytest.mark.parametrize(("rows", "vocabulary"), [(1, 7), (5, 40), (64, 3000)])
def test_draws_of_a_batch_are_those_of_multinomial_whichever_rows_a_rank_has(
    rows: int, vocabulary: int
) -> None:
    logits = 3 * torch.randn((rows, vocabulary), generator=torch.Generator().manual_seed(1))
    every = [*range(rows)]
    torch.manual_seed(2)
    expected = torch.multinomial(torch.softmax(logits, -1), 1)[:, 0]
    after = torch.get_rng_state()
    for places in (every, every[: rows // 2], every[rows // 2 :]):
        torch.manual_seed(2)
        tokens, _, _ = _draw(logits[places], 1.0, places, rows)
        assert tokens.tolist() == expected[places].tolist()
        assert torch.equal(torch.get_rng_state(), after)


def test_the_configuration_for_many_gpus_asks_for_what_runs_have() -> None:
    parser = launch_command_parser()
    file = Path(__file__).parents[2] / "docs" / "fsdp2.yaml"
    given = parser.parse_args(["--config_file", str(file), "-m", "cl_bench"])
    settled, _, _ = _validate_launch_command(given)
    asked = prepare_multi_gpu_env(settled)
    assert asked["ACCELERATE_USE_FSDP"] == "true"
    assert asked["FSDP_VERSION"] == "2"
    assert asked["FSDP_OFFLOAD_PARAMS"] == "false"
    assert settled.num_processes == 8
