"""TRL's GRPOTrainer, one batch a call, over groups whose rollouts use different prompts.

Advantages, the CISPO loss and the training loop are TRL's. Changed are:

- the prompts: rollout n of a run (without `mixed_groups`: the group of exercise n) reads
  `prompts[n % K]`; rewards are normalised over the exercise's whole group, whatever its prompts;
- sampling: responses come from the policy's sampler, one request a row;
- importance ratio: 1 in a batch's first epoch, where the trained model samples itself; in later
  epochs CISPO's old log-probabilities are those of the weights before the first. An engine beside
  the model samples from weights that are rounded or computed otherwise: its log-probabilities are
  the old ones then. Each token's ratio, truncated above at `ratio_cap`, weighs its loss (arXiv
  2506.13585, eq. 4), and the untruncated one its KL penalty. TRL's own correction for vLLM would by
  default mask whole responses by the sum of their log-ratios;
- passes: rows go through the loss in short passes sorted by prompt, each padded only to its own
  longest row, and rows with advantage 0 not at all. Both leave the gradient as it was, because the
  loss is a sum over rows divided by the step's tokens;
- a loss of experts: TRL adds that of every pass, whose number is a matter of memory and of ranks;
  here each counts by its share of the step's rows, and still depends a little on which these are;
- logits: a pass reads each prompt once, and its logits a few positions at a time where they are
  many; TRL's fused head is left to models with a loss of experts;
- the reference of a KL penalty: it is `Policy.base`, so that no second copy is loaded;
- divergence: a quantity that is not finite raises `DivergedError` before it reaches the weights.

Completions cut at `max_new_tokens` stay in the loss, as is TRL's default.
"""

from __future__ import annotations

import gc
import tempfile
import warnings
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from datasets import Dataset
from torch import Tensor
from transformers import PreTrainedModel, TrainerCallback
from transformers.utils import logging
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from cl_bench.contract.errors import UsageError
from cl_bench.contract.learner import Batch, Exercise
from cl_bench.contract.prompts import chat, in_turn
from cl_bench.model import ranks
from cl_bench.model.gradient_path import RECOMPUTATION, turn_dropout_off
from cl_bench.model.memory import Row, gradient_passes
from cl_bench.model.policy import Policy, Rollout, verdicts
from cl_bench.model.random_states import random_states_kept
from cl_bench.model.scoring import frozen_log_probs, response_log_probs
from cl_bench.model.sharding import gradient_norm, idle_passes
from cl_bench.slow.optimizer import adamw, finite_sampling, most_norm, require_finite
from cl_bench.slow.settings import RLConfig

_ROWS_PER_PASS = 32
"""Rows that go through the loss at once, where memory allows."""

_SAMPLER, _OLD = "sampling_per_token_logps", "old_per_token_logps"
"""TRL's names of the sampler's log-probabilities, and of those that its ratio is taken to."""

_BASE = cast(PreTrainedModel, object())
"""Stands where TRL expects a reference model; the base itself is reached through the policy."""

Rows = dict[str, Tensor]
"""TRL's batch: a tensor for each column, one row a rollout."""


@dataclass(slots=True)
class StepResult:
    """The measurements of one step: `reward_N` in the order of its rollouts, the rest as sums."""

    reward_N: list[float] = field(default_factory=list)
    prompt_tokens: int = 0
    generated_tokens: int = 0
    entropy: float = 0.0
    """Summed over the generated tokens, in nats."""
    loss_E: list[float] = field(default_factory=list)
    grad_norm_E: list[float] = field(default_factory=list)
    sampler_ratios: list[Tensor] = field(default_factory=list)
    """Of each pass of the first epoch, with a sampler beside the model: trainer / sampler of every
    token."""
    epoch_ratios: list[Tensor] = field(default_factory=list)
    """Of each pass of the later epochs: probability now / when sampled, of every token."""


