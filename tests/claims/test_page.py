"""The page: what stands where, in which words, and that nothing in it is obeyed."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

import pytest
from matplotlib.figure import Figure

from cl_bench.claims.claim import Claim, JudgedClaim, Measurement, draw_figures, judge_claim
from cl_bench.claims.data import Data
from cl_bench.claims.forest import draw_forest, forest
from cl_bench.claims.measure import Added, Detail, MeasuredStatement, measured
from cl_bench.claims.page import page, title
from cl_bench.claims.plan import Plan
from cl_bench.claims.registered import CLAIMS, cells, registration
from cl_bench.claims.rule import ClaimVerdict
from cl_bench.claims.styles import label
from cl_bench.claims.subject import EMBEDDED
from cl_bench.metrics.stats.student import ONE_SEED, Estimate, Interval
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.blocks import (
    Block,
    Bullets,
    CodeSpan,
    Folded,
    Heading,
    Paragraph,
    Picture,
    Table,
)
from cl_bench.report.blocks.drawings import Drawing, drawing
from cl_bench.report.blocks.write_html import html
from cl_bench.report.blocks.write_markdown import escaped, markdown

PLAN = Plan(
    EMBEDDED.budgets["full"],
    tuple(range(100, 106)),
    {"rl": {"learning_rate": 6e-4}, "fst": {}, "prompt": {}, "fst-distill": {}},
)
HOSTILE = "<script>alert(1)</script> | [x](javascript:alert(1)) `code` *star* \x1b[31m&amp;"


def claims(*numbers: int) -> list[Claim]:
    return [claim for claim in CLAIMS if claim.registered.number in numbers]


def judged(
    values: Mapping[int, float | Undefined | Sequence[float | Undefined]],
) -> list[JudgedClaim]:
    """The claims, each of whose statements has these values by seed (or one for all seeds)."""

    def measure(number: int) -> MeasuredStatement:
        given = values[number]
        listed = given if isinstance(given, Sequence) else [given] * len(PLAN.seeds)
        by_seed = dict(zip(PLAN.seeds, listed, strict=True))
        interval = Interval(0.41, 0.48, 0.95)
        shown: Mapping[str, Estimate | Undefined] = {
            "fst": Estimate(0.45, interval, 6, 6),
            "rl": Undefined("no runs of rl"),
            "difference": Estimate(-0.031, Interval(-0.04, -0.02, 0.95), 5, 6),
        }
        details = (Detail("code", shown, "accuracy"),)
        return measured(by_seed, details, ["a note"])

    return [
        judge_claim(
            measured_by(claim, lambda *_, n=claim.registered.number: measure(n)), Data([]), PLAN
        )
        for claim in claims(*values)
    ]


def measured_by(
    claim: Claim, measure: Callable[..., MeasuredStatement], **added: Callable[..., Added]
) -> Claim:
    """The claim, with this measure of all its statements and nothing beside but what is `added`."""
    hows = {
        name: Measurement(how.short, measure, added.get(f"to_{name}", lambda *_: Added()))
        for name, how in claim.measurements.items()
    }
    return replace(claim, measurements=hows)


def written(
    found: Sequence[JudgedClaim],
    drawings: Mapping[str, Drawing] | None = None,
    findings: str = "",
    **more: Any,
) -> tuple[str, str]:
    """The page as Markdown and as HTML."""
    data = Data([])
    runs = data.runs(cells(PLAN, [one.claim.registered.number for one in found]))
    blocks = page(found, PLAN, data, runs, drawings or {}, findings, **more)
    return markdown(blocks, "claims"), html(blocks, drawings or {})


def test_what_failed_comes_first_then_what_is_open() -> None:
    found = judged({1: 1.0, 2: [-0.04, -0.06] * 3, 3: [1.0, -1.0] * 3, 10: 0.05})
    assert [one.verdict for one in found] == [
        ClaimVerdict.REPRODUCED,
        ClaimVerdict.NOT_REPRODUCED,
        ClaimVerdict.INCONCLUSIVE,
        ClaimVerdict.REPRODUCED,
    ]
    text, _ = written(found)
    assert "Of 4 claims: 1 not reproduced, 1 inconclusive, 2 reproduced." in text
    headline = text.split("## Verdicts")[1].split("\n## ")[0]
    rows = re.findall(r"\| \*\*(.*?)\*\* \| \[(\d+)\. ", headline)
    assert rows == [
        ("not reproduced", "2"),
        ("inconclusive", "3"),
        ("reproduced", "1"),
        ("reproduced", "10"),
    ]
    assert "| 2a FST − RL, fitted asymptote: −5.0 points [−6.1, −3.9], 6 of 6 seeds" in headline


def test_the_title_says_on_what_model_how_many_claims_were_tried() -> None:
    assert title(PLAN, 10) == (
        "Fast-slow training on an embedded model of 0.9 M parameters: which of ten claims reproduce"
    )
    real = replace(PLAN, model="smollm2")
    assert title(real, 7).startswith("Fast-slow training on a smollm2 model of 135 M parameters")
    assert title(replace(PLAN, model="acme/tiny"), 1) == (
        "Fast-slow training on acme/tiny: whether one claim reproduces"
    )


def test_the_contents_link_to_every_part_and_give_the_verdicts() -> None:
    text, shown = written(judged({1: 1.0, 10: [1.0, -1.0] * 3}))
    contents = text.split("## Contents")[1].split("\n## ")[0]
    assert "- [Verdicts](#verdicts)" in contents
    assert (
        "- [1. Fast-slow training needs fewer samples than RL](#claim-1) **reproduced**" in contents
    )
    assert "(#claim-10) **inconclusive**" in contents
    assert "- [How it was run](#runs)" in contents
    assert shown.index('id="contents"') < shown.index('id="verdicts"')


def test_the_first_figure_has_all_claims_and_another_shape_on_a_telephone() -> None:
    found = judged({1: [1.0, 0.9] * 3, 2: [-0.04, -0.06] * 3, 10: Undefined("no run")})
    drawings = draw_forest(found)
    _, shown = written(found, drawings)
    assert shown.index("<picture>") < shown.index('id="contents"')
    wide, narrow = (drawings[name].svg for name in ("forest", "forest-narrow"))
    (source,) = re.findall(r'<source media="[^"]*" srcset="([^"]*)">', shown)
    assert source.endswith(b64encode(narrow).decode())
    assert b64encode(wide).decode() in shown


def test_the_first_figure_has_a_row_for_every_statement_that_decides() -> None:
    found = judged({1: [1.0, 0.9] * 3, 2: [-0.04, -0.06] * 3, 10: Undefined("no run")})
    figure = forest(found)
    differences, ratios = figure.axes
    words = [text.get_text() for text in differences.texts]
    assert [word[:3] for word in words if word[:3] in ("2a ", "2b ", "10a")] == [
        "2a ",
        "2b ",
        "10a",
    ]
    assert words.count("✗ not reproduced") == 2
    assert "−5.0 points [−6.1, −3.9]" in words
    assert "— no value" in words
    assert "1.93× [1.86, 2.01]" in [text.get_text() for text in ratios.texts]
    assert ratios.get_xscale() == "log"
    assert draw_forest([]) == {}


def test_columns_in_which_nothing_stands_are_left_out() -> None:
    text, _ = written(judged({10: Undefined("no run")}))
    section = text.split("## 10. ")[1]
    header = next(line for line in section.splitlines() if "| statement |" in line)
    assert "p, t" not in header
    assert "value" not in header
    assert "| why |" in header


def test_a_row_says_what_it_is_about_where_a_screen_is_too_narrow_for_columns() -> None:
    _, text = written(judged({10: 0.05}))
    headline = text.split("Those that failed first")[1].split("</table>")[0]
    assert headline.index("✓ reproduced") < headline.index("FST-distill levels off")
    assert '<td data-column="verdict">' in headline
    assert '<th scope="row"><a href="#claim-10">' in headline
    assert '<td data-column="ours">10a FST − FST-distill, plateau of accuracy: +5.0' in headline


def test_long_names_of_columns_may_be_broken() -> None:
    table = Table("", ["a", "average_accuracy"], [["b", "1"]], stacked=True)
    text = html([Heading(1, "Top", "top"), table], {})
    assert '<th scope="col">average_<wbr>accuracy</th>' in text
    assert '<td data-column="average_accuracy">1</td>' in text
    assert "wbr" in Page(text).tags


def test_a_claims_section_has_its_numbers_in_the_readers_units() -> None:
    text, _ = written(judged({1: 1.0, 10: [0.05, 0.03, 0.05, 0.03, 0.05, 0.03]}))
    section = text.split("## 1. ")[1].split("## 10. ")[0]
    assert "| times fewer samples | 3.0 | 1.4 | 3.0 |" in section
    assert "&gt; 1.00×, at least 1.10×" in section
    assert "2.00× (all seeds alike)" in section  # log2 ratio 1
    assert "| 6 of 6 | &gt; 1.00×, at least 1.10× | yes | 0.031 | 0.031 |" in section
    # The difference lacks a seed, so every column says on how many it rests.
    row = "| code | 45.0 % [41.0, 48.0], 6 of 6 | —¹ | "
    assert row + "−3.1 points [−4.0, −2.0], 5 of 6 |\n\n¹ no runs of rl\n" in section
    assert "where a row says k of n, its columns may rest on different seeds" in section
    assert f"|  | {label('fst')} | {label('rl')} | difference |" in section
    assert "Behind 1a and 1b" in section
    assert "- a note" in section
    last = text.split("## 10. ")[1]
    row = "| 10a | **reproduced** | accuracy, fast-slow training minus FST-distill | +4.0 points"
    assert row in last
    assert "+4.0 points [+2.9, +5.1]" in last
    assert "| 100 | +5.0 points | +0.050 nats |" in last


def test_a_seed_without_a_value_stands_there_with_its_reason() -> None:
    values: list[float | Undefined] = [
        0.05,
        Undefined("run facts-fst-101 diverged at step 3"),
        0.05,
        0.05,
        0.05,
        0.05,
    ]
    text, _ = written(judged({10: values}))
    assert "| 101 | — | — |" in text
    assert "- 10a, seed 101: run facts-fst-101 diverged at step 3" in text
    assert "5 of 6" in text


def test_how_it_was_run_lists_settings_and_every_run_that_is_not_done() -> None:
    text, _ = written(judged({10: 0.05}))
    section = text.split("## How it was run")[1]
    assert "Seeds 100, 101, 102, 103, 104, 105" in section
    assert "| learning rate | 0.0009 | 0.00015 |" in section  # the preset's
    assert "12 runs were planned: 12 missing." in section
    assert "Runs that are not done (12)" in section
    for cell in cells(PLAN, [10]):
        assert f"`{cell.name}` | missing" in section


class Page(HTMLParser):
    """Collects tags, attributes and anchors, and fails on a tag that is closed wrongly."""

    VOID = ("meta", "br", "img", "wbr")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def values(self, name: str) -> list[str]:
        return [value or "" for key, value in self.attributes if key == name]


def a_figure() -> Figure:
    figure = Figure(figsize=(1, 1))
    figure.add_subplot().plot([0, 1], [0, 1])
    return figure


def a_drawing() -> Drawing:
    return drawing(a_figure)


def test_the_html_is_one_file_that_loads_nothing_and_runs_nothing() -> None:
    _, text = written(judged({10: 0.05}), {"10-distillation": a_drawing()})
    found = Page(text)
    assert not {"script", "link", "iframe", "object"} & set(found.tags)
    assert found.values("src")
    assert all(s.startswith("data:image/svg") for s in found.values("src"))
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    known = b64encode(sha256(style.encode()).digest()).decode()
    (policy,) = [value for value in found.values("content") if "default-src" in value]
    assert policy == (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"style-src 'sha256-{known}'"
    )
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    links = found.values("href")
    assert links
    assert all(link.removeprefix("#") in found.values("id") for link in links)
    assert len(found.values("id")) == len(set(found.values("id")))
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert "✓ reproduced" in text
    assert all(found.values("alt"))


def test_texts_from_tables_and_findings_are_not_obeyed() -> None:
    blocks: list[Block] = [
        Heading(1, HOSTILE, "top"),
        Paragraph(["before ", CodeSpan(HOSTILE)]),
        Bullets([HOSTILE]),
        Table(HOSTILE, [HOSTILE, "b"], [[HOSTILE, HOSTILE]]),
        Folded(HOSTILE, [Paragraph(HOSTILE)]),
    ]
    shown = html(blocks, {})
    assert "<script" not in shown
    assert "javascript:alert(1)" in shown
    assert "\x1b" not in shown
    assert not Page(shown).values("href")
    plain = markdown(blocks, "claims")
    assert "\x1b" not in plain
    outside = re.sub(r"`[^`\n]*`", "", plain)
    assert "<script" not in outside
    assert not re.search(r"(?<!\\)\]\(javascript", outside)
    row = [line for line in plain.splitlines() if line.startswith("| &lt;script")][-1]
    assert len(re.findall(r"(?<!\\)\|", row)) == 3


def test_findings_are_markdown_without_html_below_the_pages_headings() -> None:
    findings = f"# Top\n\n**Bold** {HOSTILE}\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    text, shown = written(judged({10: 0.05}), findings=findings)
    assert "## Findings\n\n# Top" in text
    assert "<h3>Top</h3>" in shown
    assert "<strong>Bold</strong>" in shown
    assert "<td>1</td>" in shown
    assert "<script" not in shown
    assert not [link for link in Page(shown).values("href") if not link.startswith("#")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.84× [1.2, 2.6]", "1.84× [1.2, 2.6]"),
        ("a|b*c", "a\\|b\\*c"),
        ("keep_stage_models", "keep_stage_models"),
        ("_x_", "\\_x\\_"),
        ("[a](b) [c]: d", "[a\\](b) [c\\]: d"),
        ("1 < 2 & 3", "1 &lt; 2 &amp; 3"),
        ("-0.3, 1.5 (a: b) #7 [1, 2]", "-0.3, 1.5 (a: b) #7 [1, 2]"),
    ],
)
def test_markdown_escapes_no_more_than_it_has_to(text: str, expected: str) -> None:
    assert escaped(text) == expected


def test_few_seeds_are_told_before_the_verdicts() -> None:
    few = Plan(EMBEDDED.budgets["small"], (100, 101), PLAN.settings)
    runs = Data([]).runs(cells(few, [10]))
    text = markdown(page(judged({10: 0.05}), few, Data([]), runs, {}), "claims")
    assert "With 2 seeds neither “reproduced” nor “not reproduced” can be reached" in text
    assert "can be reached" not in written(judged({10: 0.05}))[0]


def test_verdicts_say_what_holds_for_all_claims_together_and_what_the_model_builds_in() -> None:
    text, _ = written(judged({1: [1.0, 1.1] * 3, 10: [0.03, 0.2] * 3, 9: [-1.0, -1.1] * 3}))
    headline = text.split("## Verdicts")[1].split("\n## ")[0]
    # p of claim 10, the values 0.115 ± 0.085, is 0.0293, times 2
    assert "Of the reproduced claims (1, 10), 1 alone holds for 3 claims together" in headline
    columns = [row.split(" | ")[3] for row in headline.splitlines() if row.startswith("| **")]
    assert columns == ["1", "&lt; 0.001", "0.058"]
    assert "What the embedded model builds in." in headline


def test_words_come_before_the_claims() -> None:
    text, _ = written(judged({10: 0.05}))
    assert "**seeds needed**: how many seeds" in text
    assert text.index("## Words") < text.index("## 10.")


def test_what_was_added_after_the_runs_is_marked_and_not_judged() -> None:
    (claim,) = claims(10)

    def measure(*_: object) -> MeasuredStatement:
        return measured({100: 0.5}, [])

    def beside(*_: object) -> Added:
        return Added((Detail("code", {"fst": Estimate(0.5, ONE_SEED, 1, 1)}, "accuracy"),), ("so",))

    found = judge_claim(measured_by(claim, measure, to_10b=beside), Data([]), PLAN)
    text, _ = written([found])
    assert "**Added after the runs, not judged. Behind 10b: means over seeds" in text
    assert "Added after the runs, not judged:\n\n- so" in text
    assert found.verdict is judge_claim(measured_by(claim, measure), Data([]), PLAN).verdict


def test_a_reason_is_said_once_in_a_row_of_statements_and_of_details() -> None:
    (claim,) = claims(10)
    gone = Undefined("no curve levels off")

    def measure(*_: object) -> MeasuredStatement:
        return MeasuredStatement({}, gone, (Detail("code", {"fst": gone, "rl": gone}, "accuracy"),))

    text, _ = written([judge_claim(measured_by(claim, measure), Data([]), PLAN)])
    row = next(line for line in text.splitlines() if line.startswith("| 10a |"))
    assert row.count("no curve levels off") == 1
    assert "| code | —¹ | —¹ |\n\n¹ no curve levels off\n" in text


def test_a_long_reason_is_a_note_below_its_table() -> None:
    (claim,) = claims(10)
    gone = Undefined("the curve does not level off, and where it ends is therefore unknown")

    def measure(*_: object) -> MeasuredStatement:
        details = (Detail("code", {"fst": gone, "rl": Estimate(0.5, ONE_SEED, 1, 1)}, "accuracy"),)
        return MeasuredStatement({}, gone, details)

    text, _ = written([judge_claim(measured_by(claim, measure), Data([]), PLAN)])
    headline, section = text.split("## 10. ")
    assert "10a FST − FST-distill, plateau of accuracy: —¹ |" in headline
    assert f"\n\n¹ {gone.reason}\n" in headline
    assert "| no value¹ |" in section
    assert "| code | —¹ | 50.0 % |" in section


def test_details_with_other_columns_have_a_table_of_their_own() -> None:
    (claim,) = claims(10)
    whole = Estimate(0.5, ONE_SEED, 6, 6)

    def measure(*_: object) -> MeasuredStatement:
        details = [Detail("code", {"ratio": whole}, "ratio"), Detail("code", {"rl": whole}, "nats")]
        return measured(dict.fromkeys(PLAN.seeds, 0.5), details)

    text, _ = written([judge_claim(measured_by(claim, measure), Data([]), PLAN)])
    section = text.split("## 10. ")[1]
    assert "Behind 10a and 10b (ratio): means" in section
    assert f"Behind 10a and 10b ({label('rl')}): means" in section
    assert "| code | 0.50× |\n" in section


def test_one_seed_is_told_once_and_not_beside_every_value() -> None:
    one = Plan(EMBEDDED.budgets["small"], (100,), PLAN.settings)
    estimate = Estimate(0.031, ONE_SEED, 1, 1)
    (claim,) = claims(10)

    def measure(*_: object) -> MeasuredStatement:
        details = (Detail("code", {"fst": estimate, "rl": estimate}, "accuracy"),)
        return MeasuredStatement({100: 0.031}, estimate, details)

    found = judge_claim(measured_by(claim, measure), Data([]), one)
    blocks = page([found], one, Data([]), Data([]).runs(cells(one, [10])), {})
    text = markdown(blocks, "claims")
    assert text.lower().count("one seed shows no interval") == 1
    assert "10a FST − FST-distill, plateau of accuracy: +3.1 points, 1 of 1 seeds |" in text
    assert "| code | 3.1 % | 3.1 % |" in text


def test_the_page_says_whether_the_rules_are_those_of_the_archive() -> None:
    first = registration(PLAN)
    assert "Rules and plan are as registered" in written(judged({10: 0.05}), registered=first)[0]
    changed = {**first, "rules": "0" * 64}
    text, _ = written(judged({10: 0.05}), registered=changed)
    assert "had the hash 000000000000, now" in text
    assert "registered before" not in text
    assert "No archive keeps the rules" in written(judged({10: 0.05}))[0]


def test_drawings_have_the_same_bytes_every_time() -> None:
    assert a_drawing() == a_drawing()
    (chosen,) = claims(10)
    drawn = draw_figures([replace(chosen, figure=lambda *_: a_figure())], Data([]), PLAN)
    assert drawn == {"10-distillation": a_drawing()}
    assert drawn["10-distillation"].png.startswith(b"\x89PNG")
    assert b"<dc:date>" not in drawn["10-distillation"].svg
    picture = [Picture("10-distillation", "a line")]
    assert "![a line](claims/10-distillation.png)" in markdown(picture, "claims")


def test_a_figure_that_cannot_be_drawn_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: object) -> Figure:
        raise ZeroDivisionError("division by zero")

    first, second = claims(9, 10)
    chosen = [replace(first, figure=lambda *_: a_figure()), replace(second, figure=broken)]
    assert list(draw_figures(chosen, Data([]), PLAN)) == [first.figure_name]
    (said,) = caplog.messages
    assert "10-distillation is not drawn (ZeroDivisionError: division by zero)" in said
