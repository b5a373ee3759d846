"""Bytes, files and folders in; upright RGB pictures out."""
