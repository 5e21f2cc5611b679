"""The settings of a run, resolved from defaults, the model's preset, a file and options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cl_bench.contract.errors import UsageError, unknown
from cl_bench.contract.learner import LearnerConfig
from cl_bench.contract.registry import DEFAULT_LEARNER, LEARNERS
from cl_bench.contract.settings import RESERVED, setting, settings_of, settle, those_of
from cl_bench.contract.task import FEEDBACK_LEVELS, FeedbackLevel
from cl_bench.contract.text import printable
from cl_bench.contract.validation import COUNTS, RATES, SEEDS, a_text
from cl_bench.execution.presets import preset_of
from cl_bench.model.named import EMBEDDED, MODELS
from cl_bench.model.samplers.protocol import TEMPORARY

if TYPE_CHECKING:
    from cl_bench.model.adapters import Lora
    from cl_bench.model.chat_templates import TemplateOptions

_SAMPLERS = ("transformers", "vllm")
CHAT_TEMPLATE = "chat_template"
"""The table of variables for the model's chat template, in files and from Python."""
_NO_FP16 = (
    "its range is too small to train in without scaling the loss: gradients below 6e-8 become 0, "
    "and sums above 65504 infinite. Give bf16 (as fast, with float32's range) or float32."
)
_UNSET: Any = None
"""Stands for the defaults of the learner, which is known only when `RunConfig` is made."""


