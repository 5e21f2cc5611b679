"""`check_learner`: does a learner keep the contract of cl_bench/contract/learner.py?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from math import isnan
from typing import TYPE_CHECKING, Any

from cl_bench.contract import plugin_checks as contracts
from cl_bench.contract.errors import RunDirectoryError
from cl_bench.contract.learner import LearnerFactory
from cl_bench.contract.records import PromptRecord, StepRecord
from cl_bench.contract.registry import LEARNERS
from cl_bench.tools.checks import randomness
from cl_bench.tools.checks.fault import Fault, Rule, apply, shortened

if TYPE_CHECKING:
    from cl_bench.tools.checks.trial import Evidence

_TOLERANCE = 1.1
"""Reported tokens may differ from the sampled ones by a tenth, as padding is counted or not."""


def check_learner(learner: LearnerFactory | str) -> list[Fault]:
    """Every rule of a learner that `learner` (a factory or a registry name) breaks, explained.

    An empty list means that nothing was found. The learner takes five steps on a tiny model with
    random weights, is saved after two of them, and a second one is loaded and takes the other
    three: some seconds. Unknown names raise `UsageError`. The global random state is left as it
    was.
    """
    factory: Any = LEARNERS.load(learner) if isinstance(learner, str) else learner
    if fault := contracts.learner_fault(factory, ""):
        return [Fault("factory", f"{fault[0].upper()}{fault[1:]}.")]
    # What it needs imports torch, which a check of tasks does without.
    from cl_bench.tools.checks.trial import TrialError, trial

    with randomness.kept():
        try:
            evidence = trial(factory)
        except TrialError as error:
            return [Fault("runs", str(error))]
    registered = learner if isinstance(learner, str) else ""
    return apply({"name": lambda found: _name(found, registered), **_RULES}, evidence)


def _name(evidence: Evidence, registered: str) -> Iterator[str]:
    name: Any = getattr(evidence.first.learner, "name", None)
    if registered and name != registered:
        yield f"The learner's name is {name!r}, but it is registered as {registered!r}."
    elif not isinstance(name, str) or not name:
        yield f"The learner's name is {name!r}; give it the text that it is registered by."


def _building(evidence: Evidence) -> Iterator[str]:
    if evidence.disturbed:
        yield (
            f"Building it draws from or seeds the global generator of "
            f"{' and '.join(evidence.disturbed)}; the runner has seeded those, and a resumed run "
            "builds the learner again. Put the state back, or use a generator of your own."
        )


def _records(evidence: Evidence) -> Iterator[str]:
    for given, yielded in evidence.first.counts:
        if yielded != given:
            more = "at least " if yielded > given else ""
            yield (
                f"learn was given {given} batches and yielded {more}{yielded} records; the runner "
                "counts steps by them, so yield exactly one after each batch (none for `ahead`)."
            )
    for record in evidence.first.records:
        if not isinstance(record, StepRecord):
            yield f"learn yielded a {type(record).__name__}; it has to yield StepRecord."
        elif not (isnan(record.reward) or 0 <= record.reward <= 1):
            yield f"A step's reward is {record.reward!r}; it is a mean of scores from 0 to 1."
    yield from _unfit("steps", [_step_row(record) for record in evidence.first.records])


def _step_row(record: Any) -> dict[str, object]:
    return {"step": 1, "stage": 1, "domain": "toy", **asdict(record)}


def _unfit(table: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    from cl_bench.store.rows import to_arrow

    try:
        to_arrow(table, rows)
    except RunDirectoryError as error:
        yield str(error)


def _prompt(evidence: Evidence) -> Iterator[str]:
    for prompt in evidence.first.prompts:
        if not isinstance(prompt, str):
            yield f"prompt() gave {shortened(prompt)}; it has to give the system prompt, a text."


def _lineage(evidence: Evidence) -> Iterator[str]:
    from cl_bench.tools.checks.trial import lineage_rows

    for lineage in evidence.first.lineages:
        if not isinstance(lineage, list):
            yield f"lineage() gave a {type(lineage).__name__}; it has to give a list."
        for record in lineage:
            if not isinstance(record, PromptRecord):
                yield f"lineage() holds a {type(record).__name__}; it has to hold PromptRecord."
    rows = lineage_rows(evidence.first.lineages)
    yield from _unfit("prompts", rows)
    places = [(row["round"], row["prompt_id"]) for row in rows]
    if len(set(places)) < len(places):
        yield (
            "lineage() returned one prompt of one round twice; it gives the records since the "
            "last call only."
        )


def _rollouts(evidence: Evidence) -> Iterator[str]:
    ledger, meter, judged = evidence.first.ledger, evidence.meter, evidence.watch.judged
    reflections = ledger.slow.reflection_calls + ledger.fast.reflection_calls
    reported = f"the ledger has {ledger.rollouts} rollouts and {reflections} reflection calls"
    if meter.rows > ledger.rollouts + reflections:
        yield (
            f"The model and its base generated {meter.rows} responses, but {reported}. Report "
            "every response that is sampled: ledger.add(channel, rollouts=…), or reflection_calls."
        )
    if judged > ledger.rollouts:
        yield (
            f"{judged} responses were judged, but {reported}. Every response that is judged is a "
            "rollout: ledger.add(channel, rollouts=…)."
        )
    if ledger.rollouts > max(meter.rows, judged):
        yield (
            f"The model generated {meter.rows} responses and {judged} were judged, but {reported}: "
            "more than there were."
        )


def _tokens(evidence: Evidence) -> Iterator[str]:
    ledger, meter = evidence.first.ledger, evidence.meter
    reported = sum(
        channel.prompt_tokens + channel.generated_tokens + channel.reflection_tokens
        for channel in (ledger.slow, ledger.fast)
    )
    real = meter.read + meter.sampled
    told = f"Rollouts and reflections read {meter.read} tokens and sampled {meter.sampled}"
    if real > reported * _TOLERANCE:
        yield (
            f"{told}, but only {reported} are reported. Add prompt_tokens, generated_tokens and "
            "reflection_tokens to the ledger as well."
        )
    reflections = ledger.slow.reflection_calls + ledger.fast.reflection_calls
    if reported > real * _TOLERANCE and meter.rows == ledger.rollouts + reflections:
        yield f"{told}, but {reported} are reported; count each once and without padding."


def _ledger(evidence: Evidence) -> Iterator[str]:
    spent = evidence.first.ledger.state()
    yield from _unfit(
        "ledger", [{"step": 1, "channel": name, **row} for name, row in spent.items()]
    )
    for channel, amounts in spent.items():
        for name, amount in amounts.items():
            if amount < 0:
                yield f"The ledger's {channel} {name} is {amount!r}; nothing is ever given back."
    steps = evidence.first.ledger.slow.optimizer_steps + evidence.first.ledger.fast.optimizer_steps
    if evidence.meter.updates > steps:
        yield (
            f"Optimizers made {evidence.meter.updates} steps, but {steps} are reported: "
            "ledger.add('slow', optimizer_steps=1) after each."
        )
    elif evidence.weights_changed and steps == 0:
        yield (
            "The model's weights changed, but no optimizer step is reported: "
            "ledger.add('slow', optimizer_steps=1) after each."
        )


def _base(evidence: Evidence) -> Iterator[str]:
    if evidence.base_changed:
        yield (
            f"The frozen base was changed ({evidence.base_changed}): KL is measured to it. Train "
            "policy.model, never the base."
        )


def _exercises(evidence: Evidence) -> Iterator[str]:
    for given in evidence.watch.no_texts:
        yield f"A judge was called with a {type(given).__name__}; it takes the response's text."
    for name in evidence.watch.asked:
        yield (
            f"An exercise was asked for {name!r}. A learner sees its key, prompt and judge (with "
            "`from_solutions` its solution, too), and nothing of the task behind them."
        )


def _resume(evidence: Evidence) -> Iterator[str]:
    from cl_bench.tools.checks.trial import difference

    saved, loaded = evidence.saved, evidence.loaded
    told = "A learner that was loaded does not go on as the one that was saved: "
    advice = " save and load have to cover the whole state (weights, optimizer, prompts, counts)."
    if weight := difference(saved.weights, loaded.weights):
        yield f"{told}the weights differ ({weight} first).{advice}"
    for part in ("prompt", "records", "lineage", "spent"):
        # As text, where NaN equals NaN.
        one, two = repr(getattr(saved, part)), repr(getattr(loaded, part))
        if one != two:
            name = {"prompt": "prompts", "spent": "amounts in the ledger"}.get(part, part)
            yield f"{told}the {name} differ, {shortened(one)} and {shortened(two)}.{advice}"


_RULES: Mapping[str, Rule[Evidence]] = {
    "building": _building,
    "records": _records,
    "prompt": _prompt,
    "lineage": _lineage,
    "rollouts": _rollouts,
    "tokens": _tokens,
    "ledger": _ledger,
    "base": _base,
    "exercises": _exercises,
    "resume": _resume,
}
