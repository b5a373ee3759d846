"""Deepfake detection for faces: a photo in, a calibrated verdict out."""
