"""A user's own accuracy matrix from a CSV file: every layout it may have, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from typer.testing import CliRunner

from cl_bench.cli.app import app
from cl_bench.contract.errors import UsageError
from cl_bench.metrics import METRICS
from cl_bench.report.matrix import OwnMatrix, read_matrix

PLAIN = "0.1,0.2\n0.9,0.3\n0.4,0.8\n"
ACC_I_J = [[0.1, 0.2], [0.9, 0.3], [0.4, 0.8]]


def read(text: str, folder: Path, *, percent: bool = False) -> OwnMatrix:
    file = folder / "matrix.csv"
    file.write_text(text, encoding="utf-8")
    return read_matrix(str(file), percent=percent)


@pytest.mark.parametrize(
    ("text", "rows", "tasks"),
    [
        (PLAIN, ("base model", "1", "2"), ("1", "2")),
        (f"math,code\n{PLAIN}", ("base model", "1", "2"), ("math", "code")),
        ("base,.1,.2\n1 math,.9,.3\n2 code,.4,.8", ("base", "1 math", "2 code"), ("1", "2")),
        ("base,.1,.2\n1,.9,.3\n2,.4,.8", ("base", "1", "2"), ("1", "2")),
        (",math,code\nbase,.1,.2\n1,.9,.3\n2,.4,.8", ("base", "1", "2"), ("math", "code")),
        ("after,math,code\n0,.1,.2\n1,.9,.3\n2,.4,.8", ("0", "1", "2"), ("math", "code")),
        (",math,code\n0,.1,.2\n1,.9,.3\n2,.4,.8", ("0", "1", "2"), ("math", "code")),
        ("0,.1,.2\n1,.9,.3\n2,.4,.8", ("0", "1", "2"), ("1", "2")),
        ("0.1;0.2\n\n0.9;0.3\n0.4;0.8\n\n", ("base model", "1", "2"), ("1", "2")),
        ("0.1\t0.2\r\n0.9\t0.3\r\n0.4\t0.8", ("base model", "1", "2"), ("1", "2")),
        ("\ufeff 0.1 , 0.2 \n0.9,0.3\n0.4,0.8", ("base model", "1", "2"), ("1", "2")),
        ("10%,20%\n90%,30%\n40%,80%", ("base model", "1", "2"), ("1", "2")),
        ('"a, b",c\n' + PLAIN, ("base model", "1", "2"), ("a, b", "c")),
    ],
)
def test_layouts_that_people_and_programs_write(
    text: str, rows: tuple[str, ...], tasks: tuple[str, ...], tmp_path: Path
) -> None:
    found = read(text, tmp_path)
    assert found.acc_I_J == pytest.approx(np.array(ACC_I_J))
    assert (found.rows, found.tasks) == (rows, tasks)


def test_a_data_frame_with_numbered_rows_and_columns(tmp_path: Path) -> None:
    found = read(",0,1,2\n0,.1,.2,.3\n1,.9,.3,.3\n2,.4,.8,.3\n3,.4,.8,.9", tmp_path)
    assert found.acc_I_J.shape == (4, 3)
    assert (found.rows, found.tasks) == (("0", "1", "2", "3"), ("0", "1", "2"))


@pytest.mark.parametrize("text", ["0.1\n0.9", "math\n0.1\n0.9", ",math\nbase,0.1\n1,0.9"])
def test_one_task(text: str, tmp_path: Path) -> None:
    assert read(text, tmp_path).acc_I_J.tolist() == [[0.1], [0.9]]


@pytest.mark.parametrize("gap", ["", "nan", "NA", "none", "—"])
def test_a_missing_cell_makes_metrics_undefined_with_its_name(gap: str, tmp_path: Path) -> None:
    found = read(f"0.1,{gap}\n0.9,0.3\n0.4,0.8\n", tmp_path)
    assert np.isnan(found.acc_I_J[0, 1])
    assert "fwt_base                               —  missing cell R[0, 2]" in found.text()
    assert "bwt_gem                     −50.0 points" in found.text()


def test_percentages_are_read_when_they_are_said_to_be(tmp_path: Path) -> None:
    text = "10,20\n90,30\n40,80\n"
    assert read(text, tmp_path, percent=True).acc_I_J == pytest.approx(np.array(ACC_I_J))
    with pytest.raises(UsageError, match=r"holds 90, .* add --percent"):
        read(text, tmp_path)
    with pytest.raises(UsageError, match="leave --percent out"):
        read(PLAIN, tmp_path, percent=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The matrix is empty"),
        ("\n \n", "The matrix is empty"),
        ("0.1,0.2\n0.9,0.3\n", "got 2 rows and 2 columns. Is the base model's row missing"),
        ("a,b\n0.9,0.3\n0.4,0.8\n", "without the column names. Is the base model's row missing"),
        (",a,b\n0,0.5,\n1,0.4,0.6\n", "row and column names. Is the base model's row missing"),
        (",a,b\na,0.5,\nb,0.4,0.6\n", "row and column names. Is the base model's row missing"),
        ("1,0.5,0.3\n2,0.4,0.6\n", "Is the first column names? Then the base model's row is"),
        ("0.1,0.9,0.4\n0.2,0.3,0.8\n", "Is it transposed"),
        ("0.1,0.2\n1.0000001,0.3\n0.4,0.8\n", "holds 1.0000001, but accuracies are shares from"),
        ("0.1,0.2\n1.0000001,0.3\n0.4,0.8\n", "Write 1 for it."),
        ("0.1 0.2\n0.9 0.3\n0.4 0.8\n", "Line 2 is '0.9 0.3': one cell. Separate the cells by"),
        ("a b\n0.1 0.2\n0.9 0.3\n0.4 0.8\n", "Line 2 is '0.1 0.2': one cell. Separate the cells"),
        ("base | 0.1 | 0.2\na | 0.9 | 0.3\nb | 0.4 | 0.8\n", "Line 2 is 'a | 0.9 | 0.3': one"),
        ("0.1,0.2\n0.9\n0.4,0.8\n", "Line 2 has 1 cell, but the first has 2"),
        ("a,b\n\n0.1,0.2\n0.9,x\n0.4,0.8\n", "Line 4, column 2 is 'x', which is not a number"),
        ("0.1,0.2\n0.9,-0.3\n0.4,0.8\n", "Line 2, column 2 is '-0.3', but an accuracy is a share"),
        ("0.1,0.2\n0.9,inf\n0.4,0.8\n", "Line 2, column 2 is 'inf'"),
        ("0.1,0.2\n0.9,101\n0.4,0.8\n", "Line 2, column 2 is '101'"),
        ("0.1;0.2\n0,9;0.3\n0.4;0.8\n", "Line 2, column 1 is '0,9', which is not a number. Write"),
        ("0.1,0.2\n0.9,\x1b[31m\n0.4,0.8\n", "Line 2, column 2 is '\\x1b[31m'"),
    ],
)
def test_what_is_no_accuracy_matrix_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        read(text, tmp_path)
    assert message in str(error.value)


def test_a_file_that_is_no_text_or_far_too_large_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "matrix.xlsx"
    file.write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(UsageError, match="no UTF-8 text"):
        read_matrix(str(file))
    with file.open("wb") as large:
        large.truncate(10_000_001)
    with pytest.raises(UsageError, match="over 10 MB"):
        read_matrix(str(file))


@given(
    st.integers(1, 4).flatmap(
        lambda tasks: arrays(np.int64, (tasks + 1, tasks), elements=st.integers(0, 99))
    ),
    st.booleans(),
    st.booleans(),
)
def test_what_is_written_is_read_back(
    cells: np.typing.NDArray[np.int64], named_rows: bool, named_tasks: bool
) -> None:
    lines = [[f"{cell / 100:.2f}" for cell in row] for row in cells]
    lines = [[f"after {i}", *row] for i, row in enumerate(lines)] if named_rows else lines
    head = [[*([""] * named_rows), *(f"task {j}" for j in range(cells.shape[1]))]]
    text = "\n".join(",".join(row) for row in (head if named_tasks else []) + lines)
    result = CliRunner().invoke(app, ["metrics", "-", "--json"], input=text)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["accuracy"] == (cells / 100).tolist()


def test_json_gives_a_value_or_the_reason_for_every_metric() -> None:
    result = CliRunner().invoke(app, ["metrics", "-", "--json"], input="0.1\n\n0.9\n")
    found = json.loads(result.stdout)
    assert found["metrics"].keys() >= METRICS.keys()
    assert found["metrics"]["average_accuracy"] == {"value": 0.9, "undefined": None}
    assert found["metrics"]["bwt_gem"] == {
        "value": None,
        "undefined": "needs at least 2 stages, got 1",
    }
    assert found["rows"] == ["base model", "1"]


def test_a_missing_file_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["metrics", str(tmp_path / "nowhere.csv")])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "No such file" in result.stderr


def test_the_documentation_shows_what_the_command_prints(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text(encoding="utf-8")
    section = page.partition("## Metrics of your own runs")[2].partition("\n## ")[0]
    shown = section.partition("```text\n")[2].partition("\n```")[0]
    matrix, _, printed = shown.partition("\n\n")
    assert read(matrix, tmp_path).text() == printed
