"""The page in a browser: no errors, no requests, nothing hostile runs, its address is its state."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from cl_bench.report.page.build import ReportFiles, report
from tests.report.synthetic_runs import rising, write_run

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 800}
Open = Callable[..., Any]
BOARD = "#board-math-to-code table.streamed"
MORE = "#board-math-to-code table.more"


@pytest.fixture
def open_page(browser: Any, made: ReportFiles) -> Iterator[Open]:
    """Opens the page at an address; whatever it complains of or asks the network for fails."""
    heard: list[str] = []
    contexts = []

    def open_at(address: str = "", viewport: dict[str, int] = DESKTOP, **options: Any) -> Any:
        context = browser.new_context(viewport=viewport, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: heard.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: heard.append(f"error: {error}"))
        page.on("dialog", lambda dialog: heard.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: note(request.url))
        page.goto(f"{made.html.as_uri()}{address}")
        return page

    def note(url: str) -> None:
        if url.split("#", maxsplit=1)[0] != made.html.as_uri():
            heard.append(f"request: {url}")

    yield open_at
    for context in contexts:
        context.close()
    assert heard == []


def learners(page: Any, table: str = BOARD) -> list[str]:
    """The learners of the rows that are shown, in their order."""
    rows = page.locator(f"{table} tbody tr:visible .learner")
    return [text.strip() for text in rows.all_inner_texts()]


def test_the_page_opens_and_draws_its_figures(open_page: Open) -> None:
    page = open_page()
    page.wait_for_selector("#board-math-to-code-figures svg.chart")
    assert page.title() == "Continual learning of language models: leaderboard"
    assert learners(page)[:3] == ["FST", "prompt-only", "RL"]
    titles = page.locator("#board-math-to-code-figures figcaption strong").all_inner_texts()
    assert titles == [
        "Accuracy over the run",
        "What was known when",
        "Accuracy against KL",
        "Sample efficiency",
        "Which channel carries the gain",
        "Item turnover",
        "What it cost",
    ]
    charts = page.locator("#board-math-to-code-figures svg.chart")
    assert all(charts.nth(n).get_attribute("aria-label") for n in range(charts.count()))


def test_sorting_is_kept_by_the_address_and_said_to_readers(open_page: Open) -> None:
    page = open_page()
    head = page.locator(f"{BOARD} th[data-sort=kl_policy_base]")
    head.locator("button").click()
    assert learners(page)[:3] == ["FST", "prompt-only", "RL"]
    assert head.get_attribute("aria-sort") == "ascending"
    head.locator("button").click()
    worst_first = learners(page)
    assert worst_first.index("RL") < worst_first.index("prompt-only") < worst_first.index("FST")
    assert head.get_attribute("aria-sort") == "descending"
    assert "sort=kl_policy_base" in page.url
    page.reload()
    assert learners(page) == worst_first
    assert page.locator("select[name=sort]").input_value() == "kl_policy_base"
    page.locator("#controls button").click()
    assert learners(page)[:3] == ["FST", "prompt-only", "RL"]
    assert "sort" not in page.url


def test_a_column_can_be_sorted_from_the_keyboard(open_page: Open) -> None:
    page = open_page()
    page.locator(f"{BOARD} th[data-sort=rollouts] button").focus()
    page.keyboard.press("Enter")
    assert page.locator(f"{BOARD} th[data-sort=rollouts]").get_attribute("aria-sort") == "ascending"


@pytest.fixture(scope="module")
def ranked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of a board with ranks, on which one learner has a second setting."""
    folder = tmp_path_factory.mktemp("ranked")
    for learner, lift in (("rl", 0.0), ("fst", 0.2)):
        for seed in range(6):
            write_run(
                folder / "runs" / f"{learner}-{seed}",
                learner=learner,
                seed=seed,
                accuracy=lambda s, d, p, up=lift + seed / 50: min(1, rising(s, d, p) + up),
                kl=lambda step, _d, _p, drift=1 + lift + seed / 50: step * drift / 1000,
            )
    write_run(folder / "runs" / "other", learner="rl", config={"learning.learning_rate": 0.5})
    return report([folder / "runs"], folder / "out", figures=False).html


