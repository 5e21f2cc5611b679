"""The page of a reproduction: what it says of every claim, for whoever writes it down.

First stand all claims in one figure, then in the contents; in the table those that failed come
first. Every number stands beside its interval, its seeds and the rule that judged it; a value that
is undefined says why, below its table where that takes more than a few words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cl_bench.claims import rule, wording
from cl_bench.claims.claim import JudgedClaim, JudgedStatement, PaperFigure
from cl_bench.claims.forest import FOREST, NARROW
from cl_bench.claims.measure import Detail
from cl_bench.claims.methods_section import methods_section, mixed
from cl_bench.claims.plan import Plan
from cl_bench.claims.registered import cells, recorded, said
from cl_bench.claims.rule import ClaimVerdict
from cl_bench.claims.spending import costs_differ, spending
from cl_bench.claims.styles import called
from cl_bench.claims.subject import EMBEDDED
from cl_bench.contract.text import counted, in_words
from cl_bench.metrics.quantities import NOTHING, needed, p_value, percent
from cl_bench.metrics.stats.student import ONE_SEED
from cl_bench.metrics.undefined import Undefined
from cl_bench.model.named import MODELS
from cl_bench.report.blocks.blocks import (
    Block,
    Break,
    Bullets,
    Folded,
    Heading,
    Inline,
    Link,
    Paragraph,
    Picture,
    Prose,
    Strong,
    Table,
    Text,
)
from cl_bench.report.blocks.drawings import Drawing

if TYPE_CHECKING:
    import pandas as pd

    from cl_bench.claims.data import Data

_PAPER = "Tiwari et al., arXiv 2605.12484, with Qwen3-8B"
_ORDER = (ClaimVerdict.NOT_REPRODUCED, ClaimVerdict.INCONCLUSIVE, ClaimVerdict.REPRODUCED)
BUILT_IN = (
    "The tasks' verifier names the hidden rule, the embedded model was pretrained to copy rules "
    "from such feedback into its prompt, and its carelessness, which prompts cannot mend, was "
    "planted in pretraining. Claims 8 and 10 and the half of claim 3 that is measured under own "
    "prompts therefore hold nearly by construction. Claim 6 needs that feedback as well; that RL "
    "hardly learns the later tasks is neither built in nor an effect of the rate that calibration "
    "chose for it."
)
"""Said beside the verdicts."""
_ADDED = "Added after the runs, not judged"
_COUNTED = "; where a row says k of n, its columns may rest on different seeds"
_LONGEST = 40
"""Characters of a reason that stands in a statement's row; a longer one is a note below."""
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def page(
    judged: Sequence[JudgedClaim],
    plan: Plan,
    data: Data,
    runs: pd.DataFrame,
    drawings: Mapping[str, Drawing],
    findings: str = "",
    ablations: Sequence[Block] = (),
    *,
    registered: Mapping[str, Any] | None = None,
) -> list[Block]:
    """The whole page.

    `runs` has a row for every planned run, `findings` is Markdown, `ablations` what they show,
    `registered` the `registration` that the runs' archive was begun with.
    """
    made = cells(plan, [one.claim.registered.number for one in judged])
    spent = spending(data, made)
    blocks: list[Block] = [
        costs_differ(spent),
        *mixed(runs[runs["cell"].isin([cell.name for cell in made])]),
        *_headline(judged, plan),
    ]
    if findings.strip():
        blocks += [Heading(2, "Findings", "findings"), Prose(findings)]
    blocks += _glossary()
    for one in judged:
        blocks += _claim(one, drawings)
    if ablations:
        blocks += [Heading(2, "Ablations", "ablations"), *ablations]
    _, _, rules = (rule.__doc__ or "").partition("\n\n")  # the heading says the first line
    blocks += [Heading(2, "How a statement is judged", "rule"), Prose(rules.strip())]
    blocks += [Paragraph(said(registered, plan))]
    if hashes := recorded(registered):
        blocks += [Folded("Hashes of the code that judges", [Bullets(hashes)])]
    blocks += methods_section(plan, data, made, runs, spent)
    return [*_top(judged, plan, drawings), *_contents(judged, blocks), *_without_gaps(blocks)]


