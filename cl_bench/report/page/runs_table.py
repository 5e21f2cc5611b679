"""The tables of all runs and of all problems, as HTML."""

from __future__ import annotations

from collections.abc import Mapping

from cl_bench.metrics.quantities import NOTHING
from cl_bench.metrics.undefined import Undefined
from cl_bench.report.blocks.look import learner_look
from cl_bench.report.blocks.write_html import escaped
from cl_bench.report.leaderboard import Column
from cl_bench.report.page.boards import run_link
from cl_bench.report.page.cells import heading, swatch
from cl_bench.report.page.columns import short
from cl_bench.report.page.contents import Contents, ShownRun

_LISTED = ("average_accuracy", "bwt_gem", "forgetting_max", "kl_policy_base", "rollouts", "seconds")
"""Metrics in the table of runs."""


def runs_section(contents: Contents) -> str:
    columns = _listed_columns(contents)
    fixed = ("run", "stream", "learner", "model", "seed", "status")
    heads = "".join(
        f'<th scope="col" data-sort="{name}" data-better="lower">'
        f'<span class="name">{name}</span></th>'
        for name in fixed
    )
    heads += "".join(heading(name, column) for name, column in columns.items())
    rows = "".join(_run_row(contents, one, columns) for one in contents.runs)
    return (
        f'<section id="runs">\n<h2>Runs</h2>\n<p>Every run has a page of its own: its learning '
        "curves, prompts, transcripts, configuration and provenance.</p>\n"
        '<div class="wide tall" tabindex="0" role="region" aria-label="All runs">\n'
        f'<table class="runs"><thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody></table>\n'
        "</div>\n</section>\n"
    )


def _listed_columns(contents: Contents) -> Mapping[str, Column]:
    known = {n: c for board in contents.leaderboard.boards for n, c in board.columns.items()}
    return {name: known[name] for name in _LISTED if name in known}


def _run_row(contents: Contents, one: ShownRun, columns: Mapping[str, Column]) -> str:
    facts, name = one.digest.manifest, one.digest.name
    stream, model = str(facts["stream"]["name"]), str(facts["model"])
    if one.board is not None:
        board = contents.leaderboard.boards[one.board]
        stream, model = board.stream, board.model
    learner, status = str(facts["learner"]), str(facts["status"])
    look = learner_look(learner)
    text = " ".join((name, stream, learner, look.label, model, status, *one.problems)).lower()
    filters = {"stream": stream, "learner": learner, "model": model, "status": status, "text": text}
    data = "".join(f' data-{key}="{escaped(value)}"' for key, value in filters.items())
    cells = [
        f'<th scope="row" data-value="{escaped(name)}">{run_link(name, name)}</th>',
        *(_text_cell("stream", stream), _text_cell("learner", look.label, swatch(look))),
        *(_text_cell("model", model), _text_cell("seed", str(facts["seed"]))),
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
    if not contents.problems:
        return '<section id="problems"><h2>Problems</h2>\n<p>None.</p></section>\n'
    rows = "".join(
        f'<tr><th scope="row">{_named(contents, problem.path)}</th>'
        f'<td data-column="problem">{escaped(problem.kind)}</td>'
        f'<td data-column="reason">{escaped(contents.local(problem.reason))}</td></tr>\n'
        for problem in contents.problems
    )
    return (
        '<section id="problems"><h2>Problems</h2>\n<div class="wide" tabindex="0">'
        '<table class="plain"><thead><tr><th scope="col">run</th><th scope="col">problem</th>'
        f'<th scope="col">reason</th></tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n'
        "</section>\n"
    )


def _named(contents: Contents, path: object) -> str:
    name = contents.names.get(str(path))
    return run_link(name, name) if name else escaped(contents.local(str(path)))
