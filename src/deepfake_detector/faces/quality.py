"""Whether a face can be judged at all: its size, its sharpness, its light."""

from __future__ import annotations

import cv2
import numpy as np

from deepfake_detector.core.types import CropRule, DetectedFace, ImageArray, Quality, QualityIssue
from deepfake_detector.faces.align import crop

SIDE = 64
"""Sharpness and light are looked at in this many pixels, so that they do not hang on the size of the picture."""

MIN_SIZE = 32.0
"""Shorter side of the box in pixels; a smaller face is mostly made up when it is enlarged for the network."""

MIN_SHARPNESS = 8.0
"""Of 900 photos of nine sets the least sharp face has 62, shrunk to 160 pixels and blurred by 3 pixels still 7 to 50.

A Gaussian blur of a twentieth of the face's height gives about 13, of a tenth about 4; a flat grey 0.
"""

MIN_BRIGHTNESS = 20.0
"""Mean grey value; of the same photos the darkest face has 49."""


def assess(image: ImageArray, face: DetectedFace) -> Quality:
    """Judge a face in an RGB picture (height, width, 3), uint8.

    Sharpness is the variance of the Laplacian (Pech-Pacheco et al. 2000) of the grey face at 64 × 64 pixels.
    """
    pixels = crop(image, face.box, face.landmarks, CropRule(size=SIDE, ratio=1.0))
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    size = min(face.box.w, face.box.h)
    sharpness = float(np.var(cv2.Laplacian(grey, cv2.CV_32F)))
    brightness = float(np.mean(grey))
    checks = (
        (size < MIN_SIZE, QualityIssue.TOO_SMALL),
        (sharpness < MIN_SHARPNESS, QualityIssue.TOO_BLURRED),
        (brightness < MIN_BRIGHTNESS, QualityIssue.TOO_DARK),
    )
    return Quality(size, sharpness, brightness, tuple(issue for bad, issue in checks if bad))