@dataclass(frozen=True)
class EvaluationConfig:
    """Settings of evaluation."""

    items: int = setting(
        64,
        "Different test problems of each domain of the stream; fewer where a domain has fewer.",
        (1, 100_000),
    )
    samples: int = setting(
        4, "Responses sampled to each problem; accuracy is their mean.", (1, 10_000)
    )
    retention_items: int = setting(
        64,
        "Problems of each domain outside the stream, one response each; 0: none.",
        (0, 100_000),
    )
    kl_items: int = setting(
        0,
        "Test problems that divergences and entropy are measured on, one response each; 0: all.",
        (0, 100_000),
    )
    transcripts: int = setting(
        3,
        "Problems of each domain whose first response is kept in full, at the start and at every "
        "stage's end, and one more where those are all right or all wrong; 0: none.",
        (0, 100_000),
    )
    probes: bool = setting(
        True,
        "At the start and every stage's end also ask the base model, and problems of the hardest "
        "setting.",
    )
    greedy: bool = setting(
        False,
        "At the start and every stage's end also take one response at temperature 0 to each test "
        "problem of the stream.",
    )
    validation_items: int = setting(
        0,
        "Validation problems of each domain of the stream, asked at every evaluation: peaks and "
        "choices are theirs; 0: none, and peaks are of test problems.",
        (0, 100_000),
    )

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True)
class RunConfig:
    """Everything that determines a run's numbers besides its stream."""

    learner: str = setting(DEFAULT_LEARNER, "Name of the learner: see `cl-bench list learners`.")
    model: str = setting(
        EMBEDDED, "embedded, smollm2, a Hugging Face folder, a GGUF file or a hub name."
    )
    preset: str = setting(
        EMBEDDED,
        "Name of a preset (`cl-bench list presets`) laid over the model's own, whose settings are "
        "taken where none are given.",
    )
    seed: int = setting(0, "Seed of the conventions, the problems and every random choice.", SEEDS)
    feedback: FeedbackLevel = setting(
        "step",
        "How much the verifier tells the prompt optimiser: none, answer, step or full.",
        choices=FEEDBACK_LEVELS,
    )
    announced: bool = setting(
        False,
        "Whether the learner is told where a task ends; on the command line `--boundaries "
        "announced`.",
        option=False,
    )
    eval_every: int = setting(
        20, "Training steps between evaluations; stage ends are always evaluated.", COUNTS
    )
    threads: int = setting(
        1,
        "Torch threads; 0 leaves torch's own choice. Threads wait for each other actively: beside "
        "other work several are slower than one.",
        (0, 1024),
    )
    device: str = setting(
        "auto", "cpu, cuda or auto (CUDA if there is one).", choices=("auto", "cpu", "cuda")
    )
    precision: str = setting(
        "auto",
        "What responses are sampled and parameters trained in: float32; bf16, which multiplies "
        "matrices in bfloat16 while parameters stay float32; pure-bf16, parameters and moments "
        "too; or auto, float32 on a CPU and bf16 on a GPU.",
        choices=("auto", "float32", "bf16", "pure-bf16"),
        refused=dict.fromkeys(("fp16", "float16", "half"), _NO_FP16),
    )
    peft: str = setting(
        "none",
        "What is trained: none, all parameters; lora, a LoRA adapter beside the frozen model, "
        "without dropout.",
        choices=("none", "lora"),
    )
    lora_rank: int = setting(16, "Rank of the adapter's updates.", (1, 65_536))
    lora_alpha: float = setting(32.0, "The adapter's updates are scaled by alpha / rank.", RATES)
    lora_targets: str = setting(
        "all-linear",
        "The layers with an update: all-linear (but the head), or the last parts of their names, "
        "joined by commas.",
    )
    gradient_checkpointing: bool = setting(
        False,
        "Passes with gradient keep the inputs of layers only, and compute the layers again on the "
        "way back: less memory, for about a third more time.",
    )
    sampler: str = setting(
        "transformers",
        "What samples responses: transformers, the model itself; vllm, an engine in this process "
        "that is given the weights after every step (extra `vllm`); or vllm:URL, a server.",
    )
    sampler_folder: str = setting(
        TEMPORARY,
        "Folder through which a server gets the weights, under the same path there as here; "
        "temporary: this machine's folder for temporary files, for a server on it.",
    )
    sampler_memory: float = setting(
        0.3,
        "Share of a GPU's memory that vLLM takes while it samples; training has it in between.",
        (0.01, 0.99),
    )
    batch_invariant: bool = setting(
        False,
        "vLLM's batch-invariant mode (GPU): a response does not depend on the requests beside it, "
        "for less speed.",
    )
    thinking: str = setting(
        "auto",
        "Whether the model thinks before it answers, if its chat template has a switch for that: "
        "on, off or auto, what the template does by itself.",
        choices=("auto", "on", "off"),
    )
    keep_stage_models: bool = setting(
        False,
        "Keep the model of every stage's end, as a Hugging Face folder of the run; an adapter is "
        "merged.",
    )
    chat_template: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    """Variables that the model's chat template is told, such as `reasoning_effort`."""
    learning: LearnerConfig = _UNSET
    """The learner's settings, of its own class; by default that class's defaults."""
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        settle(self)
        object.__setattr__(self, "chat_template", variables_in(self.chat_template))
        self._require_sampler()
        object.__setattr__(self, "learner", LEARNERS.full(self.learner))
        own = LEARNERS.load(self.learner).config
        learning: object = own() if self.learning is _UNSET else self.learning
        if not isinstance(learning, own):
            raise UsageError(
                f"learning is a {type(learning).__name__}, but {self.learner} takes a "
                f"{own.__name__}."
            )
        object.__setattr__(self, "learning", learning)
        self._require_adapter()

    def _require_sampler(self) -> None:
        """Raise `UsageError` if there is no such sampler, or it has no such setting."""
        kind, _, url = self.sampler.partition(":")
        if kind not in _SAMPLERS or (":" in self.sampler and kind != "vllm"):
            raise unknown("sampler", self.sampler, (*_SAMPLERS, "vllm:URL"))
        if "@" in url:  # first, because the other error shows the address
            raise UsageError(
                "sampler has a name or password in its address, which would be kept with the run. "
                "Leave it out; a key is read from the environment, VLLM_API_KEY."
            )
        if ":" in self.sampler and not _is_address(url):
            raise UsageError(
                f"sampler is {self.sampler!r}, but what follows vllm: must be the address of a "
                "server, as in vllm:http://localhost:8000."
            )
        if self.batch_invariant and self.sampler != "vllm":
            raise UsageError(
                f"batch_invariant is a mode of vLLM in this process, but sampler is "
                f"{self.sampler!r}: give --sampler vllm too, or leave it out. A server is started "
                "with VLLM_BATCH_INVARIANT=1."
            )
        if self.sampler_folder != TEMPORARY and not url:
            raise UsageError(
                "sampler_folder is where a server reads weights, but sampler is "
                f"{self.sampler!r}: give --sampler vllm:URL, or leave it out."
            )

    @property
    def sampler_url(self) -> str:
        """The address of the server that samples; empty without one."""
        return self.sampler.partition(":")[2]

    def _require_adapter(self) -> None:
        """Raise `UsageError` if settings of an adapter were given, but no adapter."""
        for item in settings_of(self):
            given = item.name.startswith("lora_") and getattr(self, item.name) != item.default
            if given and self.peft == "none":
                raise UsageError(f"{item.name} is a setting of an adapter: give peft lora, too.")

    @property
    def lora(self) -> Lora | None:
        """The adapter that is trained; None if all parameters are."""
        from cl_bench.model.adapters import Lora  # brings torch

        if self.peft == "none":
            return None
        return Lora(self.lora_rank, self.lora_alpha, self.lora_targets, self.seed)

    @property
    def template(self) -> TemplateOptions:
        """What the model's chat template is asked for."""
        from cl_bench.model.chat_templates import TemplateOptions

        return TemplateOptions(self.thinking, self.chat_template)

    def anywhere(self) -> RunConfig:
        """Return the same with a model's folder or file as an absolute path.

        A run may be resumed in another working directory. A short name stays as it is, even if a
        file of that name exists.
        """
        path = Path(self.model)
        if self.model in MODELS or not path.exists():
            return self
        # A file that is a link keeps its name, whose end says what it is.
        whole = path.resolve() if path.is_dir() else path.parent.resolve() / path.name
        return replace(self, model=str(whole))

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> RunConfig:
        """Return the configuration that `asdict` turned into `saved`."""
        parts = {
            "learning": LEARNERS.load(saved["learner"]).config(**saved["learning"]),
            "evaluation": EvaluationConfig(**saved["evaluation"]),
        }
        return cls(**{**saved, **parts})


