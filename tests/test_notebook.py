"""examples/glint.ipynb runs from its first cell to its last."""

import json
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "examples/glint.ipynb"
# What a reader sees, as one line of JSON.
FOUND = """
import json
print(json.dumps({"table": table.T.to_dict(), "answers": model(["a warm film", "a dull film"])}))
"""


@pytest.mark.slow
def test_from_data_to_artifact() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(FOUND))
    resources = {"metadata": {"path": str(NOTEBOOK.parent)}}
    NotebookClient(notebook, timeout=None, resources=resources).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 1
    found = json.loads(outputs[-1]["text"].splitlines()[-1])
    whole, half = found["table"]["whole"], found["table"]["half"]
    assert min(of["accuracy"] for of in (whole, half)) > 0.7  # of two classes, equally frequent
    # Without the embeddings' 11.9 million it is half of 10.6.
    assert 5.0 < whole["million parameters"] - half["million parameters"] < 5.6
    assert half["megabytes"] < 0.8 * whole["megabytes"]
    assert [sorted(answer) for answer in found["answers"]] == [["label", "score", "scores"]] * 2


def test_it_has_no_outputs_and_says_what_each_cell_does() -> None:
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    for before, cell in pairwise(cells):
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
            assert before.cell_type == "markdown"
