"""The tutorial runs as it stands. `python tests/docs/test_tutorial.py` renews what is stored of it:
what the cells return, and nothing of bars and notes that tell how long a machine took."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "tutorial.ipynb"
SECONDS = 600
# Of each of the cells that the page is about, something that it shows.
SAID = ("f doubles , not f flips", "average_accuracy", "B against A", "with the prompt", "[]")


def executed(folder: Path) -> Any:
    """The notebook after a run in `folder`, where its own runs go; raises where a cell does."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    place = {"metadata": {"path": str(folder)}}
    how: dict[str, Any] = {"record_timing": False, "coalesce_streams": True}
    NotebookClient(notebook, timeout=SECONDS, resources=place, **how).execute()
    notebook.metadata.pop("widgets", None)  # what the bars were
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        kept = [one for one in cell.get("outputs", []) if not _of_the_moment(one)]
        cell.update({"outputs": kept} if cell.cell_type == "code" else {})
    return notebook


def _of_the_moment(output: Any) -> bool:
    """Tell whether an output is of a bar or a note."""
    widget = "application/vnd.jupyter.widget-view+json" in output.get("data", {})
    return widget or output.get("name") == "stderr" or "settings of" in output.get("text", "")


@pytest.mark.slow
def test_the_tutorial_runs_and_shows_what_it_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cl_bench import compare

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    shown = str([cell.get("outputs") for cell in executed(tmp_path).cells])
    found = compare(tmp_path / "results", learners=("rl", "fst"))
    first, second = found.differences["average_accuracy"].per_seed[0]
    assert float(second) > float(first) + 0.2  # type: ignore[arg-type]
    assert [text for text in SAID if text not in shown] == []


if __name__ == "__main__":
    import tempfile

    import nbformat

    with tempfile.TemporaryDirectory() as made:
        nbformat.write(executed(Path(made)), NOTEBOOK)