def title(plan: Plan, claims: int) -> str:
    """What was tried, and on what: the page's heading."""
    named = MODELS.get(plan.model)
    on = plan.model
    if named is not None:
        millions = named.parameters / 1e6
        size = f"{millions:.1f}" if millions < 10 else f"{millions:.0f}"
        on = (
            f"{'an' if plan.model[0] in 'aeiou' else 'a'} {plan.model} model of {size} M parameters"
        )
    several = f"which of {in_words(claims)} claims reproduce"
    which = "whether one claim reproduces" if claims == 1 else several
    return f"Fast-slow training on {on}: {which}"


def _top(
    judged: Sequence[JudgedClaim], plan: Plan, drawings: Mapping[str, Drawing]
) -> Iterator[Block]:
    counts = Counter(one.verdict for one in judged)
    said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in _ORDER)
    own = plan.subject is EMBEDDED
    tasks = "tasks with conventions of their own" if own else "other tasks"
    yield Heading(1, title(plan, len(judged)), "top")
    yield Paragraph(f"Of {counted(len(judged), 'claim')}: {said}.")
    yield Paragraph(
        f"What the paper on fast-slow training (FST) claims ({_PAPER}), tried again on another "
        f"model and {tasks}: {counted(len(plan.seeds), 'seed')}, budget {plan.budget.name}. What "
        "should agree with the paper is the direction of an effect, not its size."
    )
    if FOREST in drawings:
        yield Picture(
            FOREST,
            f"The statements that decide the claims, each with its mean, 95 % interval over seeds "
            f"and verdict, against the null value. Of {len(judged)} claims: {said}.",
            NARROW if NARROW in drawings else "",
        )
        yield Paragraph(
            "Every statement that decides a claim: mean and 95 % interval over seeds. Right of the "
            "solid line lies what the paper claims, and beyond the dashed one an effect that is "
            "worth claiming. A claim is reproduced if all of its statements are."
        )


def _contents(judged: Sequence[JudgedClaim], blocks: Sequence[Block]) -> Iterator[Block]:
    """Links to all parts of the page, with the verdict of each claim."""
    verdicts = {_anchor(one): one.verdict for one in judged}
    yield Heading(2, "Contents", "contents")
    yield Bullets(
        [
            [Link(block.text, block.anchor), " ", wording.marked(verdicts[block.anchor])]
            if block.anchor in verdicts
            else [Link(block.text, block.anchor)]
            for block in blocks
            if isinstance(block, Heading) and block.level == 2
        ]
    )


def _without_gaps(blocks: Sequence[Block]) -> Iterator[Block]:
    """The blocks, their tables without columns in which nothing stands."""
    for block in blocks:
        if isinstance(block, Table):
            kept = [
                place
                for place, _ in enumerate(block.columns)
                if place <= block.heading
                or any(row[place] not in ("", NOTHING) for row in block.rows)
            ]
            rows = [[row[place] for place in kept] for row in block.rows]
            yield replace(block, columns=[block.columns[place] for place in kept], rows=rows)
        elif isinstance(block, Folded):
            yield replace(block, blocks=list(_without_gaps(block.blocks)))
        else:
            yield block


class _Notes:
    """The reasons why there are no values: numbers in a table, and sentences below it."""

    def __init__(self) -> None:
        self._numbers: dict[str, str] = {}

    def mark(self, reason: str) -> str:
        """What stands in the table."""
        return self._numbers.setdefault(reason, str(len(self._numbers) + 1).translate(_RAISED))

    def value(self, value: object, shown: str) -> str:
        """What is shown of a value; a dash and a number where a reason is all there is."""
        return NOTHING + self.mark(value.reason) if isinstance(value, Undefined) else shown

    def blocks(self) -> Iterator[Block]:
        """The sentences, in the order of their numbers."""
        if self._numbers:
            yield Paragraph(_lines([f"{mark} {text}" for text, mark in self._numbers.items()]))


