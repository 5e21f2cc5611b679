"""Samplers for tests: one that notes what another does, and one that follows a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cl_bench.model.samplers.protocol import Sampled, Sampler


@dataclass
class Recorded:
    """A sampler, and what it was asked and gave: one entry a row."""

    sampler: Sampler
    engine: str = field(default="recorded", kw_only=True)
    own_model: bool = field(default=True, kw_only=True)
    prompts: list[tuple[int, ...]] = field(default_factory=list)
    completions: list[tuple[int, ...]] = field(default_factory=list)

    @property
    def rows(self) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """Prompt and response of each row."""
        return list(zip(self.prompts, self.completions, strict=True))

    def sample(self, prompts: Sequence[Sequence[int]], **options: Any) -> list[Sampled]:
        sampled = self.sampler.sample(prompts, **options)
        self.prompts += map(tuple, prompts)
        self.completions += [tuple(row.tokens) for row in sampled]
        return sampled

    def weights_changed(self) -> None:
        self.sampler.weights_changed()


@dataclass
class Scripted:
    """A sampler of another kind: it has no model, and says the same to every request."""

    tokens: list[int]
    of_policy: int = 0
    """Rows asked of the policy's weights."""
    of_base: int = 0
    """Rows asked of the base."""
    changes: int = 0
    """How often it was told of new weights."""
    engine: str = field(default="scripted", kw_only=True)
    own_model: bool = field(default=True, kw_only=True)
    ended: bool = field(default=True, kw_only=True)
    """Whether the last of the tokens ends what is said; else it is cut off."""

    def sample(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        max_new_tokens: int,
        temperature: float,
        from_base: bool = False,
    ) -> list[Sampled]:
        assert len(self.tokens) <= max_new_tokens
        if from_base:
            self.of_base += len(prompts)
        else:
            self.of_policy += len(prompts)
        log_probs = [-1.0] * len(self.tokens)
        said = (list(self.tokens), list(log_probs), 2.0)
        return [Sampled(*said, ended=self.ended) for _ in prompts]

    def weights_changed(self) -> None:
        self.changes += 1
