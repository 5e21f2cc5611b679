"""A slow channel on a tiny model: scripted rewards, seen generations, gradients by hand."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict

import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_pre_hook

from cl_bench.contract.learner import Exercise
from cl_bench.contract.task import Verdict
from cl_bench.model.policy import Policy
from cl_bench.slow.settings import RLConfig
from tests.model.samplers.doubles import Recorded


class OnePromptEach(RLConfig):
    """All rollouts of an exercise read the same prompt."""

    @property
    def prompt_run(self) -> int:
        return self.group_size


CONFIG = RLConfig(learning_rate=1e-2, group_size=4, max_new_tokens=7, temperature=0.8)
APART = OnePromptEach(**asdict(CONFIG))
ONE, TWO, THREE = "solve step by step .", "a second , longer prompt ;", "third"


def exercise(name: str, score: Callable[[str], float]) -> Exercise:
    return Exercise(name, f"math : {name} : 4", lambda text: Verdict(score(text), "", None))


def scripted(name: str, rewards: list[float]) -> Exercise:
    """Its n-th response scores the n-th of `rewards`, whatever it says."""
    left = iter(rewards)
    return exercise(name, lambda _: next(left))


def by_length(name: str) -> Exercise:
    return exercise(name, lambda text: min(len(text) / 40, 1.0))


def advantages(rewards: list[float]) -> list[float]:
    mean = sum(rewards) / len(rewards)
    deviation = (sum((r - mean) ** 2 for r in rewards) / (len(rewards) - 1)) ** 0.5
    return [(r - mean) / (deviation + 1e-4) for r in rewards]


def score_by_hand(
    model: torch.nn.Module, seen: Recorded, temperature: float
) -> tuple[list[Tensor], list[Tensor]]:
    """Log-probabilities and entropies of the sampled tokens, one unpadded rollout at a time."""
    log_probs, entropies = [], []
    for prompt, completion in zip(seen.prompts, seen.completions, strict=True):
        logits = model(input_ids=torch.tensor([[*prompt, *completion]])).logits[0]
        table = torch.log_softmax(logits[len(prompt) - 1 : -1] / temperature, dim=-1)
        log_probs.append(table.gather(1, torch.tensor(completion)[:, None])[:, 0])
        entropies.append(-(table.exp() * table).sum(-1))
    return log_probs, entropies


def hand_written_loss(
    model: torch.nn.Module, seen: Recorded, rewards: list[list[float]]
) -> tuple[Tensor, list[Tensor]]:
    """CISPO with ratio 1 over whole groups, per token of the step; and the tokens' entropies."""
    log_probs, entropies = score_by_hand(model, seen, CONFIG.temperature)
    factors = [advantage for group in rewards for advantage in advantages(group)]
    terms = [factor * tokens for factor, tokens in zip(factors, log_probs, strict=True)]
    return -torch.cat(terms).mean(), entropies


def gradients_of(model: torch.nn.Module) -> dict[str, Tensor]:
    """Filled, at the next step of an optimizer, with each parameter's gradient (after clipping)."""
    found: dict[str, Tensor] = {}

    def keep(*_: object) -> None:
        handle.remove()
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                found[name] = parameter.grad.clone()

    handle = register_optimizer_step_pre_hook(keep)
    return found


def trainable_copy(policy: Policy) -> torch.nn.Module:
    """A model as the policy was at the start."""
    with policy.base() as base:
        model: torch.nn.Module = copy.deepcopy(base)
    return model.requires_grad_(True)


def assert_same_gradients(
    given: dict[str, Tensor], model: torch.nn.Module, *, most: float = 1.0
) -> None:
    """Those given are those of `model`, clipped to a norm of at most `most`."""
    norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
    factor = min(1.0, most / float(norm))
    assert len(given) == len(list(model.parameters())) > 10
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        expected = factor * parameter.grad
        scale = float(expected.abs().max())
        torch.testing.assert_close(given[name], expected, rtol=1e-3, atol=1e-5 * scale)
