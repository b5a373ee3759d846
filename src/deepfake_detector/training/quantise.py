"""Makes a bundle whose convolutions count in 8-bit integers, and refuses to if it tells fakes less well."""

from __future__ import annotations

import logging
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.errors import ConfigError, DataError, ExportError
from deepfake_detector.core.onnx import open_session
from deepfake_detector.scoring.bundle import HASH_TO_BE_SET, Bundle
from deepfake_detector.scoring.calibration import calibrated_logit, threshold_logit
from deepfake_detector.scoring.card import Card
from deepfake_detector.scoring.own_threshold import BAND_RATE
from deepfake_detector.scoring.scorer import Scorer
from deepfake_detector.training.bench.aucs import WeightedAuc
from deepfake_detector.training.data.crops import build_crops, read_cached
from deepfake_detector.training.data.samples import Sample, Split, class_of, limited
from deepfake_detector.training.intervals import Floats
from deepfake_detector.training.predict import Progress, View, cut

MAX_AUC_DROP = 0.005
COUNTED = ("Conv", "Clip", "Add")
"""Operators that work on integers; what lies behind the feature map stays in floating point."""

TIMED_CROPS = 24
SUFFIX = "-int8"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Trial:
    """Which pictures to measure ranges on (``ranges`` of the training split) and at most how many to compare on."""

    ranges: int = 160
    compared: int = 1500


@dataclass(frozen=True, slots=True)
class Comparison:
    """The 8-bit model beside the one that it was made of, on validation pictures.

    ``before`` and ``after`` are mean ROC-AUCs over the sets with both classes (all pictures, where there is none);
    ``moved`` is the median change of a calibrated logit, ``same_side`` the share of pictures on the same side of the
    threshold for 5 %; ``speed`` says how many times as fast one thread scores a single crop.
    """

    pictures: int
    before: float
    after: float
    moved: float
    same_side: float
    speed: float
    megabytes: float

    @property
    def drop(self) -> float:
        """How much AUC is lost."""
        return self.before - self.after

    def __str__(self) -> str:
        return (
            f"ROC-AUC {self.after:.4f}, before {self.before:.4f} ({self.pictures} validation pictures); the median "
            f"logit moves by {self.moved:.3f}, {100 * self.same_side:.1f} % stay on their side of the threshold; "
            f"{self.speed:.2f} times as fast on one thread; {self.megabytes:.1f} MB"
        )


