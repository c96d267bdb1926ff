import numpy as np
import pytest
from PIL import Image

from eseg_keras.data.datasets.ade20k import CLASSES as ADE20K
from eseg_keras.data.datasets.cityscapes import CLASSES as CITYSCAPES
from eseg_keras.evaluation.submission import Submission, benchmark_of
from eseg_keras.files import FileInUseError

LABELS = np.array([[0, 5, 18], [2, 255, 0]], np.uint8)


def files(folder):
    return {path.name: np.asarray(Image.open(path)) for path in folder.iterdir()}


def test_cityscapes(tmp_path):
    names = ["berlin_000000_000019", "test/bonn/bonn_000001_000019_leftImg8bit.png"]
    with Submission(tmp_path / "results", "cityscapes", names) as submission:
        for name in names:
            submission.add(name, LABELS)
    written = files(tmp_path / "results")
    assert sorted(written) == [
        "berlin_000000_000019_labelIds.png", "bonn_000001_000019_labelIds.png"
    ]  # fmt: skip
    for name, label_map in written.items():
        assert Image.open(tmp_path / "results" / name).mode == "L"
        # Label ids of road, pole, bicycle; building, unlabeled, road.
        assert label_map.tolist() == [[7, 17, 33], [11, 0, 7]]
        np.testing.assert_array_equal(CITYSCAPES.read(label_map), LABELS)


def test_ade20k(tmp_path):
    names = ["photos/ADE_test_00000001.jpg", "ADE_test_00000002"]
    with Submission(tmp_path / "results", "ade20k", names) as submission:
        for name in names:
            submission.add(name, LABELS)
    written = files(tmp_path / "results")
    assert sorted(written) == ["ADE_test_00000001.png", "ADE_test_00000002.png"]
    for label_map in written.values():
        assert label_map.tolist() == [[1, 6, 19], [3, 0, 1]]
        np.testing.assert_array_equal(ADE20K.read(label_map), LABELS)


def test_whole_or_absent(tmp_path):
    results = tmp_path / "results"
    results.mkdir()
    with pytest.raises(RuntimeError), Submission(results, "ade20k", ["a", "b"]) as submission:
        submission.add("a", LABELS)
        raise RuntimeError
    assert list(tmp_path.iterdir()) == [results] and not list(results.iterdir())
    with Submission(results, "ade20k", ["a"]) as submission:
        submission.add("a", LABELS)
    assert list(tmp_path.iterdir()) == [results]
    assert list(files(results)) == ["a.png"]
    # Existing results could be of another model.
    with pytest.raises(FileExistsError, match="results exists and is not empty"):
        Submission(results, "ade20k", ["a"])


def test_names_must_fit(tmp_path):
    for name in ("photo.png", "berlin_1_2.png", "berlin_000000_000019_gtFine_color.png"):
        with pytest.raises(ValueError, match=f"{name} is not named like the images of Cityscapes"):
            Submission(tmp_path / "results", "cityscapes", [name])
    with pytest.raises(ValueError, match=r"a/1.jpg and b/1.jpg would both be .* 1.png"):
        Submission(tmp_path / "results", "ade20k", ["a/1.jpg", "b/1.jpg"])
    assert not list(tmp_path.iterdir())


def test_the_classes_tell_the_benchmark():
    assert benchmark_of(list(CITYSCAPES.class_names)) == "cityscapes"
    assert benchmark_of(ADE20K.class_names) == "ade20k"
    for names in (None, ("road", "car"), CITYSCAPES.class_names[::-1]):
        with pytest.raises(ValueError, match="A submission needs a model with the class names"):
            benchmark_of(names)


def test_a_second_process_is_refused(tmp_path):
    with Submission(tmp_path / "out", "ade20k", ["a.jpg"]) as submission:
        with pytest.raises(FileInUseError, match="out is in use by process"):
            Submission(tmp_path / "out", "ade20k", ["a.jpg"]).__enter__()
        submission.add("a.jpg", np.zeros((2, 2), np.uint8))
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "a.png"]
