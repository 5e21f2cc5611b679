"""One run in several processes, called ranks, as `torchrun` and `accelerate launch` start them.

Every rank goes through the same run and comes to the same state: prompts, weights, generators.
Shared out among them are the rows of every sampling call, verification, scoring and the rows of a
gradient, which is summed. What only one may do is done by rank 0: it writes, tells and calls what
is outside. A run of several ranks draws what a run of one does, so that its tables differ in the
last digits of sums alone, and it can be resumed on any number of ranks.

TRL and accelerate see one process each (`cl_bench.model.environment`): a step's rows share prompts
and are cut into passes by memory, which DistributedDataParallel's hooks on `forward` would not see.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from cl_bench.contract.errors import RankError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

Item = TypeVar("Item")
Found = TypeVar("Found")

_LAUNCHED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""The variables that a launcher sets for every rank."""
_CARDS = "CUDA_VISIBLE_DEVICES"
_SILENCE = timedelta(hours=1)
"""How long a rank may be waited for. Launchers end the others of a rank that died at once."""
_OTHER, _WRITER, _WRITTEN = "cl-bench/other", "cl-bench/writer", "cl-bench/written"
"""What ranks that fail leave for the others: that one did, that rank 0 did, and has recorded it."""
_SPOKEN = "cl-bench/spoken"
"""How many ranks would speak in the place of rank 0; the first one does."""
_GRACE, _RECORDING = 5.0, 60.0
"""Seconds to wait for rank 0 to fail of the same error, and then to record it."""


@dataclass
class _World:
    rank: int
    count: int
    group: Any
    """Of gloo, for what is not on a GPU."""
    store: Any
    launcher: int
    """The process that started the ranks."""
    shares_layers: bool
    """Whether the launcher asked for the layers of models to be shared out (FSDP)."""
    alone: bool = False
    """Whether rank 0 is doing something that the others wait for."""


@dataclass
class _Process:
    world: _World | None = None
    """The ranks of the run at hand; None where it is made by this process alone."""
    outputs: tuple[Any, Any] | None = None
    """Those that were closed to this rank, which is not the one that tells."""
    store: Any = None
    """The launcher's, by which ranks find each other."""
    runs: int = 0
    """That this process joined."""


_PROCESS = _Process()


def launched() -> bool:
    """Whether a launcher started this process as one of several ranks."""
    return all(os.environ.get(n) for n in _LAUNCHED) and int(os.environ["WORLD_SIZE"]) > 1


def quieten() -> None:
    """Let only rank 0 print from now on; another rank does again if it is the one that fails."""
    if launched() and os.environ["RANK"] != "0":
        _PROCESS.outputs = sys.stdout, sys.stderr
        _hush()


@contextmanager
def joined(device: str) -> Iterator[None]:
    """Be one of the ranks of a run within this context, if a launcher started several.

    `device` is that of the run's settings: each rank takes one GPU of its machine. A rank that
    fails ends the others, and one of them says why. Raises `UsageError` if the process is set up
    for something else already.
    """
    if _PROCESS.world is not None or not launched():
        yield
        return
    import torch.distributed as distributed

    world = _PROCESS.world = _join(device)
    Thread(target=_end_without, args=(world.launcher,), daemon=True).start()
    try:
        _require_alike(device)
        yield
        _leave(world)
    except (Exception, KeyboardInterrupt) as error:
        _settle_who_speaks(world, error)
        raise
    finally:
        if world.rank == 0:
            with suppress(RuntimeError):
                world.store.set(_WRITTEN, "1")
        _PROCESS.world = None
        with suppress(RuntimeError):
            distributed.destroy_process_group()


def _leave(world: _World) -> None:
    """Wait for rank 0, which may upload for hours: launchers end all when one is at an end."""
    with suppress(RuntimeError):  # the store went with rank 0
        if world.rank == 0:
            world.store.set(_WRITTEN, "1")
        else:
            _within(math.inf, lambda: world.store.check([_WRITTEN]))


def _join(device: str) -> _World:
    import torch
    import torch.distributed as distributed

    if _is_set("ACCELERATE_USE_DEEPSPEED") or _is_set("FSDP_OFFLOAD_PARAMS"):
        raise UsageError(
            "The launcher was configured for DeepSpeed, or to offload parameters, which runs do "
            "not use. Launch with FSDP without offloading, as docs/many-gpus.md shows, or without "
            "either."
        )
    if distributed.is_initialized():
        raise UsageError(
            "torch.distributed is set up in this process already, for something else than the "
            "run. Start the run in processes of its own: torchrun -m cl_bench run …"
        )
    if device != "cpu":
        _take_card(int(os.environ["LOCAL_RANK"]))
    cards = device != "cpu" and torch.cuda.is_available()
    number, total, store = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), _own_store()
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if cards else "gloo",
        store=store,
        rank=number,
        world_size=total,
        timeout=_SILENCE,
    )
    group = distributed.new_group(backend="gloo", timeout=_SILENCE)
    return _World(number, total, group, store, os.getppid(), _is_set("ACCELERATE_USE_FSDP"))


