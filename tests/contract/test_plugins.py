"""Entry points of other packages: found, loaded, refused with a reason, and never in the way."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from cl_bench.analysis.plugin_metrics import PLUGIN_METRICS
from cl_bench.cli.listing import listing
from cl_bench.contract.errors import (
    OtherSoftwareError,
    PluginError,
    RunDirectoryError,
    UsageError,
)
from cl_bench.contract.registry import DOMAINS, LEARNERS, Registry
from cl_bench.contract.stream import Stage, Stream, require_stages
from cl_bench.contract.stream_names import STREAMS, stream
from cl_bench.execution.preflight import require_same_plugins, used_plugins
from cl_bench.execution.settings import RunConfig

Install = Callable[..., None]

MODULE = '''
"""what the module says ."""
from cl_bench.contract.learner import LearnerFactory
from cl_bench.metrics import Metric
from cl_bench.analysis.plugin_metrics import PLUGIN_METRICS
from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.stream import Stage, Stream

class Toy:
    version = "1"
    settings = ("default",)
    def __init__(self, name): self.name = name
    def task(self, *, seed, setting, feedback): raise NotImplementedError

class Raising(Toy):
    @property
    def settings(self): raise OSError("no such\\nfile \\x1b[31m")

SHORT, DOMAIN, OTHER = Toy("toy"), Toy("acme-lab/toy"), Toy("seq-to-seq/toy")
RAISING, VERSION = Raising("acme-lab/x"), Toy("acme-lab/x")
VERSION.version = 1
STREAM = Stream("acme-lab/two", (Stage("math", 3), Stage("code", 3)))
LOST = Stream("acme-lab/x", (Stage("acme-lab/nothing", 3),))
HARDER = Stream("acme-lab/x", (Stage("math", 3, "harder"),))
EMPTY = Stream("acme-lab/x", ())
LEARNER = LearnerFactory(lambda *_: None)
UNBUILT = LearnerFactory("build")
METRIC = Metric("what the metric says", max)
NOT_CALLED = Metric("what the metric says", 3)
'''


@pytest.fixture
def install(install: Install, tmp_path: Path) -> Install:
    """The same, with modules to offer things from."""
    (tmp_path / "acme_module.py").write_text(MODULE)
    (tmp_path / "acme_leaves.py").write_text("raise SystemExit(3)")
    (tmp_path / "acme_needs.py").write_text("import not_installed_here")
    return install


def test_each_kind_is_found_under_the_name_of_its_package(install: Install) -> None:
    install("Acme_Lab", "[cl_bench.tasks]\ntoy = acme_module:DOMAIN\n[console_scripts]\nx = y:z\n")
    install("acme.more", "[cl_bench.metrics]\nbest = acme_module:METRIC\n")
    assert "acme-lab/toy" in DOMAINS
    assert list(DOMAINS)[-1] == "acme-lab/toy"
    assert DOMAINS.load("acme-lab/toy").name == "acme-lab/toy"
    assert PLUGIN_METRICS.load("acme-more/best").function([1, 3, 2]) == 3
    assert dict(DOMAINS.summaries())["acme-lab/toy"] == "what the module says . (acme-lab 1.2)"
    listed = listing()["metrics of one accuracy matrix"][-1]
    assert listed == ("acme-more/best", "what the metric says (acme-more 1.2)")


def test_an_unknown_name_is_answered_with_those_of_plug_ins_too(install: Install) -> None:
    install("acme-lab", "[cl_bench.learners]\nbandit = acme_module:LEARNER\n")
    with pytest.raises(UsageError, match="Did you mean 'acme-lab/bandit'"):
        LEARNERS.load("acme-lab/bandits")


def test_a_name_without_its_package_stands_for_the_only_one_and_is_never_stored(
    install: Install,
) -> None:
    install("acme-lab", "[cl_bench.tasks]\ntoy = acme_module:DOMAIN\nmath = acme_module:DOMAIN\n")
    install("other", "[cl_bench.learners]\nbandit = acme_module:LEARNER\n")
    assert "toy" in DOMAINS
    assert DOMAINS.load("toy").name == DOMAINS.full("toy") == "acme-lab/toy"
    assert DOMAINS.load("math") is not DOMAINS.load("toy")
    found = stream("math-to-toy", retention="none")
    assert (found.name, found.domains) == ("math-to-acme-lab/toy", ("math", "acme-lab/toy"))
    assert {stage.source for stage in found.stages} == {""}
    assert RunConfig(learner="bandit").learner == "other/bandit"
    with pytest.raises(UsageError, match="Did you mean 'bandit'"):
        LEARNERS.load("bandits")
    with pytest.raises(UsageError, match="write the name that tables show, 'acme-lab/toy'"):
        require_stages([Stage("toy", 3)])


def test_a_name_that_several_packages_have_needs_one_of_them(install: Install) -> None:
    for package in ("acme-lab", "other"):
        install(package, "[cl_bench.tasks]\ntoy = acme_module:DOMAIN\n")
    for name in ("toy", "math-to-toy"):
        with pytest.raises(UsageError, match=r"called 'toy': acme-lab/toy, other/toy\. Give one"):
            stream(name)
    assert DOMAINS.load("acme-lab/toy").name == "acme-lab/toy"


BROKEN: list[tuple[Registry[Any], str, str]] = [
    (DOMAINS, "x = acme_needs:DOMAIN", "No module named 'not_installed_here'"),
    (DOMAINS, "x = acme_leaves:DOMAIN", "SystemExit: 3"),
    (DOMAINS, "x = acme_module:MISSING", "has no attribute 'MISSING'"),
    (DOMAINS, "x = acme_module", "'acme_module' is not a place; write module:attribute"),
    (DOMAINS, "x = acme_module:Toy", "it is the class Toy; offer an instance"),
    (DOMAINS, "x = acme_module:STREAM", "it is of type Stream; offer a Domain"),
    (DOMAINS, "x = acme_module:SHORT", "it calls itself 'toy', but tables and commands name it"),
    (DOMAINS, "x = acme_module:VERSION", "its version is 1, but must be a text"),
    (DOMAINS, "x = acme_module:RAISING", "OSError: no such file \\x1b[31m"),
    (DOMAINS, "a-to-b = acme_module:DOMAIN", "'-to-' joins the domains of a stream's name"),
    (DOMAINS, "a/b = acme_module:DOMAIN", "a name consists of letters and digits"),
    (DOMAINS, "x = acme_module:A\nx = acme_module:B", "acme_module:A and acme_module:B"),
    (STREAMS, "x = acme_module:DOMAIN", "it is of type Toy; offer a Stream"),
    (STREAMS, "x = acme_module:STREAM", "it calls itself 'acme-lab/two'"),
    (STREAMS, "x = acme_module:LOST", "Unknown domain 'acme-lab/nothing'"),
    (STREAMS, "x = acme_module:HARDER", "Unknown setting of math 'harder'"),
    (STREAMS, "x = acme_module:EMPTY", "it has no stages"),
    (LEARNERS, "x = acme_module:Toy", "it is of type type; offer a LearnerFactory"),
    (LEARNERS, "x = acme_module:UNBUILT", "its build is 'build', which cannot be called"),
    (PLUGIN_METRICS, "x = acme_module:MODULE", "has no attribute 'MODULE'"),
    (PLUGIN_METRICS, "x = acme_module:DOMAIN", "it is of type Toy; offer a Metric"),
    (PLUGIN_METRICS, "x = acme_module:NOT_CALLED", "a Metric is a text and a function"),
]


@pytest.mark.parametrize(("registry", "line", "reason"), BROKEN)
def test_a_broken_one_is_listed_with_its_reason_and_hurts_no_other(
    registry: Registry[object], line: str, reason: str, install: Install
) -> None:
    install("acme-lab", f"[{registry.group}]\n{line}\n")
    install("other", "[cl_bench.learners]\nfine = acme_module:LEARNER\n")
    name = f"acme-lab/{line.partition(' ')[0]}"
    summary = dict(registry.summaries())[name]
    assert summary.startswith("broken: ")
    assert reason in summary
    assert summary.endswith("(acme-lab 1.2)")
    assert summary.isprintable()
    with pytest.raises(PluginError) as error:
        registry.load(name)
    assert f"The {registry.kind} {name!r} of the package acme-lab 1.2 is broken:" in str(
        error.value
    )
    assert reason in str(error.value)
    assert DOMAINS.load("math").name == "math"
    assert LEARNERS.load("other/fine") is not None
    assert dict(LEARNERS.summaries())["other/fine"] == "what the module says . (other 1.2)"


@pytest.mark.parametrize("line", ["a line without a sign", "x = not a place"])
@pytest.mark.parametrize("reader", ["importlib.metadata", "importlib_metadata"])
def test_a_malformed_entry_hurts_no_other_package_whoever_reads_it(
    line: str, reader: str, install: Install
) -> None:
    # LiteLLM imports importlib_metadata, whose reader is stricter than the standard library's.
    pytest.importorskip(reader)
    install("acme-lab", f"[cl_bench.learners]\n{line}\n")
    install("other", "[cl_bench.learners]\nfine = acme_module:LEARNER\n")
    summaries = dict(LEARNERS.summaries())
    (broken,) = (said for name, said in summaries.items() if name.startswith("acme-lab/"))
    assert broken.startswith("broken: ")
    assert "module:attribute" in broken
    assert summaries["other/fine"] == "what the module says . (other 1.2)"


def test_a_leftover_without_a_name_and_a_second_copy_are_passed_over(
    install: Install, tmp_path: Path
) -> None:
    leftover = tmp_path / "-ld-1.0.dist-info"
    leftover.mkdir()
    (leftover / "entry_points.txt").write_text("[cl_bench.learners]\nold = acme_module:LEARNER\n")
    (leftover / "METADATA").write_text("Metadata-Version: 2.1\n")
    install("acme-lab", "[cl_bench.learners]\nfine = acme_module:LEARNER\n")
    assert [name for name in LEARNERS if "/" in name] == ["acme-lab/fine"]


def test_a_stream_joins_plug_in_domains_even_if_a_package_has_to_in_its_name(
    install: Install,
) -> None:
    install("acme-lab", "[cl_bench.tasks]\ntoy = acme_module:DOMAIN\n")
    install("seq-to-seq", "[cl_bench.tasks]\ntoy = acme_module:OTHER\n")
    for name, domains in {
        "acme-lab/toy": ("acme-lab/toy",),
        "math-to-acme-lab/toy": ("math", "acme-lab/toy"),
        "seq-to-seq/toy-to-math": ("seq-to-seq/toy", "math"),
        "math-to-seq-to-seq/toy-to-acme-lab/toy": ("math", "seq-to-seq/toy", "acme-lab/toy"),
    }.items():
        assert stream(name).domains == domains
    with pytest.raises(UsageError, match=r"'seq-to-seq/tox'\. Did you mean 'seq-to-seq/toy'"):
        stream("math-to-seq-to-seq/tox")


def test_a_stream_name_with_two_readings_is_refused_but_a_domains_own_name_is_not(
    install: Install,
) -> None:
    install("acme-lab", "[cl_bench.tasks]\ntoy = acme_module:DOMAIN\n")
    install("math-to-acme-lab", "[cl_bench.tasks]\ntoy = acme_module:OTHER\n")
    with pytest.raises(UsageError, match=r"can be read in two ways: .*code, then math, then acme"):
        stream("code-to-math-to-acme-lab/toy")
    with pytest.raises(PluginError, match="'math-to-acme-lab/toy'"):
        stream("math-to-acme-lab/toy")


def test_a_run_names_the_packages_it_uses_and_no_others(install: Install) -> None:
    install("acme-lab", "[cl_bench.tasks]\ntoy = acme_module:DOMAIN\n")
    install("other", "[cl_bench.learners]\nfine = acme_module:LEARNER\n", "3")
    mixed = Stream("a", (Stage("math", 1), Stage("acme-lab/toy", 1)))
    assert used_plugins(mixed, "other/fine")["plugins"] == {"acme-lab": "1.2", "other": "3"}
    assert used_plugins(mixed, "rl")["plugins"] == {"acme-lab": "1.2"}
    assert used_plugins(stream("math"), "rl") == {"plugins": {}, "plugin_code": {}}
    outside = Stream("a", (Stage("math", 1),), retention=("acme-lab/toy",))
    assert used_plugins(outside, "rl")["plugins"] == {"acme-lab": "1.2"}


def test_other_versions_of_the_packages_are_refused_with_what_to_install() -> None:
    path, begun = Path("run"), of_acme("1")
    require_same_plugins(path, begun, of_acme("1"))
    with pytest.raises(RunDirectoryError, match=r"acme 1, which is now 2\. `pip install acme==1`"):
        require_same_plugins(path, begun, of_acme("2"))
    with pytest.raises(RunDirectoryError, match="which is now not installed"):
        require_same_plugins(path, begun, {"plugins": {}, "plugin_code": {}})


def test_other_code_of_the_same_version_is_refused() -> None:
    with pytest.raises(OtherSoftwareError, match="code of acme 1 has changed"):
        require_same_plugins(Path("run"), of_acme("1"), of_acme("1", code="b"))


def of_acme(version: str, code: str = "a") -> dict[str, dict[str, str]]:
    return {"plugins": {"acme": version}, "plugin_code": {"acme": code}}


def test_the_hash_of_a_plug_in_s_code_changes_with_it(install: Install) -> None:
    install("acme-lab", "[cl_bench.tasks]\ntoy = acme_module:DOMAIN\n")
    toy = Stream("a", (Stage("acme-lab/toy", 1),))
    before = used_plugins(toy, "rl")["plugin_code"]
    file = Path(str(import_module("acme_module").__file__))
    file.write_text(file.read_text(encoding="utf-8") + "\nMORE = 1\n", encoding="utf-8")
    assert used_plugins(toy, "rl")["plugin_code"] != before
