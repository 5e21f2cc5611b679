"""The resolved configuration of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cl_bench.contract.errors import unknown
from cl_bench.contract.learner import LearnerConfig
from cl_bench.contract.task import FEEDBACK_LEVELS, FeedbackLevel
from cl_bench.contract.validation import COUNTS, SEEDS, settle
from cl_bench.execution.evaluator import EvaluationConfig
from cl_bench.model.named import MODELS

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("float32", "bf16")


@dataclass(frozen=True)
class RunConfig:
    """Everything that determines a run's numbers besides its stream."""

    learner: str = "fst"
    """Name of the learner in the registry."""
    model: str = "embedded"
    """A short name (`embedded`, `smollm2`), a Hugging Face folder, a GGUF file or a hub name."""
    preset: str = "embedded"
    """Whose settings were taken where none were given (`cl_bench.execution.presets`)."""
    seed: int = 0
    """Seed of the conventions, the problems and every random choice."""
    feedback: FeedbackLevel = "step"
    """How much the verifier tells the prompt optimiser: none, answer, step or full."""
    announced: bool = False
    """Whether the learner is told where a task ends."""
    eval_every: int = 20
    """Training steps between evaluations; stage ends are always evaluated."""
    threads: int = 0
    """Torch threads; 0 leaves torch's own choice."""
    device: str = "auto"
    """`cpu`, `cuda` or `auto` (CUDA if there is one)."""
    precision: str = "float32"
    """What responses are sampled and parameters trained in: `float32`, or `bf16`, which multiplies
    matrices in bfloat16 (autocast) while parameters and moments stay float32. Divergences are
    measured in float32 either way."""
    keep_stage_models: bool = False
    """Whether the model of every stage's end is kept, as a Hugging Face folder of the run."""
    learning: LearnerConfig = field(default_factory=LearnerConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        settle(
            self,
            whole={"seed": SEEDS, "eval_every": COUNTS, "threads": (0, 1024)},
            texts=("learner", "model", "preset"),
            flags=("announced", "keep_stage_models"),
        )
        for kind, given, allowed in (
            ("feedback level", self.feedback, FEEDBACK_LEVELS),
            ("device", self.device, DEVICES),
            ("precision", self.precision, PRECISIONS),
        ):
            if given not in allowed:
                raise unknown(kind, given, allowed)

    def anywhere(self) -> RunConfig:
        """The same, with a model's folder or file by its whole path: a run may be resumed in
        another folder. A short name stays one, whatever lies there."""
        path = Path(self.model)
        if self.model in MODELS or not path.exists():
            return self
        # A file that is a link keeps its name, whose end says what it is.
        whole = path.resolve() if path.is_dir() else path.parent.resolve() / path.name
        return replace(self, model=str(whole))

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> RunConfig:
        """The configuration that `asdict` turned into `saved`."""
        parts = {
            "learning": LearnerConfig(**saved["learning"]),
            "evaluation": EvaluationConfig(**saved["evaluation"]),
        }
        return cls(**{**saved, **parts})
