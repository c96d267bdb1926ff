"""SavedModels, run without Keras and without this package."""

import functools
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from eseg_keras.export.saved_model import exporter
from eseg_keras.export.verification import VerificationError
from eseg_keras.street_scenes import scene_images

export_saved_model = functools.partial(
    exporter.export_saved_model, verification_images=scene_images("test", 3, (192, 384))
)

SIGNATURES = ("encoded", "logits", "probabilities", "serving_default")


def label_map(content):
    return np.asarray(Image.open(io.BytesIO(content)))


def test_what_is_written(exported, streets):
    written = {str(p.relative_to(exported.path)) for p in exported.path.rglob("*") if p.is_file()}
    assert written >= {
        "1/saved_model.pb",
        "1/assets/classes.json",
        "1/assets.extra/tf_serving_warmup_requests",
        "1/variables/variables.index",
    }
    beside = {path.name for path in exported.path.parent.iterdir()}
    assert beside == {"streets", "streets.verification.json", "models.config"}
    classes = json.loads((exported.version / "assets" / "classes.json").read_text())
    assert classes["class_names"] == list(streets.class_names)
    assert classes["palette"] == list(map(list, streets.palette))
    report = json.loads((exported.path.parent / "streets.verification.json").read_text())
    assert report == json.loads(json.dumps(exported.verification.as_dict()))
    assert report["passed"] and report["label_agreement"] > 0.9999
    assert 0 < report["largest_difference"] < 1e-3


def test_weights_are_there_once(exported, streets):
    size = sum(path.stat().st_size for path in (exported.version / "variables").iterdir())
    assert size < 1.1 * 4 * streets.fold().count_params()


def test_signatures(exported, run_c_api):
    from tensorflow.core.protobuf import saved_model_pb2

    content = (exported.version / "saved_model.pb").read_bytes()
    (graph,) = saved_model_pb2.SavedModel.FromString(content).meta_graphs
    found = {
        name: [
            {
                key: (tf.as_dtype(i.dtype).name, [d.size for d in i.tensor_shape.dim])
                for key, i in m.items()
            }
            for m in (signature.inputs, signature.outputs)
        ]
        for name, signature in graph.signature_def.items()
        if not name.startswith("__")
    }
    images, scores = {"images": ("uint8", [-1, -1, -1, 3])}, ("float32", [-1, -1, -1, 8])
    assert found == {
        "serving_default": [images, {"labels": ("uint8", [-1, -1, -1])}],
        "logits": [images, {"logits": scores}],
        "probabilities": [images, {"probabilities": scores}],
        "encoded": [
            {"image_bytes": ("string", [-1])},
            {"png_bytes": ("string", [-1]), "height": ("int32", [-1]), "width": ("int32", [-1])},
        ],
    }
    # The graph declares the asset by a relative name, so the directory may be moved.
    assert [asset.filename for asset in graph.asset_file_def] == ["classes.json"]
    # No operation needs a Python process.
    operations = {node.op for f in graph.graph_def.library.function for node in f.node_def}
    assert not operations & {"PyFunc", "EagerPyFunc", "PyFuncStateless"}


def test_the_c_api_without_python(exported, run_c_api, streets, scene, file_of, tmp_path):
    small, odd = scene(0, 96, 160), scene(1, 75, 121)
    jpeg, png = file_of(small, "JPEG", quality=90), file_of(odd, "PNG")
    batch = np.stack([small, small[::-1]])
    two, logits, probabilities, mixed = run_c_api(
        exported.version,
        [
            ("serving_default", {"images": batch}),
            ("logits", {"images": odd[None]}),
            ("probabilities", {"images": odd[None]}),
            ("encoded", {"image_bytes": [jpeg, png]}),
        ],
        tmp_path,
    )
    assert (two["labels"] == streets.segment(batch)).mean() > 0.9999
    expected = np.asarray(streets(odd[None]))
    np.testing.assert_allclose(logits["logits"], expected, atol=1e-3)
    np.testing.assert_allclose(probabilities["probabilities"], tf.nn.softmax(expected), atol=1e-4)
    assert mixed["height"].tolist() == [96, 75] and mixed["width"].tolist() == [160, 121]
    decoded = np.asarray(Image.open(io.BytesIO(jpeg)))
    for content, image in zip(mixed["png_bytes"], (decoded, odd), strict=True):
        assert (label_map(content) == streets.segment(image)).mean() > 0.9999


