"""The model card: what the model is, how well it does, with which prompt, and where it comes from.

Metadata go through huggingface_hub's own classes. Prompts and names are untrusted text: prompts
stand in fences that they cannot end, everything else is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData, try_to_load_from_cache

from cl_bench.analysis.run_values import RUN_METRICS
from cl_bench.contract.redaction import short_line
from cl_bench.contract.text import counted
from cl_bench.export.subject import CardSubject, PromptRow, Prompts
from cl_bench.metrics.quantities import NATS, NOTHING, SHARE
from cl_bench.model.named import EMBEDDED, MODELS
from cl_bench.report.blocks.write_markdown import escaped, fenced

_TASK = "text-generation"


def card(subject: CardSubject) -> ModelCard:
    """The card, metadata and text; `save` writes it."""
    metadata = _metadata(subject)
    return ModelCard(f"---\n{metadata.to_yaml()}\n---\n\n{text(subject)}")


def _metadata(subject: CardSubject) -> ModelCardData:
    manifest = subject.manifest
    model = str(manifest["config"]["model"])
    return ModelCardData(
        license=licence(model) or "unknown",
        library_name="peft" if subject.adapter else "transformers",
        pipeline_tag=_TASK,
        base_model=model if _on_hub(model) else None,
        tags=["cl-bench", "continual-learning", _learner(manifest), _stream(manifest)],
        model_name=short_line(subject.name),
        eval_results=list(_results(subject)),
    )


def _results(subject: CardSubject) -> Iterator[EvalResult]:
    stream, figures = subject.manifest["stream"], subject.figures
    settings = {stage["domain"]: stage["setting"] for stage in reversed(stream["stages"])}
    common: dict[str, Any] = {"task_type": _TASK, "dataset_split": "test"}
    about = {"seed": subject.manifest["seed"], "after_stage": subject.stage}
    for row in figures.domains:
        for metric, value in (("accuracy", row.accuracy), ("kl_policy_base", row.kl)):
            yield EvalResult(
                **common,
                dataset_type=f"cl-bench/{short_line(row.domain)}",
                dataset_name=f"cl-bench {short_line(row.domain)}",
                dataset_args={"setting": settings[row.domain], **about},
                metric_type=metric,
                metric_name=f"{metric}, {row.prompt} prompt",
                metric_value=value,
            )
    for name, value in figures.metrics.items():
        yield EvalResult(
            **common,
            dataset_type=f"cl-bench/{_stream(subject.manifest)}",
            dataset_name=f"cl-bench stream {_stream(subject.manifest)}",
            dataset_args={"version": stream["version"], **about},
            metric_type=name,
            metric_name=RUN_METRICS[name].title,
            metric_value=value,
        )


def text(subject: CardSubject) -> str:
    """The card's text, in Markdown."""
    blocks = [
        f"# {escaped(short_line(subject.name))}",
        _what(subject),
        "## Use",
        _use(subject),
        "## System prompt",
        *_prompts(subject.prompts),
        "## Results",
        *_tables(subject),
        "## Where it comes from",
        _table(("", ""), list(_origin(subject))),
        "## Licence",
        _licence(subject),
    ]
    return "\n\n".join(blocks) + "\n"


def _what(subject: CardSubject) -> str:
    manifest, stages = subject.manifest, subject.manifest["stream"]["stages"]
    done = " → ".join(escaped(stage["domain"]) for stage in stages[: subject.stage])
    rest = len(stages) - subject.stage
    left = f" The stream has {counted(rest, 'more stage')}." if rest else ""
    ended = "" if manifest["status"] == "done" else f" The run ended as {manifest['status']}."
    return (
        f"A causal language model that the learner `{_code(_learner(manifest))}` of cl-bench, a "
        f"continual-learning benchmark, trained from {_base(manifest)} on the stream "
        f"`{_code(_stream(manifest))}`: {done}.{left}{ended} Its problems follow conventions drawn "
        f"from seed {manifest['seed']}, so it is an object of study and not meant for other use."
    )


def _use(subject: CardSubject) -> str:
    problem = subject.figures.problem or "a problem of the stream"
    where, imported = _literal(subject.name), ""
    if subject.repository is not None:
        where = f"snapshot_download({_literal(subject.repository)})"
        imported = "from huggingface_hub import snapshot_download\n"
    library, kind = "transformers", "AutoModelForCausalLM"
    if subject.adapter:  # its adapter_config.json names the base model
        library, kind = "peft", "AutoPeftModelForCausalLM"
    code = f"""\
import json
from pathlib import Path

{imported}from {library} import {kind}
from transformers import AutoTokenizer

folder = {where}
model = {kind}.from_pretrained(folder)
tokenizer = AutoTokenizer.from_pretrained(folder)
prompts = json.loads(Path(folder, "prompts.json").read_text(encoding="utf-8"))
chat = [
    {{"role": "system", "content": prompts["prompt"]}},
    {{"role": "user", "content": {_literal(problem)}}},
]
inputs = tokenizer.apply_chat_template(
    chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
)
out = model.generate(**inputs, max_new_tokens={subject.figures.max_new_tokens}, do_sample=True)
print(tokenizer.decode(out[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))"""
    return fenced(code, "python")


def _literal(text: str) -> str:
    """A text in Python's code; what is hidden in it becomes an escape in its fence, as in a text.

    The escapes that JSON makes of what is not ASCII are pairs, which are two characters to Python.
    """
    return json.dumps(text, ensure_ascii=False)


