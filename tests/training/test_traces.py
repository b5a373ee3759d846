"""The shallow network for native pixels."""

import numpy as np
import pytest

from deepfake_detector.training.export import check_parity, to_onnx
from deepfake_detector.training.models.joined import Mixture, SoftMaximum, joined_network
from deepfake_detector.training.models.network import HeadSpec, build_network, settle_batchnorm
from deepfake_detector.training.models.spec import BackboneSpec
from deepfake_detector.training.models.traces import srm_filters


@pytest.fixture(scope="module")
def network():
    import keras

    keras.utils.set_random_seed(2)
    network = build_network("traces", BackboneSpec(size=64, alpha=0.25), HeadSpec())
    crops = np.random.default_rng(1).integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)
    settle_batchnorm(network, [(crops,)] * 4)
    return network


def test_the_filters_see_what_differs_from_its_neighbours_and_nothing_else():
    filters = srm_filters()
    assert filters.sum(axis=(0, 1)) == pytest.approx(0.0, abs=1e-6)
    ramp = np.add.outer(np.arange(5.0), 2.0 * np.arange(5.0))
    assert np.tensordot(ramp, filters, 2) == pytest.approx(0.0, abs=1e-5)
    assert np.abs(filters[2, 2]) == pytest.approx(1.0)  # so all three answer a single odd pixel alike


def test_a_flat_colour_leaves_no_trace_and_one_odd_pixel_does(network):
    import keras

    residual = keras.Model(network.input, network.get_layer("block_0_residual").output)
    flat = np.full((1, 64, 64, 3), 180, np.uint8)
    odd = flat.copy()
    odd[0, 30, 30, 1] += 3
    quiet, loud = residual(flat).numpy()[0, 2:-2, 2:-2], residual(odd).numpy()[0, 2:-2, 2:-2]
    assert quiet == pytest.approx(0.0, abs=1e-4)
    assert np.argwhere(np.abs(loud).max(axis=2) > 0.6).tolist() == [[28, 28]]


def test_it_looks_at_each_pixel_before_it_leaves_any_out(network):
    assert network.get_layer("block_2_relu").output.shape[1:3] == (64, 64)
    assert network.get_layer("feature_map").output.shape[1:] == (8, 8, 32)


def test_it_exports_and_joins_as_every_branch_does(network):
    crops = np.random.default_rng(3).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    assert check_parity(network, to_onnx(network), crops) < 1e-4
    joined = joined_network([network, network], SoftMaximum(np.eye(2), np.zeros(2)), Mixture(np.full(2, 0.5), 0.0))
    alone, together = (float(model(crops)["fake"][0]) for model in (network, joined))
    assert together == pytest.approx(alone + np.log(2.0), abs=2e-2)
