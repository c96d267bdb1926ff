"""The core on the current Keras backend: logits, training, saving.

`make test` runs it on TensorFlow, `make test-backends` on JAX and PyTorch in an environment without
TensorFlow.
"""

import importlib.util
import sys

import keras
import numpy as np
import pytest

import eseg_keras
from eseg_keras import ESeg

spec = importlib.util.spec_from_file_location(
    "make_golden_logits", __file__.replace("test_backends.py", "make_golden_logits.py")
)
golden = importlib.util.module_from_spec(spec)
spec.loader.exec_module(golden)


@pytest.mark.parametrize("name", golden.NETWORKS)
def test_logits_agree_at_360x480(name):
    expected = np.load(golden.FILE)[name]
    model = golden.build(name)
    # Without `predict_on_batch`, JAX compiles every operation separately, which takes longer.
    call = model.predict_on_batch if keras.backend.backend() == "jax" else model
    logits = keras.ops.convert_to_numpy(call(golden.images()))
    assert logits.shape == (1, 360, 480, 4) and logits.dtype == np.float32
    sampled = logits[0, :: golden.STEP, :: golden.STEP]
    np.testing.assert_allclose(sampled, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_shipped_weights_label_a_street_scene_alike():
    pytest.importorskip("PIL")
    image, mask = eseg_keras.street_scenes.render_scene(0, "test")
    labels = ESeg.from_preset("eseg_lite_s_streets").segment(image)
    valid = mask != 255
    assert (labels == mask)[valid].mean() > 0.85


def test_trains_saves_and_loads(tmp_path, small_eseg):
    keras.utils.set_random_seed(0)
    model = small_eseg(num_classes=3)
    model.compile()
    # A task that can be learnt: blocks whose brightness depends on their class.
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 3, (2, 4, 6)).repeat(16, 1).repeat(16, 2).astype("uint8")
    images = (masks[..., None] * 80 + rng.integers(0, 40, (2, 64, 96, 3))).astype("uint8")
    masks[:, :5] = 255
    history = model.fit(images, masks, batch_size=2, epochs=10, verbose=0).history
    assert history["loss"][-1] < 0.9 * history["loss"][0]
    labels = np.argmax(model.predict_on_batch(images), -1)
    score = model.evaluate(images, masks, batch_size=2, verbose=0, return_dict=True)
    valid = masks != 255
    np.testing.assert_allclose(score["pixel_accuracy"], (labels == masks)[valid].mean(), atol=1e-3)
    expected = model.predict_on_batch(images)
    model.save(tmp_path / "model.keras")
    model.save_to_preset(tmp_path / "preset")
    for loaded in (
        keras.models.load_model(tmp_path / "model.keras"),
        ESeg.from_preset(tmp_path / "preset"),
        model.fold(),
    ):
        np.testing.assert_allclose(
            loaded.predict_on_batch(images), expected, rtol=0, atol=1e-4 * np.abs(expected).max()
        )


def test_tensorflow_is_not_imported_elsewhere():
    """This test is last in the file, so that the whole core has been used before."""
    if keras.backend.backend() != "tensorflow":
        assert "tensorflow" not in sys.modules
