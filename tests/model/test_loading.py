"""Loading models: chat templates that are mended, weights that are not trusted, the hub."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

from cl_bench.contract.errors import ModelError, UsageError
from cl_bench.contract.learner import Exercise, Ledger
from cl_bench.contract.prompts import chat
from cl_bench.contract.task import Verdict
from cl_bench.model.loading import load
from cl_bench.model.policy import Policy
from cl_bench.slow.settings import RLConfig
from cl_bench.slow.slow_weights import SlowWeights

NO_SYSTEM = (
    "{%- if messages[0]['role'] == 'system' -%}{{ raise_exception('no system role') }}{%- endif -%}"
)
DROPS_SYSTEM = (
    "{%- for message in messages if message['role'] != 'system' -%}"
    "{{ '<|' + message['role'] + '|> ' + message['content'] }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}"
)


@pytest.fixture
def copy(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "copy"))


def configure(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("kind", ["raises", "drops"])
def test_a_template_without_a_system_role_gets_it_folded_into_the_users_message(
    copy: Path, kind: str
) -> None:
    file = copy / "chat_template.jinja"
    file.write_text(NO_SYSTEM + file.read_text() if kind == "raises" else DROPS_SYSTEM)
    policy = Policy.load(str(copy))
    folded, expected, alone = policy.encode(
        [chat("solve step", "math"), chat("", "solve step\n\nmath"), chat("", "math")]
    )
    assert folded == expected
    assert folded != alone
    assert len(policy.generate([chat("solve", "math")], max_new_tokens=2)) == 1


def test_a_folded_template_serves_training_too(copy: Path) -> None:
    file = copy / "chat_template.jinja"
    file.write_text(NO_SYSTEM + file.read_text())
    torch.manual_seed(0)
    policy = Policy.load(str(copy))
    config = RLConfig(group_size=2, max_new_tokens=3)
    exercise = Exercise("1", "math : one f : 4", lambda text: Verdict(len(text) % 2, "", None))
    (record,) = SlowWeights(policy, config, Ledger()).steps([[exercise]], ["solve step by step ."])
    assert 0 <= record.reward <= 1


def test_a_template_with_a_system_role_is_left_alone(tiny_model: Path) -> None:
    written = (tiny_model / "chat_template.jinja").read_text()
    assert Policy.load(str(tiny_model)).tokenizer.chat_template == written


def test_a_models_own_code_is_neither_run_nor_asked_about(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    configure(copy, model_type="own", auto_map={"AutoConfig": "own.Config"})
    (copy / "own.py").write_text(f"open({str(copy / 'executed')!r}, 'w')")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("the user was asked"))
    with pytest.raises(ModelError, match="never runs"):
        load(str(copy))
    assert not (copy / "executed").exists()
    assert "own" not in sys.modules
    assert capfd.readouterr() == ("", "")


def test_weights_that_would_be_random_are_refused_without_a_report_on_the_terminal(
    copy: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    layers = json.loads((copy / "config.json").read_text())["layer_types"]
    configure(copy, num_hidden_layers=2 * len(layers), layer_types=layers * 2)
    with pytest.raises(ModelError, match=r"tensors? missing, such as"):
        load(str(copy))
    assert capfd.readouterr() == ("", "")


def test_without_a_connection_the_hub_is_tried_once_and_quickly(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    tried = []

    class Unplugged:
        def head(self, url: str, timeout: float) -> None:
            tried.append(url)
            raise OSError("no route to host")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.get_session", Unplugged)
    with pytest.raises(ModelError, match="the hub cannot be asked"):
        load("owner/model-that-is-not-cached")
    assert len(tried) == 1
    assert capfd.readouterr() == ("", "")


def test_the_context_comes_from_the_configuration_and_may_be_unknown(tiny_policy: Policy) -> None:
    contexts = [tiny_policy.context]
    tiny_policy.model.config.max_position_embeddings = 0
    contexts.append(tiny_policy.context)
    assert tiny_policy.fits(chat("", "math " * 1_000), 10_000)
    tiny_policy.model.config.n_positions = 64
    contexts.append(tiny_policy.context)
    assert contexts == [512, None, 64]


def test_a_prompt_may_fill_the_context_to_the_last_token_but_not_beyond(
    tiny_policy: Policy,
) -> None:
    prompt = chat("solve", "math : one f : 4")
    length = len(tiny_policy.encode([prompt])[0])
    room = 512 - length
    assert tiny_policy.fits(prompt, room)
    assert not tiny_policy.fits(prompt, room + 1)
    assert not tiny_policy.fits(prompt, room // 2, share=0.5)
    tiny_policy.require_room([prompt], room)
    with pytest.raises(
        UsageError, match=f"A prompt of {length} tokens and max_new_tokens={room + 1}"
    ):
        tiny_policy.generate([prompt], max_new_tokens=room + 1)
    assert len(tiny_policy.generate([prompt], max_new_tokens=3)) == 1


def test_lone_surrogates_in_a_prompt_are_read_as_replacement_characters(
    tiny_policy: Policy,
) -> None:
    broken, replaced = tiny_policy.encode([chat("a\ud800", "b"), chat("a\ufffd", "b")])
    assert broken == replaced
