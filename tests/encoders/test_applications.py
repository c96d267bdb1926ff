"""Encoders against the keras.applications networks that they are built from."""

import os
import socket
import time

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format

from eseg_keras.encoders import build_encoder, encoder_names
from eseg_keras.encoders.application_encoder import _endpoint, imagenet_application
from eseg_keras.encoders.applications import APPLICATIONS
from eseg_keras.encoders.fused import FUSED_EFFICIENTNETS

# The module with the `preprocess_input` of each family.
PREPROCESSING = {
    "efficientnet_b": keras.applications.efficientnet,
    "efficientnet_v2": keras.applications.efficientnet_v2,
    "resnet": keras.applications.resnet,
    "mobilenet_v2": keras.applications.mobilenet_v2,
    "mobilenet_v3": keras.applications.mobilenet_v3,
    "convnext": keras.applications.convnext,
    "densenet": keras.applications.densenet,
}
# Keras reads KERAS_HOME once, when it is imported; tests patch this attribute instead.
KERAS_HOME = "keras.src.backend.config._KERAS_DIR"
SMALLEST = [
    "efficientnet_b0",
    "efficientnet_v2_b0",
    "efficientnet_v2_s",
    "resnet50",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "densenet121",
]
# Without the largest ConvNeXts, which would take most of the time and memory.
LARGER = sorted(set(APPLICATIONS) - {*SMALLEST, "convnext_large", "convnext_xlarge"})


def randomize(model, seed=0, spread=0.2):
    """Set random weights with which every layer affects the output and no value overflows.

    Deep networks need a smaller `spread`, because every block amplifies rounding differences.
    """
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        name, shape = variable.path.split("/")[-1], variable.shape
        if "variance" in name:
            variable.assign(rng.uniform(1 - 2.5 * spread, 1 + 5 * spread, shape))
        elif name in ("gamma", "mean", "moving_mean", "beta", "bias"):
            variable.assign(variable.numpy() + rng.normal(0, spread, shape))


def application(name, image_shape):
    return getattr(keras.applications, APPLICATIONS[name].application)(
        include_top=False, weights=None, input_shape=image_shape
    )


def check_endpoints(name, application):
    """Check that each endpoint is the output of the last block at its stride."""
    size = application.input.shape[1]
    for level, endpoint in enumerate(APPLICATIONS[name].endpoints, start=2):
        tensor = _endpoint(application, endpoint)
        assert tensor.shape[1] == size // 2**level
        operations = list(application.operations)
        after = operations[operations.index(tensor._keras_history.operation) + 1 :]
        same_stride = [
            operation
            for operation in after
            if len(operation.output.shape) == 4 and operation.output.shape[1] == tensor.shape[1]
        ]
        # An addition or concatenation with this stride would be the output of a later block.
        assert not [o for o in same_stride if type(o).__name__ in ("Add", "Concatenate")]


def reference(name, application, weights_from):
    """Return the application with its endpoints as outputs and the weights of `weights_from`."""
    named = {layer.name: layer for layer in weights_from.layers if layer.weights}
    for layer in application.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            # Mean and variance for which EfficientNet was trained. (The published files store the
            # standard deviation in place of the variance; with weights="imagenet", a further layer
            # corrects that.)
            mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
            layer.set_weights([mean, std**2, np.array(0)])
            layer.finalize_state()
        elif layer.name in named:
            layer.set_weights(named[layer.name].get_weights())
    endpoints = [_endpoint(application, endpoint) for endpoint in APPLICATIONS[name].endpoints]
    return keras.Model(application.input, endpoints)


@pytest.mark.parametrize("name", SMALLEST)
def test_features_equal_the_application(name):
    image_shape = (96, 128, 3)
    whole = application(name, image_shape)
    check_endpoints(name, whole)
    encoder = build_encoder(name)
    randomize(encoder)
    images = np.random.default_rng(1).integers(0, 256, (1, *image_shape)).astype("float32")
    module = next(m for prefix, m in PREPROCESSING.items() if name.startswith(prefix))
    expected = reference(name, whole, encoder)(module.preprocess_input(images.copy()))
    features = encoder(images.astype("uint8"))
    assert list(features) == ["P2", "P3", "P4", "P5"]
    for feature, value in zip(features.values(), expected, strict=True):
        np.testing.assert_allclose(feature, value, rtol=0, atol=2e-4 * np.abs(value).max())


def test_names_are_those_of_their_applications():
    for name, spec in APPLICATIONS.items():
        assert spec.application.lower() == name.replace("_", "")


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGER)
def test_endpoints_are_the_last_block_outputs(name):
    check_endpoints(name, application(name, (96, 128, 3)))


def write_imagenet_layout(path, name, spread=0.2):
    """Write a weights file in the layout of keras.applications, with random weights."""
    network = application(name, (None, None, 3))
    randomize(network, spread=spread)
    for layer in network.layers:
        if isinstance(layer, keras.layers.Normalization):
            mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
            layer.set_weights([mean, std, np.array(0)])
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, network)


