"""Policy: sampling, exact divergences, loading."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import AddedToken

from cl_bench.contract.errors import ModelError
from cl_bench.contract.prompts import chat
from cl_bench.contract.task import Verdict
from cl_bench.model.named import EMBEDDED_FOLDER, resolve
from cl_bench.model.policy import Policy, Rollout
from tests.model.samplers.doubles import Scripted
from tests.zoo import ZOO

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CHATS = [chat("solve step by step .", "math : one f : 4"), chat("", "code : one foo two bar : 1 2")]


@pytest.fixture
def policy(tiny_model: Path) -> Policy:
    torch.manual_seed(0)
    return Policy.load(str(tiny_model))


def perturb(policy: Policy, scale: float = 0.05) -> None:
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.add_(scale * torch.randn_like(parameter))


def test_divergence_is_exactly_zero_while_the_policy_is_its_base(policy: Policy) -> None:
    rollouts = policy.generate(CHATS * 4, max_new_tokens=12)
    for from_base in (False, True):
        measured = policy.divergence(rollouts, from_base=from_base)
        assert measured.per_token == 0.0
        assert measured.per_sequence == 0.0


def test_divergence_equals_a_sum_over_the_vocabulary_computed_one_response_at_a_time(
    policy: Policy,
) -> None:
    perturb(policy)
    rollouts = policy.generate(CHATS * 3, max_new_tokens=9)
    measured = policy.divergence(rollouts)
    for place, rollout in enumerate(rollouts):
        expected_kl, expected_entropy = _by_hand(policy, rollout)
        assert float(measured.kl_N[place]) == pytest.approx(expected_kl, rel=1e-4)
        assert float(measured.entropy_N[place]) == pytest.approx(expected_entropy, rel=1e-4)
        assert int(measured.tokens_N[place]) == len(rollout.completion_ids)
    assert measured.per_token > 0
    tokens = int(measured.tokens_N.sum())
    assert measured.per_sequence == pytest.approx(measured.per_token * tokens / len(rollouts))


@pytest.mark.parametrize("from_base", [False, True])
def test_deployed_is_the_divergence_from_the_base_under_the_prompts_of_the_start(
    policy: Policy, from_base: bool
) -> None:
    perturb(policy)
    start = [chat("add the rules .", "math : one f : 4"), CHATS[1]]
    rollouts = policy.generate(CHATS, max_new_tokens=9, from_base=from_base)
    measured = policy.divergence(rollouts, from_base=from_base, start=start)
    plain = policy.divergence(rollouts, from_base=from_base)
    assert torch.equal(measured.kl_N, plain.kl_N)
    assert torch.equal(plain.deployed_N, plain.kl_N)
    for place, (rollout, asked) in enumerate(zip(rollouts, policy.encode(start), strict=True)):
        with policy.base() as base:
            sampler = base if from_base else policy.model
            log_p = _log_probs(sampler, rollout.prompt_ids, rollout.completion_ids)
            log_q = _log_probs(base, asked, rollout.completion_ids)
        expected = float((log_p.exp() * (log_p - log_q)).sum())
        # The base's are as small as a thousandth of a nat; single precision rounds a millionth.
        assert float(measured.deployed_N[place]) == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert float(measured.deployed_N[0]) > 0
    tokens = int(measured.tokens_N.sum())
    assert measured.deployed_per_token == pytest.approx(float(measured.deployed_N.sum()) / tokens)
    assert measured.deployed_per_sequence == pytest.approx(float(measured.deployed_N.mean()))


def test_equal_models_are_measured_without_a_pass_of_the_other(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollouts = policy.generate(CHATS, max_new_tokens=9)
    whole = policy.divergence(rollouts)
    base = policy.base
    monkeypatch.setattr(policy, "base", lambda: pytest.fail("the base is asked"))
    same = policy.divergence(rollouts, same=True)
    assert same.kl_N.tolist() == same.deployed_N.tolist() == [0.0, 0.0]
    assert torch.equal(same.entropy_N, whole.entropy_N)
    assert torch.equal(same.tokens_N, whole.tokens_N)
    monkeypatch.setattr(policy, "base", base)
    start = [chat("add the rules .", "math : one f : 4")] * 2
    deployed = policy.divergence(rollouts, same=True, start=start)
    assert deployed.kl_N.tolist() == [0.0, 0.0]
    assert float(deployed.deployed_N.min()) > 0


def test_the_policy_is_the_base_until_one_number_of_it_moves(policy: Policy) -> None:
    assert policy.is_base()
    last = list(policy.model.parameters())[-1]
    with torch.no_grad():
        last.view(-1)[-1] += 1e-3
    assert not policy.is_base()


def test_the_two_directions_of_the_divergence_differ(policy: Policy) -> None:
    perturb(policy, 0.2)
    rollouts = policy.generate(CHATS * 4, max_new_tokens=12)
    forward, backward = (policy.divergence(rollouts, from_base=b).per_token for b in (False, True))
    assert min(forward, backward) > 0
    assert forward != pytest.approx(backward, rel=1e-3)


def test_training_the_model_leaves_the_base_alone(policy: Policy) -> None:
    before = [parameter.clone() for parameter in policy.model.parameters()]
    perturb(policy)
    with policy.base() as base:
        assert all(torch.equal(a, b) for a, b in zip(before, base.parameters(), strict=True))
        assert not any(parameter.requires_grad for parameter in base.parameters())


def test_a_frozen_policy_is_its_own_base(tiny_model: Path) -> None:
    policy = Policy.load(str(tiny_model), frozen=True)
    with policy.base() as base:
        assert base is policy.model
    assert not any(parameter.requires_grad for parameter in policy.model.parameters())
    assert len(policy.generate(CHATS, max_new_tokens=2)) == 2


def test_sampling_follows_the_global_seed_and_the_order_of_the_chats(policy: Policy) -> None:
    torch.manual_seed(5)
    first = policy.generate(CHATS, max_new_tokens=10)
    torch.manual_seed(5)
    assert policy.generate(CHATS, max_new_tokens=10) == first
    prompts = policy.encode(CHATS)
    assert [list(rollout.prompt_ids) for rollout in first] == prompts


def test_greedy_sampling_does_not_depend_on_padding(policy: Policy) -> None:
    alone = [policy.generate([c], max_new_tokens=8, temperature=0.0)[0].text for c in CHATS]
    together = policy.generate(CHATS, max_new_tokens=8, temperature=0.0)
    assert [rollout.text for rollout in together] == alone


def test_a_response_ends_at_its_first_end_token_or_is_marked_truncated(policy: Policy) -> None:
    end = policy.tokenizer.eos_token_id
    for rollout in policy.generate(CHATS * 30, max_new_tokens=40):
        assert rollout.truncated == (end not in rollout.completion_ids)
        assert end not in rollout.completion_ids[:-1]


def ending(policy: Policy, template: str) -> Policy:
    """The same model, whose declared end is padding and whose chats follow another template."""
    policy.model.generation_config.eos_token_id = policy.tokenizer.pad_token_id
    policy.tokenizer.eos_token = policy.tokenizer.pad_token
    policy.tokenizer.chat_template = template
    return Policy(policy.model, policy.tokenizer)


USER_TURN = "{% if message.role != 'assistant' %}<|user|> {{ message.content }}{% endif %}"
ENDS = {
    "at once": "<|assistant|>{{ message.content }}<|end|>",
    "after a space": "<|assistant|> {{ message.content }} <|end|>\n",
    "between turns": "<|assistant|>{{ message.content }}{% if not loop.last %}<|end|>{% endif %}",
}


@pytest.mark.parametrize("turn", ENDS.values(), ids=ENDS)
def test_the_token_that_ends_a_turn_in_the_template_ends_a_response_whatever_is_declared(
    policy: Policy, turn: str
) -> None:
    end = policy.tokenizer.convert_tokens_to_ids("<|end|>")
    template = (
        "{% for message in messages %}"
        f"{USER_TURN}{{% if message.role == 'assistant' %}}{turn}{{% endif %}}"
        "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    other = ending(policy, template)
    assert other.end_ids == {end, policy.tokenizer.pad_token_id}
    torch.manual_seed(0)
    for rollout in other.generate(CHATS[1:] * 30, max_new_tokens=40):
        assert rollout.truncated == (rollout.completion_ids[-1] not in other.end_ids)
        assert end not in rollout.completion_ids[:-1]


@pytest.mark.parametrize("declared", [0, [0, 3], None])
def test_a_model_that_declares_another_end_says_what_it_said(
    declared: int | list[int] | None, tmp_path: Path
) -> None:
    """The embedded model ends its turns with token 1, as its template does."""
    shutil.copytree(EMBEDDED_FOLDER, tmp_path / "model")
    for name, change in (
        ("config.json", {"eos_token_id": declared}),
        ("generation_config.json", {"eos_token_id": declared}),
        ("tokenizer_config.json", {"eos_token": "<|pad|>"}),
    ):
        file = tmp_path / "model" / name
        file.write_text(json.dumps(json.loads(file.read_text()) | change))
    asked = [chat("solve step by step .", "math : one f : 4")] * 24
    said = []
    for folder in (EMBEDDED_FOLDER, tmp_path / "model"):
        torch.manual_seed(0)
        said.append(Policy.load(str(folder)).generate(asked, max_new_tokens=96))
    assert said[0] == said[1]
    assert sum(rollout.truncated for rollout in said[1]) < 3


PLAIN = {
    "plain text": "{{ message.role }} : {{ message.content }}\n",
    "no assistant": "{% if message.role == 'assistant' %}{{ raise_exception('no') }}{% endif %}"
    "<|user|>{{ message.content }}",
}


@pytest.mark.parametrize("turn", PLAIN.values(), ids=PLAIN)
def test_a_template_that_ends_no_turn_by_a_token_adds_none(policy: Policy, turn: str) -> None:
    template = f"{{% for message in messages %}}{turn}{{% endfor %}}"
    assert ending(policy, template).end_ids == {policy.tokenizer.pad_token_id}


@pytest.mark.parametrize("special", [True, False])
def test_the_end_of_a_turn_is_no_part_of_the_text(policy: Policy, special: bool) -> None:
    end = int(policy.tokenizer.eos_token_id)
    said = policy.tokenizer("answer 4", add_special_tokens=False)["input_ids"]
    if not special:  # as some tokenizers have it: a token of its own, but not a special one
        policy.tokenizer.add_tokens(AddedToken("<|end|>", special=False))
    policy.sampler = Scripted([*said, end])
    (rollout,) = policy.generate(CHATS[:1], max_new_tokens=9)
    assert (rollout.text, rollout.truncated) == ("answer 4", False)


def test_a_thought_that_the_template_opens_is_in_the_text_and_out_of_judgement(
    policy: Policy,
) -> None:
    policy.tokenizer.chat_template += "{% if add_generation_prompt %}<think>\n{% endif %}"
    thinking = Policy(policy.model, policy.tokenizer)
    for said, judged in (("answer 3</think>answer 4", "answer 4"), ("answer 3", "")):
        ids = policy.tokenizer(said, add_special_tokens=False)["input_ids"]
        thinking.sampler = Scripted([*ids, policy.tokenizer.eos_token_id])
        (rollout,) = thinking.generate(CHATS[:1], max_new_tokens=99)
        assert rollout.text == f"<think>{said}"
        heard: list[str] = []

        def judge(text: str, heard: list[str] = heard) -> Verdict:
            heard.append(text)
            return Verdict(0.0, "", None)

        rollout.judged_by(judge)
        assert heard == [judged]


def test_sampling_uses_the_exact_distribution_of_the_model(policy: Policy) -> None:
    """No top-k or top-p: over many samples the first token's frequencies match the softmax."""
    perturb(policy, 0.1)
    n = 4000
    torch.manual_seed(1)
    firsts = [r.completion_ids[0] for r in policy.generate(CHATS[:1] * n, max_new_tokens=1)]
    ids = torch.tensor([policy.encode(CHATS[:1])[0]])
    with torch.no_grad():
        expected = policy.model(input_ids=ids).logits[0, -1].softmax(-1)
    counts = torch.bincount(torch.tensor(firsts), minlength=len(expected)) / n
    deviation = (counts - expected).abs() / (expected * (1 - expected) / n).sqrt()
    assert float(deviation.max()) < 6


