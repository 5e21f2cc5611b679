"""The part of the page about how its numbers came about: budget, settings, code, runs, noise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cl_bench.claims import calibration
from cl_bench.claims.plan import Plan
from cl_bench.claims.settings import Settings
from cl_bench.claims.spending import Spending, spending_section
from cl_bench.claims.styles import called, label, place
from cl_bench.claims.subject import listed
from cl_bench.claims.wording import of_estimate
from cl_bench.contract.registry import LEARNERS, REFERENCE_LEARNER
from cl_bench.contract.settings import those_of
from cl_bench.execution.presets import preset_of
from cl_bench.metrics import over_seeds, sampling_noise_floor
from cl_bench.metrics.quantities import NOTHING, SECONDS, SHARE
from cl_bench.metrics.stats.student import Estimate
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.blocks import (
    Block,
    CodeSpan,
    Folded,
    Heading,
    Inline,
    Link,
    Paragraph,
    Strong,
    Table,
)
from cl_bench.sweep.state import FINISHED

if TYPE_CHECKING:
    import pandas as pd

    from cl_bench.claims.data import Data
    from cl_bench.sweep.cell import Cell

_STATUS = ("done", "diverged", "no start", "failed", "running", "missing")
_CODE = ("cl_bench", "git_commit", "git_dirty", "source_hash", "torch", "transformers", "trl")
_HASH = 12
"""Characters shown of a hash."""
_FLOORS_OF = ("rl", "fst")
_TEST_SETS = {
    "stream": "the stream's domains",
    "retention": "domains outside the stream",
    "harder": "a domain's hardest setting",
}


_WORDS = {
    "learning_rate": "learning rate",
    "problems_per_step": "problems in a step",
    "group_size": "rollouts of a problem (G)",
    "ratio_cap": "upper clip of the importance ratio",
    "kl_beta": "weight of the KL penalty",
    "replay_share": "share of past problems",
    "replay_size": "past problems kept",
    "round_every": "steps between rounds (T)",
    "consecutive_rounds": "rounds in a row",
    "population": "prompts kept (K)",
    "proposals": "rewrites proposed in a round",
    "round_exercises": "problems that score a round",
    "round_samples": "responses to each of them",
    "feedback_exercises": "other problems, for feedback alone",
    "reflection_batch": "rollouts behind a rewrite",
    "reflection_lm": "who rewrites",
    "mixed_groups": "several prompts in a group",
    "refill": "population refilled",
    "temperature": "sampling temperature",
    "max_new_tokens": "longest response, tokens",
}
"""The settings that the page shows, in its order, and what they are called."""
_ROUNDS = (
    "Where no other problems are set apart for feedback, a round scores prompts on the problems "
    "that its feedback comes from, and with one response to each a score on n problems has a "
    "standard error of up to 50/√n points. Rewrites proposed are minibatches drawn: one whose "
    "responses are all right is skipped, and no rewrite is asked for."
)


def methods_section(
    plan: Plan, data: Data, needed: Sequence[Cell], runs: pd.DataFrame, spent: Spending
) -> Iterator[Block]:
    """The section; `runs` has a row for every planned run, `needed` are the claims' own."""
    budget = plan.budget
    seeds = ", ".join(map(str, plan.seeds))
    yield Heading(2, "How it was run", "runs")
    yield Paragraph(
        f"Budget {budget.name}: {budget.single_samples:,} RL rollouts in a single run, "
        f"{budget.stage_samples:,} in a stage of the stream, {budget.items} test problems per "
        f"domain. Seeds {seeds}. Model: {plan.model}."
    )
    yield from _asked(data, needed)
    yield from settings_section(plan, list(runs["learner"].unique()))
    yield Paragraph(_ROUNDS)
    yield from spending_section(spent)
    counts = runs["status"].value_counts().to_dict()
    said = ", ".join(f"{counts[status]} {status}" for status in _STATUS if status in counts)
    yield Heading(3, "The runs", "made")
    yield Paragraph(
        f"{len(runs)} runs were planned: {said}. Those that were made took "
        f"{SECONDS.text(float(runs['seconds'].sum()))} of wall time together."
    )
    yield _code(runs)
    yield from _not_done(runs)


def mixed(runs: pd.DataFrame) -> Iterator[Block]:
    """A warning where the runs behind the verdicts were not made by one code and of one model."""
    made = runs[runs["status"].isin(FINISHED)]
    unprobed = made[made["start"].isna()]  # a probe has the model of the run it starts from
    for what, column in (
        ("code (source hashes", made["source_hash"]),
        ("models (hashes of their files", unprobed["model_hash"]),
        ("models (names", unprobed["model"]),
    ):
        counts = column.fillna("unknown").value_counts().sort_index()
        if len(counts) > 1:
            made_by = ", ".join(f"{_cut(name)}: {count} runs" for name, count in counts.items())
            yield Paragraph(
                [
                    Strong(f"Warning: the judged runs mix different {what} {made_by})."),
                    " Learners or seeds may differ for that reason alone. ",
                    Link("What made the runs.", "made"),
                ]
            )


