"""The page that `--help` prints: verbs and options under headings, as wide as the terminal, no word
broken."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from io import StringIO
from textwrap import TextWrapper
from typing import Any

from rich.console import Console
from rich.text import Text
from typer.core import TyperCommand

LEARN, LOOK, CHECK, SHARE, EXTEND = "Learn", "Look", "Check", "Share", "Extend"
"""The headings of verbs, in their order."""
_ABOUT = "Output"
_BY_NAME: Mapping[str, str] = {
    "What is run": "stream streams learner learners model preset seed seeds options config setting "
    "boundaries retention feedback thinking learner_option claims budget ablations probe probes",
    "How long": "steps rollouts eval_every",
    "Without running": "dry_run plan machines measure trial",
    "What is kept": "runs out resume track keep_stage_models figures figure_style source archive",
    "What is trained": "peft lora_rank lora_alpha lora_targets",
    "Machine": "device threads precision gradient_checkpointing sampler sampler_folder "
    "sampler_memory batch_invariant",
    "Where runs are made": "backend jobs gpus_per_run ray_address slurm_partition slurm_account "
    "slurm_qos slurm_constraint slurm_time slurm_timeouts slurm_memory slurm_cpus slurm_template",
    _ABOUT: "as_json quiet debug help",
}
"""Names of options under their headings, in their order; learners' settings have their own."""
_HEADINGS = {name: heading for heading, names in _BY_NAME.items() for name in names.split()}
_ARGUMENTS, _OPTIONS = "Arguments", "Options"
_FIRST = (_ARGUMENTS, LEARN, LOOK, CHECK, SHARE, EXTEND, *_BY_NAME)
_FEW = 12
"""Options that need no headings."""
_MOST_COLUMNS, _LEFT, _INDENT = 100, 24, 2
_LEAST = 24
"""Columns that a text beside what is typed needs; with less room it stands below."""
_TYPE = re.compile(r" ?<(?:list\[)?(\w+)\]?>")
_KINDS = {"str": " TEXT", "int": " N", "float": " X", "path": " PATH"}
_KEPT, _NO_BREAK = re.compile(r"\[default: [^ ]*\]|`[^`]{,30}`"), "\u00a0"
"""What stands on one line."""
_EITHER = re.compile(r"--([a-z0-9-]+) / --no-\1")


class Helped:
    """A command, or a group of some, with this page."""

    def format_help(self, context: Any, formatter: Any) -> None:
        """Write the page, with colours for a terminal."""
        screen = Console()
        width, colours = min(screen.width, _MOST_COLUMNS), screen.is_terminal
        console = Console(file=StringIO(), width=width, force_terminal=colours, highlight=False)
        with console.capture() as page:
            for line in _page(self, context, width):
                console.print(line, soft_wrap=True)
        # typer would print UTF-8 where standard output says that it takes ASCII only.
        encoding = sys.stdout.encoding or "utf-8"
        text = page.get().rstrip("\n")
        formatter.write(text.encode(encoding, "cl-bench-plainer").decode(encoding))


class HelpedCommand(Helped, TyperCommand):
    """A command of this suite."""


def _page(command: Any, context: Any, width: int) -> Iterator[Text]:
    usage = " ".join(command.get_usage(context).split())
    yield from _wrapped(re.sub(r"\{(\w+)\}", lambda of: of[1].upper(), usage), width)
    for paragraph in (command.help or "").strip().split("\n\n"):
        yield Text("")
        yield from _wrapped(" ".join(paragraph.split()), width)
    sections = _sections(command, context)
    room = min(_LEFT, max(len(typed) for _, rows in sections for typed, _ in rows))
    for heading, rows in sections:
        yield Text("")
        yield Text(f"{heading}:", style="bold")
        for typed, says in rows:
            yield from _row(typed, says, room, width)


def _sections(command: Any, context: Any) -> list[tuple[str, list[tuple[str, str]]]]:
    """Headings and what stands under them: what is typed, and what it means."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name, verb in getattr(command, "commands", {}).items():
        panel = verb.rich_help_panel
        first = " ".join((verb.help or "").strip().split("\n\n")[0].split())
        found[panel if isinstance(panel, str) else "Commands"].append((name, first))
    options = [of for of in command.get_params(context) if of.get_help_record(context)]
    few = len(options) <= _FEW
    if not few:
        known = list(_HEADINGS)
        options.sort(key=lambda of: known.index(of.name) if of.name in known else len(known))
    for option in options:
        found[_heading(option, few)].append(_shown(option, context))
    return sorted(found.items(), key=lambda of: _place(of[0]))


def _heading(option: Any, few: bool) -> str:
    if option.param_type_name == "argument":
        return _ARGUMENTS
    return _OPTIONS if few else option.rich_help_panel or _HEADINGS.get(option.name, _OPTIONS)


def _place(heading: str) -> int:
    """The learners' settings come behind the others, and what any command has at the end."""
    if heading == _ABOUT or heading not in _FIRST:
        return len(_FIRST) + (heading == _ABOUT)
    return _FIRST.index(heading)


def _shown(option: Any, context: Any) -> tuple[str, str]:
    typed, says = option.get_help_record(context)
    if option.param_type_name == "argument":
        return _TYPE.sub("", typed).upper(), " ".join(says.split())
    typed = _TYPE.sub(lambda of: _KINDS.get(of[1].lower(), f" {of[1].upper()}"), typed)
    if _EITHER.search(typed):
        says = re.sub(r"\[default: (no-)?[a-z0-9-]+\]", _on_or_off, says)
    return _EITHER.sub(r"--[no-]\1", typed), " ".join(says.split())


def _on_or_off(default: re.Match[str]) -> str:
    return f"[default: {'off' if default[1] else 'on'}]"


def _wrapped(text: str, width: int, indent: int = 0) -> Iterator[Text]:
    room = max(1, width - indent)
    wrapper = TextWrapper(room, break_long_words=False, break_on_hyphens=False)
    kept = _KEPT.sub(lambda of: of[0].replace(" ", _NO_BREAK), text)
    return (Text(" " * indent + line.replace(_NO_BREAK, " ")) for line in wrapper.wrap(kept))


def _row(typed: str, says: str, room: int, width: int) -> Iterator[Text]:
    """What is typed, and beside it what it means; below it where that is too long."""
    beside = _INDENT + room + 2
    has_room = width - beside >= _LEAST
    said = list(_wrapped(says, width, beside if has_room else 2 * _INDENT))
    line = Text(" " * _INDENT).append(typed, style="cyan")
    if has_room and len(typed) <= room and said:
        line.append(said.pop(0).plain[len(line) :])
    yield line
    yield from said