def _end_without(launcher: int) -> None:
    """End this process, as the launcher would, once that is killed itself."""
    while _PROCESS.world is not None:
        if os.getppid() != launcher:
            os.kill(os.getpid(), signal.SIGTERM)
            return
        time.sleep(1.0)


def _own_store() -> Any:
    """Return a store of this run alone: of one before it in this process, the launcher's still has
    what was told, and addresses where nobody is any more."""
    from torch._C._distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    if _PROCESS.store is None:
        _PROCESS.store, _, _ = next(iter(rendezvous("env://", timeout=_SILENCE)))
    _PROCESS.runs += 1
    return PrefixStore(f"cl-bench/{_PROCESS.runs}", _PROCESS.store)


def _require_alike(device: str) -> None:
    """Raise `UsageError`, on all ranks, if some have a GPU to run on and some have none."""
    import torch

    with_one = sum(gathered(device != "cpu" and torch.cuda.is_available()))
    if 0 < with_one < count():
        raise UsageError(
            f"{with_one} of {count()} processes have a GPU of their own. Start as many processes "
            "as there are GPUs, or give --device cpu."
        )


def _is_set(name: str) -> bool:
    return os.environ.get(name, "").lower() in ("1", "true", "yes")


def _take_card(place: int) -> None:
    """Let this process see one GPU only, that of its place on the machine."""
    import torch

    visible = os.environ.get(_CARDS)
    if visible == "":  # all are hidden, and stay so
        return
    cards = visible.split(",") if visible else None
    if cards is not None and place >= len(cards):
        if place == len(cards):  # rank 0 has one, and does not hear of this
            _speak()
        raise UsageError(
            f"This machine was given {place + 1} processes or more, but {_CARDS}={visible} names "
            f"{len(cards)} GPUs. Start as many processes as there are GPUs."
        )
    # Before CUDA is set up: TRL takes the first GPU that it sees.
    os.environ[_CARDS] = str(place) if cards is None else cards[place]
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        raise UsageError(
            "The GPU was used in this process before the run began, so that each rank cannot take "
            "one of its own. Start the run in processes of its own: torchrun -m cl_bench run …"
        )


def speak_if_alone() -> None:
    """Before a command says why it ends: let a rank that is not to print do so all the same, unless
    rank 0 ends of the same meanwhile, whereupon the launcher ends this one.

    That is for ranks that fail before they are joined; of the others it is settled already.
    """
    if _PROCESS.outputs is not None:
        time.sleep(_GRACE)
        _speak()


def _settle_who_speaks(world: _World, error: BaseException) -> None:
    """Of the ranks that fail, leave one to say why: rank 0, or the one that failed alone.

    Ended by the launcher (`KeyboardInterrupt`), they have lost another rank, which may be rank 0.
    """
    try:
        _choose(world, error)
    except KeyboardInterrupt as ended:  # by the launcher, while it waited
        _choose(world, ended)
        raise
    finally:
        _PROCESS.outputs = None


def _choose(world: _World, error: BaseException) -> None:
    alone = isinstance(error, Exception) and not tells_of_a_loss(error)
    try:
        if world.rank == 0:
            world.store.set(_WRITER, "1")
            if not alone and world.store.check([_OTHER]):
                _hush()
            return
        if alone:
            world.store.set(_OTHER, "1")
        known = _within(_GRACE, lambda: world.store.check([_WRITER]))
        if known:
            # Launchers end the others when one has ended; rank 0 may still be writing.
            _within(_RECORDING, lambda: world.store.check([_WRITTEN]))
            time.sleep(1.0)
        elif alone or (not world.store.check([_OTHER]) and world.store.add(_SPOKEN, 1) == 1):
            _speak()
    except RuntimeError:  # the store went with the process that kept it, rank 0 or the launcher
        if os.getppid() == world.launcher:
            _speak()


