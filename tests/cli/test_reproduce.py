"""The tables of the paper: published numbers, our counts against golden values, our scores."""

import dataclasses
import json
from pathlib import Path

import keras
import pytest

from eseg_keras import ESeg
from eseg_keras.encoders import build_encoder
from eseg_keras.models import profile
from eseg_keras.training import load_experiment
from eseg_keras.training.experiment_files import experiment_names, read_run_notes
from eseg_keras.training.paper import PAPER_TABLES, network_costs
from eseg_keras.training.run_files import write_config

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "architecture.json").read_text())
CONTROLS = {
    ("efficientnet_b1", "bifpn", 5): "controls/p2_p5_bifpn",
    ("efficientnet_b1", "bifpn", 7): "controls/p2_p7_bifpn",
    ("efficientnet_b1", "fpn", 5): "controls/p2_p5_fpn",
    ("efficientnet_b1", "fpn", 9): "controls/p2_p9_fpn",
    ("efficientnet_b1", "deeplabv3plus", 32): "controls/b1_deeplab_os32",
    ("efficientnet_b1", "deeplabv3plus", 16): "controls/b1_deeplab_os16",
    ("resnet50_v1.5", "bifpn", 9): "controls/r50_bifpn",
    ("resnet50_v1.5", "deeplabv3plus", 32): "controls/r50_deeplab_os32",
    ("resnet50_v1.5", "deeplabv3plus", 16): "controls/r50_deeplab_os16",
}
ROWS = {
    CONTROLS[row["encoder"], row["decoder"], row.get("output_stride") or row["levels"][1]]: row
    for row in GOLDEN["ablations"]
}


def test_every_control_of_the_golden_counts_has_an_experiment():
    assert sorted(ROWS) == [name for name in experiment_names() if name.startswith("controls/")]


@pytest.mark.parametrize("name", ROWS)
def test_counts_equal_the_golden_ones(name):
    golden = ROWS[name]
    costs = network_costs(load_experiment(name), (1024, 2048))
    if golden["exact"]:
        assert costs.params == golden["trainable_params"]
        assert costs.macs == golden["conv_macs"]
        assert costs.batched_macs == golden.get("macs_as_published_count", golden["conv_macs"])
    else:
        # ResNet-50 of keras.applications is v1, with biases and fewer multiply-adds.
        assert 0 < costs.params - golden["trainable_params"] < 0.002 * golden["trainable_params"]
        assert 0.93 < costs.macs / golden["conv_macs"] < 0.99


@pytest.mark.parametrize("name", [name for name in ROWS if not ROWS[name]["exact"]])
def test_resnet50_in_the_form_of_the_paper_has_the_golden_counts(name):
    """The published FLOPs of ResNet-50 are those of v1.5, except for the row with atrous.

    In v1.5, the 3x3 convolution of the first block of a stage has the stride 2, not the 1x1
    convolution before it; convolutions have no biases. The FLOPs of the row with atrous fit neither
    v1 nor v1.5.
    """
    golden, experiment = ROWS[name], load_experiment(name)

    strides = {}
    for stage in (3, 4, 5):
        strides[f"conv{stage}_block1_1_conv"] = 1
        if stage < 5 or experiment.output_stride != 16:
            strides[f"conv{stage}_block1_2_conv"] = 2

    def clone_layer(layer):
        config = layer.get_config()
        if isinstance(layer, keras.layers.Conv2D):
            config["use_bias"] = False
        if layer.name in strides:
            config["strides"] = strides[layer.name]
        return type(layer).from_config(config)

    options = {"image_shape": (1024, 2048, 3), "output_stride": experiment.output_stride or 32}
    given = {**experiment.network_arguments(), "image_shape": (1024, 2048, 3)}
    for name in ("encoder", "output_stride"):
        given.pop(name, None)
    # Variables are not initialized: counting does not need their values.
    with keras.StatelessScope(initialize_variables=False):
        encoder = keras.models.clone_model(
            build_encoder("resnet50", **options), clone_function=clone_layer
        )
        model = ESeg(encoder, 19, **given)
    costs = profile(model, (1024, 2048))
    assert costs.trainable_params == golden["trainable_params"]
    assert costs.macs == golden["conv_macs"]
    assert costs.batched_macs == golden.get("macs_as_published_count", golden["conv_macs"])


@pytest.mark.parametrize("number", PAPER_TABLES)
def test_rows_are_those_of_their_experiments(number):
    for row in PAPER_TABLES[number].rows:
        if row["experiment"] and "miou" in row:
            reported = read_run_notes(row["experiment"]).reported_mean_iou
            assert float(row["miou"]) == pytest.approx(100 * reported), row["model"]


