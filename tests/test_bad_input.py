"""Bad input: what each prints, its exit code, and that nothing is written.

tests/snapshots/bad-input.md is made from the cases below by running them, and held to them here:

    python -m tests.test_bad_input
"""

from __future__ import annotations

import json
import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import asdict
from pathlib import Path
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from cl_bench.cli.app import app
from cl_bench.contract.stream_names import stream
from cl_bench.contract.text import config_hash, printable
from cl_bench.execution.settings import RunConfig
from cl_bench.model.loading import locate
from cl_bench.model.named import EMBEDDED_FOLDER
from cl_bench.store.run_directory import RunDirectory
from cl_bench.store.schema import SCHEMA_VERSION

SNAPSHOT = Path(__file__).parent / "snapshots" / "bad-input.md"
HEAD = """\
# Bad input

What the command line says when it cannot do what it is asked: one line on stderr, exit code 2,
nothing written, and a traceback only with `--debug`. `python -m tests.test_bad_input` writes this
file from the cases in it.

| what is wrong | `cl-bench …` | what it prints |
|---|---|---|
"""

MODELS = {
    "a folder without a tokenizer": "no-tokenizer",
    "a tokenizer without a chat template": "no-chat-template",
    "a chat template that is not a template": "broken-template",
    "a chat template that drops the user's message": "deaf-template",
    "a folder without weights": "no-weights",
    "weights in a pickle": "pickle",
    "truncated weights": "truncated",
    "weights that are too few for the configuration": "too-few",
    "weights of another shape": "other-shape",
    "a configuration that is not JSON": "broken-config",
    "a tokenizer file that is not JSON": "broken-tokenizer",
    "a model that needs code of its own": "own-code",
    "a masked language model": "masked",
    "an encoder-decoder": "encoder-decoder",
    "a model of images": "images",
    "a LoRA adapter without its base model": "adapter",
    "a folder of several GGUF files": "gguf",
    "a damaged GGUF file": "gguf/damaged.gguf",
    "a GGUF file of another kind of model": "gguf/other.gguf",
    "a GGUF file that is not there": "gguf/nowhere.gguf",
    "a single safetensors file": "whole/model.safetensors",
    "an empty folder": "empty",
    "a folder that is not there": "./nowhere",
}
MATRICES = {
    "percent": "10,20\n90,30\n40,80\n",
    "square": "0.9,0.3\n0.4,0.8\n",
    "words": "0.1,0.2\n0.9,high\n0.4,0.8\n",
    "short": "0.1,0.2\n0.9\n0.4,0.8\n",
}
_ROW = '{{"prompt": "{0} + 1", "answer": {0}}}\n'
_ROWS = "".join(map(_ROW.format, range(20)))
_SPLIT = '{{"prompt": "{0} + 1", "answer": {0}, "split": "{1}"}}\n'
DATA = {
    "rows.jsonl": _ROWS,
    "empty.jsonl": "",
    "broken.jsonl": _ROWS + '{"prompt": "20 + 1", "ans',
    "rubbish.jsonl": "\0\1\2",
    "packed.jsonl.gz": "",
    "columns.csv": "text,right\n1 + 1,2\n",
    "cells.csv": "prompt,answer\n1 + 1,2\n1 + 2,3,4\n",
    "quote.csv": 'prompt,answer\n"1 + 1,2\n',
    "none.jsonl": _ROWS + '{"prompt": "20 + 1", "answer": null}\n',
    "mixed.jsonl": _ROWS + '{"prompt": "20 + 1", "answer": "many"}\n',
    "long.jsonl": _ROWS + json.dumps({"prompt": "x" * 10_000_000, "answer": 1}) + "\n",
    "talk.jsonl": json.dumps(
        {"prompt": [{"role": role, "content": "?"} for role in ("user", "assistant", "user")],
         "answer": 1}),
    "both.jsonl": _ROWS + '{"prompt": "3 + 1", "answer": 5}\n',
    "leak.jsonl": "".join(_SPLIT.format(n, s) for s in ("train", "test") for n in range(20)),
    "untrained.jsonl": "".join(_SPLIT.format(n, "test") for n in range(20)),
    "few.jsonl": "".join(map(_ROW.format, range(9))),
    "empty.toml": "name = 'mine'\n",
    "typo.toml": "[[stage]]\ndomain = 'math'\nstep = 4\n",
    "kept.toml": "retention = ['gym/gcd']\n[[stage]]\ndomain = 'gym/gcd'\n",
}  # fmt: skip
CASES: dict[str, list[str]] = {
    "an unknown command": ["rnu"],
    "an unknown option": ["run", "--step", "5"],
    "an option of a run, given to many": ["sweep", "--eval-every", "50"],
    "an argument too many": ["run", "math-to-code"],
    "an unknown stream": ["run", "--stream", "mth-to-code"],
    "an unknown domain in a stream": ["run", "--stream", "math-to-cod"],
    "an unknown learner": ["run", "--learner", "fts"],
    "an unknown setting": ["run", "--setting", "medium"],
    "an unknown feedback level": ["run", "--feedback", "steps"],
    "an unknown reflection LM": ["run", "--reflection-lm", "opnai:gpt"],
    "unknown boundaries": ["run", "--boundaries", "visible"],
    "a setting of another learner": ["run", "--learner", "rl", "--population", "2"],
    "an unknown device": ["run", "--device", "tpu"],
    "a name with terminal escapes": ["run", "--stream", "\x1b]0;owned\x07math"],
    "an empty name": ["run", "--stream", ""],
    "a seed that is not a number": ["run", "--seed", "one"],
    "a negative seed": ["run", "--seed", "-1"],
    "a seed of more than 63 bits": ["run", "--seed", str(2**63)],
    "no steps": ["run", "--steps", "0"],
    "no test problems": ["run", "--items", "0"],
    "far too many test problems": ["run", "--items", str(10**9)],
    "a fraction of a sample": ["run", "--samples", "1.5"],
    "groups of one": ["run", "--group-size", "1"],
    "no problems in a step": ["run", "--problems-per-step", "0"],
    "no prompts": ["run", "--population", "0"],
    "a negative count": ["run", "--proposals", "-2"],
    "no room for a response": ["run", "--max-new-tokens", "0"],
    "evaluation never": ["run", "--eval-every", "0"],
    "a learning rate of zero": ["run", "--learning-rate", "0"],
    "a negative learning rate": ["run", "--learning-rate", "-1e-3"],
    "a learning rate that is not a number": ["run", "--learning-rate", "nan"],
    "an infinite learning rate": ["run", "--learning-rate", "inf"],
    "a response longer than the context": ["run", "--max-new-tokens", "500"],
    "an output that is a file": ["run", "--out", "file"],
    "an output under a file": ["run", "--out", "file/run"],
    "an output that holds something": ["run", "--out", "models"],
    "an output name that is too long": ["run", "--out", "x" * 300],
    "a run that is not there": ["run", "--resume", "runs/nowhere"],
    "a file as a run": ["run", "--resume", "file"],
    "a folder that is not a run": ["run", "--resume", "models"],
    "a run of another schema version": ["run", "--resume", "runs/other"],
    "an edited configuration": ["run", "--resume", "runs/edited"],
    "an edited status": ["run", "--resume", "runs/status"],
    "a manifest without its configuration": ["run", "--resume", "runs/stripped"],
    "a manifest cut short": ["run", "--resume", "runs/torn"],
    "an option that a resumed run cannot change": ["run", "--resume", "runs/old", "--steps", "9"],
    "a misspelt model": ["run", "--model", "embeded"],
    "an empty model name": ["run", "--model", ""],
    "a hub name without a connection": ["run", "--model", "owner/model"],
    "a name that no model can have": ["run", "--model", "my model"],
    **{what: ["run", "--model", _path] for what, name in MODELS.items()
       for _path in [name if name.startswith(".") else f"models/{name}"]},
    "an unknown model to fetch": ["model", "get", "smolm2"],
    "a data file that is not there": ["run", "--stream", "data/row.jsonl"],
    "a folder as a data file": ["run", "--stream", "data/folder.jsonl"],
    "an unknown option of a data file": ["run", "--stream", "data/rows.jsonl?verifyer=number"],
    "an unknown verifier": ["run", "--stream", "data/rows.jsonl?verifier=numbers"],
    "a verifier that is not there": ["run", "--stream", "data/rows.jsonl?verifier=python:my.judge"],
    "a pattern that is none": ["run", "--stream", "data/rows.jsonl?pattern=("],
    "an empty data file": ["run", "--stream", "data/empty.jsonl"],
    "a data file with a broken line": ["run", "--stream", "data/broken.jsonl"],
    "a data file that is not text": ["run", "--stream", "data/rubbish.jsonl"],
    "a packed data file": ["run", "--stream", "data/packed.jsonl.gz"],
    "a data file without known columns": ["run", "--stream", "data/columns.csv"],
    "a data file without that column": ["run", "--stream", "data/columns.csv?prompt=txt"],
    "a row with a cell too many": ["run", "--stream", "data/cells.csv"],
    "a quote that is never closed": ["run", "--stream", "data/quote.csv"],
    "a row without an answer": ["run", "--stream", "data/none.jsonl"],
    "answers of two types": ["run", "--stream", "data/mixed.jsonl"],
    "a prompt of ten megabytes": ["run", "--stream", "data/long.jsonl"],
    "a conversation as a prompt": ["run", "--stream", "data/talk.jsonl"],
    "two answers to one prompt": ["run", "--stream", "data/both.jsonl"],
    "a prompt in two splits": ["run", "--stream", "data/leak.jsonl"],
    "data without a split to learn from": ["run", "--stream", "data/untrained.jsonl"],
    "too few problems": ["run", "--stream", "data/few.jsonl"],
    "the name of a gym data set alone": ["run", "--stream", "gcd"],
    "an unknown data set of the hub": ["run", "--stream", "hub/gsm8"],
    "an unknown option of a data set of the hub": ["run", "--stream", "hub/gsm8k?subject=art"],
    "an unknown gym data set": ["run", "--stream", "gym/gdc"],
    "a gym data set that is not adapted": ["run", "--stream", "gym/boxnet"],
    "an unknown gym parameter": ["run", "--stream", "gym/gcd?max=3"],
    "a gym parameter without a value": ["run", "--stream", "gym/gcd?max_value"],
    "a gym parameter of another type": ["run", "--stream", "gym/gcd?max_value=many"],
    "a stream file that is not there": ["run", "--stream", "data/nowhere.toml"],
    "a stream file without stages": ["run", "--stream", "data/empty.toml"],
    "an unknown key in a stream file": ["run", "--stream", "data/typo.toml"],
    "retention of what a stage trains on": ["run", "--stream", "data/kept.toml"],
    "retention of what the stream trains on": ["run", "--retention", "facts,code"],
    "retention on an unknown domain": ["run", "--retention", "gym/gdc"],
    "retention without a name": ["run", "--retention", "facts,,physics"],
    "no samples for the card": ["model", "eval", "--n", "0"],
    "a card of an unknown model": ["model", "eval", "--model", "./nowhere"],
    "a matrix of percentages": ["metrics", "matrices/percent.csv"],
    "a matrix without the base model's row": ["metrics", "matrices/square.csv"],
    "a matrix with a cell that is not a number": ["metrics", "matrices/words.csv"],
    "a matrix with a line too short": ["metrics", "matrices/short.csv"],
    "a model as a matrix": ["metrics", "models/whole/model.safetensors"],
    "a matrix that is not there": ["metrics", "matrices/nowhere.csv"],
    "a probe on an unknown domain": ["plasticity", "runs/bare", "--probe", "fact"],
    "a probe of no steps": ["plasticity", "runs/bare", "--probe", "facts", "--steps", "0"],
    "probes by nobody": ["plasticity", "runs/bare", "--probe", "facts", "--jobs", "-1"],
    "seeds that are not numbers": ["plasticity", "runs/bare", "--probe", "facts", "--seeds", "1,x"],
    "a probe of no run": ["plasticity", "runs/nowhere", "--probe", "facts"],
    "a probe of a damaged run": ["plasticity", "runs/status", "--probe", "facts"],
    "a probe of a run without models": ["plasticity", "runs/bare", "--probe", "facts"],
    "probes of runs of two models": ["plasticity", "runs/bare", "runs/two", "--probe", "facts"],
    "probes that learn nothing": [
        "plasticity", "runs/bare", "--probe", "facts", "--learning-rate", "0"],
    "seeds that are not a range": ["sweep", "--seeds", "2-0"],
    "an option without a value": ["sweep", "--set", "items"],
    "an option that a sweep decides": ["sweep", "--set", "out=there"],
    "machines without a plan": ["sweep", "--machines", "2"],
    "a plan without a run to go by": ["sweep", "--learners", "rl", "--plan"],
    "a plan by runs that are not there": ["sweep", "--plan", "--measure", "nowhere"],
    "an option of another backend": ["sweep", "--slurm-time", "60"],
    "a part of the hub that holds no runs": ["show", "hf://owner/name/run"],
    "an unknown kind of name": ["list", "taks"],
    "a file that is no run": ["show", "file"],
    "a folder without a run": ["report", "models"],
    "a path at which nothing is": ["check", "nowhere", "--against", "models"],
    "an unknown claim": ["reproduce", "--claims", "1,11"],
    "no claims between commas": ["reproduce", "--claims", ","],
    "more seeds than the exact test takes": ["reproduce", "--seeds", "21"],
    "an archive that is not there": ["reproduce", "--from", "nowhere"],
    "a learner that has no trials": ["calibrate", "--learners", "sft"],
    "training for no steps": ["model", "train", "--out", "new", "--steps", "0"],
    "training into a file": ["model", "train", "--out", "file"],
    "training on an unknown device": ["model", "train", "--out", "new", "--device", "tpu"],
}  # fmt: skip


