"""Scores of label map files; `test_official_scores` compares them with official scores."""

import numpy as np
import pytest
from PIL import Image

from eseg_keras.data import FolderError, ImageFileError
from eseg_keras.data.datasets.cityscapes import LABEL_IDS
from eseg_keras.evaluation import evaluate_files

SIZE = (32, 35)


def save(path, labels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(labels, np.uint8)).save(path)
    return path


@pytest.fixture
def cityscapes_files(tmp_path):
    """Masks and predictions of three images, with label ids of Cityscapes."""
    rng = np.random.default_rng(0)
    truths = []
    for index, city in enumerate(("aachen", "bochum", "bochum")):
        truth = rng.integers(0, 34, SIZE)
        found = np.where(rng.random(SIZE) < 0.5, truth, rng.choice([0, 4, *LABEL_IDS], SIZE))
        name = f"{city}_{index:06}_000019"
        truths.append(save(tmp_path / "gt" / city / f"{name}_gtFine_labelIds.png", truth))
        save(tmp_path / "gt" / city / f"{name}_gtFine_color.png", rng.integers(0, 256, (*SIZE, 3)))
        (tmp_path / "gt" / city / f"{name}_gtFine_polygons.json").write_text("{}")
        save(tmp_path / "results" / f"{name}_pred.png", found)
    return tmp_path, truths


def test_predictions_are_found_by_city_sequence_and_frame(cityscapes_files, caplog):
    folder, truths = cityscapes_files
    ours = evaluate_files(folder / "results", folder / "gt", rules="cityscapes")
    assert ours.num_images == 3 and ours.class_names[0] == "road"
    pixels = sum(np.isin(np.asarray(Image.open(path)), LABEL_IDS).sum() for path in truths)
    assert ours.confusion_matrix.sum() == pixels
    assert "of the labelled pixels have no predicted class" in caplog.text
    # Predictions of other images are skipped; nested folders are searched.
    more = folder / "results" / "more"
    save(more / "ulm_000000_000019_x.png", np.zeros(SIZE))
    (folder / "results" / "aachen_000000_000019_pred.png").rename(
        more / "aachen_000000_000019_pred.png"
    )
    again = evaluate_files(folder / "results", folder / "gt", rules="cityscapes")
    np.testing.assert_array_equal(again.confusion_matrix, ours.confusion_matrix)
    assert "1 predictions without a mask are not scored" in caplog.text


def test_class_ids_of_cityscapes(cityscapes_files, caplog):
    folder, _ = cityscapes_files
    official = evaluate_files(folder / "results", folder / "gt", rules="cityscapes")
    classes = np.full(256, 255)
    classes[list(LABEL_IDS)] = range(19)
    for path in (folder / "results").iterdir():
        save(path, classes[np.asarray(Image.open(path))])
    options = {"rules": "cityscapes", "prediction_ids": "classes"}
    ours = evaluate_files(folder / "results", folder / "gt", **options)
    np.testing.assert_array_equal(ours.confusion_matrix, official.confusion_matrix)
    # If class ids are read as label ids, most pixels have no class, and a warning says so.
    caplog.clear()
    with pytest.raises(ImageFileError, match=r"has the labels \[\d+"):
        save(folder / "results" / "aachen_000000_000019_pred.png", np.full(SIZE, 200))
        evaluate_files(folder / "results", folder / "gt", rules="cityscapes")
    save(folder / "results" / "aachen_000000_000019_pred.png", np.zeros(SIZE))
    evaluate_files(folder / "results", folder / "gt", rules="cityscapes")
    assert "set prediction_ids to 'classes'" in caplog.text