def test_every_experiment_of_a_row_is_in_its_table():
    found = {row["experiment"] for table in PAPER_TABLES.values() for row in table.rows}
    for name in experiment_names():
        if read_run_notes(name).row.startswith("Table"):
            assert name in found


def test_sizes_of_table_3():
    for row in PAPER_TABLES[3].rows:
        size = GOLDEN["models"][load_experiment(row["experiment"]).preset]
        assert (float(row["encoder_width"]), float(row["encoder_depth"])) == (
            size["encoder_width"],
            size["encoder_depth"],
        )
        assert int(row["channels"]) == size["decoder_channels"]
        assert int(row["repeats"]) == size["decoder_repeats"]


def cells(line):
    return [cell.strip() for cell in line.split("│")[1:-1]]


@pytest.mark.parametrize(
    "number, models",
    [
        (1, 3),
        (2, 4),
        (6, 16),
        (8, 6),
        # ESeg-M and ESeg-L take longer to build.
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in ((3, 6), (4, 21), (5, 16), (7, 12))
        ),
    ],
)
def test_tables_are_printed(eseg, monkeypatch, tmp_path, number, models):
    monkeypatch.chdir(tmp_path)
    status, out, _ = eseg("reproduce", "--table", number)
    assert status == 0
    rows = {cells(line)[0]: cells(line) for line in out.splitlines() if line.startswith("│")}
    table = PAPER_TABLES[number]
    assert sum(line.startswith("│") for line in out.splitlines()) == models == len(table.rows)
    for row in table.rows:
        if row.get("miou"):
            assert row["miou"] in rows[row["model"]] or number == 6
        if row["experiment"]:
            assert rows[row["model"]][-1] == "not run"
            assert read_run_notes(row["experiment"]).command in out
    if number == 1:
        assert rows["P2-P5"][1:] == ["78.3", "6.4", "34.3", "6,408,111", "33.681", "not run"]
    if number == 8:
        name = "EfficientNet-B1, DeepLabV3+ with atrous"
        assert rows[name][1:] == ["79.4", "91.8", "8,963,011", "88.405", "91.360", "not run"]


def write_metrics(model_dir, mean_iou):
    metrics = {"mean_iou": mean_iou, "num_images": 500, "per_class_iou": {"road": mean_iou}}
    (model_dir / "metrics.json").write_text(json.dumps(metrics))


def test_the_score_of_a_run(eseg, tmp_path):
    experiment = load_experiment("cityscapes/eseg_s")
    model_dir = tmp_path / "runs" / "cityscapes" / "eseg_s"
    write_config(model_dir, experiment, tmp_path)
    write_metrics(model_dir, 0.7912)
    status, out, _ = eseg("reproduce", "--table", 1, "--runs_dir", tmp_path / "runs")
    (line,) = [line for line in out.splitlines() if line.startswith("│ P2-P9")]
    assert status == 0 and cells(line)[-1] == "79.1"
    assert f"cityscapes/eseg_s: 79.1, {model_dir}\n" in out
    assert "--experiment controls/p2_p5_bifpn" in out and "--experiment cityscapes/" not in out


def test_a_run_with_other_settings_says_so(eseg, tmp_path):
    experiment = dataclasses.replace(load_experiment("cityscapes/eseg_s"), steps=9, batch_size=2)
    model_dir = tmp_path / "cityscapes" / "eseg_s"
    write_config(model_dir, experiment, tmp_path)
    write_metrics(model_dir, 0.05)
    _, out, _ = eseg("reproduce", "--table", 1, "--runs_dir", tmp_path)
    assert f"5.0, {model_dir}, with other settings: batch_size=2, steps=9\n" in out


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--table", "9"], "invalid choice: 9"),
        (["--table", "1", "--runs_dir", "nowhere"], "There is no folder nowhere"),
        ([], "the following arguments are required: --table"),
    ],
)
def test_wrong_flags(eseg, flags, message):
    status, out, err = eseg("reproduce", *flags)
    assert (status, out) == (2, "") and message in err and err.count("\n") == 1


def test_a_damaged_result_is_named(eseg, tmp_path):
    model_dir = tmp_path / "cityscapes" / "eseg_s"
    write_config(model_dir, load_experiment("cityscapes/eseg_s"), tmp_path)
    (model_dir / "metrics.json").write_text("{")
    status, out, err = eseg("reproduce", "--table", 1, "--runs_dir", tmp_path)
    assert (status, out) == (2, "") and "metrics.json" in err and err.count("\n") == 1
