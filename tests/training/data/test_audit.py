"""Audits: planted shortcuts are found and named, clean data is left in peace, copies and gaps are listed."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from deepfake_detector.core.errors import DataError
from deepfake_detector.training.data.audit import AuditOptions, Finding, audit, gaps
from deepfake_detector.training.data.audit_facts import border_share, jpeg_quality, read_facts
from deepfake_detector.training.data.audit_predictors import Judged, estimate_auc
from deepfake_detector.training.data.audit_report import summary, write
from deepfake_detector.training.data.samples import Label, Sample, SetCount, limited
from deepfake_detector.training.intervals import Resampling

FAST = AuditOptions(resampling=Resampling(30))
EACH = 40


@pytest.fixture
def data_set(tmp_path, draw):
    """Makes Real and Fake folders; ``save(pixels, fake, path, index)`` says how, by default as JPEG for both."""

    def make(save=None, name="set", each=EACH, first=0):
        for fake in (False, True):
            folder = tmp_path / name / ("Fake" if fake else "Real")
            folder.mkdir(parents=True)
            for index in range(each):
                pixels = draw(first + 2 * index + fake, 64, 64)
                path = folder / f"{index:03d}.jpg"
                if save:
                    save(pixels, fake, path, index)
                else:
                    Image.fromarray(pixels).save(path, quality=75 + index % 20)
        return tmp_path / name

    return make


def found(audited, name, part=0):
    return next(guess for guess in audited.parts[part].guesses if guess.predictor.name == name)


def as_png_or_jpeg(pixels, fake, path, index):
    if fake:
        Image.fromarray(pixels).save(path.with_suffix(".png"))
    else:
        Image.fromarray(pixels).save(path, quality=90)


def test_png_against_jpeg_is_a_leak(data_set):
    audited = audit(data_set(as_png_or_jpeg), FAST)
    assert audited.finding is Finding.LEAK
    guess = found(audited, "format")
    assert guess.finding is Finding.LEAK
    assert guess.auc.value == 1.0
    assert 0.90 <= guess.auc.low < 1.0
    assert found(audited, "joint_file").finding is Finding.LEAK
    assert "file format" in summary(audited)[0]


def test_pictures_saved_by_one_path_are_clean(data_set):
    audited = audit(data_set(), FAST)
    assert audited.finding is Finding.OK
    assert found(audited, "format").auc.value == 0.5
    assert summary(audited)[0].startswith("No trivial fact tells real from fake")


def test_jpeg_quality_and_subsampling_are_leaks(data_set):
    def save(pixels, fake, path, index):
        Image.fromarray(pixels).save(path, quality=95 if fake else 75, subsampling=0 if fake else 2)

    audited = audit(data_set(save), FAST)
    assert {guess.predictor.name for guess in audited.parts[0].guesses if guess.finding is Finding.LEAK} >= {
        "jpeg_quality", "subsampling", "bits_per_pixel",
    }  # fmt: skip
    assert found(audited, "size").auc.value == 0.5


def test_sizes_are_found_though_neither_class_is_the_larger(data_set):
    def save(pixels, fake, path, index):
        side = (48, 80)[index % 2] if fake else 64
        Image.fromarray(pixels).resize((side, side)).save(path, quality=90)

    audited = audit(data_set(save), FAST)
    assert found(audited, "size").finding is Finding.LEAK
    assert found(audited, "aspect").auc.value == 0.5


def test_brightness_is_a_warning_but_no_leak(data_set):
    def save(pixels, fake, path, index):
        Image.fromarray(pixels // 2 + (120 if fake else 0)).save(path, quality=90)

    audited = audit(data_set(save), FAST)
    assert found(audited, "brightness").finding is Finding.WARNING
    assert audited.finding is Finding.WARNING
    assert any("brightness" in sentence and "go with the label" in sentence for sentence in summary(audited))


def test_a_frame_and_exif_are_found(data_set):
    exif = Image.Exif()
    exif[0x010F] = "Camera"

    def save(pixels, fake, path, index):
        framed = np.pad(pixels[8:-8], ((8, 8), (0, 0), (0, 0))) if fake else pixels
        Image.fromarray(framed).save(path, quality=90, **({} if fake else {"exif": exif}))

    audited = audit(data_set(save), FAST)
    assert found(audited, "border").finding is Finding.LEAK
    assert found(audited, "exif").finding is Finding.LEAK


def manifest_of(folders, table, splits=("train",)):
    with table.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label", "set", "split"])
        for folder in folders:
            for index, path in enumerate(sorted(folder.rglob("*.*"))):
                label = path.parent.name.lower()
                writer.writerow([path.relative_to(table.parent), label, folder.name, splits[index % len(splits)]])
    return table


@pytest.fixture
def two_sets(data_set):
    """Two clean sets of different sizes: the folders ``large``, mostly fakes, and ``small``, mostly reals."""

    def make(kept):
        large = data_set(lambda pixels, fake, path, index: Image.fromarray(pixels).resize((90, 90)).save(path), "large")
        small = data_set(name="small", first=500)
        for folder in (large / "Real", small / "Fake"):
            for path in sorted(folder.iterdir())[kept:]:
                path.unlink()
        return large, small

    return make


def test_the_score_of_all_pictures_tells_sets_apart(two_sets, tmp_path):
    audited = audit(manifest_of(two_sets(25), tmp_path / "manifest.csv"), FAST)
    assert [part.set for part in audited.parts] == [None, "large", "small"]
    pooled, in_large, in_small = (found(audited, "size", part).auc.value for part in range(3))
    assert pooled > 0.58
    assert in_large == in_small == 0.5


def test_sets_with_one_class_leak_together(two_sets, tmp_path):
    audited = audit(manifest_of(two_sets(0), tmp_path / "manifest.csv"), FAST)
    assert audited.finding is Finding.LEAK
    assert audited.parts[0].finding is Finding.LEAK
    assert not audited.parts[1].guesses
    said = " ".join(summary(audited))
    assert "No set leaks by itself" in said
    assert "In the set large there are no real pictures" in said


def test_copies_broken_files_and_splits(data_set, tmp_path):
    folder = data_set(each=30)
    names = sorted((folder / "Real").iterdir())
    shutil.copy(names[0], folder / "Real" / "zz-copy.jpg")
    shutil.copy(names[1], folder / "Fake" / "zz-both.jpg")
    with Image.open(names[2]) as image:
        image.resize((100, 100)).save(folder / "Real" / "zz-near.png")
    (folder / "Fake" / "zz-broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    table = tmp_path / "manifest.csv"
    with table.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label", "split"])
        for path in sorted(folder.rglob("*.*")):
            split = "test" if path.name.startswith("zz") else "train"
            writer.writerow([path.relative_to(tmp_path), path.parent.name.lower(), split])
    audited = audit(table, FAST)
    copies = audited.copies
    assert [len(group) for group in copies.same_classes] == [2]
    assert len(copies.same_splits) == 2
    assert len(copies.alike_splits) == 3
    assert (copies.tested, copies.held_out) == (3, 3)
    assert [one.sample.path.name for one in audited.unreadable] == ["zz-broken.jpg"]
    assert audited.unreadable[0].reason.startswith("damaged")
    assert audited.finding is Finding.WARNING
    said = " ".join(summary(audited))
    for words in ("3 of 3 pictures of val and test have a copy", "both as real and as fake", "1 of 64 pictures cannot"):
        assert words in said
    page = write(audited, tmp_path / "out").read_text(encoding="utf-8")
    for words in ("Not clean", "zz-near.png", "zz-broken.jpg", "zz-both.jpg"):
        assert words in page
    numbers = json.loads((tmp_path / "out" / "audit.json").read_text(encoding="utf-8"))
    assert numbers["verdict"] == "warning"
    assert numbers["copies"]["held_out_with_a_copy_in_train"] == 3
    assert numbers["parts"][0]["predictors"]["format"]["level"] == "file"


def test_gaps_in_words():
    counts = [SetCount("a", None, 10, 50), SetCount("b", None, 0, 5), SetCount("c", None, 30, 31)]
    assert gaps(counts) == (
        "In the set a there are 10 real and 50 fake pictures.",
        "In the set b there are no real pictures: there, the source is the label.",
    )


def test_too_few_pictures_are_said_to_be_too_few(data_set):
    audited = audit(data_set(each=6), FAST)
    assert not audited.parts[0].guesses
    assert "6 independent real and 6 fake pictures; 20 of each are needed" in " ".join(summary(audited))


def test_near_copies_are_one_witness(data_set):
    def save(pixels, fake, path, index):
        rng = np.random.default_rng(int(fake))
        same = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((64, 64))
        same.save(path, quality=60 + index)

    assert "1 independent real and 1 fake pictures" in str(audit(data_set(save), FAST).parts[0].reason)


def test_nothing_that_can_be_read_is_an_error(data_set):
    folder = data_set(lambda pixels, fake, path, index: path.write_bytes(b"no picture"), each=2)
    with pytest.raises(DataError, match="none of the 4 pictures"):
        audit(folder, FAST)


def test_a_limit_takes_so_many_of_each_class(tmp_path):
    samples = [Sample(tmp_path / str(index), Label(index % 2), set="ab"[index % 3 == 0]) for index in range(60)]
    chosen = limited(samples, 5, 1)
    assert len(chosen) == 20
    assert chosen == limited(samples, 5, 1) != limited(samples, 5, 2)
    assert limited(samples, None, 1) == tuple(samples)


@pytest.mark.parametrize("quality", [5, 30, 50, 75, 92, 100])
def test_quality_is_read_from_the_tables(draw, quality):
    stream = io.BytesIO()
    Image.fromarray(draw(1)).save(stream, "JPEG", quality=quality)
    with Image.open(stream) as image:
        assert jpeg_quality(image.quantization[0]) == quality


def test_quality_of_a_strange_table_is_unknown():
    assert np.isnan(jpeg_quality([1, 2, 3]))


def test_facts_of_one_file(tmp_path, draw):
    path = tmp_path / "a.jpg"
    Image.fromarray(draw(3, 90, 60)).save(path, quality=80, subsampling=1, progressive=True, dpi=(72, 72))
    facts = read_facts(path)
    assert (facts.format, facts.mode, facts.subsampling, facts.progressive) == ("JPEG", "RGB", "4:2:2", "True")
    assert (facts.width, facts.height, facts.aspect, facts.jpeg_quality) == (90, 60, 1.5, 80.0)
    assert facts.bits_per_pixel == pytest.approx(8 * path.stat().st_size / 5400)
    assert facts.metadata == "resolution"
    assert not facts.exif
    assert facts.red == pytest.approx(draw(3, 90, 60)[..., 0].mean(), abs=2.0)
    assert read_facts(tmp_path / "none.jpg").startswith("unreadable: ")


def test_border_share(draw):
    gray = draw(2, 100, 80).mean(axis=2).astype(np.float32)
    assert border_share(gray) == 0.0
    assert border_share(np.pad(gray, ((10, 10), (0, 0)))) == pytest.approx(0.2)
    assert border_share(np.pad(gray, ((0, 0), (25, 0)), mode="edge")) == pytest.approx(0.2, abs=0.01)
    assert border_share(np.full((50, 50), 9.0, np.float32)) == pytest.approx(1.0, abs=0.02)


def test_blur_lowers_sharpness_and_high_frequencies(tmp_path, draw):
    sharp = Image.fromarray(draw(4, 300, 300))
    sharp.save(tmp_path / "sharp.png")
    sharp.resize((75, 75)).resize((300, 300), Image.Resampling.BICUBIC).save(tmp_path / "soft.png")
    facts, soft = read_facts(tmp_path / "sharp.png"), read_facts(tmp_path / "soft.png")
    assert facts.sharpness > soft.sharpness + 0.5
    assert facts.high_frequency > soft.high_frequency + 0.5


def test_intervals_of_an_auc(tmp_path):
    labels = np.arange(200) % 2
    rng = np.random.default_rng(0)
    pictures = Judged([], labels, np.arange(200))
    perfect = estimate_auc(pictures, labels.astype(float), Resampling(50))
    assert (perfect.value, perfect.high) == (1.0, 1.0)
    assert 0.95 < perfect.low < 0.97
    some = estimate_auc(pictures, np.round(rng.normal(labels * 1.0), 2), Resampling(200))
    assert some.low < 0.76 < some.high
    assert 0.08 < some.high - some.low < 0.2
    assert estimate_auc(pictures, labels.astype(float), Resampling(0)).low is None


@pytest.mark.shared_data
def test_a_clean_pair_is_no_leak(shared_data):
    options = AuditOptions(sets=("ffhq_stylegan",), limit=60, resampling=Resampling(100))
    audited = audit(shared_data / "manifest.csv", options)
    assert audited.finding is not Finding.LEAK
    assert all(guess.auc.low is None or guess.auc.low < 0.8 for guess in audited.parts[0].guesses)