def _asked(data: Data, cells: Sequence[Cell]) -> Iterator[Block]:
    """How many problems and samples an accuracy rests on."""
    sizes: dict[str, set[tuple[int, int]]] = {}
    for cell in cells:
        rows = data.table("evaluations", cell)
        if not isinstance(rows, Undefined):
            distinct = rows[["test_set", "n_items", "n_samples"]].drop_duplicates()
            for test_set, items, samples in distinct.itertuples(index=False):
                sizes.setdefault(test_set, set()).add((items, samples))
    said = [
        f"{words} {' or '.join(f'{items} × {samples}' for items, samples in sorted(sizes[name]))}"
        for name, words in _TEST_SETS.items()
        if name in sizes
    ]
    if said:
        yield Paragraph(
            "One accuracy rests on so many problems × samples of each: "
            f"{', '.join(said)}. Divergence and entropy rest on the first sample of each problem."
        )


def _code(runs: pd.DataFrame) -> Table:
    """The code and packages that made the runs, and how many each."""
    made = runs[runs["cl_bench"].notna()]
    counts = made.astype(dict.fromkeys(_CODE, object)).groupby(list(_CODE), dropna=False).size()
    rows: list[list[Inline]] = [
        [*(shown(_cut(value)) for value in key), str(count)] for key, count in counts.items()
    ]
    columns = ("cl-bench", "commit", "edited", "source hash", "torch", "transformers", "trl")
    return Table("What made the runs", [*columns, "runs"], sorted(rows, key=str))


def _not_done(runs: pd.DataFrame) -> Iterator[Block]:
    left = runs[runs["status"] != "done"].sort_values("cell")
    if left.empty:
        return
    rows: list[list[Inline]] = [
        [CodeSpan(row["cell"]), row["status"], shown(row["reason"])]
        for row in left.to_dict("records")
    ]
    columns = ("run", "status", "reason")
    yield Folded(f"Runs that are not done ({len(left)})", [Table("", columns, rows)])


def _cut(value: Any) -> Any:
    """A hash by its first characters."""
    return value[:_HASH] if isinstance(value, str) and len(value) >= 40 else value


def settings_section(plan: Plan, learners: Sequence[str]) -> list[Block]:
    """The settings of these learners, defaults included, and what calibration tried."""
    ordered = sorted(set(learners), key=place)
    rows = [
        [_WORDS.get(name, name), *(_shown(plan, each, name) for each in ordered)] for name in _WORDS
    ]
    used = [row for row in rows if set(row[1:]) != {NOTHING}]
    return [
        Table(
            f"Settings in effect, defaults included; {NOTHING}: not used by the learner",
            ["setting", *map(called, ordered)],
            [
                ["chosen by", *(_origin(plan, each) for each in ordered)],
                *used,
                *_pace(plan, ordered),
            ],
        ),
        *_calibration(plan, ordered),
    ]


def _origin(plan: Plan, learner: str) -> str:
    if plan.subject.settings is not None:
        return "the model's preset"
    if learner in plan.settings:
        return "calibration"
    return f"settings of {REFERENCE_LEARNER}, not tuned"


def _shown(plan: Plan, learner: str, name: str) -> str:
    """The value of a setting in a single run of the learner, defaults included."""
    config = LEARNERS.load(learner).config
    options = _options(plan, plan.single(plan.subject.probe, learner, plan.seeds[0]))
    values = config(**those_of(config, options))
    return shown(getattr(values, name)) if hasattr(values, name) else NOTHING


def _pace(plan: Plan, learners: Sequence[str]) -> Iterator[list[str]]:
    """Steps, and how far apart evaluations are."""
    seed = plan.seeds[0]
    for what, cells in (
        ("single run", [plan.single(plan.subject.probe, learner, seed) for learner in learners]),
        ("stage of the stream", [plan.stream(learner, seed) for learner in learners]),
    ):
        steps = (cell.steps or plan.stage_steps(cell.learner) for cell in cells)
        yield [f"steps in a {what}", *map(str, steps)]
        every = (_options(plan, cell)["eval_every"] for cell in cells)
        yield [f"evaluated every … steps, {what}", *map(str, every)]


def _options(plan: Plan, cell: Cell) -> dict[str, Any]:
    """The options of a run, the preset's among them."""
    return {**preset_of(plan.model).options(cell.learner), **cell.options}


def shown(value: Any) -> str:
    """A setting's value as the page writes it."""
    if value is None or value != value:  # NaN, as pandas has for what is not known
        return NOTHING
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def _calibration(plan: Plan, learners: Sequence[str]) -> Iterator[Block]:
    """What trials chose the settings, among what and how clearly; whose settings are older."""
    import pandas as pd

    if plan.subject.settings is not None:
        return
    table = pd.read_csv(calibration.TRIALS)
    today = calibration.choose(table)
    calibrated = [name for name in learners if name in plan.settings and name in today]
    chosen = [name for name in calibrated if today[name] == plan.settings[name]]
    if chosen:
        yield from _choices(chosen, today)
        yield from _scores(chosen, table)
    earlier = [name for name in calibrated if name not in chosen]
    if earlier:
        now = "; ".join(f"{called(name)}: {_named(today[name])}" for name in earlier)
        yield Paragraph(
            f"Another calibration chose the settings of "
            f"{listed([called(name) for name in earlier])}. Today's chooses others ({now})."
        )


