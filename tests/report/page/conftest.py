"""A report of runs of every kind, some of them hostile, and a browser to open it with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cl_bench.report.page.build import ReportFiles, report
from tests.report.page import hostile
from tests.report.synthetic_runs import rising, write_run

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def write_all(folder: Path) -> Path:
    """Two boards of three learners and two seeds, and runs with which something is wrong."""
    two, one = (("math", 20), ("code", 20)), (("facts", 20),)
    for stages in (two, one):
        for place, learner in enumerate(("rl", "prompt", "fst")):
            for seed in (0, 1):
                lift = 0.05 * place + 0.02 * seed
                write_run(
                    folder / f"{stages[0][0]}-{learner}-{seed}",
                    learner=learner,
                    stages=stages,
                    seed=seed,
                    items=32,
                    transcripts=2,
                    accuracy=lambda s, d, p, lift=lift: min(1, rising(s, d, p) + lift),
                    kl=lambda step, _d, _p, place=place: step / 1000 / (1 + place),
                )
    other: dict[str, Any] = {"items": 32, "stages": two}
    write_run(
        folder / "failed", learner="fst", seed=2, status="failed", reason=hostile.TEXTS, **other
    )
    lost: dict[str, Any] = {"status": "diverged", "reason": "loss is NaN", "last": 20}
    write_run(folder / "lost", learner="rl", seed=2, **lost, **other)
    write_run(folder / "dirty", learner="rl-kl", provenance={"git_dirty": True}, **other)
    (folder / "broken").mkdir()
    (folder / "broken" / "manifest.json").write_text("{")
    write_run(
        folder / hostile.NAME,
        learner=hostile.NAME,
        seed=0,
        texts=(hostile.TEXTS, f"{hostile.TEXTS} more", f"other {hostile.TEXTS}"),
        transcripts=1,
        words=dict.fromkeys(
            ("system_prompt", "problem", "response", "feedback", "reference"), hostile.TEXTS
        ),
        manifest={"model": hostile.NAME},
        stream={"name": hostile.NAME},
    )
    return folder


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> ReportFiles:
    """The report of `write_all`, without figure files."""
    folder = tmp_path_factory.mktemp("report")
    return report([write_all(folder / "runs")], folder / "out", figures=False)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium of this machine; the tests that need it are skipped without one."""
    api = pytest.importorskip("playwright.sync_api", reason="needs `pip install playwright`")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"needs one of {', '.join(BROWSERS)} on the path")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found)
        yield opened
        opened.close()
