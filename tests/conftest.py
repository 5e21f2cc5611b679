"""Fixtures shared by the tests: a tiny model with random weights, and its policy."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator
from dataclasses import make_dataclass
from hashlib import sha256
from importlib import invalidate_caches
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import pytest

if TYPE_CHECKING:
    from cl_bench.contract.learner import Batch
    from cl_bench.model.policy import Policy


@pytest.fixture(scope="session", autouse=True)
def runs_draw_png_alone() -> Iterator[None]:
    """The figures of the runs that tests make are of one kind; the others would take minutes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cl_bench.report.figures.KINDS", ("png",))
        yield


@pytest.fixture(scope="session", autouse=True)
def temporary_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests and their processes leave in the system's temporary folder goes into pytest's."""
    with pytest.MonkeyPatch.context() as patch:
        home = str(tmp_path_factory.mktemp("temporary"))
        patch.setenv("TMPDIR", home)
        patch.setattr(tempfile, "tempdir", home)
        yield


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder: the embedded model's tokenizer and architecture, random weights."""
    import torch

    from cl_bench.tools.embedded.corpus import TrainingConfig
    from cl_bench.tools.embedded.tokenizer import build_tokenizer
    from cl_bench.tools.embedded.training import build_model

    folder = tmp_path_factory.mktemp("tiny") / "model"
    tokenizer = build_tokenizer()
    torch.manual_seed(0)
    model = build_model(TrainingConfig(width=32, layers=2, heads=2), tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def hub_copies(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copies of data sets of the hub, with rows of our own, as CL_BENCH_HUB names them."""
    from tests.tasks.hub_copies import all_copies

    folder = all_copies(tmp_path_factory.getbasetemp() / "hub-copies")
    monkeypatch.setenv("CL_BENCH_HUB", str(folder))
    return folder


@pytest.fixture
def tiny_policy(tiny_model: Path) -> Policy:
    """A fresh policy on the tiny model."""
    import torch

    from cl_bench.model.policy import Policy

    torch.manual_seed(0)
    return Policy.load(str(tiny_model))


@pytest.fixture
def small_config() -> Any:
    """Two exercises a step, groups of four, a round every two steps, short responses; with the
    settings of all built-in learners, so that any of them takes it."""
    from cl_bench.contract.registry import LEARNERS

    parents = [LEARNERS.load(name).config for name in LEARNERS.table]
    widest = [one for one in parents if not any(one in other.__mro__[1:] for other in parents)]
    return make_dataclass("EveryConfig", [], bases=tuple(dict.fromkeys(widest)), frozen=True)(
        problems_per_step=2,
        group_size=4,
        round_every=2,
        population=2,
        proposals=2,
        reflection_batch=2,
        round_exercises=2,
        max_new_tokens=6,
        kl_beta=0.0,
    )


@pytest.fixture
def batches() -> list[Batch]:
    """Five steps of two easy math exercises, with the solutions that some learners are shown."""
    from cl_bench.contract.stream import Course
    from cl_bench.contract.stream_names import stream

    course = stream("math", steps=5, setting="easy")
    made = Course(course, seed=0, feedback="step", problems_per_step=2, solutions=True)
    return made.batches(1, 5)


@pytest.fixture(scope="session")
def packed_run() -> Path:
    """A packed run of fst on math-to-code (tests/fixtures/README.md says how it was made)."""
    return Path(__file__).parent / "fixtures" / "packed-run.zip"


@pytest.fixture
def unpacked(tmp_path: Path) -> Callable[..., Path]:
    """Turns packed runs into run directories of one part: `unpacked(pack, name)`."""

    def unpack(pack: Path, name: str = "run") -> Path:
        home, hashes = tmp_path / name, {}
        with ZipFile(pack) as archive:
            for member in archive.namelist():
                if member == "manifest.json":
                    home.mkdir(parents=True)
                    (home / member).write_bytes(archive.read(member))
                elif member.startswith("tables/"):
                    target = home / member.removesuffix(".parquet") / "000000.parquet"
                    target.parent.mkdir(parents=True)
                    target.write_bytes(archive.read(member))
                    hashes[target.parent.name] = sha256(target.read_bytes()).hexdigest()
        (home / "commits").mkdir()
        (home / "commits" / "000000.json").write_text(json.dumps(hashes))
        return home

    return unpack


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Makes packages with plug-ins, as pip would have left them: `install(name, entry points,
    version)`. What they offer is imported from modules in `tmp_path`."""
    from cl_bench.contract import plugins

    def search_again() -> None:
        invalidate_caches()  # importlib's own, which go by a folder's time and may miss a change
        plugins.installed.cache_clear()

    def call(distribution: str, entry_points: str, version: str = "1.2") -> None:
        folder = tmp_path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        (folder / "METADATA").write_text(metadata)
        (folder / "entry_points.txt").write_text(entry_points)
        search_again()

    monkeypatch.syspath_prepend(str(tmp_path))
    yield call
    monkeypatch.undo()
    search_again()
    for module in tmp_path.glob("*.py"):
        sys.modules.pop(module.stem, None)


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., CompletedProcess[str]]:
    """An environment of its own that sees the packages of this one: runs its Python.

    `outside("-m", "pip", "--version", cwd=folder)`; what is installed there stays there.
    """
    folder = tmp_path_factory.mktemp("outside")
    venv.create(folder, with_pip=False, symlinks=True)
    (home,) = folder.glob("lib/python*/site-packages")
    seen = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    # addsitedir, unlike a line with a path, also follows the .pth files of editable installs.
    lines = [f"import site; site.addsitedir({path!r})" for path in seen]
    (home / "seen.pth").write_text("\n".join(lines))

    def call(*arguments: str, cwd: Path = folder) -> CompletedProcess[str]:
        return subprocess.run(
            [str(folder / "bin" / "python"), *arguments],
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
        )

    return call