def test_ranks_follow_the_sorted_metric_and_settings_their_learner(
    browser: Any, ranked: Path
) -> None:
    page = browser.new_page()
    page.goto(ranked.as_uri())
    ranks = page.locator(f"{BOARD} tr[data-lead] td.rank .value")
    assert ranks.all_inner_texts() == ["1 of 2", "2 of 2"]
    assert page.locator(f"{MORE} tr[data-lead] td.rank .value").all_text_contents() == [
        *("1 of 2", "2 of 2")
    ]
    assert learners(page) == ["FST", "RL"]
    assert page.locator("#controls output").inner_text() == "2 rows"
    page.locator(f"{BOARD} button[aria-expanded=false]").click()
    assert learners(page) == ["FST", "RL", "lr=0.5"]
    page.locator("select[name=sort]").select_option("kl_policy_base")
    assert learners(page) == ["RL", "lr=0.5", "FST"]
    assert ranks.all_inner_texts() == ["1 of 2", "2 of 2"]
    page.locator("select[name=learner]").select_option("fst")
    assert learners(page) == ["FST"]
    page.close()


def test_filters_are_kept_by_the_address(open_page: Open) -> None:
    page = open_page()
    page.locator("select[name=learner]").select_option("fst")
    assert learners(page) == ["FST"]
    assert page.locator("#board-facts").is_visible()
    page.locator("select[name=stream]").select_option("math-to-code, version 1")
    assert page.locator("#board-facts").is_hidden()
    page.locator("#board-math-to-code-figures > .legend", has_text="RL").wait_for(state="detached")
    page.reload()
    assert learners(page) == ["FST"]
    assert page.locator("#board-facts").is_hidden()
    assert page.locator("#controls output").inner_text().startswith("1 of ")
    page.locator("#controls button").click()
    assert page.locator("#board-facts").is_visible()


def test_no_link_leads_to_a_board_that_is_filtered_out(open_page: Open) -> None:
    page = open_page()
    links = page.locator("nav a:visible")
    assert links.count() == 8
    page.locator("select[name=stream]").select_option("math-to-code, version 1")
    page.locator("#board-facts").wait_for(state="hidden")
    assert links.all_inner_texts() == [
        *("math-to-code", "Runs", "Problems", "What the names mean", "How to read this page"),
    ]
    assert page.locator("#alone").is_hidden()


def test_the_only_board_is_open_though_it_has_one_row(browser: Any, tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "a")
    done = report([tmp_path / "runs"], tmp_path / "out", figures=False)
    page = browser.new_page()
    page.goto(done.html.as_uri())
    assert page.locator(BOARD).is_visible()
    page.wait_for_selector("#board-math-to-code-figures svg.chart")
    assert page.locator("#controls output").inner_text() == "1 row"
    page.close()


def test_paper_shows_folded_boards_and_their_figures(open_page: Open) -> None:
    page = open_page()
    fold = page.locator("#alone details.board-section").first
    assert fold.get_attribute("open") is None
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert fold.locator("table.streamed").is_visible()
    assert fold.locator("svg.chart").count() > 0
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert fold.get_attribute("open") is None


def test_a_caption_stays_where_its_table_scrolls(open_page: Open) -> None:
    page = open_page("#run=math-fst-1", PHONE)
    caption = page.locator("p.caption", has_text="Gain over the base model").first
    caption.wait_for()
    assert caption.evaluate("(it) => it.closest('.wide')") is None
    box = caption.bounding_box()
    assert box["x"] + box["width"] <= PHONE["width"]
    assert caption.evaluate("(it) => it.scrollWidth <= it.clientWidth")


def test_a_run_without_transcripts_says_why(open_page: Open) -> None:
    page = open_page("#run=dirty")
    page.locator("#run", has_text="This run’s tables hold none").wait_for()


def test_text_and_status_filter_rows_and_runs(open_page: Open) -> None:
    page = open_page("#text=prompt-only")
    assert learners(page) == ["prompt-only"]
    assert page.locator("input[name=text]").input_value() == "prompt-only"
    runs = page.locator("table.runs tbody tr:visible")
    assert runs.count() == 4
    page.locator("input[name=text]").fill("")
    page.locator("select[name=status]").select_option("diverged")
    page.wait_for_url("**#status=diverged")
    assert runs.count() == 1
    assert "lost" in runs.first.inner_text()
    assert learners(page) == ["RL"]