def _is_address(url: str) -> bool:
    """Tell whether `url` has a scheme of the web, a host, and a port that can be one, if any."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or too large
        return False


def variables_in(given: object) -> dict[str, str | int | float | bool]:
    """Return the table [chat_template]: variables with texts, numbers, or true or false.

    Raises `UsageError` for anything else. Which variables there are only the template can say.
    """
    if not isinstance(given, Mapping):
        raise UsageError(
            f"{CHAT_TEMPLATE} is {printable(repr(given), 100)}, but must be a table of variables "
            "of the model's chat template, such as {'reasoning_effort': 'low'}."
        )
    for name, value in given.items():
        plain = isinstance(value, str | int) or (isinstance(value, float) and isfinite(value))
        if not isinstance(name, str) or not plain:
            raise UsageError(
                f"{printable(str(name), 100)} in [{CHAT_TEMPLATE}] is "
                f"{printable(repr(value), 100)}, but must be a text, a number, true or false."
            )
    return dict(given)


def configure(
    *,
    learner: str = DEFAULT_LEARNER,
    model: str | None = None,
    preset: str | None = None,
    **options: Any,
) -> RunConfig:
    """Return the settings of a run from flat options, each for the part that has that setting.

    Settings that are not among `options` come from the model's preset, under that asked for, else
    from the defaults.
    Raises `UsageError` for values out of bounds and for options that are not settings of such a
    run.
    """
    own = LEARNERS.load(a_text("learner", learner)).config
    asked = a_text("preset", preset) if preset is not None else None
    found = preset_of(a_text("model", model) if model is not None else None, asked)
    require_settings(options, learner)
    own_names = {"learner": learner, "model": model or found.model or EMBEDDED}
    taken = {**found.options(learner, options), **options, **own_names, "preset": found.name}
    return RunConfig(
        **those_of(RunConfig, taken),
        chat_template=taken.get(CHAT_TEMPLATE, {}),
        learning=own(**those_of(own, taken)),
        evaluation=EvaluationConfig(**those_of(EvaluationConfig, taken)),
    )


def names_of(learner: str) -> set[str]:
    """Return the names of all settings that can be given for a run with this learner."""
    parts = (RunConfig, EvaluationConfig, LEARNERS.load(learner).config)
    return {CHAT_TEMPLATE, *(item.name for part in parts for item in settings_of(part))}


def require_settings(options: Iterable[str], *learners: str) -> None:
    """Raise `UsageError` for the first option that is not a setting of a run with any of them."""
    known = {name for learner in learners for name in names_of(learner)}
    for name in options:
        if name in known:
            continue
        if name in RESERVED:
            raise UsageError(
                f"{name} is no setting, but an option of its own: leave it out of the settings; "
                "`--help` shows the options that a command has."
            )
        refuse_of_others(name, *learners)
        raise unknown("setting", name, known, RESERVED)


def refuse_of_others(name: str, *learners: str) -> None:
    """Raise `UsageError` for the name of a setting that other built-in learners than these have."""
    others = [other for other in LEARNERS.table if name in names_of(other)]
    if others:
        raise UsageError(
            f"{name} is not a setting of {' or '.join(learners)}, but of {', '.join(others)}. "
            f"Leave it out; `cl-bench list learners {learners[0]}` shows what {learners[0]} has."
        )
