"""Plug-ins: domains, streams, learners and metrics that other packages bring.

A package offers them as entry points, in the groups of `GROUPS`:

    [project.entry-points."cl_bench.tasks"]
    colours = "acme_streams.colours:DOMAIN"

The full name is the distribution's normalised name, a slash and the entry point's own name:
`acme-streams/colours`; `colours` stands for it where no other package has such a name, and is
never stored. The installed packages are searched once, when a name is asked for that is
not built in; a plug-in's code is imported when it is loaded or listed. A plug-in that cannot be
used is called broken: loading it raises `PluginError` with the reason, and all else works.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Any

from cl_bench.contract.errors import PluginError
from cl_bench.contract.text import one_line

GROUPS = ("cl_bench.tasks", "cl_bench.streams", "cl_bench.learners", "cl_bench.metrics")
ENTRY_NAME = re.compile(r"[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*")
"""The form of a plug-in's name. A domain's may not contain `-to-`, which joins domains."""
PLACE = re.compile(r"[\w.]+\s*:\s*[\w.]+(?:\s*\[.*\])?")
"""The form of an entry point's object: `module:attribute`."""
STREAM_SEPARATOR = "-to-"
"""Joins the domains in the name of a stream."""
QUOTED_SEPARATOR = "%2Dto%2D"
"""The same inside the value of an option, where it joins nothing."""

Check = Callable[[Any, str], str]
"""Returns what is wrong with an object of this full name, or an empty text."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """One entry point of an installed package."""

    name: str
    """Full name: `acme-streams/colours`."""
    package: str
    """The distribution's normalised name."""
    version: str
    value: str
    """The object's place: `module:attribute`."""
    fault: str = ""
    """The reason why it cannot be loaded, as far as that shows without importing it."""

    @property
    def entry(self) -> str:
        """The name without its package: `colours`."""
        return self.name.rpartition("/")[2]

    @property
    def origin(self) -> str:
        """Package and version, for people."""
        return f"{self.package} {self.version}"

    def load(self, kind: str, check: Check) -> object:
        """Import the object and return it; raise `PluginError` if it cannot be used."""
        error: BaseException | None = None
        fault, found = self.fault, None
        if not fault:
            try:
                found = EntryPoint(self.name, self.value, "").load()
                fault = check(found, self.name)
            except KeyboardInterrupt:
                raise
            except BaseException as raised:  # noqa: BLE001 - foreign code
                fault, error = f"{type(raised).__name__}: {raised}", raised
        if fault:
            raise PluginError(kind, self.name, self.origin, one_line(fault)) from error
        return found

    def summary(self, kind: str, check: Check) -> str:
        """Return one line for a listing; that of a broken plug-in says why it is broken."""
        try:
            text = _summary_of(self.load(kind, check), self.value)
        except PluginError as error:
            text = f"broken: {error.reason}"
        except Exception as error:  # noqa: BLE001 - foreign code
            text = f"broken: its summary raises {type(error).__name__}: {error}"
        return f"{one_line(text)} ({self.origin})"


def discovered(group: str) -> Mapping[str, Plugin]:
    """Return the plug-ins of a group by full name, sorted; installed packages are read once."""
    return installed().get(group, {})


@cache
def installed() -> Mapping[str, Mapping[str, Plugin]]:
    """Return the plug-ins of all groups, by group and full name."""
    found: dict[str, list[Plugin]] = {group: [] for group in GROUPS}
    owners: dict[str, Distribution] = {}
    for owner in distributions():
        for group, plugin in _plugins(owner):
            # Of two copies of a package on the path the first is the one that is imported.
            if owners.setdefault(plugin.package, owner) is owner:
                found[group].append(plugin)
    return {group: _by_name(plugins) for group, plugins in found.items()}


def _plugins(owner: Distribution) -> Iterator[tuple[str, Plugin]]:
    """Each plug-in of an installed package, with its group."""
    entries = _entries(owner)
    # A damaged leftover of an uninstall has no name.
    if entries and (package := _name_of(owner)):
        for group, name, value in entries:
            known: str | None = owner.version  # damaged metadata has none
            fault = _fault(group, name, value) if known else "its package names no version"
            yield group, Plugin(f"{package}/{name}", package, known or "?", value, fault)


def _entries(owner: Distribution) -> list[tuple[str, str, str]]:
    """Return group, name and place of a package's entry points in our groups.

    If its entry_points.txt has a malformed line, a single one called `?` stands for each group.
    Which lines count as malformed depends on the process: `importlib_metadata` takes the standard
    library's place once anything imports it.
    """
    try:
        return [(it.group, it.name, it.value) for it in owner.entry_points if it.group in GROUPS]
    except (OSError, UnicodeError):
        return []
    except Exception:  # noqa: BLE001 - a TypeError of the one, a ValueError of the other
        text = owner.read_text("entry_points.txt") or ""
        # The text is searched by hand, because neither library reads past the malformed line.
        return [(group, "?", "") for group in GROUPS if f"[{group}]" in text]


def _name_of(owner: Distribution) -> str:
    try:
        name: str | None = owner.metadata["Name"]
    except KeyError:  # as newer versions of importlib.metadata say it
        name = None
    # Normalised as package indexes do it (PEP 503).
    return re.sub(r"[-_.]+", "-", name or "").lower()


def _fault(group: str, name: str, value: str) -> str:
    if name == "?":
        return "its entry_points.txt cannot be read: a line is not 'name = module:attribute'"
    if not ENTRY_NAME.fullmatch(name):
        return (
            f"the entry point is called {name!r}; a name consists of letters and digits, "
            "with single hyphens, dots or underscores between them"
        )
    if group == "cl_bench.tasks" and STREAM_SEPARATOR in name:
        return (
            f"a domain cannot be called {name!r}: {STREAM_SEPARATOR!r} joins the domains of "
            "a stream's name"
        )
    if not PLACE.fullmatch(value):
        return f"{value!r} is not a place; write module:attribute"
    return ""


def _by_name(plugins: Iterable[Plugin]) -> dict[str, Plugin]:
    """Return plug-ins by name; where several share a name, a broken one in their place."""
    chosen: dict[str, Plugin] = {}
    for plugin in sorted(plugins, key=lambda item: item.name):
        other = chosen.get(plugin.name)
        if other is None or other.value == plugin.value:
            chosen[plugin.name] = plugin
            continue
        fault = other.fault or f"two entry points have this name: {other.value} and {plugin.value}"
        chosen[plugin.name] = Plugin(
            plugin.name, plugin.package, plugin.version, other.value, fault
        )
    return chosen


def _summary_of(found: object, value: str) -> str:
    """Return the object's own `summary`, else the first line of its module's docstring."""
    said = getattr(found, "summary", None)
    if isinstance(said, str) and said:
        return said
    module, _, _ = value.partition(":")
    doc = (import_module(module.strip()).__doc__ or "").strip()
    return doc.partition("\n")[0] or "no description: its module has no docstring"
