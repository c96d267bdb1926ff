"""A teacher predicts pseudo labels, written as masks."""

import json

import numpy as np
import pytest
from PIL import Image

from eseg_keras.data import open_folders
from eseg_keras.inference import Predictor, pseudo_label
from eseg_keras.street_scenes import render_scene


@pytest.fixture(scope="module")
def teacher(small_eseg):
    return small_eseg(class_names=("a", "b"))


@pytest.fixture
def images(tmp_path):
    for index in range(3):
        path = tmp_path / "images" / f"city{index % 2}" / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(render_scene(index, "test", (64, 96))[0]).save(path)
    return tmp_path / "images"


def test_masks_keep_what_the_teacher_is_sure_of(teacher, images, tmp_path):
    options = {"scales": (0.5, 1.0), "flip": True}
    sure = Predictor(teacher, maps=["probabilities"], **options)
    probabilities = {path: sure(path).probabilities for path in sorted(images.rglob("*.png"))}
    # Half of the pixels are below the threshold.
    threshold = float(np.median([p.max(-1) for p in probabilities.values()]))
    predictor = Predictor(teacher, min_confidence=threshold, **options)
    output = tmp_path / "labelled"
    files, manifest = pseudo_label(predictor, images, output)
    assert len(files.written) == 3 and not files.failed
    counts = np.zeros(256, int)
    for path, values in probabilities.items():
        mask = np.asarray(Image.open(output / "labels" / path.relative_to(images)))
        expected = np.where(values.max(-1) < threshold, 255, values.argmax(-1))
        assert (mask == expected).mean() > 0.999
        counts += np.bincount(mask.ravel(), minlength=256)
    assert json.loads((output / "manifest.json").read_text()) == manifest
    assert manifest["num_images"] == 3
    assert manifest["kept"] == pytest.approx(counts[:2].sum() / counts.sum())
    assert 0.4 < manifest["kept"] < 0.6
    assert list(manifest["class_shares"]) == ["a", "b"]
    np.testing.assert_allclose(
        list(manifest["class_shares"].values()), counts[:2] / counts[:2].sum()
    )
    assert manifest["options"]["min_confidence"] == threshold
    assert manifest["options"]["scales"] == [0.5, 1.0] and manifest["options"]["flip"] is True
    # The masks pair with the images by name.
    assert len(open_folders(images, output / "labels", num_classes=2)) == 3

    # Images with a mask are skipped; images whose mask is missing are labelled again.
    (output / "labels" / "city0" / "2.png").unlink()
    again, same = pseudo_label(predictor, images, output)
    assert [path.name for path in again.written] == ["2.png"] and len(again.skipped) == 2
    assert same == manifest
    edited = {**manifest, "options": {**manifest["options"], "flip": False}}
    (output / "manifest.json").write_text(json.dumps(edited))
    with pytest.raises(
        ValueError, match="damaged: 'options' differs from that of the masks. Remove"
    ):
        pseudo_label(predictor, images, output)
    with pytest.raises(ValueError, match="other options: flip"):
        pseudo_label(Predictor(teacher, min_confidence=threshold, scales=(0.5, 1)), images, output)


def test_a_threshold_is_needed(teacher, images, tmp_path):
    with pytest.raises(ValueError, match="pass min_confidence"):
        pseudo_label(Predictor(teacher), images, tmp_path / "labelled")
    with pytest.raises(ValueError):
        (tmp_path / "empty").mkdir()
        sure = Predictor(teacher, min_confidence=0.5)
        pseudo_label(sure, tmp_path / "empty", tmp_path / "labelled")
    assert not (tmp_path / "labelled").exists()


def test_images_of_which_none_can_be_used(teacher, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"no image")
    predictor = Predictor(teacher, min_confidence=0.5)
    with pytest.raises(ValueError, match="None of the 1 images can be used.*a.png"):
        pseudo_label(predictor, tmp_path / "images", tmp_path / "labelled")
