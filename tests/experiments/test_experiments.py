"""The experiments compared with the paper, and their docstrings."""

import ast
import dataclasses
import shlex

import pytest

from eseg_keras.cli import main
from eseg_keras.presets.catalog import ARCHITECTURES
from eseg_keras.training import experiment_names, load_experiment, override
from eseg_keras.training.experiment_files import (
    FIELDS,
    experiments_dir,
    parse_run_notes,
    read_run_notes,
)

# Copied from the paper. Section 4.1: crops, 90k steps or 300 epochs; Tables 4, 5 and 6: scores.
# Columns: name, preset, crop, steps, epochs, table, mean IoU.
PAPER = """
cityscapes/eseg_s           eseg_s      512x1024  90000 -   Table_4 80.1
cityscapes/eseg_m           eseg_m      512x1024  90000 -   Table_4 81.6
cityscapes/eseg_l           eseg_l      512x1024  90000 -   Table_4 82.6
cityscapes/eseg_lite_s      eseg_lite_s 1024x1024 90000 -   Table_6 76.0
cityscapes/eseg_lite_m      eseg_lite_m 1024x1024 90000 -   Table_6 78.6
cityscapes/eseg_lite_l      eseg_lite_l 1024x1024 90000 -   Table_6 80.1
cityscapes/eseg_lite_m_512  eseg_lite_m 512x1024  90000 -   Table_6 74.0
ade20k/eseg_m               eseg_m      520x520   -     300 Table_5 46.0
ade20k/eseg_l               eseg_l      520x520   -     300 Table_5 48.2
"""
ROWS = {row.split()[0]: row.split()[1:] for row in PAPER.strip().splitlines()}
# Values of section 4.1, the same in all of these experiments.
RECIPE = {
    "batch_size": 16,
    "learning_rate": 0.08,
    "momentum": 0.9,
    "weight_decay": 0.00005,
    "loss": "ohem",
    "scale": (0.5, 2.0),
    "augment": True,
    "photometric_distortion": False,
    "freeze": (),
    "global_clipnorm": None,
    "gradient_accumulation_steps": 1,
    "class_weights": None,
    "init_from": None,
}
# From the code of HRNet, to which the paper refers for OHEM.
RECIPE |= {"ohem_threshold": 0.9, "ohem_min_kept_pixels": 131_072}
# Our values: the paper gives none.
OURS = {"ema_decay": 0.9998, "warmup_steps": 1000}
# Section 4.4: pre-training for 500 epochs, longer side 2048, crops of 1024x1024; then 200 epochs on
# Cityscapes from a learning rate of 0.01. Table 7: scores.
PRETRAINED = {"s": 81.1, "m": 82.5, "l": 83.8}
# Table 7: scores of self-training alone, and after pre-training.
SELF_TRAINED = {"s": (81.4, 81.7), "m": (82.6, 83.7), "l": (83.5, 84.8)}
# Tables 1, 2 and 8. Columns: name, encoder, decoder, highest level, output stride, table, mean IoU.
PAPER_CONTROLS = """
p2_p5_bifpn           efficientnet_b1 bifpn         5 32 Table_1 78.3
p2_p7_bifpn           efficientnet_b1 bifpn         7 32 Table_1 79.5
p2_p5_fpn             efficientnet_b1 fpn           5 32 Table_2 78.0
p2_p9_fpn             efficientnet_b1 fpn           9 32 Table_2 79.1
b1_deeplab_os32       efficientnet_b1 deeplabv3plus 5 32 Table_8 78.8
b1_deeplab_os16       efficientnet_b1 deeplabv3plus 5 16 Table_8 79.4
r50_bifpn             resnet50        bifpn         9 32 Table_8 78.9
r50_deeplab_os32      resnet50        deeplabv3plus 5 32 Table_8 77.4
r50_deeplab_os16      resnet50        deeplabv3plus 5 16 Table_8 77.8
"""
CONTROLS = {
    f"controls/{row.split()[0]}": row.split()[1:] for row in PAPER_CONTROLS.strip().splitlines()
}
NETWORK = {
    "encoder", "decoder", "max_level", "decoder_channels", "decoder_repeats", "output_stride",
}  # fmt: skip


def test_every_lite_encoder_has_a_pretraining():
    for size in "sml":
        pretraining = load_experiment(f"imagenet/eseg_lite_{size}")
        preset = load_experiment(f"cityscapes/eseg_lite_{size}").preset
        assert pretraining.encoder == ARCHITECTURES[preset].encoder
        assert (pretraining.channels, pretraining.num_classes) == (1280, 1000)