def test_bad_requests_are_errors_of_their_own(exported, run_c_api, scene, file_of, tmp_path):
    image = scene(0, 48, 64)
    png = file_of(image, "PNG")
    large = file_of(np.zeros((1025, 3072, 3), np.uint8), "PNG")
    bad = [
        ("serving_default", {"images": image[None].astype("float32")}, "Expects arg"),
        ("serving_default", {"images": [b"text"]}, "Expects arg"),
        ("serving_default", {"images": image[None][:0]}, "The request contains no image"),
        ("serving_default", {"images": image[None][:, :0]}, "The request contains no image"),
        ("serving_default", {"images": image}, "not compatible with expected shape"),
        ("logits", {"images": image[None][..., :1]}, "not compatible with expected shape"),
        ("probabilities", {"images": image[None, None]}, "not compatible with expected shape"),
        ("encoded", {"image_bytes": []}, "The request contains no image"),
        ("encoded", {"image_bytes": image[None]}, "Expects arg"),
        ("encoded", {"image_bytes": [png, b""]}, "Image 1 of the request is neither"),
        ("encoded", {"image_bytes": [png[:500]]}, "Invalid PNG data"),
        ("encoded", {"image_bytes": [file_of(image, "JPEG")[:500]]}, "Invalid JPEG data"),
        ("encoded", {"image_bytes": [large]}, "Image 0 of the request has 1025x3072 pixels"),
    ]
    good = ("encoded", {"image_bytes": [png]})
    requests = [good] + [request for *bad_one, _ in bad for request in (tuple(bad_one), good)]
    first, *rest = run_c_api(exported.version, requests, tmp_path)
    for (*_, message), answer, after in zip(bad, rest[::2], rest[1::2], strict=True):
        assert isinstance(answer, str) and message in answer, (message, answer)
        assert after["png_bytes"] == first["png_bytes"]


def test_requests_have_limits(exported, signatures, scene, file_of):
    encoded = signatures.by_name["encoded"]
    small = file_of(scene(0, 32, 32), "PNG")
    with pytest.raises(tf.errors.InvalidArgumentError, match="contains more than 256 images"):
        encoded(image_bytes=tf.constant([small] * 257))
    # Nine files of the allowed size exceed the total, which is checked before decoding: decoding
    # these truncated files would fail.
    side = 1 << 10
    large = file_of(np.zeros((3 * side, side, 3), np.uint8), "PNG")[:200]
    assert 3 * side**2 == exported.max_pixels
    with pytest.raises(tf.errors.InvalidArgumentError, match="more than 25165824 pixels in total"):
        encoded(image_bytes=tf.constant([large] * 9))
    with pytest.raises(tf.errors.InvalidArgumentError, match="Invalid PNG"):
        encoded(image_bytes=tf.constant([large] * 8))


def test_saved_model_cli(exported, scene, streets, tmp_path):
    image = scene(3, 64, 96)
    np.save(tmp_path / "image.npy", image[None])
    command = [
        *(sys.executable, "-m", "tensorflow.python.tools.saved_model_cli", "run"),
        *("--dir", exported.version, "--tag_set", "serve", "--signature_def", "serving_default"),
        *("--inputs", f"images={tmp_path / 'image.npy'}", "--outdir", tmp_path, "--overwrite"),
    ]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    labels = np.load(tmp_path / "labels.npy")
    assert (labels == streets.segment(image[None])).mean() > 0.9999


