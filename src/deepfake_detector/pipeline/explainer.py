"""Adds the reasons to a report: while the pixels are there, what will be needed; after the verdict, the explanation."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.core.explanation import Caution, Explanation, Heatmap, MapMethod, Nearness, Reencoding
from deepfake_detector.core.provenance import Provenance
from deepfake_detector.core.settings import AnalysisSettings
from deepfake_detector.core.types import CropMode, DetectedFace, Face, FloatArray, ImageArray, Scores
from deepfake_detector.explain.cautions import face_cautions, picture_cautions
from deepfake_detector.explain.maps import ActivationMaps, Crops, LayerMaps, MapMaker, OcclusionMaps
from deepfake_detector.explain.parts import Labels, part_labels, part_shares
from deepfake_detector.faces.align import Matrix, changed_crops, crop_matrix, cut_window
from deepfake_detector.faces.mesh import REGIONS, FaceMesh
from deepfake_detector.media.image import ImageSource, LoadedImage, read_file
from deepfake_detector.media.manifest import read_anchors
from deepfake_detector.media.provenance import read_provenance
from deepfake_detector.media.reencode import LIGHT
from deepfake_detector.pipeline.crops import crop_corners
from deepfake_detector.scoring.scorer import Scorer

MOST_FACES = 16
"""The largest faces of a picture get the whole explanation, those beyond them a heat map only."""

MESH_CONFIDENCE = 0.5
"""Below it the mesh network itself doubts that there is a face, and no parts are named."""

Probability = Callable[[FloatArray], NDArray[np.float64]]
"""Raw fake logits → probabilities at the report's prior."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is kept of a picture for its explanation when its pixels are let go.

    ``corners`` is for each face; ``labels`` and ``reencoded`` (K, ways, S, S, 3) for the first ``MOST_FACES``.
    """

    corners: tuple[tuple[tuple[float, float], ...], ...]
    labels: tuple[Labels | None, ...]
    reencoded: Crops
    cautions: tuple[Caution, ...]
    provenance: Provenance | None


class Explainer:
    """Makes explanations with the network that gave the score; any number of threads may use one at once.

    ``map_maker`` replaces the way in which maps are made: by default LayerCAM, where the network's graph does not
    give it its own activation map, and occlusion where it has none.
    Raises ConfigError for trust anchors that cannot be read.
    """

    def __init__(self, scorer: Scorer, settings: AnalysisSettings, map_maker: MapMaker | None) -> None:
        self._scorer = scorer
        self._rule = scorer.bundle.card.input.rule()
        self._limits = settings.limits
        self._anchors = None if settings.trust_anchors is None else read_anchors(settings.trust_anchors)
        self._maker = map_maker or best_maker(scorer, settings.threads)
        self._mesh = None if self._rule.mode is CropMode.WHOLE else FaceMesh(settings.threads)

    def prepare(
        self, source: ImageSource, picture: LoadedImage, faces: Sequence[DetectedFace], crops: Crops
    ) -> Prepared:
        """What an explanation of this picture needs of its pixels and of its file."""
        image, closer = picture.pixels, faces[:MOST_FACES]
        matrices = [crop_matrix(image, face.box, face.landmarks, self._rule) for face in faces]
        labels = [self._labels(image, face, matrix) for face, matrix in zip(closer, matrices, strict=False)]
        provenance = self._provenance(source)
        cautions = [*picture_cautions(picture.info, provenance)]
        for index, (own, crop) in enumerate(zip(labels, crops, strict=False)):
            cautions += [] if own is None else face_cautions(crop, own, index)
        ways, size = len(LIGHT), self._rule.size
        reencoded = np.empty((len(closer), ways, size, size, 3), np.uint8)
        for place, matrix in zip(reencoded, matrices, strict=False):
            place[:] = self._reencoded(image, matrix)
        corners = tuple(crop_corners(matrix, size) for matrix in matrices)
        return Prepared(corners, tuple(labels), reencoded, tuple(cautions), provenance)

    def explain(
        self, faces: Sequence[Face], crops: Crops, scores: Scores, prepared: Prepared, probability: Probability
    ) -> tuple[Face, ...]:
        """The faces, each with its heat map and, for the largest ones, the rest of the explanation."""
        if not faces:
            return ()
        method, maps = self._maps(crops, scores)
        again = prepared.reencoded
        moved = probability(self._logits(again.reshape(-1, *again.shape[2:]))).reshape(again.shape[:2])
        explained = []
        for index, face in enumerate(faces):
            rows = tuple(tuple(float(value) for value in row) for row in maps[index])
            heatmap = Heatmap(method, rows, prepared.corners[index])
            explanation = None
            if index < len(again):
                own = prepared.labels[index]
                # What attention looks at is no evidence for either side.
                parts = () if own is None or method is MapMethod.ROLLOUT else part_shares(maps[index], own)
                ways = zip(LIGHT, moved[index], strict=True)
                reencodings = tuple(Reencoding(name, float(p)) for name, p in ways)
                explanation = Explanation(parts, reencodings, self._nearness(scores, index))
            explained.append(replace(face, heatmap=heatmap, explanation=explanation))
        return tuple(explained)

    def _nearness(self, scores: Scores, index: int) -> Nearness | None:
        far = self._scorer.bundle.card.doubts.far
        if far is None or scores.distance is None or not np.isfinite(scores.distance[index]):
            return None
        return Nearness(float(scores.distance[index]), far.limit, far.beyond)

    def _maps(self, crops: Crops, scores: Scores) -> tuple[MapMethod, FloatArray]:
        if self._maker is not None:
            return self._maker.method, self._maker.maps(crops)
        assert scores.cam is not None  # the card promises it, and the scorer has checked it
        return MapMethod.CAM, scores.cam

    def _logits(self, crops: Crops) -> FloatArray:
        return self._scorer.score(crops).fake_logit

    def _labels(self, image: ImageArray, face: DetectedFace, matrix: Matrix) -> Labels | None:
        if self._mesh is None:
            return None
        points, confidence = self._mesh.points(image, face.box, face.landmarks)
        if confidence < MESH_CONFIDENCE:
            return None
        inside = (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
        return part_labels({name: inside[list(indices)] for name, indices in REGIONS.items()}, self._rule.size)

    def _reencoded(self, image: ImageArray, matrix: Matrix) -> Crops:
        """The crop after each light way of saving the picture again; only the pixels around it are saved."""
        return changed_crops(cut_window(image, matrix, self._rule.size), self._rule.size, LIGHT.values())

    def _provenance(self, source: ImageSource) -> Provenance | None:
        """None for what is no file: a Pillow image or an array."""
        if isinstance(source, str | os.PathLike):
            source = read_file(os.fspath(source), self._limits)
        return read_provenance(bytes(source), self._anchors) if isinstance(source, bytes | bytearray) else None


def best_maker(scorer: Scorer, threads: int) -> MapMaker | None:
    """The maker of the best maps that a network gives; None for those that come with its score."""
    if scorer.bundle.card.outputs.cam is None:
        return OcclusionMaps(lambda crops: scorer.score(crops).fake_logit)
    return LayerMaps.of(scorer.bundle.model, scorer.bundle.card.outputs.cam, threads)


def maker_of(method: MapMethod, scorer: Scorer, threads: int) -> MapMaker:
    """The maker of a method that needs no more than the ONNX file. Raises ConfigError if this one cannot do it."""
    card = scorer.bundle.card
    if method is MapMethod.OCCLUSION:
        return OcclusionMaps(lambda crops: scorer.score(crops).fake_logit)
    if card.outputs.cam is None:
        raise ConfigError(f"the model {card.name} gives no activation map; try --method occlusion")
    if method is MapMethod.CAM:
        return ActivationMaps(lambda crops: _own_maps(scorer, crops))
    finer = LayerMaps.of(scorer.bundle.model, card.outputs.cam, threads)
    if finer is None:
        raise ConfigError(f"the graph of the model {card.name} gives no LayerCAM; try --method cam")
    return finer


def _own_maps(scorer: Scorer, crops: Crops) -> FloatArray:
    maps = scorer.score(crops).cam
    assert maps is not None  # the card promises it, and the scorer has checked it
    return maps
