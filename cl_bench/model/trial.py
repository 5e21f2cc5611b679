"""What a model has to be able to do, tried with a few tokens before anything rests on it.

Architectures differ in how they keep their state, and libraries in what they read and will not
write again. What cannot work is told before a run begins, in one line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol, Self

import torch
from torch import Tensor

from cl_bench.contract.errors import DivergedError, ModelError, RankError
from cl_bench.contract.prompts import chat
from cl_bench.contract.text import reason_of
from cl_bench.model import ranks
from cl_bench.model.gradient_path import vocabulary_in_place
from cl_bench.model.inputs import left_pad
from cl_bench.model.random_states import random_states_kept
from cl_bench.model.samplers.transformers import evaluating
from cl_bench.model.scoring import (
    next_tokens,
    own_tokens,
    read_whole_texts,
    shared_logits,
    text_logits,
)
from cl_bench.model.sharding import wholes

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from cl_bench.contract.prompts import Message
    from cl_bench.model.chat_templates import TemplateOptions
    from cl_bench.model.samplers.protocol import Sampled, Sampler

_LENGTHS = (7, 2, 7)
"""Tokens of the prompts: unequal ones are padded, and of equal ones the cache is copied."""
_TOKENS = 3
_CLOSE = {"float32": 0.05, "bf16": 0.5, "pure-bf16": 0.5}
"""Nats by which the log-probability of one token may differ between two ways to compute it."""
_CLOSE_GRADIENT = 0.02
"""Share of a gradient's greatest number by which two ways to compute it may differ."""
_REASON = 200