class MixedPromptTrainer(GRPOTrainer):
    """GRPO with CISPO, trained by `step`; `adam` is the optimizer of the model's parameters.

    Building one leaves the global random state as it was and turns the model's dropout off.
    `config.kl_beta` weighs a penalty on each sampled token, GRPO's estimate of the divergence to
    the base (arXiv 2402.03300, eq. 4), r - log r - 1 with r = base probability / probability, times
    the importance ratio (arXiv 2512.02556), which at its value of 1 still has a gradient:
    that of the loss is then, in expectation, the gradient of D_KL(policy ‖ base).
    """

    def __init__(self, policy: Policy, config: RLConfig) -> None:
        model, tokenizer = policy.model, policy.tokenizer
        self._policy, self._config = policy, config
        self._result = StepResult()
        self._rollouts: list[Rollout] = []
        self._log_probs = torch.empty(0)
        self._prompts: Sequence[str] = ()
        self._before = 0
        self._number = 0
        self._moving, self._share = 1, 1.0
        turn_dropout_off(model)
        self.adam = adamw(policy, config.learning_rate)
        with _undisturbed(), random_states_kept(model.device):
            super().__init__(
                model=model,
                reward_funcs=self._judge,
                args=_arguments(config, model.device),
                # `step` replaces it; TRL wants one with a row to begin with.
                train_dataset=Dataset.from_dict({"prompt": [""]}),
                processing_class=tokenizer,
                callbacks=[_FiniteGradient(self)],
                optimizers=(self.adam, None),
            )
        state = self.accelerator.state
        if state.num_processes != 1 or state.mixed_precision != "no":
            raise UsageError(
                f"Accelerate was set up in this process before the run, for {state.num_processes} "
                f"processes and the mixed precision {state.mixed_precision!r}, which would change "
                "its numbers. Start the run in a process of its own, without ACCELERATE_… "
                "variables; --precision bf16 is recorded with a run."
            )
        # TRL 1.16 puts a patched `forward` on the instance. A deep copy of the model would keep it,
        # and run this model's weights; so it is only there within `_pass_loss`.
        self._fused_forward = vars(model).pop("forward")
        # Set after `super().__init__`, which for beta > 0 would load a second reference model.
        self.beta, self.ref_model = config.kl_beta, _BASE if config.kl_beta else None

    def step(self, batch: Batch, prompts: Sequence[str], *, before: int, number: int) -> StepResult:
        """Learn from `batch`, in all epochs, and return what was measured.

        `before` is the number of earlier rollouts of the run; `number` names the step in errors.
        Raises `DivergedError` if a quantity is not finite, before it reaches the weights.
        """
        self._prompts, self._before, self._number = prompts, before, number
        self._metrics["train"].clear()  # TRL's own records, which would grow over a run
        self.train_dataset = [{"prompt": chat("", e.prompt), "exercise": e} for e in batch]
        self._resize(len(batch) * self._config.group_size)
        training = self._policy.model.training
        try:
            with _undisturbed():
                self.train()  # an update an epoch, as `max_steps` says; moments of `adam` go on
        finally:
            self._policy.model.train(training)
        return self._result

    def check(self, value: float, name: str) -> None:
        """Raise `DivergedError` unless `value` is finite."""
        require_finite(value, name, step=self._number, learning_rate=self._config.learning_rate)

    def _resize(self, rows: int) -> None:
        """Make a step as large as its batch; TRL reads the size from these three places."""
        arguments = cast(GRPOConfig, self.args)
        arguments.per_device_train_batch_size = arguments.generation_batch_size = rows
        self._train_batch_size = rows

    def log(self, logs: dict[str, float], *_: Any, **__: Any) -> None:
        """Take an epoch's loss and gradient norm from the trainer's log, and write no log."""
        if "grad_norm" in logs:
            self._result.loss_E.append(logs["loss"])
            self._result.grad_norm_E.append(logs["grad_norm"])

    def _send_telemetry(self) -> None:
        """Send nothing; TRL would report its use over the network."""

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> Rows:
        """Give each row its system prompt, then let TRL generate, score and normalise."""
        rollouts = range(self._before, self._before + len(inputs))
        systems = in_turn(self._prompts, rollouts, run=self._config.prompt_run)
        prompted = [
            row | {"prompt": chat(system, row["exercise"].prompt)}
            for row, system in zip(inputs, systems, strict=True)
        ]
        outputs: Rows = super()._generate_and_score_completions(prompted)
        if _SAMPLER in outputs:
            outputs[_OLD] = outputs.pop(_SAMPLER)
        outputs["advantages"][_flat(self._result.reward_N, self._config.group_size)] = 0.0
        if self._config.loss_average == "exercise":
            # TRL multiplies every token's loss by this mask, and by nothing else.
            outputs["tool_mask"] = _weights(outputs["completion_mask"], self._config.group_size)
        return outputs

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], *_: Any, **__: Any
    ) -> tuple[list[list[int]], list[list[float]] | None]:
        """Return the sampled tokens, and their log-probabilities if they are not the loss's own."""
        with finite_sampling(self._number, self._config.learning_rate):
            rollouts = self._policy.continue_tokens(
                prompt_ids,
                max_new_tokens=self._config.max_new_tokens,
                temperature=self._config.temperature,
            )
        self._result = StepResult(
            prompt_tokens=sum(map(len, prompt_ids)),
            generated_tokens=sum(len(rollout.completion_ids) for rollout in rollouts),
            entropy=sum(rollout.entropy for rollout in rollouts),
        )
        self._rollouts = rollouts
        log_probs = [list(rollout.log_probs) for rollout in rollouts]
        own = self._policy.sampler.own_model
        return [list(rollout.completion_ids) for rollout in rollouts], None if own else log_probs

    def _judge(self, exercise: Sequence[Exercise], **_: object) -> list[float | None]:
        """TRL's reward function. TRL gives it the column `exercise` under its name."""
        # Rows keep the order of `_generate_single_turn` until they have been scored.
        found = verdicts(self._rollouts, [item.judge for item in exercise])
        rewards = [float(verdict.score) for verdict in found]
        # TRL would give a rollout whose reward is not finite the advantage 0 and go on.
        self.check(sum(rewards), "reward")
        self._result.reward_N = rewards
        return list(rewards)

    def _compute_loss(self, model: torch.nn.Module, inputs: Rows) -> Tensor:
        """Return TRL's loss over this rank's groups of `inputs`, computed in passes.

        The gradients of all passes but the last are already added to the weights; the trainer
        calls `backward` on what is returned, which holds the graph of the last pass only.
        """
        *passes, last = self._passes(inputs)
        loss = torch.zeros((), device=inputs["advantages"].device)
        for rows in passes:
            part = self._pass_loss(model, rows)
            self.accelerator.backward(part)
            loss += part.detach()
            del part  # else its graph would live until the next pass has made its own
        return loss + self._pass_loss(model, last)

    def training_step(self, *given: Any, **named: Any) -> Tensor:
        """Return the loss of all ranks, having gone back from it; each then has its gradient."""
        own: Tensor = super().training_step(*given, **named)  # type: ignore[no-untyped-call]
        loss = ranks.summed(float(own))
        self.check(loss, "loss")
        ranks.sum_gradients(self._policy.model.parameters())
        return own.new_tensor(loss)

    def _passes(self, inputs: Rows) -> list[Rows]:
        """Return the rows that have a gradient and are this rank's, as passes of like prompts that
        fit into memory."""
        places, rows = _moving(inputs, still_rows=self.beta > 0)
        self._moving = len(rows)
        own = _own_groups([row[0] for row in rows])
        model = self._policy.model
        passes = gradient_passes(model, [rows[place] for place in own], _ROWS_PER_PASS)
        found = [_take(inputs, places[own][part]) for part in passes]
        # A rank without rows of its own needs a loss to go back from, too.
        idle = idle_passes(model, len(found)) or int(not found)
        return found + [_without_weight(_take(inputs, places[:1]))] * idle

    def _pass_loss(self, model: torch.nn.Module, rows: Rows) -> Tensor:
        """Return TRL's loss of one pass, with TRL's `forward` on the model for that long."""
        vars(self._policy.model)["forward"] = self._fused_forward
        idle = "tool_mask" in rows and not rows["tool_mask"].any()
        self._share = 0.0 if idle else len(rows["advantages"]) / self._moving
        try:
            with _experts_counted(self._policy.model):
                loss: Tensor = super()._compute_loss(model, rows)  # type: ignore[no-untyped-call]
        finally:
            del vars(self._policy.model)["forward"]
        if _OLD in rows:
            counted = rows["completion_mask"].bool()
            if "tool_mask" in rows:
                counted &= rows["tool_mask"] != 0
            ratio = (self._log_probs - rows[_OLD]).exp()[counted]
            if self.state.global_step:  # of this batch: every call of `train` counts from 0
                self._result.epoch_ratios.append(ratio)
            elif not self._policy.sampler.own_model:
                self._result.sampler_ratios.append(ratio)
        return loss

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        **rest: Any,
    ) -> Any:
        """Return log-probabilities, entropies and None, TRL's auxiliary loss (of experts)."""
        if not torch.is_grad_enabled():  # of the base, or of the policy before the first epoch
            frozen = self._policy.base() if model is _BASE else nullcontext(model)
            with frozen as scored, self._policy.autocast():
                texts = (input_ids, attention_mask, logits_to_keep, self._config.temperature)
                return frozen_log_probs(scored, *texts), None, None
        rows = (model, input_ids, attention_mask, logits_to_keep)
        with self._policy.autocast():
            if self.aux_loss_enabled:
                *both, experts = super()._get_per_token_logps_and_entropies(*rows, **rest)
                found = (*both, experts * self._share)
            else:
                found = (*response_log_probs(*rows, self._config.temperature), None)
        self._log_probs = found[0].detach()
        return found


