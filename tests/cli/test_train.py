import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eseg_keras.files import write_json
from eseg_keras.training import Experiment, load_experiment
from eseg_keras.training.checkpoints import read_arrays
from eseg_keras.training.run_files import write_config

SCENES = ["train", "--experiment", "smoke/street_scenes"]
FOLDERS = ["train", "--experiment", "folders/eseg_lite_s"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["train", "--experiment", "smoke/scenes"], "Nearest names: smoke/street_scenes"),
        (["train"], "contains no run of `eseg train`"),
        (["train", "--experiment", "missing.py"], "no experiment file 'missing.py'"),
        ([*SCENES, "--set", "epoch=2"], "no 'epoch'. Nearest keys: epochs"),
        (
            [*SCENES, "--set", "epochs=two"],
            "epochs must be an integer or auto.",
        ),
        ([*SCENES, "--set", "preset=eseg_lite_z"], "Unknown preset 'eseg_lite_z'"),
        ([*SCENES, "--set", "freeze=tail"], "tail"),
        (FOLDERS, "pass data_dir"),
        ([*FOLDERS, "--data_dir", "nowhere"], "nowhere"),
    ],
)
def test_mistakes_get_one_sentence_and_leave_nothing(eseg, tmp_path, arguments, message):
    status, _, err = eseg(*arguments, "--model_dir", tmp_path / "run")
    assert status == 2
    assert message in err and "Traceback" not in err
    assert not (tmp_path / "run").exists()


def test_faulty_images_are_all_named_before_anything_is_written(eseg, tmp_path):
    for split in ("train", "val"):
        for kind in ("images", "annotations"):
            (tmp_path / kind / split).mkdir(parents=True)
    for name in ("a", "b"):
        Image.new("RGB", (64, 64)).save(tmp_path / "images" / "train" / f"{name}.png")
        Image.new("L", (64, 64), 7).save(tmp_path / "annotations" / "train" / f"{name}.png")
    status, _, err = eseg(*FOLDERS, "--data_dir", tmp_path, "--model_dir", tmp_path / "run")
    assert status == 2
    assert "a.png" in err and "b.png" in err and "label 7" in err
    assert not (tmp_path / "run").exists()


def test_a_finished_run_says_how_to_repeat_it(eseg, tmp_path):
    scores = {"mean_iou": 0.5, "pixel_accuracy": 0.5, "per_class_iou": {"a": 0.5}, "num_images": 1}
    run = tmp_path / "run"
    write_config(run, load_experiment("smoke/street_scenes"), None)
    write_json(run / "metrics.json", scores)
    status, out, _ = eseg(*SCENES, "--model_dir", run)
    assert status == 0
    said = " ".join(out.split())
    assert (
        f"{run} already contains this finished run" in said
        and f"To train again: rm -r {run}" in said
    )
    assert f"To train further: --init_from {run} with another --model_dir" in said
    # --model_dir is enough: the folder contains the experiment.
    assert eseg("train", "--model_dir", run)[:2] == (0, out)


def test_another_experiment_in_the_directory_is_refused(eseg, tmp_path):
    write_config(tmp_path, Experiment(data="street_scenes", epochs=999), None)
    status, out, err = eseg(*SCENES, "--model_dir", tmp_path)
    assert (status, out) == (2, "")
    assert "epochs (in that run 999, now" in err


def test_a_loss_that_is_not_finite_names_the_step_the_images_and_the_checkpoint(
    eseg, tmp_path, eagerly
):
    values = ["max_level=5", "decoder_channels=8", "image_size=64,96", "batch_size=2", "epochs=3"]
    values += ["train_examples=6", "val_examples=2", "checkpoint_steps=1", "warmup_steps=2"]
    values += ["ema_decay=0.99", "loss=ohem", "photometric_distortion=true", "keep=best"]
    values += ["weight_decay=5e-5", "learning_rate=1e30", "global_clipnorm=none"]
    flags = [flag for value in values for flag in ("--set", value)]
    status, out, err = eseg(*SCENES, *flags, "--model_dir", tmp_path / "run")
    assert status == 2 and "Traceback" not in err
    assert "The loss is nan at step" in err or "The loss is inf at step" in err
    assert re.search(r"Its images: street scene \d, street scene \d", err)
    # No checkpoint with the non-finite weights was kept.
    path = re.search(r"The last good checkpoint is (\S+\.npz)", err)[1]
    assert all(np.isfinite(a).all() for n, a in read_arrays(Path(path)).items() if n != "position")
