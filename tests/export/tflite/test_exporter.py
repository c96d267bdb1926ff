"""TFLite files in LiteRT with its default delegate."""

import functools
import json
import zipfile

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from eseg_keras import ESeg
from eseg_keras.export.tflite import exporter
from eseg_keras.export.tflite.exporter import read_tflite_classes
from eseg_keras.export.verification import VerificationError
from eseg_keras.street_scenes import CLASS_NAMES, PALETTE, scene_images

pytestmark = pytest.mark.usefixtures("module_eagerly")

export_tflite = functools.partial(
    exporter.export_tflite, verification_images=scene_images("test", 3, (192, 384))
)


def tensors(path):
    """Return all tensors of a file: (name, shape, type)."""
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes())
    return [tensor for graph in model.subgraphs for tensor in graph.tensors]


def operators(path):
    """Return the operators in a file, as numbers of BuiltinOperator."""
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes())
    return {max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes}


def answer(path, image):
    """Run a file with LiteRT like a user, and return the output."""
    interpreter = Interpreter(str(path))
    taken, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    interpreter.resize_tensor_input(taken["index"], (1, *image.shape), strict=True)
    interpreter.allocate_tensors()
    interpreter.set_tensor(taken["index"], image[None].astype(taken["dtype"]))
    interpreter.invoke()
    return interpreter.get_tensor(given["index"])[0]


@pytest.fixture(scope="module")
def calibration():
    """Calibration images of two sizes."""
    return scene_images("test", 8, (80, 140)) + scene_images("test", 4, (96, 96))


def test_float32_of_any_size(streets, tmp_path):
    path = tmp_path / "new" / "streets.tflite"
    verification = export_tflite(streets, path)
    assert verification.passed and verification.clear_label_agreement == 1
    assert len(set(verification.sizes)) == 3
    assert verification.runtime.startswith("ai-edge-litert ")
    found = sorted(file.name for file in path.parent.iterdir())
    assert found == ["streets.tflite", "streets.tflite.verification.json"]
    report = json.loads((path.parent / found[1]).read_text())
    assert report == json.loads(json.dumps(verification.as_dict()))

    for size in ((64, 96), (77, 45)):
        (image,) = scene_images("test", 1, size)
        labels = answer(path, image)
        assert labels.dtype == np.uint8 and labels.shape == size
        assert (labels == streets.segment(image)).mean() > 0.999
    signatures = Interpreter(str(path)).get_signature_list()
    assert signatures == {"serving_default": {"inputs": ["images"], "outputs": ["labels"]}}
    assert schema.BuiltinOperator.CUSTOM not in operators(path)

    classes = read_tflite_classes(path)
    assert classes["class_names"] == list(CLASS_NAMES)
    assert classes["palette"] == [list(color) for color in PALETTE]
    assert (classes["num_classes"], classes["ignore_label"]) == (8, 255)
    with zipfile.ZipFile(path) as archive:
        assert archive.read("labels.txt").decode().splitlines() == list(CLASS_NAMES)


@pytest.mark.parametrize(
    ("precision", "output_kind", "input_dtype", "weight_bytes", "atol"),
    [
        ("float16", "logits", "float32", 2, 0.05),
        ("dynamic", "probabilities", "uint8", 1, 0.3),
    ],
)
def test_smaller_weights(
    streets, tmp_path, precision, output_kind, input_dtype, weight_bytes, atol
):
    path = tmp_path / "streets.tflite"
    options = {"output_kind": output_kind, "input_dtype": input_dtype, "image_size": (64, 96)}
    verification = export_tflite(streets, path, precision=precision, **options)
    assert verification.sizes == ((64, 96),) * 3
    size = path.stat().st_size / streets.fold().count_params()
    assert weight_bytes <= size < 1.1 * weight_bytes
    (image,) = scene_images("test", 1, (64, 96))
    logits = np.asarray(streets(image[None]))[0]
    expected = logits if output_kind == "logits" else np.asarray(keras.ops.softmax(logits))
    values = answer(path, image)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, expected, rtol=0, atol=atol)
    taken = Interpreter(str(path)).get_input_details()[0]
    assert np.dtype(taken["dtype"]) == input_dtype
    with pytest.raises(RuntimeError, match="unknown dimensions"):
        answer(path, scene_images("test", 1, (64, 64))[0])


def test_int8_of_trained_weights(streets, tmp_path, calibration):
    path = tmp_path / "streets.tflite"
    verification = export_tflite(
        streets,
        path,
        precision="int8",
        calibration_images=calibration,
        verification_images=None,
    )
    # A quarter of the calibration images is used for verification.
    assert verification.sizes == ((80, 140), (80, 140), (96, 96))
    assert verification.clear_label_agreement > 0.98
    types = {tensor.type for tensor in tensors(path)}
    assert schema.TensorType.FLOAT32 not in types and schema.TensorType.FLOAT16 not in types
    taken = Interpreter(str(path)).get_input_details()[0]
    assert taken["dtype"] == np.uint8 and taken["quantization"] == (1.0, 0)
    for size in [(64, 96), (61, 83)]:
        (image,) = scene_images("test", 1, size)
        labels = answer(path, image)
        assert labels.dtype == np.uint8
        assert (labels == streets.segment(image)).mean() > 0.9