class _FiniteGradient(TrainerCallback):
    """Stops training before a gradient that is not finite reaches the weights."""

    def __init__(self, trainer: MixedPromptTrainer) -> None:
        self._trainer = trainer

    def on_pre_optimizer_step(self, *_: Any, **kwargs: Any) -> None:
        self._trainer.check(gradient_norm(kwargs["model"].parameters()), "gradient norm")


def _arguments(config: RLConfig, device: torch.device) -> GRPOConfig:
    arguments = GRPOConfig(
        # transformers insists on a folder that exists, though nothing is written there.
        output_dir=tempfile.gettempdir(),
        use_cpu=device.type == "cpu",
        # The policy sets the precision (`Policy.autocast`), the same for its model and its base.
        bf16=False,
        gradient_checkpointing=False,  # the policy's own affair; TRL sets it anew with these:
        gradient_checkpointing_kwargs=RECOMPUTATION,
        use_cache=True,
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        disable_dropout=True,
        report_to=[],
        disable_tqdm=True,
        log_level="error",
        logging_steps=1,
        logging_nan_inf_filter=False,  # a loss that is not finite has to be seen
        save_strategy="no",
        max_steps=config.epochs_per_batch,
        num_iterations=config.epochs_per_batch,
        lr_scheduler_type="constant",
        learning_rate=config.learning_rate,
        max_grad_norm=most_norm(config),
        shuffle_dataset=False,
        per_device_train_batch_size=config.group_size,
        num_generations=config.group_size,
        max_completion_length=config.max_new_tokens,
        temperature=config.temperature,
        loss_type="cispo",
        epsilon_high=config.ratio_cap,
        beta=0.0,  # set by `MixedPromptTrainer` afterwards
        use_bias_correction_kl=True,
        scale_rewards="group",
    )
    # Of several GPUs a process takes the first; TRL refuses to take them all.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def _moving(inputs: Rows, *, still_rows: bool) -> tuple[Tensor, list[Row]]:
    """Return the places of the rows whose advantage is not 0, sorted by prompt, and their sizes.

    With `still_rows` all rows: a KL penalty moves those without an advantage too. At least one row
    is returned in any case, because the trainer needs a loss to go back from.
    """
    prompts, places = torch.unique(inputs["prompt_ids"], dim=0, return_inverse=True)
    order = (inputs["prompt_mask"].sum(1) * len(prompts) + places).argsort(stable=True)
    moves = (inputs["advantages"][order] != 0) | still_rows
    if not moves.any():
        moves[0] = True
    found = order[moves]
    lengths = (inputs[f"{part}_mask"].sum(1)[found].tolist() for part in ("prompt", "completion"))
    return found, list(zip(places[found].tolist(), *lengths, strict=True))


