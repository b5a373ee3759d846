"""Runs the notebook from its first cell to its last: ``python scripts/run_notebook.py [RESULT]``.

The notebook with its outputs is written to a file; without one, it takes the place of the notebook in the repository.

It runs in an empty folder without a Kaggle key, so that its pictures are drawn, and show nobody but NASA's portrait.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).resolve().parents[1] / "notebooks" / "optimized_deepfake_detector_colab.ipynb"
KEPT_METADATA = frozenset({"tags"})
NOISE = re.compile(r"\x1b\[[0-9;]*m|[ \t]+(?=\n)|^(?:[IWE]\d{4} |WARNING: All log messages)[^\n]*\n", re.MULTILINE)


def run(notebook: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """Execute all cells in a folder; the outputs are in the notebook. Raises CellExecutionError where a cell fails."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where `deepfake` is
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KAGGLE_")}
    environment |= {"HOME": str(folder), "PATH": path, "NO_COLOR": "1", "COLUMNS": "110"}
    client = NotebookClient(
        notebook, timeout=1800, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute(env=environment)
    return notebook


def tidy(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Join the pieces of a stream; leave out times, places, colours, and what TensorFlow says of the machine."""
    for cell in notebook.cells:
        cell.metadata = {name: value for name, value in cell.metadata.items() if name in KEPT_METADATA}
        joined: list[nbformat.NotebookNode] = []
        for output in cell.get("outputs", ()):
            if output.output_type == "stream" and joined and joined[-1].get("name") == output.name:
                joined[-1].text += output.text
            else:
                joined.append(output)
        for output in joined:
            if output.output_type == "stream":
                output.text = NOISE.sub("", output.text.replace(str(folder), "."))
        if cell.cell_type == "code":
            cell.outputs = [output for output in joined if output.get("text", "kept").strip()]


def main() -> None:
    """Run it and write it."""
    result = Path(sys.argv[1]) if len(sys.argv) > 1 else NOTEBOOK
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        run(notebook, Path(folder))
        tidy(notebook, Path(folder))
    nbformat.write(notebook, result)
    print(result)


if __name__ == "__main__":
    main()
