# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Train on your own images
#
# This notebook trains a network and writes a report, given images with masks, or with the files of
# an annotation tool. `eseg finetune` chooses image size, batch size, epochs and learning rate such
# that it ends within the given minutes.

# %%
# Install the package from the checkout that contains this notebook, or from a ZIP file of the
# repository: on Colab, upload it first, as eseg_keras.zip.
import importlib.util
import subprocess
import sys
from pathlib import Path

if importlib.util.find_spec("eseg_keras") is None:
    source = "eseg_keras.zip" if Path("eseg_keras.zip").exists() else ".."
    package = f"{source}[tensorflow,visualization,convert,imagenet]"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", package], check=True)

# %% tags=["parameters"]
SOURCE = "example"  # A folder of yours; "example" writes a small one.
FORMAT = "labelme"  # labelme, coco, voc, cvat, roboflow or cityscapes-polygons.
MINUTES = 5
NUM_EXAMPLES = 40  # Number of images in the example.
IMAGE_SIZE = (160, 256)
PRESET = "eseg_edge_s"

# %% [markdown]
# ## The example
#
# The example shows washers and plates on a bench. Its labels are written in three forms: as masks,
# in LabelMe's format (one JSON file per image), and in COCO's format (one JSON file for all images,
# with run-length encodings for the holes). If `SOURCE` is a folder of yours, the next cell writes
# nothing.

# %%
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

WORK = Path("parts")
CLASSES = ("background", "plate", "washer")


def draw_example(index):
    """Return image, mask and shapes, as (label, type, points), of one example."""
    random = np.random.default_rng(index)
    height, width = IMAGE_SIZE
    noise = Image.fromarray(random.integers(90, 150, (height, width, 3), "uint8"))
    image, mask = noise.filter(ImageFilter.GaussianBlur(2)), Image.new("L", (width, height))
    shapes = []
    for _ in range(random.integers(2, 6)):
        x, y = random.integers(30, width - 30), random.integers(30, height - 30)
        size, grey = random.integers(12, 28), int(random.integers(160, 240))
        if random.random() < 0.5:
            corners = random.normal(0, 0.15, (4, 2)) + [(-1, -1), (1, -1), (1, 1), (-1, 1)]
            shape = ("plate", "polygon", [(x + size * cx, y + size * cy) for cx, cy in corners])
            parts = [(shape, grey, 1)]
        else:
            ring = ("washer", "circle", [(x, y), (x + size, y)])
            hole = ("background", "circle", [(x, y), (x + size / 2, y)])
            parts = [(ring, grey, 2), (hole, 120, 0)]
        for (label, kind, points), grey_level, class_id in parts:
            for canvas, value in ((image, (grey_level,) * 3), (mask, class_id)):
                draw = ImageDraw.Draw(canvas)
                if kind == "polygon":
                    draw.polygon(points, fill=value)
                else:
                    (cx, cy), (px, _) = points
                    radius = px - cx
                    draw.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), fill=value)
            shapes.append((label, kind, [[float(v) for v in point] for point in points]))
    return image, np.asarray(mask), shapes


def run_lengths(pixels):
    """Return the lengths of the runs of zeros and ones, column by column, as in COCO."""
    flat = pixels.ravel(order="F")
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff([0, *edges, flat.size]).tolist()
    return [0, *runs] if flat[0] else runs


def write_examples():
    """Write the images, and their annotations in three formats."""
    for folder in ("images", "masks", "labelme"):
        (WORK / folder).mkdir(parents=True, exist_ok=True)
    coco = {"images": [], "annotations": []}
    coco["categories"] = [{"id": i, "name": name} for i, name in enumerate(CLASSES) if i]
    for index in range(NUM_EXAMPLES):
        image, mask, shapes = draw_example(index)
        name, (height, width) = f"{index:03}.jpg", mask.shape
        image.save(WORK / "images" / name)
        image.save(WORK / "labelme" / name)
        Image.fromarray(mask).save(WORK / "masks" / f"{index:03}.png")
        entries = [{"label": s[0], "shape_type": s[1], "points": s[2]} for s in shapes]
        content = {"imagePath": name, "imageHeight": height, "imageWidth": width, "shapes": entries}
        (WORK / "labelme" / f"{index:03}.json").write_text(json.dumps(content))
        coco["images"].append({"id": index, "file_name": name, "height": height, "width": width})
        for class_id in (1, 2):
            counts = run_lengths(mask == class_id)
            segmentation = {"size": [height, width], "counts": counts}
            entry = {"id": len(coco["annotations"]), "image_id": index, "category_id": class_id}
            coco["annotations"].append({**entry, "iscrowd": 0, "segmentation": segmentation})
    (WORK / "coco.json").write_text(json.dumps(coco))


if SOURCE == "example":
    write_examples()
    SOURCE = str(WORK / "labelme") if FORMAT == "labelme" else str(WORK)
print(SOURCE)

# %% [markdown]
# ## From annotations to masks
#
# One command converts the files of every tool. If you already have images and masks, skip this
# command, and pass both folders to `eseg finetune`.

# %%
# !eseg convert {FORMAT} {SOURCE} data --val_share 0.2

# %%
# !eseg data-check --experiment data/experiment.py --data_dir data --output check

# %%
Image.open("check/contact_sheet.png").reduce(2)

# %% [markdown]
# COCO's file gives the same masks, except along the edges, where the tools fill different pixels.
# Skip the next two cells if `SOURCE` is a folder of yours.

# %%
# !eseg convert coco parts/coco.json from_coco --images parts/images

# %%
for name in ("000", "001"):
    given = np.asarray(Image.open(WORK / "masks" / f"{name}.png"))
    same = np.asarray(Image.open(f"from_coco/annotations/{name}.png"))
    (path,) = Path("data/annotations").glob(f"*/{name}.png")
    drawn = np.asarray(Image.open(path))
    print(f"{name}: COCO {(same == given).mean():.2%}, LabelMe {(drawn == given).mean():.2%} equal")

# %% [markdown]
# ## Training

# %%
from eseg_keras.training import load_experiment

CLASS_NAMES = ",".join(load_experiment("data/experiment.py").class_names)

# %%
# !eseg finetune data/images data/annotations --output mine --minutes {MINUTES} \
#     --class_names "{CLASS_NAMES}" --preset {PRESET}

# %% [markdown]
# ## The result
#
# `mine/report/index.html` shows the scores of all classes, and the images with the lowest scores;
# `mine/preset` contains the network.

# %%
import eseg_keras
from eseg_keras.visualization import label_grid

model = eseg_keras.ESeg.from_preset("mine/preset")
images = sorted(Path("data/images/val").iterdir())[:3]
masks = [np.asarray(Image.open(f"data/annotations/val/{path.stem}.png")) for path in images]
predictions = list(eseg_keras.inference.Predictor(model).predict(images))
label_grid(
    [prediction.image for prediction in predictions],
    masks,
    [prediction.label_map for prediction in predictions],
    class_names=model.class_names,
    palette=model.palette,
    cell_size=220,
)

# %% [markdown]
# More minutes give a better network: `--minutes 20`. Next: [export it](export_and_serve.ipynb).
