"""What makes two runs comparable: one stream, the same test problems, sampler, model and budget."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Key:
    """What runs have to have in common to be ranked together, seeds apart.

    Equal and hashable by what counts: a model is its files, wherever they lie.
    """

    stream: str
    """Name of the stream."""
    version: str
    """Version of the stream."""
    stages: tuple[tuple[str, str, str, int], ...]
    """Domain, version of the domain, setting and training steps of every stage."""
    conditions: tuple[tuple[str, object], ...]
    """What else the stream tells the learner: level of feedback, announced boundaries."""
    sampler: tuple[tuple[str, object], ...]
    """How test problems are asked: temperature, longest response, items, samples, and the steps
    between evaluations."""
    budget: tuple[int, ...]
    """Training samples of every stage: steps × problems of a step × group size."""
    model: str
    """Hash of the model's files, or its hub name and revision."""
    metric_version: int
    """`cl_bench.run_metrics.METRIC_VERSION`."""
    meaning: int
    """Counts the schema versions at which the numbers of tables changed their meaning."""
    model_name: str = field(default="", compare=False)
    """The model by the name that the run was given."""
