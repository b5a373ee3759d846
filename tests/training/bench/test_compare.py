import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from deepfake_detector.cli.main import main
from deepfake_detector.core.errors import DataError
from deepfake_detector.scoring.bundle import write_bundle
from deepfake_detector.training.bench.compare import Compared, bench_compare, compare
from deepfake_detector.training.bench.compare_report import summary
from deepfake_detector.training.bench.paired import compare_aucs, delong, delong_test, holm
from deepfake_detector.training.bench.scores import DetectorScores, read_scores
from deepfake_detector.training.data.samples import Label, Sample
from deepfake_detector.training.evaluation import Settings
from deepfake_detector.training.intervals import Resampling


def drawn(seed=0, number=120):
    """Labels and two correlated lists of scores with many ties; the first is the better one."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(number) < 0.4).astype(int)
    first = np.round(rng.normal(size=number) + labels, 1)
    second = np.round(0.6 * first + rng.normal(size=number) + 0.3 * labels, 1)
    return labels, first, second


def test_delong_is_what_its_paper_defines():
    """The structural components of DeLong et al. 1988, pair by pair."""
    labels, *scores = drawn(1, 40)
    aucs, covariance = delong(labels, np.stack(scores))
    v10, v01 = [], []
    for one in scores:
        fake, real = one[labels == 1], one[labels == 0]
        pairs = (fake[:, None] > real[None, :]) + 0.5 * (fake[:, None] == real[None, :])
        v10.append(pairs.mean(axis=1))
        v01.append(pairs.mean(axis=0))
    expected = np.cov(v10) / len(v10[0]) + np.cov(v01) / len(v01[0])
    assert aucs == pytest.approx([roc_auc_score(labels, one) for one in scores])
    assert covariance == pytest.approx(expected)


def test_delong_gives_the_value_of_another_implementation():
    """MLstatkit 0.1.91 (Delong_test, method "delong") on the same scores."""
    assert delong_test(*drawn()) == pytest.approx(0.6211952659611562, abs=1e-12)


def test_delong_without_a_variance_is_no_test():
    labels = np.array([0, 0, 1, 1])
    assert delong_test(labels, np.arange(4.0), np.arange(4.0) * 2) == 1.0
    assert delong_test(labels, np.arange(4.0), np.zeros(4)) is None
    assert delong_test(np.array([0, 0, 0, 1]), np.arange(4.0), -np.arange(4.0)) is None


def test_holm_steps_down():
    """The example of Holm's method in R: p.adjust(c(0.01, 0.02, 0.03, 0.04), "holm")."""
    assert holm([0.04, 0.01, None, 0.03, 0.02]) == pytest.approx([0.06, 0.04, None, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_paired_bootstrap_and_delong_agree_on_independent_pictures():
    labels, first, second = drawn(3, 400)
    found = compare_aucs(labels, (first, second), np.arange(400), Resampling(1000))
    aucs, covariance = delong(labels, np.stack([first, second]))
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert found.gain.value == pytest.approx(aucs[1] - aucs[0])
    assert found.gain.high - found.gain.low == pytest.approx(2 * 1.96 * error, rel=0.12)
    assert found.p_bootstrap == pytest.approx(found.p_delong, abs=0.05)
    # Each picture four times over is no further witness to the bootstrap of groups.
    four = compare_aucs(
        np.tile(labels, 4), (np.tile(first, 4), np.tile(second, 4)), np.tile(np.arange(400), 4), Resampling(1000)
    )
    assert four.gain.high - four.gain.low == pytest.approx(found.gain.high - found.gain.low, rel=1e-9)
    assert four.p_delong < found.p_delong


def test_one_class_is_not_compared():
    found = compare_aucs(np.ones(5, dtype=int), (np.arange(5.0), np.arange(5.0)), np.arange(5), Resampling(20))
    assert (found.gain.value, found.p_delong, found.reason) == (None, None, "needs both classes")


def sample(folder, number, label, set_="a", method=""):
    return Sample(folder / set_ / label.name.lower() / f"{number}.png", label, set=set_, method=method)


@pytest.fixture
def pictures(tmp_path):
    """Two sets of 30 real and 30 fake pictures; the fakes of the second were made by two methods."""
    return [
        sample(tmp_path, number, label, set_, ("swap", "gan")[number % 2] if label and set_ == "b" else "")
        for set_ in "ab"
        for label in Label
        for number in range(30)
    ]


def test_a_missing_score_is_as_wrong_as_can_be(pictures):
    rng = np.random.default_rng(0)
    labels = np.array([int(one.label) for one in pictures])
    good = labels + rng.normal(0, 0.3, len(labels))
    holes = good.copy()
    holes[[0, 40]] = np.nan  # a real and a fake
    worst = good.copy()
    worst[0], worst[40] = 99.0, -99.0
    kinds = [("face under 80 px", "sharper half")] * len(pictures)
    settings = Settings(resampling=Resampling(60))
    (match,) = compare(pictures, [DetectorScores("a", good), DetectorScores("b", holes)], kinds, settings)
    total = match.parts[0]
    assert total.missing == (0, 2)
    assert total.comparison.second.value == pytest.approx(roc_auc_score(labels, worst))
    (same,) = compare(pictures, [DetectorScores("a", good), DetectorScores("b", worst)], kinds, settings)
    assert same.parts[0].comparison == total.comparison


def test_parts_are_sets_methods_sizes_and_their_mean(pictures):
    rng = np.random.default_rng(0)
    labels = np.array([int(one.label) for one in pictures])
    blind = rng.normal(size=len(labels))
    seeing = np.where([one.set == "b" for one in pictures], 3.0 * labels, 0.0) + rng.normal(size=len(labels))
    kinds = [("face under 80 px" if n % 3 else "face 160 px and over", "sharper half") for n in range(len(labels))]
    detectors = [DetectorScores("blind", blind), DetectorScores("seeing", seeing), DetectorScores("again", blind)]
    settings = Settings(resampling=Resampling(800))
    first, second = compare(pictures, detectors, kinds, settings)
    by_name = {part.name: part for part in first.parts}
    assert list(by_name) == [
        *("all pictures", "mean of 2 sets", "a", "b", "b / gan", "b / swap"),
        *("face 160 px and over", "face under 80 px"),
    ]
    aucs = [by_name[name].comparison.second.value for name in "ab"]
    assert by_name["mean of 2 sets"].comparison.second.value == pytest.approx(np.mean(aucs))
    assert by_name["mean of 2 sets"].comparison.p_delong is None
    assert (by_name["b / gan"].real, by_name["b / gan"].fake) == (30, 15)
    assert (by_name["b"].better, by_name["a"].better) == (2, 0)
    assert by_name["b"].p_delong_holm > by_name["b"].comparison.p_delong
    assert all(part.better == 0 for part in second.parts)
    marked = Settings(resampling=Resampling(20), used_for_selection=("b",))
    (only, _) = compare(pictures, detectors, kinds, marked)
    assert (only.parts[0].real, only.parts[0].fake) == (30, 30)
    assert [part.name for part in only.parts if part.used_for_selection] == ["b", "b / gan", "b / swap"]


def write_scores(file, rows, header="path,score"):
    file.write_text("\n".join([header, *rows]))
    return file


def test_paths_are_understood_in_several_ways(pictures, tmp_path):
    rows = ["a/real/0.png,0.5", f"{tmp_path}/a/real/1.png,1.5", "b\\fake\\2.png,2.5", "data/a/real/3.png,9", "x.png,1"]
    found = read_scores(write_scores(tmp_path / "s.csv", rows), pictures, tmp_path)
    assert found.scores[[0, 1]].tolist() == [0.5, 1.5]
    assert found.scores[pictures.index(next(p for p in pictures if p.path.match("b/fake/2.png")))] == 2.5
    assert found.foreign_rows == 2
    assert found.missing == len(pictures) - 3
    above = read_scores(write_scores(tmp_path / "t.csv", ["a/real/0.png,1"]), pictures, tmp_path.parent)
    assert above.scores[0] == 1.0


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (["a/real/0.png,1"], "file,score", "it needs path, and one of score, logit, p_fake"),
        (["a/real/0.png,high"], "path,score", "line 2: the score 'high' is no number"),
        (["a/real/0.png,1", "a/real/0.png,2"], "path,score", "line 3: a/real/0.png has a second score"),
        (["0.png,1"], "path,score", "no line of .* names a picture"),
    ],
)
def test_wrong_scores_are_explained(pictures, tmp_path, rows, header, message):
    with pytest.raises(DataError, match=message):
        read_scores(write_scores(tmp_path / "s.csv", rows, header), pictures, tmp_path)


