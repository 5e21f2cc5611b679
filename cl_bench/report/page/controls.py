"""The page's filters and its list of contents, as HTML."""

from __future__ import annotations

from collections.abc import Iterable

from cl_bench.analysis.entries import STATUSES
from cl_bench.report.blocks.look import learner_look
from cl_bench.report.blocks.write_html import escaped
from cl_bench.report.page.columns import short
from cl_bench.report.page.contents import Contents


def controls(contents: Contents) -> str:
    """Filters; hidden until there is a script that obeys them."""
    boards = contents.leaderboard.boards
    rows = [row for board in boards for row in board.rows]
    choices: dict[str, list[tuple[str, str]]] = {
        "stream": [(board.stream, board.stream) for board in boards],
        "learner": [(row.learner, learner_look(row.learner).label) for row in rows],
        "model": [(board.model, board.model) for board in boards],
        "status": [(s, s) for s in STATUSES if any(s in row.status.values() for row in rows)],
    }
    columns = {n: short(n, column) for board in boards for n, column in board.columns.items()}
    choices["sort"] = [("rank", "rank"), *columns.items()]
    inner = "".join(_choice(name, options) for name, options in choices.items())
    return (
        f'<form id="controls" hidden aria-label="Filters">\n{inner}'
        '<label><span>Text</span><input name="text" type="search" autocomplete="off"></label>\n'
        '<button type="button">Reset</button> <output aria-live="polite"></output>\n</form>\n'
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
    boards = zip(contents.boards, contents.titles, strict=True)
    links = [(f"#{one.anchor}", title) for one, title in boards if len(one.board.rows) > 1]
    alone = len(contents.boards) - len(links)
    if contents.leaderboard.overall:
        links.insert(0, ("#overall", "All streams"))
    if alone:
        links.append(("#alone", f"Boards of one row ({alone})"))
    links += [("#runs", "Runs"), ("#problems", "Problems"), ("#reading", "How to read this page")]
    inner = "".join(f'<li><a href="{href}">{escaped(text)}</a></li>\n' for href, text in links)
    return f'<nav aria-label="Contents"><ul>\n{inner}</ul></nav>\n'
