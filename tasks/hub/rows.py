"""The rows of a data set of the hub: where they are, which are used, and their cells.

They are looked for in the folder that CL_BENCH_HUB names, then on the hub, and in the hub's cache
if that cannot be reached; `datasets` reads all three. Its own cache is not asked: offline it gives
whatever commit it has.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

from cl_bench.contract.errors import UsageError, unknown
from cl_bench.contract.task import Split
from cl_bench.contract.text import one_line, printable

from ..data.columns import MOST_IN_ANSWER, MOST_IN_PROMPT, SPLIT_NAMES
from ..data.reading import SPLIT_KEY, DataRow, plain
from .name import Asked
from .table import Row

MIRROR = "CL_BENCH_HUB"
"""The environment variable that names a folder of copies, laid out as ORG/NAME."""
_SECONDS = 10.0
"""Until the hub has to say which commit a revision is."""


@dataclass(frozen=True, slots=True)
class Place:
    """What `datasets` is to load: a folder, or a data set of the hub at a commit."""

    path: str
    commit: str
    """Empty for a folder of the user's, which does not say what commit it holds."""
    is_folder: bool


def place_of(asked: Asked) -> Place:
    """Where the rows are; a `UsageError` if they can be had nowhere."""
    path, revision = asked.entry.path, asked.revision
    mirror = os.environ.get(MIRROR)
    if mirror and (Path(mirror) / path).is_dir():
        return Place(str(Path(mirror) / path), "", True)
    import huggingface_hub as hub
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    why = "HF_HUB_OFFLINE is set"
    if not hub.is_offline_mode():
        try:
            found = hub.HfApi().dataset_info(path, revision=revision, timeout=_SECONDS)
            return Place(path, str(found.sha), False)
        except HfHubHTTPError as error:
            _refused(asked, error)
        except Exception as error:  # noqa: BLE001 - of whatever library carries the request
            why = f"the hub cannot be reached ({type(error).__name__})"
    try:
        folder = hub.snapshot_download(
            path, repo_type="dataset", revision=revision, local_files_only=True
        )
        return Place(folder, Path(folder).name, True)
    except (LocalEntryNotFoundError, ValueError) as error:
        raise UsageError(
            f"{asked.name} needs the rows of {path} at {revision}. They are not whole in the "
            f"hub's cache, and {why}. Type, where there is a connection: hf download --repo-type "
            f"dataset {path} --revision {revision}; or name in {MIRROR} a folder with a copy as "
            f"{path}."
        ) from error


def _refused(asked: Asked, error: Exception) -> NoReturn:
    raise UsageError(
        f"The hub does not give {asked.entry.path} at {asked.revision}, which {asked.name} needs: "
        f"{one_line(str(error), 200)}. Look at its page, and add ?revision=COMMIT for another "
        "commit; for a data set with an access form, type: hf auth login"
    ) from error


def rows_of(asked: Asked, place: Place) -> Iterator[DataRow]:
    """The rows of all configurations and splits that are used, as cells."""
    number = 0
    seen: dict[str, set[str]] = {name: set() for name in asked.entry.filters}
    for config in asked.entry.configs:
        for split, rows in _splits(asked, place, config):
            wanted = _wanted(asked, seen)
            cells = (_cells(asked, row, split) for row in rows if wanted(row))
            found = (cell for cell in cells if cell is not None)
            for cell in islice(found, asked.most or None):
                number += 1
                yield DataRow(number, cell)
    for name, values in seen.items():
        for value in _values(asked, name):
            if _slug(value) not in map(_slug, values):
                raise unknown(f"{name} of {asked.name}", value, values)


def _splits(asked: Asked, place: Place, config: str | None) -> Iterator[tuple[Split | None, Any]]:
    """The rows of the data set's splits that are used, each with the split of ours."""
    found = _opened(asked, place, config)
    given = asked.options.get("split")
    mapped = asked.entry.splits if asked.has_entry else {n: SPLIT_NAMES.get(n) for n in found}
    names = (
        given.split(",") if given else [name for name in mapped if asked.has_entry or mapped[name]]
    )
    if not names:
        names = list(found)
    for name in names:
        if name not in found:
            raise unknown(f"split of {asked.name}", name, found)
        yield (None if given is not None else mapped.get(name)), _required(asked, found[name])


def _opened(asked: Asked, place: Place, config: str | None) -> Mapping[str, Any]:
    """The data set's splits as `datasets` has them; those of a folder or large ones as streams."""
    import datasets

    revision = {} if place.is_folder else {"revision": place.commit}
    streaming = place.is_folder or bool(asked.entry.most)
    show = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bar()
    try:
        found: Mapping[str, Any] = datasets.load_dataset(
            place.path, config, streaming=streaming, **revision
        )
    except Exception as error:
        at = f" at {place.commit}" if place.commit else ""
        raise UsageError(
            f"{asked.name}: `datasets` cannot load {printable(place.path)}{at}: "
            f"{type(error).__name__}: {one_line(str(error), 300)}. Mend the copy, or give "
            "?revision=COMMIT of one that loads."
        ) from error
    finally:
        if show:
            datasets.enable_progress_bar()
    return found


def _required(asked: Asked, rows: Any) -> Iterator[Row]:
    """The rows, whose columns are those that the table expects, or a `UsageError`."""
    try:
        for row in rows:
            missing = [column for column in asked.entry.columns if column not in row]
            if missing:
                raise UsageError(
                    f"{asked.name} expects the column {missing[0]!r} in {asked.entry.path}, which "
                    f"has {', '.join(printable(column, 40) for column in row)}. Give ?revision= of "
                    f"a commit that has it, or read it as hub/{asked.entry.path}?prompt=…&answer=…"
                )
            yield row
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(
            f"{asked.name}: `datasets` cannot read the rows of {asked.entry.path}: "
            f"{type(error).__name__}: {one_line(str(error), 300)}. Try again, or mend the copy."
        ) from error


def _cells(asked: Asked, row: Row, split: Split | None) -> dict[str, Any] | None:
    """A row's cells as a user's file would have them; None if it is left out."""
    if not asked.has_entry:
        return {name: plain(value) for name, value in row.items()} | {SPLIT_KEY: split}
    try:
        found = asked.entry.asked(row)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise UsageError(
            f"A row of {asked.entry.path} is not as {asked.name} expects it: "
            f"{type(error).__name__}: {one_line(str(error), 100)}. Give ?revision= of a commit "
            f"that it reads, such as {asked.entry.revision}."
        ) from error
    prompt, answer = found or ("", "")
    fits = 0 < len(prompt.strip()) <= MOST_IN_PROMPT and 0 < len(answer) <= MOST_IN_ANSWER
    return {"prompt": prompt, "answer": answer, SPLIT_KEY: split} if fits else None


def _wanted(asked: Asked, seen: Mapping[str, set[str]]) -> Callable[[Row], bool]:
    """A function that tells whether a row is chosen; it notes the values that there are."""
    values = {name: [*map(_slug, _values(asked, name))] for name in asked.entry.filters}

    def wanted(row: Row) -> bool:
        chosen = True
        for name, each in asked.entry.filters.items():
            value = str(each.of(row))
            seen[name].add(value)
            chosen &= not values[name] or _slug(value) in values[name]
        return chosen

    return wanted


def _values(asked: Asked, name: str) -> list[str]:
    text = asked.options.get(name, asked.entry.filters[name].default)
    return [value for value in text.split(",") if value]


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.casefold().replace("&", "and"))
