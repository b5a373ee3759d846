"""Run folders side by side: read, sorted, compared, drawn; and the same from the command line."""

import json
import logging

import pytest

from deepfake_detector.cli.main import main
from deepfake_detector.core.errors import ConfigError
from deepfake_detector.training.callbacks import write_checks
from deepfake_detector.training.checkpoint import Check
from deepfake_detector.training.config import check_config
from deepfake_detector.training.run import create_run, new_record
from deepfake_detector.training.runs import Figure, differences, find_runs, plot_runs, read_run, sorted_runs


def checks(*losses):
    best = min(losses)
    return [
        Check("fine-tuning", number, 5, 1e-4, loss, loss, 1 - loss, 0.9 - loss, loss == best, 3.0, 7.5)
        for number, loss in enumerate(losses, start=1)
    ]


@pytest.fixture
def outputs(tmp_path):
    """Three finished runs, ``a``, ``b`` and ``joined`` without a check; and a folder that is no run."""
    for name, losses, lr in (("a", (0.5, 0.3, 0.4), 1e-4), ("b", (0.6, 0.2), 1e-3), ("joined", (), 1e-4)):
        content = {"name": name, "outputs": str(tmp_path), "data": {"source": "photos"}, "train": {"lr": lr}}
        run = create_run(check_config(content, "a test"))
        record = new_record(run, 0, name[0] * 64, (), {})
        run.write_record(record.model_copy(update={"finished": True, "created": f"2024-01-0{1 + ord(name[0]) % 4}"}))
        if losses:
            write_checks(run.checks_file, checks(*losses))
    (tmp_path / "cache").mkdir()
    return tmp_path


def test_checks_come_back_as_they_were_written(outputs):
    assert list(read_run(outputs / "a").checks) == checks(0.5, 0.3, 0.4)


def test_the_best_first_and_those_without_a_figure_last(outputs):
    runs = find_runs(outputs)
    assert [run.folder.name for run in sorted_runs(runs, Figure.VAL_LOSS)] == ["b", "a", "joined"]
    assert [run.folder.name for run in sorted_runs(runs, Figure.SET_AUC)] == ["b", "a", "joined"]
    assert read_run(outputs / "a").figure(Figure.AUC) == pytest.approx(0.7)


def test_only_what_differs_is_said(outputs):
    found = differences([read_run(outputs / name) for name in "ab"])
    assert found == {"train.lr": ("0.0001", "0.001"), "(data)": ("a" * 12, "b" * 12)}


def test_a_damaged_run_is_left_out_and_named(outputs, caplog):
    (outputs / "a" / "run.json").write_text("{")
    (outputs / "b" / "logs" / "training.csv").write_text("phase,epoch\nhead,one\n")
    with caplog.at_level(logging.WARNING):
        assert [run.folder.name for run in find_runs(outputs)] == ["joined"]
    assert "a/run.json" in caplog.text
    assert "b is a damaged run folder" in caplog.text


def test_curves_are_drawn_and_nothing_is_drawn_of_nothing(outputs, tmp_path):
    runs = find_runs(outputs)
    png, svg = plot_runs(runs, Figure.LR, tmp_path / "plots" / "lr.png")
    assert png.stat().st_size > 5000
    assert svg.is_file()
    with pytest.raises(ConfigError, match="none of these runs"):
        plot_runs([run for run in runs if not run.checks], Figure.AUC, tmp_path / "x.png")


def test_the_list_on_the_terminal_and_as_json(outputs, capsys):
    assert main(["runs", "list", str(outputs), "--sort", "val_loss"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "mobilenetv2" in line]
    assert [line.split()[1] for line in lines] == ["b", "a", "joined"]
    assert "0.2000" in lines[0]
    assert main(["runs", "list", str(outputs), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["name"]: row["best"]["val_loss"] for row in rows} == {"a": 0.3, "b": 0.2, "joined": None}


def test_comparing_on_the_terminal(outputs, capsys):
    folders = [str(outputs / name) for name in "ab"]
    assert main(["runs", "compare", *folders]) == 0
    assert "train.lr" in capsys.readouterr().out
    assert main(["runs", "compare", folders[0], folders[0]]) == 0
    assert "nothing differs" in capsys.readouterr().out
    assert main(["runs", "plot", *folders, "--output", str(outputs / "curves.png")]) == 0
    assert (outputs / "curves.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["runs", "list", "nowhere"], "there is no folder nowhere"),
        (["runs", "list", "."], "there is no run below"),
        (["runs", "compare", "one"], "two run folders or more"),
        (["runs", "compare", "one", "two"], "cannot read one/run.json"),
    ],
)
def test_mistakes_are_answered_in_words(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert words in capsys.readouterr().err.replace("\n", " ")
