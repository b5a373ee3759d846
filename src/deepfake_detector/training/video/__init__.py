"""Trains a small network on whole clips, over what the frame model says of each frame."""
