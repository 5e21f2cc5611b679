"""What the user of a run is told when it begins, a line each: what may surprise in its settings,
its model or its machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.task import Referenced
from cl_bench.contract.text import counted
from cl_bench.execution.presets import preset_of
from cl_bench.execution.settings import RunConfig, names_of
from cl_bench.fast.settings import reflection_lm
from cl_bench.model import ranks
from cl_bench.model.named import EMBEDDED

if TYPE_CHECKING:
    import torch

    from cl_bench.contract.stream import Stream
    from cl_bench.model.policy import Policy


def of_settings(course: Stream, config: RunConfig, given: Mapping[str, Any]) -> list[str]:
    """Return notes on the settings; `given` are the options of them that were given."""
    trained = [stage.reference for stage in course.stages]
    lines = []
    if reflection_lm(config.learning).kind == "digest" and config.feedback in ("none", "answer"):
        lines.append(
            f"feedback {config.feedback} names no kind of mistake, so digest has nothing to advise "
            "and every rewrite fails; give --feedback full."
        )
    lines += [
        f"{domain.name}: {domain.summary}"
        for domain in map(DOMAINS.load, dict.fromkeys((*trained, *course.outside)))
        if isinstance(domain, Referenced)
    ]
    warmup = getattr(config.learning, "warmup_steps", 0)
    if warmup >= course.steps:
        lines.append(
            f"warmup_steps is {warmup}, and the stream has {counted(course.steps, 'step')}: the "
            "learning rate never reaches its value. Give --steps or --warmup-steps."
        )
    private = [name for name in course.domains if name in DOMAINS.table]
    preset, known = preset_of(config.model, given.get("preset")), names_of(config.learner)
    lines[:0] = filter(None, [preset.words(config.learner, given, known)])
    if preset_of(config.model).name == EMBEDDED:
        foreign = [name for name in course.domains if DOMAINS.is_sourced(name)]
        if foreign:
            lines.append(
                f"{', '.join(foreign)}: the embedded model, and others with its tokenizer, know "
                "the built-in domains alone and score 0 here; try --model smollm2."
            )
        return lines
    if private:
        lines.append(
            f"{', '.join(private)}: these domains speak the grammar of the embedded model, and a "
            "pretrained model scores 0 on them; try --stream gym-arithmetic."
        )
    return lines


def of_model(policy: Policy) -> list[str]:
    """Return notes on how the model is asked and trained."""
    from cl_bench.model.generation import ignored_sampling

    template, said = policy.settled_template, []
    if template.folded:
        said.append(
            "The model's chat template has no system role: the system prompt is put before the "
            "problem in the user's message, an empty line between them."
        )
    if template.date:
        said.append(
            f"The model's chat template asks for the date: it is told {template.date} in every "
            "prompt of every run, so that the same seed gives the same prompts on every day."
        )
    if template.variables:
        told = ", ".join(f"{name} {json.dumps(of)}" for name, of in template.variables.items())
        said.append(f"The model's chat template is told: {told}.")
    if ignored := ignored_sampling(policy.model):
        asked = ", ".join(f"{name} {of}" for name, of in ignored.items())
        said.append(
            f"The model's generation_config.json asks for {asked}, which runs ignore: responses "
            "are drawn from the model's whole distribution at the run's temperature."
        )
    if policy.precision == "pure-bf16":
        said.append(
            "Parameters are kept in bfloat16, three digits each: steps below about a 500th of a "
            "parameter round to nothing, and divergences are measured with that noise. "
            "--precision bf16 keeps parameters in float32."
        )
    return said


def of_machine(device: torch.device) -> list[str]:
    """Return a note on GPUs that the run leaves alone."""
    import torch

    cards = torch.cuda.device_count() if device.type == "cuda" and ranks.count() == 1 else 1
    told = (
        f"This machine has {cards} GPUs, of which the run takes the first. To use them all, start "
        f"it as `torchrun --nproc-per-node {cards} -m cl_bench run …`."
    )
    return [told] if cards > 1 else []
