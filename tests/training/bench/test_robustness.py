import csv
import json
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from deepfake_detector.cli.main import main
from deepfake_detector.core.errors import DataError
from deepfake_detector.core.types import Box, CropRule, Landmarks, OperatingPoint, Verdict
from deepfake_detector.faces.align import crop
from deepfake_detector.scoring.bundle import load_bundle
from deepfake_detector.training.bench.aucs import WeightedAuc
from deepfake_detector.training.bench.changes import CHANGES, chain, frame, resize, rotation
from deepfake_detector.training.bench.changes import crop as crop_to_face
from deepfake_detector.training.bench.reactions import react, worst
from deepfake_detector.training.bench.robustness import RobustnessOptions, bench_robustness
from deepfake_detector.training.bench.robustness_report import summary
from deepfake_detector.training.bench.stress import Stress, Stressed, stress
from deepfake_detector.training.data.manifest import read_data
from deepfake_detector.training.data.samples import Label, Sample
from deepfake_detector.training.evaluate import EvaluateOptions
from deepfake_detector.training.evaluation import Settings
from deepfake_detector.training.intervals import Resampling
from deepfake_detector.training.predict import Answer, Prediction, View

FEW = Settings(resampling=Resampling(40))
BY_NAME = {change.name: change for change in CHANGES}


@pytest.fixture
def view(astronaut):
    """A real photo with the face where it is."""
    marks = Landmarks((206.0, 110.0), (250.0, 108.0), (231.0, 138.0), (212.0, 160.0), (252.0, 158.0))
    return View(astronaut, Box(180.0, 70.0, 90.0, 120.0), marks)


def test_weighted_auc_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 80)
    scores = np.round(rng.normal(size=80) + labels, 1)
    weights = rng.integers(0, 4, 80).astype(float)
    expected = roc_auc_score(labels, scores, sample_weight=weights)
    assert WeightedAuc(labels, scores)(weights) == pytest.approx(expected, abs=1e-12)
    scores[:10] = np.nan
    assert WeightedAuc(labels, scores)(np.ones(80)) == pytest.approx(roc_auc_score(labels[10:], scores[10:]))
    assert np.isnan(WeightedAuc(labels, scores)(np.zeros(80)))


def test_changes_have_names_of_their_own_and_families_in_one_piece():
    names = [change.name for change in CHANGES]
    assert len(set(names)) == len(names) == 34
    families = [change.family for change in CHANGES]
    assert len(set(families)) == 1 + sum(a != b for a, b in pairwise(families))


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_every_change_changes_the_pixels_and_repeats_itself(change, view):
    changed = change.apply(view, np.random.default_rng(5))
    again = change.apply(view, np.random.default_rng(5))
    assert changed.pixels.dtype == np.uint8
    assert changed.pixels.shape != view.pixels.shape or (changed.pixels != view.pixels).any()
    assert np.array_equal(changed.pixels, again.pixels)
    assert view.pixels[:4].sum() > 0
    assert changed.landmarks is not None


@pytest.mark.parametrize(
    "move",
    [resize(2), resize(0.5), frame(0.1, 0), rotation(10), chain(resize(0.75), frame(0.06, 32))],
    ids=["twice", "half", "framed", "turned", "chained"],
)
def test_the_face_is_cut_in_the_same_place_after_it_moved(move, view):
    """The crop of the moved face looks like the crop of the face, turned back where the picture was turned."""
    rule = CropRule(size=64, ratio=1.1)
    before = crop(view.pixels, view.box, view.landmarks, rule).astype(float)
    moved = move(view, np.random.default_rng(0))
    upright = rule if moved.landmarks.roll - view.landmarks.roll < 1 else CropRule(size=64, ratio=1.1, upright_above=1)
    if upright is not rule:
        before = crop(view.pixels, view.box, view.landmarks, upright).astype(float)
    after = crop(moved.pixels, moved.box, moved.landmarks, upright).astype(float)
    shifted = crop(view.pixels, Box(186.0, 70.0, 90.0, 120.0), view.landmarks, upright).astype(float)
    assert np.abs(before - after).mean() < 6
    assert np.abs(before - shifted).mean() > 10


def test_rotation_turns_the_eyes_clockwise(view):
    assert rotation(15)(view, np.random.default_rng(0)).landmarks.roll == pytest.approx(
        view.landmarks.roll + 15, abs=0.1
    )