# At these sizes some levels are odd, as at 360x480 and at 520x520. At 129x161, the inputs of all
# strided layers are odd.
SIZES = [(72, 96), (104, 104), (129, 161)]


def check_imagenet_layout(name, monkeypatch, tmp_path, spread=0.2):
    spec = APPLICATIONS[name]
    path = tmp_path / "models" / spec.weights_file
    write_imagenet_layout(path, name, spread)
    monkeypatch.setattr(KERAS_HOME, str(tmp_path))
    # Make the application load our file instead of downloading its own.
    monkeypatch.setattr(
        "keras.src.applications.efficientnet.file_utils.get_file", lambda *a, **k: str(path)
    )
    encoder = build_encoder(name, weights="imagenet")
    for size in SIZES:
        fixed = getattr(keras.applications, spec.application)(
            include_top=False, weights="imagenet", input_shape=(*size, 3)
        )
        endpoints = [_endpoint(fixed, endpoint) for endpoint in spec.endpoints]
        images = np.random.default_rng(2).integers(0, 256, (1, *size, 3)).astype("float32")
        expected = keras.Model(fixed.input, endpoints)(images)
        for feature, value in zip(encoder(images).values(), expected, strict=True):
            np.testing.assert_allclose(feature, value, rtol=0, atol=1e-4 * np.abs(value).max())


def test_imagenet_layout_equals_the_fixed_size_network(monkeypatch, tmp_path):
    check_imagenet_layout("efficientnet_b1", monkeypatch, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["efficientnet_b4", "efficientnet_b7"])
def test_imagenet_layout_equals_the_fixed_size_network_of_larger_sizes(name, monkeypatch, tmp_path):
    check_imagenet_layout(name, monkeypatch, tmp_path, spread=0.02)


@pytest.fixture(scope="module")
def b0_file(tmp_path_factory):
    """A file of EfficientNet-B0 in the layout of keras.applications, with random weights."""
    file = tmp_path_factory.mktemp("published") / APPLICATIONS["efficientnet_b0"].weights_file
    write_imagenet_layout(file, "efficientnet_b0")
    return file


@pytest.fixture
def published(b0_file, monkeypatch, tmp_path):
    """Return `b0_file`, after patching Keras to download this file."""
    monkeypatch.setattr(KERAS_HOME, str(tmp_path))
    monkeypatch.setattr(
        "keras.src.applications.efficientnet.BASE_WEIGHTS_PATH", f"{b0_file.parent.as_uri()}/"
    )
    digest = keras.src.utils.file_utils.hash_file(str(b0_file), algorithm="md5")
    monkeypatch.setitem(keras.src.applications.efficientnet.WEIGHTS_HASHES, "b0", ("", digest))
    return b0_file


def test_scaling_does_not_depend_on_the_weights(published):
    random = build_encoder("efficientnet_b0")
    pretrained = build_encoder("efficientnet_b0", weights="imagenet")
    by_path = build_encoder("efficientnet_b0", weights=str(published))
    random.set_weights(pretrained.get_weights())
    images = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3))
    for encoder in (random, by_path):
        np.testing.assert_array_equal(encoder(images)["P5"], pretrained(images)["P5"])


