"""SupervisedTuning: TRL's own step, what it learns and counts, and what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cl_bench.contract.errors import DivergedError, UsageError
from cl_bench.contract.learner import Exercise, Ledger
from cl_bench.contract.prompts import chat
from cl_bench.contract.task import Verdict
from cl_bench.model.policy import Policy
from cl_bench.slow.settings import SlowConfig
from cl_bench.slow.supervised import SupervisedTuning
from tests.slow.scripted import ONE, TWO, assert_same_gradients, gradients_of, trainable_copy

CONFIG = SlowConfig(learning_rate=1e-3, max_new_tokens=4, temperature=0.5)


def solved(name: str, solution: str | None) -> Exercise:
    """A judge that refuses to be asked: nothing is sampled here."""

    def judge(text: str) -> Verdict:
        raise AssertionError(f"{text!r} was judged")

    return Exercise(name, f"math : {name} : 4", judge, solution)


BATCH = [
    solved("one f two g", "f : 7 ; g : 1 ; answer : 1"),
    solved("one", "answer : 5"),
    solved("two f", "f : 2 ; answer : 2"),
]


def of_trl(policy: Policy, folder: Path, batch: Sequence[Exercise]) -> tuple[Any, float]:
    """The weights and the loss after one step of TRL's trainer on the same texts."""
    from datasets import Dataset
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    end = str(policy.tokenizer.convert_ids_to_tokens(policy.response_tokens([""])[0][-1]))
    rows = [
        {"prompt": policy.template(chat(ONE, e.prompt)), "completion": f"{e.solution}{end}"}
        for e in batch
    ]
    model = trainable_copy(policy)
    trainer = SFTTrainer(
        model=model,  # type: ignore[arg-type]
        args=SFTConfig(
            output_dir=str(folder),
            completion_only_loss=True,
            per_device_train_batch_size=len(rows),
            max_steps=1,
            learning_rate=CONFIG.learning_rate,
            lr_scheduler_type="constant",
            weight_decay=0.0,
            max_grad_norm=CONFIG.max_grad_norm,
            eos_token=end,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            dataloader_pin_memory=False,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=policy.tokenizer,
    )
    trainer.train()
    (loss,) = (entry["loss"] for entry in trainer.state.log_history if "loss" in entry)
    return model, loss


@pytest.mark.filterwarnings("ignore")
def test_a_step_is_that_of_trls_trainer(tiny_policy: Policy, tmp_path: Path) -> None:
    with torch.no_grad():
        for weight in tiny_policy.model.parameters():
            weight.mul_(3)  # so that prompts matter, and the gradient is clipped
    policy = Policy(tiny_policy.model, tiny_policy.tokenizer)
    theirs, loss = of_trl(policy, tmp_path, BATCH)
    (record,) = SupervisedTuning(policy, CONFIG, Ledger()).steps([BATCH], [ONE])
    assert record.loss == pytest.approx(loss, rel=1e-4)
    assert record.grad_norm > CONFIG.max_grad_norm
    ours = dict(policy.model.named_parameters())
    with policy.base() as base:
        before = {name: value.clone() for name, value in base.named_parameters()}
    for name, value in theirs.named_parameters():
        moved = (value - before[name]).detach()
        assert float(moved.abs().max()) > 0
        close = torch.isclose(ours[name] - before[name], moved, rtol=0.05, atol=2e-5)
        # AdamW's first step is ± the learning rate wherever a gradient is not mere rounding.
        assert float(close.float().mean()) > 0.995


@pytest.mark.parametrize("budget", ["ACTIVATIONS", "LOGITS", None])
def test_the_loss_is_the_cross_entropy_of_solution_and_end(
    tiny_policy: Policy, monkeypatch: pytest.MonkeyPatch, budget: str | None
) -> None:
    if budget:  # with nothing to spend, rows go one by one
        monkeypatch.setattr(f"cl_bench.model.memory.{budget}", 0)
    given = gradients_of(tiny_policy.model)
    (record,) = SupervisedTuning(tiny_policy, CONFIG, Ledger()).steps([BATCH], [ONE, TWO])
    model = trainable_copy(tiny_policy)
    terms = []
    for exercise, system in zip(BATCH, [ONE, TWO, ONE], strict=True):
        prompt = tiny_policy.encode([chat(system, exercise.prompt)])[0]
        (solution,) = tiny_policy.tokens([str(exercise.solution)])
        answer = [*solution, tiny_policy.tokenizer.eos_token_id]
        logits = model(input_ids=torch.tensor([[*prompt, *answer]])).logits[0]
        table = torch.log_softmax(logits[len(prompt) - 1 : -1], dim=-1)
        terms.append(-table.gather(1, torch.tensor(answer)[:, None])[:, 0])
    loss = torch.cat(terms).mean()
    loss.backward()  # type: ignore[no-untyped-call]
    assert record.loss == pytest.approx(loss.item(), rel=1e-5)
    assert_same_gradients(given, model)


def test_the_ledger_counts_solutions_and_no_rollouts(tiny_policy: Policy) -> None:
    ledger = Ledger()
    records = list(SupervisedTuning(tiny_policy, CONFIG, ledger).steps([BATCH, BATCH], [ONE]))
    tokens = sum(map(len, tiny_policy.response_tokens([str(e.solution) for e in BATCH])))
    spent = replace(ledger.slow, seconds=0.0)
    assert spent == replace(Ledger().slow, solution_tokens=2 * tokens, optimizer_steps=2)
    assert ledger.fast == Ledger().fast
    assert all(record.reward != record.reward for record in records)


def test_solutions_become_likely(tiny_policy: Policy) -> None:
    config = replace(CONFIG, learning_rate=1e-2)
    records = list(SupervisedTuning(tiny_policy, config, Ledger()).steps([BATCH] * 40, [ONE]))
    assert records[-1].loss < 0.2 < 3 < records[0].loss
    chats = [chat(ONE, exercise.prompt) for exercise in BATCH]
    said = tiny_policy.generate(chats, max_new_tokens=40, temperature=0.0)
    assert [rollout.text for rollout in said] == [exercise.solution for exercise in BATCH]


def test_a_loaded_run_goes_on_exactly_as_the_saved_one(
    tiny_policy: Policy, tiny_model: Path, tmp_path: Path
) -> None:
    trainer = SupervisedTuning(tiny_policy, CONFIG, Ledger())
    list(trainer.steps([BATCH], [ONE]))
    trainer.save(tmp_path)
    expected = [r.loss for r in trainer.steps([BATCH, BATCH], [ONE])]
    again = SupervisedTuning(Policy.load(str(tiny_model)), CONFIG, Ledger())
    again.load(tmp_path)
    assert [r.loss for r in again.steps([BATCH, BATCH], [ONE])] == expected


def test_what_is_not_finite_never_reaches_the_weights(tiny_policy: Policy) -> None:
    *_, weight = tiny_policy.model.parameters()
    weight.register_hook(lambda grad: grad * float("nan"))  # type: ignore[no-untyped-call]
    with pytest.raises(DivergedError, match=r"Step 1 .* gradient norm is nan"):
        list(SupervisedTuning(tiny_policy, CONFIG, Ledger()).steps([BATCH], [ONE]))
    assert tiny_policy.is_base()


@pytest.mark.parametrize("solution", [None, ""])
def test_an_exercise_without_a_solution_is_refused(
    tiny_policy: Policy, solution: str | None
) -> None:
    trainer = SupervisedTuning(tiny_policy, CONFIG, Ledger())
    with pytest.raises(UsageError, match=r"e1 has no solution to learn from.*from_solutions"):
        list(trainer.steps([[solved("e1", solution)]], [ONE]))


def test_a_solution_that_exceeds_the_context_is_refused(tiny_policy: Policy) -> None:
    trainer = SupervisedTuning(tiny_policy, CONFIG, Ledger())
    with pytest.raises(UsageError, match=r"has a solution of \d+, and both do not fit into"):
        list(trainer.steps([[solved("a", "very " * 3000)]], [ONE]))


def test_the_longest_problem_and_the_longest_solution_need_not_fit_together(
    tiny_policy: Policy,
) -> None:
    room = tiny_policy.context
    assert room is not None
    half = " 4" * (room * 5 // 8)
    problem = Exercise("long", f"math :{half}", lambda _: Verdict(0.0, "", None), "6")
    batch = [problem, solved("short", half)]
    asked = tiny_policy.encode([chat(ONE, item.prompt) for item in batch])
    said = tiny_policy.response_tokens([str(item.solution) for item in batch])
    assert max(map(len, asked)) + max(map(len, said)) > room
    (record,) = SupervisedTuning(tiny_policy, CONFIG, Ledger()).steps([batch], [ONE])
    assert record.loss > 0
