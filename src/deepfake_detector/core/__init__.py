"""The vocabulary of all other packages: value types, errors, settings, and the one way to open ONNX."""
