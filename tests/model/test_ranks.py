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
import os
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
os.environ["CUDA_VISIBLE_DEVICES"] = ""
with ranks.joined("auto"):  # another run of the same processes, which keeps off hidden GPUs
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    assert ranks.gathered(me) == [0, 1, 2]
print(f"rank {me} is through")
"""


def launched(
    folder: Path, program: str, cards: str | None = None
) -> subprocess.CompletedProcess[str]:
    """What comes of a program as three ranks, on a machine of these GPUs."""
    file = folder / "program.py"
    file.write_text(program)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=3"]
    return subprocess.run(
        [sys.executable, *launcher, str(file), *(["run"] if cards else [])],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ
        | {"OMP_NUM_THREADS": "1"}
        | ({"CUDA_VISIBLE_DEVICES": cards} if cards else {}),
    )


def test_three_ranks_share_out_and_agree(tmp_path: Path) -> None:
    done = launched(tmp_path, PROGRAM)
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


def test_the_first_rank_without_a_gpu_of_its_own_says_so(tmp_path: Path) -> None:
    done = launched(tmp_path, "from cl_bench.cli.app import main\nmain()", "4,5")
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if line.startswith("cl-bench: ")]
    assert len(said) == 1, done.stderr
    assert "as many processes as there are GPUs" in said[0]


def test_ranks_of_which_some_have_no_gpu_are_refused_by_all(tmp_path: Path) -> None:
    some = """
import os, torch
import torch.distributed as distributed
begin = distributed.init_process_group
distributed.init_process_group = lambda _, **how: begin("gloo", **how)
torch.cuda.is_available = lambda: os.environ["RANK"] != "2"
import cl_bench.contract.errors as errors
from cl_bench.model import ranks
try:
    with ranks.joined("auto"):
        pass
except errors.UsageError as error:
    assert "2 of 3 processes have a GPU" in str(error)
    print("refused")
"""
    done = launched(tmp_path, some)
    assert done.stdout.count("refused") == 3, done.stderr


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