def test_every_row_of_the_paper_has_a_file():
    names = experiment_names()
    found = [n for n in names if n.startswith(("cityscapes/", "ade20k/"))]
    kinds = ("vistas", "pseudo", "combined")
    extra = [f"cityscapes/eseg_{size}_{kind}" for size in PRETRAINED for kind in kinds]
    assert found == sorted([*ROWS, *extra])
    assert [n for n in names if n.startswith("controls/")] == sorted(CONTROLS)
    assert {"camvid/eseg_lite_s", "camvid/eseg_s"} <= set(names)


@pytest.mark.parametrize("name", ROWS)
def test_values_are_those_of_the_paper(name):
    preset, crop, steps, epochs, table, mean_iou = ROWS[name]
    experiment, notes = load_experiment(name), read_run_notes(name)
    assert experiment.preset == preset
    assert "x".join(map(str, experiment.image_size)) == crop
    assert experiment.steps == (None if steps == "-" else int(steps))
    if epochs != "-":
        assert experiment.epochs == int(epochs)
    values = dataclasses.asdict(experiment)
    assert {key: values[key] for key in RECIPE} == RECIPE
    assert {key: values[key] for key in OURS} == OURS
    data, _, _ = name.partition("/")
    assert experiment.data == data
    assert experiment.num_classes == {"cityscapes": 19, "ade20k": 150}[data]
    assert (experiment.train_split, experiment.val_split) == ("train", "validation")
    # Only the encoders of ESeg-S, M and L have public ImageNet weights.
    assert experiment.load_weights == ("lite" not in preset)
    assert notes.row.startswith(table.replace("_", " "))
    assert notes.reported_mean_iou == pytest.approx(float(mean_iou) / 100)


def differences(name, other):
    """Return the values of an experiment that differ from those of another one."""
    values, theirs = (dataclasses.asdict(load_experiment(n)) for n in (name, other))
    return {key: value for key, value in values.items() if value != theirs[key]}


@pytest.mark.parametrize("name", CONTROLS)
def test_controls_differ_from_eseg_s_in_the_network_alone(name):
    encoder, decoder, max_level, output_stride, table, mean_iou = CONTROLS[name]
    changes, notes = differences(name, "cityscapes/eseg_s"), read_run_notes(name)
    assert set(changes) <= NETWORK
    # Values that do not differ are those of ESeg-S.
    defaults = {"encoder": "efficientnet_b1", "decoder": "bifpn", "max_level": 9}
    found = {**defaults, "output_stride": 32, **changes}
    assert (found["encoder"], found["decoder"]) == (encoder, decoder)
    assert (found["max_level"], found["output_stride"]) == (int(max_level), int(output_stride))
    assert notes.row.startswith(table.replace("_", " "))
    assert notes.reported_mean_iou == pytest.approx(float(mean_iou) / 100)


@pytest.mark.parametrize("size", PRETRAINED)
def test_pretraining_and_what_follows_are_those_of_the_paper(size):
    first, second = f"mapillary_vistas/eseg_{size}", f"cityscapes/eseg_{size}_vistas"
    changes = differences(first, f"cityscapes/eseg_{size}")
    assert (changes.pop("num_classes"), changes.pop("steps")) == (65, None)
    assert len(changes.pop("class_names")) == len(changes.pop("palette")) == 65
    assert changes == {
        "data": "mapillary_vistas",
        "epochs": 500,
        "long_side": 2048,
        "image_size": (1024, 1024),
        "eval_size": (2048, 2048),
    }
    assert differences(second, f"cityscapes/eseg_{size}") == {
        "init_from": f"runs/{first}",
        "epochs": 200,
        "steps": None,
        "learning_rate": 0.01,
    }
    # The second experiment starts from the folder that the first command writes.
    assert f"--model_dir runs/{first}" in read_run_notes(first).command
    notes = read_run_notes(second)
    assert notes.row.startswith(f"Table 7, ESeg-{size.upper()} with pre-training")
    assert notes.reported_mean_iou == pytest.approx(PRETRAINED[size] / 100)


@pytest.mark.parametrize("size", SELF_TRAINED)
def test_self_training_is_that_of_the_paper(size):
    expected = {
        "pseudo_images": "leftImg8bit/train_extra",
        "pseudo_masks": "pseudo/labels",
        "batch_size": 128,
        "steps": None,
        "epochs": 1000,
        "learning_rate": 0.16,
    }
    base, alone, combined = (
        f"cityscapes/eseg_{size}{kind}" for kind in ("", "_pseudo", "_combined")
    )
    assert differences(alone, base) == expected
    pretrained = {"init_from": f"runs/mapillary_vistas/eseg_{size}"}
    assert differences(combined, base) == {**expected, **pretrained}
    for name, mean_iou in zip((alone, combined), SELF_TRAINED[size], strict=True):
        notes = read_run_notes(name)
        assert notes.row.startswith(f"Table 7, ESeg-{size.upper()}, ")
        assert notes.reported_mean_iou == pytest.approx(mean_iou / 100)


