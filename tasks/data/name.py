"""The names of data files: `my.jsonl`, `data/my.csv?verifier=number&answer=label`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote

from cl_bench.contract.errors import UsageError, did_you_mean, unknown
from cl_bench.contract.plugins import QUOTED_SEPARATOR, STREAM_SEPARATOR
from cl_bench.contract.registry import DOMAINS

from .columns import COLUMNS
from .reading import MOST_BYTES, SUFFIXES, shown

OPTIONS = (*COLUMNS, "verifier", "pattern", "licence", "citation")
SPELLINGS = {"license": "licence"}
_ENDS = "|".join(SUFFIXES)
_NAME = re.compile(
    rf"(?P<path>.+?\.(?:{_ENDS})(?P<packed>\.(?:gz|bz2|xz|zst|zip))?)(?:\?(?P<options>.*))?",
    re.IGNORECASE | re.DOTALL,
)
_SEVERAL = re.compile(rf"\.(?:{_ENDS})(?:\?.*)?{STREAM_SEPARATOR}", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Name:
    """A file and the options it is read with."""

    path: Path
    """As it was given, for messages."""
    options: Mapping[str, str]

    @property
    def reference(self) -> str:
        """The name by which this file is found from any working folder."""
        return f"{self.path.absolute()}{spelled_options(self.options)}"


def known(name: str) -> bool:
    """Whether `name` reads as one data file; the disk is not asked.

    What stands before a `-to-` may be a domain, or a file itself: that is a stream of several.
    """
    if not _NAME.fullmatch(name) or _SEVERAL.search(name):
        return False
    words = name.split(STREAM_SEPARATOR)
    return not any(STREAM_SEPARATOR.join(words[:n]) in DOMAINS for n in range(1, len(words)))


def parse(name: str) -> Name:
    """The parts of a name that is `known`; what cannot be a data file is a `UsageError`."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise unknown("kind of data file", name, SUFFIXES)
    options = read_options(match["options"] or "", OPTIONS, "option of a data file")
    found = Name(Path(match["path"]).expanduser(), options)
    if match["packed"]:
        raise UsageError(
            f"{shown(found.path)} is packed, and packed files are not read. Unpack it first; a "
            "Parquet file is as small."
        )
    if not known(found.reference):
        raise UsageError(
            f"The path {shown(found.path.absolute())} reads as several domains. Move the file to "
            f"a folder without {STREAM_SEPARATOR!r} and '?' in its name."
        )
    return found


def read_options(
    text: str, allowed: Collection[str] | None = None, kind: str = ""
) -> dict[str, str]:
    """The options after a question mark, sorted.

    Others than the `allowed`, if only some are, and one given twice are a `UsageError`.
    """
    options: dict[str, str] = {}
    for part in filter(None, text.split("&")):
        name, equals, value = part.partition("=")
        if allowed is not None:
            name = SPELLINGS.get(name, name)
            if name not in allowed:
                raise unknown(kind, name, allowed)
        if not equals:
            raise UsageError(f"The option {name!r} has no value. Write {name}=VALUE.")
        if name in options:
            raise UsageError(f"The option {name!r} is given twice. Give it once.")
        options[name] = unquote(value)
    return dict(sorted(options.items()))


def spelled_options(options: Mapping[str, str]) -> str:
    """Options as they stand in a name, with the question mark if there are any."""
    given = "&".join(f"{name}={_quoted(value)}" for name, value in options.items())
    return f"{'?' if given else ''}{given}"


def require_file(path: Path) -> None:
    """`UsageError` unless `path` is a file of a size that can be read."""
    if path.is_dir():
        raise UsageError(f"{shown(path)} is a folder. Give the file in it.")
    if not path.exists():
        _no_file(path)
    if not path.is_file():
        raise UsageError(f"{shown(path)} is no regular file. Give one that can be read twice.")
    if path.stat().st_size > MOST_BYTES:
        from cl_bench.metrics.quantities import BYTES  # brings numpy

        size, most = BYTES.text(path.stat().st_size), BYTES.text(MOST_BYTES)
        raise UsageError(
            f"{shown(path)} has {size}; at most {most} are read. "
            "Give a sample of its rows; a run trains on a few thousand."
        )


def _no_file(path: Path) -> NoReturn:
    if not path.parent.is_dir():
        raise UsageError(f"There is no folder {shown(path.parent)}, so no {path.name!r} in it.")
    ends = tuple(f".{suffix}" for suffix in SUFFIXES)
    names = [file.name for file in path.parent.iterdir() if file.name.lower().endswith(ends)]
    raise UsageError(
        f"There is no file {shown(path)}.{did_you_mean(path.name, names)} Give the path of a file "
        f"that ends in {', '.join(ends)}."
    )


def _quoted(value: str) -> str:
    return value.replace("%", "%25").replace("&", "%26").replace(STREAM_SEPARATOR, QUOTED_SEPARATOR)
