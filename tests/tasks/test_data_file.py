"""Domains from files of the user's own: every layout, what they contain, and in what order."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from cl_bench.contract.registry import DOMAINS
from cl_bench.contract.task import SPLITS, Domain, Referenced, split_of
from cl_bench.tools.checks import check_task

Rows = Sequence[Mapping[str, Any]]
SUMS: Rows = [{"prompt": f"What is {n} + 5?", "answer": n + 5} for n in range(60)]


def as_json_lines(path: Path, rows: Rows) -> Path:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")
    return path


def as_csv(path: Path, rows: Rows, **options: Any) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), **options)
        writer.writeheader()
        writer.writerows(rows)
    return path


def as_json(path: Path, rows: Rows) -> Path:
    path.write_text(json.dumps(list(rows)), encoding="utf-8")
    return path


def as_parquet(path: Path, rows: Rows) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), path)
    return path


def load(path: Path, options: str = "") -> Any:
    return DOMAINS.load(f"{path}{options}")


def prompts_of(domain: Domain, split: Any, n: int, seed: int = 0) -> list[str]:
    task = domain.task(seed=seed, setting="default", feedback="full")
    return [problem.prompt for problem in task.problems(split, n)]


def answers_of(domain: Any) -> dict[str, str]:
    task = domain.task(seed=0, setting="default", feedback="full")
    problems = [p for split in SPLITS for p in task.problems(split, 200)]
    return {problem.prompt: problem.answer for problem in problems}


WRITERS: dict[str, tuple[str, Callable[[Path, Rows], Path]]] = {
    "JSONL": ("my.jsonl", as_json_lines),
    "JSON": ("my.json", as_json),
    "CSV": ("my.csv", as_csv),
    "TSV": ("my.tsv", lambda path, rows: as_csv(path, rows, delimiter="\t")),
    "CSV with semicolons": ("my.csv", lambda path, rows: as_csv(path, rows, delimiter=";")),
    "Parquet": ("my.parquet", as_parquet),
}
DOUBLE_7 = "Double 7."


def user(n: int) -> dict[str, str]:
    return {"role": "user", "content": f"Double {n}."}


Layout = tuple[Callable[[int], Mapping[str, Any]], str, str, str]
LAYOUTS: dict[str, Layout] = {
    "TRL, prompt only with a solution": (
        lambda n: {"prompt": [user(n)], "solution": str(2 * n)}, DOUBLE_7, "14", ""),
    "TRL, prompt and completion as messages": (
        lambda n: {"prompt": [user(n)],
                   "completion": [{"role": "assistant", "content": str(2 * n)}]},
        DOUBLE_7, "14", ""),
    "verl": (
        lambda n: {"data_source": "mine", "ability": "math",
                   "prompt": [{"role": "system", "content": "Be brief."}, user(n)],
                   "reward_model": {"style": "rule", "ground_truth": str(2 * n)},
                   "extra_info": {"split": "train", "index": n}},
        f"Be brief.\n\n{DOUBLE_7}", "14", "system messages stand in front of 50 prompts"),
    "GSM8K": (
        lambda n: {"question": f"Double {n}.", "answer": f"{n} * 2 = {2 * n}.\n#### {2 * n}"},
        DOUBLE_7, "14", "what follows ####"),
    "Alpaca": (
        lambda n: {"instruction": "Add one.", "input": str(n), "output": str(n + 1)},
        "Add one.\n\n7", "8", "instruction and input"),
    "a solution with its answer in a box": (
        lambda n: {"prompt": f"What is {n} squared?", "solution": rf"$\boxed{{{n**2}}}$"},
        "What is 7 squared?", "49", "verifier number"),
}  # fmt: skip
"""A row of each, a prompt that is read, its answer, and what the summary says."""


@pytest.mark.parametrize("what", WRITERS)
def test_every_kind_of_file_holds_the_same_problems_and_keeps_the_contract(
    what: str, tmp_path: Path
) -> None:
    name, write = WRITERS[what]
    domain = load(write(tmp_path / name, SUMS))
    assert answers_of(domain) == {row["prompt"]: str(row["answer"]) for row in SUMS}
    assert domain.name == f"file/{name}"
    assert "verifier number: all answers are numbers" in domain.summary
    assert check_task(domain) == []


@pytest.mark.parametrize("suffix", ["jsonl", "parquet", "json"])
@pytest.mark.parametrize("what", LAYOUTS)
def test_known_layouts_are_read_as_they_are(what: str, suffix: str, tmp_path: Path) -> None:
    row, prompt, answer, said = LAYOUTS[what]
    write = {"jsonl": as_json_lines, "parquet": as_parquet, "json": as_json}[suffix]
    domain = load(write(tmp_path / f"my.{suffix}", [row(n) for n in range(50)]))
    answers = answers_of(domain)
    assert answers[prompt] == answer
    assert len(answers) == 50
    assert said in domain.summary
    if suffix == "jsonl":
        assert check_task(domain) == []


@pytest.mark.parametrize("spell", [json.dumps, str])
def test_messages_may_be_spelt_in_a_cell_of_csv(
    spell: Callable[[Any], str], tmp_path: Path
) -> None:
    rows = [
        {"prompt": spell([{"role": "user", "content": f"Double {n}."}]), "answer": 2 * n}
        for n in range(20)
    ]
    assert answers_of(load(as_csv(tmp_path / "my.csv", rows)))["Double 7."] == "14"


def test_answers_are_kept_as_they_are_written(tmp_path: Path) -> None:
    written = ["2024-01-01", "NA", "null", "007", "4.50", "None", "1e3", "x", "y", "ü"]
    rows = [{"prompt": f"q{n}", "answer": answer} for n, answer in enumerate(written)]
    for write, name in (
        (as_csv, "my.csv"),
        (as_json_lines, "my.jsonl"),
        (as_parquet, "my.parquet"),
    ):
        assert answers_of(load(write(tmp_path / name, rows))) == {
            row["prompt"]: row["answer"] for row in rows
        }


def test_numbers_are_kept_as_they_are_written(tmp_path: Path) -> None:
    lines = [f'{{"prompt": "q{n}", "answer": {n}}}' for n in range(10)]
    lines += ['{"prompt": "long", "answer": 123456789012345678901234567890}']
    lines += ['{"prompt": "half", "answer": 4.50}']
    (tmp_path / "my.jsonl").write_text("\n".join(lines))
    answers = answers_of(load(tmp_path / "my.jsonl"))
    assert answers["long"] == "123456789012345678901234567890"
    assert answers["half"] == "4.50"
    assert answers["q3"] == "3"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "json"])
def test_a_byte_order_mark_says_the_encoding(encoding: str, suffix: str, tmp_path: Path) -> None:
    rows = [{"prompt": f"größer {n}", "answer": n} for n in range(20)]
    write = {"csv": as_csv, "jsonl": as_json_lines, "json": as_json}[suffix]
    path = write(tmp_path / f"my.{suffix}", rows)
    path.write_bytes(path.read_text(encoding="utf-8").encode(encoding))
    assert answers_of(load(path))["größer 7"] == "7"


def test_line_ends_of_any_system_are_read_alike(tmp_path: Path) -> None:
    rows = [{"prompt": f'say "a, {n}"\nnow', "answer": f"b {n}"} for n in range(20)]
    path = as_csv(tmp_path / "my.csv", rows, lineterminator="\n")
    one = answers_of(load(path))
    as_csv(path, rows, lineterminator="\r\n")
    (tmp_path / "other.jsonl").write_bytes(
        b"\r\n".join(json.dumps(row).encode() for row in rows) + b"\r\n\r\n"
    )
    assert one == answers_of(load(path)) == answers_of(load(tmp_path / "other.jsonl"))
    assert one['say "a, 3"\nnow'] == "b 3"


def test_options_name_columns_also_inside_of_objects(tmp_path: Path) -> None:
    rows = [
        {"prompt": "no", "text": f"Double {n}.", "info": {"right": str(2 * n)}} for n in range(20)
    ]
    domain = load(as_json_lines(tmp_path / "my.jsonl", rows), "?prompt=text&answer=info.right")
    assert answers_of(domain)["Double 7."] == "14"


def test_the_split_column_is_obeyed_under_its_usual_names(tmp_path: Path) -> None:
    names = ["train", "dev", "eval"]
    rows = [{"prompt": f"q{n}", "answer": n, "split": names[n % 3]} for n in range(30)]
    domain = load(as_json_lines(tmp_path / "my.jsonl", rows))
    for place, split in enumerate(SPLITS):
        expected = {f"q{n}" for n in range(30) if n % 3 == place}
        assert set(prompts_of(domain, split, 10)) == expected
    assert check_task(domain) == []


def test_the_keys_of_a_json_file_are_its_splits(tmp_path: Path) -> None:
    splits = {"train": SUMS[:40], "validation": SUMS[40:50], "test": SUMS[50:]}
    (tmp_path / "my.json").write_text(json.dumps({k: list(v) for k, v in splits.items()}))
    domain = load(tmp_path / "my.json")
    assert set(prompts_of(domain, "test", 10)) == {row["prompt"] for row in SUMS[50:]}


def test_splits_that_are_not_given_come_out_of_train_by_hash(tmp_path: Path) -> None:
    rows = [{**row, "split": "test" if n < 10 else "train"} for n, row in enumerate(SUMS)]
    domain = load(as_json_lines(tmp_path / "my.jsonl", rows))
    train = {row["prompt"] for row in SUMS[10:]}
    assert set(prompts_of(domain, "test", 10)) == {row["prompt"] for row in SUMS[:10]}
    validation = {prompt for prompt in train if split_of(prompt) == "validation"}
    assert set(prompts_of(domain, "validation", 50)) == validation
    assert set(prompts_of(domain, "train", 50)) == train - validation
    assert "problems for validation were taken from train by hash" in domain.notes


def test_without_a_split_column_the_text_decides_and_small_files_have_all_splits(
    tmp_path: Path,
) -> None:
    domain = load(as_json_lines(tmp_path / "my.jsonl", SUMS))
    assert all(split_of(p) == s for s in SPLITS for p in prompts_of(domain, s, 100))
    for size in range(10, 16):
        rows = [{"prompt": f"{size}-{n}", "answer": n} for n in range(size)]
        small = load(as_json_lines(tmp_path / f"my{size}.jsonl", rows))
        found = [set(prompts_of(small, split, 50)) for split in SPLITS]
        assert all(len(prompts) >= 2 for prompts in found)
        assert sum(map(len, found)) == len(set().union(*found)) == size
        assert check_task(small) == []


def test_rows_that_say_the_same_are_one_problem(tmp_path: Path) -> None:
    domain = load(as_json_lines(tmp_path / "my.jsonl", [*SUMS, *SUMS[:5]]))
    assert "5 rows that repeat others were left out" in domain.notes
    assert "60 problems of your own" in domain.summary


def test_each_epoch_holds_every_problem_once_in_another_order(tmp_path: Path) -> None:
    domain = load(as_json_lines(tmp_path / "my.jsonl", SUMS))
    size = len(set(prompts_of(domain, "train", 200)))
    prompts = prompts_of(domain, "train", 3 * size)
    epochs = [prompts[start : start + size] for start in range(0, 3 * size, size)]
    assert all(set(epoch) == set(epochs[0]) and len(set(epoch)) == size for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert prompts_of(domain, "train", size, seed=1) != epochs[0]
    assert set(prompts_of(domain, "train", size, seed=1)) == set(epochs[0])


def test_the_version_changes_with_the_content_and_with_what_changes_scores(tmp_path: Path) -> None:
    path = as_json_lines(tmp_path / "my.jsonl", SUMS)
    plain = load(path)
    assert plain.version.startswith("1+")
    assert len(plain.version) == len("1+") + 12
    assert load(path, "?licence=MIT").version == plain.version
    assert load(path, "?verifier=number").version == plain.version
    assert load(path, "?verifier=exact").version != plain.version
    as_json_lines(path, SUMS[:-1])
    assert load(path).version != plain.version
    as_json_lines(path, SUMS)
    assert load(path).version == plain.version


def test_the_reference_is_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_json_lines(tmp_path / "my.jsonl", SUMS)
    monkeypatch.chdir(tmp_path)
    domain = DOMAINS.load("my.jsonl?verifier=exact&citation=A%26B, 100%25")
    assert isinstance(domain, Referenced)
    assert domain.reference.startswith(f"{tmp_path}/my.jsonl?")
    monkeypatch.chdir("/")
    assert DOMAINS.load(domain.reference) is domain


def test_licence_and_citation_come_from_options_or_the_file_beside(tmp_path: Path) -> None:
    path = as_json_lines(tmp_path / "my.jsonl", SUMS)
    assert (load(path).licence, load(path).citation) == ("the user's own", "the user's own")
    other = as_json_lines(tmp_path / "other.jsonl", SUMS)
    about = {"license": "CC-BY-4.0", "citation": "Me, 2026"}
    (tmp_path / "other.about.json").write_text(json.dumps(about))
    assert (load(other).licence, load(other).citation) == ("CC-BY-4.0", "Me, 2026")
    assert load(other, "?licence=MIT").licence == "MIT"


def test_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name, write in WRITERS.values():
        load(write(tmp_path / name, SUMS))
    assert list(home.rglob("*")) == []
    assert {path.name for path in tmp_path.iterdir()} == {
        "home", *(name for name, _ in WRITERS.values())
    }  # fmt: skip


KNOWN = (
    *("my.jsonl", "data/my.CSV?verifier=number&answer=label", "/abs/my.parquet", "my.tsv"),
    *("my.json?", "a-to-b.jsonl", "my.jsonl.gz", "my.csv?pattern=x%2Dto%2Dy", "./math-to-b.jsonl"),
)
OTHERS = (
    *("a-to-b.jsonl-to-gym/gcd", "my.jsonl-to-gym/gcd", "a.jsonl-to-b.csv", "math-to-b.jsonl"),
    *("a.jsonl?verifier=number-to-b.csv", "math", "gym/gcd", "", ".jsonl", "my.txt", "my.jsonl/"),
)


@pytest.mark.parametrize("name", [*KNOWN, *OTHERS])
def test_a_name_is_known_by_its_text_alone(name: str) -> None:
    source = import_module(DOMAINS.sources["FILE.jsonl"][0])
    assert source.known(name) == (name in KNOWN)


def test_the_example_of_the_documentation_can_be_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    example = page.partition("```jsonl\n")[2].partition("```")[0]
    rows = [json.loads(line) for line in example.splitlines()]
    assert len(rows) == 5
    as_json_lines(tmp_path / "my.jsonl", [*rows, *SUMS])
    assert answers_of(load(tmp_path / "my.jsonl"))["What is a quarter of 100?"] == "25"


@pytest.mark.parametrize("bits", [32, 64])
def test_floats_of_parquet_mean_what_they_were_written_as(bits: int, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kind = pa.float32() if bits == 32 else pa.float64()
    answers = pa.array([number / 10 for number in range(40)], kind)
    prompts = [f"What is {number} tenths?" for number in range(40)]
    pq.write_table(pa.table({"prompt": prompts, "answer": answers}), tmp_path / "my.parquet")
    found = answers_of(load(tmp_path / "my.parquet"))
    assert (found["What is 26 tenths?"], found["What is 30 tenths?"]) == ("2.6", "3")


def test_prompts_of_one_number_are_not_cut_out_of_answers(tmp_path: Path) -> None:
    rows = [{"prompt": str(number), "answer": number**2} for number in range(40)]
    domain = load(as_json_lines(tmp_path / "squares.jsonl", rows))
    task = domain.task(seed=0, setting="default", feedback="none")
    assert all(task.verify(p, p.solution).score == 1 for p in task.problems("train", 20))
