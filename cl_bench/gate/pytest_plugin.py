"""The gate as a plug-in of pytest, so that a lab can gate its own trainer. PYTEST_DONT_REWRITE

    pytest --cl-bench-reference REFERENCE --cl-bench-candidate RUNS

adds a test that fails on a regression. With the fixture, a test can make the runs itself:

    def test_my_trainer(cl_bench_gate, tmp_path):
        train(out=tmp_path / "run")
        cl_bench_gate(tmp_path / "run")

A session that asks for neither imports nothing but this file.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from cl_bench.gate.outcome import GateReport

_REFERENCE, _CANDIDATE = "--cl-bench-reference", "--cl-bench-candidate"
_POLICY, _INCONCLUSIVE = "--cl-bench-policy", "--cl-bench-inconclusive"

_NAME = "cl-bench-check"


class InconclusiveWarning(UserWarning):
    """Too little data to say whether the candidate got worse."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the gate."""
    group = parser.getgroup("cl-bench", "gate against recorded runs (cl-bench check)")
    group.addoption(_REFERENCE, metavar="DIR", help="what candidates are held against")
    group.addoption(_CANDIDATE, metavar="DIR", action="append", help="runs to check; repeatable")
    group.addoption(_POLICY, metavar="FILE", help="TOML policy; else the reference's own")
    group.addoption(
        _INCONCLUSIVE,
        choices=("fail", "warn"),
        default="fail",
        help="what an inconclusive check does [fail]",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a candidate without a reference, and paths at which there is nothing."""
    reference, candidates = config.getoption(_REFERENCE), config.getoption(_CANDIDATE) or ()
    if candidates and not reference:
        raise pytest.UsageError(f"{_CANDIDATE} needs {_REFERENCE} DIR")
    runs = [(_REFERENCE, reference), *((_CANDIDATE, each) for each in candidates)]
    for option, path in [*runs, (_POLICY, config.getoption(_POLICY))]:
        if not path or Path(path).exists() or (option != _POLICY and _is_url(option, path)):
            continue
        raise pytest.UsageError(f"{option} {path}: there is no such file or folder")


def _is_url(option: str, path: str) -> bool:
    """Whether this is the URL of a store; one of none is a usage error."""
    from cl_bench.contract.errors import UsageError
    from cl_bench.store.remote import as_url

    try:
        return as_url(path) is not None
    except UsageError as error:
        raise pytest.UsageError(f"{option}: {error}") from error


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """With a candidate on the command line, one test more: the gate itself.

    Last of all, so that no selection of other tests (-k, -m) leaves it out.
    """
    if session.config.getoption(_CANDIDATE):
        items.append(GateItem.from_parent(session, name=_NAME, nodeid=_NAME))


class GateItem(pytest.Item):
    """Checks the candidate of the command line."""

    def runtest(self) -> None:
        candidates = [Path(each) for each in self.config.getoption(_CANDIDATE)]
        gate(self.config, candidates)

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """The table itself instead of the source that raised it."""
        if isinstance(excinfo.value, pytest.fail.Exception):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.config.rootpath, None, self.name


@pytest.fixture
def cl_bench_gate(request: pytest.FixtureRequest) -> Callable[..., GateReport]:
    """A function of paths of runs that fails the test if they got worse than the reference.

    `cl_bench_gate(*paths, reference=None, policy=None)`; without paths it takes those of
    `--cl-bench-candidate`. It returns the report. Without any reference the test is skipped.
    """
    return lambda *paths, reference=None, policy=None: gate(
        request.config, [Path(path) for path in paths], reference=reference, policy=policy
    )


def gate(
    config: pytest.Config,
    candidate: list[Path],
    *,
    reference: str | Path | None = None,
    policy: str | Path | None = None,
) -> GateReport:
    """Fail on a regression, with the table as message; what is not given comes from the options."""
    __tracebackhide__ = True
    reference = reference or config.getoption(_REFERENCE)
    policy = policy or config.getoption(_POLICY)
    candidate = candidate or [Path(each) for each in config.getoption(_CANDIDATE) or ()]
    if not reference:
        pytest.skip(f"no reference to hold the candidate against: give {_REFERENCE} DIR")
    if not candidate:
        pytest.fail(f"no candidate: give cl_bench_gate a path, or {_CANDIDATE} DIR", pytrace=False)
    return _judged(config, candidate, Path(reference), Path(policy) if policy else None)


def _judged(
    config: pytest.Config, candidate: list[Path], reference: Path, policy: Path | None
) -> GateReport:
    __tracebackhide__ = True
    from cl_bench.contract.errors import ClBenchError
    from cl_bench.gate.policy import load_policy
    from cl_bench.gate.regression import check
    from cl_bench.gate.write_text import text

    try:
        report = check(candidate, reference, load_policy(policy) if policy else None)
    except ClBenchError as error:
        pytest.fail(f"cl-bench: {error}", pytrace=False)
    if report.verdict == "regress":
        pytest.fail(text(report), pytrace=False)
    if report.verdict == "inconclusive":
        if config.getoption(_INCONCLUSIVE) == "fail":
            pytest.fail(text(report), pytrace=False)
        warnings.warn(InconclusiveWarning(text(report)), stacklevel=2)
    return report
