import csv

import pytest

from eseg_keras.training.run_files import write_log
from eseg_keras.visualization import plot_learning_curves
from eseg_keras.visualization.figures import png

ROWS = [
    {"epoch": 0, "loss": 2.5, "mean_iou": 0.1, "pixel_accuracy": 0.5, "learning_rate": 0.1},
    {"epoch": 1, "loss": 1.5, "mean_iou": 0.2, "pixel_accuracy": 0.6, "learning_rate": 0.1,
     "val_loss": 1.75, "val_mean_iou": 0.3, "val_pixel_accuracy": 0.7},
    {"epoch": 2, "loss": 1.25, "mean_iou": 0.4, "pixel_accuracy": 0.8, "learning_rate": 0.1},
]  # fmt: skip


def points(figure):
    """Return {title of the axes: {label: [(x, y), ...]}}."""
    return {
        axes.get_title(loc="left"): {
            line.get_label(): list(zip(*line.get_data(), strict=True)) for line in axes.lines
        }
        for axes in figure.axes
    }


EXPECTED = {
    "loss": {"training": [(1, 2.5), (2, 1.5), (3, 1.25)], "validation": [(2, 1.75)]},
    "score": {
        "mean IoU, training": [(1, 0.1), (2, 0.2), (3, 0.4)],
        "mean IoU, validation": [(2, 0.3)],
        "pixel accuracy, training": [(1, 0.5), (2, 0.6), (3, 0.8)],
        "pixel accuracy, validation": [(2, 0.7)],
    },
}


def test_rows_and_the_log_of_a_run_give_the_same_curves(tmp_path):
    write_log(tmp_path / "log.csv", ROWS)
    assert points(plot_learning_curves(ROWS)) == EXPECTED
    assert points(plot_learning_curves(tmp_path / "log.csv")) == EXPECTED
    assert points(plot_learning_curves(str(tmp_path / "log.csv"))) == EXPECTED
    with open(tmp_path / "log.csv", newline="") as file:
        assert points(plot_learning_curves(csv.DictReader(file))) == EXPECTED


def test_training_is_dashed_and_scores_share_a_colour():
    figure = plot_learning_curves(ROWS, title="Run 1, $5")
    assert figure.get_suptitle() == "Run 1, $5"
    loss, score = figure.axes
    styles = {line.get_label(): line.get_linestyle() for line in [*loss.lines, *score.lines]}
    assert {style for name, style in styles.items() if "training" in name} == {"--"}
    assert {style for name, style in styles.items() if "validation" in name} == {"-"}
    colors = [line.get_color() for line in score.lines]
    assert colors[0] == colors[1] != colors[2] == colors[3]
    assert score.get_ylim() == (0, 1)
    assert png(figure)


def test_a_classifier_and_a_loss_that_is_no_number():
    rows = [{"epoch": 0, "loss": "nan", "accuracy": "0.5"}, {"epoch": 1, "loss": 1, "accuracy": 1}]
    found = points(plot_learning_curves(rows))
    assert found == {
        "loss": {"training": [(2, 1)]},
        "score": {"accuracy, training": [(1, 0.5), (2, 1)]},
    }


def test_logs_that_cannot_be_shown(tmp_path):
    with pytest.raises(ValueError, match="no epoch"):
        plot_learning_curves([])
    (tmp_path / "log.csv").write_text("epoch,loss\n0,1.5\n1,lots\n")
    with pytest.raises(ValueError, match=r"log.csv .*loss='lots' in row 2"):
        plot_learning_curves(tmp_path / "log.csv")
    with pytest.raises(FileNotFoundError):
        plot_learning_curves(tmp_path / "none.csv")
