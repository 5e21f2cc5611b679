"""What a packed run is made of.

    pack.json                  versions, SHA-256 and size of every other member, what is left out,
                               the metrics as measured when it was packed
    manifest.json              the run's own, byte for byte
    tables/<table>.parquet     all rows of a table, its parts joined

It is a zip file whose members stand in that order, with one fixed time: the same run gives the same
bytes. It has no checkpoint and no model. The tables of `MAY_LACK` may be missing, of a run that did
not keep them; they read as tables without rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from cl_bench.contract.errors import RunDirectoryError
from cl_bench.store.schema import TABLES

PACK_VERSION = 1
"""Counts up whenever members or entries of pack.json change their meaning."""
PACK, MANIFEST, SUFFIX = "pack.json", "manifest.json", ".zip"
HASH_SHOWN = 8
"""Characters of a configuration's hash in a file name."""
FINISHED = ("done", "diverged", "failed")
"""The statuses of runs that are packed."""
LEFT_OUT = (
    "checkpoint, stage models, figures, summary.txt, the record of calls to a reflection LM, and "
    "the hashes of the tables' parts"
)
MAY_LACK = ("timing", "transcripts")
"""Tables that no metric of learning is computed from."""
_UNSAFE = re.compile(r"[^\w.+-]")


def member(table: str) -> str:
    """The name of a table's file in a pack."""
    return f"tables/{table}.parquet"


MEMBERS = (PACK, MANIFEST, *map(member, TABLES))
"""Every name that may stand in a pack, in order."""


def place(manifest: Mapping[str, Any]) -> PurePath:
    """Return the path of a run's pack: `<stream>/<learner>-<seed>.zip`.

    The name of any model but the embedded one follows the seed.
    """
    model = str(manifest["model"])
    named = "" if model == "embedded" else f"-{_safe(Path(model).name)}"
    learner = _safe(str(manifest["learner"]))
    return PurePath(_safe(_stream(manifest)), f"{learner}-{manifest['seed']}{named}{SUFFIX}")


def home(manifest: Mapping[str, Any]) -> PurePath:
    """Return a run's path below `results/runs`: its `place`, with the configuration's hash.

    Runs of one learner and seed with other settings have homes of their own:
    `<stream>/<learner>-<seed>-<hash>.zip`.
    """
    plain = place(manifest)
    configuration = _safe(str(manifest["config_hash"]))[:HASH_SHOWN]
    return plain.with_name(f"{plain.name.removesuffix(SUFFIX)}-{configuration}{SUFFIX}")


def file_name(manifest: Mapping[str, Any]) -> str:
    """The name of a pack that lies in no particular folder: `<stream>-<learner>-<seed>.zip`."""
    return "-".join(place(manifest).parts)


def require_finished(manifest: Mapping[str, Any], path: Path) -> None:
    """Raise `RunDirectoryError` unless the run in `path` has ended."""
    status = manifest.get("status")
    if status not in FINISHED:
        raise RunDirectoryError(
            f"The run in {path} is not finished (status {status!r}); only runs that are "
            f"{', '.join(FINISHED)} are packed. Go on with it: `cl-bench run --resume {path}`."
        )


def _stream(manifest: Mapping[str, Any]) -> str:
    return str(manifest["stream"]["name"])


def _safe(name: str) -> str:
    """A name as that of one file, which is neither hidden nor leads anywhere."""
    return _UNSAFE.sub("_", name).lstrip(".")[:90] or "_"