@pytest.mark.parametrize("name", ROWS)
def test_images_are_scored_at_the_size_of_the_paper(name):
    experiment = load_experiment(name)
    sizes = (experiment.long_side, experiment.eval_size)
    if name.startswith("ade20k/"):
        assert sizes == (520, (520, 520))
    elif name.endswith("_512"):
        assert sizes == (1024, None)  # Images of 1024x2048 are scaled to 512x1024.
    else:
        assert sizes == (None, None)


def test_pixel_accuracy_of_ade20k_is_that_of_the_paper():
    for name, accuracy in (("eseg_m", 0.813), ("eseg_l", 0.818)):
        assert f"pixel accuracy {accuracy} " in read_run_notes(f"ade20k/{name}").reported


@pytest.mark.parametrize("name", experiment_names())
def test_the_command_runs_the_experiment_it_stands_in(name):
    args = main._parse(shlex.split(read_run_notes(name).command))
    assert (args.command, args.experiment) == ("train", name)
    experiment = load_experiment(name)
    override(experiment, args.set)
    assert (args.data_dir is None) == (experiment.data == "street_scenes")


@pytest.mark.parametrize("name", experiment_names())
def test_a_score_comes_with_its_time(name):
    notes = read_run_notes(name)
    assert (notes.mean_iou is None) == (notes.time == "not run")
    assert all(getattr(notes, field.lower()) for field in FIELDS)


@pytest.mark.parametrize("name", experiment_names())
def test_every_choice_of_the_recipe_is_in_the_file(name):
    """Values that a file omits would change with the defaults."""
    tree = ast.parse((experiments_dir() / f"{name}.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    if ast.unparse(calls[0].func) == "derive_experiment":
        # The other values are in the file of the experiment that it derives from.
        assert ast.literal_eval(calls[0].args[0]) in {*ROWS, "camvid/eseg_edge_s"}
        return
    (call,) = calls
    given = {keyword.arg for keyword in call.keywords}
    needed = {"data", "image_size", "batch_size", "learning_rate", "warmup_steps"}
    if name.startswith("imagenet/"):
        needed |= {"encoder", "channels", "dropout", "label_smoothing", "momentum", "weight_decay"}
        needed |= {"ema_decay", "keep", "seed"}
    else:
        needed |= {"preset", "load_weights", "scale"}
    if name in ROWS or name.startswith(("camvid/", "mapillary_vistas/")):
        needed |= {"loss", "ohem_threshold", "momentum", "weight_decay"}
        assert len(given & {"ohem_min_kept", "ohem_min_kept_pixels"}) == 1
        needed |= {"augment", "photometric_distortion", "ema_decay", "val_every", "keep", "seed"}
    assert needed <= given
    assert given & {"steps", "epochs"}


NOTES = """Title.

Note: this is no field.

Row:      Table 4, ESeg-S
Command:  eseg train --experiment a/b
              --model_dir runs
Hardware: any
Time:     not run
Reported: mean IoU 0.801 on the 500 photos
Score:    not run: needs the data"""


def test_fields_are_taken_apart():
    notes = parse_run_notes(NOTES, "b.py")
    assert notes.command == "eseg train --experiment a/b --model_dir runs"
    assert (notes.row, notes.hardware, notes.time) == ("Table 4, ESeg-S", "any", "not run")
    assert (notes.reported_mean_iou, notes.mean_iou) == (0.801, None)
    assert notes.score == "not run: needs the data"


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("Hardware: any\n", "", "b.py must end with .* Received: Row, Command, Time"),
        ("Hardware: any\n", "Hardware: any\nHardware: any\n", "must end with"),
        ("Hardware:", "Machine:", "Received: Row, Command, Machine"),
        ("Hardware: any", "Hardware:", "must end with"),
        ("Hardware: any", "Hardware: any\nand more", "must end with"),
        ("Time:     not run\n", "Time:     not run\n\n", "Received: Reported, Score"),
        (NOTES, "Title.", "Received: none of them"),
        (NOTES, "", "Received: none of them"),
        ("Table 4, ESeg-S", "Table four", "Row in the docstring of b.py must have one of"),
        ("0.801", "80.1", "Reported in the docstring"),
        ("0.801", "0.8011", "Reported in the docstring"),
        ("not run: needs the data", "not run", "Score in the docstring"),
        ("not run: needs the data", "good", "Score .* Received: good"),
    ],
)
def test_other_docstrings_are_refused(old, new, message):
    assert old in NOTES
    with pytest.raises(ValueError, match=message):
        parse_run_notes(NOTES.replace(old, new), "b.py")
