"""Feeds crops to a network with tf.data: the same samples, order and changes for the same seed and epoch."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from deepfake_detector.core.errors import DataError
from deepfake_detector.core.types import CropMode, CropRule, FloatArray, ImageArray
from deepfake_detector.faces.align import NO_JITTER, Jitter, Matrix, face_matrix, warp, whole_matrix, window
from deepfake_detector.training.data.augment import Augmenter, make_augmenter, stream
from deepfake_detector.training.data.augment_config import AugmentConfig
from deepfake_detector.training.data.crops import CachedCrop, read_cached
from deepfake_detector.training.data.samples import Label, Sample, kind_target
from deepfake_detector.training.data.sampling import BalanceConfig, Indices, class_weights, epoch_indices
from deepfake_detector.training.data.synthetic import SyntheticFakes
from deepfake_detector.training.fitdata import WHOLE, Part

if TYPE_CHECKING:
    import tensorflow as tf

_ORDER = 2**31
"""Stands where the place in the epoch stands in the streams of single pictures: the stream of the order."""
_ROOM = 16
"""Pixels around what a crop needs that are changed along with it, so that a blur or a codec sees no false edge."""


@dataclass(frozen=True, slots=True)
class LoaderConfig:
    """How crops are fed.

    ``balance`` counts only with ``shuffle``; ``class_weights`` weighs the fake target so that both classes count the
    same; ``memory_mb`` is how much decoded pictures may take in memory, 0 keeps none; ``workers`` is the number of
    pictures that are prepared side by side, 0 lets TensorFlow choose.
    """

    batch_size: int = 32
    seed: int = 0
    shuffle: bool = True
    balance: BalanceConfig = field(default_factory=BalanceConfig)
    class_weights: bool = False
    memory_mb: int = 2048
    workers: int = 0


@dataclass(frozen=True, slots=True)
class Targets:
    """Targets and weights of N samples, each float32 (N,).

    ``fake`` is 1 for fakes; ``kind`` is 1 for generated, 0 for manipulated; ``kind_weight`` is 0 for reals and where
    the kind is not known.
    """

    fake: FloatArray
    kind: FloatArray
    fake_weight: FloatArray
    kind_weight: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A crop as the network gets it: uint8 RGB (size, size, 3).

    ``matrix`` is the warp that cut it from its picture, which has this width and height in pixels.
    """

    pixels: ImageArray
    matrix: Matrix
    width: int
    height: int