def _prompts(prompts: Prompts) -> Iterator[str]:
    others = [row for row in prompts.population if row["text"] != prompts.chosen]
    yield "The learner was evaluated with this prompt; `prompts.json` has it and all others."
    yield fenced(prompts.chosen)
    for title, rows in (
        ("Its lineage, from the seed prompt on:", prompts.lineage),
        ("The rest of the population, best first:", others),
    ):
        if rows:
            yield title
        for row in rows:
            yield _about(row)
            yield fenced(row["text"])


def _about(row: PromptRow) -> str:
    came = "the seed prompt" if row["parent_id"] < 0 else f"from prompt {row['parent_id']}"
    score = "not scored" if row["score"] is None else f"score {SHARE.text(row['score'])}"
    return f"Prompt {row['prompt_id']} ({came}), round {row['round']}, step {row['step']}, {score}:"


def _tables(subject: CardSubject) -> Iterator[str]:
    figures = subject.figures
    yield (
        f"After stage {subject.stage} (step {figures.step}), on the test problems of each domain "
        f"with {counted(figures.samples, 'response')} to each, at temperature "
        f"{figures.temperature:g}. KL is D(policy ‖ base) on the policy's responses, in nats per "
        "token. One run: differences between seeds are not in these numbers."
    )
    rows = [
        (
            escaped(row.domain),
            f"{row.items:,}",
            row.prompt,
            NOTHING if row.before is None else SHARE.text(row.before),
            SHARE.text(row.accuracy),
            NATS.text(row.kl),
        )
        for row in figures.domains
    ]
    columns = ("domain", "problems", "prompt", "accuracy before", "accuracy after", "KL")
    yield _table(columns, rows)
    if figures.metrics:
        yield "Over the whole stream:"
        metrics = [
            (escaped(RUN_METRICS[name].title), f"`{name}`", RUN_METRICS[name].quantity.text(value))
            for name, value in figures.metrics.items()
        ]
        yield _table(("metric", "name", "value"), metrics)


def _origin(subject: CardSubject) -> Iterator[tuple[str, str]]:
    manifest, made = subject.manifest, subject.manifest["provenance"]
    stages = manifest["stream"]["stages"]
    yield "learner", f"`{_code(_learner(manifest))}`"
    yield (
        "stream",
        f"`{_code(_stream(manifest))}`, version {escaped(manifest['stream']['version'])}",
    )
    yield (
        "stages",
        ", ".join(f"{escaped(s['domain'])} ({s['setting']}, {s['steps']} steps)" for s in stages),
    )
    yield "seed", str(manifest["seed"])
    yield "feedback", escaped(str(manifest["config"].get("feedback", "unknown")))
    yield "base model", _base(manifest)
    if manifest.get("model_revision"):
        yield "its revision", f"`{_code(str(manifest['model_revision']))}`"
    yield "status of the run", escaped(str(manifest["status"]))
    yield "configuration (hash)", f"`{_code(str(manifest.get('config_hash')))}`"
    dirty = ", with uncommitted changes" if made.get("git_dirty") else ""
    commit = f", commit {escaped(str(made['git_commit']))}{dirty}" if made.get("git_commit") else ""
    yield "cl-bench", f"{escaped(str(made.get('cl_bench')))}{commit}"
    packages = made.get("packages") or {}
    yield "packages", ", ".join(f"{escaped(n)} {escaped(str(v))}" for n, v in packages.items())


def _licence(subject: CardSubject) -> str:
    model = str(subject.manifest["config"]["model"])
    found = licence(model)
    if found is None:
        return (
            "That of the base model, which the run does not record: look it up there and put it "
            "into this card before you pass the model on."
        )
    return f"`{_code(found)}`, that of the base model."


def licence(model: str) -> str | None:
    """The licence of a model with a short name; else the one that the base model's own card names,
    if that is on this machine."""
    if model in MODELS:
        return MODELS[model].licence.lower()  # the hub writes them so
    file: Any = Path(model) / "README.md"
    if _on_hub(model):
        file = try_to_load_from_cache(model, "README.md")
    if not isinstance(file, str | Path) or not Path(file).is_file():
        return None
    try:
        found = ModelCard.load(file, ignore_metadata_errors=True).data.get("license")
    except Exception:  # noqa: BLE001 - a card of anybody's can break its reader in any way
        return None
    return found if isinstance(found, str) else None


def _on_hub(model: str) -> bool:
    """Whether a run's model has the name of one on the hub; folders are recorded as whole paths."""
    return model not in MODELS and not Path(model).is_absolute()


def _base(manifest: Mapping[str, Any]) -> str:
    """The base model by name; of a folder, the last part, which says nothing of the machine."""
    model = str(manifest["config"]["model"])
    if model == EMBEDDED:
        return "the embedded model of cl-bench"
    return f"`{_code(model if _on_hub(model) else Path(model).name)}`"


def _learner(manifest: Mapping[str, Any]) -> str:
    return short_line(str(manifest["learner"]))


def _stream(manifest: Mapping[str, Any]) -> str:
    return short_line(str(manifest["stream"]["name"]))


def _code(text: str) -> str:
    """For code in a line, where no back quote or bar can be escaped."""
    return short_line(text).replace("`", "'").replace("|", "¦")


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