def lay_out(folder: Path) -> None:
    """The files that the cases name."""
    (folder / "file").write_text("precious")
    models = folder / "models"
    for name in MODELS.values():
        if "." not in name and name not in ("adapter", "gguf", "empty"):
            _model(models / name)
    _model(models / "whole")
    (models / "no-tokenizer" / "tokenizer.json").unlink()
    (models / "no-chat-template" / "chat_template.jinja").unlink()
    (models / "broken-template" / "chat_template.jinja").write_text("{% for x %}")
    (models / "deaf-template" / "chat_template.jinja").write_text("hello")
    for name in ("no-weights", "pickle", "truncated"):
        (models / name / "model.safetensors").unlink()
    (models / "pickle" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    weights = (EMBEDDED_FOLDER / "model.safetensors").read_bytes()
    (models / "truncated" / "model.safetensors").write_bytes(weights[:100_000])
    (models / "broken-config" / "config.json").write_text('{"model_type": ')
    (models / "broken-tokenizer" / "tokenizer.json").write_text("{")
    layers = ["conv", "full_attention"] * 3
    _configure(models / "too-few", num_hidden_layers=6, layer_types=layers)
    _configure(models / "other-shape", hidden_size=64)
    _configure(models / "own-code", model_type="x", auto_map={"AutoConfig": "x.X"})
    (models / "own-code" / "x.py").write_text("open('executed', 'w')")
    _configure(models / "masked", model_type="bert", architectures=["BertForMaskedLM"])
    _configure(models / "encoder-decoder", model_type="t5", is_encoder_decoder=True)
    _configure(models / "images", model_type="vit", architectures=["ViTModel"])
    for name in ("adapter", "gguf", "empty"):
        (models / name).mkdir()
    (models / "adapter" / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    (models / "gguf" / "damaged.gguf").write_bytes(b"GGUF")
    _gguf(models / "gguf" / "other.gguf", "clip")
    _lay_out_runs(folder / "runs")
    (folder / "data" / "folder.jsonl").mkdir(parents=True)
    for name, text in DATA.items():
        (folder / "data" / name).write_text(text)
    (folder / "matrices").mkdir()
    for name, text in MATRICES.items():
        (folder / "matrices" / f"{name}.csv").write_text(text)


def _model(folder: Path) -> None:
    folder.mkdir(parents=True)
    for file in EMBEDDED_FOLDER.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())


def _gguf(path: Path, architecture: str) -> None:
    """A GGUF file that holds nothing but the name of its architecture."""
    from gguf import GGUFWriter

    writer = GGUFWriter(path, architecture)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def _configure(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))


