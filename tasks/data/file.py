"""A user's own file as a domain, without code: `my.jsonl`, `data/my.csv?verifier=number`.

The name is a path with options after a question mark, joined by `&`; `%26` is an `&` in one. What
may be in the file stands in docs/data.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from cl_bench.contract.errors import UsageError
from cl_bench.contract.text import one_line, printable

from .columns import read_items
from .domain import DataDomain, Origin, chosen, data_domain
from .name import SPELLINGS, Name, known, parse, require_file
from .python import edition
from .reading import read_table, shown

__all__ = ["NAMES", "known", "load"]

NAMES = ()
"""Files are not listed."""
_ABOUT = ".about.json"
"""After a file's name without its suffix: where its licence and citation may stand."""
_loaded: dict[tuple[object, ...], DataDomain] = {}


def load(name: str) -> DataDomain:
    """The domain of a file; whatever is wrong with it is a `UsageError`."""
    found = parse(name)
    path = found.path
    try:
        require_file(path)
        stat = path.stat()
        judged = edition(found.options.get("verifier", ""), path.parent)
        key = (found.reference, stat.st_mtime_ns, stat.st_size, judged)
        if key not in _loaded:
            _loaded[key] = _domain(found)
        return _loaded[key]
    except OSError as error:
        raise UsageError(
            f"{shown(path)} cannot be read: {error.strerror}. Give another path, or mend that one."
        ) from error


def _domain(name: Name) -> DataDomain:
    path, options = name.path, name.options
    content = path.read_bytes()
    reading = read_items(read_table(path, content), options)
    verifier, why = chosen(options, reading)
    about = _about(path)
    origin = Origin(
        f"file/{printable(path.name)}",
        name.reference,
        "problems of your own",
        one_line(options.get("licence") or about.get("licence") or "the user's own", 200),
        one_line(options.get("citation") or about.get("citation") or "the user's own", 2_000),
        hashlib.sha256(content).digest(),
    )
    return data_domain(origin, reading, verifier, why)


def _about(path: Path) -> Mapping[str, str]:
    """Licence and citation as the file beside the data says them."""
    file = path.with_name(path.stem + _ABOUT)
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{shown(file)} is no JSON: {one_line(str(error), 100)}.") from error
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise UsageError(
            f'{shown(file)} has to be an object of texts, such as {{"licence": "CC-BY-4.0"}}.'
        )
    return {SPELLINGS.get(str(key), str(key)): text for key, text in found.items()}