def quantise(
    bundle: Bundle,
    samples: Sequence[Sample],
    cache: Path,
    trial: Trial | None = None,
    progress: Progress = lambda what, done, total: None,
) -> tuple[bytes, Card, Comparison]:
    """The 8-bit model with its card, and how it compares.

    If the AUC falls by more than ``MAX_AUC_DROP``, the first and the last convolutions stay in floating point; if it
    still does, ExportError is raised. Raises ConfigError for a model that cannot be quantised, DataError without
    training pictures to measure ranges on or validation pictures of both classes.
    """
    trial = trial or Trial()
    model = _with_plain_weights(bundle.model)
    counted = _counted(model, bundle.card)
    ranges = _crops(bundle, samples, Split.TRAIN, trial.ranges, cache, progress)[0]
    crops, compared = _crops(bundle, samples, Split.VAL, trial.compared, cache, progress)
    progress("scoring", 0, len(crops))
    before = Scorer(bundle).score(crops).fake_logit
    convolutions = [node.name for node in model.graph.node if node.name in counted and node.op_type == "Conv"]
    edges = {*_first(model, convolutions), *_last(model, convolutions)}
    for kept in (frozenset[str](), frozenset(edges)):
        made = _quantised(model, ranges, counted - kept)
        card = _card(bundle.card)
        integers = Bundle(card, made)
        progress("scoring", len(crops) // 2, len(crops))
        found = _compare(bundle, integers, before, crops, compared)
        progress("scoring", len(crops), len(crops))
        logger.info("in 8 bits, %d convolutions in floating point: %s", len(kept), found)
        if found.drop <= MAX_AUC_DROP:
            return made, card, found
    raise ExportError(f"in 8 bits the model loses more than {MAX_AUC_DROP:g} of its AUC: {found}; nothing was written")


def _card(card: Card) -> Card:
    return card.model_copy(
        update={
            "name": card.name + SUFFIX,
            "onnx_sha256": HASH_TO_BE_SET,
            "architecture": f"{card.architecture}; its convolutions count in 8-bit integers",
            "metrics": (),
        }
    )


def _crops(
    bundle: Bundle, samples: Sequence[Sample], split: Split, most: int, cache: Path, progress: Progress
) -> tuple[NDArray[np.uint8], tuple[Sample, ...]]:
    """Crops (N, S, S, 3) of the model's own sets, about as many of each set and class."""
    known = {one.name for one in bundle.card.data}
    chosen = [one for one in samples if one.split is split and (one.set in known or not one.set)]
    if not chosen:
        raise DataError(f"the data has no pictures of the sets on the model's card in the split {split}")
    chosen = list(limited(chosen, max(1, most // len({class_of(one) for one in chosen})), seed=0))
    rule = bundle.card.input.rule()
    index = build_crops(chosen, rule, cache, progress=lambda done, total: progress("finding faces", done, total))
    faces = [cut(View(read_cached(item), item.box, item.landmarks), rule).crop for item in index.crops]
    return np.stack(faces), tuple(item.sample for item in index.crops)


def _with_plain_weights(model: bytes) -> Any:
    """The model with weights that are stored in half precision turned back, since ranges are read from stored ones."""
    import onnx
    from onnx import numpy_helper

    loaded = onnx.load_model_from_string(model)
    stored = {tensor.name: tensor for tensor in loaded.graph.initializer}
    casts = [node for node in loaded.graph.node if node.op_type == "Cast" and node.input[0] in stored]
    for node in casts:
        array = numpy_helper.to_array(stored[node.input[0]]).astype(np.float32)
        loaded.graph.initializer.append(numpy_helper.from_array(array, node.output[0]))
        loaded.graph.initializer.remove(stored[node.input[0]])
        loaded.graph.node.remove(node)
    for number, node in enumerate(loaded.graph.node):
        node.name = node.name or f"node_{number}"
    return onnx.shape_inference.infer_shapes(loaded)


def _counted(model: Any, card: Card) -> frozenset[str]:
    """The nodes from the first convolution to the feature map, whose mean the features are. Raises ConfigError."""
    maker = {output: node for node in model.graph.node for output in node.output}
    features = maker.get(card.outputs.features or "")
    if features is None or features.op_type not in ("ReduceMean", "GlobalAveragePool"):
        raise ConfigError(f"the features of {card.name} are not the mean of a map; only such networks can be quantised")
    before, waiting = set[str](), [features.input[0]]
    while waiting:
        node = maker.get(waiting.pop())
        if node is not None and node.name not in before:
            before.add(node.name)
            waiting += node.input
    behind_convolution = set[str]()
    found = set[str]()
    for node in model.graph.node:
        if node.op_type == "Conv" or behind_convolution.intersection(node.input):
            behind_convolution.update(node.output)
            if node.name in before and node.op_type in COUNTED:
                found.add(node.name)
    if not found:
        raise ConfigError(f"{card.name} has no convolutions before its feature map; there is nothing to quantise")
    return frozenset(found)


def _first(model: Any, convolutions: Sequence[str]) -> Iterator[str]:
    """The convolutions that no other one lies before."""
    reached = set[str]()
    for node in model.graph.node:
        behind = bool(reached.intersection(node.input))
        if node.name in convolutions and not behind:
            yield node.name
        if behind or node.name in convolutions:
            reached.update(node.output)


def _last(model: Any, convolutions: Sequence[str]) -> Iterator[str]:
    """The convolutions that no other of them lies behind."""
    leading = set[str]()
    for node in reversed(model.graph.node):
        if node.name in convolutions:
            if not leading.intersection(node.output):
                yield node.name
            leading.update(node.input)
        elif leading.intersection(node.output):
            leading.update(node.input)


def _quantised(model: Any, crops: NDArray[np.uint8], counted: frozenset[str]) -> bytes:
    """Static quantisation: ranges from these crops, weights by output channel, in 7 bits.

    The eighth bit overflows the 16-bit sums of processors without VNNI instructions.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    add_pre_process_metadata(model)  # else it advises to infer shapes and fold constants, which was done
    with tempfile.TemporaryDirectory() as folder:
        plain, made = Path(folder) / "plain.onnx", Path(folder) / "quantised.onnx"
        onnx.save(model, plain)
        quantize_static(
            plain,
            made,
            _reader(model.graph.input[0].name, crops),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(COUNTED),
            nodes_to_quantize=sorted(counted),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        quantised = onnx.load(made)
    used = {node.domain for node in quantised.graph.node}
    kept = [opset for opset in quantised.opset_import if opset.domain in used]
    del quantised.opset_import[:]
    quantised.opset_import.extend(kept)
    del quantised.graph.value_info[:], quantised.metadata_props[:]
    quantised.producer_name, quantised.doc_string = "deepfake-detector", ""
    onnx.checker.check_model(quantised, full_check=True)
    data: bytes = quantised.SerializeToString()
    return data


def _reader(name: str, crops: NDArray[np.uint8]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc] # ONNX Runtime has no types
        """Gives a few crops at a time."""

        def __init__(self) -> None:
            self._left = iter(np.array_split(crops, max(1, len(crops) // 8)))

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            """The next crops, None at the end."""
            part = next(self._left, None)
            return None if part is None else {name: part}

    return Reader()


def _compare(
    bundle: Bundle, integers: Bundle, before: NDArray[np.float32], crops: NDArray[np.uint8], samples: Sequence[Sample]
) -> Comparison:
    after = Scorer(integers).score(crops).fake_logit
    calibration = bundle.card.calibration
    old, new = (calibrated_logit(logits, calibration) for logits in (before, after))
    threshold = threshold_logit(calibration, BAND_RATE)
    return Comparison(
        pictures=len(samples),
        before=mean_auc(old, samples),
        after=mean_auc(new, samples),
        moved=float(np.median(np.abs(new - old))),
        same_side=float(((old >= threshold) == (new >= threshold)).mean()),
        speed=_speed(bundle.model, integers.model, crops[:TIMED_CROPS]),
        megabytes=len(integers.model) / 1e6,
    )


def mean_auc(logits: Floats, samples: Sequence[Sample]) -> float:
    """The mean ROC-AUC over the sets with both classes; of all pictures where there is none. Raises DataError."""
    labels = np.array([int(one.label) for one in samples])
    names = np.array([one.set for one in samples])
    found = []
    for name in np.unique(names):
        here = names == name
        if len(np.unique(labels[here])) == 2:
            found.append(WeightedAuc(labels[here], logits[here])(np.ones(int(here.sum()))))
    if not found and len(np.unique(labels)) == 2:
        found.append(WeightedAuc(labels, logits)(np.ones(len(labels))))
    if not found:
        raise DataError("the validation pictures of the sets on the card are all of one class; give both")
    return float(np.mean(found))


def _speed(first: bytes, second: bytes, crops: NDArray[np.uint8]) -> float:
    """How many times as fast the second one is: medians of single crops in turn, on one thread each."""
    sessions = [open_session(model, "a model to be timed", threads=1) for model in (first, second)]
    seconds: tuple[list[float], list[float]] = ([], [])
    for crop in crops:
        for session, taken in zip(sessions, seconds, strict=True):
            begin = time.perf_counter()
            session.run(None, {session.get_inputs()[0].name: crop[None]})
            taken.append(time.perf_counter() - begin)
    return statistics.median(seconds[0]) / statistics.median(seconds[1])