def test_a_run_opens_by_its_link_and_by_its_address(open_page: Open) -> None:
    page = open_page("#learner=fst")
    page.locator("table.runs a", has_text="math-fst-1").click()
    page.wait_for_selector("#run-title")
    assert page.locator("#run-title").inner_text() == "math-fst-1"
    assert page.locator("#all").is_hidden()
    page.reload()
    page.wait_for_selector("#run-title")
    text = page.locator("#run").inner_text()
    for section in ("Learning curves", "Prompts", "Item turnover", "Configuration and provenance"):
        assert section in text
    assert "FST on stream math-to-code, seed 1" in text
    values = page.locator("#run table.metrics").all_inner_texts()
    assert len(values) == 2
    assert "—" not in "".join(values)
    assert "plasticity against the base: no table of" in text
    page.locator("#run svg.chart").nth(6).wait_for()  # figures are drawn once they have a width
    assert page.locator("#run .matrix").count() == 4
    page.locator("#run a", has_text="Leaderboard").click()
    assert page.locator("#all").is_visible()
    assert learners(page) == ["FST"]


def test_a_run_that_is_not_there_is_said_to_be_missing(open_page: Open) -> None:
    page = open_page("#run=nothing")
    page.locator("#run", has_text="There is no run nothing on this page.").wait_for()


def test_what_went_wrong_is_shown(open_page: Open) -> None:
    page = open_page()
    problems = page.locator("#problems").inner_text()
    for word in ("unreadable", "diverged", "failed", "loss is NaN", "broken"):
        assert word in problems
    assert "dirty tree" in page.locator(f"{BOARD} tr", has_text="RL-KL").inner_text()
    row = page.locator(f"{BOARD} tr", has_text="1 of 3 seeds diverged")
    assert "2\xa0✗\xa0diverged" in row.inner_text()


def test_numbers_of_a_figure_are_there_on_demand(open_page: Open) -> None:
    page = open_page()
    page.locator("#board-math-to-code-figures summary", has_text="Numbers").first.click()
    table = page.locator("#board-math-to-code-figures figure table.plain").first
    assert "math" in page.locator("#board-math-to-code-figures p.caption").first.inner_text()
    assert "math" in table.get_attribute("aria-label")
    assert table.locator("tbody tr").count() == 5


def test_nothing_hostile_runs_and_all_of_it_is_shown_as_text(open_page: Open) -> None:
    page = open_page()
    assert page.locator("img, iframe, object").count() == 0
    page.locator("#alone summary").first.click()
    page.locator("table.runs a", has_text="onerror").click()
    page.wait_for_selector("#run-title")
    page.locator("#run summary", has_text="All rounds").click()
    for fold in page.locator("#run section:last-child summary").all():
        fold.click()
    shown = page.locator("#run").inner_text()
    assert '<img src=x onerror="window.hacked=1">' in shown
    assert "\\u202e" in shown
    assert "\u202e" not in shown
    assert "[x](javascript:window.hacked=1)" in shown
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0
    assert page.locator("a[href^=javascript]").count() == 0
    page.locator("#run a", has_text="Leaderboard").click()
    assert "window.hacked" in page.locator("#problems").inner_text()
    assert page.evaluate("window.hacked") is None


def test_a_hostile_address_is_only_an_address(open_page: Open) -> None:
    address = "#run=%3Cimg%20src%3Dx%20onerror%3D%22window.hacked%3D1%22%3E%E2%80%AE"
    page = open_page(address)
    page.locator("#run", has_text="There is no run <img").wait_for()
    assert page.locator("img").count() == 0
    page.goto(page.url.split("#")[0] + "#text=%3Cimg%20src%3Dx%3E&sort=__proto__&status=valueOf")
    page.wait_for_timeout(100)
    assert page.evaluate("window.hacked") is None


def test_the_policy_lets_no_other_script_in(
    open_page: Open, made: ReportFiles, tmp_path: Path
) -> None:
    text = made.html.read_text(encoding="utf-8")
    injected = text.replace("<main>", "<main><script>window.hacked=1</script><b onclick=1></b>", 1)
    changed = tmp_path / "leaderboard.html"
    changed.write_text(injected, encoding="utf-8")
    refused: list[str] = []
    fresh = open_page().context.new_page()  # whose complaints are what is asked for here
    fresh.on("console", lambda message: refused.append(message.text))
    fresh.goto(changed.as_uri())
    assert fresh.evaluate("window.hacked") is None
    assert any("Content Security Policy" in line for line in refused)