def _choices(learners: Sequence[str], chosen: Settings) -> Iterator[Block]:
    """The values tried for every setting that was chosen, and where the chosen one lies."""
    rows: list[list[str]] = []
    for learner in learners:
        options = [trial.options for trial in calibration.trials((learner,))]
        for name, value in chosen[learner].items():
            tried = sorted({one[name] for one in options if name in one})
            said = ", ".join(map(shown, tried))
            where = _where(value, tried)
            rows.append([called(learner), _WORDS.get(name, name), shown(value), said, where])
    columns = ("learner", "setting", "chosen", "tried", "chosen is")
    yield Table("What calibration chose, and among what", columns, rows)
    edges = sum("edge" in row[-1] for row in rows)
    if edges:
        yield Paragraph(
            f"Of the chosen settings {edges} {'is' if edges == 1 else 'are'} at the edge of what "
            "was tried: beyond it there may be better ones, for that learner."
        )


def _named(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{_WORDS.get(name, name)} {shown(value)}" for name, value in options.items())


def _where(chosen: Any, tried: Sequence[Any]) -> str:
    edges = {tried[0]: "the smallest: at the edge", tried[-1]: "the largest: at the edge"}
    return edges.get(chosen, "inside")


def _scores(learners: Sequence[str], table: pd.DataFrame) -> Iterator[Block]:
    """The best trials of these learners, and the noise between runs."""
    tried = [(learner, table[table["learner"] == learner]) for learner in learners]
    yield Table(
        "How clear the choice was: mean accuracy over stage ends, and standard deviation over runs",
        ("learner", "the best trial", "its spread", "the next best", "its spread"),
        [[called(learner), *_best(found)] for learner, found in tried],
    )
    yield Paragraph(
        "A trial is four runs, two on streams of two stages and two of three, with conventions "
        "that differ. A difference between trials that is small beside their spread may be chance."
    )
    rows = [row for learner, found in tried for row in _trials(learner, found)]
    columns = ("learner", "settings", *calibration.RUNS, "mean", "spread")
    yield Folded("All trials", [Table("", columns, rows)])


def _best(found: pd.DataFrame) -> list[str]:
    ranked = found.sort_values("score", ascending=False, kind="stable")
    return [
        words
        for score, spread in ranked[["score", "spread"]].iloc[:2].itertuples(index=False)
        for words in (SHARE.text(score), SHARE.distance.text(spread))
    ]


def _trials(learner: str, found: pd.DataFrame) -> Iterator[list[str]]:
    """A row for every trial of a learner."""
    options = {trial.number: trial.options for trial in calibration.trials((learner,))}
    for row in found.to_dict("records"):
        scores = [SHARE.text(row[run]) for run in calibration.RUNS]
        whole = [SHARE.text(row["score"]), SHARE.distance.text(row["spread"])]
        yield [called(learner), _named(options[row["trial"]]), *scores, *whole]


def noise_section(data: Data, plan: Plan) -> list[Block]:
    """The floors at the end of single runs; nothing where no run has one."""
    known = False
    rows: list[list[Inline]] = []
    for domain in plan.subject.kl_domains:
        floors = [
            {
                seed: noise_floor(data, cell, domain)
                for seed, cell in plan.single_runs(domain, learner).items()
            }
            for learner in _FLOORS_OF
        ]
        means = [over_seeds(by_seed) for by_seed in floors]
        known = known or any(isinstance(mean, Estimate) for mean in means)
        rows.append([domain, *(of_estimate(SHARE.distance, mean) for mean in means)])
    if not known:
        return []
    return [
        Paragraph(
            "Noise floor: one model scored twice on the same problems, with other samples, differs "
            "by more than this in 5 of 100 cases. A difference of single runs below it may be "
            "sampling alone; the intervals over seeds contain this noise."
        ),
        Table(
            "Noise floor of accuracy at the end of single runs, own prompts, mean over seeds",
            ["domain", *map(label, _FLOORS_OF)],
            rows,
        ),
    ]


def noise_floor(data: Data, cell: Cell, domain: str) -> float | Undefined:
    """The floor of a run's last evaluation under its own prompt, from the samples of each item."""
    items, evaluations = data.table("items", cell), data.table("evaluations", cell)
    if isinstance(items, Undefined):
        return items
    if isinstance(evaluations, Undefined):
        return evaluations
    wanted = {"domain": domain, "prompt": "learner", "weights": "trained", "test_set": "stream"}
    last = evaluations["step"].max()
    for column, value in {**wanted, "step": last}.items():
        items = items[items[column] == value]
        evaluations = evaluations[evaluations[column] == value]
    if items.empty or evaluations.empty:
        return Undefined(f"run {cell.name} has no item rows at its end")
    samples = int(evaluations["n_samples"].iloc[0])
    scores = items.groupby("uid", sort=False)["score"].mean()
    return sampling_noise_floor(scores.to_numpy(float), samples)