def _lay_out_runs(folder: Path) -> None:
    described = {"stream": stream("math").describe(), "config": asdict(RunConfig())}
    manifest: dict[str, object] = {
        **described,
        "config_hash": config_hash(described),
        "status": "running",
    }
    for name in ("other", "edited", "status", "stripped", "torn", "bare", "two"):
        RunDirectory.create(folder / name, manifest)
    changes: dict[str, dict[str, object]] = {
        "other": {"schema_version": SCHEMA_VERSION + 1},
        "status": {"status": "finished"},
        "edited": {"config": asdict(RunConfig(seed=1))},
    }
    whole = manifest | {
        **{name: {} for name in ("provenance", "plugins", "plugin_code", "reflection_files")},
        **dict.fromkeys(("device", "engine", "threads", "model_revision", "prompt_date")),
        "model_files": locate(str(EMBEDDED_FOLDER)).hashes(),
    }
    changes |= {"bare": whole, "two": whole | {"model_files": {"model.safetensors": "0"}}}
    for name, change in changes.items():
        _edit(folder / name, manifest | change)
    _edit(folder / "stripped", {"status": "running"})
    (folder / "torn" / "manifest.json").write_text("{")


def _edit(run: Path, manifest: dict[str, object]) -> None:
    version = {"schema_version": SCHEMA_VERSION}
    (run / "manifest.json").write_text(json.dumps(version | manifest))