@pytest.mark.parametrize("address", ["", "#run=math-fst-1", "#learner=fst&sort=bwt_gem"])
def test_a_phone_never_scrolls_sideways(open_page: Open, address: str) -> None:
    page = open_page(address, PHONE)
    page.wait_for_selector("svg.chart")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_a_long_stream_does_not_widen_a_phone(browser: Any, tmp_path: Path) -> None:
    stages = tuple((name, 20) for name in ("math", "code", "facts", "physics", "star-graph"))
    write_run(tmp_path / "runs" / "long", stages=stages)
    done = report([tmp_path / "runs"], tmp_path / "out", figures=False)
    page = browser.new_page(viewport=PHONE)
    for address in ("", "#run=long"):
        page.goto(f"{done.html.as_uri()}{address}")
        page.wait_for_selector("table.matrix:visible")
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    page.close()


def test_tables_are_there_without_a_script(open_page: Open) -> None:
    page = open_page(java_script_enabled=False)
    assert learners(page)[:3] == ["FST", "prompt-only", "RL"]
    assert page.locator("#controls").is_hidden()
    assert "Without JavaScript" in page.locator("noscript").inner_text()


def test_paper_has_no_controls_and_every_board(open_page: Open) -> None:
    page = open_page()
    page.emulate_media(media="print")
    assert page.locator("#controls").is_hidden()
    assert page.locator("nav").is_hidden()
    assert page.locator("#runs").is_hidden()
    assert page.locator(BOARD).is_visible()
    assert page.locator("#board-math-to-code-figures svg.chart").first.is_visible()


