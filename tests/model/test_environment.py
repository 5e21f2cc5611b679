"""A run's numbers do not depend on the variables of launchers, on a lower precision or the date."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import cl_bench
from cl_bench.analysis.comparability import key_of
from cl_bench.api import resume
from cl_bench.contract.errors import RunDirectoryError, UsageError
from cl_bench.contract.prompts import chat
from cl_bench.model.environment import settled
from cl_bench.model.policy import Policy
from cl_bench.store.files import read_json, write_json_atomically
from tests.model.test_identity import SHORT, KillAtTheLastStep

DATED = (
    "\n{{ 'today is ' + strftime_now('%d %b %Y, %-d.%m. %H:%M') }} . {% for m in messages %}"
    "{{ m['content'] }}{% endfor %}"
)


@pytest.fixture
def dated(tiny_model: Path, tmp_path: Path) -> Path:
    """A model whose chat template asks for the date."""
    folder = shutil.copytree(tiny_model, tmp_path / "dated")
    (folder / "chat_template.jinja").write_text(DATED)
    return folder


@pytest.mark.parametrize(
    "inherited",
    [
        {"ACCELERATE_MIXED_PRECISION": "bf16", "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "2"},
        {"LOCAL_RANK": "0"},
        {"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1"},
        {"PMI_SIZE": "2", "PMI_RANK": "0"},
        {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3"},
        {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"},
    ],
)
def test_variables_of_a_launcher_change_nothing_and_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inherited: dict[str, str]
) -> None:
    options = SHORT | {"setting": "easy", "group_size": 8, "max_new_tokens": 30}
    expected = cl_bench.run(out=tmp_path / "one", **options)
    for name, value in inherited.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    found = cl_bench.run(out=tmp_path / "other", **options)
    assert dict(os.environ) == before
    columns = ["accuracy", "entropy", "kl_policy_base"]
    tables = [run.table("evaluations")[columns] for run in (expected, found)]
    assert tables[0].equals(tables[1])
    assert tables[0]["kl_policy_base"].max() > 0  # something was learned, and so was compared


def test_a_lower_precision_that_cannot_be_settled_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONEDNN_DEFAULT_FPMATH_MODE", "BF16")
    with pytest.raises(UsageError, match=r"ONEDNN_DEFAULT_FPMATH_MODE=BF16 .*\(unset ONEDNN"):
        cl_bench.run(out=tmp_path / "run", **SHORT)
    assert not (tmp_path / "run").exists()


def test_torch_multiplies_in_full_precision_during_a_run_and_as_before_afterwards() -> None:
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with settled():
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_a_template_that_asks_for_the_date_is_told_the_same_in_every_prompt(
    dated: Path, tiny_model: Path, tmp_path: Path
) -> None:
    policy = Policy.load(str(dated))
    rendered = policy.tokenizer.apply_chat_template([*chat("", "hi")], tokenize=False)
    assert rendered == "\ntoday is 01 Jan 2025, 1.01. 00:00 . hi"
    assert policy.settled_template.date == "2025-01-01"
    policy.save_model(tmp_path / "saved")
    assert (tmp_path / "saved" / "chat_template.jinja").read_text() == DATED
    assert Policy.load(str(tiny_model)).settled_template.date is None


def test_the_date_is_recorded_compared_and_resumed_with(dated: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    told: list[str] = []

    class Killing(KillAtTheLastStep):
        def note(self, line: str) -> None:
            told.append(line)

    with pytest.raises(KeyboardInterrupt):
        cl_bench.run(model=str(dated), out=path, progress=Killing(), **SHORT)
    assert any("it is told 2025-01-01 in every prompt" in line for line in told)
    manifest = read_json(path / "manifest.json")
    assert manifest["prompt_date"] == "2025-01-01"
    other = manifest | {"prompt_date": "2026-12-31"}
    assert key_of(manifest).differences(key_of(other)) == [
        "date in the prompts 2025-01-01 against 2026-12-31"
    ]
    undated = manifest | {"prompt_date": None}
    assert key_of(manifest).differing(key_of(undated)) == ("date in the prompts",)
    write_json_atomically(path / "manifest.json", other)
    with pytest.raises(RunDirectoryError, match="began with prompt_date '2026-12-31'"):
        resume(path)
    write_json_atomically(path / "manifest.json", manifest)
    assert resume(path).status == "done"


def test_training_reads_the_same_dated_prompts(dated: Path) -> None:
    """TRL renders by itself, with the same tokenizer."""
    policy = Policy.load(str(dated))
    asked = chat("", "hi")
    rendered: Any = policy.tokenizer.apply_chat_template(
        conversation=[list(asked)], tokenize=True, add_generation_prompt=True, return_dict=True
    )
    assert rendered["input_ids"] == policy.encode([asked])
