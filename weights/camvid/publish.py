"""Write a preset of this package from a finished run, with scores in its model card.

    python weights/camvid/publish.py RUN NAME --data_dir CAMVID

RUN is the model directory of `eseg train --experiment camvid/...`; NAME is the name of the preset,
such as eseg_edge_s_camvid. CAMVID contains images/{train,val} and annotations/{train,val}. The
script exports the network to the formats in `FORMATS`, and scores the Keras network and each file
on the validation images, as `eseg evaluate` does. It writes the scores to scores.csv, and as a
table to the model card, README.md, below the text that is written by hand. Presets whose names end
in _trainval were also trained on the validation images; the card of such a preset mentions this."""

import argparse
import json
import shutil
import tempfile
from pathlib import Path

from eseg_keras import ESeg
from eseg_keras.data import open_folders
from eseg_keras.evaluation import evaluate
from eseg_keras.export import ExportedPredictor, export_onnx, export_saved_model, export_tflite
from eseg_keras.export.preparation import read_calibration_images
from eseg_keras.files import write_csv, write_json, write_text
from eseg_keras.inference import Predictor

PACKAGE = Path(__file__).parent / "eseg_keras_camvid"
NOTICE = "trained on CamVid, whose licence is CC BY-NC 4.0: not for commercial use."
SIZE = (360, 480)  # All images have this size.
TABLE = "## Validation scores by format\n"
FORMATS = {
    "SavedModel": (export_saved_model, "saved", {}),
    "TFLite float32": (export_tflite, "float32.tflite", {}),
    "TFLite int8": (export_tflite, "int8.tflite", {"precision": "int8", "image_size": SIZE}),
    "ONNX float32": (export_onnx, "float32.onnx", {}),
    "ONNX int8": (export_onnx, "int8.onnx", {"precision": "int8"}),
}


def write_preset(run: Path, name: str) -> None:
    """Write the preset of a run in half precision, with licence notice and training log."""
    target = PACKAGE / name
    model = ESeg.from_preset(run / "preset")
    if model.training_long_side is None:
        raise ValueError(f"{run / 'preset'} does not record the size of its training images.")
    card = (target / "README.md").read_text("utf-8") if target.is_dir() else f"# {name}\n\n"
    with tempfile.TemporaryDirectory() as folder:
        model.save_to_preset(Path(folder) / name, weights_dtype="float16")
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(Path(folder) / name, target)
    metadata = target / "metadata.json"
    write_json(metadata, {**json.loads(metadata.read_text("utf-8")), "notice": NOTICE})
    shutil.copyfile(run / "log.csv", target / "log.csv")
    write_text(target / "README.md", card)


def score(name: str, data_dir: Path) -> list[tuple]:
    """Return rows (format, mean IoU, pixel accuracy, IoU per class) on the validation images."""
    model = ESeg.from_preset(PACKAGE / name)
    examples = open_folders(
        data_dir / "images" / "val",
        data_dir / "annotations" / "val",
        num_classes=model.num_classes,
        class_map={11: 255},
    )
    images = read_calibration_images(data_dir / "images" / "train")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("Keras", *FORMATS):
            if kind == "Keras":
                predictor = Predictor(model)
            else:
                export, file, options = FORMATS[kind]
                if "precision" in options:
                    options = {**options, "calibration_images": images}
                path = Path(folder, file)
                export(model, path, verification_images=images[:3], **options)
                predictor = ExportedPredictor(path)
            scores = evaluate(predictor, examples)
            shares = [scores.mean_iou, scores.pixel_accuracy, *scores.per_class_iou.values()]
            rows.append((kind, *(f"{100 * share:.2f}" for share in shares)))
            print(*rows[-1][:3], flush=True)
    return rows


def write_scores(name: str, rows: list[tuple]) -> None:
    """Write scores.csv and the table at the end of the card."""
    target = PACKAGE / name
    model_classes = json.loads((target / "preprocessor.json").read_text("utf-8"))["class_names"]
    names = ["format", "mean IoU", "pixel accuracy", *model_classes]
    write_csv(target / "scores.csv", names, rows)
    lines = [f"| {' | '.join(cells)} |" for cells in (names, ["---"] * len(names), *rows)]
    head = (target / "README.md").read_text("utf-8").partition(TABLE)[0]
    text = (
        "In percent, on the 101 validation images at 360x480, one scale. Each file is scored as by "
        "`eseg evaluate\n--exported FILE`; `weights/camvid/publish.py` writes this table.\n"
    )
    if name.endswith("_trainval"):
        text += "\nThese were training images, so the table only shows that the formats agree.\n"
    write_text(target / "README.md", "\n".join([head + TABLE, text, *lines, ""]))


def main():
    """Write a preset and its scores."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path, help="folder of the finished run")
    parser.add_argument("name", help="name of the preset")
    parser.add_argument("--data_dir", type=Path, required=True, help="folder of CamVid")
    args = parser.parse_args()
    write_preset(args.run, args.name)
    write_scores(args.name, score(args.name, args.data_dir))


if __name__ == "__main__":
    main()