def _headline(judged: Sequence[JudgedClaim], plan: Plan) -> Iterator[Block]:
    yield Heading(2, "Verdicts", "verdicts")
    if len(plan.seeds) < rule.LEAST_SEEDS:
        yield Paragraph(
            f"With {counted(len(plan.seeds), 'seed')} neither “{ClaimVerdict.REPRODUCED}” nor "
            f"“{ClaimVerdict.NOT_REPRODUCED}” can be reached: both take {rule.LEAST_SEEDS} seeds."
        )
    if len(plan.seeds) == 1:
        yield Paragraph("One seed shows no interval over seeds, so values stand alone.")
    corrected = _corrected(judged)
    yield Paragraph(_holds(judged, corrected))
    if plan.model == "embedded":
        yield Paragraph([Strong("What the embedded model builds in."), f" {BUILT_IN}"])
    ordered = sorted(
        judged, key=lambda one: (_ORDER.index(one.verdict), one.claim.registered.number)
    )
    columns = ("verdict", "claim", "ours", "Holm's p", "the paper")
    notes = _Notes()
    rows = [_headline_row(one, corrected[one.claim.registered.number], notes) for one in ordered]
    caption = "Those that failed first; ours with 95 % intervals over seeds (Student's t)"
    yield Table(caption, columns, rows, heading=1, stacked=True)
    yield from notes.blocks()


def _corrected(judged: Sequence[JudgedClaim]) -> dict[int, float]:
    """By the number of a claim, its p corrected for all that are judged."""
    primary = [[(of.statement, of.judgement) for of in one.primary] for one in judged]
    numbers = [one.claim.registered.number for one in judged]
    return dict(zip(numbers, rule.corrected_p(primary), strict=True))


def _holds(judged: Sequence[JudgedClaim], corrected: Mapping[int, float]) -> str:
    """A sentence on the reproduced claims that hold with all claims taken together."""
    found = [
        one.claim.registered.number for one in judged if one.verdict is ClaimVerdict.REPRODUCED
    ]
    hold = [number for number in found if corrected[number] < rule.LEVEL]
    alone = f"Each verdict is at {percent(rule.LEVEL)} by itself."
    if not found:
        return alone
    which = "all hold" if hold == found else f"{_listed(hold)} alone hold" if hold else "none holds"
    which += "s" if len(hold) == 1 < len(found) else ""
    said = f"{counted(len(judged), 'claim')} together at that level (Holm, t test)"
    return f"{alone} Of the reproduced claims ({_listed(found)}), {which} for {said}."


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _glossary() -> Iterator[Block]:
    yield Heading(2, "Words", "words")
    yield Bullets([[Strong(word), f": {meaning}"] for word, meaning in wording.GLOSSARY.items()])


def _headline_row(one: JudgedClaim, corrected: float, notes: _Notes) -> list[Text]:
    claim = one.claim.registered
    return [
        wording.marked(one.verdict),
        Link(f"{claim.number}. {claim.title}", _anchor(one)),
        _lines(
            [
                f"{of.statement.id} {of.short}: "
                + notes.value(
                    of.judgement.estimate, wording.of_seeds(of.statement, of.judgement.estimate)
                )
                for of in one.primary
            ]
        ),
        p_value(corrected),
        _lines([f"{figure.what}: {_pairs(figure.values)}" for figure in claim.paper]),
    ]


def _claim(one: JudgedClaim, drawings: Mapping[str, Drawing]) -> Iterator[Block]:
    claim, figure = one.claim.registered, one.claim.figure_name
    yield Heading(2, f"{claim.number}. {claim.title}", _anchor(one))
    yield Paragraph(["Verdict: ", wording.marked(one.verdict), "."])
    yield Paragraph(claim.definition)
    yield from _paper(claim.paper)
    yield from _statements(one.statements)
    if figure in drawings:
        yield Picture(figure, f"Figure of claim {claim.number}: {claim.title}.")
    yield from _details({each.statement.id: each.measured.details for each in one.statements})
    yield from _notes("Notes:", [note for each in one.statements for note in each.measured.notes])
    beside = {each.statement.id: each.added.details for each in one.statements}
    yield from _details(beside, f"{_ADDED}. ")
    yield from _notes(f"{_ADDED}:", [note for each in one.statements for note in each.added.notes])
    if any(each.measured.value_by_seed for each in one.statements):
        yield Folded("Values by seed", list(_by_seed(one.statements)))


def _paper(paper: Sequence[PaperFigure]) -> Iterator[Block]:
    """The paper's figures: a table where all have the same columns, else a list."""
    caption = f"The paper ({_PAPER}); percent unless said otherwise"
    columns = {tuple(name for name, _ in figure.values) for figure in paper}
    if len(columns) == 1:
        rows = [[figure.what, *(value for _, value in figure.values)] for figure in paper]
        yield Table(caption, ["", *columns.pop()], rows)
    else:
        yield Paragraph([Strong(f"{caption}:")])
        yield Bullets([f"{figure.what}: {_pairs(figure.values)}" for figure in paper])


