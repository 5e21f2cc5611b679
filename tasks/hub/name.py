"""Names of data sets of the hub: `hub/gsm8k`, `hub/hover?hops=3`, `hub/ORG/NAME?prompt=text`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from cl_bench.contract.errors import UsageError, unknown
from cl_bench.contract.plugins import STREAM_SEPARATOR
from cl_bench.contract.text import printable
from cl_bench.contract.validation import COUNTS, whole_number

from ..data.columns import COLUMNS
from ..data.name import read_options, spelled_options
from ..data.reading import SUFFIXES
from .table import SETS, HubSet

READ_AS = ("verifier", "pattern")
_FROM = ("split", "rows", "revision")
_SAID = ("revision", "licence", "citation")
"""Options that change no score: they are no part of a domain's name."""
_MOST = 20_000
"""Rows of each split that are read of a data set without an entry."""
_MEANT = re.compile(r"hub/[^/?\s]+(?:/[^/?\s]+)?(?:\?.*)?", re.DOTALL)
_NUMBER = re.compile(r"[0-9]{1,18}")
_SHOWN = 60


def known(name: str) -> bool:
    """Whether `name` means a data set of the hub, which need not exist."""
    path = name.partition("?")[0]
    is_file = path.lower().endswith(tuple(f".{suffix}" for suffix in SUFFIXES))
    return bool(_MEANT.fullmatch(name)) and STREAM_SEPARATOR not in name and not is_file


@dataclass(frozen=True, slots=True)
class Asked:
    """What a name asks for."""

    name: str
    """Without options."""
    entry: HubSet
    has_entry: bool
    options: Mapping[str, str]

    @property
    def revision(self) -> str:
        return self.options.get("revision") or self.entry.revision

    @property
    def most(self) -> int:
        """Rows of each split that are read; 0: all."""
        return int(self.options.get("rows") or self.entry.most)

    def named(self, *, commit: str = "") -> str:
        """The name with the options that change scores and, as a reference, with those that do not.

        A commit that is not the table's own is part of the reference, so that a run goes on with
        the rows it began with.
        """
        options = {k: v for k, v in self.options.items() if k not in _SAID}
        if commit:
            options = {**self.options, "revision": commit}
        if commit == self.entry.revision and "revision" not in self.options:
            del options["revision"]
        return f"{self.name}{spelled_options(dict(sorted(options.items())))}"


def parse(name: str) -> Asked:
    """What a name that is `known` asks for; what cannot be asked is a `UsageError`."""
    asked = _parsed(name)
    rows = asked.options.get("rows")
    if rows:
        is_number = _NUMBER.fullmatch(rows) is not None
        shown = printable(rows, _SHOWN)
        whole_number(f"rows of {asked.name}", int(rows) if is_number else shown, COUNTS)
    return asked


def _parsed(name: str) -> Asked:
    path, _, text = name.partition("?")
    path = unquote(path.removeprefix("hub/"))
    entry = SETS.get(path)
    if entry:
        allowed = (*READ_AS, *_FROM, *entry.filters)
        return Asked(
            f"hub/{path}", entry, True, read_options(text, allowed, f"option of hub/{path}")
        )
    if "/" not in path:
        error = unknown("data set of the hub", path, SETS)
        raise UsageError(f"{error} Any other is hub/ORG/NAME?prompt=COLUMN&answer=COLUMN.")
    columns = [column for column in COLUMNS if column != "split"]
    allowed = (*columns, *READ_AS, *_FROM, "config", "licence", "citation")
    options = read_options(text, allowed, "option of a data set of the hub")
    entry = HubSet(
        path=path,
        revision="main",
        says=f"rows of {path}",
        licence="see its page on the hub",
        citation=f"huggingface.co/datasets/{path}",
        columns=(),
        splits={},
        asked=lambda _: None,
        verifier="",
        configs=(options.get("config"),),
        most=_MOST,
    )
    return Asked(f"hub/{path}", entry, False, options)
