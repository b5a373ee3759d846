"""The value types that travel between the stages; frozen, and free of any backend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.explanation import Caution, Explanation, Heatmap
from deepfake_detector.core.provenance import Provenance

ImageArray = NDArray[np.uint8]
"""A picture: uint8, shape (height, width, 3), RGB, upright, values 0–255."""

FloatArray = NDArray[np.float32]

REPORT_SCHEMA_VERSION = "1.3"


class Verdict(StrEnum):
    """What is said of a face or of a picture."""

    REAL = "real"
    FAKE = "fake"
    UNCERTAIN = "uncertain"
    NO_FACE = "no_face"


class Kind(StrEnum):
    """What kind of fake it is: an altered face of somebody, or a face that was generated as a whole."""

    MANIPULATED = "manipulated"
    GENERATED = "generated"


class OperatingPoint(StrEnum):
    """The share of real pictures that may be called fake: 1, 5 or 10 %, or that of a threshold of one's own."""

    FPR1 = "fpr1"
    FPR5 = "fpr5"
    FPR10 = "fpr10"
    OWN = "own"

    @property
    def fpr(self) -> float:
        """The false-positive rate, 0–1. Raises ValueError for OWN, whose rate is that of its file."""
        if self is OperatingPoint.OWN:
            raise ValueError("a threshold of one's own has the rate of its file")
        return {"fpr1": 0.01, "fpr5": 0.05, "fpr10": 0.10}[self.value]


SHIPPED_POINTS: tuple[OperatingPoint, ...] = tuple(point for point in OperatingPoint if point is not OperatingPoint.OWN)
"""The operating points whose thresholds are on every model's card, from the strictest to the loosest."""


class QualityIssue(StrEnum):
    """A named reason why a face cannot be judged."""

    TOO_SMALL = "too_small"
    TOO_BLURRED = "too_blurred"
    TOO_DARK = "too_dark"


class Doubt(StrEnum):
    """Why a face that can be judged is left uncertain.

    Its score lies just below the threshold (band); it would be called real, and is unlike the faces that the model
    knows (far); it would be called fake, and the answer changes when the picture is saved again (unstable).
    """

    BAND = "band"
    FAR = "far"
    UNSTABLE = "unstable"


class CropMode(StrEnum):
    """What the network looks at: a square around the face, pixels in the middle of the face as they are, or all."""

    FACE = "face"
    NATIVE = "native"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class CropRule:
    """How a network input is cut from a picture.

    ``ratio`` is the side of the square over the longer side of the finder's box (face mode only);
    ``size`` is the side of the network input in pixels; faces that lean by ``upright_above`` degrees or
    more are turned upright first. In native mode the crop is ``size`` pixels of the picture around the middle of the
    face, neither resized nor turned; it is enlarged only if it would show more than ``faces.align.NATIVE_MOST`` times
    the box.
    """

    mode: CropMode = CropMode.FACE
    size: int = 224
    ratio: float = 1.1
    upright_above: float = 20.0


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the upright picture; (x, y) is the top left corner, which may lie outside."""

    x: float
    y: float
    w: float
    h: float

    @property
    def area(self) -> float:
        """Area in square pixels."""
        return max(self.w, 0.0) * max(self.h, 0.0)

    @property
    def center(self) -> tuple[float, float]:
        """The middle (x, y)."""
        return self.x + self.w / 2.0, self.y + self.h / 2.0

    @property
    def long_side(self) -> float:
        """The longer side in pixels."""
        return max(self.w, self.h)


Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Five points (x, y) in pixels of the upright picture; left and right as the viewer sees them."""

    left_eye: Point
    right_eye: Point
    nose: Point
    left_mouth: Point
    right_mouth: Point

    def as_array(self) -> FloatArray:
        """Shape (5, 2), float32, in the order of the fields."""
        points = (self.left_eye, self.right_eye, self.nose, self.left_mouth, self.right_mouth)
        return np.asarray(points, dtype=np.float32)

    @property
    def roll(self) -> float:
        """How far the line between the eyes leans, in degrees; positive is clockwise on the screen."""
        (ax, ay), (bx, by) = self.left_eye, self.right_eye
        return float(np.degrees(np.arctan2(by - ay, bx - ax)))