class CropLoader:
    """Turns cached crops into batches; ``epoch_dataset`` gives those of one epoch, whatever was run before.

    ``synthetic`` adds fakes that are made from the crops' real faces, other ones in each epoch.
    Raises DataError if there are no crops, or if they do not fit the rule.
    """

    def __init__(
        self,
        crops: Sequence[CachedCrop],
        rule: CropRule,
        config: LoaderConfig | None = None,
        augment: AugmentConfig | None = None,
        synthetic: SyntheticFakes | None = None,
    ) -> None:
        if not crops:
            raise DataError("there are no crops to load")
        if any(crop.whole is not (rule.mode is CropMode.WHOLE) for crop in crops):
            raise DataError(f"the crops were not made for the mode {rule.mode.value!r}; build them with the same rule")
        self.crops = tuple(crops)
        self.rule = rule
        self.config = config or LoaderConfig()
        self.augmenter: Augmenter | None = make_augmenter(augment) if augment else None
        self.synthetic = synthetic
        self.samples = (*(crop.sample for crop in crops), *(synthetic.samples if synthetic else ()))
        weights = class_weights(self.samples) if self.config.class_weights else None
        self.targets = targets(self.samples, weights)
        self._memory = _Memory(self.config.memory_mb)

    def indices(self, epoch: int) -> Indices:
        """Which samples the epoch shows, in its order: crops by their number, then synthesised fakes."""
        if not self.config.shuffle:
            return np.arange(len(self.samples), dtype=np.int64)
        rng = stream(self.config.seed, epoch, _ORDER)
        return epoch_indices(self.samples, self.config.balance, rng)

    def steps(self, epoch: int = 0) -> int:
        """How many batches the epoch has; the last may be smaller."""
        return -(-len(self.indices(epoch)) // self.config.batch_size)

    def example(self, index: int, epoch: int, place: int) -> ImageArray:
        """The sample ``index`` as shown at ``place`` of the epoch: (size, size, 3), uint8 RGB."""
        return self.shown(index, epoch, place).pixels

    def shown(self, index: int, epoch: int, place: int) -> Shown:
        """The same, with where it was cut."""
        rng = stream(self.config.seed, epoch, place)
        cached, pixels = self._pixels(index, rng)
        height, width = pixels.shape[:2]
        if self.augmenter is None:
            matrix = placed(cached, self.rule)
            return Shown(warp(pixels, matrix, self.rule.size), matrix, width, height)
        matrix = placed(cached, self.rule, self.augmenter.jitter(rng))
        return Shown(augmented(pixels, cached, matrix, self.rule.size, self.augmenter, rng), matrix, width, height)

    def source(self, index: int) -> CachedCrop:
        """The crop that a sample is, or that it is synthesised from."""
        number = index - len(self.crops)
        return self.crops[index if self.synthetic is None or number < 0 else self.synthetic.sources[number]]

    def _pixels(self, index: int, rng: np.random.Generator) -> tuple[CachedCrop, ImageArray]:
        """Where the face of a sample is, and the picture around it."""
        cached, number = self.source(index), index - len(self.crops)
        if self.synthetic is None:
            return cached, self._read(index)
        if number < 0:
            return cached, self.synthetic.plain(index, self._read(index), rng)
        return cached, self.synthetic.fake(number, self._read, rng)

    def _read(self, index: int) -> ImageArray:
        return self._memory.read(index, self.crops[index])

    def epoch_dataset(self, epoch: int, part: Part = WHOLE) -> tf.data.Dataset:
        """Batches of one epoch: crops uint8 (B, size, size, 3), targets and sample weights.

        Targets and weights are dicts ``{"fake": (B,), "kind": (B,)}`` of float32; see ``Targets``. Of a part, only its
        own pictures are read, and changed as they are in the whole.
        """
        import tensorflow as tf

        whole = self.indices(epoch)
        places = part.places(len(whole))
        order = whole[places]
        chosen = self.targets
        answers = {"fake": chosen.fake[order], "kind": chosen.kind[order]}
        weights = {"fake": chosen.fake_weight[order], "kind": chosen.kind_weight[order]}
        size = self.rule.size

        def load(index: np.int64, place: np.int64) -> ImageArray:
            return self.example(int(index), epoch, int(place))

        def prepare(index: tf.Tensor, place: tf.Tensor, answer: tf.Tensor, weight: tf.Tensor) -> tuple[tf.Tensor, ...]:
            image = tf.numpy_function(load, [index, place], tf.uint8)
            image.set_shape((size, size, 3))
            return image, answer, weight

        options = tf.data.Options()
        options.deterministic = True
        share = part.share(self.config.batch_size)
        batches = (
            tf.data.Dataset.from_tensor_slices((order, places, answers, weights))
            .map(prepare, num_parallel_calls=self.config.workers or tf.data.AUTOTUNE, deterministic=True)
            .batch(share)
        )
        if -(-len(order) // share) < -(-len(whole) // self.config.batch_size):
            nothing = {"fake": np.zeros(0, np.float32), "kind": np.zeros(0, np.float32)}
            empty = (np.zeros((0, size, size, 3), np.uint8), nothing, nothing)
            batches = batches.concatenate(tf.data.Dataset.from_tensors(empty))
        return batches.prefetch(tf.data.AUTOTUNE).with_options(options)


def targets(samples: Sequence[Sample], weights: Mapping[Label, float] | None = None) -> Targets:
    """What the two heads should say of each sample, and how much it counts for each."""
    kinds = [kind_target(sample) for sample in samples]
    return Targets(
        fake=np.array([float(sample.label) for sample in samples], dtype=np.float32),
        kind=np.array([float(kind or 0) for kind in kinds], dtype=np.float32),
        fake_weight=np.array([weights[sample.label] if weights else 1.0 for sample in samples], dtype=np.float32),
        kind_weight=np.array([float(kind is not None) for kind in kinds], dtype=np.float32),
    )


def placed(cached: CachedCrop, rule: CropRule, jitter: Jitter = NO_JITTER) -> Matrix:
    """The warp that cuts a crop from its cached picture."""
    if cached.whole:
        return whole_matrix(cached.width, cached.height, rule, jitter)
    return face_matrix(cached.box, cached.landmarks, rule, jitter)


def augmented(
    pixels: ImageArray, cached: CachedCrop, matrix: Matrix, size: int, augmenter: Augmenter, rng: np.random.Generator
) -> ImageArray:
    """A changed crop (size, size, 3): the picture around the face is degraded, then cut by the one, jittered warp."""
    pixels = augmenter.cut_out(pixels, cached.box, cached.landmarks, rng) if not cached.whole else pixels
    part, local = _needed(pixels, matrix, size)
    return warp(augmenter.degrade(part, rng), local, size)


def _needed(pixels: ImageArray, matrix: Matrix, size: int) -> tuple[ImageArray, Matrix]:
    """The part of a picture that a warp reads, with some room, and the warp for it: less to degrade."""
    height, width = pixels.shape[:2]
    room = _ROOM + int(np.ceil(1.0 / np.sqrt(abs(np.linalg.det(matrix[:, :2])))))
    left, top, right, bottom = window(matrix, size, width, height)
    left, top = max(left - room, 0), max(top - room, 0)
    local = matrix.copy()
    local[:, 2] += matrix[:, :2] @ np.array([left, top], dtype=np.float64)
    return np.ascontiguousarray(pixels[top : bottom + room, left : right + room]), local


class _Memory:
    """Keeps decoded pictures until they fill their share of the memory; those that come later are read each time."""

    def __init__(self, limit_mb: int) -> None:
        self._left = limit_mb * 2**20
        self._kept: dict[int, ImageArray] = {}
        self._lock = threading.Lock()

    def read(self, index: int, cached: CachedCrop) -> ImageArray:
        pixels = self._kept.get(index)
        if pixels is not None:
            return pixels
        pixels = read_cached(cached)
        with self._lock:
            if index not in self._kept and pixels.nbytes <= self._left:
                self._left -= pixels.nbytes
                self._kept[index] = pixels
        return pixels
