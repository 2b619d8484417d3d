"""The example notebook runs from its first cell to its last, on a running service."""

import csv
import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="notebooks need nbclient and ipykernel, of the extra dev")
nbclient = pytest.importorskip("nbclient", reason="notebooks need nbclient and ipykernel, of the extra dev")
pytest.importorskip("ipykernel", reason="notebooks need nbclient and ipykernel, of the extra dev")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
TOUR = Path(__file__).parents[2] / "docs/notebooks/tour.ipynb"


# jupyter_client and its event loop on warnings of their own.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::RuntimeWarning")
def test_the_tour(service, tmp_path, monkeypatch):
    monkeypatch.setenv("TSUKIJI_PROGRESS", "off")
    notebook = nbformat.read(TOUR, as_version=4)
    folder = tmp_path / "tour"
    folder.mkdir()
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    shown = [output["data"] for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    drawn = "".join(data.get("text/html", "") for data in shown)
    for title in ("Data set digits", "Training ", "Evaluation of ", "Comparison", "data:image/png"):
        assert title in drawn
    with (folder / "labels.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 120


def test_the_tour_is_kept_as_it_was_executed():
    cells = [cell for cell in nbformat.read(TOUR, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    calls = re.findall(r"(?:client|dataset|model|batch|\))\.(?:\w+\.)?\w+\(", "".join(cell.source for cell in cells))
    assert len(calls) <= 25
