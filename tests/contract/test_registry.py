"""Finding domains and learners by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cl_bench.contract.errors import UsageError
from cl_bench.contract.learner import LearnerFactory
from cl_bench.contract.registry import DOMAINS, LEARNERS, Registry
from cl_bench.contract.stream_names import STREAMS
from cl_bench.contract.task import Domain

# What a listing reads, and the heavy libraries that it pulled in.
LISTING = """
import sys
from cl_bench.contract.registry import DOMAINS, LEARNERS
from cl_bench.contract.stream_names import STREAMS
for registry in (DOMAINS, LEARNERS, STREAMS):
    assert [name for name, _ in registry.summaries()] == [*registry, *registry.sources]
for name in DOMAINS:
    DOMAINS.load(name)
assert "gym/gcd" in DOMAINS and "my.jsonl" in DOMAINS and "my.txt" not in DOMAINS
print(sorted({"torch", "transformers", "trl", "pandas", "gepa"} & set(sys.modules)))
"""


@pytest.mark.parametrize("name", list(DOMAINS))
def test_every_built_in_domain_loads_under_its_own_name(name: str) -> None:
    domain = DOMAINS.load(name)
    assert isinstance(domain, Domain)
    assert domain.name == name
    for setting in domain.settings:
        assert domain.task(seed=0, setting=setting, feedback="step").name == name


@pytest.mark.parametrize("name", list(LEARNERS))
def test_every_built_in_learner_loads(name: str) -> None:
    assert isinstance(LEARNERS.load(name), LearnerFactory)


@pytest.mark.parametrize("name", list(STREAMS))
def test_every_built_in_stream_loads_under_its_own_name(name: str, hub_copies: Path) -> None:
    assert hub_copies.is_dir()
    stream = STREAMS.load(name)
    assert stream.name == name
    assert all(domain in DOMAINS for domain in stream.domains)


@pytest.mark.parametrize("registry", [DOMAINS, LEARNERS, STREAMS])
def test_every_entry_has_one_line_on_it(registry: Registry[object]) -> None:
    for name, summary in registry.summaries():
        assert name in [*registry, *registry.sources]
        assert summary
        assert "\n" not in summary


def test_names_are_listed_without_importing_anything_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LISTING], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("registry", "given", "meant"),
    [
        (DOMAINS, "maths", "math"),
        (DOMAINS, "star_graph", "star-graph"),
        (LEARNERS, "fts", "fst"),
        (STREAMS, "papers", "paper"),
    ],
)
def test_an_unknown_name_is_refused_with_a_suggestion(
    registry: Registry[object], given: str, meant: str
) -> None:
    with pytest.raises(UsageError) as error:
        registry.load(given)
    message = str(error.value)
    assert f"Unknown {registry.kind} {given!r}. Did you mean {meant!r}?" in message
    assert all(name in message for name in registry)


def test_a_name_like_no_other_gets_the_list_without_a_guess() -> None:
    with pytest.raises(UsageError) as error:
        DOMAINS.load("qqqq")
    assert "Did you mean" not in str(error.value)
    said = (
        "Known: FILE.jsonl, code, facts, gym/NAME, hub/NAME, lm_eval:TASK, math, physics, "
        "star-graph, "
    )
    assert said in str(error.value)


def test_every_source_makes_a_domain_of_a_name_that_looks_like_its_own(
    tmp_path: Path, hub_copies: Path
) -> None:
    assert hub_copies.is_dir()
    file = tmp_path / "my.jsonl"
    file.write_text("".join(f'{{"prompt": "{n} + 1", "answer": {n + 1}}}\n' for n in range(60)))
    names = {"gym/NAME": "gym/gcd", "FILE.jsonl": str(file), "hub/NAME": "hub/gsm8k"}
    # These have to be installed: tests/tasks/test_environments.py, test_harness.py.
    assert {*names, "verifiers/NAME", "lm_eval:TASK"} == DOMAINS.sources.keys()
    for name in names.values():
        assert name in DOMAINS
        assert isinstance(DOMAINS.load(name), Domain)
        assert DOMAINS.load(name) is DOMAINS.load(name)
