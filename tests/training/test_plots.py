import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from deepfake_detector.core.errors import DataError
from deepfake_detector.training import curve_plots, plots
from deepfake_detector.training.intervals import Estimate, Resampling, rate
from deepfake_detector.training.metrics import Confusion, ScoredSet
from deepfake_detector.training.plot_style import look, new_figure, probability_axis, save

FEW = Resampling(resamples=30, seed=0)
POINTS = (
    curve_plots.OperatingThreshold("10 % FPR", 0.3),
    curve_plots.OperatingThreshold("5 % FPR", 0.8, default=True),
    curve_plots.OperatingThreshold("1 % FPR", 1.9),
)
KNOWN = Estimate(0.9, 0.85, 0.95)


@pytest.fixture(autouse=True)
def styled():
    with look():
        yield


def simulated(n=300, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    return ScoredSet.of(labels, rng.normal(size=n) * 2 + (labels - 0.5) * 4)


def one_class(label=0):
    return ScoredSet.of([label] * 40, np.linspace(-3, 3, 40))


def legend(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def all_figures(scored):
    return {
        "roc": curve_plots.roc(scored, KNOWN, POINTS, FEW),
        "pr": curve_plots.precision_recall(scored, KNOWN),
        "reliability": curve_plots.reliability(scored, KNOWN, scored, KNOWN),
        "histogram": curve_plots.histogram(scored, POINTS, 0.7),
        "rates": curve_plots.rates_over_threshold(scored, POINTS),
        "confusion": plots.confusion_matrix(Confusion(90, 10, 20, 80), "title"),
        "set_aucs": plots.set_aucs([plots.SetRow("a", "3 real, 4 fake", KNOWN)]),
        "set_rates": plots.set_rates([plots.RateRow("a", False, rate(1, 20))], "title"),
    }


def test_every_plot_is_written_as_png_and_svg_with_the_same_bytes_each_time(tmp_path):
    for run in ("first", "second"):
        for name, figure in all_figures(simulated()).items():
            save(figure, tmp_path / run, name)
    files = sorted((tmp_path / "first").iterdir())
    assert len(files) == 16
    for file in files:
        assert file.read_bytes() == (tmp_path / "second" / file.name).read_bytes(), file.name
        if file.suffix == ".svg":
            assert ET.fromstring(file.read_text()).tag.endswith("svg")
        else:
            with Image.open(file) as picture:
                assert min(picture.size) > 200
                assert np.asarray(picture.convert("L")).std() > 5


def test_plots_leave_no_global_figures_and_no_settings_behind():
    import matplotlib as mpl
    from matplotlib import pyplot

    before = dict(mpl.rcParams)
    with look():
        all_figures(simulated())
        assert mpl.rcParams["svg.hashsalt"] == "deepfake-detector"
    assert dict(mpl.rcParams) == before
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_no_curves_but_a_histogram(label):
    figures = all_figures(one_class(label))
    assert figures["roc"] is None
    assert figures["pr"] is None
    assert figures["reliability"] is None
    name = ("real", "fake")[label]
    assert f"{name} (40)" in legend(figures["histogram"])
    assert sum(text in ("fakes found (TPR)", "reals called fake (FPR)") for text in legend(figures["rates"])) == 1


def test_roc_shows_auc_with_interval_and_the_operating_points_where_they_are():
    scored = simulated()
    figure = curve_plots.roc(scored, KNOWN, POINTS, FEW)
    assert "AUC 0.900 (0.850–0.950)" in legend(figure)
    dots = {line.get_label(): line.get_xydata()[0] for line in figure.axes[0].lines if "FPR" in line.get_label()}
    for point in POINTS:
        called = scored.logits >= point.logit
        assert dots[point.name] == pytest.approx([called[scored.labels == 0].mean(), called[scored.labels == 1].mean()])


def test_roc_band_holds_the_curve():
    scored = simulated()
    grid, low, high = curve_plots._roc_band(scored, FEW)
    assert (low <= high).all()
    assert len(grid) == len(np.unique(grid))
    figure = curve_plots.roc(scored, Estimate(0.9), POINTS, FEW)
    assert not any("band" in text for text in legend(figure))


def test_precision_recall_draws_the_share_of_fakes_as_chance():
    figure = curve_plots.precision_recall(ScoredSet.of([0] * 75 + [1] * 25, np.arange(100.0)), KNOWN)
    assert "chance: 25% of these are fake" in legend(figure)
    assert any(np.allclose(line.get_ydata(), 0.25) for line in figure.axes[0].lines)


def test_reliability_of_a_perfect_split_lies_at_the_corners():
    apart = ScoredSet.of([0] * 50 + [1] * 50, [-9.0] * 50 + [9.0] * 50)
    figure = curve_plots.reliability(apart, KNOWN, apart, KNOWN)
    curve = next(line for line in figure.axes[0].lines if "ECE" in line.get_label())
    assert curve.get_xydata() == pytest.approx(np.array([[0, 0], [1, 1]]), abs=1e-3)


def test_histogram_marks_the_uncertain_band():
    figure = curve_plots.histogram(simulated(), POINTS, 0.7)
    band = next(patch for patch in figure.axes[0].patches if patch.get_label() == "uncertain")
    assert band.get_x() == pytest.approx(0.1)
    assert band.get_width() == pytest.approx(0.7)


def test_extreme_scores_stay_in_the_picture():
    scored = ScoredSet.of([0, 1] * 20, [-500.0, 500.0] * 20)
    assert curve_plots.histogram(scored, POINTS, 0.5).axes[0].get_xlim()[1] < 11


def test_probability_axis_names_logits_by_their_probability():
    _, axes = new_figure()
    probability_axis(axes, -3.0, 3.0)
    positions = dict(zip((text.get_text() for text in axes.get_xticklabels()), axes.get_xticks(), strict=True))
    assert set(positions) == {"0.1", "0.5", "0.9"}
    assert positions["0.9"] == pytest.approx(math.log(9))


def test_confusion_matrix_shows_counts_and_shares_of_the_row():
    texts = [text.get_text() for text in plots.confusion_matrix(Confusion(90, 10, 20, 80), "x").axes[0].texts]
    assert texts == ["90\n90.0%", "10\n10.0%", "20\n20.0%", "80\n80.0%"]
    empty = [text.get_text() for text in plots.confusion_matrix(Confusion(0, 0, 5, 5), "x").axes[0].texts]
    assert empty[:2] == ["0\n0.0%", "0\n0.0%"]


def test_sets_without_a_figure_are_left_out_and_marked_ones_hollow():
    rows = [
        plots.SetRow("good", "9 real, 9 fake", KNOWN),
        plots.SetRow("one class", "9 real, 0 fake", Estimate(None, reason="x")),
        plots.SetRow("selected", "9 real, 9 fake", Estimate(0.4), marked=True),
    ]
    axes = plots.set_aucs(rows).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        "good  (9 real, 9 fake)",
        "selected  (9 real, 9 fake)",
    ]
    assert "hollow" in axes.get_xlabel()
    assert axes.get_xlim()[0] <= 0.4
    assert plots.set_aucs(rows[1:2]) is None


def test_set_rates_order_reals_before_fakes():
    rows = [
        plots.RateRow("b", True, rate(9, 10)),
        plots.RateRow("a", True, rate(5, 10)),
        plots.RateRow("c", False, rate(0, 7)),
    ]
    axes = plots.set_rates(rows, "title").axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["c  (7 real)", "a  (10 fake)", "b  (10 fake)"]
    assert "hollow" not in axes.get_xlabel()
    assert plots.set_rates([], "title") is None


LOG = """phase,epoch,step,lr,loss,val_loss,auc,best,seconds,images_per_second,note
head,1,10,0.001,0.7,0.6,0.8,True,3.1,200,
head,2,20,0.001,0.5,0.55,0.85,True,3.0,201,
fine-tuning,1,100,0.0001,0.4,nan,0.9,True,60,6.5,
fine-tuning,1,200,0.00009,0.3,0.5,0.88,False,60,6.5,
"""


def test_training_log_is_drawn(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text(LOG)
    files = plots.training_curves(log, tmp_path / "plots")
    assert [file.name for file in files] == ["training_curves.png", "training_curves.svg"]
    read = plots._read_log(log)
    assert set(read.columns) == {"lr", "loss", "val_loss", "auc"}
    assert read.unit == "validation"
    assert read.best == 2
    assert read.phases == ["head", "head", "fine-tuning", "fine-tuning"]


def test_unfinished_and_repeated_lines_of_a_log_do_no_harm(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("phase,epoch,loss,val_loss\nhead,1,0.9,0.9\nhead,1,0.7,0.6\nhead,2,0.5,0.5\nhead,3,0.")
    read = plots._read_log(log)
    assert read.columns == {"loss": [0.7, 0.5], "val_loss": [0.6, 0.5]}
    assert read.unit == "epoch"
    plain = tmp_path / "plain.csv"
    plain.write_text("loss\n0.5\n0.4\n")
    assert plots.training_curves(plain, tmp_path)


@pytest.mark.parametrize("content", ["", "phase,epoch,loss\n", "phase,epoch,loss\nhead,1,broken\n"])
def test_a_log_without_numbers_is_refused(tmp_path, content):
    log = tmp_path / "log.csv"
    log.write_text(content)
    with pytest.raises(DataError, match="no finished epoch"):
        plots.training_curves(log, tmp_path)


def test_a_missing_log_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot read the training log"):
        plots.training_curves(tmp_path / "none.csv", tmp_path)


def test_an_interval_below_zero_is_not_written_with_two_dashes():
    assert curve_plots.said(Estimate(-0.02, -0.05, 0.01)) == "-0.020 (-0.050 to 0.010)"
    assert curve_plots.said(Estimate(0.5, 0.4, 0.6)) == "0.500 (0.400–0.600)"
