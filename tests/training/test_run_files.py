import dataclasses
import json

import keras
import pytest

from eseg_keras.training import ClassificationExperiment, Experiment
from eseg_keras.training.run_files import (
    check_same_images,
    check_same_run,
    found_values,
    read_config,
    read_log,
    write_config,
    write_log,
)

EXPERIMENT = Experiment(
    class_names=("road", "car"),
    palette=((0, 0, 0), (1, 2, 3)),
    class_map={11: 255},
    mask_colors={(0, 0, 128): 1, (9, 9, 9): 255},
    class_weights=(0.5, 2.0),
    learning_rate=0.1 + 0.2,
)


def test_config_comes_back_equal(tmp_path):
    write_config(tmp_path / "run", EXPERIMENT, tmp_path)
    assert read_config(tmp_path / "run") == (EXPERIMENT, str(tmp_path))
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.json"]


def test_config_without_a_data_directory(tmp_path):
    write_config(tmp_path, Experiment(data="street_scenes"), None)
    assert read_config(tmp_path) == (Experiment(data="street_scenes"), None)


def test_no_run(tmp_path):
    with pytest.raises(ValueError, match="contains no run"):
        read_config(tmp_path)


def test_another_experiment_is_refused_by_name(tmp_path):
    check_same_run(tmp_path, EXPERIMENT, None)
    write_config(tmp_path, EXPERIMENT, None)
    check_same_run(tmp_path, EXPERIMENT, None)
    other = Experiment(class_names=("road", "car"), epochs=EXPERIMENT.epochs + 1)
    with pytest.raises(ValueError, match=r"epochs \(in that run 10, now 11\).*class_map"):
        check_same_run(tmp_path, other, None)


def test_other_data_is_refused_and_both_are_named(tmp_path):
    write_config(tmp_path / "run", EXPERIMENT, tmp_path / "a")
    check_same_run(tmp_path / "run", EXPERIMENT, tmp_path / "b" / ".." / "a")
    with pytest.raises(ValueError, match=r"data_dir \(in that run \S+/a, now \S+/b\)"):
        check_same_run(tmp_path / "run", EXPERIMENT, tmp_path / "b")


def test_other_training_images_are_refused(tmp_path):
    check_same_images(tmp_path, {"epochs": 3}, 9)
    write_config(tmp_path, EXPERIMENT, None, {"epochs": 3, "class_map": {"255": 1}}, 9)
    # The user may now have set a value that was automatic before.
    check_same_images(tmp_path, {"class_map": {"255": 1}}, 9)
    with pytest.raises(ValueError, match="images have changed.*: it had 9, now there are 8. Rest"):
        check_same_images(tmp_path, {}, 8)
    with pytest.raises(
        ValueError, match=r"images have changed.*epochs \(in that run 3, now 4\)\. Res"
    ):
        check_same_images(tmp_path, {"epochs": 4, "class_map": {"255": 1}}, 9)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["num_examples"]  # A run of an earlier version.
    (tmp_path / "config.json").write_text(json.dumps(config))
    check_same_images(tmp_path, {}, 8)


def test_the_task_comes_back(tmp_path):
    experiment = ClassificationExperiment(epochs=3)
    write_config(tmp_path, experiment, tmp_path)
    assert read_config(tmp_path) == (experiment, str(tmp_path))
    with pytest.raises(ValueError, match=r"task \(in that run classification, now segmentation\)"):
        check_same_run(tmp_path, EXPERIMENT, tmp_path)


def test_a_value_that_an_older_version_did_not_know_counts_as_changed(tmp_path):
    write_config(tmp_path, EXPERIMENT, None)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["experiment"]["warmup_steps"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="warmup_steps"):
        check_same_run(tmp_path, EXPERIMENT, None)


def test_config_holds_where_it_ran_and_keeps_it(tmp_path):
    write_config(tmp_path, EXPERIMENT, None)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    assert config["provenance"]["packages"]["keras"] == keras.__version__
    assert config["provenance"]["backend"] == keras.backend.backend()
    config["provenance"]["python"] = "of the start"
    path.write_text(json.dumps(config))
    write_config(tmp_path, EXPERIMENT, None)
    assert json.loads(path.read_text())["provenance"]["python"] == "of the start"


@pytest.mark.parametrize("torn", ["", "2,0.7", "12"])
def test_log_is_read_up_to_an_incomplete_row(tmp_path, torn):
    path = tmp_path / "log.csv"
    assert read_log(path) == []
    path.write_text("epoch,val_mean_iou\n0,0.5\n1,0.625\n" + torn)
    rows = read_log(path)[:2]
    assert rows == [{"epoch": "0", "val_mean_iou": "0.5"}, {"epoch": "1", "val_mean_iou": "0.625"}]
    write_log(path, rows)
    assert path.read_text().split() == ["epoch,val_mean_iou", "0,0.5", "1,0.625"]


def test_epochs_without_a_validation_leave_its_columns_empty(tmp_path):
    path = tmp_path / "log.csv"
    rows = [{"epoch": 0, "loss": 2.5}, {"epoch": 1, "loss": 0.1, "val_mean_iou": 0.25}]
    write_log(path, rows)
    assert path.read_text().split() == ["epoch,loss,val_mean_iou", "0,2.5,", "1,0.1,0.25"]
    assert [row["val_mean_iou"] for row in read_log(path)] == ["", "0.25"]


def test_values_found_in_the_data_hold_for_the_run_and_its_resumption(tmp_path):
    experiment = Experiment(num_classes=2)
    found = dataclasses.replace(experiment, class_map={255: 1})
    write_config(tmp_path, experiment, None, found_values(experiment, found))
    assert read_config(tmp_path) == (found, None)
    for same in (experiment, found):
        check_same_run(tmp_path, same, None)
    with pytest.raises(ValueError, match="class_map"):
        check_same_run(tmp_path, dataclasses.replace(experiment, class_map={255: 255}), None)