def _within(seconds: float, happened: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _speak() -> None:
    if _PROCESS.outputs is not None:
        sys.stdout, sys.stderr = _PROCESS.outputs


def _hush() -> None:
    sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115


def _here() -> _World | None:
    """Return the ranks to share with; None where there is this process alone."""
    world = _PROCESS.world
    return None if world is None or world.alone else world


def rank() -> int:
    """Return this process's number among those that share the work, from 0."""
    here = _here()
    return 0 if here is None else here.rank


def count() -> int:
    """Return how many processes share the work."""
    here = _here()
    return 1 if here is None else here.count


def shares_layers() -> bool:
    """Whether the layers of the model that is trained are to be shared out among the ranks."""
    return _PROCESS.world is not None and _PROCESS.world.shares_layers


def writes() -> bool:
    """Whether this process is the one that writes, tells and calls what is outside."""
    return _PROCESS.world is None or _PROCESS.world.rank == 0


def part(total: int) -> range:
    """Return which of `total` rows, in their order, are this rank's: equal shares, but for one."""
    number, ranks = rank(), count()
    return range(total * number // ranks, total * (number + 1) // ranks)


def gathered(value: Found) -> list[Found]:
    """Return the values of all ranks, in their order."""
    here = _here()
    if here is None:
        return [value]
    import torch.distributed as distributed

    values: list[Any] = [None] * here.count
    _together(lambda: distributed.all_gather_object(values, value, group=here.group))
    return values


def shared_out(work: Callable[[Sequence[Item]], list[Found]], items: Sequence[Item]) -> list[Found]:
    """Return what `work` returns for all items, one for each, each rank working on some."""
    here = _here()
    if here is None:
        return work(items)
    found = gathered(work(items[here.rank :: here.count]))
    return [found[place % here.count][place // here.count] for place in range(len(items))]


def alone(work: Callable[[], Found]) -> Found:
    """Return what `work` returns on rank 0, where alone it is done; the others wait.

    Its error on rank 0 ends the others with a `RankError`.
    """
    here = _here()
    if here is None:
        return work()
    import torch.distributed as distributed

    told: list[Any] = [None, "it was interrupted"]
    try:
        if here.rank == 0:
            here.alone = True
            told = [work(), None]
    except Exception as error:
        told = [None, str(error)]
        raise
    finally:
        here.alone = False
        _together(lambda: distributed.broadcast_object_list(told, src=0, group=here.group))
    value, failed = told
    if failed is not None:
        raise RankError(f"Rank 0 failed: {failed}")
    return value  # type: ignore[no-any-return]


def require_same(value: object, what: str) -> None:
    """Raise `RankError` unless all ranks have the same value."""
    if len(set(map(repr, gathered(value)))) > 1:
        raise RankError(
            f"The ranks of this run have drifted apart: {what} is not the same on all of them. "
            "Give all of them the same kind of device and the same software; the run goes on from "
            "its last checkpoint."
        )


def found_by_any(places: Iterable[int], total: int) -> list[int]:
    """Return the places, below `total`, that any rank has found, in order."""
    here = _here()
    if here is None:
        return sorted(places)
    import torch
    import torch.distributed as distributed

    marks = torch.zeros(total, dtype=torch.uint8)
    marks[list(places)] = 1
    _together(lambda: distributed.all_reduce(marks, distributed.ReduceOp.MAX, group=here.group))
    found: list[int] = marks.nonzero()[:, 0].tolist()
    return found


def summed(value: float) -> float:
    """Return the sum of all ranks' values, the same on each of them."""
    return value if _here() is None else float(sum(gathered(value)))


def sum_gradients(parameters: Iterable[Tensor]) -> None:
    """Give every parameter the sum of all ranks' gradients.

    Where a rank has none it counts as 0; where no rank has one, there is none.
    """
    if _here() is None:
        return
    import torch
    import torch.distributed as distributed

    # Gradients of layers that are shared out were added up when they came.
    weights = [it for it in parameters if it.requires_grad and not hasattr(it, "device_mesh")]
    with_one = (place for place, weight in enumerate(weights) if weight.grad is not None)
    for place in found_by_any(with_one, len(weights)):
        weight = weights[place]
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        _together(partial(distributed.all_reduce, weight.grad))


def _together(exchange: Callable[[], object]) -> None:
    """Exchange something with the other ranks; raise `RankError` if one of them is gone."""
    try:
        exchange()
    except RuntimeError as error:
        raise lost() from error


def lost() -> RankError:
    """Return the error of a rank that has lost another."""
    return RankError("Another process of this run has ended, which is told where it was started.")


def tells_of_a_loss(error: Exception) -> bool:
    """Whether an error is that of an exchange with a rank that is gone, torch's own included."""
    if isinstance(error, RankError):
        return True
    from torch.distributed import DistError

    return _PROCESS.world is not None and (isinstance(error, DistError) or "/gloo/" in str(error))