def test_empty_scores_are_missing_and_a_file_must_be_there(pictures, tmp_path):
    rows = ["a/real/0.png,", "a/real/1.png,nan", "a/real/2.png,1"]
    assert read_scores(write_scores(tmp_path / "s.csv", rows), pictures, tmp_path).missing == len(pictures) - 1
    with pytest.raises(DataError, match="cannot read the scores"):
        read_scores(tmp_path / "none.csv", pictures, tmp_path)


@pytest.fixture
def faces(astronaut, tmp_path):
    """Twenty-four tinted photos of one face in two sizes, half of them "fake" (red), and a wall."""
    rows = ["path,label,set,method,split"]
    for number in range(12):
        for label, tint in (("real", (0.6, 1.0, 1.0)), ("fake", (1.0, 0.85, 0.7))):
            photo = astronaut[20:320, 80 : 360 - number] * np.array(tint) * (1 - number / 40)
            image = Image.fromarray(photo.astype(np.uint8))
            image.resize((image.width // (1 + number % 2), 300 // (1 + number % 2))).save(
                tmp_path / f"{label}{number}.png"
            )
            rows.append(f"{label}{number}.png,{label},photos,,test")
    Image.fromarray(np.full((100, 100, 3), 90, np.uint8)).save(tmp_path / "wall.png")
    (tmp_path / "manifest.csv").write_text("\n".join([*rows, "wall.png,real,photos,,test"]))
    return tmp_path


def test_a_bundle_is_compared_with_scores_from_a_file(faces, tiny_bundle, tmp_path, capsys):
    rng = np.random.default_rng(0)
    rows = [f"{label}{number}.png,{rng.normal():.4f}" for label in ("real", "fake") for number in range(12)]
    other = write_scores(tmp_path / "other.csv", rows[:-1])
    arguments = ["bench", "compare", faces, tiny_bundle, other, "--output", tmp_path / "out", "--bootstrap", 400]
    assert main([str(one) for one in [*arguments, "--crops", tmp_path / "c"]]) == 0
    said = capsys.readouterr().out
    content = json.loads((tmp_path / "out/comparison.json").read_text())
    assert content["first"]["missing"] == 1  # the wall has no face
    assert content["matches"][0]["second"]["missing"] == 2  # and no line; one fake has none either
    assert "has no score for 2 of 25 pictures" in said
    parts = {part["name"]: part for part in content["matches"][0]["parts"]}
    assert parts["all pictures"]["comparison"]["first"]["value"] > 0.9
    assert parts["all pictures"]["better"] == 1
    assert {part["scope"] for part in parts.values()} == {"all", "size", "quality"}
    assert content["command"].startswith("deepfake bench compare ")
    with (tmp_path / "out/comparison.csv").open(newline="") as stream:
        assert [row["name"] for row in csv.DictReader(stream)] == list(parts)
    page = (tmp_path / "out/report.html").read_text()
    assert "Holm" in page
    assert "data:image/svg+xml" in page


def test_too_few_resamples_are_named(pictures):
    labels = np.array([int(one.label) for one in pictures])
    detectors = [DetectorScores("blind", np.zeros(len(labels))), DetectorScores("seeing", labels * 1.0)]
    settings = Settings(resampling=Resampling(20))
    matches = compare(pictures, detectors, [("", "")] * len(labels), settings)
    found = Compared("data", "test", "0", "deepfake", settings, len(labels), detectors[0], matches)
    assert "20 resamples are too few" in " ".join(summary(found))


def test_runs_that_split_the_data_differently_are_not_compared(faces, tiny_model, tiny_card, tmp_path):
    for split in ("Real", "Fake"):
        (tmp_path / "plain" / split).mkdir(parents=True)
        for number in range(6):
            (faces / f"{split.lower()}{number}.png").rename(tmp_path / "plain" / split / f"{number}.png")
    runs = []
    for seed in (0, 1):
        run = tmp_path / f"run{seed}"
        write_bundle(run / "bundle", tiny_model(), tiny_card())
        (run / "config.yaml").write_text(f"data: {{source: plain, split_seed: {seed}}}\n")
        runs.append(str(run))
    with pytest.raises(DataError, match="split the data once"):
        bench_compare(tmp_path / "plain", runs)


def test_two_detectors_are_needed(faces):
    with pytest.raises(DataError, match="at least two"):
        bench_compare(faces, ["a.csv"])


def test_the_bench_is_there_without_tensorflow():
    modules = ", ".join(f"deepfake_detector.cli.bench_{name}" for name in ("robustness", "compare", "sources"))
    code = (
        f"import sys, {modules}; print(sorted({{'tensorflow', 'keras', 'matplotlib', 'sklearn'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