def _statements(statements: Sequence[JudgedStatement]) -> Iterator[Block]:
    columns = ("", "verdict", "statement", "value (95 % interval)", "seeds", "rule", "decides")
    more = ("p, t", "p, exact", "seeds needed", "why")
    notes = _Notes()
    rows = [_statement_row(each, notes) for each in statements]
    yield Table("Ours", [*columns, *more], rows, stacked=True)
    yield from notes.blocks()


def _statement_row(each: JudgedStatement, notes: _Notes) -> list[Inline]:
    statement, judgement = each.statement, each.judgement
    value = wording.of_statement(statement, judgement.estimate, reason=False)
    why = "one seed" if judgement.reason == ONE_SEED.reason else judgement.reason
    if isinstance(judgement.estimate, Undefined) and len(why) > _LONGEST:
        why = f"no value{notes.mark(why)}"
    return [
        statement.id,
        wording.marked(judgement.verdict),
        statement.text,
        value,
        wording.seeds(judgement.estimate),
        wording.rule(statement),
        "yes" if statement.primary else "no",
        p_value(judgement.student_p),
        p_value(judgement.exact_p),
        needed(judgement.seeds_needed),
        why,
    ]


def _notes(title: str, notes: Sequence[str]) -> Iterator[Block]:
    if notes:
        yield Paragraph(title)
        yield Bullets(list(dict.fromkeys(notes)))


def _details(found: Mapping[str, Sequence[Detail]], marked: str = "") -> Iterator[Block]:
    """A table for all details that have the same columns; statements that share theirs share it."""
    shared: dict[str, tuple[list[str], tuple[str, ...], list[Detail]]] = {}
    for statement, details in found.items():
        for names in dict.fromkeys(tuple(detail.values) for detail in details):
            alike = [detail for detail in details if tuple(detail.values) == names]
            shared.setdefault(repr(alike), ([], names, alike))[0].append(statement)
    for ids, names, details in shared.values():
        counted = _COUNTED if any(map(_is_counted, details)) else ""
        several = sum(other == ids for other, *_ in shared.values()) > 1
        which = f" ({', '.join(map(called, names))})" if several else ""
        notes = _Notes()
        rows = [_detail_row(detail, notes) for detail in details]
        yield Table(
            f"{marked}Behind {' and '.join(ids)}{which}: means over seeds (95 % interval){counted}",
            ["", *map(called, names)],
            rows,
        )
        yield from notes.blocks()


def _detail_row(detail: Detail, notes: _Notes) -> list[str]:
    counted = _is_counted(detail)
    values = detail.values.items()
    return [
        detail.what,
        *(
            notes.value(value, wording.of_detail(name, detail.scale, value, counted=counted))
            for name, value in values
        ),
    ]


def _is_counted(detail: Detail) -> bool:
    """Whether the columns of a line may rest on different seeds."""
    found = [value for value in detail.values.values() if not isinstance(value, Undefined)]
    return any(value.seeds != value.of_seeds for value in found)


def _by_seed(statements: Sequence[JudgedStatement]) -> Iterator[Block]:
    by_id = {each.statement.id: each for each in statements if each.measured.value_by_seed}
    seeds = sorted({seed for each in by_id.values() for seed in each.measured.value_by_seed})
    missing = Undefined("the statement has no value for this seed")
    rows = [
        [str(seed)]
        + [
            wording.of_seed(
                each.statement,
                each.measured.value_by_seed.get(seed, missing),
                each.judgement.estimate,
            )
            for each in by_id.values()
        ]
        for seed in seeds
    ]
    yield Table("", ["seed", *by_id], rows)
    yield Bullets(
        [
            f"{name}, seed {seed}: {value.reason}"
            for name, each in by_id.items()
            for seed, value in each.measured.value_by_seed.items()
            if isinstance(value, Undefined)
        ]
    )


def _anchor(one: JudgedClaim) -> str:
    return f"claim-{one.claim.registered.number}"


def _lines(texts: Sequence[str]) -> list[Inline]:
    """The texts, each on a line of its own."""
    parted: list[Inline] = []
    for text in texts:
        parted += [Break(), text] if parted else [text]
    return parted


def _pairs(values: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values)
