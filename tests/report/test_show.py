"""`cl-bench show`: everything about a run that a terminal can hold."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cl_bench.cli.app import app
from cl_bench.report.show import show, show_several
from cl_bench.report.terminal import plain
from cl_bench.store.run_tables import find_runs, open_run
from tests.report.synthetic_runs import write_run

HOSTILE = "\x1b[31mred\x07 \u202eltr <script> [bold]\x00 \ud800"


def shown(path: Path, width: int = 100, ascii_only: bool = False, **fields: Any) -> str:
    run = open_run(write_run(path, **fields))
    return plain(run, show, width=width, ascii_only=ascii_only)


def test_it_has_summary_curves_divergences_and_prompts(tmp_path: Path) -> None:
    text = shown(tmp_path / "run", texts=("think .", "think twice .", "think often ."))
    assert text.startswith(str(tmp_path / "run"))
    assert "fst on math-to-code, seed 0, model embedded: done" in text
    assert re.search(r"average_accuracy +75\.0 % +37\.5 %", text)
    (learner,) = (line for line in text.splitlines() if line.startswith("math learner"))
    assert learner.split() == ["math", "learner", "25.0", "%", "▃▃▃▃▄▄▄▄▅▅▅▅│▆▆▆▆▇▇▇▇", "75.0", "%"]
    assert re.search(r"\n2 code +0\.040 nats \(0\.080 nats\) +0\.040 nats \(0\.080 nats\)\n", text)
    prompts = text[text.index("Prompts after round 2 (step 20), best first") :].splitlines()[1:]
    assert prompts == [
        "2: score 50.0 %, rewritten from 1",
        "    think often .",
        "1: score 25.0 %, rewritten from 0",
        "    think twice .",
    ]


def test_equal_prompts_share_a_line_and_no_prompts_are_no_section(tmp_path: Path) -> None:
    text = shown(tmp_path / "run", texts=(), accuracy=lambda step, _domain, _prompt: step / 40)
    assert "math both prompts" in text
    assert "math seed" not in text
    assert "Prompts after" not in text


def test_an_unfinished_run_shows_what_there_is(tmp_path: Path) -> None:
    text = shown(tmp_path / "half", last=20, status="running")
    assert "running (evaluated up to step 20 of 40)" in text
    assert "2 code" in text
    assert "▃▃▃▃▄▄▄▄▅▅▅▅ 50.0 %" in text
    nothing = shown(tmp_path / "none", last=-1, status="failed", reason="OSError: disk full")
    assert "failed (no evaluation yet)" in nothing
    assert "OSError: disk full" in nothing
    assert "Accuracy over the run" not in nothing
    assert "KL(policy ‖ base) in nats" not in nothing
    assert "nan" not in text + nothing


def test_a_dirty_tree_is_said(tmp_path: Path) -> None:
    assert "made from a dirty tree" in shown(tmp_path / "a", provenance={"git_dirty": True})
    assert "dirty tree" not in shown(tmp_path / "b")


@pytest.mark.parametrize("width", [40, 60, 100, 160])
def test_it_keeps_to_the_width(width: int, tmp_path: Path) -> None:
    texts = ("start .", "a prompt of many words " * 20, "x" * 500)
    stages = (("math", 20), ("code", 20), ("star-graph", 20))
    text = shown(tmp_path / "run", width=width, stages=stages, texts=texts, every=2)
    assert max(map(len, text.splitlines()[2:])) <= width


def test_hostile_texts_do_nothing_to_a_terminal(tmp_path: Path) -> None:
    text = shown(
        tmp_path / "run",
        learner=HOSTILE.replace("\ud800", ""),
        stages=((HOSTILE.replace("\ud800", ""), 20),),
        status="failed",
        reason=HOSTILE,
        texts=("a", f"{HOSTILE[:-1]}\nsecond line"),
    )
    assert all(character.isprintable() or character == "\n" for character in text)
    assert "\\x1b[31mred\\x07 \\u202eltr <script> [bold]\\x00" in text
    assert "    second line" in text


def test_a_prompt_without_end_is_cut_with_its_length(tmp_path: Path) -> None:
    text = shown(tmp_path / "run", texts=("a", "word " * 2_000))
    assert "… and 8,000 more characters" in text


def test_ascii_terminals_get_ascii(tmp_path: Path) -> None:
    text = shown(tmp_path / "run", ascii_only=True)
    assert text.isascii()
    assert "math learner 25.0 % ::::----====|++++**** 75.0 %" in text


def test_the_command_prints_plain_text_when_piped(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run")
    result = CliRunner().invoke(app, ["show", str(path)])
    assert result.exit_code == 0, result.stderr
    assert result.stdout == plain(open_run(path), show) + "\n"
    assert "\x1b" not in result.stdout
    assert max(map(len, result.stdout.splitlines()[2:])) <= 100


def test_a_damaged_manifest_is_told_in_one_line(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run")
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["stream"], manifest["config_hash"]
    (path / "manifest.json").write_text(json.dumps(manifest))
    result = CliRunner().invoke(app, ["show", str(path)])
    assert result.exit_code == 2
    assert "its manifest or tables are not those of a run" in " ".join(result.stderr.split())


def test_the_command_looks_at_the_encoding(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run")
    code = (
        "import sys; from cl_bench.cli.app import app\n"
        f"try: app(['show', {str(path)!r}])\n"
        "except SystemExit as end: assert not end.code\n"
    )
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=environment, check=True
    )
    assert "|++++****" in done.stdout.decode("ascii")


def test_of_a_folder_of_runs_each_has_a_line(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run(tmp_path / str(seed), seed=seed)
    (tmp_path / "1" / "manifest.json").write_text("{")
    write_run(tmp_path / "2", seed=2, status="running", last=-1)
    result = CliRunner().invoke(app, ["show", str(tmp_path)])
    assert result.exit_code == 0, result.stderr
    text = result.stdout
    assert re.search(r"(?m)^run +seed +status +accuracy$", text)
    assert re.search(r"(?m)^0 +0 +done +75\.0 %", text)
    assert re.search(r"(?m)^2 +2 +running +—", text)
    assert "2 runs, learner fst, stream math-to-code; accuracy" in text
    assert "manifest.json is damaged" in " ".join(text.split())


def test_what_is_no_run_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["show", str(tmp_path)])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "There is no run at or below" in " ".join(result.stderr.split())


def test_of_a_folder_a_damaged_run_is_a_line_beside_the_others(tmp_path: Path) -> None:
    write_run(tmp_path / "whole")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd/manifest.json").write_text('{"schema_version": 1}')
    text = plain(find_runs([tmp_path]), show_several)
    assert re.search(r"^whole +fst +math-to-code +0 +done +75\.0 %$", text, re.MULTILINE)
    assert "odd: its manifest or tables are not those of a run" in text


def test_of_a_folder_two_settings_of_a_learner_are_told_apart(tmp_path: Path) -> None:
    for rate in (0.1, 0.2):
        write_run(tmp_path / str(rate), config={"learning.learning_rate": rate})
    write_run(tmp_path / "rl", learner="rl")
    text = plain(find_runs([tmp_path]), show_several)
    assert re.search(r"(?m)^0\.1 +fst +0 +75\.0 % +learning_rate=0\.1$", text)
    assert re.search(r"(?m)^0\.2 +fst +0 +75\.0 % +learning_rate=0\.2$", text)
    assert re.search(r"(?m)^rl +rl +0 +75\.0 %$", text)
