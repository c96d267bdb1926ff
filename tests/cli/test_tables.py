import json
from pathlib import Path

from eseg_keras import ESeg
from eseg_keras.cli.tables import print_scores, print_worst_images
from eseg_keras.evaluation import ImageScores

GOLDEN = Path(__file__).parents[1] / "golden" / "architecture.json"


def test_presets_lists_them_all(eseg):
    status, out, _ = eseg("presets")
    assert status == 0
    assert all(f" {name} " in out for name in ESeg.presets)
    assert "…" not in out


def test_summary_adds_up_to_the_golden_figures(eseg):
    status, out, _ = eseg("summary", "eseg_lite_s")
    golden = json.loads(GOLDEN.read_text())["models"]["eseg_lite_s"]
    assert status == 0
    assert f"{golden['conv_macs'] / 1e6:,.1f}" in out
    assert f"{golden['trainable_params']:,} of {golden['total_params']:,} parameters" in out
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in out.splitlines()
        if line.startswith("│")
    ]
    *stages, total = rows
    numbers = [[float(cell.replace(",", "")) for cell in row[1:5]] for row in stages]
    sums = [sum(column) for column in zip(*numbers, strict=True)]
    for shown, added in zip(total[1:5], sums, strict=True):
        assert abs(float(shown.replace(",", "")) - added) < 1


def test_summary_refuses_a_size(eseg):
    status, _, err = eseg("summary", "eseg_lite_s", "--image_size", 16, 64)
    assert (status, err.count("\n")) == (2, 1)
    assert "--image_size: must be at least 32. Received: 16" in err


def test_summary_of_a_directory(eseg, preset):
    status, out, _ = eseg("summary", preset, "--image_size", 64, 96)
    assert status == 0 and "64x96" in out


def cells(text):
    """Return the cells of a printed table, row by row, without the title and the header."""
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines()]
    return [row for row in rows if row]


def test_scores_of_an_earlier_version(capsys):
    scores = {"mean_iou": 0.5, "pixel_accuracy": 0.25, "per_class_iou": {"a": 0.5, "b": None}}
    print_scores(scores | {"num_images": 1}, title="Validation")
    text = capsys.readouterr().out
    assert text.splitlines()[0].strip() == "Validation, 1 image"
    assert cells(text) == [
        ["a", "50.0", ""], ["b", "absent", ""],
        ["mean IoU", "50.0", ""], ["pixel accuracy", "", "25.0"],
    ]  # fmt: skip


def test_the_worst_images_come_first(capsys):
    images = [ImageScores(f"{i}.png", i / 10, i / 20, 9) for i in (3, 1, 6, 2, 5, 4)]
    images.append(ImageScores("unlabelled.png", None, None, 0))
    print_worst_images(images)
    shown = cells(capsys.readouterr().out)
    assert shown == [[f"{i}.png", f"{10 * i}.0", f"{5 * i}.0"] for i in (1, 2, 3, 4, 5)]
    print_worst_images(images[-1:])
    assert capsys.readouterr().out == ""
