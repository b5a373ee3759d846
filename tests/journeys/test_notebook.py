"""The notebook: run from its first cell to its last, as it is committed, and its kept outputs are of such a run."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "optimized_deepfake_detector_colab.ipynb"
SCRIPT = ROOT / "scripts" / "run_notebook.py"

pytestmark = pytest.mark.timeout(1800)

KAGGLE = """#!{python}
import sys
from pathlib import Path
assert sys.argv[1:5] == ["datasets", "download", "-d", "manjilkarki/deepfake-and-real-images"], sys.argv
for part, number in (("Train", 5), ("Validation", 3), ("Test", 3)):
    for label in ("Real", "Fake"):
        folder = Path("download", "Dataset", part, label)
        folder.mkdir(parents=True)
        for index in range(number):
            (folder / f"{{index}}.jpg").write_bytes(b"a picture")
"""


def committed():
    return nbformat.read(NOTEBOOK, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def kinds(cell):
    """What a cell shows; pieces of one stream count once."""
    shown = []
    for output in cell.outputs:
        kind = output.get("name") or "".join(sorted(output.get("data", ())))
        if kind != "stderr" and kind not in shown:
            shown.append(kind)
    return shown


def said(cell):
    return "".join(output.get("text", "") for output in cell.outputs)


def test_it_runs_from_the_first_cell_to_the_last(tmp_path):
    result = tmp_path / "result.ipynb"
    ran = subprocess.run([sys.executable, SCRIPT, result], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    cells = code_cells(nbformat.read(result, as_version=4))
    assert [cell.source for cell in cells] == [cell.source for cell in code_cells(committed())]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert [kinds(cell) for cell in cells] == [kinds(cell) for cell in code_cells(committed())]
    assert any("model.onnx" in said(cell) for cell in cells)
    assert said(cells[-1]).count("selftest.jpg is ") == 2


def test_the_kept_outputs_are_of_one_run_and_name_no_place():
    cells = code_cells(committed())
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    text = "".join(map(said, cells))
    assert "miniature" in text
    for place in ("/tmp/", "/home/", "/root/", str(ROOT)):
        assert place not in text


def test_with_a_key_it_takes_so_many_pictures_of_each_class_from_kaggle(tmp_path, monkeypatch):
    """As far as can be tested without Kaggle: the program is one that writes a small tree of the same shape."""
    program = tmp_path / "bin" / "kaggle"
    program.parent.mkdir()
    program.write_text(KAGGLE.format(python=sys.executable), encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("KAGGLE_KEY", "a key")
    monkeypatch.chdir(tmp_path)
    (cell,) = [cell for cell in code_cells(committed()) if "kaggle" in cell.metadata.get("tags", ())]
    source = cell.source.replace('"Train": 2000', '"Train": 4')
    assert source != cell.source
    exec(compile(source, "the cell", "exec"), {"os": os, "Path": Path})
    found = {str(folder.relative_to("data")): len(list(folder.iterdir())) for folder in Path("data").glob("*/*")}
    assert found == {
        f"{part}/{label}": number
        for part, number in (("Train", 4), ("Validation", 3), ("Test", 3))
        for label in ("Real", "Fake")
    }
