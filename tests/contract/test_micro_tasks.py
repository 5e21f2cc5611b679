"""Tasks of the micro domains: splits, the independence of items and seeds, and conventions."""

from __future__ import annotations

import pytest

from cl_bench.contract.errors import UsageError
from cl_bench.contract.micro import MicroDomain, micro_domain
from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.task import SPLITS, content_hash

NAMES = list(DOMAINS)
CONVENTIONAL = [name for name in NAMES if name != "star-graph"]
SETTINGS = ("easy", "default", "hard")


@pytest.mark.parametrize("name", NAMES)
def test_no_text_occurs_in_two_splits(name: str) -> None:
    texts: dict[str, set[str]] = {}
    for setting, seed, n in [("default", 0, 2_000), ("easy", 0, 300), ("default", 1, 300)]:
        task = micro_domain(name).task(seed=seed, setting=setting, feedback="step")
        for split in SPLITS:
            hashes = {content_hash(problem.prompt) for problem in task.problems(split, n)}
            texts.setdefault(split, set()).update(hashes)
    assert all(len(texts[split]) > 20 for split in SPLITS)
    assert not texts["train"] & texts["validation"]
    assert not texts["train"] & texts["test"]
    assert not texts["validation"] & texts["test"]


@pytest.mark.parametrize("name", NAMES)
def test_an_item_depends_on_its_index_alone(name: str) -> None:
    task = micro_domain(name).task(seed=3, setting="default", feedback="step")
    many = task.problems("train", 50)
    assert task.problems("train", 5) == many[:5]
    assert task.problems("train", 5, start=45) == many[45:]
    again = micro_domain(name).task(seed=3, setting="default", feedback="none")
    assert again.problems("train", 50) == many
    assert len({problem.uid for problem in many}) == 50


@pytest.mark.parametrize("name", NAMES)
def test_adjacent_seeds_and_indices_share_no_more_than_chance(name: str) -> None:
    n = 300
    tasks = [micro_domain(name).task(seed=s, setting="default", feedback="step") for s in (7, 8)]
    here, there = ([problem.prompt for problem in task.problems("train", n)] for task in tasks)
    for shift in (-2, -1, 0, 1, 2):
        equal = sum(here[i] == there[(i + shift) % n] for i in range(n))
        assert equal <= 0.03 * n
    for shift in (1, 2):
        assert sum(here[i] == here[i - shift] for i in range(n)) <= 0.03 * n


@pytest.mark.parametrize("name", CONVENTIONAL)
def test_conventions_differ_over_seeds(name: str) -> None:
    domain = micro_domain(name)
    rules = {
        tuple(domain.task(seed=seed, setting="default", feedback="step").rules())
        for seed in range(40)
    }
    assert len(rules) > 25


@pytest.mark.parametrize("name", CONVENTIONAL)
@pytest.mark.parametrize("setting", SETTINGS)
def test_conventions_use_all_and_only_the_meanings_of_their_setting(
    name: str, setting: str
) -> None:
    domain: MicroDomain = micro_domain(name)
    allowed = {
        f"{key} {value}"
        for key, values in domain.meanings.items()
        for value in values[: domain.levels[setting].meanings]
    }
    drawn = {
        rule
        for seed in range(150)
        for rule in domain.task(seed=seed, setting=setting, feedback="step").rules()
    }
    assert drawn == allowed


def test_unknown_settings_and_levels_suggest_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"setting of math 'defualt'. Did you mean 'default'\?"):
        micro_domain("math").task(seed=0, setting="defualt", feedback="step")
    with pytest.raises(UsageError, match=r"feedback level 'steps'. Did you mean 'step'\?"):
        micro_domain("math").task(seed=0, setting="easy", feedback="steps")  # type: ignore[arg-type]


@pytest.mark.parametrize(("n", "start"), [(-1, 0), (1, -1)])
def test_negative_counts_are_refused(n: int, start: int) -> None:
    task = micro_domain("math").task(seed=0, setting="easy", feedback="step")
    with pytest.raises(UsageError, match="0 or more"):
        task.problems("train", n, start)