def call(arguments: list[str]) -> tuple[int, str, str]:
    with patch("huggingface_hub.constants.HF_HUB_OFFLINE", True):
        result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr


def row(what: str, arguments: list[str], said: str) -> str:
    command = " ".join(shlex.quote(_shown(word)) for word in arguments)
    message = re.sub(r"schema version \d+|version \d+", "version N", said.strip())
    cells = (what, f"`{command}`", f"`` {message} ``")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _shown(word: str) -> str:
    return printable(word) if len(word) < 100 else f"{word[:9]}…"


def contents(folder: Path) -> dict[Path, bytes | None]:
    files = (Path(home, name) for home, _, names in os.walk(folder) for name in names)
    return {file: file.read_bytes() for file in files} | dict.fromkeys(folder.rglob("*/"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("bad-input")
    lay_out(folder)
    with chdir(folder):
        yield folder


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("what", CASES)
def test_it_prints_the_line_of_the_snapshot_and_exits_with_2(what: str) -> None:
    code, out, err = call(CASES[what])
    assert (code, out) == (2, "")
    assert err.startswith("cl-bench: ")
    assert err.count("\n") == 1
    assert err == printable(err.removesuffix("\n")) + "\n"
    assert row(what, CASES[what], err) in SNAPSHOT.read_text(encoding="utf-8").splitlines()


def test_nothing_was_written_or_executed(place: Path) -> None:
    before = contents(place)
    for arguments in CASES.values():
        call(arguments)
    assert contents(place) == before
    assert not (place / "executed").exists()


def test_the_snapshot_has_these_cases_and_no_others() -> None:
    page = SNAPSHOT.read_text(encoding="utf-8")
    assert page.startswith(HEAD)
    documented = [line.split(" | ")[0] for line in page.removeprefix(HEAD).splitlines()]
    assert documented == [f"| {what}" for what in CASES]


@pytest.mark.usefixtures("place")
def test_debug_shows_the_traceback() -> None:
    result = CliRunner().invoke(app, ["run", "--model", "embeded", "--debug"])
    assert type(result.exception).__name__ == "ModelError"


@pytest.mark.usefixtures("place")
def test_an_unexpected_exception_is_one_line_with_exit_code_1_and_keeps_its_traceback() -> None:
    with patch("cl_bench.api.start", side_effect=KeyError("\x1b[31mnobody\nexpected this")):
        code, out, err = call(["run", "--out", "new"])
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "unexpected KeyError: '\\x1b[31mnobody\\nexpected this'" in err.replace("\\\\", "\\")
    assert "--resume" not in err
    found = re.search(r"its traceback is in (\S+)\.", err)
    assert found
    kept = Path(found[1])
    assert "Traceback (most recent call last)" in kept.read_text()
    kept.unlink()


@pytest.mark.usefixtures("place")
def test_a_file_that_cannot_be_used_is_one_line_with_its_name() -> None:
    with patch("cl_bench.api.start", side_effect=PermissionError(13, "Permission denied", "mine")):
        code, _, err = call(["run", "--out", "new"])
    assert code == 2
    assert err.startswith("cl-bench: mine: Permission denied.")


def _write_snapshot() -> None:
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        lay_out(Path(folder))
        rows = [row(what, arguments, call(arguments)[2]) for what, arguments in CASES.items()]
    SNAPSHOT.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    _write_snapshot()
