"""Another local model as reflection LM."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from cl_bench.contract.journal import Style
from cl_bench.contract.prompts import Message
from cl_bench.contract.task import hashed_rng
from cl_bench.fast.reflection.outside import Answer, AttemptError
from cl_bench.fast.reflection.reflector import ROOM, declared_style
from cl_bench.model import resolve
from cl_bench.model.policy import Policy


class LocalModel:
    """A model loaded under the rules of `Policy.load`, never trained, sampled at temperature 1.

    Every attempt has a generator of its own, from the run's seed and its number, so that nothing
    it draws moves the run's own random state.
    """

    def __init__(self, name: str, device: str, seed: int) -> None:
        self._lm = Policy.load(resolve(name), device, frozen=True)
        self._seed = seed
        self.style: Style = declared_style(self._lm, "transcript")

    def ask(
        self, messages: Sequence[Message], current: str, *, number: int, attempt: int
    ) -> Answer:
        room = ROOM[self.style] + len(self._lm.tokenizer(current)["input_ids"])
        if not self._lm.fits(list(messages), room):
            raise AttemptError("a request longer than the context", again=False)
        device = self._lm.device
        cards = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices=cards):
            torch.manual_seed(hashed_rng("reflect", self._seed, number, attempt).getrandbits(32))
            (reply,) = self._lm.generate([messages], max_new_tokens=room)
        return Answer(reply.text, len(reply.prompt_ids) + len(reply.completion_ids))