def _own_groups(prompt_N: Sequence[Hashable]) -> list[int]:
    """Return the places of the rows of this rank's prompts, of rows with prompts numbered so."""
    own = {*list(dict.fromkeys(prompt_N))[ranks.rank() :: ranks.count()]}
    return [place for place, prompt in enumerate(prompt_N) if prompt in own]


def _flat(reward_N: Sequence[float], group_size: int) -> list[int]:
    """Return the places of the rows whose whole group has one reward, and so no advantage.

    TRL's mean of equal rewards in float32 is off by rounding, and AdamW makes whole steps of that.
    """
    starts = range(0, len(reward_N), group_size)
    flat = [start for start in starts if len({*reward_N[start : start + group_size]}) == 1]
    return [place for start in flat for place in range(start, start + group_size)]


def _without_weight(rows: Rows) -> Rows:
    """Return the rows with a loss of 0."""
    return rows | {"tool_mask": torch.zeros_like(rows["completion_mask"], dtype=torch.float)}


def _weights(mask: Tensor, group_size: int) -> Tensor:
    """Return weights (rows, tokens) under which every exercise's tokens weigh the same together.

    `mask` (rows, tokens) tells the sampled tokens; the rows of an exercise stand together.
    """
    tokens_N = mask.sum(1).view(-1, group_size).sum(1)
    weight_N = tokens_N.sum() / (len(tokens_N) * tokens_N)
    return weight_N.repeat_interleave(group_size)[:, None].expand_as(mask)