def test_a_crop_leaves_the_face_alone(view):
    small = crop_to_face(0.9)(view, np.random.default_rng(0))
    assert small.pixels.shape[:2] == (108, 108)
    assert np.array_equal(small.pixels, view.pixels[76:184, 171:279])
    assert small.box == Box(9.0, -6.0, 90.0, 120.0)


def answer(logit, verdict):
    return Answer(logit, logit, 0.5, None, verdict, ())


def prediction(tmp_path, number, label, logit, set_="a"):
    sample = Sample(tmp_path / f"{set_}{number}.png", label, set=set_)
    return Prediction(sample, answer(logit, Verdict.FAKE if logit >= 1 else Verdict.REAL))


def test_figures_of_a_change_are_those_of_its_answers(tmp_path):
    logits = [*np.linspace(-2, 0.9, 30), *np.linspace(0.5, 3, 30)]
    labels = [Label.REAL] * 30 + [Label.FAKE] * 30
    clean = [prediction(tmp_path, n, label, logit) for n, (label, logit) in enumerate(zip(labels, logits, strict=True))]
    turned = [answer(-2.0 if logit >= 1 else logit, Verdict.REAL) for logit in logits]  # no fake is found any more
    lost = [None if n < 6 else one.answer for n, one in enumerate(clean)]
    changes = (BY_NAME["jpeg-30"], BY_NAME["resize-0.25"])
    part, only = react(Stressed(changes, tuple(clean), (tuple(turned), tuple(lost)), ()), 1.0, FEW)
    assert (part.set, only.set) == (None, "a")
    assert (part.real, part.fake, part.sets_in_mean) == (30, 30, 1)
    auc = roc_auc_score(labels, logits)
    first, second = part.changed
    assert part.clean.roc_auc.value == pytest.approx(auc)
    assert part.clean.flips.count == 0
    worse = roc_auc_score(labels, [one.logit for one in turned])
    assert first.roc_auc.value == pytest.approx(worse)
    assert first.loss.value == pytest.approx(auc - worse)
    assert first.loss.low < first.loss.value < first.loss.high
    found = sum(logit >= 1 for logit in logits)
    assert (first.tpr.count, first.flips.count, first.reversals.count) == (0, found, found)
    assert (second.lost, second.flips.count, second.reversals.count) == (6, 6, 0)
    assert second.fpr.n == 24
    assert worst(part) is first


def test_the_sum_is_the_mean_over_sets_and_leaves_marked_ones_out(tmp_path):
    rows = [(set_, label, logit) for set_ in "abc" for label in Label for logit in range(12)]
    shift = {"a": 4, "b": 0, "c": -4}
    clean = tuple(
        prediction(tmp_path, n, label, logit + label * shift[set_], set_) for n, (set_, label, logit) in enumerate(rows)
    )
    same = tuple(one.answer for one in clean)
    marked = Settings(resampling=Resampling(20), used_for_selection=("c",))
    total, *sets = react(Stressed((BY_NAME["light-0.5"],), clean, (same,), ()), 1.0, marked)
    aucs = [part.clean.roc_auc.value for part in sets]
    assert total.clean.roc_auc.value == pytest.approx((aucs[0] + aucs[1]) / 2)
    assert [part.used_for_selection for part in (total, *sets)] == [False, False, False, True]
    assert total.changed[0].loss.value == 0.0


@pytest.fixture
def faces(astronaut, tmp_path):
    """Twelve tinted photos of one face, half of them "fake" (red), and a wall."""
    rows = ["path,label,set,split"]
    for number in range(6):
        for label, tint in (("real", (0.75, 1.0, 1.0)), ("fake", (1.0, 0.85, 0.75))):
            photo = astronaut[number * 4 : 400, 60 : 420 - number * 5] * np.array(tint) * (1 - number / 40)
            Image.fromarray(photo.astype(np.uint8)).save(tmp_path / f"{label}{number}.png")
            rows.append(f"{label}{number}.png,{label},photos,test")
    Image.fromarray(np.full((100, 100, 3), 90, np.uint8)).save(tmp_path / "wall.png")
    (tmp_path / "manifest.csv").write_text("\n".join([*rows, "wall.png,real,photos,test"]))
    return tmp_path


