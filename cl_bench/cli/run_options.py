"""The options of `cl-bench run`: types and help.

Their defaults stand where the command does and are those of the embedded model; for another model
those of its preset take their place (`cl_bench.execution.presets`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

LEARNING = "What the learner may spend"
REFLECTION = "Who rewrites prompts (learners that have prompts)"
VARIANTS = "For single learners"
EVALUATION = "Evaluation"
Name = typer.Option

Stream = Annotated[
    str,
    Name(help="A stream, a-to-b over domains (math, gym/gcd, my.jsonl), or FILE.toml."),
]
Learner = Annotated[str, Name(help="rl, prompt, fst; see `cl-bench list`.")]
Model = Annotated[str, Name(help="embedded, smollm2, a folder, a GGUF file or a hub name.")]
Seed = Annotated[int, Name(help="Seed of conventions, problems and sampling.")]
Out = Annotated[Path | None, Name(help="New directory for the run (results/…).")]
Resume = Annotated[Path | None, Name(help="Go on with an interrupted run.")]
Steps = Annotated[int | None, Name(help="Training steps per stage.")]
Setting = Annotated[str | None, Name(help="easy, default or hard.")]
Feedback = Annotated[str, Name(help="none, answer, step or full.")]
Boundaries = Annotated[str, Name(help="hidden or announced.")]
Device = Annotated[str, Name(help="auto, cpu or cuda.")]
Precision = Annotated[str, Name(help="float32, or bf16 where the processor has it.")]
KeepStageModels = Annotated[
    bool, Name("--keep-stage-models", help="Keep the model of every stage's end.")
]
Track = Annotated[list[str] | None, Name(help="tensorboard, wandb, trackio or mlflow; repeatable.")]
Quiet = Annotated[bool, Name("--quiet", help="Print the summary only.")]
Debug = Annotated[bool, Name("--debug", help="Show tracebacks.")]
LearningRate = Annotated[
    float, Name(help="Step size of AdamW on the parameters.", rich_help_panel=LEARNING)
]
ProblemsPerStep = Annotated[int, Name(help="Problems in one RL step.", rich_help_panel=LEARNING)]
GroupSize = Annotated[int, Name(help="Rollouts per problem.", rich_help_panel=LEARNING)]
RoundEvery = Annotated[
    int, Name(help="RL steps between two prompt rounds.", rich_help_panel=LEARNING)
]
Population = Annotated[int, Name(help="System prompts kept.", rich_help_panel=LEARNING)]
Proposals = Annotated[int, Name(help="Rewrites proposed in one round.", rich_help_panel=LEARNING)]
MaxNewTokens = Annotated[
    int, Name(help="Longest response, in tokens; for evaluation too.", rich_help_panel=LEARNING)
]
ConsecutiveRounds = Annotated[
    int, Name(help="Rounds: prompt-then-rl, rl-then-prompt.", rich_help_panel=VARIANTS)
]
KLBeta = Annotated[float, Name(help="KL penalty of rl-kl.", rich_help_panel=VARIANTS)]
ReplayShare = Annotated[
    float, Name(help="Share of past problems in rl-replay.", rich_help_panel=VARIANTS)
]
MixedGroups = Annotated[
    bool, Name(help="Spread a problem's rollouts over prompts.", rich_help_panel=VARIANTS)
]
Refill = Annotated[
    bool, Name(help="Fill the Pareto frontier up to --population.", rich_help_panel=VARIANTS)
]
SeedPrompt = Annotated[
    str, Name(help="System prompt that every learner starts from.", rich_help_panel=LEARNING)
]
ReflectionLM = Annotated[
    str,
    Name(
        help=r"base, digest, oracle, local:NAME, openai:MODEL\[@URL] or litellm:NAME\[@URL].",
        rich_help_panel=REFLECTION,
    ),
]
ReflectionTimeout = Annotated[
    float, Name(help="Seconds an endpoint has for an answer.", rich_help_panel=REFLECTION)
]
ReflectionRetries = Annotated[
    int, Name(help="Further attempts after a failed one.", rich_help_panel=REFLECTION)
]
ReflectionTokenBudget = Annotated[
    int, Name(help="Tokens it may read and write; 0: no limit.", rich_help_panel=REFLECTION)
]
Record = Annotated[
    Path | None,
    Name(help="File for its calls (reflections.jsonl in --out).", rich_help_panel=REFLECTION),
]
Replay = Annotated[
    Path | None,
    Name(help="Answer its calls from this file or run.", rich_help_panel=REFLECTION),
]
EvalEvery = Annotated[int, Name(help="Steps between evaluations.", rich_help_panel=EVALUATION)]
Items = Annotated[int, Name(help="Test problems per domain.", rich_help_panel=EVALUATION)]
Samples = Annotated[int, Name(help="Responses per item.", rich_help_panel=EVALUATION)]
KLItems = Annotated[
    int, Name(help="Items that KL is measured on; 0: all.", rich_help_panel=EVALUATION)
]
RetentionItems = Annotated[
    int,
    Name(help="Items of each domain outside the stream; 0: none.", rich_help_panel=EVALUATION),
]
Transcripts = Annotated[
    int, Name(help="Responses per domain kept in full; 0: none.", rich_help_panel=EVALUATION)
]
Probes = Annotated[
    bool,
    Name(
        help="At stage ends also ask the base, and problems of the hardest setting.",
        rich_help_panel=EVALUATION,
    ),
]
