"""Adds to each person of a video the reasons that a picture's face gets: of the frame that looks most like a fake."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from deepfake_detector.core.types import Box, DetectedFace, ImageArray, InputInfo, Landmarks, Point
from deepfake_detector.core.video import Person
from deepfake_detector.faces.align import crop_matrix, warp
from deepfake_detector.media.image import LoadedImage
from deepfake_detector.pipeline.explainer import Explainer, Probability
from deepfake_detector.pipeline.gallery import Cutout, Piece, with_map
from deepfake_detector.scoring.scorer import Scorer


def explained(person: Person, piece: Piece, explainer: Explainer, scorer: Scorer, probability: Probability) -> Person:
    """The person with the heat map, the parts and the re-encodings of their worst frame, the first exhibit."""
    cutout = piece.cutout
    if cutout is None:
        return person
    image, rule = cutout.pixels, scorer.bundle.card.input.rule()
    face = _moved(piece, cutout)
    crops = warp(image, crop_matrix(image, face.box, face.landmarks, rule), rule.size)[None]
    prepared = explainer.prepare(image, _as_picture(image), (face,), crops)
    (said,) = explainer.explain((person.face,), crops, scorer.score(crops), prepared, probability)
    heatmap = said.heatmap
    if heatmap is None:
        return person
    corners = tuple((x + cutout.left, y + cutout.top) for x, y in heatmap.corners)
    heatmap = replace(heatmap, corners=corners)
    first = with_map(person.exhibits[0], cutout, heatmap)
    return replace(person, face=replace(said, heatmap=heatmap), exhibits=(first, *person.exhibits[1:]))


def _moved(piece: Piece, cutout: Cutout) -> DetectedFace:
    """The face in pixels of the cut-out."""
    seen = piece.observation

    def move(point: Point) -> Point:
        return point[0] - cutout.left, point[1] - cutout.top

    box = Box(seen.box.x - cutout.left, seen.box.y - cutout.top, seen.box.w, seen.box.h)
    points = np.zeros((5, 2)) if seen.landmarks is None else seen.landmarks.as_array().astype(np.float64)
    return DetectedFace(box, Landmarks(*(move((float(x), float(y))) for x, y in points)), seen.confidence)


def _as_picture(image: ImageArray) -> LoadedImage:
    height, width = image.shape[:2]
    return LoadedImage(image, InputInfo(None, "", image.nbytes, "frame", width, height))
