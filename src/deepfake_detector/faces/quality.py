"""Whether a face can be judged at all: its size, its sharpness, its light."""

from __future__ import annotations

import cv2
import numpy as np

from deepfake_detector.core.types import CropRule, DetectedFace, ImageArray, Quality, QualityIssue
from deepfake_detector.faces.align import crop

SIDE = 112
"""The face is looked at in this many pixels."""
MIN_SIZE, MIN_SHARPNESS, MIN_BRIGHTNESS = 32.0, 4.0, 20.0


def assess(image: ImageArray, face: DetectedFace) -> Quality:
    """Judge a face in an RGB picture (height, width, 3), uint8.

    Sharpness is the variance of the Laplacian (Pech-Pacheco et al. 2000) of the grey face at 112 × 112 pixels.
    """
    grey = cv2.cvtColor(crop(image, face.box, face.landmarks, CropRule(size=SIDE, ratio=1.0)), cv2.COLOR_RGB2GRAY)
    size = min(face.box.w, face.box.h)
    sharpness = float(np.var(cv2.Laplacian(grey, cv2.CV_32F)))
    brightness = float(np.mean(grey))
    checks = (
        (size < MIN_SIZE, QualityIssue.TOO_SMALL),
        (sharpness < MIN_SHARPNESS, QualityIssue.TOO_BLURRED),
        (brightness < MIN_BRIGHTNESS, QualityIssue.TOO_DARK),
    )
    return Quality(size, sharpness, brightness, tuple(issue for bad, issue in checks if bad))