class TriedPolicy(Protocol):
    """What is tried of a `cl_bench.model.policy.Policy`, which tries itself when it is loaded."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    sampler: Sampler
    precision: str
    template_options: TemplateOptions

    @property
    def device(self) -> torch.device: ...

    @property
    def context(self) -> int | None: ...

    @property
    def pad_id(self) -> int: ...

    def encode(self, chats: Sequence[Sequence[Message]]) -> list[list[int]]: ...

    def save_model(self, folder: Path) -> None: ...

    def plain_model(self) -> PreTrainedModel: ...

    @classmethod
    def load(
        cls, name_or_path: str, *, precision: str, frozen: bool, template: TemplateOptions
    ) -> Self: ...


def require_sampling(policy: TriedPolicy) -> None:
    """Raise `ModelError` unless rows of a batch are sampled as if each were read alone.

    A model that ignores what is padding, or whose state cannot be copied from row to row, would
    give other numbers or none. The global random states stay as they are.
    """
    kind = type(policy.model).__name__
    tokens = policy.encode([chat("", "Hello!")])[0]
    room = (policy.context or 2**31) - _TOKENS
    rows = [tokens[-max(1, min(length, room)) :] for length in _LENGTHS]
    try:
        with random_states_kept(policy.device):
            sampled = policy.sampler.sample(rows, max_new_tokens=_TOKENS, temperature=1.0)
        apart = max(map(abs, _differences(policy, rows, sampled)))
    except DivergedError as error:
        raise ModelError(
            f"The model {policy.tokenizer.name_or_path!r} has no finite distribution before "
            "anything was trained: its weights hold infinities or NaN, or overflow in this "
            "precision. Restore them from where the model came from."
        ) from error
    except ModelError:
        raise
    except Exception as error:
        reason = reason_of(error, _REASON)
        raise ModelError(_unusable(kind, f"sampling a batch fails ({reason})")) from error
    if not apart < _CLOSE[policy.precision]:
        raise ModelError(
            _unusable(kind, f"a batch gives log-probabilities {apart:.2g} nats from a row alone")
        )


def _unusable(kind: str, why: str) -> str:
    return (
        f"{kind} cannot be used: {why}. Rows are sampled together, padded on the left, from a "
        "cache whose rows can be copied. Use another architecture."
    )


@torch.no_grad()
def _differences(
    policy: TriedPolicy, rows: Sequence[Sequence[int]], sampled: Sequence[Sampled]
) -> list[float]:
    """Return, for each sampled token, its log-probability less that of its row read alone."""
    found: list[float] = []
    for row, drawn in zip(rows, sampled, strict=True):
        one = [(row, drawn.tokens)]
        log_prob, _ = own_tokens(next_tokens(policy.model, one, policy.pad_id, 1.0))
        alone = log_prob[0].tolist()
        found += [mine - other for mine, other in zip(drawn.log_probs, alone, strict=True)]
    return found


def settle_reading(policy: TriedPolicy) -> None:
    """Have training read a prompt together with each response where it cannot be read once for all.

    Some architectures go on from a cache with single tokens alone and forget it before several, or
    change it in place while a gradient needs it. Raises `ModelError` if whole texts have no
    gradient either. The model and the global random states stay as they were.
    """
    model = policy.model
    tokens = policy.encode([chat("", "Hello!")])[0]
    room = min(len(tokens), policy.context or 2**31)
    if room < 2:  # no token of a response after one of a prompt
        return
    rows = [tokens[-min(length + _TOKENS, room) :] for length in _LENGTHS]
    ids, mask = (each.to(policy.device) for each in left_pad(rows, policy.pad_id))
    keep = min(_TOKENS, min(map(len, rows)) - 1)
    with random_states_kept(policy.device), evaluating(model), _embeddings_alone(model) as weight:
        try:
            wanted, its_gradient = _read(text_logits, model, weight, ids, mask, keep)
        except Exception as error:
            kind, reason = type(model).__name__, reason_of(error, _REASON)
            raise ModelError(_unusable(kind, f"it has no gradient ({reason})")) from error
        try:
            found, gradient = _read(shared_logits, model, weight, ids, mask, keep)
        except Exception:  # noqa: BLE001 - whatever a cache of any architecture raises
            near = False
        else:
            apart = float((found - wanted).abs().max())
            most = _CLOSE_GRADIENT * float(its_gradient.abs().max())
            gap = float((gradient - its_gradient).abs().max())
            near = apart < _CLOSE["float32"] and gap <= most
    if not near:
        read_whole_texts(type(model))


def _read(
    logits: Callable[[PreTrainedModel, Tensor, Tensor, int], Tensor],
    model: PreTrainedModel,
    weight: Tensor,
    ids: Tensor,
    mask: Tensor,
    keep: int,
) -> tuple[Tensor, Tensor]:
    """Return the log-probabilities of the last `keep` tokens, and their gradient at `weight`."""
    with vocabulary_in_place(model):
        log_prob = torch.log_softmax(logits(model, ids, mask, keep), -1)
    chosen = log_prob.gather(-1, ids[:, -keep:, None])
    chosen.sum().backward()  # type: ignore[no-untyped-call]
    gradient, weight.grad = weight.grad, None
    assert gradient is not None
    return chosen.detach(), gradient


@contextmanager
def _embeddings_alone(model: PreTrainedModel) -> Iterator[Tensor]:
    """Give the weight of the embeddings, which alone has a gradient within this context."""
    embeddings: Any = model.get_input_embeddings()
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    model.requires_grad_(False)
    weight: Tensor = embeddings.weight.requires_grad_(True)
    try:
        yield weight
    finally:
        weight.requires_grad_(False)
        weight.grad = None
        for each in trained:
            each.requires_grad_(True)


def require_saving(policy: TriedPolicy, near: Path) -> None:
    """Raise `ModelError` unless the model is the same after it was saved and loaded again.

    It is written into a temporary folder in the nearest folder of the path `near` that exists.
    """
    home = next(folder for folder in near.absolute().parents if folder.is_dir())
    try:
        with TemporaryDirectory(prefix=".cl-bench-trial-", dir=home) as folder:
            policy.save_model(Path(folder))
            state = wholes(policy.plain_model().state_dict())
            same = ranks.alone(lambda: _same(policy, state, folder))
    except RankError:
        raise
    except Exception as error:
        reason = reason_of(error, _REASON)
        raise ModelError(_unsaved(f"it cannot be saved and loaded again ({reason})")) from error
    if not same:
        raise ModelError(_unsaved("what is saved is loaded as another model or tokenizer"))


def _unsaved(why: str) -> str:
    return (
        f"The models of the stages' ends could not be kept: {why}. Leave out --keep-stage-models, "
        "or mend the model's files."
    )


def _same(mine: TriedPolicy, state: Mapping[str, Tensor], folder: str) -> bool:
    """Tell whether what was saved in `folder` is loaded as the same tokenizer and weights."""
    other = type(mine).load(
        folder, precision=mine.precision, frozen=True, template=mine.template_options
    )
    asked = [chat("Count.", "one two 3 44"), chat("", "\n\n5 + é")]
    return mine.encode(asked) == other.encode(asked) and all(
        torch.equal(weight.cpu(), state[name].cpu())
        for name, weight in other.plain_model().named_parameters()
    )
