"""Pseudo labels by two Ray workers, one of which is killed."""

import json
import os
import pickle
import signal
import time

import numpy as np
import pytest
from PIL import Image

from eseg_keras.inference import Predictor, predict_files, pseudo_label
from eseg_keras.inference.prediction_job import _ImageWork
from eseg_keras.street_scenes import render_scene


@pytest.fixture(scope="module")
def teacher(small_eseg):
    return small_eseg(encoder="fused_efficientnet_s", class_names=("a", "b"))


@pytest.mark.usefixtures("eagerly")
def test_a_predictor_is_pickled_with_its_model_and_works_elsewhere(teacher, tmp_path):
    image, _ = render_scene(0, "test", (64, 96))
    predictor = Predictor(teacher, min_confidence=0.5, window=64, maps=["entropy"])
    copy = pickle.loads(pickle.dumps(predictor))
    assert (copy.maps, copy.overlap) == (("entropy",), (16, 16))
    Image.fromarray(image).save(tmp_path / "a.png")
    work = _ImageWork(copy, 0.5, True)
    paths = {kind: str(tmp_path / kind / "a.png") for kind in ("labels", "entropy")}
    assert work({"image": str(tmp_path / "a.png"), **paths}) == ""
    expected = predictor(image)
    np.testing.assert_array_equal(Image.open(paths["labels"]), expected.label_map)
    grey = np.asarray(Image.open(paths["entropy"]), "float64") / 255
    np.testing.assert_allclose(grey, expected.entropy, atol=0.003)
    assert "no such file" in work({"image": str(tmp_path / "b.png"), **paths})


def test_a_number_of_workers_is_positive(teacher, tmp_path):
    with pytest.raises(ValueError, match="num_workers must be at least 1, or None. Received: 0"):
        predict_files(Predictor(teacher), tmp_path, tmp_path / "out", num_workers=0)


@pytest.fixture
def ray(monkeypatch):
    """The module `ray`, without a cluster before and after the test."""
    ray = pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    yield ray
    ray.shutdown()


@pytest.mark.slow
@pytest.mark.usefixtures("ray")
@pytest.mark.skipif(os.name != "posix", reason="The test needs POSIX signals.")
def test_an_item_that_ends_every_worker_is_given_up(tmp_path, monkeypatch):
    from eseg_keras.inference import workers

    monkeypatch.setattr(workers, "_MOST_DEATHS", 2)
    log = tmp_path / "log"

    def work(item):
        with log.open("a") as file:
            file.write(f"{item}\n")
        if item == 5 or (item == 6 and log.read_text().split().count("6") == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.05)
        return f"done {item}"

    results = list(workers.map_on_workers(work, range(80), 2))
    assert sorted(index for index, _ in results) == list(range(80))
    results = dict(results)
    assert str(results.pop(5)) == "2 workers died while they processed it"
    assert results == {item: f"done {item}" for item in range(80) if item != 5}
    counts = [log.read_text().split().count(str(item)) for item in range(80)]
    assert (counts[5], counts[6]) == (2, 2)
    # Other items are repeated only if they are in the task of a dead worker. A task has at most
    # three items.
    assert sum(counts) <= 80 + 2 + 3 * 3


@pytest.mark.slow
@pytest.mark.usefixtures("ray")
@pytest.mark.skipif(os.name != "posix", reason="The test needs POSIX signals.")
def test_a_killed_worker_loses_nothing_and_nothing_is_done_twice(teacher, tmp_path):
    images, marker, seen = tmp_path / "images", tmp_path / "killed", tmp_path / "seen"
    (images / "city").mkdir(parents=True)
    for index in range(12):
        image = Image.fromarray(render_scene(index, "test", (64, 96))[0])
        image.save(images / ("city" if index % 2 else ".") / f"{index}.png")
    (images / "bad.png").write_bytes(b"no image")

    class Killed(Predictor):
        """Kills its process at the third image, but only in one process."""

        num_seen = 0

        def __call__(self, image):
            with seen.open("a") as file:
                file.write(f"{os.getpid()}\n")
            Killed.num_seen += 1
            if Killed.num_seen == 3 and not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().__call__(image)

    options = {"min_confidence": 0.5, "scales": (0.5, 1.0), "flip": True}
    progress = []
    files, manifest = pseudo_label(
        Killed(teacher, **options), images, tmp_path / "shared", num_workers=2,
        on_progress=lambda done, total: progress.append((done, total)),
    )  # fmt: skip
    assert marker.exists() and progress == [(done, 13) for done in range(1, 14)]
    # The killed process, and at least one that took over its images.
    assert len(set(seen.read_text().split())) >= 2
    assert len(files.written) == 12 and [path.name for path in files.failed] == ["bad.png"]

    # The results equal those of a single process.
    expected = pseudo_label(Predictor(teacher, **options), images, tmp_path / "alone")
    assert (manifest, len(files.written)) == (expected[1], len(expected[0].written))
    names = []
    for folder in ("shared", "alone"):
        lines = (tmp_path / folder / "files.jsonl").read_text().splitlines()
        names.append(sorted(json.loads(line)["name"] for line in lines))
        masks = (tmp_path / folder / "labels").rglob("*")
        found = sorted(p.relative_to(tmp_path / folder / "labels") for p in masks if p.is_file())
        assert [path.with_suffix("").as_posix() for path in found] == names[-1]
    assert names[0] == names[1] and len(set(names[0])) == len(names[0]) == 12
    for path in (tmp_path / "alone" / "labels").rglob("*.png"):
        other = tmp_path / "shared" / path.relative_to(tmp_path / "alone")
        np.testing.assert_array_equal(Image.open(path), Image.open(other))
    # The next run, in a single process, has nothing left to do.
    again, _ = pseudo_label(Predictor(teacher, **options), images, tmp_path / "shared")
    assert len(again.skipped) == 12 and not again.written