def test_missing_imagenet_file_names_itself_and_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr(KERAS_HOME, str(tmp_path))

    def offline(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr("keras.src.applications.efficientnet.file_utils.get_file", offline)
    with pytest.raises(FileNotFoundError, match="load_weights=False") as caught:
        build_encoder("efficientnet_b1", weights="imagenet")
    assert str(tmp_path / "models" / "efficientnetb1_notop.h5") in str(caught.value)


def test_download_without_an_answer_ends(monkeypatch, tmp_path):
    """The server or a proxy accepts the connection, but never answers."""
    monkeypatch.setattr(KERAS_HOME, str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr("eseg_keras.encoders.application_encoder.SECONDS_WITHOUT_ANSWER", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        monkeypatch.setattr("keras.src.applications.efficientnet.BASE_WEIGHTS_PATH", address)
        # If the package set no timeout, this one would end the test.
        socket.setdefaulttimeout(300)
        try:
            start = time.monotonic()
            with pytest.raises(FileNotFoundError, match="timed out"):
                build_encoder("efficientnet_b0", weights="imagenet")
            assert time.monotonic() - start < 300
            assert socket.getdefaulttimeout() == 300
        finally:
            socket.setdefaulttimeout(None)
    assert not list((tmp_path / "models").iterdir())


@pytest.mark.parametrize("is_writable", [True, False])
def test_downloaded_file_is_taken_from_where_keras_puts_it(
    published, monkeypatch, tmp_path, is_writable
):
    """KERAS_HOME may be changed later, and Keras uses another folder if it cannot write there."""
    name = "efficientnet_b0"
    home, other = tmp_path / "home", tmp_path / "other"
    home.mkdir()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "set_later"))
    if not is_writable:
        join, access = os.path.join, os.access
        monkeypatch.setattr(os, "access", lambda p, mode: p != str(home) and access(p, mode))
        monkeypatch.setattr(
            os.path,
            "join",
            lambda first, *rest: (
                str(other) if (first, *rest) == ("/tmp", ".keras") else join(first, *rest)
            ),
        )
    monkeypatch.setattr(KERAS_HOME, str(home))
    expected = (home if is_writable else other) / "models" / published.name
    imagenet_application(name, APPLICATIONS[name])
    assert expected.read_bytes() == published.read_bytes()


@pytest.mark.parametrize("content", [b"not an HDF5 file", None], ids=["other", "cut off"])
def test_a_cached_file_that_is_not_the_published_one_is_replaced(published, tmp_path, content):
    expected = published.read_bytes()
    path = tmp_path / "models" / APPLICATIONS["efficientnet_b0"].weights_file
    path.parent.mkdir()
    path.write_bytes(expected[: len(expected) // 2] if content is None else content)
    build_encoder("efficientnet_b0", weights="imagenet")
    assert path.read_bytes() == expected


def test_a_refused_download_is_removed_and_not_trusted_by_the_next_call(
    published, monkeypatch, tmp_path
):
    hashes = keras.src.applications.efficientnet.WEIGHTS_HASHES
    monkeypatch.setitem(hashes, "b0", ("", "0" * 32))
    path = tmp_path / "models" / published.name
    for _ in range(2):
        with pytest.raises(FileNotFoundError, match="corrupted file.*encoder_weights=PATH"):
            build_encoder("efficientnet_b0", weights="imagenet")
        assert not path.exists()


def test_a_download_without_known_hash_that_was_cut_off_is_removed(monkeypatch, tmp_path):
    """Keras has no hash for MobileNetV2, so it accepts a truncated download."""
    path = tmp_path / "models" / APPLICATIONS["mobilenet_v2"].weights_file
    write_imagenet_layout(path, "mobilenet_v2")
    path.write_bytes(path.read_bytes()[:-100_000])
    monkeypatch.setattr(KERAS_HOME, str(tmp_path))
    with pytest.raises(FileNotFoundError, match="mobilenet_v2.*truncated"):
        build_encoder("mobilenet_v2", weights="imagenet")
    assert not path.exists()


def test_a_file_of_the_user_is_kept_and_named(tmp_path):
    path = tmp_path / "mine_notop.h5"
    path.write_bytes(b"not an HDF5 file")
    with pytest.raises(ValueError, match="mine_notop.h5 does not contain the weights"):
        build_encoder("efficientnet_b0", weights=path)
    assert path.exists()


def test_a_keras_3_file_under_the_name_of_the_old_layout_is_named(tmp_path):
    encoder = build_encoder("mobilenet_v3_small")
    encoder.save_weights(tmp_path / "mine.weights.h5")
    (tmp_path / "mine.weights.h5").rename(tmp_path / "mine.h5")
    with pytest.raises(ValueError, match="mine.h5 was written by Keras 3.*mine.weights.h5"):
        build_encoder("mobilenet_v3_small", weights=tmp_path / "mine.h5")


@pytest.mark.parametrize("name", ["fused_efficientnet_s", "efficientnet_b0", "resnet50"])
@pytest.mark.parametrize("channels", [1, 4, 13])
def test_other_channel_counts(name, channels):
    encoder = build_encoder(name, (None, None, channels))
    images = np.zeros((1, 64, 64, channels), "uint8")
    assert encoder(images)["P5"].shape[1:3] == (2, 2)


def test_imagenet_weights_need_three_channels():
    with pytest.raises(ValueError, match="3 channels.*load_weights=False.*encoder_weights=None"):
        build_encoder("efficientnet_b0", (None, None, 4), weights="imagenet")
    with pytest.raises(ValueError, match="no public ImageNet weights"):
        build_encoder("fused_efficientnet_s", weights="imagenet")


def test_unknown_name_gives_the_nearest():
    with pytest.raises(ValueError, match="efficientnet_b1"):
        build_encoder("efficientnet-b1")


@pytest.mark.parametrize(
    ("name", "stem", "filters", "repeats"),
    [
        ("fused_efficientnet_s", 16, [8, 16, 16, 32, 48, 80, 128], [1, 2, 2, 2, 2, 3, 1]),
        ("fused_efficientnet_m", 24, [16, 16, 24, 48, 64, 112, 192], [1, 2, 2, 3, 3, 4, 1]),
    ],
)
def test_fused_stages(name, stem, filters, repeats):
    assert name in FUSED_EFFICIENTNETS and name in encoder_names()
    encoder = build_encoder(name)
    assert encoder.get_layer("stem").filters == stem
    for stage, (width, count) in enumerate(zip(filters, repeats, strict=True), start=1):
        blocks = {
            layer.name.split("_")[1] for layer in encoder.layers if f"stage{stage}_" in layer.name
        }
        assert len(blocks) == count
        last = "conv" if stage == 1 else "project"
        assert encoder.get_layer(f"stage{stage}_block{count}_{last}").filters == width