def test_a_model_without_a_chat_template_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_model, tmp_path / "bare")
    (tmp_path / "bare" / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="no chat template"):
        Policy.load(str(tmp_path / "bare"))


def test_a_folder_without_a_model_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(ModelError, match="holds no tokenizer"):
        Policy.load(str(tmp_path))


def _by_hand(policy: Policy, rollout: Rollout) -> tuple[float, float]:
    with policy.base() as base:
        log_p, log_q = (
            _log_probs(model, rollout.prompt_ids, rollout.completion_ids)
            for model in (policy.model, base)
        )
    kl = (log_p.exp() * (log_p - log_q)).sum()
    return float(kl), float(-(log_p.exp() * log_p).sum())


def _log_probs(
    model: PreTrainedModel, prompt: Sequence[int], response: Sequence[int]
) -> torch.Tensor:
    ids = torch.tensor([[*prompt, *response]])
    with torch.no_grad():
        logits: torch.Tensor = model(input_ids=ids).logits[0, len(prompt) - 1 : -1]
    return logits.double().log_softmax(-1)


@pytest.mark.parametrize("name", ["tiny", "embedded"])
def test_saved_model_is_loaded_with_its_weights_template_and_tokenizer(
    name: str, tiny_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    policy = Policy.load(str(tiny_model) if name == "tiny" else resolve("embedded"))
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.add_(0.01)
    policy.save_model(tmp_path / "model")
    again = Policy.load(str(tmp_path / "model"))
    assert capfd.readouterr() == ("", "")
    asked = [chat("add the rules .", "math : one f : 3")]
    assert again.encode(asked) == policy.encode(asked)
    kept = {key: policy.tokenizer.init_kwargs.get(key) for key in ("reflection_style", "eos_token")}
    assert {key: again.tokenizer.init_kwargs.get(key) for key in kept} == kept
    ids = torch.tensor(policy.encode(asked))
    with torch.no_grad():
        wanted = policy.model(ids).logits
        assert torch.equal(again.model(ids).logits, wanted)
    assert again.is_base()
    assert not policy.is_base()


def test_engines_get_experts_under_their_names_in_a_checkpoint(tmp_path: Path) -> None:
    policy = Policy.load(str(ZOO["Mixtral"].make(tmp_path)), frozen=True)
    saved, pushed = load_file(tmp_path / "model.safetensors"), dict(policy.merged_weights())
    assert any("experts.0." in name for name in saved)
    assert pushed.keys() == saved.keys()
    assert all(torch.equal(pushed[name], saved[name]) for name in saved)
