"""The ten claims as they were registered before the runs that judge them.

Every claim has the paper's figures (Tiwari et al., arXiv 2605.12484; Qwen3-8B, in percent unless
said otherwise) and the statements that a reproduction is judged by (see `cl_bench.claims.rule`).
Names of domains: facts stands in for HoVer, code for CodeIO. `python -m cl_bench.claims.registered`
prints docs/claims-rules.md. Changing anything here after runs were made is changing the rules: say
so in the page.

Terms used in the statements: a *single run* trains on one domain; *own prompt* is the prompt a
learner would be evaluated with, the seed prompt for RL; the *end* of a run is its last evaluation,
its *plateau* the mean of its last three.
"""

from __future__ import annotations

from dataclasses import dataclass

from cl_bench.claims.rule import Statement


@dataclass(frozen=True)
class PaperFigure:
    """One row of the paper's figures: what was measured, and the value of each column."""

    what: str
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, and what it takes to reproduce it."""

    number: int
    name: str
    """For files and links: `sample-efficiency`."""
    title: str
    definition: str
    paper: tuple[PaperFigure, ...]
    statements: tuple[Statement, ...]


def _row(what: str, **values: str) -> PaperFigure:
    return PaperFigure(
        what, tuple((name.replace("_", " "), value) for name, value in values.items())
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        1,
        "sample-efficiency",
        "Fast-slow training needs fewer samples than RL",
        "On single runs, the samples at which RL first reaches its own peak of validation accuracy "
        "(running maximum), divided by the samples at which fast-slow training first reaches that "
        "level. Where it never does, the ratio is RL's samples over all samples of the fast-slow "
        "run: a ratio of at most 1, and one that flatters. Where RL's peak is the base model's "
        "score, the ratio is undefined. Mean of the logarithms over facts, code and math.",
        (_row("times fewer samples", CodeIO="3.0", Math="1.4", HoVer_hard="3.0"),),
        (
            Statement("1a", "ratio of training samples (the paper's axis)", 1.0, 1.1, "ratio"),
            Statement(
                "1b",
                "ratio of all rollouts, the prompt optimiser's included",
                1.0,
                1.1,
                "ratio",
                primary=False,
            ),
        ),
    ),
    Claim(
        2,
        "asymptote",
        "Fast-slow training approaches a higher asymptote than RL",
        "R − R0 = (A − R0) / (1 + (C_mid / C)^B), C the training samples, is fitted to the mean "
        "trajectory over seeds of single runs (own prompt); A of fast-slow training minus A of RL, "
        "mean over facts, code and math. A fit is undefined when A lies at a bound, or more than "
        "0.1 above the best accuracy that the mean trajectory reached: that is extrapolation. With "
        "an undefined fit there is no mean. The interval is the bootstrap over seeds, paired.",
        (
            _row("asymptote, FST", CodeIO="47.4", Math="49.2", HoVer_hard="25.0"),
            _row("asymptote, RL", CodeIO="43.0", Math="46.4", HoVer_hard="17.3"),
        ),
        (
            Statement("2a", "A of fast-slow training minus A of RL", 0.0, 0.02),
            Statement(
                "2b",
                "plateau of fast-slow training minus plateau of RL, own prompts",
                0.0,
                0.02,
            ),
        ),
    ),
    Claim(
        3,
        "kl",
        "Fast-slow training stays closer to the base at the same accuracy",
        "KL(policy ‖ base), nats per token over the full vocabulary on responses of the policy to "
        "the test problems, interpolated along single runs at ten accuracies that both learners "
        "reach; RL's sum over fast-slow training's sum, between 1/1024 and 1024. Mean of the "
        "logarithms over those of facts, code, math and physics that have common accuracies.",
        (
            _row("Physics, KL at reward 78", FST="≈ 0.03", RL="≈ 0.08"),
            _row("largest reduction", FST_against_RL="up to 70 % less"),
        ),
        (
            Statement("3a", "times less KL, each under its own prompt", 1.0, 1.1, "ratio"),
            Statement(
                "3b", "times less KL, both under the seed prompt", 1.0, 1.1, "ratio", primary=False
            ),
        ),
    ),
    Claim(
        4,
        "out-of-distribution",
        "Fast-slow training keeps what it was not trained on at least as well as RL",
        "At the end of single runs on facts, code and math, without the evolved prompt: the mean "
        "accuracy over the other four domains (problems with conventions of their own, stated in "
        "the prompt) and the trained domain's hardest setting (seed prompt), five sets of equal "
        "weight.",
        (
            _row("CodeIO, OOD average", base="41.0", RL="51.1", FST="49.7"),
            _row("Math, OOD average", base="26.9", RL="36.2", FST="36.5"),
            _row("HoVer, OOD average", base="47.5", RL="48.4", FST="48.5"),
        ),
        (
            Statement("4a", "fast-slow training minus RL (no worse)", -0.02, -0.02),
            Statement("4b", "fast-slow training minus the base", -0.02, -0.02, primary=False),
            Statement(
                "4c",
                "forgetting_max of RL minus that of fast-slow training, own prompts, on the stream "
                "facts → code → physics",
                0.0,
                0.02,
                primary=False,
            ),
        ),
    ),
    Claim(
        5,
        "plasticity",
        "After fast-slow training a model learns a new task better than after RL",
        "Fresh RL on facts from the base and from the last models of RL and fast-slow training on "
        "math and on physics, with equal seed and budget; accuracy at the end under the seed "
        "prompt. Mean over the two origins.",
        (
            _row("after Math", base="20.2", RL="0.0", FST="16.7"),
            _row("after Physics", base="18.3", RL="19.9", FST="24.2"),
        ),
        (
            Statement("5a", "from fast-slow training minus from RL", 0.0, 0.02),
            Statement(
                "5b", "from fast-slow training minus from the base", -0.02, -0.02, primary=False
            ),
        ),
    ),
    Claim(
        6,
        "continual",
        "In one uninterrupted run, fast-slow training learns the later tasks better than RL",
        "Stream facts → code → physics, boundaries hidden. Accuracy (own prompt) normalised: minus "
        "the base, over the best that any learner of the comparison (rl, prompt, fst) reached in "
        "that task's own stage, same seed, minus the base. Undefined on a task on which none of "
        "them gained 0.05 over the base: a share of next to nothing says nothing.",
        (
            _row("CodeIO after its stage, share of peak", RL="≈ 10", FST="≈ 95"),
            _row("CodeIO after its stage, accuracy", RL="20.7", FST="37.7"),
            _row("Physics at the end, share of peak", RL="≈ 92", FST="100"),
            _row("HoVer at the end, share of peak", RL="≈ 95–98", FST="≈ 95–98"),
        ),
        (
            Statement(
                "6a",
                "fast-slow training minus RL at the end of the task's own stage, mean of code and "
                "physics",
                0.0,
                0.05,
            ),
            Statement(
                "6b",
                "fast-slow training minus RL on facts at the end of the run (no worse)",
                -0.05,
                -0.05,
                primary=False,
            ),
            Statement(
                "6c",
                "average accuracy at the end of the run, fast-slow training minus RL",
                0.0,
                0.02,
                primary=False,
            ),
        ),
    ),
    Claim(
        7,
        "zero-reward",
        "Fast-slow training escapes a zero reward sooner",
        "Single runs on star-graph, where the base scores about 0. Onset: the training samples at "
        "which the mean training reward of 640 successive samples first reaches 0.1; if never, all "
        "samples of the run. The domain has one convention: seeds differ in problems and sampling.",
        (
            _row("first step with a signal", FST="≈ 50", RL="≈ 250"),
            _row("reward at step 300", FST="≈ 80", RL="≈ 40"),
        ),
        (
            Statement("7a", "onset of RL over onset of fast-slow training", 1.0, 1.5, "ratio"),
            Statement(
                "7b",
                "mean training reward over the whole run, fast-slow training minus RL",
                0.0,
                0.05,
            ),
        ),
    ),
    Claim(
        8,
        "both-channels",
        "Parameters and prompts both carry the gain",
        "At the end of single runs of fast-slow training on facts, code and math: accuracy of "
        "{base, trained} parameters under {seed, evolved} prompt; mean over the three.",
        (
            _row("HoVer", base_seed="2.0", base_evolved="10.6", trained_seed="11.6", both="21.2"),
            _row("Math", base_seed="20.0", base_evolved="20.3", trained_seed="47.2", both="48.4"),
            _row("CodeIO", base_seed="19.4", base_evolved="34.5", trained_seed="25.1", both="43.3"),
        ),
        (
            Statement("8a", "slow: trained + seed minus base + seed", 0.0, 0.02),
            Statement("8b", "fast: base + evolved minus base + seed", 0.0, 0.02),
            Statement(
                "8c",
                "both minus the better of the two alone, seed by seed and domain by domain",
                0.0,
                0.02,
                primary=False,
            ),
        ),
    ),
    Claim(
        9,
        "prompt-ceiling",
        "Prompt optimisation alone hits a ceiling",
        "Single runs on facts, code and math (own prompts). The plateau of a prompt-only run, and "
        "what it gained since the middle: the mean of its last three evaluations minus the mean of "
        "the three around the middle.",
        (_row("GEPA alone", CodeIO="34.5", Math="20.3", HoVer="10.6"),),
        (
            Statement("9a", "plateau of fast-slow training minus that of prompt-only", 0.0, 0.05),
            Statement(
                "9b",
                "minus the gain of prompt-only in the second half (it gains less than 0.05)",
                -0.05,
                -0.05,
            ),
        ),
    ),
    Claim(
        10,
        "distillation",
        "FST-distill levels off below fast-slow training",
        "Single runs on facts, own prompts: accuracy and token entropy of the plateau.",
        (
            _row("validation reward on HoVer", FST="≈ 48", FST_distill="≈ 31"),
            _row("entropy, nats", FST="≈ 0.45", FST_distill="≈ 0.32"),
        ),
        (
            Statement("10a", "accuracy, fast-slow training minus FST-distill", 0.0, 0.02),
            Statement(
                "10b",
                "entropy, fast-slow training minus FST-distill",
                0.0,
                0.02,
                "nats",
                primary=False,
            ),
        ),
    ),
)


if __name__ == "__main__":
    from cl_bench.claims.rules_page import markdown

    print(markdown(), end="")