def test_stress_asks_the_model_about_whole_changed_pictures(faces, tiny_bundle, tmp_path):
    samples = read_data(faces)
    changes = (BY_NAME["light-0.5"], BY_NAME["crop-80"], BY_NAME["noise-20"])
    bundle = load_bundle(tiny_bundle)
    found = stress(bundle, samples, tmp_path / "c", OperatingPoint.FPR5, Stress(changes, seed=1))
    assert [one.sample.path.name for one in found.skipped] == ["wall.png"]
    assert len(found.clean) == 12
    for one, dark in zip(found.clean, found.answers[0], strict=True):
        # The tiny model's logit is half a unit and eight times red less blue: half the light, half of the rest.
        assert dark.raw_logit - 0.5 == pytest.approx((one.answer.raw_logit - 0.5) / 2, abs=0.1)
    again = stress(bundle, samples[::-1], tmp_path / "c", OperatingPoint.FPR5, Stress(changes[::-1], seed=1))
    assert again.answers[0][::-1] == found.answers[2]
    other = stress(bundle, samples, tmp_path / "c", OperatingPoint.FPR5, Stress(changes[2:], seed=2))
    assert other.answers[0] != found.answers[2]


def test_a_face_may_be_looked_for_again(faces, tiny_bundle, tmp_path):
    changes = (BY_NAME["resize-0.5"], BY_NAME["crop-80"])
    samples = read_data(faces)[:4]
    bundle = load_bundle(tiny_bundle)
    moved = stress(bundle, samples, tmp_path / "c", OperatingPoint.FPR5, Stress(changes))
    found = stress(bundle, samples, tmp_path / "c", OperatingPoint.FPR5, Stress(changes, find_again=True))
    assert [one.answer for one in found.clean] == [one.answer for one in moved.clean]
    for a, b in zip(found.answers[0], moved.answers[0], strict=True):
        assert a != b  # another box by a pixel or two
        assert a.logit == pytest.approx(b.logit, abs=0.3)


def test_bench_writes_its_files_and_names_the_worst_case(faces, tiny_bundle, tmp_path, capsys):
    folder = tmp_path / "out"
    arguments = ["bench", "robustness", tiny_bundle, faces, "--output", folder, "--crops", tmp_path / "c"]
    assert main([str(one) for one in [*arguments, "--bootstrap", 20, "--seed", 3]]) == 0
    said = capsys.readouterr().out
    assert "jpeg-30" in said
    content = json.loads((folder / "robustness.json").read_text())
    assert content["summary"][0] in said
    assert [part["set"] for part in content["parts"]] == [None, "photos"]
    assert len(content["parts"][0]["changed"]) == 34
    assert content["data"]["skipped"] == {"no face was found": 1}
    assert content["command"].startswith("deepfake bench robustness ")
    with (folder / "answers.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 12 * 35
    assert rows[0]["change"] == "unchanged"
    page = (folder / "report.html").read_text()
    assert "the finder" in page
    assert page.count("data:image/svg+xml") == 4


def test_reals_alone_have_false_alarms_and_flips(faces, tiny_bundle, tmp_path):
    table = (faces / "manifest.csv").read_text().splitlines()
    (faces / "manifest.csv").write_text("\n".join(line.replace("fake,photos", "fake,edited") for line in table))
    options = RobustnessOptions(EvaluateOptions(sets=("photos",), settings=FEW, crops=tmp_path / "c"), limit=4)
    found, folder = bench_robustness(tiny_bundle, faces, tmp_path / "out", options)
    assert found.parts[0].real == 4 - len(found.stressed.skipped)
    assert found.parts[0].clean.roc_auc.value is None
    assert summary(found)[0].startswith("Worst case: ")
    assert "no set has both classes" in (folder / "report.html").read_text()


def test_what_cannot_be_done_is_explained(faces, tiny_bundle, tmp_path):
    marked = EvaluateOptions(settings=Settings(used_for_selection=("photo",)), crops=tmp_path / "c")
    with pytest.raises(DataError, match="did you mean 'photos'"):
        bench_robustness(tiny_bundle, faces, tmp_path / "out", RobustnessOptions(marked))
    (tmp_path / "file").write_text("x")
    options = RobustnessOptions(EvaluateOptions(settings=FEW, crops=tmp_path / "c"), limit=1)
    with pytest.raises(DataError, match="cannot write the results"):
        bench_robustness(tiny_bundle, faces, tmp_path / "file", options)