def test_int8_logits_are_8_bits_with_a_scale(streets, tmp_path, calibration):
    path = tmp_path / "streets.tflite"
    # The images contain neither 0 nor 255, but the input must still be quantized as 0..255.
    dim = [image // 2 + 20 for image in calibration]
    options = {"output_kind": "logits", "precision": "int8", "image_size": (64, 96)}
    verification = export_tflite(
        streets, path, calibration_images=dim, verification_images=None, **options
    )
    # The compared images are a quarter of the calibration images, resized to the fixed size.
    assert verification.sizes == ((64, 96),) * 3
    assert 0 < verification.relative_difference < 0.2
    assert not any(tensor.type == schema.TensorType.FLOAT32 for tensor in tensors(path))
    interpreter = Interpreter(str(path))
    assert interpreter.get_input_details()[0]["quantization"] == (1.0, 0)
    scale, zero_point = interpreter.get_output_details()[0]["quantization"]
    image = scene_images("test", 1, (64, 96))[0] // 2 + 20
    values = answer(path, image)
    assert values.dtype == np.uint8 and scale > 0
    logits = np.asarray(streets(image[None]))[0]
    difference = scale * (values.astype("float32") - zero_point) - logits
    assert np.abs(difference).mean() < 0.02 * np.ptp(logits)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["eseg_lite_l", "eseg_l"])
def test_no_float_is_left_in_int8(small_model, tmp_path, calibration, preset):
    path = tmp_path / "network.tflite"
    verification = export_tflite(
        small_model(preset),
        path,
        precision="int8",
        image_size=(64, 96),
        calibration_images=calibration,
    )
    assert verification.clear_label_agreement > 0.98
    floats = (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16, schema.TensorType.FLOAT64)
    found = tensors(path)
    assert len(found) > 100
    assert not [tensor.name for tensor in found if tensor.type in floats]


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["eseg_lite_l", "eseg_s"])
def test_float32_of_other_networks(small_model, tmp_path, preset):
    path = tmp_path / "network.tflite"
    model = small_model(preset)
    verification = export_tflite(model, path, output_kind="logits")
    assert verification.relative_difference < 1e-4
    (image,) = scene_images("test", 1, (45, 61))
    logits = np.asarray(model(image[None]))[0]
    np.testing.assert_allclose(answer(path, image), logits, rtol=0, atol=1e-4 * np.ptp(logits))


def test_bad_arguments_are_refused_before_anything_is_written(
    streets, small_eseg, tmp_path, calibration
):
    path = tmp_path / "streets.tflite"
    fixed = small_eseg(image_shape=(64, 96, 3))
    for model, options, message in [
        (streets, {"precision": "int4"}, "precision must be one of float32, float16, dynamic"),
        (streets, {"output_kind": "masks"}, "output_kind must be one of labels"),
        (streets, {"input_dtype": "int8"}, "input_dtype must be"),
        (streets, {"precision": "int8", "input_dtype": "float32"}, "needs input_dtype=.uint8"),
        (streets, {"calibration_images": calibration}, "only for precision='int8'"),
        (
            streets,
            {
                "precision": "int8",
                "calibration_images": calibration[:3],
                "verification_images": None,
            },
            "at least 4",
        ),
        (streets, {"precision": "int8"}, "needs calibration_images"),
        (streets, {"verification_images": []}, "verification_images are needed"),
        (streets, {"image_size": (16, 64)}, "image_size must be at least 32 pixels"),
        (fixed, {"image_size": (64, 64)}, r"built for images of \(64, 96\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            export_tflite(model, path, **options)
    with pytest.raises(ValueError, match="contains no classes"):
        (tmp_path / "other.tflite").write_bytes(b"TFL3")
        read_tflite_classes(tmp_path / "other.tflite")
    assert [file.name for file in tmp_path.iterdir()] == ["other.tflite"]


@keras.saving.register_keras_serializable(package="tests")
class Bits(keras.layers.Layer):
    """A layer with an operator that TFLite does not have."""

    def call(self, images):
        import tensorflow as tf

        bits = tf.bitwise.bitwise_and(tf.bitcast(images, tf.int32), -2)
        return tf.bitcast(bits, tf.float32)


def test_an_operator_that_tflite_lacks_is_named(tmp_path):
    images = keras.Input((None, None, 3))
    features = {"P2": keras.layers.Conv2D(8, 4, strides=4, padding="same")(Bits()(images))}
    for level in range(3, 6):
        x = features[f"P{level - 1}"]
        features[f"P{level}"] = keras.layers.Conv2D(8, 3, strides=2, padding="same")(x)
    encoder = keras.Model(images, features)
    model = ESeg(encoder, num_classes=2, decoder_channels=8, decoder_repeats=1, max_level=5)
    with pytest.raises(ValueError, match="TFLite lacks operators of this network: BitwiseAnd"):
        export_tflite(model, tmp_path / "bits.tflite")
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_of_a_file_that_does_not_pass(tiny_model, tmp_path):
    tiny_model.head.get_layer("classifier").kernel.assign(np.zeros((1, 1, 8, 3)))
    with pytest.raises(VerificationError, match="no pixel has a clear label"):
        export_tflite(tiny_model, tmp_path / "new" / "network.tflite", image_size=(32, 48))
    assert not list(tmp_path.iterdir())