@dataclass(frozen=True, slots=True)
class DetectedFace:
    """What a face finder returns; ``confidence`` is its own score, 0–1."""

    box: Box
    landmarks: Landmarks
    confidence: float


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a face can be judged.

    ``size`` is the shorter side of its box in pixels; ``sharpness`` the variance of the Laplacian of the grey
    face at a fixed size; ``brightness`` the mean grey value, 0–255; ``issues`` the named reasons against judging it.
    """

    size: float
    sharpness: float
    brightness: float
    issues: tuple[QualityIssue, ...] = ()

    @property
    def usable(self) -> bool:
        """True if nothing speaks against judging the face."""
        return not self.issues


@dataclass(frozen=True, slots=True)
class Scores:
    """What a network says of N crops, before any calibration.

    ``fake_logit`` has shape (N,), positive means fake; ``kind_logit`` has shape (N,), positive means generated,
    or is None where the network has no such head; ``cam`` has shape (N, h, w) and is each cell's share of the fake
    logit (it averages to the logit; of a single network: without the bias), or is None; ``features`` has shape (N, d),
    or is None; ``distance`` (N,) says how far the features lie from those of known faces, about 1 for one of them, or
    is None; ``voices`` (N, V) are the logits whose log-sum-exp is the fake logit, one for each kind of fake that the
    network was taught apart, or None.
    """

    fake_logit: FloatArray
    kind_logit: FloatArray | None = None
    cam: FloatArray | None = None
    features: FloatArray | None = None
    distance: FloatArray | None = None
    voices: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Face:
    """One face in a report.

    ``logit`` is the network's raw fake logit; ``p_fake`` the calibrated probability, 0–1, at the report's prior;
    ``considered`` is False for background faces that the picture's verdict leaves out. ``doubts`` say why a face is
    uncertain although it can be judged. ``heatmap`` and ``explanation`` are there only where an explanation was asked
    for.
    """

    box: Box
    landmarks: Landmarks | None
    confidence: float
    quality: Quality
    logit: float
    p_fake: float
    verdict: Verdict
    kind: Kind | None = None
    considered: bool = True
    doubts: tuple[Doubt, ...] = ()
    heatmap: Heatmap | None = None
    explanation: Explanation | None = None


@dataclass(frozen=True, slots=True)
class InputInfo:
    """What was analysed. ``path`` is as given, or None for bytes and arrays; sizes are of the upright picture."""

    path: str | None
    sha256: str
    bytes: int
    format: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which model answered, and under which terms its weights stand."""

    name: str
    version: str
    sha256: str
    license: str


@dataclass(frozen=True, slots=True)
class Decision:
    """How the picture's verdict came about.

    ``threshold`` is the calibrated probability (at ``prior``) from which on a face is called fake;
    ``real_below`` the one under which it is called real; between them it is uncertain.
    ``fpr`` is the share of real pictures that this threshold calls fake on the data it was fitted on, and
    ``faces`` the number of faces that it was corrected for; ``all_faces`` says whether background faces count.
    ``doubts`` are those that were looked for, beside the band.
    """

    operating_point: OperatingPoint
    fpr: float
    threshold: float
    real_below: float
    prior: float
    faces: int
    all_faces: bool
    doubts: tuple[Doubt, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """The answer for one picture. ``timings`` are seconds per stage; ``p_fake`` is None only where no face is found.

    ``cautions`` and ``provenance`` are there only where an explanation was asked for; neither changes the verdict.
    """

    input: InputInfo
    model: ModelInfo
    verdict: Verdict
    p_fake: float | None
    kind: Kind | None
    decision: Decision
    faces: tuple[Face, ...] = ()
    warnings: tuple[str, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    cautions: tuple[Caution, ...] = ()
    provenance: Provenance | None = None
    schema_version: str = REPORT_SCHEMA_VERSION


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one input has no report; ``code`` is that of the error."""

    path: str | None
    code: str
    message: str
    sha256: str | None = None


Outcome = Report | Failure
"""What comes back for each input of a batch."""
