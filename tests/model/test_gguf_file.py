"""GGUF files: a float32 model that trains, is saved and is named by its hash."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cl_bench.contract.errors import ModelError
from cl_bench.contract.learner import Exercise, Ledger
from cl_bench.contract.prompts import chat
from cl_bench.contract.task import Verdict
from cl_bench.execution.preflight import identity
from cl_bench.execution.settings import RunConfig
from cl_bench.fast.reflection.spec import ReflectionLM
from cl_bench.model import gguf_file
from cl_bench.model.loading import load, locate
from cl_bench.model.policy import Policy
from cl_bench.slow.settings import RLConfig
from cl_bench.slow.slow_weights import SlowWeights
from cl_bench.store.files import file_hash

Write = Callable[..., Path]
CHAT = chat("answer", "a\n\n12  hi")


def logits(policy: Policy) -> torch.Tensor:
    policy.model.train(False)
    with torch.no_grad():
        found: torch.Tensor = policy.model(torch.tensor(policy.encode([CHAT]))).logits
    return found


def test_it_loads_as_float32_and_its_saved_copy_is_the_same_model(
    gguf: Write, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = gguf()
    policy = Policy.load(str(file))
    assert {parameter.dtype for parameter in policy.model.parameters()} == {torch.float32}
    assert all(parameter.requires_grad for parameter in policy.model.parameters())
    assert policy.context == 256
    assert policy.model.generation_config.eos_token_id == 2
    policy.save_model(tmp_path / "saved")
    again = Policy.load(str(tmp_path / "saved"))
    assert torch.equal(logits(again), logits(policy))
    assert again.encode([CHAT]) == policy.encode([CHAT])
    out, err = capfd.readouterr()
    assert out == ""
    assert "Converting" not in err


def test_a_step_of_training_changes_the_model_but_not_its_base(gguf: Write) -> None:
    torch.manual_seed(0)
    policy = Policy.load(str(gguf()))
    before = {name: value.clone() for name, value in policy.model.state_dict().items()}
    config = RLConfig(group_size=4, max_new_tokens=4, learning_rate=1e-2)
    exercise = Exercise("1", "what", lambda text: Verdict(len(text) % 2, "", None))
    batch = [[exercise, exercise]]
    list(SlowWeights(policy, config, Ledger()).steps(batch, ["answer"]))
    trained = policy.model.state_dict()
    assert any(not torch.equal(trained[name], value) for name, value in before.items())
    with policy.base() as base:
        assert all(torch.equal(base.state_dict()[name], v) for name, v in before.items())


def test_texts_are_cut_at_digits_as_the_file_says(gguf: Write) -> None:
    tokenizer = load(str(gguf()))[1]
    assert tokenizer.tokenize("a\n\n12  3hi") == ["a", "ĊĊ", "1", "2", "ĠĠ", "3", "hi"]
    assert tokenizer.decode(tokenizer.encode("<|im_start|>é 1"), skip_special_tokens=True) == "é 1"


def test_that_the_weights_were_rounded_is_said_once_and_only_if_they_were(
    gguf: Write, caplog: pytest.LogCaptureFixture
) -> None:
    file, plain = gguf(), gguf("plain.gguf", plain=True)
    with caplog.at_level(logging.WARNING, "cl_bench"):
        for each in (file, file, plain):
            load(str(each))
    (record,) = caplog.records
    assert "tiny.gguf were stored as Q8_0" in record.getMessage()


def test_plain_weights_arrive_unchanged(gguf: Write) -> None:
    rounded, plain = (load(str(gguf(f"{p}.gguf", plain=p)))[0].state_dict() for p in (False, True))
    for name, value in plain.items():
        assert torch.allclose(rounded[name], value, atol=2e-3)
    assert any(not torch.equal(rounded[name], value) for name, value in plain.items())


def test_the_files_around_it_are_not_read(gguf: Write) -> None:
    file = gguf("folder/tiny.gguf")
    expected = load(str(file))[1].encode("hi")
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (file.parent / name).write_text("{")
    model, tokenizer, _ = load(str(file))
    assert tokenizer.encode("hi") == expected
    assert (model.name_or_path, tokenizer.name_or_path) == (str(file), str(file))


def test_a_folder_with_one_file_is_that_model(gguf: Write) -> None:
    file = gguf("folder/tiny.gguf")
    assert gguf_file.find(file.parent) == file
    assert load(str(file.parent))[0].num_parameters() == load(str(file))[0].num_parameters()
    assert locate(str(file.parent)).hashes() == {"tiny.gguf": file_hash(file)}


def test_the_hash_of_the_file_names_the_model(gguf: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    file = gguf()
    first = identity(ReflectionLM("oracle"), Policy.load(str(file)))["model_files"]
    assert first == {"tiny.gguf": file_hash(file)}
    gguf(seed=1)
    assert locate(str(file)).hashes() != first
    monkeypatch.chdir(file.parent)
    assert RunConfig(model="tiny.gguf").anywhere().model == str(file.resolve())


def test_a_link_keeps_the_name_that_says_what_it_is(gguf: Write, tmp_path: Path) -> None:
    blob = gguf().rename(tmp_path / "blob")
    link = tmp_path / "link.gguf"
    link.symlink_to(blob)
    assert RunConfig(model=str(link)).anywhere().model == str(link.resolve().parent / "link.gguf")
    assert load(str(link))[0].config.model_type == "llama"


def test_several_files_in_a_folder_are_refused_with_the_name_of_one(gguf: Write) -> None:
    first, _ = gguf("folder/a.gguf"), gguf("folder/b.gguf")
    with pytest.raises(ModelError, match=f"holds 2 GGUF files.*such as {first}"):
        load(str(first.parent))


def test_an_unknown_architecture_is_refused_with_those_that_are_known(gguf: Write) -> None:
    with pytest.raises(ModelError, match=r"architecture 'clip'.*It reads: .*llama.*original model"):
        load(str(gguf(architecture="clip")))


@pytest.mark.parametrize("kept", [0, 4, 30, 5_000, -100])
def test_a_damaged_file_is_refused(gguf: Write, kept: int) -> None:
    file = gguf()
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ModelError, match=r"tiny.gguf is not a GGUF file, or it is damaged"):
        load(str(file))


def test_a_file_that_is_one_part_of_a_model_is_refused(gguf: Write) -> None:
    with pytest.raises(ModelError, match=r"1 of its tensors are missing.*one part of several"):
        load(str(gguf(left_out="blk.1.ffn_up.weight")))


def test_a_file_that_is_not_there_is_no_hub_name() -> None:
    with pytest.raises(ModelError, match=r"There is no GGUF file 'models/nowhere\.gguf'"):
        load("models/nowhere.gguf")


def test_the_libraries_are_as_before_whatever_happens(gguf: Write) -> None:
    import gguf as library

    before = library.GGUFReader, library.get_tensor_name_map
    load(str(gguf()))
    with pytest.raises(ModelError):
        load(str(gguf(architecture="clip")))
    assert before == (library.GGUFReader, library.get_tensor_name_map)
