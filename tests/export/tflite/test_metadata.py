"""The standard TFLite metadata, read with tflite-support."""

import json

import numpy as np
import pytest

from eseg_keras.export import export_tflite
from eseg_keras.street_scenes import scene_images

# The import fails without the system library libusb.
metadata = pytest.importorskip(
    "tensorflow_lite_support.metadata.python.metadata", exc_type=ImportError
)

pytestmark = pytest.mark.usefixtures("module_eagerly")


@pytest.mark.parametrize("output_kind", ["labels", "probabilities"])
def test_labels_and_normalization(small_eseg, tmp_path, output_kind):
    model = small_eseg(class_names=("sky", "rööf"), name="roofs")
    path = tmp_path / "a.tflite"
    options = {"image_size": (64, 96), "verification_images": scene_images("test", 1, (64, 96))}
    assert export_tflite(model, path, output_kind=output_kind, **options).passed
    shown = metadata.MetadataDisplayer.with_model_file(str(path))
    assert "labels.txt" in shown.get_packed_associated_file_list()
    labels = shown.get_associated_file_buffer("labels.txt").decode()
    assert labels.splitlines() == ["sky", "rööf"]
    found = json.loads(shown.get_metadata_json())
    (graph,) = found["subgraph_metadata"]
    (image,), (output,) = graph["input_tensor_metadata"], graph["output_tensor_metadata"]
    assert found["name"] == "roofs" and output["name"] == output_kind
    (unit,) = image["process_units"]
    assert unit["options_type"] == "NormalizationOptions"
    np.testing.assert_array_equal(unit["options"]["mean"], np.zeros(3))
    np.testing.assert_array_equal(unit["options"]["std"], np.ones(3))
    assert image["content"]["content_properties"]["color_space"] == "RGB"
    (file,) = output["associated_files"]
    expected = "TENSOR_VALUE_LABELS" if output_kind == "labels" else "TENSOR_AXIS_LABELS"
    assert (file["name"], file["type"]) == ("labels.txt", expected)