def _take(inputs: Rows, places: Tensor) -> Rows:
    """Return the rows at `places`, without the columns that are padding in all of them."""
    rows = {name: value[places] if value.dim() else value for name, value in inputs.items()}
    prompt, completion = (int(rows[f"{n}_mask"].sum(1).max()) for n in ("prompt", "completion"))
    for name, value in rows.items():
        if value.dim() == 2:
            rows[name] = value[:, -prompt:] if name.startswith("prompt_") else value[:, :completion]
    return rows


@contextmanager
def _experts_counted(model: PreTrainedModel) -> Iterator[None]:
    """Within this context, a configuration has its number of experts under the name TRL asks for.

    TRL 1.16 looks for `num_experts` alone; this can go when it knows the other names.
    """
    config: Any = model.config.get_text_config()
    others = ("num_local_experts", "n_routed_experts")
    count = next((getattr(config, name) for name in others if hasattr(config, name)), None)
    missing = count is not None and not hasattr(config, "num_experts")
    if missing:
        config.num_experts = count
    try:
        yield
    finally:
        if missing:
            del config.num_experts


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Suppress log lines, deprecation warnings and `train`'s garbage collection in this context.

    The warnings are about TRL's use of transformers, and can go when TRL has caught up. The full
    collection that `train` begins with would cost 0.2 s a step; frozen objects are not scanned.
    """
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    gc.freeze()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        gc.unfreeze()
        logging.set_verbosity(verbosity)
