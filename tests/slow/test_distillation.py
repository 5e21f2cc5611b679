"""SelfDistillation: who reads what, the reverse-KL gradient, state, accounts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cl_bench.contract.errors import DivergedError, UsageError
from cl_bench.contract.learner import Exercise, Ledger
from cl_bench.contract.prompts import SEED_PROMPT, chat
from cl_bench.contract.task import Verdict
from cl_bench.model.policy import Policy
from cl_bench.slow.distillation import SelfDistillation
from cl_bench.slow.settings import SlowConfig
from tests.model.samplers.doubles import Recorded
from tests.slow.scripted import assert_same_gradients, gradients_of, trainable_copy

CONFIG = SlowConfig(learning_rate=1e-2, group_size=4, max_new_tokens=7, temperature=0.8)


class OnePromptEach(SlowConfig):
    """All rollouts of an exercise read the same prompt."""

    @property
    def prompt_run(self) -> int:
        return self.group_size


TWO, THREE = "a second , longer prompt ;", "third"

Responses = list[tuple[tuple[int, ...], tuple[int, ...]]]


@pytest.fixture
def policy(tiny_model: Path) -> Policy:
    """A policy to which prompts matter, with responses of varying length (many tokens end one)."""
    loaded = Policy.load(str(tiny_model))
    with torch.no_grad():
        for weight in loaded.model.parameters():
            weight.mul_(3)
    policy = Policy(loaded.model, loaded.tokenizer)
    policy.model.generation_config.eos_token_id = [1, *range(100, 180)]
    torch.manual_seed(0)
    return policy


def exercise(name: str, score: Callable[[str], float] = lambda _: 0.0) -> Exercise:
    return Exercise(name, f"math : {name} : 4", lambda text: Verdict(score(text), "", None))


def tables(model: torch.nn.Module, prompt: Sequence[int], response: Sequence[int]) -> Tensor:
    """Log-probabilities (tokens, vocabulary) of one unpadded row."""
    logits = model(input_ids=torch.tensor([[*prompt, *response]])).logits[0]
    return torch.log_softmax(logits[len(prompt) - 1 : -1] / CONFIG.temperature, dim=-1)


def by_hand(
    policy: Policy,
    seen: Responses,
    exercises: Sequence[Exercise],
    prompts: Sequence[str],
    mixed: bool = True,
) -> tuple[Tensor, torch.nn.Module]:
    """Reverse KL a token, one row at a time; rollout (or exercise) n is read under prompt n."""
    model = trainable_copy(policy)
    total, tokens = torch.zeros(()), 0
    for number, (read, response) in enumerate(seen):
        turn = number if mixed else number // CONFIG.group_size
        system = prompts[turn % len(prompts)]
        item = exercises[number // CONFIG.group_size]
        assert read == tuple(policy.encode([chat(SEED_PROMPT, item.prompt)])[0])
        student = tables(model, read, response)
        heard = policy.encode([chat(system, item.prompt)])[0]
        teacher = tables(model, heard, response).detach()
        total = total + (student.exp() * (student - teacher)).sum()
        tokens += len(response)
    return total / tokens, model


@pytest.mark.parametrize(
    ("rows", "mixed", "budgets"),
    [
        (32, True, ()),
        (3, True, ()),
        (32, False, ()),
        (32, True, ("ACTIVATIONS",)),
        (32, True, ("LOGITS",)),
    ],
)
def test_the_gradient_is_that_of_the_reverse_divergence_with_a_still_teacher(
    policy: Policy,
    seen: Recorded,
    rows: int,
    mixed: bool,
    budgets: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cl_bench.slow.distillation._ROWS_PER_PASS", rows)
    for name in budgets:  # with nothing to spend, rows go one by one
        monkeypatch.setattr(f"cl_bench.model.memory.{name}", 0)
    given = gradients_of(policy.model)
    batch = [exercise("a", lambda text: float(len(text) % 2)), exercise("b"), exercise("c")]
    prompts = [SEED_PROMPT, TWO, THREE]
    config = CONFIG if mixed else OnePromptEach(**asdict(CONFIG))
    (record,) = SelfDistillation(policy, config, Ledger()).steps([batch], prompts)

    loss, model = by_hand(policy, seen.rows, batch, prompts, mixed)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() > 1e-3
    assert record.loss == pytest.approx(loss.item(), rel=1e-4)
    assert_same_gradients(given, model)
    norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
    assert record.grad_norm == pytest.approx(float(norm), rel=1e-3)


def test_a_teacher_with_the_students_prompt_has_nothing_to_teach(policy: Policy) -> None:
    given = exercise("a", lambda text: float(len(text) % 2))
    (record,) = SelfDistillation(policy, CONFIG, Ledger()).steps([[given]], [SEED_PROMPT])
    assert (record.loss, record.grad_norm) == (0.0, 0.0)
    assert policy.is_base()


def test_the_reward_is_reported_and_teaches_nothing(tiny_model: Path) -> None:
    weights = []
    for reward in (0.0, 1.0):
        policy = Policy.load(str(tiny_model))
        torch.manual_seed(4)
        batch = [exercise("a", lambda _, r=reward: r), exercise("b", lambda _: 0.5)]  # type: ignore[misc]
        (record,) = SelfDistillation(policy, CONFIG, Ledger()).steps([batch], [TWO])
        assert record.reward == pytest.approx((reward + 0.5) / 2)
        assert record.signal != record.signal
        weights.append(policy.model.state_dict())
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_distilling_makes_the_unprompted_policy_answer_as_the_prompted_one(
    policy: Policy,
) -> None:
    distillation = SelfDistillation(policy, replace(CONFIG, learning_rate=3e-3), Ledger())
    batches = [[exercise(f"s{n} e{e}") for e in range(3)] for n in range(25)]
    losses = [record.loss for record in distillation.steps(batches, [TWO])]
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


def test_the_prompts_take_turns_over_the_whole_run(policy: Policy, seen: Recorded) -> None:
    distillation = SelfDistillation(policy, replace(CONFIG, learning_rate=1e-9), Ledger())
    batches = [[exercise("a")], [exercise("b")]]
    second = list(distillation.steps(batches, [SEED_PROMPT, TWO, THREE]))[1]
    # Four responses came before: the fifth is read under the second prompt.
    loss, _ = by_hand(policy, seen.rows[4:], batches[1], [TWO, THREE, SEED_PROMPT])
    assert second.loss == pytest.approx(loss.item(), rel=1e-3)


def test_the_ledger_counts_the_students_responses(policy: Policy, seen: Recorded) -> None:
    ledger = Ledger()
    distillation = SelfDistillation(policy, CONFIG, ledger)
    batches = [[exercise("a"), exercise("b")], [exercise("c")]]
    records = list(distillation.steps(batches, [TWO]))
    assert (ledger.slow.rollouts, ledger.slow.optimizer_steps) == (12, 2)
    assert ledger.slow.prompt_tokens == sum(map(len, seen.prompts))
    assert ledger.slow.generated_tokens == sum(map(len, seen.completions))
    assert records[1].completion_tokens == sum(map(len, seen.completions[8:])) / 4
    assert ledger.slow.seconds == pytest.approx(sum(record.seconds for record in records))
    assert ledger.fast == Ledger().fast


def test_a_loaded_run_goes_on_exactly_as_the_saved_one(
    policy: Policy, tiny_model: Path, tmp_path: Path
) -> None:
    batches = [[exercise(f"b{b} e{e}") for e in range(2)] for b in range(4)]
    distillation = SelfDistillation(policy, CONFIG, Ledger())
    list(distillation.steps(batches[:2], [TWO, THREE, SEED_PROMPT]))
    distillation.save(tmp_path)
    state = torch.get_rng_state()
    expected = list(distillation.steps(batches[2:], [TWO, THREE, SEED_PROMPT]))

    fresh = Policy.load(str(tiny_model))
    fresh.model.generation_config.eos_token_id = policy.model.generation_config.eos_token_id
    again = SelfDistillation(fresh, CONFIG, Ledger())
    again.load(tmp_path)
    torch.set_rng_state(state)
    resumed = list(again.steps(batches[2:], [TWO, THREE, SEED_PROMPT]))
    timeless = [[replace(r, seconds=0.0, signal=0.0) for r in rs] for rs in (expected, resumed)]
    assert timeless[0] == timeless[1]
    weights = fresh.model.state_dict()
    assert all(torch.equal(v, weights[name]) for name, v in policy.model.state_dict().items())


def test_what_is_not_finite_never_reaches_the_weights(policy: Policy) -> None:
    distillation = SelfDistillation(policy, CONFIG, Ledger())
    with pytest.raises(DivergedError, match=r"Step 1 .* reward is nan.*learning_rate"):
        list(distillation.steps([[exercise("a", lambda _: float("nan"))]], [TWO]))
    *_, weight = policy.model.parameters()
    weight.register_hook(lambda grad: grad * float("nan"))  # type: ignore[no-untyped-call]
    with pytest.raises(DivergedError, match=r"Step 2 .* gradient norm is nan"):
        list(distillation.steps([[exercise("a")]], [TWO]))
    assert policy.is_base()


def test_weights_that_are_not_finite_are_an_error_that_names_the_step(policy: Policy) -> None:
    distillation = SelfDistillation(policy, CONFIG, Ledger())
    with torch.no_grad():
        next(policy.model.parameters()).fill_(float("nan"))
    with pytest.raises(DivergedError, match=r"Step 1 .* sampling distribution"):
        list(distillation.steps([[exercise("a")]], [TWO]))


def test_unusable_requests_say_what_to_give(policy: Policy) -> None:
    distillation = SelfDistillation(policy, CONFIG, Ledger())
    with pytest.raises(UsageError, match="0 prompts"):
        distillation.steps([[exercise("a")]], [])
    with pytest.raises(UsageError, match=r"\[0\] exercises"):
        distillation.steps([[]], [TWO])
    with pytest.raises(UsageError, match="do not fit into"):
        list(distillation.steps([[exercise("a")]], ["very " * 3000]))
