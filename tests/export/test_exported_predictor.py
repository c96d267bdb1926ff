"""Label maps of exported files compared with those of Keras."""

import numpy as np
import pytest
from PIL import Image

from eseg_keras.export import (
    ExportedPredictor,
    export_onnx,
    export_openvino,
    export_saved_model,
    export_tflite,
)
from eseg_keras.inference import Predictor
from eseg_keras.street_scenes import render_scene, scene_images

EXPORTERS = {
    "saved": export_saved_model,
    "a.tflite": export_tflite,
    "a.onnx": export_onnx,
    "a.xml": export_openvino,
}

pytestmark = pytest.mark.usefixtures("module_eagerly")


@pytest.fixture(scope="module")
def model(make_tiny_model):
    return make_tiny_model(class_names=("a", "b", "c"), palette=((1, 2, 3), (4, 5, 6), (7, 8, 9)))


@pytest.fixture(scope="module")
def export(model, tmp_path_factory):
    """Function (file name of a format, ...) -> path of the network, which is exported only once."""
    folder, images = tmp_path_factory.mktemp("exported"), scene_images("test", 2, (64, 96))

    def export(name, folder_name="any", **options):
        path = folder / folder_name / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            EXPORTERS[name](model, path, verification_images=images, **options)
        return path

    return export


@pytest.mark.parametrize("name", EXPORTERS)
def test_label_maps_are_those_of_the_network(export, model, name):
    predictor, exported = Predictor(model), ExportedPredictor(export(name))
    for index, size in enumerate([(64, 96), (50, 70)]):
        image, _ = render_scene(index, "test", size)
        found, expected = exported(image), predictor(image)
        assert found.label_map.dtype == "uint8" and found.label_map.shape == size
        # OpenVINO computes in bfloat16 on CPUs that have it.
        least = 0.99 if name == "a.xml" else 0.999
        assert (found.label_map == expected.label_map).mean() >= least
        np.testing.assert_array_equal(found.image, image)
    assert exported.image_size is None
    for name in ("num_classes", "class_names", "palette", "ignore_label"):
        assert getattr(exported, name) == getattr(predictor, name)


def test_probabilities_become_labels(export, model):
    path = export("a.onnx", "probabilities", output_kind="probabilities", image_size=(64, 96))
    exported, (image, _) = ExportedPredictor(path), render_scene(0, "test", (64, 96))
    assert (exported(image).label_map == Predictor(model)(image).label_map).mean() >= 0.999
    assert exported.image_size == (64, 96)
    with pytest.raises(ValueError, match="has 96x64 pixels.* takes images of 64x96 only"):
        exported(image.transpose(1, 0, 2))


def test_images_of_another_range(export):
    image, _ = render_scene(0, "test", (64, 96))
    path = export("a.onnx", "probabilities", output_kind="probabilities", image_size=(64, 96))
    expected = ExportedPredictor(path)(image).label_map
    found = ExportedPredictor(path, image_range=(0, 1))(image / np.float32(255)).label_map
    assert (found == expected).mean() >= 0.999
    with pytest.raises(ValueError, match="pass the range"):
        ExportedPredictor(path)(image / np.float32(255))


def test_the_last_version_of_a_saved_model_counts(export, tmp_path):
    versions = tmp_path / "versions"
    for number in (9, 10):
        version = versions / str(number)
        version.mkdir(parents=True)
        (version / "saved_model.pb").touch()
    with pytest.raises(ValueError, match=r"versions/10 contains no classes\.json"):
        ExportedPredictor(versions)
    image, _ = render_scene(0, "test", (64, 96))
    one = ExportedPredictor(export("saved") / "1")(image)
    np.testing.assert_array_equal(
        one.label_map, ExportedPredictor(export("saved"))(image).label_map
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.onnx", "There is no exported file"),
        ("image.png", r"is not an exported network.*ends in \.tflite or \.onnx"),
        ("other.tflite", "contains no classes"),
        ("damaged.onnx", "cannot be read as an ONNX file"),
    ],
)
def test_other_files_are_refused(tmp_path, name, message):
    Image.new("RGB", (64, 64)).save(tmp_path / "image.png")
    (tmp_path / "other.tflite").write_bytes(b"TFL3" * 10)
    (tmp_path / "damaged.onnx").write_bytes(b"damaged")
    with pytest.raises(ValueError, match=message):
        ExportedPredictor(tmp_path / name)
