"""What commands print: on terminals of any encoding, and after any error."""

from __future__ import annotations

from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from cl_bench.cli.app import main


def printed(
    monkeypatch: pytest.MonkeyPatch, encoding: str, *arguments: str
) -> tuple[object, str, str]:
    """Exit code, standard output and standard error of a command on terminals of that encoding."""
    outputs = [TextIOWrapper(BytesIO(), encoding) for _ in range(2)]
    with monkeypatch.context() as patch:
        patch.setattr("sys.argv", ["cl-bench", *arguments])
        patch.setattr("sys.stdout", outputs[0])
        patch.setattr("sys.stderr", outputs[1])
        with pytest.raises(SystemExit) as ended:
            main()
    for output in outputs:
        output.flush()
    out, err = (output.detach().getvalue().decode(encoding) for output in outputs)
    return ended.value.code, out, err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "cp850", "cp1252", "utf-8"])
def test_no_command_fails_for_the_encoding_of_a_terminal(
    encoding: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    matrix = tmp_path / "m.csv"
    matrix.write_text("ж,→\n0.1,0.2\n0.9,0.3\n0.4,0.8\n", encoding="utf-8")
    for arguments in (
        ["--help"],
        ["run", "--help"],
        ["list"],
        ["metrics", str(matrix)],
    ):
        code, out, err = printed(monkeypatch, encoding, *arguments)
        assert (code, err) == (0, ""), arguments
        assert len(out) > 300
    code, out, err = printed(monkeypatch, encoding, "run", "--learner", "…—ж")
    assert (code, out) == (2, "")
    assert err.startswith("cl-bench: Unknown learner")


def test_what_an_encoding_lacks_is_written_by_likeness_or_as_an_escape(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    matrix = tmp_path / "m.csv"
    matrix.write_text("é…,ж\n0.1,0.2\n0.9,0.3\n0.4,0.8\n", encoding="utf-8")
    shown = {
        encoding: printed(monkeypatch, encoding, "metrics", str(matrix))[1].splitlines()[0]
        for encoding in ("utf-8", "latin-1", "ascii")
    }
    assert shown == {
        "utf-8": "2 tasks (é…, ж)",
        "latin-1": "2 tasks (é..., \\u0436)",
        "ascii": "2 tasks (\\xe9..., \\u0436)",
    }
