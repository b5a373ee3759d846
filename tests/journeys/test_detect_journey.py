"""A folder as people have it, through the command that they type."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PROGRAM = Path(sys.executable).with_name("deepfake.exe" if os.name == "nt" else "deepfake")
NAMES = ["1 astronaut.jpg", "2 words.jpg", "3 empty.jpg", "4 cut off.jpg", "sub/5 no face.png"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, astronaut: np.ndarray) -> Path:
    """The astronaut, a text called .jpg, an empty file, a JPEG that lost its end, a picture without a face."""
    folder = tmp_path_factory.mktemp("journey") / "pictures"
    (folder / "sub").mkdir(parents=True)
    Image.fromarray(astronaut).save(folder / NAMES[0], quality=92)
    (folder / NAMES[1]).write_text("this is no picture", encoding="utf-8")
    (folder / NAMES[2]).write_bytes(b"")
    whole = (folder / NAMES[0]).read_bytes()
    (folder / NAMES[3]).write_bytes(whole[: len(whole) // 2])
    shade = np.linspace(40, 220, 200, dtype=np.uint8)
    Image.fromarray(np.repeat(np.tile(shade, (150, 1))[..., None], 3, axis=2)).save(folder / NAMES[4])
    return folder


def deepfake(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *map(str, arguments)],
        cwd=folder.parent,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_every_input_gets_its_line_and_none_stops_the_others(folder, tiny_bundle):
    ran = deepfake(folder, "detect", "pictures", "--jsonl", "--model", tiny_bundle)
    assert ran.returncode == 4
    assert ran.stderr == ""
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [line["path"] for line in lines] == [str(Path("pictures", name)) for name in NAMES]
    assert [line["verdict"] for line in lines] == ["fake", None, None, None, "no_face"]
    codes = [None if line["error"] is None else line["error"]["code"] for line in lines]
    assert codes == [None, "unsupported_format", "empty", "damaged", None]
    astronaut = lines[0]
    assert 0.0 < astronaut["p_fake"] < 1.0
    x, y, w, h = astronaut["faces"][0]["box"]
    assert x < 224 < x + w  # her nose, in the middle of the box
    assert y < 120 < y + h


def test_the_table_names_what_failed_and_shows_no_traceback(folder, tiny_bundle):
    ran = deepfake(folder, "detect", "pictures", "--model", tiny_bundle)
    assert ran.returncode == 4
    assert "Traceback" not in ran.stdout + ran.stderr
    for name in NAMES:
        assert str(Path("pictures", name)) in ran.stdout
    assert "3 not analysed" in ran.stdout


def test_a_report_a_table_and_a_resumed_run(folder, tiny_bundle, tmp_path):
    arguments = ["detect", "pictures", "--model", tiny_bundle, "--resume", tmp_path / "done.jsonl", "--fail-on", "fake"]
    first = deepfake(folder, *arguments, "--output", tmp_path / "out")
    assert first.returncode == 1
    assert "Not analysed" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    done = (tmp_path / "done.jsonl").read_text(encoding="utf-8")
    assert done == (tmp_path / "out" / "report.jsonl").read_text(encoding="utf-8")
    (tmp_path / "done.jsonl").write_text(done[:-20], encoding="utf-8")  # as if the power had gone
    second = deepfake(folder, *arguments)
    assert second.returncode == 1
    assert "answers taken from" in second.stderr
    again = (tmp_path / "done.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["path"] for line in again] == [json.loads(line)["path"] for line in done.splitlines()]


def test_a_folder_without_pictures_is_named(folder, tiny_bundle, tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    ran = deepfake(folder, "detect", tmp_path, folder / NAMES[4], "--jsonl", "--model", tiny_bundle)
    assert ran.returncode == 4
    first, second = (json.loads(line) for line in ran.stdout.splitlines())
    assert first["error"]["code"] == "no_pictures"
    assert second["verdict"] == "no_face"


def test_an_interrupted_run_keeps_its_lines_and_its_code(folder, tiny_bundle, tmp_path):
    if os.name == "nt":
        pytest.skip("Windows has no SIGINT for one process")
    import signal

    many = tmp_path / "many"
    many.mkdir()
    for number in range(1200):
        (many / f"{number:04}.jpg").symlink_to(folder / NAMES[0])
    done, out = tmp_path / "done.jsonl", tmp_path / "out"
    options = ["--json", "--model", tiny_bundle, "--resume", done, "--output", out]
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a job in the background inherits that it is ignored
    with subprocess.Popen(
        [PROGRAM, "detect", many, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        signal.signal(signal.SIGINT, before)
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        printed = json.loads(first + process.stdout.read())
        assert process.wait(120) == 130
        assert process.stderr.read() == ""
    kept = [json.loads(line) for line in done.read_text(encoding="utf-8").splitlines()]
    assert 0 < len(printed) <= len(kept) < 1200
    assert printed == kept[: len(printed)]
    assert not (out / "report.html").exists()