CONTRAST = """
(selectors) => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, place) => sum + v * [0.2126, 0.7152, 0.0722][place], 0);
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const found = rgb(getComputedStyle(at).backgroundColor);
      if (found[3] === 255) return found;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll(selectors)) {
    if (!element.checkVisibility() || !element.textContent.trim()) continue;
    const style = getComputedStyle(element);
    const ink = rgb(element instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [light(ink), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    found.push([ratio, element.tagName + "." + element.getAttribute("class")]);
  }
  return found;
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("address", ["", "#run=math-fst-1"])
def test_text_stands_out_from_its_ground(open_page: Open, scheme: str, address: str) -> None:
    page = open_page(address, color_scheme=scheme)
    page.wait_for_selector("svg.chart")
    texts = "p, th, td, small, a, li, summary, figcaption, ins, del, text, label, output, caption"
    found = page.evaluate(CONTRAST, texts)
    assert len(found) > 100
    weak = sorted({(round(ratio, 2), name) for ratio, name in found if ratio < 4.5})
    assert weak == []


def test_a_folded_metric_orders_the_whole_board_and_its_ranks(open_page: Open) -> None:
    page = open_page("#sort=min_accuracy")
    folded = page.locator(f"{MORE} tbody tr:not([hidden]) .learner").all_text_contents()
    assert [name.strip() for name in folded] == learners(page)
    head = page.locator(f"{MORE} th[data-sort=min_accuracy]")
    assert head.get_attribute("aria-sort") == "descending"
    place = head.evaluate("(it) => it.cellIndex")
    cells = page.locator(f"{MORE} tbody tr > :nth-child({place + 1})[data-value]")
    values = cells.evaluate_all("found => found.map((cell) => Number(cell.dataset.value))")
    assert len(values) > 1
    assert values == sorted(values, reverse=True)


def test_accuracy_against_kl_ends_in_intervals(open_page: Open) -> None:
    page = open_page()
    chart = page.locator("#board-math-to-code-figures figure", has_text="Accuracy against KL")
    chart.locator("path.interval").first.wait_for(state="attached")


def test_the_first_screen_says_what_this_is_and_who_leads(open_page: Open) -> None:
    page = open_page()
    page.wait_for_selector("#hero svg.chart")
    header = page.locator("header.front")
    for words in ("A learner teaches", "Fast-Slow Training (FST)", "Here learners are ordered by"):
        assert words in header.inner_text()
    assert header.locator("a[href='https://arxiv.org/abs/2605.12484']").is_visible()
    assert page.locator("table.board").first.bounding_box()["y"] < DESKTOP["height"]
    heads = page.locator(f"{BOARD} th[aria-sort=descending]")
    assert heads.get_attribute("data-sort") == "average_accuracy"
    best = page.locator(f"{BOARD} td.best.sorted .value")
    assert best.all_inner_texts() == ["85.9"]
    assert (
        "No ranks: 2 of 6 seeds needed to rank."
        in page.locator("#board-math-to-code > .caption").inner_text()
    )


def test_only_the_chosen_learner_has_bands(open_page: Open) -> None:
    page = open_page()
    page.wait_for_selector("#board-math-to-code-figures svg.chart")
    bands = page.locator("#board-math-to-code-figures .band:visible")
    assert bands.count() == 0
    button = page.locator("#board-math-to-code-figures button.series", has_text="FST")
    button.click()
    page.locator("h1").hover()
    assert button.get_attribute("aria-pressed") == "true"
    chosen = bands.evaluate_all("found => found.map((each) => each.parentElement.dataset.series)")
    assert chosen
    assert {*chosen} == {"fst"}
    page.locator(f"{BOARD} tr", has_text="prompt-only").first.hover()
    chosen = bands.evaluate_all("found => found.map((each) => each.parentElement.dataset.series)")
    assert {*chosen} == {"prompt"}


def test_reasons_go_with_their_rows(open_page: Open) -> None:
    page = open_page()
    board = page.locator("#board-math-to-code")
    reasons = board.locator(".footnotes li:not([hidden]) sup")
    marks = board.locator("tr:not([hidden]) sup a")
    every = {*reasons.all_text_contents()}
    assert every == {*marks.all_text_contents()}
    page.locator("select[name=learner]").select_option("fst")
    page.wait_for_url("**#learner=fst")
    assert {*reasons.all_text_contents()} == {*marks.all_text_contents()}
    assert {*reasons.all_text_contents()} < every


def test_filters_leave_the_rows_of_the_first_figure_where_they_stand(open_page: Open) -> None:
    page = open_page()
    marks = page.locator("#hero g.line[data-series=fst] path.fill")
    marks.first.wait_for()
    before = marks.evaluate_all("found => found.map((each) => each.getAttribute('transform'))")
    assert page.locator("#hero g.line[data-series=rl]").count() > 0
    page.locator("select[name=learner]").select_option("fst")
    page.wait_for_url("**#learner=fst")
    assert page.locator("#hero g.line[data-series=rl]").count() == 0
    after = marks.evaluate_all("found => found.map((each) => each.getAttribute('transform'))")
    assert after == before != []


def test_a_phone_compares_learners_in_one_table(open_page: Open) -> None:
    page = open_page(viewport=PHONE)
    heads = page.locator(f"{BOARD} thead th:visible .name")
    assert heads.all_inner_texts() == ["learner", "average accuracy", "forgetting", "KL"]
    assert "[66.1, 105.8]" in page.locator(f"{BOARD} tbody tr").first.inner_text()
    page.locator("#board-math-to-code button.columns").click()
    assert heads.count() > 6
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_the_page_rounds_numbers_as_python_does(open_page: Open) -> None:
    page = open_page("")
    halves = [(388.5, 0), (389.5, 0), (0.5, 0), (12.25, 1), (-2.5, 0), (0.15, 1), (-0.0625, 3)]
    script = files("cl_bench.report.page").joinpath("assets/numbers.js").read_text(encoding="utf-8")
    call = "return all.map(([value, digits]) => fixed(value, digits));"
    shown = page.evaluate(f"(all) => {{ {script}\n{call} }}", halves)
    assert shown == [f"{value:.{digits}f}" for value, digits in halves]


def test_transcripts_show_the_last_stage_and_what_ends_wrong(open_page: Open) -> None:
    page = open_page("#run=math-fst-1")
    first = page.locator("#run article.transcript").first
    first.wait_for()
    assert first.locator("> .side .when").all_inner_texts() == [
        *("Before training", "After stage 2, code")
    ]
    for domain in page.locator("#run section.domain").all():
        kept = domain.locator("h4 small").inner_text()
        assert re.fullmatch(
            r"\d+ of 32 test problems solved at the end; "
            r"responses are told of [1-9] that end right and [1-9] that end wrong",
            kept,
        )
        signs = domain.locator(":scope > article .side > :last-child strong").all_inner_texts()
        assert [sign for sign in signs if sign[0] in "✓✗"] == ["✓ right", "✗ wrong"]