def test_openvino(exported, scene, streets):
    openvino = pytest.importorskip("openvino")
    network = openvino.Core().read_model(str(exported.version))
    # Without the hint, OpenVINO computes in bfloat16 on CPUs that support it.
    compiled = openvino.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for image in (scene(0, 96, 160), scene(1, 75, 121)):
        (labels,) = compiled(image[None]).values()
        assert (labels == streets.segment(image[None])).mean() > 0.9999


def test_warm_up_requests(exported, signatures):
    from tensorflow_serving.apis import prediction_log_pb2

    path = exported.version / "assets.extra" / "tf_serving_warmup_requests"
    seen = []
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        assert request.model_spec.name == "streets"
        inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
        signatures.by_name[request.model_spec.signature_name](**inputs)
        seen.append(request.model_spec.signature_name)
    assert sorted(seen) == sorted(SIGNATURES)
    assert path.stat().st_size < 300_000


def test_the_next_version_of_another_kind(tmp_path, small_model, run_c_api, scene):
    model = small_model("eseg_lite_s")
    output = tmp_path / "other"
    (output / "7").mkdir(parents=True)
    verification = export_saved_model(
        model, output, output_kind="probabilities", input_dtype="float32", image_size=(64, 96)
    )
    assert verification.output_kind == "probabilities"
    image = scene(0, 64, 96)
    right, wrong = run_c_api(
        output / "8",
        [
            ("serving_default", {"images": image[None].astype("float32")}),
            ("serving_default", {"images": image[None, :32].astype("float32")}),
        ],
        tmp_path,
    )
    expected = tf.nn.softmax(model(image[None], training=False))
    np.testing.assert_allclose(right["probabilities"], expected, atol=1e-4)
    assert "not compatible with expected shape [?,64,96,3]" in wrong


def test_a_network_of_one_size(tmp_path, run_c_api, scene, file_of, small_eseg):
    model = small_eseg(image_shape=(64, 96, 3))
    # Give one class a clear margin.
    model.head.get_layer("classifier").bias.assign([0.0, 1.0])
    output = tmp_path / "fixed"
    assert set(export_saved_model(model, output).sizes) == {(64, 96)}
    with pytest.raises(ValueError, match=r"built for images of \(64, 96\)"):
        export_saved_model(model, output, image_size=(96, 160))
    files = [file_of(scene(0, *size), "PNG") for size in ((64, 96), (96, 64))]
    right, wrong = run_c_api(
        output / "1", [("encoded", {"image_bytes": [file]}) for file in files], tmp_path
    )
    assert right["height"].tolist() == [64]
    assert "compatible" in wrong


def test_a_file_with_other_outputs_is_not_written(tmp_path, small_model, monkeypatch):
    from eseg_keras.export.saved_model import signatures

    right = signatures.decode_image
    monkeypatch.setattr(signatures, "decode_image", lambda *arguments: 255 - right(*arguments))
    with pytest.raises(VerificationError, match="labels agree"):
        export_saved_model(small_model("eseg_lite_s"), tmp_path / "models" / "wrong")
    assert not list(tmp_path.rglob("*"))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"max_pixels": 0}, "max_pixels must be"),
        ({"max_pixels": 73_727}, "at least 73728: the file is verified on images of 192x384"),
        ({"version": 0}, "version must be"),
        ({"output_kind": "masks"}, "output_kind must be"),
        ({"input_dtype": "int8"}, "input_dtype must be"),
    ],
)
def test_wrong_arguments(options, message, tmp_path, small_model):
    with pytest.raises(ValueError, match=message):
        export_saved_model(small_model("eseg_lite_s"), tmp_path / "wrong", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["eseg_lite_l", "eseg_l"])
def test_every_structure(preset, small_model, tmp_path):
    verification = export_saved_model(small_model(preset), tmp_path / preset, image_size=(64, 96))
    assert verification.passed
    assert Path(tmp_path, preset, "1", "saved_model.pb").is_file()
