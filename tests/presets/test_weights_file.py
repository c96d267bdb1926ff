"""Malicious and misleading weights files are rejected, without allocating memory for them."""

import json
import tracemalloc

import h5py
import keras
import numpy as np
import pytest

from eseg_keras import ESeg
from eseg_keras.encoders import fused_efficientnet
from eseg_keras.presets.files import PresetError, fingerprint
from eseg_keras.presets.weights_file import WeightsMismatchError, read_weights, write_weights

KERNEL = "stem/kernel"
SHAPE = (3, 3, 3, 8)


@pytest.fixture(scope="module")
def model():
    return fused_efficientnet(0.1, 0.1)


@pytest.fixture
def path(model, tmp_path):
    write_weights(model, tmp_path / "weights.h5")
    return tmp_path / "weights.h5"


def test_weights_in_bfloat16_come_back(tmp_path):
    images = keras.Input((4, 4, 3))
    layers = [keras.layers.Conv2D(2, 3, dtype="bfloat16", name="conv")]
    layers.append(keras.layers.BatchNormalization(dtype="bfloat16", name="bn"))
    model = keras.Model(images, layers[1](layers[0](images)))
    for weight in model.weights:
        weight.assign(np.random.default_rng(0).uniform(1, 2, weight.shape))
    before = [keras.ops.convert_to_numpy(weight) for weight in model.weights]
    write_weights(model, tmp_path / "weights.h5")
    for weight in model.weights:
        weight.assign(weight * 0)
    read_weights(model, tmp_path / "weights.h5")
    for weight, values in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), values)


def outside(file, folder):
    np.ones(SHAPE, "float32").tofile(folder / "secret.bin")
    external = [(str(folder / "secret.bin"), 0, h5py.h5f.UNLIMITED)]
    file.create_dataset(KERNEL, SHAPE, "float32", external=external)


def virtual(file, folder):
    with h5py.File(folder / "other.h5", "w") as other:
        other["kernel"] = np.ones(SHAPE, "float32")
    layout = h5py.VirtualLayout(SHAPE, "float32")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "kernel", SHAPE)
    file.create_virtual_dataset(KERNEL, layout)


def external_link(file, folder):
    with h5py.File(folder / "other.h5", "w") as other:
        other["kernel"] = np.ones(SHAPE, "float32")
    file[KERNEL] = h5py.ExternalLink(str(folder / "other.h5"), "/kernel")


def soft_link(file, folder):
    file["kernel"] = np.ones(SHAPE, "float32")
    file[KERNEL] = h5py.SoftLink("/kernel")


def huge(file, folder):
    file.create_dataset(KERNEL, (10**6, 10**6), "float32", chunks=(1000, 1000))


def huge_pieces(file, folder):
    maximum = (None,) * 4
    file.create_dataset(KERNEL, SHAPE, "float32", maxshape=maximum, chunks=(3, 3, 3, 10**7))


def text(file, folder):
    file[KERNEL] = np.full(SHAPE, b"x")


def whole_numbers(file, folder):
    file[KERNEL] = np.ones(SHAPE, "int32")


def not_finite(file, folder):
    file[KERNEL] = np.full(SHAPE, np.nan, "float32")


def empty(file, folder):
    file[KERNEL] = h5py.Empty("float32")


def group(file, folder):
    file.create_group(KERNEL)


def cycle(file, folder):
    file[KERNEL] = np.ones(SHAPE, "float32")
    file["stem/stem"] = file["stem"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (outside, "stem/kernel is stored outside the file"),
        (virtual, "stem/kernel is stored outside the file"),
        (external_link, "stem/kernel is a link"),
        (soft_link, "stem/kernel is a link"),
        (huge, r"stem/kernel has shape \(1000000, 1000000\)"),
        (huge_pieces, "stem/kernel is stored outside the file or in chunks"),
        (text, "stem/kernel has dtype .*expected floats"),
        (whole_numbers, "stem/kernel has dtype int32, expected floats"),
        (not_finite, "stem/kernel has values that are not finite"),
        (empty, "stem/kernel has shape None"),
        (group, "stem/kernel"),
        (cycle, "stem/stem"),
    ],
)
def test_only_plain_values_of_the_model_are_read(model, path, tmp_path, change, message):
    with h5py.File(path, "r+") as file:
        del file[KERNEL]
        change(file, tmp_path)
    before = model.get_weights()
    tracemalloc.start()
    with pytest.raises(WeightsMismatchError, match=message):
        read_weights(model, path)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_damage_inside_touches_no_variable(model, path):
    """If the last values of a file are missing, no variable is changed."""
    content = path.read_bytes()
    path.write_bytes(content[:-200])
    before = model.get_weights()
    with pytest.raises((OSError, WeightsMismatchError)):
        read_weights(model, path)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_flipped_byte_is_read_or_raises_one_of_two_errors(model, path):
    """A file with one wrong byte is read, or raises `OSError` or `WeightsMismatchError`."""
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for position in rng.choice(4096, 60, replace=False):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        try:
            read_weights(model, path)
        except (OSError, WeightsMismatchError):
            refused += 1
    assert refused > 5


def test_preset_error_names_the_file_and_the_remedy(tmp_path):
    model = ESeg("fused_efficientnet_thin", 2, min_level=3, max_level=5, decoder_channels=8)
    model.save_to_preset(tmp_path / "preset")
    path = tmp_path / "preset" / "weights.h5"
    name = "decoder/P3_lateral/kernel"
    with h5py.File(path, "r+") as file:
        shape = file[name].shape
        del file[name]
        file[name] = np.full(shape, b"x")
    metadata = json.loads((path.parent / "metadata.json").read_text())
    metadata["weights"] = fingerprint(path)
    (path.parent / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(PresetError, match="P3_lateral.*load_weights=False") as caught:
        ESeg.from_preset(path.parent)
    assert str(path) in str(caught.value)
