"""The parts of the page around its boards, as HTML: filters, list of contents, tables of all runs
and of all problems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cl_bench.analysis.entries import STATUSES
from cl_bench.analysis.run_values import Column
from cl_bench.metrics.quantities import NOTHING
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.look import learner_look
from cl_bench.report.blocks.write_html import escaped
from cl_bench.report.page.boards import data_attributes, run_link
from cl_bench.report.page.cells import heading, short, swatch
from cl_bench.report.page.contents import MOST_PROBLEMS, Contents, ShownRun, more_problems
from cl_bench.report.page.glossary import WORDS

_LISTED = ("average_accuracy", "bwt_gem", "forgetting_max", "kl_policy_base", "rollouts", "seconds")
"""Metrics in the table of runs."""


def runs_section(contents: Contents) -> str:
    """The table of all runs."""
    known = contents.columns
    columns = {name: known[name] for name in _LISTED if name in known}
    fixed = ("run", "stream", "learner", "model", "seed", "status")
    heads = "".join(
        f'<th scope="col" data-sort="{name}" data-better="lower">'
        f'<span class="name">{name}</span></th>'
        for name in fixed
    )
    heads += "".join(heading(name, column) for name, column in columns.items())
    rows = "".join(_run_row(contents, one, columns) for one in contents.listed)
    few = f"<p>{escaped(contents.unlisted)}</p>\n" if contents.unlisted else ""
    return (
        f'<section id="runs">\n<h2>Runs</h2>\n<p>Every run has a page of its own: its learning '
        f"curves, prompts, transcripts, configuration and provenance.</p>\n{few}"
        '<div class="wide tall" tabindex="0" role="region" aria-label="All runs">\n'
        f'<table class="runs"><thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody></table>\n'
        "</div>\n</section>\n"
    )


def _run_row(contents: Contents, one: ShownRun, columns: Mapping[str, Column]) -> str:
    facts, name = one.facts, one.facts.name
    stream, model = facts.stream, facts.model
    boards = contents.leaderboard.boards
    if one.board is not None:
        stream, model = boards[one.board].stream, boards[one.board].model
    else:  # as the filter of streams calls it
        stream = next((board.stream for board in boards if board.key.stream == stream), stream)
    learner, status = facts.learner, facts.status
    look = learner_look(learner)
    text = " ".join((name, stream, learner, look.label, model, status, *one.problems)).lower()
    data = data_attributes(stream=stream, learner=learner, model=model, status=status, text=text)
    cells = [
        f'<th scope="row" data-value="{escaped(name)}">{run_link(name, name)}</th>',
        *(_text_cell("stream", stream), _text_cell("learner", look.label, swatch(look))),
        *(_text_cell("model", model), _text_cell("seed", facts.seed)),
        _text_cell("status", status, kind="" if status == "done" else "flag"),
        *(_number_cell(key, column, one.metrics.get(key)) for key, column in columns.items()),
    ]
    return f"<tr{data}>{''.join(cells)}</tr>\n"


def _text_cell(name: str, text: str, before: str = "", kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return (
        f'<td data-column="{name}" data-value="{escaped(text)}"{named}>'
        f"{before}{' ' if before else ''}{escaped(text)}</td>"
    )


def _number_cell(name: str, column: Column, value: float | Undefined | None) -> str:
    title = escaped(short(name, column))
    if value is None or isinstance(value, Undefined):
        return f'<td class="number" data-column="{title}">{NOTHING}</td>'
    text = escaped(column.quantity.number(value))
    return f'<td class="number" data-column="{title}" data-value="{value!r}">{text}</td>'


def problems_section(contents: Contents) -> str:
    """The table of everything that is wrong with runs."""
    if not contents.problems:
        return '<section id="problems"><h2>Problems</h2>\n<p>None.</p></section>\n'
    rows = "".join(
        f'<tr><th scope="row">{_named(contents, problem.path)}</th>'
        f'<td data-column="problem">{escaped(problem.kind)}</td>'
        f'<td data-column="reason">{escaped(contents.local(problem.reason))}</td></tr>\n'
        for problem in contents.problems[:MOST_PROBLEMS]
    )
    more = more_problems(contents)
    few = f"<p>{escaped(more)}</p>\n" if more else ""
    return (
        f'<section id="problems"><h2>Problems</h2>\n{few}<div class="wide" tabindex="0">'
        '<table class="plain"><thead><tr><th scope="col">run</th><th scope="col">problem</th>'
        f'<th scope="col">reason</th></tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n'
        "</section>\n"
    )


def _named(contents: Contents, path: object) -> str:
    if (name := contents.linked.get(str(path))) is not None:
        return run_link(name, name)
    return escaped(contents.names.get(str(path)) or contents.local(str(path)))


def controls(contents: Contents) -> str:
    """Filters; hidden until there is a script that obeys them."""
    boards = [drawn.board for drawn, _ in contents.shown]
    rows = [row for board in boards for row in board.every_row]
    choices: dict[str, list[tuple[str, str]]] = {
        "stream": [(board.stream, board.stream) for board in boards],
        "learner": [(row.learner, learner_look(row.learner).label) for row in rows],
        "model": [(board.model, board.model) for board in boards],
        "status": [(s, s) for s in STATUSES if any(s in row.status.values() for row in rows)],
    }
    columns = {name: short(name, column) for name, column in contents.columns.items()}
    choices["sort"] = [("rank", "rank"), *columns.items()]
    inner = "".join(_choice(name, options) for name, options in choices.items())
    return (
        '<details class="filters" open><summary>Filter and sort</summary>\n'
        f'<form id="controls" hidden aria-label="Filters">\n{inner}'
        '<label><span>Text</span><input name="text" type="search" autocomplete="off"></label>\n'
        '<button type="button">Reset</button> <output aria-live="polite"></output>\n'
        "</form></details>\n"
    )


def _choice(name: str, options: Iterable[tuple[str, str]]) -> str:
    first = "as ranked" if name == "sort" else "all"
    known = dict(options)
    inner = "".join(
        f'<option value="{escaped(value)}">{escaped(words)}</option>'
        for value, words in sorted(known.items(), key=lambda one: one[1] if name != "sort" else "")
    )
    title = "Sort by" if name == "sort" else name.capitalize()
    return (
        f'<label><span>{title}</span><select name="{name}"><option value="">{first}</option>'
        f"{inner}</select></label>\n"
    )


def contents_list(contents: Contents) -> str:
    """Links to all boards and sections."""
    boards = contents.shown
    links = [(f"#{one.anchor}", title) for one, title in boards if len(one.board.every_row) > 1]
    alone = len(boards) - len(links)
    if any(one.rows for one in contents.leaderboard.overall):
        links.insert(0, ("#overall", "Mean over streams"))
    if alone:
        links.append(("#alone", f"Boards of one row ({alone})"))
    links += [("#runs", "Runs"), ("#problems", "Problems"), ("#glossary", WORDS)]
    links.append(("#reading", "How to read this page"))
    inner = "".join(f'<li><a href="{href}">{escaped(text)}</a></li>\n' for href, text in links)
    return f'<nav aria-label="Contents"><ul>\n{inner}</ul></nav>\n'