def test_default_rules(tmp_path):
    rng = np.random.default_rng(2)
    masks = rng.choice([0, 1, 2, 11, 255], (3, *SIZE))
    found = rng.choice([0, 1, 2, 255], (3, *SIZE))
    for index in range(3):
        save(tmp_path / "gt" / "a" / f"{index}_mask.png", masks[index])
        save(tmp_path / "results" / "a" / f"{index}_out.png", found[index])
    ours = evaluate_files(
        tmp_path / "results", tmp_path / "gt", num_classes=3, class_map={11: 255},
        mask_suffix="_mask", prediction_suffix="_out",
    )  # fmt: skip
    labelled = masks < 3
    for label, iou in enumerate(ours.per_class_iou.values()):
        both = (masks == label) & (found == label) & labelled
        either = ((masks == label) | (found == label)) & labelled
        assert iou == pytest.approx(both.sum() / either.sum())
    assert ours.pixel_accuracy == pytest.approx((found == masks)[labelled].mean())
    assert ours.images[1].name == str(tmp_path / "results/a/1_out.png")


def test_black_and_white_masks(tmp_path, caplog):
    mask = np.zeros(SIZE)
    mask[:9] = 1
    for name, scale in (("gt", 255), ("ones", 1), ("whites", 255)):
        save(tmp_path / name / "a.png", mask * scale)
    assert evaluate_files(tmp_path / "ones", tmp_path / "gt", num_classes=2).mean_iou == 1
    assert "255 is read as class 1" in caplog.text
    options = {"num_classes": 2, "prediction_ids": "masks"}
    assert evaluate_files(tmp_path / "whites", tmp_path / "gt", **options).mean_iou == 1
    # In label maps of class ids, 255 is not a class.
    assert evaluate_files(tmp_path / "whites", tmp_path / "gt", num_classes=2).mean_iou < 0.6


def test_masks_with_different_palettes_are_refused(tmp_path):
    labels = np.random.default_rng(0).integers(0, 2, SIZE).astype(np.uint8)
    for name, palette in (("a", [0, 0, 0, 9, 9, 9]), ("b", [9, 9, 9, 0, 0, 0])):
        save(tmp_path / "results" / f"{name}.png", labels)
        mask = Image.fromarray(labels, "P")
        mask.putpalette(palette)
        (tmp_path / "masks").mkdir(exist_ok=True)
        mask.save(tmp_path / "masks" / f"{name}.png")
    with pytest.raises(FolderError, match="palettes differ: index 0 is"):
        evaluate_files(tmp_path / "results", tmp_path / "masks", num_classes=2)


def test_faults_are_named(tmp_path, cityscapes_files):
    folder, _ = cityscapes_files
    results, masks = folder / "results", folder / "gt"
    for arguments, message in [
        ({"rules": "cityscapes", "num_classes": 19}, "classes and files: omit num_classes"),
        ({"rules": "cityscapes", "num_classes": 2}, "for the 19 classes"),
        ({"rules": "cityscapes", "class_map": {1: 2}}, "classes and files: omit class_map"),
        ({"rules": "cityscapes", "ignore_label": 0}, "classes and files: omit ignore_label"),
        ({"rules": "vistas"}, "rules must be default, cityscapes or ade20k"),
        ({}, "Pass `class_names` or `num_classes`"),
        ({"num_classes": 2, "prediction_ids": "ids"}, "`prediction_ids` must be"),
    ]:
        with pytest.raises(ValueError, match=message):
            evaluate_files(results, masks, **arguments)
    (results / "bochum_000001_000019_pred.png").unlink()
    save(results / "x" / "bochum_000002_000019_again.png", np.zeros(SIZE))
    with pytest.raises(FolderError) as error:
        evaluate_files(results, masks, rules="cityscapes")
    missing, several = sorted(error.value.problems.items())
    assert "bochum_000001" in missing[1][0] and missing[0].startswith("mask without a prediction")
    assert "_pred.png and " in several[1][0]
    with pytest.raises(FolderError, match="prediction without a mask"):
        evaluate_files(results, masks, num_classes=2)
    save(tmp_path / "one" / "a.png", np.zeros(SIZE))
    save(tmp_path / "two" / "a.png", np.zeros((8, 8)))
    with pytest.raises(ValueError, match=r"one/a\.png: mask and prediction must be .* same size"):
        evaluate_files(tmp_path / "one", tmp_path / "two", num_classes=2)
    with pytest.raises(FolderError, match="there is no folder"):
        evaluate_files(tmp_path / "none", masks, rules="cityscapes")
